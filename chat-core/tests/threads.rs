//! Threads: what is counted at their roots, and how they are read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::testing::TestClient;
use common::{about, engine, message_id, two_in_a_room};
use serde_json::{Value, json};

async fn reply(client: &mut TestClient, room: &str, of: u64, text: &str) -> u64 {
    let send =
        json!({"type": "send_message", "roomId": room, "content": text, "threadId": message_id(room, of)});
    client.ack(send).await["seq"].as_u64().unwrap()
}

/// The texts of a thread, and whether there are more before and after.
async fn thread(client: &mut TestClient, room: &str, of: u64, more: Value) -> (Vec<Value>, bool, bool) {
    let mut command = about("fetch_thread", room, of);
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = client.ask(command).await;
    assert_eq!(answer["type"], "thread", "{answer}");
    let texts =
        answer["messages"].as_array().unwrap().iter().map(|message| message["content"].clone()).collect();
    (texts, answer["hasMoreBefore"] == true, answer["hasMoreAfter"] == true)
}

#[tokio::test(start_paused = true)]
async fn replies_in_a_thread_are_counted_at_its_root_and_deleted_ones_are_not() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let root = alice.send(&room, "root").await;
    alice.expect_text("root").await;
    let first = reply(&mut bob, &room, root, "first").await;
    let event = alice.expect("new_message").await;
    assert_eq!(
        (&event["message"]["threadId"], &event["message"]["threadCount"]),
        (&json!(message_id(&room, root)), &json!(0))
    );
    let first_at = event["message"]["createdAt"].clone();
    assert_eq!(
        event["thread"],
        json!({"messageId": message_id(&room, root), "threadCount": 1, "lastReplyAt": first_at})
    );
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let second = reply(&mut bob, &room, first, "second").await;
    let event = alice.expect("new_message").await;
    assert_eq!(
        event["message"]["threadId"],
        message_id(&room, root),
        "a thread within a thread is the same thread"
    );
    assert_eq!(event["thread"]["threadCount"], 2);
    bob.ack(about("delete_message", &room, second)).await;
    let event = alice.expect("message_deleted").await;
    assert_eq!(
        event["thread"],
        json!({"messageId": message_id(&room, root), "threadCount": 1, "lastReplyAt": first_at})
    );
    for client in [&mut alice, &mut bob] {
        let page =
            client.ask(json!({"type": "fetch_history", "roomId": room, "around": root, "limit": 1})).await;
        let message = &page["messages"][0];
        assert_eq!((&message["threadCount"], &message["lastReplyAt"]), (&json!(1), &first_at));
    }
    bob.ack(about("delete_message", &room, first)).await;
    let event = alice.expect("message_deleted").await;
    assert_eq!(event["thread"]["threadCount"], 0);
    assert_eq!(event["thread"]["lastReplyAt"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_thread_is_fetched_with_its_root_first() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let root = alice.send(&room, "root").await;
    assert_eq!(thread(&mut bob, &room, root, json!({})).await, (vec![json!("root")], false, false));
    let mut replies = Vec::new();
    for text in ["a", "b", "c", "d"] {
        replies.push(reply(&mut bob, &room, root, text).await);
        alice.send(&room, "between").await;
    }
    alice.ack(about("delete_message", &room, replies[1])).await;
    for of in [root, replies[3], replies[1]] {
        assert_eq!(thread(&mut alice, &room, of, json!({})).await.0, ["root", "a", "", "c", "d"]);
    }
    let page = thread(&mut alice, &room, root, json!({"limit": 2})).await;
    assert_eq!(page, (vec![json!("root"), json!("c"), json!("d")], true, false));
    let page = thread(&mut alice, &room, root, json!({"before": replies[2], "limit": 1})).await;
    assert_eq!(page, (vec![json!("")], true, true));
    let page = thread(&mut alice, &room, root, json!({"before": replies[1]})).await;
    assert_eq!(page, (vec![json!("root"), json!("a")], false, true));
    let page = thread(&mut alice, &room, root, json!({"after": 0, "limit": 1})).await;
    assert_eq!(page, (vec![json!("root"), json!("a")], false, true));
    let page = thread(&mut alice, &room, root, json!({"after": replies[1]})).await;
    assert_eq!(page, (vec![json!("c"), json!("d")], true, false));
    let both = json!({"type": "fetch_thread", "roomId": room, "messageId": message_id(&room, root), "before": 1, "after": 1});
    assert_eq!(alice.refused(both).await, "bad_request");
    assert_eq!(alice.refused(about("fetch_thread", &room, 1)).await, "not_found");
}

#[tokio::test(start_paused = true)]
async fn nobody_replies_in_the_thread_of_a_message_that_is_deleted_or_not_there() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let root = alice.send(&room, "root").await;
    let first = reply(&mut bob, &room, root, "first").await;
    alice.ack(about("delete_message", &room, root)).await;
    for of in [root, first, 1, 99] {
        let send = json!({"type": "send_message", "roomId": room, "content": "x", "threadId": message_id(&room, of)});
        assert_eq!(bob.refused(send).await, "not_found", "{of}");
    }
    assert_eq!(thread(&mut alice, &room, first, json!({})).await.0, ["", "first"]);
}
