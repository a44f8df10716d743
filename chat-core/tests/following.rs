//! Following, ceasing to follow and following again, while the store takes its time.

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    store::MemoryStore,
    testing::{SlowStore, TestClient},
};
use common::builder;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_room_followed_anew_from_further_back_has_no_gap() {
    let ten = Duration::from_millis(10);
    let store = Arc::new(SlowStore::new(MemoryStore::new(), 1, ten, ten));
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
