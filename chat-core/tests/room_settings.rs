//! Changing a room: its name, its pace, who may see it, and whether anything goes on there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    store::Maintenance,
    testing::{Loss, TestClient},
};
use common::{Nodes, engine, engine_and_store, standing_clock, two_nodes_of};
use serde_json::{Value, json};

fn update(room: &str, mut fields: Value) -> Value {
    fields["type"] = json!("update_room");
    fields["roomId"] = json!(room);
    fields
}

fn send(room: &str, text: &str) -> Value {
    json!({"type": "send_message", "roomId": room, "content": text})
}

#[tokio::test(start_paused = true)]
async fn everybody_sees_a_change_and_a_repeat_changes_nothing() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    let all = json!({
        "name": "Garden", "description": "of delights", "slowModeSeconds": 5, "history": "since_join",
        "archived": false,
    });
    let ack = alice.ack(update(&room, all.clone())).await;
    let event = bob.event().await;
    assert_eq!((&event["type"], &event["seq"]), (&json!("room_updated"), &json!(4)));
    assert_eq!(event["room"], ack["room"]);
    let fields = all.as_object().unwrap();
    assert!(fields.iter().all(|(name, value)| ack["room"][name] == *value), "{ack}");
    assert_eq!(ack["room"]["lastSeq"], 4);
    assert_eq!(alice.ack(update(&room, all)).await["room"]["lastSeq"], 4);
    for (field, bad) in [
        ("name", json!("")),
        ("name", json!(7)),
        ("slowModeSeconds", json!(21_601)),
        ("slowModeSeconds", json!(5_000_000_000_u64)),
        ("history", json!("some")),
        ("archived", json!("yes")),
    ] {
        assert_eq!(alice.refused(update(&room, json!({field: bad}))).await, "bad_request", "{field} {bad}");
    }
    assert_eq!(bob.refused(update(&room, json!({"name": "Mine"}))).await, "forbidden");
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "admin"})).await;
    bob.ack(update(&room, json!({"name": "Ours"}))).await;
    let audit = alice.ask(json!({"type": "fetch_audit", "roomId": room})).await;
    assert_eq!(audit["items"][0]["details"], json!({"name": "Ours"}));
    assert_eq!(audit["items"][2]["details"]["slowModeSeconds"], "5");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_name_is_freed_by_renaming_and_by_becoming_private_and_taken_by_becoming_public() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let one = alice.create_room("One").await;
    let two = alice.create_room("Two").await;
    assert_eq!(alice.refused(update(&one, json!({"name": "TWO"}))).await, "conflict");
    alice.ack(update(&one, json!({"name": "ONE"}))).await;
    alice.ack(update(&one, json!({"name": "Three"}))).await;
    alice.ack(update(&two, json!({"name": "One"}))).await;
    assert_eq!(alice.refused(json!({"type": "create_room", "name": "three"})).await, "conflict");
    alice.ack(update(&one, json!({"private": true}))).await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let third = bob.create_room("Three").await;
    assert_eq!(alice.refused(update(&one, json!({"private": false}))).await, "conflict");
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": one})).await, "not_found");
    bob.ack(update(&third, json!({"name": "Elsewhere"}))).await;
    alice.ack(update(&one, json!({"private": false}))).await;
    bob.join(&one).await;
    let listed = bob.ask(json!({"type": "list_rooms"})).await;
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|room| &room["name"]).collect();
    assert_eq!(names, ["Elsewhere", "One", "Three"]);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn of_two_rooms_that_take_one_name_at_once_one_gets_it() {
    let (engine, store) = engine_and_store().await;
    let mut clients = Vec::new();
    for number in 0..8 {
        let mut client = TestClient::connect(&engine, &format!("user{number}")).await;
        let room = client.create_room(&format!("Room {number}")).await;
        clients.push((client, room));
    }
    let mut asked = Vec::new();
    for (client, room) in &mut clients {
        asked.push(client.start(update(room, json!({"name": "Prize"}))).await);
    }
    let mut won = 0;
    for ((client, _), id) in clients.iter_mut().zip(asked) {
        let answer = client.answer(id).await;
        assert!(answer["type"] == "ack" || answer["code"] == "conflict", "{answer}");
        won += usize::from(answer["type"] == "ack");
    }
    assert_eq!(won, 1);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_archived_room_is_read_and_not_written() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut keyed = send(&room, "before");
    keyed["clientMessageId"] = json!("k");
    alice.ack(keyed.clone()).await;
    alice.ack(update(&room, json!({"archived": true}))).await;
    assert_eq!(alice.refused(send(&room, "x")).await, "forbidden");
    assert_eq!(alice.ack(keyed).await["duplicate"], true);
    let mut bob = TestClient::connect(&engine, "bob").await;
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": room})).await, "forbidden");
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    assert_eq!(history["messages"][0]["content"], "before");
    alice.ack(update(&room, json!({"archived": false}))).await;
    bob.join(&room).await;
    bob.send(&room, "again").await;
}

#[tokio::test(start_paused = true)]
async fn slow_mode_keeps_each_member_to_its_pace_exactly_and_moderators_not() {
    let clock = standing_clock();
    let Nodes { a, b, .. } = two_nodes_of(Loss::NONE, |builder| builder.clock(clock.clone())).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&a, "bob").await;
    let mut carol = TestClient::connect(&b, "carol").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    carol.join(&room).await;
    bob.send(&room, "before").await;
    alice.ack(update(&room, json!({"slowModeSeconds": 10}))).await;
    clock.advance_millis(4_000);
    let refused = bob.ask(send(&room, "too soon")).await;
    assert_eq!((&refused["code"], &refused["retryAfterMs"]), (&json!("rate_limited"), &json!(6_000)));
    carol.send(&room, "others wait for themselves alone").await;
    let mut elsewhere = TestClient::connect(&b, "bob").await;
    clock.advance_millis(5_999);
    assert_eq!(elsewhere.ask(send(&room, "too soon")).await["retryAfterMs"], 1);
    clock.advance_millis(1);
    let mut keyed = send(&room, "in time");
    keyed["clientMessageId"] = json!("k");
    elsewhere.ack(keyed.clone()).await;
    assert_eq!(bob.ask(send(&room, "too soon")).await["retryAfterMs"], 10_000);
    assert_eq!(bob.ack(keyed).await["duplicate"], true, "a repeat is no message");
    for text in ["one", "two"] {
        alice.send(&room, text).await;
    }
    // Of many sends at once, one is in time.
    clock.advance_millis(10_000);
    let ids = [bob.start(send(&room, "a")).await, bob.start(send(&room, "b")).await];
    assert_eq!(bob.answer(ids[0]).await["type"], "ack");
    assert_eq!(bob.answer(ids[1]).await["code"], "rate_limited");
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "moderator"})).await;
    bob.send(&room, "moderators do not wait").await;
    alice.ack(update(&room, json!({"slowModeSeconds": 0}))).await;
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "member"})).await;
    bob.send(&room, "nobody waits").await;
}

#[tokio::test(start_paused = true)]
async fn slow_mode_holds_for_what_waits_right_behind_it() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    let slow = alice.start(update(&room, json!({"slowModeSeconds": 60}))).await;
    let ids = [bob.start(send(&room, "a")).await, bob.start(send(&room, "b")).await];
    alice.answer(slow).await;
    assert_eq!(bob.answer(ids[0]).await["type"], "ack");
    assert_eq!(bob.answer(ids[1]).await["code"], "rate_limited");
}
