//! The session that `docs/protocol.md` shows is one that an engine has: it is replayed line by line.
//!
//! `UPDATE_DOCS=1` keeps what the clients say and writes anew what they are told.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "matrix/known.rs"]
mod known;
#[path = "transcript/names.rs"]
mod names;

use std::collections::BTreeMap;

use chat_core::{engine::Engine, testing::TestClient};
use names::Names;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/protocol.md");
const BEGIN: &str = "```session\n";

#[tokio::test(start_paused = true)]
async fn the_session_in_the_document_goes_exactly_as_it_is_told() {
    let start = DOCUMENT.find(BEGIN).expect("the document shows a session") + BEGIN.len();
    let end = start + DOCUMENT[start..].find("```").unwrap();
    let told = &DOCUMENT[start..end];
    let played = play(told).await;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
        std::fs::write(path, [&DOCUMENT[..start], &played, &DOCUMENT[end..]].concat()).unwrap();
        return;
    }
    for (number, (told, played)) in told.lines().zip(played.lines()).enumerate() {
        assert_eq!(told, played, "line {number} of the session");
    }
    assert_eq!(told.lines().count(), played.lines().count());
}

/// What the session leaves out: it takes a server that holds messages for review, and one that asks by frames.
const NOT_SAID: [&str; 3] = ["discard_held", "pong", "release_held"];

#[test]
fn the_document_tells_of_every_command_and_the_session_shows_it() {
    let (text, session) = DOCUMENT.split_once(BEGIN).expect("the document shows a session");
    for command in known::commands() {
        let told = [format!("`{command}`"), format!("{{\"type\":\"{command}\"}}")];
        assert!(told.iter().any(|told| text.contains(told)), "the document does not tell of {command}");
        let said = session.contains(&format!(" > {{\"type\":\"{command}\""));
        assert_eq!(said, !NOT_SAID.contains(&command.as_str()), "{command} in the session");
    }
}

/// The session of these clients: after each of their lines, all that each of them is told.
async fn play(told: &str) -> String {
    let engine = Engine::builder().authenticator(TestClient::authenticator).build().await.unwrap();
    let mut clients: BTreeMap<&str, TestClient> = BTreeMap::new();
    let (mut names, mut played) = (Names::default(), String::new());
    for line in told.lines().filter(|line| !line.contains(" < ")) {
        played += &format!("{line}\n");
        let Some((who, said)) = line.split_once(" > ") else { continue };
        let frame: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {line}"));
        if frame["type"] == "authenticate" {
            clients.insert(who, TestClient::dial(&engine).heeding_presence());
        }
        clients.get_mut(who).unwrap().say_text(&names.fill(said)).await;
        let others: Vec<_> = clients.keys().copied().filter(|other| *other != who).collect();
        for listener in std::iter::once(who).chain(others) {
            for heard in clients.get_mut(listener).unwrap().settle_raw().await {
                played += &format!("{listener} < {}\n", names.hide(&heard));
            }
        }
    }
    played
}
