//! The first frame, tokens, heartbeats, and how a connection ends.

mod common;

use std::time::Duration;

use chat_core::{
    auth::{AuthError, Hello, Identity},
    close::CloseReason,
    limits::Limits,
    testing::TestClient,
    transport::{FromPeer, ToPeer},
};
use common::{builder, engine, no_rates};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn authenticating_tells_who_one_is_and_what_the_limits_are() {
    let engine = engine().await;
    let mut alice = TestClient::dial(&engine);
    let mut answer = alice.ask(json!({"type": "authenticate", "token": "alice"})).await;
    for volatile in ["sessionId", "serverTime"] {
        assert!(answer[volatile].is_string());
        answer.as_object_mut().unwrap().remove(volatile);
    }
    let expected = json!({"type": "authenticated", "id": 1, "userId": "alice", "username": "alice",
    "epoch": engine.store().epoch(), "heartbeatMs": 25_000, "limits": {
        "messagesPerMinute": 0, "messageBurst": 10, "commandsPerSecond": 0, "typingPerSecond": 0,
        "commandsInFlight": 32,
        "frameBytes": 65_536, "contentChars": 5_000, "resumeEntries": 1_000,
    }});
    assert_eq!(answer, expected);
}

#[tokio::test(start_paused = true)]
async fn the_token_of_the_handshake_will_do() {
    let engine = engine().await;
    let mut alice = TestClient::dial_with(&engine, "alice");
    let answer = alice.ask(json!({"type": "authenticate"})).await;
    assert_eq!(answer["userId"], "alice");
}

#[tokio::test(start_paused = true)]
async fn any_other_first_frame_is_unauthenticated() {
    let engine = engine().await;
    let mut stranger = TestClient::dial(&engine);
    for kind in ["ping", "create_room", "no_such_type"] {
        let code = stranger.refused(json!({"type": kind, "name": "x"})).await;
        assert_eq!(code, "unauthenticated", "{kind}");
    }
    stranger.ask(json!({"type": "authenticate", "token": "alice"})).await;
    assert_eq!(stranger.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_told_and_closes_with_4401() {
    let engine = engine().await;
    for (token, code) in [("no id!", "invalid_token"), ("expired", "token_expired")] {
        let mut stranger = TestClient::dial(&engine);
        let answer = stranger.ask(json!({"type": "authenticate", "token": token})).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!(code)));
        assert_eq!(stranger.closed().await, Some(CloseReason::Unauthenticated));
    }
    let mut stranger = TestClient::dial(&engine);
    assert_eq!(stranger.ask(json!({"type": "authenticate"})).await["code"], "unauthenticated");
}

/// Fails as the token says.
async fn failing(hello: Hello) -> Result<Identity, AuthError> {
    let token = hello.token.as_ref().ok_or(AuthError::Missing)?;
    Err(match token.expose() {
        "invalid" => AuthError::Invalid,
        "expired" => AuthError::Expired,
        "hasty" => AuthError::RateLimited,
        "erased" => AuthError::Erased,
        "unlucky" => AuthError::Unavailable,
        _ => return TestClient::authenticator(hello).await,
    })
}

