//! Blocks: no direct message goes through, and nobody is told why.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use chat_core::{
    limits::BLOCKS_PER_USER_MAX,
    store::Maintenance,
    testing::{Loss, TestClient},
};
use common::{Nodes, engine, engine_and_store, two_nodes};
use serde_json::{Value, json};

fn dm(to: &str, text: &str) -> Value {
    json!({"type": "send_dm", "recipientId": to, "content": text})
}

fn block(user: &str) -> Value {
    json!({"type": "block_user", "userId": user})
}

fn unblock(user: &str) -> Value {
    json!({"type": "unblock_user", "userId": user})
}

/// An answer without its id.
async fn answer(client: &mut TestClient, command: Value) -> String {
    let mut answer = client.ask(command).await;
    answer.as_object_mut().unwrap().remove("id");
    answer.to_string()
}

#[tokio::test(start_paused = true)]
async fn no_direct_message_goes_either_way_while_one_has_blocked_the_other() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.ack(dm("bob", "before")).await["roomId"].clone();
    for client in [&mut alice, &mut bob] {
        client.expect("new_dm").await;
    }
    bob.ack(block("alice")).await;
    bob.ack(block("alice")).await;
    let by_room = json!({"type": "send_message", "roomId": room, "content": "by the room"});
    assert_eq!(alice.refused(dm("bob", "x")).await, "forbidden");
    assert_eq!(alice.refused(by_room.clone()).await, "forbidden");
    assert_eq!(bob.refused(dm("alice", "x")).await, "forbidden");
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    let message = &history["messages"][0]["id"];
    let edit = json!({"type": "edit_message", "roomId": room, "messageId": message, "content": "otherwise"});
    let react = json!({"type": "add_reaction", "roomId": room, "messageId": message, "emoji": "👍"});
    for command in [edit, react] {
        assert_eq!(alice.refused(command).await, "forbidden", "an edit or a reaction would get through");
    }
    let mut device = TestClient::connect(&engine, "alice").await;
    assert_eq!(device.refused(by_room.clone()).await, "forbidden");
    bob.expect_silence().await;
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    assert_eq!(history["messages"][0]["content"], "before", "what was said stays readable");

    bob.ack(unblock("alice")).await;
    bob.ack(unblock("alice")).await;
    alice.ack(by_room).await;
    bob.expect("new_dm").await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_blocked_user_is_told_the_same_as_for_something_that_nobody_may_do() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let room = alice.ack(dm("carol", "hi")).await["roomId"].clone();
    carol.expect("new_dm").await;
    bob.ack(block("alice")).await;
    let blocked = answer(&mut alice, dm("bob", "x")).await;
    let ordinary = answer(&mut alice, json!({"type": "leave_room", "roomId": room})).await;
    assert_eq!(blocked, ordinary);
    let blocker = answer(&mut bob, dm("alice", "x")).await;
    assert_eq!(blocked, blocker);
    let group = json!({"type": "create_group", "userIds": ["bob", "carol"]});
    assert_eq!(answer(&mut alice, group).await, ordinary);
    assert!(!blocked.contains("block"), "{blocked}");
    carol.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_first_message_leaves_no_room_behind() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.ack(block("alice")).await;
    let mut first = dm("bob", "x");
    first["clientMessageId"] = json!("k");
    assert_eq!(alice.refused(first.clone()).await, "forbidden");
    for client in [&mut alice, &mut bob] {
        let rooms = client.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
        assert_eq!(rooms["items"], json!([]));
    }
    bob.ack(unblock("alice")).await;
    assert_eq!(alice.ack(first).await["duplicate"], false, "a refused key is not used up");
    bob.expect("new_dm").await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_was_sent_before_the_block_gets_the_first_answer() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut first = dm("bob", "x");
    first["clientMessageId"] = json!("k");
    alice.ack(first.clone()).await;
    bob.ack(block("alice")).await;
    let repeat = alice.start(first).await;
    let other = alice.start(dm("bob", "y")).await;
    assert_eq!(alice.answer(repeat).await["duplicate"], true);
    assert_eq!(alice.answer(other).await["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn messages_that_race_with_a_block_are_refused_or_came_before_it() {
    let (engine, store) = engine_and_store().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut senders = Vec::new();
    for number in 0..8 {
        senders.push((TestClient::connect(&engine, "alice").await, Vec::new(), number));
    }
    for (client, ids, number) in &mut senders {
        for turn in 0..4 {
            ids.push(client.start(dm("bob", &format!("{number}.{turn}"))).await);
        }
    }
    bob.ack(block("alice")).await;
    let mut sent = 0;
    for (client, ids, _) in &mut senders {
        for id in ids.iter() {
            match client.answer(*id).await {
                answer if answer["type"] == "ack" => sent += 1,
                answer => assert_eq!(answer["code"], "forbidden", "{answer}"),
            }
        }
        assert_eq!(client.refused(dm("bob", "after")).await, "forbidden");
    }
    for seq in 1..=sent {
        assert_eq!(bob.expect("new_dm").await["message"]["seq"], seq);
    }
    bob.expect_silence().await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn blocks_hold_on_every_node() {
    let Nodes { a, b, .. } = two_nodes(Loss::NONE).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    alice.ack(dm("bob", "before")).await;
    bob.expect("new_dm").await;
    bob.ack(block("alice")).await;
    assert_eq!(alice.refused(dm("bob", "after")).await, "forbidden");
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn blocks_are_listed_bounded_and_only_of_others_who_are_there() {
    let engine = engine().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let _alice = TestClient::connect(&engine, "alice").await;
    assert_eq!(bob.refused(block("bob")).await, "forbidden");
    assert_eq!(bob.refused(block("nobody")).await, "not_found");
    assert_eq!(bob.refused(unblock("nobody")).await, "not_found");
    bob.ack(block("alice")).await;
    let listed = bob.ask(json!({"type": "list_blocks"})).await;
    let since = listed["items"][0]["createdAt"].clone();
    let items = json!([{"userId": "alice", "username": "alice", "createdAt": since}]);
    assert_eq!(
        (&listed["type"], &listed["items"], &listed["nextCursor"]),
        (&json!("blocks"), &items, &Value::Null)
    );
    for number in 1..BLOCKS_PER_USER_MAX {
        let name = format!("user{number}");
        let identity =
            chat_core::auth::Identity::new(chat_core::id::UserId::parse(&name).unwrap(), name.as_str());
        engine.caller(identity).await.unwrap();
        bob.ack(block(&name)).await;
    }
    let identity = chat_core::auth::Identity::new(chat_core::id::UserId::parse("last").unwrap(), "last");
    engine.caller(identity).await.unwrap();
    assert_eq!(bob.refused(block("last")).await, "forbidden");
    bob.ack(block("alice")).await;
}
