//! A room with more followers than are woken at a time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    auth::Identity,
    domain::Draft,
    engine::{Engine, Event, Session},
    id::{RoomId, UserId},
    limits::WAKE_AT_ONCE,
    testing::TestClient,
};

/// A session of somebody who has just joined.
async fn joined(engine: &Engine, room: &RoomId, number: usize) -> Session {
    let name = format!("user_{number}");
    let session = engine.connect(Identity::new(UserId::parse(&name).unwrap(), name)).await.unwrap();
    session.caller().join(room).await.unwrap();
    session
}

/// The next message that a session is told.
async fn next_text(session: &mut Session) -> String {
    loop {
        if let Event::Entry(posted) = session.recv().await.unwrap()
            && let Some(message) = posted.entry().message()
        {
            return message.content.as_str().to_owned();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_large_room_is_told_everything_in_order() {
    let engine = common::engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = RoomId::parse(&alice.create_room("Lobby").await).unwrap();
    let mut sessions = Vec::new();
    for number in 0..3 * WAKE_AT_ONCE + 1 {
        sessions.push(joined(&engine, &room, number).await);
    }
    let texts = ["one", "two", "three"];
    // All follow, and sleep, when the first is sent; the others are sent while it is still being told.
    for text in texts {
        sessions[0].send(&room, Draft::text(text).unwrap()).await.unwrap();
    }
    for session in &mut sessions {
        for text in texts {
            assert_eq!(next_text(session).await, text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_last_is_told_by_the_waking_alone() {
    let engine = common::engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = RoomId::parse(&alice.create_room("Lobby").await).unwrap();
    let mut sessions = Vec::new();
    for number in 0..2 * WAKE_AT_ONCE {
        sessions.push(joined(&engine, &room, number).await);
    }
    let sender = sessions[0].caller().clone();
    // Each has asked for what comes next, and sleeps.
    let asking: Vec<_> = sessions
        .into_iter()
        .map(|mut session| tokio::spawn(async move { (next_text(&mut session).await, session) }))
        .collect();
    tokio::task::yield_now().await;
    sender.send(&room, Draft::text("wake up").unwrap()).await.unwrap();
    for asking in asking {
        assert_eq!(asking.await.unwrap().0, "wake up");
    }
}