#[tokio::test(start_paused = true)]
async fn each_refusal_closes_with_the_code_that_the_protocol_pairs_with_it() {
    let engine = builder().authenticator(failing).build().await.unwrap();
    let rooms: Vec<_> = (0..501).map(|number| json!({"roomId": format!("r-{number}"), "after": 0})).collect();
    for (fields, code, close) in [
        (json!({}), "unauthenticated", 4401),
        (json!({"token": "invalid"}), "invalid_token", 4401),
        (json!({"token": "expired"}), "token_expired", 4401),
        (json!({"token": "erased"}), "forbidden", 4403),
        (json!({"token": "alice", "resume": rooms}), "bad_request", 4400),
        (json!({"token": "hasty"}), "rate_limited", 4429),
        (json!({"token": "unlucky"}), "unavailable", 4408),
    ] {
        let mut stranger = TestClient::dial(&engine);
        let mut frame = fields;
        frame["type"] = "authenticate".into();
        let answer = stranger.ask(frame).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!(code)));
        assert_eq!(stranger.closed().await.map(CloseReason::code), Some(close), "{code}");
    }
    let mut clumsy = TestClient::dial(&engine);
    assert_eq!(clumsy.refused(json!({"type": "authenticate", "token": 7})).await, "bad_request");
    assert_eq!(clumsy.ask(json!({"type": "authenticate", "token": "alice"})).await["userId"], "alice");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_authenticate_is_closed_after_ten_seconds() {
    let engine = engine().await;
    let began = tokio::time::Instant::now();
    let mut stranger = TestClient::dial(&engine);
    assert_eq!(stranger.closed().await, Some(CloseReason::TimedOut));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_token_runs_out_is_closed_with_4401() {
    use chat_core::{
        auth::{AuthError, Hello, Identity},
        testing::ManualClock,
        time::Timestamp,
    };
    use std::sync::Arc;
    let clock = Arc::new(ManualClock::at_millis(0));
    let authenticator = |hello: Hello| async move {
        let identity = TestClient::authenticator(hello).await?;
        Ok::<_, AuthError>(Identity { expires_at: Some(Timestamp::from_millis(5_000)), ..identity })
    };
    let engine = builder().authenticator(authenticator).clock(clock.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    clock.advance_millis(5_000);
    assert_eq!(alice.closed().await, Some(CloseReason::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_user_has_a_bounded_number_of_connections() {
    let engine = builder().limits(Limits { connections_per_user: 2, ..no_rates() }).build().await.unwrap();
    let first = TestClient::connect(&engine, "alice").await;
    let _second = TestClient::connect(&engine, "alice").await;
    let mut third = TestClient::dial(&engine);
    let answer = third.ask(json!({"type": "authenticate", "token": "alice"})).await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!("rate_limited")));
    assert_eq!(third.closed().await, Some(CloseReason::Flood));
    drop((first, third));
    while engine.connections() > 1 {
        tokio::task::yield_now().await;
    }
    TestClient::connect(&engine, "alice").await;
}

#[tokio::test(start_paused = true)]
async fn pings_come_every_25_seconds_and_silence_closes_after_45() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let began = tokio::time::Instant::now();
    assert_eq!(alice.raw().await, Some(ToPeer::Ping));
    assert_eq!(began.elapsed().as_secs(), 25);
    alice.say_raw(FromPeer::Pong).await;
    assert_eq!(alice.raw().await, Some(ToPeer::Ping));
    assert_eq!(alice.raw().await, Some(ToPeer::Close(CloseReason::TimedOut)));
    assert_eq!(began.elapsed().as_secs(), 25 + 45);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sees_no_control_frames_may_ask_for_ping_frames() {
    let engine = engine().await;
    let mut alice = TestClient::connect_with(&engine, "alice", json!({"heartbeat": "message"})).await;
    for _ in 0..5 {
        assert_eq!(alice.event().await, json!({"type": "ping"}));
        alice.say(json!({"type": "pong"})).await;
    }
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn draining_answers_what_is_pending_says_goodbye_and_closes_with_1001() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut stranger = TestClient::dial(&engine);
    let room = alice.create_room("Lobby").await;
    let send = alice.start(json!({"type": "send_message", "roomId": room, "content": "last words"})).await;
    tokio::task::yield_now().await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(10)).await }
    });
    let answer = alice.answer(send).await;
    assert!(answer["type"] == "ack" || answer["code"] == "unavailable", "{answer}");
    while alice.event().await != json!({"type": "server_draining", "reconnectAfterMs": 1_000}) {}
    assert_eq!(alice.closed().await, Some(CloseReason::Draining));
    assert_eq!(stranger.closed().await, Some(CloseReason::Draining));
    drop((alice, stranger));
    shutdown.await.unwrap().unwrap();
    assert_eq!(engine.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_is_let_go_when_draining() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut stalled = TestClient::connect(&engine, "bob").await;
    stalled.join(&room).await;
    for _ in 0..100 {
        alice.send(&room, "x").await;
    }
    drop(alice);
    let began = tokio::time::Instant::now();
    engine.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!((engine.connections(), began.elapsed().as_secs()), (0, 2));
}
