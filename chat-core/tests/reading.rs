//! What a user has read, and what that leaves unread, is the same on all their connections.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use chat_core::testing::TestClient;
use common::engine;
use serde_json::{Value, json};

/// A caller's rooms, each as name, role, unread, mentions, lastReadSeq and the text of the newest message.
async fn own_rooms(client: &mut TestClient) -> Vec<Value> {
    let rooms = client.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    let own = |room: &Value| {
        let fields = ["name", "role", "unread", "mentions", "lastReadSeq"].map(|field| room[field].clone());
        json!([fields, room["lastMessage"]["content"]])
    };
    rooms["items"].as_array().unwrap().iter().map(own).collect()
}

async fn mark_read(client: &mut TestClient, room: &str, seq: u64) -> (Value, Value) {
    let ack = client.ack(json!({"type": "mark_read", "roomId": room, "seq": seq})).await;
    (ack["unread"].clone(), ack["mentions"].clone())
}

#[tokio::test(start_paused = true)]
async fn what_is_unread_is_told_in_the_list_and_in_the_answer_to_reading() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    assert_eq!(own_rooms(&mut bob).await, [json!([["Lobby", "member", 0, 0, 3], null])]);
    for text in ["one", "two", "three"] {
        alice.send(&room, text).await;
    }
    assert_eq!(own_rooms(&mut bob).await, [json!([["Lobby", "member", 3, 0, 3], "three"])]);
    assert_eq!(own_rooms(&mut alice).await, [json!([["Lobby", "owner", 0, 0, 6], "three"])]);
    assert_eq!(mark_read(&mut bob, &room, 4).await, (json!(2), json!(0)));
    assert_eq!(mark_read(&mut bob, &room, 3).await, (json!(2), json!(0)));
    assert_eq!(mark_read(&mut bob, &room, 1 << 60).await, (json!(0), json!(0)));
    assert_eq!(own_rooms(&mut bob).await, [json!([["Lobby", "member", 0, 0, 6], "three"])]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_message_is_told_as_history_tells_it() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let key = json!({"type": "send_message", "roomId": room, "content": "hi", "clientMessageId": "k"});
    alice.ack(key).await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    for client in [&mut alice, &mut bob] {
        let history = client.ask(json!({"type": "fetch_history", "roomId": room})).await;
        let rooms = client.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
        assert_eq!(rooms["items"][0]["lastMessage"], history["messages"][0]);
        let own = client.ask(json!({"type": "get_room", "roomId": room})).await;
        assert_eq!((&own["type"], &own["room"]), (&json!("room"), &rooms["items"][0]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_public_room_is_shown_to_everybody_and_a_private_one_to_its_members() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let lobby = alice.create_room("Lobby").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await;
    let attic = ack["room"]["id"].clone();
    let mut bob = TestClient::connect(&engine, "bob").await;
    let public = bob.ask(json!({"type": "list_rooms"})).await;
    let shown = bob.ask(json!({"type": "get_room", "roomId": lobby})).await;
    assert_eq!(shown["room"], public["items"][0]);
    assert_eq!(shown["room"].get("unread"), None);

    for command in ["get_room", "mark_read", "mark_delivered"] {
        let mut refusals = Vec::new();
        for room in [&attic, &json!("nowhere"), &json!("no room has this id")] {
            let id = bob.start(json!({"type": command, "roomId": room, "seq": 1})).await;
            let mut refusal = bob.answer(id).await;
            refusal["id"] = json!(0);
            refusals.push(refusal);
        }
        assert_eq!(refusals[0]["code"], "not_found", "{command}");
        assert_eq!(refusals[0], refusals[1], "{command}");
        assert_eq!(refusals[0], refusals[2], "{command}");
    }
    for command in ["mark_read", "mark_delivered"] {
        let code = bob.refused(json!({"type": command, "roomId": lobby, "seq": 1})).await;
        assert_eq!(code, "forbidden", "{command}");
        assert_eq!(bob.refused(json!({"type": command, "roomId": lobby})).await, "bad_request");
        let code = bob.refused(json!({"type": command, "roomId": lobby, "seq": -1})).await;
        assert_eq!(code, "bad_request");
    }
}
