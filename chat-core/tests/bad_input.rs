//! Whatever is sent costs an error or the connection, never the server, and stores nothing.

mod common;

use chat_core::{
    close::CloseReason, engine::Engine, limits::Limits, testing::TestClient, transport::FromPeer,
};
use common::{builder, engine, standing_clock};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn bad_texts_names_and_places_are_bad_requests_and_store_nothing() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let long = "x".repeat(5_001);
    for content in ["", "  \n ", "a\u{0}b", &long] {
        let send = json!({"type": "send_message", "roomId": room, "content": content});
        assert_eq!(alice.refused(send).await, "bad_request");
    }
    let message = json!({"type": "send_message", "roomId": room, "content": "x"});
    for (field, value) in [
        ("clientMessageId", json!("")),
        ("clientMessageId", json!("k".repeat(65))),
        ("messageType", json!("video")),
        ("attachments", json!([{"fileId": "f"}])),
        ("content", json!(7)),
        ("roomId", json!(null)),
    ] {
        let mut send = message.clone();
        send[field] = value;
        assert_eq!(alice.refused(send).await, "bad_request", "{field}");
    }
    for name in ["", " ", "a\nb", &"n".repeat(101)] {
        assert_eq!(alice.refused(json!({"type": "create_room", "name": name})).await, "bad_request");
    }
    let history = json!({"type": "fetch_history", "roomId": room, "before": 3, "after": 1});
    assert_eq!(alice.refused(history).await, "bad_request");
    let none = json!({"type": "fetch_history", "roomId": room, "limit": 0});
    assert_eq!(alice.refused(none).await, "bad_request");
    assert_eq!(alice.send(&room, "x").await, 3, "nothing was stored before");
}

#[tokio::test(start_paused = true)]
async fn a_bad_frame_costs_an_error_and_twenty_in_a_minute_the_connection() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    alice.say_raw(FromPeer::NotText).await;
    assert_eq!(alice.expect("error").await["code"], "bad_request");
    for i in 1..20 {
        alice.say_text(&"{".repeat(i)).await;
        assert_eq!(alice.expect("error").await["code"], "bad_request");
    }
    assert_eq!(alice.closed().await, Some(CloseReason::Abuse));
}

#[tokio::test(start_paused = true)]
async fn unknown_types_cost_nothing_but_their_answer() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    for _ in 0..50 {
        assert_eq!(alice.refused(json!({"type": "dance"})).await, "unknown_type");
    }
    assert_eq!(alice.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_an_id_is_answered_only_when_it_fails() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    alice.expect("room_updated").await;
    alice.expect("user_joined").await;
    alice.say(json!({"type": "send_message", "roomId": room, "content": "x"})).await;
    alice.expect_text("x").await;
    alice.say(json!({"type": "send_message", "roomId": room, "content": ""})).await;
    assert_eq!(alice.expect("error").await["code"], "bad_request");
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn messages_over_the_rate_are_refused_until_the_time_that_is_told() {
    let engine = builder().limits(Limits::default()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut phone = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for i in 0..10 {
        let client = if i % 2 == 0 { &mut alice } else { &mut phone };
        client.send(&room, "x").await;
    }
    let send = json!({"type": "send_message", "roomId": room, "content": "x"});
    let refusal = phone.ask(send).await;
    assert_eq!(refusal["code"], "rate_limited");
    let wait = refusal["retryAfterMs"].as_u64().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_commands_is_refused_and_then_closed_with_4429() {
    let engine = builder().limits(Limits::default()).clock(standing_clock()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    for _ in 0..49 {
        assert_eq!(alice.ask(json!({"type": "ping"})).await["type"], "pong");
    }
    for _ in 0..100 {
        assert_eq!(alice.refused(json!({"type": "ping"})).await, "rate_limited");
    }
    assert_eq!(alice.closed().await, Some(CloseReason::Flood));
}

#[tokio::test(start_paused = true)]
async fn frames_that_ask_for_nothing_count_as_a_flood_too() {
    for frame in [json!({"type": "dance"}), json!({"type": "pong"})] {
        let engine = builder().limits(Limits::default()).clock(standing_clock()).build().await.unwrap();
        let mut alice = TestClient::connect(&engine, "alice").await;
        for _ in 0..49 {
            alice.say(frame.clone()).await;
        }
        let flood = async {
            for _ in 0..100 {
                alice.say(frame.clone()).await;
                while alice.expect("error").await["code"] != "rate_limited" {}
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(1), flood).await.expect("they are refused");
        assert_eq!(alice.closed().await, Some(CloseReason::Flood), "{frame}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_over_the_rate_count_as_a_flood_too() {
    let limits = Limits { commands_per_second: 0, ..Limits::default() };
    let engine = builder().limits(limits).clock(standing_clock()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for _ in 0..10 {
        alice.send(&room, "x").await;
    }
    for _ in 0..100 {
        let send = json!({"type": "send_message", "roomId": room, "content": "x"});
        assert_eq!(alice.refused(send).await, "rate_limited");
    }
    // At once, though Alice is silent from here on.
    let closed = tokio::time::timeout(std::time::Duration::from_secs(1), alice.closed());
    assert_eq!(closed.await.expect("it is closed"), Some(CloseReason::Flood));
}

#[tokio::test(start_paused = true)]
async fn resuming_more_than_500_rooms_is_a_bad_request() {
    let engine: Engine = engine().await;
    let mut alice = TestClient::dial(&engine);
    let resume: Vec<_> = (0..501).map(|i| json!({"roomId": format!("r{i}"), "after": 0})).collect();
    let answer = alice.ask(json!({"type": "authenticate", "token": "alice", "resume": resume})).await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!("bad_request")));
}
