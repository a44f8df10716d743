//! What a user has read, and what that leaves unread, is the same on all their connections.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use chat_core::{
    auth::Identity,
    id::{RoomId, Seq, UserId},
    testing::TestClient,
};
use common::{builder, engine, engine_and_store};
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

#[tokio::test(start_paused = true)]
async fn all_connections_of_a_user_agree_on_what_is_read() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    phone.join(&room).await;
    let mut laptop = TestClient::connect(&engine, "bob").await;
    let mut quiet = TestClient::connect_with(&engine, "bob", json!({"subscribe": "none"})).await;
    for text in ["one", "two", "three"] {
        alice.send(&room, text).await;
        laptop.expect_text(text).await;
    }
    mark_read(&mut phone, &room, 5).await;
    let unread = |count: u64| json!({"type": "unread", "roomId": room, "unread": count, "mentions": 0});
    assert_eq!(laptop.event().await, unread(1));
    assert_eq!(quiet.event().await, unread(1));
    mark_read(&mut phone, &room, 5).await;
    laptop.expect_silence().await;

    phone.send(&room, "an answer").await;
    laptop.expect_text("an answer").await;
    assert_eq!(laptop.event().await, unread(0));
    assert_eq!(quiet.event().await, unread(0));
    for text in ["one", "two", "three", "an answer"] {
        while phone.event().await["message"]["content"] != text {}
    }
    phone.expect_silence().await;

    // Who has read all before sends without changing what is unread.
    laptop.send(&room, "and another").await;
    quiet.expect_silence().await;
    alice.send(&room, "four").await;
    laptop.send(&room, "again").await;
    assert_eq!(quiet.event().await, unread(0));
    alice.send(&room, "five").await;
    mark_read(&mut quiet, &room, 99).await;
    laptop.send(&room, "and again").await;
    quiet.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn sending_tells_nothing_of_reading_in_a_room_that_was_read_before_the_server_started() {
    let (first, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&first, "alice").await;
    let (read, unread) = (alice.create_room("Read").await, alice.create_room("Unread").await);
    let mut bob = TestClient::connect(&first, "bob").await;
    bob.join(&unread).await;
    bob.send(&unread, "hi").await;
    alice.send(&read, "hi").await;
    first.crash();
    drop((alice, bob, first));

    let engine = builder().shared_store(store).build().await.unwrap();
    let mut phone = TestClient::connect(&engine, "alice").await;
    let mut quiet = TestClient::connect_with(&engine, "alice", json!({"subscribe": "none"})).await;
    phone.send(&read, "here").await;
    quiet.expect_silence().await;
    phone.send(&unread, "here").await;
    let expected = json!({"type": "unread", "roomId": unread, "unread": 0, "mentions": 0});
    assert_eq!(quiet.event().await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_others_in_a_room_learn_who_has_read_how_far_but_not_of_what_sending_reads() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    alice.send(&room, "hi").await;
    let mut other = TestClient::connect(&engine, "alice").await;
    mark_read(&mut bob, &room, 99).await;
    mark_read(&mut bob, &room, 99).await;
    let mut receipt = other.event().await;
    let read_at = receipt["readAt"].take();
    assert_eq!(read_at.as_str().map(str::len), Some("2026-01-31T12:00:00.000Z".len()));
    let expected = json!({"type": "read_receipt", "roomId": room, "userId": "bob", "seq": 4, "readAt": null});
    assert_eq!(receipt, expected);
    bob.send(&room, "an answer").await;
    assert_eq!(other.expect_text("an answer").await, 5);
    other.expect_silence().await;
    bob.expect("user_joined").await;
    bob.expect_text("hi").await;
    bob.expect_text("an answer").await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_room_of_more_than_a_hundred_members_nobody_is_told_who_has_read() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let id = RoomId::parse(&room).unwrap();
    for number in 0..99 {
        let user = UserId::parse(&format!("guest-{number}")).unwrap();
        engine.caller(Identity::new(user, format!("guest_{number}"))).await.unwrap().join(&id).await.unwrap();
    }
    let mut watcher = TestClient::connect(&engine, "guest-0").await;
    alice.send(&room, "hi").await;
    watcher.expect_text("hi").await;
    let read = async |guest: u64, seq: u64| {
        let user = UserId::parse(&format!("guest-{guest}")).unwrap();
        let guest = engine.caller(Identity::new(user, "x")).await.unwrap();
        guest.mark_read(&id, Seq::new(seq)).await.unwrap()
    };
    read(1, 102).await;
    assert_eq!(watcher.expect("read_receipt").await["userId"], "guest-1");
    let mut late = TestClient::connect(&engine, "late").await;
    late.join(&room).await;
    watcher.expect("user_joined").await;
    assert_eq!(read(2, 102).await.unread, 0);
    watcher.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_told_in_direct_rooms_only() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    for _ in 0..3 {
        alice.event().await;
    }
    bob.ack(json!({"type": "mark_delivered", "roomId": room, "seq": 3})).await;
    alice.expect_silence().await;

    let ack = alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "hi"})).await;
    let direct = ack["roomId"].clone();
    alice.expect("new_dm").await;
    for _ in 0..2 {
        bob.ack(json!({"type": "mark_delivered", "roomId": direct, "seq": 7})).await;
    }
    let mut delivered = alice.event().await;
    assert!(delivered["deliveredAt"].take().is_string());
    let expected =
        json!({"type": "delivered", "roomId": direct, "userId": "bob", "seq": 1, "deliveredAt": null});
    assert_eq!(delivered, expected);
    alice.expect_silence().await;
    assert_eq!(mark_read(&mut bob, direct.as_str().unwrap(), 1).await, (json!(0), json!(0)));
    assert_eq!(alice.expect("read_receipt").await["seq"], 1);
}

#[tokio::test(start_paused = true)]
async fn whom_a_message_mentions_is_told_with_it_and_with_its_edits() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    let text = "@bob, @stranger and `@alice`: @room";
    let ack = alice.ack(json!({"type": "send_message", "roomId": room, "content": text})).await;
    let told = bob.expect("new_message").await;
    assert_eq!(told["message"]["mentions"], json!(["bob"]));
    assert_eq!(told["message"]["mentionsRoom"], true, "an owner may mention all");
    assert_eq!(own_rooms(&mut bob).await, [json!([["Lobby", "member", 1, 1, 3], text])]);
    let edit =
        json!({"type": "edit_message", "roomId": room, "messageId": ack["messageId"], "content": "@bob"});
    alice.ack(edit).await;
    let edited = bob.expect("message_edited").await;
    assert_eq!((&edited["mentions"], edited.get("mentionsRoom")), (&json!(["bob"]), None));
    alice.ack(json!({"type": "delete_message", "roomId": room, "messageId": ack["messageId"]})).await;
    bob.expect("message_deleted").await;
    assert_eq!(own_rooms(&mut bob).await, [json!([["Lobby", "member", 0, 0, 3], ""])]);
    let history = bob.ask(json!({"type": "fetch_history", "roomId": room})).await;
    assert_eq!(history["messages"][0]["mentions"], json!([]));

    bob.send(&room, "@room and @Alice").await;
    let told = bob.expect("new_message").await;
    let mentions = (&told["message"]["mentions"], told["message"].get("mentionsRoom"));
    assert_eq!(mentions, (&json!(["alice"]), None), "a member may not");
    assert_eq!(mark_read(&mut alice, &room, 6).await, (json!(1), json!(1)));
    assert_eq!(mark_read(&mut alice, &room, 7).await, (json!(0), json!(0)));
}
