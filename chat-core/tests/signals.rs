//! Signals: told to who is there, the newest of a topic, and never to who may not know.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use chat_core::{
    bus::{Audience, Bus, Hint},
    domain::Username,
    engine::Engine,
    id::{NodeId, RoomId, Seq, UserId},
    testing::{Loss, TestClient},
    wire::Notice,
};
use common::{Nodes, engine, two_nodes};
use serde_json::json;
use tokio::time::sleep;

/// Alice and others in one room, all caught up; the room and they.
async fn room_of(engine: &Engine, names: &[&str]) -> (String, Vec<TestClient>) {
    let mut alice = TestClient::connect(engine, names[0]).await;
    let room = alice.create_room("Lobby").await;
    let mut all = vec![alice];
    for name in &names[1..] {
        let mut other = TestClient::connect(engine, name).await;
        other.join(&room).await;
        all.push(other);
    }
    for (joined, client) in all.iter_mut().enumerate() {
        let own = usize::from(joined == 0) * 2 + names.len() - joined - usize::from(joined == 0);
        for _ in 0..own {
            client.event().await;
        }
        client.expect_silence().await;
    }
    (room, all)
}

async fn types(client: &mut TestClient, room: &str, start: bool) {
    let kind = if start { "typing_start" } else { "typing_stop" };
    client.ack(json!({"type": kind, "roomId": room})).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_was_slow_gets_the_newest_of_each_topic_after_the_entries() {
    let engine = engine().await;
    let (room, mut all) = room_of(&engine, &["alice", "bob"]).await;
    // Bob does not read: what the link does not hold waits for him.
    for number in 0..200 {
        types(&mut all[0], &room, true).await;
        all[0].send(&room, &number.to_string()).await;
    }
    types(&mut all[0], &room, true).await;
    let bob = &mut all[1];
    let (mut messages, mut typing) = (Vec::new(), Vec::new());
    loop {
        let event = bob.event().await;
        match event["type"].as_str().unwrap() {
            "new_message" => messages.push(event["message"]["seq"].as_u64().unwrap()),
            kind => typing.push((messages.len(), kind.to_owned())),
        }
        if messages.len() == 200 && typing.last().is_some_and(|(after, _)| *after == 200) {
            break;
        }
    }
    assert!(messages.iter().copied().eq(4..204));
    assert!(typing.len() < 40, "conflated: {}", typing.len());
    assert_eq!(typing.last().unwrap().1, "user_typing");
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn who_has_left_is_told_nothing_after_their_own_leaving_however_slow_they_are() {
    let engine = engine().await;
    let (room, mut all) = room_of(&engine, &["alice", "bob"]).await;
    for number in 0..100 {
        all[0].send(&room, &number.to_string()).await;
    }
    let elsewhere = chat_core::auth::Identity::new(UserId::parse("bob").unwrap(), "bob");
    let elsewhere = engine.caller(elsewhere).await.unwrap();
    elsewhere.leave(&RoomId::parse(&room).unwrap()).await.unwrap();
    types(&mut all[0], &room, true).await;
    types(&mut all[0], &room, false).await;
    let bob = &mut all[1];
    loop {
        let event = bob.event().await;
        if event["type"] == "user_left" {
            break;
        }
        assert_eq!(event["type"], "new_message");
    }
    sleep(Duration::from_secs(1)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_follow_the_room_is_told_nothing_of_it() {
    let engine = engine().await;
    let (room, mut all) = room_of(&engine, &["alice", "bob"]).await;
    all[1].ack(json!({"type": "unsubscribe", "roomId": room})).await;
    types(&mut all[0], &room, true).await;
    sleep(Duration::from_secs(10)).await;
    all[1].expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_private_room_reaches_who_is_not_in_it() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut stranger = TestClient::connect(&engine, "stranger").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await;
    let room = ack["room"]["id"].as_str().unwrap().to_owned();
    types(&mut alice, &room, true).await;
    alice.send(&room, "hi").await;
    types(&mut alice, &room, true).await;
    drop(alice);
    sleep(Duration::from_secs(20)).await;
    stranger.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_overtakes_a_leaving_on_its_way_to_another_node_is_not_told() {
    let Nodes { a: here, b: there, bus, .. } = two_nodes(Loss::NONE).await;
    let (room, mut all) = room_of(&here, &["alice", "bob"]).await;
    let mut bob = TestClient::connect(&there, "bob").await;
    bus.set(Loss::TOTAL);
    all[1].ack(json!({"type": "leave_room", "roomId": room})).await;
    bus.set(Loss::NONE);
    types(&mut all[0], &room, true).await;
    bob.expect("user_left").await;
    sleep(Duration::from_secs(10)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn signals_that_the_bus_loses_are_lost_and_nothing_else_is() {
    let Nodes { a: here, b: there, bus, .. } = two_nodes(Loss::NONE).await;
    let (room, mut all) = room_of(&here, &["alice", "bob"]).await;
    let mut bob = TestClient::connect(&there, "bob").await;
    bus.set(Loss::TOTAL);
    types(&mut all[0], &room, true).await;
    bus.set(Loss::NONE);
    all[0].send(&room, "hi").await;
    bob.expect_text("hi").await;
    bob.expect("user_stopped_typing").await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_to_users_reaches_their_sessions_on_every_node() {
    let Nodes { a: here, b: there, bus, .. } = two_nodes(Loss::NONE).await;
    let mut first = TestClient::connect(&here, "bob").await;
    let mut second = TestClient::connect(&there, "bob").await;
    let mut other = TestClient::connect(&there, "carol").await;
    let (room, alice) = (RoomId::parse("r").unwrap(), UserId::parse("alice").unwrap());
    let hint = Hint::Signal {
        from: NodeId::parse("a-third-node").unwrap(),
        to: Audience::Users(vec![UserId::parse("bob").unwrap()]),
        notice: Notice::UserTyping(room.clone(), alice.clone(), Username::parse("alice").unwrap()),
    };
    bus.publish(hint).await;
    first.expect("user_typing").await;
    second.expect("user_typing").await;
    // One for a room that nobody here follows is nobody's concern.
    let to = Audience::Room { room: room.clone(), at: Seq::new(1), except: None };
    let notice = Notice::UserTyping(room, alice, Username::parse("alice").unwrap());
    bus.publish(Hint::Signal { from: NodeId::parse("a-third-node").unwrap(), to, notice }).await;
    for client in [&mut first, &mut second, &mut other] {
        client.expect_silence().await;
    }
}
