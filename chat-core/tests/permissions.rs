//! Who may do what, and what a stranger can learn.

mod common;

use chat_core::limits::Limits;
use chat_core::testing::TestClient;
use common::{builder, engine, no_rates};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn a_public_room_is_forbidden_until_joined() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    for command in commands_on(&room) {
        assert_eq!(bob.refused(command.clone()).await, "forbidden", "{command}");
    }
    bob.join(&room).await;
    for command in commands_on(&room) {
        assert_ne!(bob.ask(command.clone()).await["type"], "error", "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_private_room_looks_to_strangers_exactly_like_one_that_does_not_exist() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "secret", "private": true})).await;
    let secret = ack["room"]["id"].as_str().unwrap().to_owned();
    let nowhere = "0190b5a2-7a39-7c3e-8f00-000000000001";
    let mut bob = TestClient::connect(&engine, "bob").await;
    let joins = ["join_room", "leave_room"].map(|kind| json!({"type": kind, "roomId": "ROOM"}));
    for command in commands_on("ROOM").into_iter().chain(joins) {
        let mut answers = Vec::new();
        for room in [&secret, nowhere] {
            let text = command.to_string().replace("ROOM", room);
            let mut answer = bob.ask(serde_json::from_str(&text).unwrap()).await;
            answer.as_object_mut().unwrap().remove("id");
            answers.push(answer.to_string());
        }
        assert_eq!(answers[0], answers[1]);
        assert!(answers[0].contains("not_found"), "{}", answers[0]);
    }
    let listed = bob.ask(json!({"type": "list_rooms", "query": "sec"})).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_last_owner_cant_leave_unless_alone() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let leave = json!({"type": "leave_room", "roomId": room});
    assert_eq!(alice.refused(leave.clone()).await, "conflict");
    bob.ack(leave.clone()).await;
    alice.ack(leave.clone()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_already_so_is_acked_and_changes_nothing() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    assert_eq!(bob.join(&room).await["room"]["lastSeq"], 3);
    assert_eq!(bob.join(&room).await["room"]["lastSeq"], 3);
    let leave = json!({"type": "leave_room", "roomId": room});
    bob.ack(leave.clone()).await;
    bob.ack(leave).await;
    assert_eq!(alice.send(&room, "x").await, 5);
}

#[tokio::test(start_paused = true)]
async fn names_of_public_rooms_are_unique_and_those_of_private_ones_are_not() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    alice.create_room("Lobby").await;
    assert_eq!(bob.refused(json!({"type": "create_room", "name": "LOBBY"})).await, "conflict");
    for client in [&mut alice, &mut bob] {
        client.ack(json!({"type": "create_room", "name": "Lobby", "private": true})).await;
    }
    let listed = bob.ask(json!({"type": "list_rooms"})).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_create_one_name_at_once_exactly_one_succeeds() {
    let engine = engine().await;
    let mut clients = Vec::new();
    for i in 0..10 {
        let mut client = TestClient::connect(&engine, &format!("user{i}")).await;
        let id = client.start(json!({"type": "create_room", "name": "Lobby"})).await;
        clients.push((client, id));
    }
    let mut created = 0;
    for (client, id) in &mut clients {
        created += usize::from(client.answer(*id).await["type"] == "ack");
    }
    assert_eq!(created, 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_belongs_to_a_bounded_number_of_rooms() {
    let engine = builder().limits(Limits { rooms_per_user: 2, ..no_rates() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let rooms = [alice.create_room("One").await, alice.create_room("Two").await];
    assert_eq!(alice.refused(json!({"type": "create_room", "name": "Three"})).await, "forbidden");
    alice.ack(json!({"type": "leave_room", "roomId": rooms[0]})).await;
    alice.create_room("Three").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let other = bob.create_room("Other").await;
    assert_eq!(alice.refused(json!({"type": "join_room", "roomId": other})).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn rooms_and_members_are_listed_page_by_page() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    for i in 0..150 {
        alice.create_room(&format!("Room {i:03}")).await;
    }
    for scope in ["public", "mine"] {
        let mut names = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = alice.ask(json!({"type": "list_rooms", "scope": scope, "cursor": cursor})).await;
            names.extend(page["items"].as_array().unwrap().iter().map(|room| room["name"].clone()));
            cursor = page["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        names.sort_by_key(|name| name.to_string());
        assert_eq!(names, (0..150).map(|i| json!(format!("Room {i:03}"))).collect::<Vec<_>>(), "{scope}");
    }
    let mine = alice.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    assert_eq!(mine["items"][0]["role"], "owner");
    let room = mine["items"][0]["id"].clone();
    let members = alice.ask(json!({"type": "list_members", "roomId": room})).await;
    let joined_at = members["items"][0]["joinedAt"].clone();
    let expected = json!([{"userId": "alice", "username": "alice", "role": "owner", "status": "online", "lastSeenAt": null, "joinedAt": joined_at}]);
    assert_eq!((&members["type"], &members["items"]), (&json!("members"), &expected));
}

fn commands_on(room: &str) -> Vec<Value> {
    vec![
        json!({"type": "send_message", "roomId": room, "content": "x"}),
        json!({"type": "fetch_history", "roomId": room}),
        json!({"type": "list_members", "roomId": room}),
        json!({"type": "subscribe", "roomId": room}),
        json!({"type": "subscribe", "roomId": room, "after": 0}),
    ]
}
