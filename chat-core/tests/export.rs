//! Handing out everything that is a user's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::Draft,
    engine::{Engine, Error},
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    testing::TestClient,
};
use common::builder;
use serde_json::{Value, json};

/// Holds what has "maybe" in it.
struct Careful;

#[async_trait::async_trait]
impl Hooks for Careful {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        if draft.content.as_str().contains("maybe") { Verdict::Hold } else { Verdict::Allow }
    }
}

async fn export(engine: &Engine, user: &str) -> Vec<Value> {
    let mut export = engine.export_user(&UserId::parse(user).unwrap()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = export.next().await.unwrap() {
        assert!(!line.contains('\n'));
        lines.push(serde_json::from_str(&line).unwrap());
    }
    assert_eq!(export.next().await.unwrap(), None);
    lines
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[tokio::test]
async fn everything_of_a_user_is_exported_and_nothing_of_others() {
    let engine = builder().hooks(Careful).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let left = alice.create_room("Attic").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.join(&left).await;
    let send = |room: &str, text: &str| json!({"type": "send_message", "roomId": room, "content": text});
    let theirs = alice.ack(send(&room, "canary of alice")).await["messageId"].clone();
    let mut own = Vec::new();
    // More than a page, in two rooms, one of which is left.
    for number in 0..50 {
        let place = if number % 2 == 0 { &room } else { &left };
        own.push(
            bob.ack(send(place, &format!("text {number}"))).await["messageId"].as_str().unwrap().to_owned(),
        );
    }
    let on = |kind: &str, message: &Value| json!({"type": kind, "roomId": room, "messageId": message});
    let mut edit = on("edit_message", &json!(own[0]));
    edit["content"] = "text zero".into();
    bob.ack(edit).await;
    let mut react = on("add_reaction", &theirs);
    react["emoji"] = "👍".into();
    bob.ack(react.clone()).await;
    react["messageId"] = json!(own[0]);
    alice.ack(react).await;
    let mut report = on("report_message", &theirs);
    report["reason"] = "rude".into();
    bob.ack(report).await;
    bob.ack(json!({"type": "block_user", "userId": "alice"})).await;
    let held = bob.ack(send(&room, "maybe")).await["heldId"].clone();
    bob.ack(json!({"type": "leave_room", "roomId": left})).await;

    let lines = export(&engine, "bob").await;
    assert_eq!(
        (&lines[0]["type"], &lines[0]["userId"], &lines[0]["username"]),
        (&json!("profile"), &json!("bob"), &json!("bob"))
    );
    let memberships = of(&lines, "membership");
    assert_eq!(memberships.len(), 1);
    assert_eq!(
        (&memberships[0]["room"]["id"], &memberships[0]["role"], &memberships[0]["unread"]),
        (&json!(room), &json!("member"), &json!(0))
    );
    let mut exported: Vec<_> =
        of(&lines, "message").iter().map(|line| line["message"]["id"].as_str().unwrap().to_owned()).collect();
    exported.sort();
    let first = of(&lines, "message").into_iter().find(|line| line["message"]["id"] == own[0]).unwrap();
    assert_eq!(
        (&first["message"]["content"], &first["edits"][0]["content"]),
        (&json!("text zero"), &json!("text 0"))
    );
    own.sort();
    assert_eq!(exported, own);
    let reactions = of(&lines, "reaction");
    assert_eq!(
        json!(reactions),
        json!([{"type": "reaction", "roomId": room, "messageId": theirs, "emoji": "👍"}])
    );
    assert_eq!(of(&lines, "block")[0]["userId"], "alice");
    assert_eq!(
        (&of(&lines, "held")[0]["held"]["heldId"], &of(&lines, "held")[0]["held"]["content"]),
        (&held, &json!("maybe"))
    );
    assert_eq!(
        (&of(&lines, "report")[0]["messageId"], &of(&lines, "report")[0]["reason"]),
        (&theirs, &json!("rude"))
    );
    assert_eq!(lines.last().unwrap(), &json!({"type": "end"}));
    assert!(lines.iter().all(|line| !line.to_string().contains("canary of alice")));
}

#[tokio::test]
async fn nobody_exports_who_is_not_there() {
    let engine = common::engine().await;
    let export = engine.export_user(&UserId::parse("nobody").unwrap()).await;
    assert!(matches!(export, Err(Error::Rejected(chat_core::domain::Rejection::NotFound("user")))));
}

#[tokio::test]
async fn what_happens_in_a_room_after_somebody_was_removed_is_not_exported_to_them() {
    let engine = common::engine().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let made = bob.ack(json!({"type": "create_room", "name": "Cellar", "private": true})).await;
    let room = made["room"]["id"].as_str().unwrap().to_owned();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let invite = bob.ack(json!({"type": "invite", "roomId": room, "userId": "alice"})).await;
    alice.ack(json!({"type": "accept_invite", "inviteId": invite["inviteId"]})).await;
    let mut own = Vec::new();
    for text in ["stays @bob", "is deleted by bob", "is deleted by alice"] {
        let sent = alice.ack(json!({"type": "send_message", "roomId": room, "content": text})).await;
        own.push(sent["messageId"].clone());
    }
    let on = |kind: &str, message: &Value| json!({"type": kind, "roomId": room, "messageId": message});
    let mut edit = on("edit_message", &own[0]);
    edit["content"] = "stays, @bob".into();
    alice.ack(edit).await;
    alice.ack(on("delete_message", &own[2])).await;
    let theirs = bob.ack(json!({"type": "send_message", "roomId": room, "content": "rubbish"})).await;
    alice.ack(on("report_message", &theirs["messageId"])).await;
    let before = export(&engine, "alice").await;

    bob.ack(json!({"type": "kick", "roomId": room, "userId": "alice"})).await;
    let mut react = on("add_reaction", &own[0]);
    react["emoji"] = "👎".into();
    bob.ack(react).await;
    let mut reply = json!({"type": "send_message", "roomId": room, "content": "she is gone"});
    reply["threadId"] = own[0].clone();
    bob.ack(reply).await;
    bob.ack(on("pin_message", &own[0])).await;
    bob.ack(on("delete_message", &own[1])).await;
    let reports = bob.ask(json!({"type": "list_reports", "roomId": room})).await;
    let report = &reports["items"][0]["reportId"];
    bob.ack(json!({"type": "resolve_report", "roomId": room, "reportId": report})).await;

    // All is as it was, but for the membership, and for the text that nobody has any more.
    let mut expected: Vec<_> = before.into_iter().filter(|line| line["type"] != "membership").collect();
    let deleted = expected.iter_mut().find(|line| line["message"]["id"] == own[1]).unwrap();
    deleted["message"]["content"] = "".into();
    assert_eq!(export(&engine, "alice").await, expected);
}

#[tokio::test]
async fn what_a_rooms_history_hides_is_not_exported_but_for_ones_own_words() {
    let engine = common::engine().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = bob.create_room("Porch").await;
    bob.ack(json!({"type": "update_room", "roomId": room, "history": "since_join"})).await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    alice.join(&room).await;
    let sent = alice.ack(json!({"type": "send_message", "roomId": room, "content": "before"})).await;
    alice.ack(json!({"type": "leave_room", "roomId": room})).await;
    let react = |emoji: &str, message: &Value| json!({"type": "add_reaction", "roomId": room, "messageId": message, "emoji": emoji});
    bob.ack(react("👎", &sent["messageId"])).await;
    alice.join(&room).await;
    let again = alice.ack(json!({"type": "send_message", "roomId": room, "content": "after"})).await;
    bob.ack(react("👍", &again["messageId"])).await;
    let lines = export(&engine, "alice").await;
    let told: Vec<_> = of(&lines, "message")
        .iter()
        .map(|line| (line["message"]["content"].clone(), line["message"]["reactions"].clone()))
        .collect();
    let given = json!([{"emoji": "👍", "count": 1, "userIds": ["bob"]}]);
    assert_eq!(told, [(json!("before"), json!([])), (json!("after"), given)]);
}

#[tokio::test]
async fn every_former_text_that_is_kept_is_exported_however_long_they_are() {
    let engine = common::engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let text = |number: usize| format!("{number:02}{}", "🙂".repeat(4_900));
    let sent = alice.ack(json!({"type": "send_message", "roomId": room, "content": text(0)})).await;
    for number in 1..=20 {
        let content = text(number);
        let edit = json!({"type": "edit_message", "roomId": room, "messageId": sent["messageId"], "content": content});
        alice.ack(edit).await;
    }
    let lines = export(&engine, "alice").await;
    let edits = of(&lines, "message")[0]["edits"].as_array().unwrap();
    let told: Vec<_> = edits.iter().map(|edit| edit["content"].as_str().unwrap()).collect();
    assert_eq!(told, (0..20).map(text).collect::<Vec<_>>());
}
