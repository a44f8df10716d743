//! Ending a user's sessions: at once, on every device and every node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use chat_core::{
    auth::Identity, bus::MemoryBus, close::CloseReason, id::UserId, store::MemoryStore, testing::TestClient,
};
use common::builder;

#[tokio::test(start_paused = true)]
async fn all_sessions_of_a_user_end_with_the_reason_and_nobody_elses() {
    let store = Arc::new(MemoryStore::new());
    let bus = MemoryBus::new();
    let node = async || builder().shared_store(store.clone()).bus(bus.clone()).build().await.unwrap();
    let (a, b) = (node().await, node().await);
    let bob = UserId::parse("bob").unwrap();
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut here = TestClient::connect(&a, "bob").await;
    let mut there = TestClient::connect(&b, "bob").await;
    let mut within = a.connect(Identity::new(bob.clone(), "bob")).await.unwrap();
    a.disconnect(&bob, CloseReason::Banned).await;
    assert_eq!(here.closed().await, Some(CloseReason::Banned));
    assert_eq!(there.closed().await, Some(CloseReason::Banned));
    while within.recv().await.is_some() {}
    assert_eq!(alice.ask(serde_json::json!({"type": "ping"})).await["type"], "pong");

    let mut again = TestClient::connect(&b, "bob").await;
    a.disconnect(&bob, CloseReason::Unauthenticated).await;
    assert_eq!(again.closed().await, Some(CloseReason::Unauthenticated));
}
