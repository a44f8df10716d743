//! Messages reach everybody in the room, once, in order.

use chat_core::{engine::Engine, testing::TestClient};
use serde_json::json;

async fn engine() -> Engine {
    Engine::builder().authenticator(TestClient::authenticator).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_all_members_and_its_sender_alike() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    assert_eq!(alice.send(&room, "hi").await, 4);

    alice.expect("room_updated").await;
    alice.expect("user_joined").await;
    alice.expect("user_joined").await;
    assert_eq!(alice.expect_text("hi").await, 4);
    assert_eq!(bob.expect("user_joined").await["user"], json!({"id": "bob", "username": "bob"}));
    assert_eq!(bob.expect_text("hi").await, 4);
    bob.expect_silence().await;
}
