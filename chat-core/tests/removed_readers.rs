//! Who is removed while a question of theirs is under way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::testing::{SlowStore, TestClient};
use common::{about, builder, message_id, two_in_a_room};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn who_is_removed_while_they_read_is_given_nothing_that_came_after_it() {
    let (mut answered, mut refused) = (0, 0);
    for command in ["fetch_history", "fetch_thread", "fetch_edits", "list_pins"] {
        for begun_ms in (0..60).step_by(3) {
            let ten = Duration::from_millis(10);
            let store = Arc::new(SlowStore::new(common::watched(), 1, ten, ten));
            let engine = builder().shared_store(store).build().await.unwrap();
            let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
            let mut others = Vec::new();
            for _ in 0..3 {
                others.push(TestClient::connect(&engine, "alice").await);
            }
            let root = alice.send(&room, "known to all").await;
            alice.ack(about("pin_message", &room, root)).await;
            let edit = |text| {
                let id = message_id(&room, root);
                json!({"type": "edit_message", "roomId": room, "messageId": id, "content": text})
            };
            // While the first is saved the others wait, so that one commit saves them together.
            alice.start(json!({"type": "send_message", "roomId": room, "content": "first"})).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            others[0].start(json!({"type": "kick", "roomId": room, "userId": "bob"})).await;
            others[1].start(edit("canary")).await;
            others[2].start(edit("another canary")).await;
            tokio::time::sleep(Duration::from_millis(begun_ms)).await;
            let answer = bob.ask(about(command, &room, root)).await;
            assert!(!answer.to_string().contains("canary"), "{command} after {begun_ms} ms: {answer}");
            match answer["code"].as_str() {
                None => answered += 1,
                Some("forbidden") => refused += 1,
                Some(_) => panic!("{answer}"),
            }
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} and {refused}");
}
