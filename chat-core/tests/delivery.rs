//! Messages reach everybody in the room, once, in order.

mod common;

use chat_core::testing::TestClient;
use common::engine;
use serde_json::json;

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

#[tokio::test(start_paused = true)]
async fn every_entry_has_one_frame_and_the_log_starts_with_the_room_and_its_owner() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Lobby", "description": "for all"})).await;
    let room = ack["room"]["id"].clone();
    let updated = alice.expect("room_updated").await;
    let created_at = updated["room"]["createdAt"].clone();
    let expected = json!({"type": "room_updated", "roomId": room, "seq": 1, "room": {
        "id": room, "kind": "public", "name": "Lobby", "description": "for all", "createdBy": "alice",
        "createdAt": created_at, "memberCount": 0, "lastSeq": 1, "slowModeSeconds": 0, "history": "all",
        "archived": false,
    }});
    assert_eq!(updated, expected);
    let joined = json!({"type": "user_joined", "roomId": room, "user": {"id": "alice", "username": "alice"},
        "memberCount": 1, "seq": 2});
    assert_eq!(alice.event().await, joined);
    alice.ack(json!({"type": "leave_room", "roomId": room})).await;
    let left = json!({"type": "user_left", "roomId": room, "userId": "alice", "memberCount": 0, "reason": "left",
        "seq": 3});
    assert_eq!(alice.event().await, left);
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn all_of_a_users_connections_follow_rooms_joined_later() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    let mut laptop = TestClient::connect(&engine, "bob").await;
    let mut quiet = TestClient::connect_with(&engine, "bob", json!({"subscribe": "none"})).await;
    phone.join(&room).await;
    alice.send(&room, "hi").await;
    for bob in [&mut phone, &mut laptop] {
        assert_eq!(bob.expect("user_joined").await["seq"], 3);
        assert_eq!(bob.expect_text("hi").await, 4);
    }
    quiet.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_senders_own_connections_learn_the_client_message_id() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut tablet = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let send = json!({"type": "send_message", "roomId": room, "content": "hi", "clientMessageId": "k1"});
    let ack = alice.ack(send).await;
    for _ in 0..3 {
        alice.event().await;
    }
    tablet.expect("user_joined").await;
    bob.expect("user_joined").await;
    let to_alice = alice.expect("new_message").await;
    assert_eq!(to_alice["message"]["id"], ack["messageId"]);
    assert_eq!(to_alice["message"]["clientMessageId"], "k1");
    assert_eq!(tablet.expect("new_message").await, to_alice);
    let to_bob = bob.expect("new_message").await;
    assert_eq!(to_bob["message"].get("clientMessageId"), None);
}

#[tokio::test(start_paused = true)]
async fn a_member_who_leaves_gets_their_own_leaving_last_and_begins_anew_on_return() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    alice.send(&room, "without bob").await;
    assert_eq!(bob.expect("user_joined").await["seq"], 3);
    assert_eq!(bob.expect("user_left").await["seq"], 4);
    bob.expect_silence().await;
    bob.join(&room).await;
    alice.send(&room, "with bob").await;
    assert_eq!(bob.expect("user_joined").await["seq"], 6);
    assert_eq!(bob.expect_text("with bob").await, 7);
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribed_connection_hears_nothing_but_stays_a_member() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    alice.expect("room_updated").await;
    alice.expect("user_joined").await;
    let unsubscribe = json!({"type": "unsubscribe", "roomId": room});
    assert_eq!(alice.ack(unsubscribe.clone()).await["seq"], 2);
    assert_eq!(alice.ack(unsubscribe).await.get("seq"), None, "it was not followed any more");
    assert_eq!(alice.send(&room, "quietly").await, 3);
    alice.expect_silence().await;
    let ack = alice.ack(json!({"type": "subscribe", "roomId": room})).await;
    assert_eq!(ack["seq"], 3);
    alice.send(&room, "aloud").await;
    assert_eq!(alice.expect_text("aloud").await, 4);
    assert_eq!(alice.ack(json!({"type": "subscribe", "roomId": room})).await["seq"], 4);
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn commands_of_one_connection_take_effect_in_the_order_sent() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let join = bob.start(json!({"type": "join_room", "roomId": room})).await;
    let mut sends = Vec::new();
    for i in 0..5 {
        let text = i.to_string();
        sends.push(bob.start(json!({"type": "send_message", "roomId": room, "content": text})).await);
    }
    let history = bob.start(json!({"type": "fetch_history", "roomId": room})).await;
    let leave = bob.start(json!({"type": "leave_room", "roomId": room})).await;
    let late = bob.start(json!({"type": "send_message", "roomId": room, "content": "late"})).await;
    assert_eq!(bob.answer(join).await["type"], "ack");
    for (i, send) in sends.into_iter().enumerate() {
        assert_eq!(bob.answer(send).await["seq"], 4 + i as u64);
    }
    let page = bob.answer(history).await;
    let texts: Vec<_> = page["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    assert_eq!(bob.answer(leave).await["type"], "ack");
    assert_eq!(bob.answer(late).await["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_joining_tells_from_where_to_resume() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let created = alice.ack(json!({"type": "create_room", "name": "Lobby"})).await;
    assert_eq!(created["room"]["lastSeq"], 2);
    let room = created["room"]["id"].as_str().unwrap().to_owned();
    let mut bob = TestClient::connect(&engine, "bob").await;
    // Queued before the answer to joining is given, and so perhaps stored before it, too.
    let join = bob.start(json!({"type": "join_room", "roomId": room})).await;
    let send = alice.start(json!({"type": "send_message", "roomId": room, "content": "hi"})).await;
    let (sent, joined) = (alice.answer(send).await, bob.answer(join).await);
    let own = bob.expect("user_joined").await["seq"].clone();
    assert_eq!(joined["room"]["lastSeq"], own);
    assert!(sent["seq"].is_u64());
}
