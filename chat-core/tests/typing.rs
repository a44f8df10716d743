//! Who types: told to the others of the room, never stored, and over by itself.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    auth::Identity,
    engine::Event,
    id::{RoomId, UserId},
    limits::Limits,
    testing::{Loss, ManualClock, TestClient},
    wire::Notice,
};
use common::{Nodes, builder, engine, no_rates, two_in_a_room, two_nodes};
use serde_json::json;
use tokio::time::{Instant, sleep};

async fn types(client: &mut TestClient, room: &str) {
    client.ack(json!({"type": "typing_start", "roomId": room})).await;
}

#[tokio::test(start_paused = true)]
async fn typing_is_told_to_the_others_and_not_to_oneself() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let mut tablet = TestClient::connect(&engine, "alice").await;
    types(&mut alice, &room).await;
    let expected = json!({"type": "user_typing", "roomId": room, "userId": "alice", "username": "alice"});
    assert_eq!(bob.event().await, expected);
    alice.ack(json!({"type": "typing_stop", "roomId": room})).await;
    let expected =
        json!({"type": "user_stopped_typing", "roomId": room, "userId": "alice", "username": "alice"});
    assert_eq!(bob.event().await, expected);
    alice.expect_silence().await;
    tablet.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn without_an_id_nothing_is_answered() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    alice.say(json!({"type": "typing_start", "roomId": room})).await;
    bob.expect("user_typing").await;
    alice.say(json!({"type": "typing_stop", "roomId": room})).await;
    bob.expect("user_stopped_typing").await;
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn typing_ends_five_seconds_after_the_last_start_and_every_start_is_told() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    types(&mut alice, &room).await;
    bob.expect("user_typing").await;
    sleep(Duration::from_secs(3)).await;
    types(&mut alice, &room).await;
    let last = Instant::now();
    bob.expect("user_typing").await;
    bob.expect("user_stopped_typing").await;
    assert_eq!(last.elapsed().as_secs(), 5);
    sleep(Duration::from_secs(20)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn sending_ends_typing_after_the_message() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    types(&mut alice, &room).await;
    bob.expect("user_typing").await;
    let begun = Instant::now();
    alice.send(&room, "hi").await;
    bob.expect_text("hi").await;
    bob.expect("user_stopped_typing").await;
    assert_eq!(begun.elapsed().as_secs(), 0);
    sleep(Duration::from_secs(10)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn leaving_ends_typing_and_the_last_thing_told_is_the_leaving() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    types(&mut bob, &room).await;
    alice.expect("user_typing").await;
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    alice.expect("user_left").await;
    alice.expect("user_stopped_typing").await;
    types(&mut alice, &room).await;
    bob.expect("user_left").await;
    sleep(Duration::from_secs(10)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_ends_what_was_typed_there_and_not_what_was_typed_elsewhere() {
    let engine = engine().await;
    let (alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let mut tablet = TestClient::connect(&engine, "alice").await;
    types(&mut tablet, &room).await;
    bob.expect("user_typing").await;
    let begun = Instant::now();
    drop(alice);
    sleep(Duration::from_secs(1)).await;
    bob.expect_silence().await;
    drop(tablet);
    bob.expect("user_stopped_typing").await;
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_send_may_not_type_and_a_private_room_is_as_one_that_is_not_there() {
    let engine = engine().await;
    let (mut alice, _bob, room) = two_in_a_room(&engine, &engine).await;
    let private = alice.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await;
    let private = private["room"]["id"].as_str().unwrap().to_owned();
    let mut carol = TestClient::connect(&engine, "carol").await;
    for kind in ["typing_start", "typing_stop"] {
        let code = carol.refused(json!({"type": kind, "roomId": room})).await;
        assert_eq!(code, "forbidden");
        let mut answers = Vec::new();
        for place in [private.as_str(), "nowhere", "no room's id"] {
            let mut answer = carol.ask(json!({"type": kind, "roomId": place})).await;
            answer.as_object_mut().unwrap().remove("id");
            answers.push(answer.to_string());
        }
        assert!(answers[0].contains("not_found"));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    carol.say(json!({"type": "typing_start", "roomId": room})).await;
    assert_eq!(carol.expect("error").await["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn who_is_muted_may_not_type() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    alice.ack(json!({"type": "mute", "roomId": room, "userId": "bob"})).await;
    bob.expect("member_updated").await;
    assert_eq!(bob.refused(json!({"type": "typing_start", "roomId": room})).await, "forbidden");
    alice.expect("member_updated").await;
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_blocked_may_not_type_in_the_direct_room() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let ack = alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "hi"})).await;
    let room = ack["roomId"].as_str().unwrap().to_owned();
    for client in [&mut alice, &mut bob] {
        client.expect("new_dm").await;
    }
    types(&mut alice, &room).await;
    bob.expect("user_typing").await;
    bob.ack(json!({"type": "block_user", "userId": "alice"})).await;
    assert_eq!(alice.refused(json!({"type": "typing_start", "roomId": room})).await, "forbidden");
    bob.expect("user_stopped_typing").await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_kicked_types_no_more_and_is_told_nothing_more() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    types(&mut bob, &room).await;
    alice.expect("user_typing").await;
    alice.ack(json!({"type": "kick", "roomId": room, "userId": "bob"})).await;
    types(&mut alice, &room).await;
    alice.expect("user_left").await;
    alice.expect("user_stopped_typing").await;
    bob.expect("user_left").await;
    sleep(Duration::from_secs(10)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn one_start_a_second_and_room_is_let_through() {
    let clock = Arc::new(ManualClock::at_millis(0));
    let limits = Limits { typing_per_second: 1, ..no_rates() };
    let engine = builder().limits(limits).clock(clock.clone()).build().await.unwrap();
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let other = alice.create_room("Attic").await;
    types(&mut alice, &room).await;
    types(&mut alice, &other).await;
    types(&mut bob, &room).await;
    let refused = alice.ask(json!({"type": "typing_start", "roomId": room})).await;
    assert_eq!((&refused["code"], &refused["retryAfterMs"]), (&json!("rate_limited"), &json!(1_000)));
    clock.advance_millis(1_000);
    types(&mut alice, &room).await;
}

#[tokio::test(start_paused = true)]
async fn typing_crosses_nodes_and_ends_there_with_a_message_from_another() {
    let Nodes { a: here, b: there, .. } = two_nodes(Loss::NONE).await;
    let (mut alice, _, room) = two_in_a_room(&here, &here).await;
    let mut bob = TestClient::connect(&there, "bob").await;
    let mut elsewhere = TestClient::connect(&there, "alice").await;
    types(&mut alice, &room).await;
    bob.expect("user_typing").await;
    elsewhere.send(&room, "hi").await;
    bob.expect_text("hi").await;
    bob.expect("user_stopped_typing").await;
    elsewhere.expect_text("hi").await;
    elsewhere.expect_silence().await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_in_process_types_and_is_told() {
    let engine = engine().await;
    let connect =
        async |name: &str| engine.connect(Identity::new(UserId::parse(name).unwrap(), name)).await.unwrap();
    let (alice, mut bob) = (connect("alice").await, connect("bob").await);
    let room = RoomId::parse("lobby").unwrap();
    let spec = chat_core::domain::RoomSpec::public("Lobby").unwrap();
    alice.caller().create_room_as(room.clone(), spec).await.unwrap();
    bob.caller().join(&room).await.unwrap();
    assert!(matches!(bob.recv().await, Some(Event::Entry(_))), "his own joining");
    alice.caller().start_typing(&room).await.unwrap();
    let notice = loop {
        if let Event::Notice(notice) = bob.recv().await.unwrap() {
            break notice;
        }
    };
    let name = alice.caller().username().clone();
    assert_eq!(notice, Notice::UserTyping(room.clone(), alice.caller().user().clone(), name));
    let without = engine.caller(Identity::new(UserId::parse("alice").unwrap(), "alice")).await.unwrap();
    let error = without.start_typing(&room).await.unwrap_err();
    assert_eq!(error.code().as_str(), "bad_request");
}
