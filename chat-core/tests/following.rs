//! Following, ceasing to follow and following again, while the store takes its time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    auth::Identity,
    domain::Draft,
    engine::{Caller, Engine, Event, Session},
    id::{RoomId, Seq, UserId},
    limits::TAIL_ENTRIES_MAX,
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

/// Bob's session, which has not yet looked at what Alice has just written to him.
async fn just_written_to(engine: &Engine) -> (Session, Caller, RoomId, Seq) {
    let [alice, bob] = ["alice", "bob"].map(|name| Identity::new(UserId::parse(name).unwrap(), name));
    let to = bob.user.clone();
    let bob = engine.connect(bob).await.unwrap();
    let alice = engine.caller(alice).await.unwrap();
    let (room, sent) = alice.send_dm(&to, Draft::text("hello").unwrap()).await.unwrap();
    (bob, alice, room, sent.seq)
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_room_that_they_have_just_come_into_is_told_it_from_there_on() {
    let engine = builder().build().await.unwrap();
    let (mut bob, _alice, room, sent) = just_written_to(&engine).await;
    assert_eq!(bob.subscribe(&room, None).await.unwrap(), sent.previous());
    let told = loop {
        if let Event::Entry(posted) = bob.recv().await.unwrap() {
            break posted.entry().seq;
        }
    };
    assert_eq!(told, sent);
}

#[tokio::test(start_paused = true)]
async fn who_turns_from_a_room_that_they_have_just_come_into_is_told_nothing_of_it() {
    let engine = builder().build().await.unwrap();
    let (mut bob, alice, room, sent) = just_written_to(&engine).await;
    assert_eq!(bob.unsubscribe(&room), Some(sent.previous()));
    alice.send(&room, Draft::text("are you there?").unwrap()).await.unwrap();
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(1), bob.recv()).await {
        assert!(!matches!(event, Some(Event::Entry(_)) | None), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_while_their_removal_is_looked_up_is_told_on() {
    for after_ms in (0..30).step_by(3) {
        let ten = Duration::from_millis(10);
        let store = Arc::new(SlowStore::new(common::watched(), 1, ten, ten));
        let engine = builder().shared_store(store).build().await.unwrap();
        let mut alice = TestClient::connect(&engine, "alice").await;
        let mut slow = TestClient::connect(&engine, "bob").await;
        let mut other = TestClient::connect_with(&engine, "bob", json!({"subscribe": "none"})).await;
        let room = alice.create_room("Lobby").await;
        slow.join(&room).await;
        for _ in 0..TAIL_ENTRIES_MAX + 100 {
            alice.send(&room, "x").await;
        }
        alice.ack(json!({"type": "kick", "roomId": room, "userId": "bob"})).await;
        alice.send(&room, "the newest").await;
        alice.ack(json!({"type": "update_room", "roomId": room, "retentionMessages": 1})).await;
        tokio::time::sleep(Duration::from_secs(31)).await;
        // The slow session comes to the gap, and looks up whether its user may go on.
        let back = async {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            other.join(&room).await;
        };
        tokio::join!(slow.settle(), back);
        alice.send(&room, "welcome").await;
        let told = slow.settle().await;
        let is_welcome = |event: &serde_json::Value| event["message"]["content"] == "welcome";
        assert!(told.iter().any(is_welcome), "back after {after_ms} ms: {told:?}");
    }
}
