//! What users say of themselves, and keeping somebody out.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    auth::{AuthError, Identity},
    close::CloseReason,
    domain::{DisplayName, Rejection, Status, StatusText, Username},
    engine::Error,
    id::{RoomId, UserId},
    store::ProfileChange,
    testing::TestClient,
};
use common::engine;
use serde_json::json;

fn identity(user: &str) -> Identity {
    Identity::new(UserId::parse(user).unwrap(), user)
}

fn renamed(name: &str) -> ProfileChange {
    ProfileChange { username: Some(Username::parse(name).unwrap()), ..ProfileChange::default() }
}

#[tokio::test(start_paused = true)]
async fn another_name_is_shown_on_messages_that_stand_already() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("tea").await;
    bob.join(&room).await;
    alice.send(&room, "hello").await;
    let author = |page: &serde_json::Value| page["messages"][0]["username"].clone();
    let fetch = json!({"type": "fetch_history", "roomId": room});
    assert_eq!(author(&bob.ask(fetch.clone()).await), "alice");
    let caller = engine.caller(identity("alice")).await.unwrap();
    caller.update_profile(renamed("alicia"), None).await.unwrap();
    assert_eq!(author(&bob.ask(fetch).await), "alicia");
    // The name that is free again is anybody's.
    let carol = engine.caller(identity("carol")).await.unwrap();
    carol.update_profile(renamed("ALICE"), None).await.unwrap();
    let taken = caller.update_profile(renamed("alice"), None).await;
    assert_eq!(taken, Err(Error::Rejected(Rejection::Conflict("the username is taken"))));
}

#[tokio::test(start_paused = true)]
async fn a_status_text_is_said_without_a_session_and_kept() {
    let engine = engine().await;
    let caller = engine.caller(identity("alice")).await.unwrap();
    let text = StatusText::parse("out for lunch").unwrap();
    caller.update_profile(ProfileChange::default(), Some(text.clone())).await.unwrap();
    let (_, presence) = caller.profile().await.unwrap();
    assert_eq!((presence.status, presence.text), (Status::Offline, text.clone()));
    // Once there, others see it.
    let _alice = TestClient::connect(&engine, "alice").await;
    let bob = engine.caller(identity("bob")).await.unwrap();
    let mut hall = TestClient::connect(&engine, "bob").await;
    let room = hall.create_room("hall").await;
    let (_, stranger) = bob.other(&UserId::parse("alice").unwrap()).await.unwrap();
    assert_eq!(stranger.status, Status::Offline, "who shares no room is told nothing");
    engine.caller(identity("alice")).await.unwrap().join(&RoomId::parse(&room).unwrap()).await.unwrap();
    let (_, seen) = bob.other(&UserId::parse("alice").unwrap()).await.unwrap();
    assert_eq!((seen.status, seen.text), (Status::Online, text));
}

#[tokio::test(start_paused = true)]
async fn who_is_kept_out_is_disconnected_and_comes_in_nowhere_until_let_in_again() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let user = UserId::parse("alice").unwrap();
    engine.set_disabled(&user, true).await.unwrap();
    assert_eq!(alice.closed().await, Some(CloseReason::Banned));
    assert!(matches!(engine.caller(identity("alice")).await, Err(Error::Auth(AuthError::Disabled))));
    assert!(matches!(engine.connect(identity("alice")).await, Err(Error::Auth(AuthError::Disabled))));
    let mut found = engine.caller(identity("bob")).await.unwrap().find_users("ali", None).await.unwrap();
    assert_eq!(found.items.pop(), None);
    engine.set_disabled(&user, false).await.unwrap();
    TestClient::connect(&engine, "alice").await.create_room("again").await;
    let unknown = UserId::parse("unknown").unwrap();
    assert_eq!(engine.set_disabled(&unknown, true).await, Err(Rejection::NO_USER.into()));
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_their_names_and_others_see_no_more_than_they_may() {
    let engine = engine().await;
    for user in ["anna", "annex", "bob"] {
        engine.caller(identity(user)).await.unwrap();
    }
    let bob = engine.caller(identity("bob")).await.unwrap();
    let display_name = Some(Some(DisplayName::parse("Anna K.").unwrap()));
    let change = ProfileChange { display_name, ..ProfileChange::default() };
    engine.caller(identity("anna")).await.unwrap().update_profile(change, None).await.unwrap();
    let page = bob.find_users("ANN", None).await.unwrap();
    let shown: Vec<_> = page
        .items
        .iter()
        .map(|(profile, presence)| {
            let name = profile.display_name.as_ref().map(DisplayName::as_str);
            (profile.username.as_str(), name, presence.status)
        })
        .collect();
    assert_eq!(shown, [("anna", Some("Anna K."), Status::Offline), ("annex", None, Status::Offline)]);
}

#[test]
fn a_display_name_cannot_hide_turn_around_or_pile_up() {
    for good in ["A", "Ann \u{1f469}\u{fe0f}", "Zoë O'Neill", "محمد", "ไม่มี", &"x".repeat(50)]
    {
        assert!(DisplayName::parse(good).is_ok(), "{good:?}");
    }
    let piled = format!("a{}", "\u{316}".repeat(5));
    let bad =
        ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{3164}", "a\u{e0041}", &piled, &"x".repeat(51)];
    for bad in bad {
        assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(DisplayName::parse("  Ann  ").unwrap().as_str(), "Ann");
}
