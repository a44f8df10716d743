//! A reader that stalls holds up nobody, misses nothing and costs next to nothing.

mod common;

use std::time::Duration;

use chat_core::testing::TestClient;
use common::engine;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_holds_up_nobody_and_then_gets_everything_in_order() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut stalled = TestClient::connect(&engine, "bob").await;
    stalled.join(&room).await;
    for i in 0..1_000 {
        alice.send(&room, &i.to_string()).await;
    }
    assert_eq!(stalled.expect("user_joined").await["seq"], 3);
    for i in 0..1_000 {
        assert_eq!(stalled.expect_text(&i.to_string()).await, 4 + i);
    }
    stalled.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_room_does_not_starve_a_quiet_one() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let busy = alice.create_room("Busy").await;
    let quiet = alice.create_room("Quiet").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&busy).await;
    bob.join(&quiet).await;
    for i in 0..600 {
        alice.send(&busy, &i.to_string()).await;
    }
    alice.send(&quiet, "me too").await;
    let mut before = 0;
    while bob.event().await["message"]["content"] != "me too" {
        before += 1;
    }
    assert!(before < 450, "{before} entries of the busy room came first");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_for_45_seconds_is_closed() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let stalled = TestClient::connect(&engine, "bob").await;
    let caller = chat_core::auth::Identity::new(chat_core::id::UserId::parse("bob").unwrap(), "bob");
    let caller = engine.caller(caller).await.unwrap();
    caller.join(&chat_core::id::RoomId::parse(&room).unwrap()).await.unwrap();
    for _ in 0..100 {
        alice.send(&room, "x").await;
    }
    let user = chat_core::id::UserId::parse("bob").unwrap();
    assert!(engine.has_session(&user));
    // Alice answers pings meanwhile, as a living client does.
    for _ in 0..12 {
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        alice.ask(json!({"type": "ping"})).await;
    }
    assert!(!engine.has_session(&user));
    drop(stalled);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_that_asks_on_is_not_read_from_without_bound() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut stalled = TestClient::connect(&engine, "bob").await;
    stalled.join(&room).await;
    // More than the link holds, so that what comes of the rest waits in the server.
    for _ in 0..30 {
        alice.send(&room, "x").await;
    }
    let mut asked = 0;
    let ask = async {
        for _ in 0..1_000 {
            stalled.say(json!({"type": "unsubscribe", "roomId": room})).await;
            stalled.say(json!({"type": "subscribe", "roomId": room, "after": 1_000_000})).await;
            asked += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), ask).await.expect_err("at a bound reading pauses");
    assert!(asked <= 100, "{asked}");
    // Reading on, it gets an answer to all that was taken.
    let told = stalled.settle().await;
    let resyncs = told.iter().filter(|event| event["type"] == "resync_required").count();
    assert!((asked..=asked + 1).contains(&resyncs), "{resyncs} of {asked}");
    assert_eq!(stalled.ask(json!({"type": "ping"})).await["type"], "pong");
}
