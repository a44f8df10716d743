//! A repeated `clientMessageId` gets the first answer and sends nothing.

mod common;

use chat_core::testing::TestClient;
use common::engine;
use serde_json::{Value, json};

fn send(room: &str, text: &str, key: &str) -> Value {
    json!({"type": "send_message", "roomId": room, "content": text, "clientMessageId": key})
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_whatever_its_text_and_connection() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let first = alice.ack(send(&room, "once", "k")).await;
    assert_eq!(first["duplicate"], false);
    let mut phone = TestClient::connect(&engine, "alice").await;
    for client in [&mut alice, &mut phone] {
        let again = client.ack(send(&room, "twice", "k")).await;
        for field in ["messageId", "seq", "createdAt"] {
            assert_eq!(again[field], first[field]);
        }
        assert_eq!(again["duplicate"], true);
    }
    assert_eq!(alice.send(&room, "next").await, 4);
}

#[tokio::test(start_paused = true)]
async fn repeats_at_the_same_moment_make_one_message() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(alice.start(send(&room, "once", "k")).await);
    }
    let mut firsts = 0;
    for id in ids {
        let answer = alice.answer(id).await;
        assert_eq!(answer["seq"], 3);
        firsts += usize::from(answer["duplicate"] == false);
    }
    assert_eq!(firsts, 1);
}

#[tokio::test(start_paused = true)]
async fn keys_are_apart_by_user_and_by_room() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let rooms = [alice.create_room("One").await, alice.create_room("Two").await];
    bob.join(&rooms[0]).await;
    for (client, room) in [(&mut alice, &rooms[0]), (&mut bob, &rooms[0])] {
        assert_eq!(client.ack(send(room, "x", "k")).await["duplicate"], false);
    }
    assert_eq!(alice.ack(send(&rooms[1], "x", "k")).await["duplicate"], false);
}
