//! Following, ceasing to follow and following again, while the store takes its time.

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    auth::Identity,
    domain::Draft,
    engine::Event,
    id::UserId,
    testing::{SlowStore, TestClient},
};
use common::builder;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_room_followed_anew_from_further_back_has_no_gap() {
    let ten = Duration::from_millis(10);
    let store = Arc::new(SlowStore::new(common::watched(), 1, ten, ten));
    let before = builder().shared_store(store.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&before, "alice").await;
    let room = alice.create_room("Lobby").await;
    for text in ["three", "four", "five"] {
        alice.send(&room, text).await;
    }

    // A node that has just started has nothing in its ring: every replay reads the store.
    let engine = builder().shared_store(store).build().await.unwrap();
    let mut alice = TestClient::connect_with(&engine, "alice", json!({"subscribe": "none"})).await;
    alice.ask(json!({"type": "list_members", "roomId": room})).await;
    alice.ack(json!({"type": "subscribe", "roomId": room, "after": 3})).await;
    // The replay is being read by now.
    alice.ask(json!({"type": "ping"})).await;
    let off = alice.start(json!({"type": "unsubscribe", "roomId": room})).await;
    let far = alice.start(json!({"type": "subscribe", "roomId": room, "after": 0})).await;
    for id in [off, far] {
        assert_eq!(alice.answer(id).await["type"], "ack");
    }
    alice.expect("room_updated").await;
    alice.expect("user_joined").await;
    for text in ["three", "four", "five"] {
        alice.expect_text(text).await;
    }
    assert_eq!(alice.expect("caught_up").await["seq"], 5);
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_room_that_they_have_just_come_into_is_told_it_from_there_on() {
    let engine = builder().build().await.unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| Identity::new(UserId::parse(name).unwrap(), name));
    let to = bob.user.clone();
    let mut bob = engine.connect(bob).await.unwrap();
    let alice = engine.connect(alice).await.unwrap();
    let (room, sent) = alice.caller().send_dm(&to, Draft::text("hello").unwrap()).await.unwrap();
    // Before the session has looked at what its user has joined.
    assert_eq!(bob.subscribe(&room, None).await.unwrap(), sent.seq.previous());
    let told = loop {
        if let Event::Entry(posted) = bob.recv().await.unwrap() {
            break posted.entry().seq;
        }
    };
    assert_eq!(told, sent.seq);
}

#[tokio::test(start_paused = true)]
async fn who_turns_from_a_room_that_they_have_just_come_into_is_told_nothing_of_it() {
    let engine = builder().build().await.unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| Identity::new(UserId::parse(name).unwrap(), name));
    let to = bob.user.clone();
    let mut bob = engine.connect(bob).await.unwrap();
    let alice = engine.connect(alice).await.unwrap();
    let (room, sent) = alice.caller().send_dm(&to, Draft::text("hello").unwrap()).await.unwrap();
    assert_eq!(bob.unsubscribe(&room), Some(sent.seq.previous()));
    alice.caller().send(&room, Draft::text("are you there?").unwrap()).await.unwrap();
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(1), bob.recv()).await {
        assert!(!matches!(event, Some(Event::Entry(_)) | None), "{event:?}");
    }
}
