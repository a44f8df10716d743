//! Reports of messages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::testing::TestClient;
use common::engine;
use serde_json::{Value, json};

async fn reports(client: &mut TestClient, room: &str) -> Vec<Value> {
    let answer = client.ask(json!({"type": "list_reports", "roomId": room})).await;
    assert_eq!((&answer["type"], &answer["roomId"]), (&json!("reports"), &json!(room)), "{answer}");
    answer["items"].as_array().unwrap().clone()
}

fn report(room: &str, message: &str) -> Value {
    json!({"type": "report_message", "roomId": room, "messageId": message, "reason": "rude"})
}

#[tokio::test]
async fn a_report_shows_moderators_the_message_and_is_kept_once() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let sent = alice.ack(json!({"type": "send_message", "roomId": room, "content": "you are a fool"})).await;
    let message = sent["messageId"].as_str().unwrap();
    for _ in 0..2 {
        let ack = bob.ack(report(&room, message)).await;
        assert_eq!(ack, json!({"type": "ack", "id": ack["id"]}));
    }
    assert_eq!(bob.refused(json!({"type": "list_reports", "roomId": room})).await, "forbidden");
    let open = reports(&mut alice, &room).await;
    let expected = json!([{
        "reportId": open[0]["reportId"],
        "reportedBy": {"id": "bob", "username": "bob"},
        "reportedAt": open[0]["reportedAt"],
        "reason": "rude",
        "resolvedBy": null,
        "resolvedAt": null,
        "message": {"id": message, "seq": 4, "userId": "alice", "username": "alice", "content": "you are a fool",
            "messageType": "text", "createdAt": sent["createdAt"], "attachments": []},
    }]);
    assert_eq!(json!(open), expected);
    let resolve = json!({"type": "resolve_report", "roomId": room, "reportId": open[0]["reportId"]});
    assert_eq!(bob.refused(resolve.clone()).await, "forbidden");
    alice.ack(resolve.clone()).await;
    alice.ack(resolve).await;
    let resolved = reports(&mut alice, &room).await;
    assert_eq!((resolved.len(), &resolved[0]["resolvedBy"]), (1, &json!("alice")));
    let unknown = json!({"type": "resolve_report", "roomId": room, "reportId": "x"});
    assert_eq!(alice.refused(unknown).await, "not_found");
    bob.ack(report(&room, message)).await;
    assert_eq!(reports(&mut alice, &room).await.len(), 1);
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn only_who_can_see_a_message_reports_it() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Secret", "private": true})).await;
    let private = ack["room"]["id"].as_str().unwrap().to_owned();
    let sent = alice.ack(json!({"type": "send_message", "roomId": private, "content": "x"})).await;
    let message = sent["messageId"].as_str().unwrap();
    let mut bob = TestClient::connect(&engine, "bob").await;
    assert_eq!(bob.refused(report(&room, message)).await, "forbidden");
    bob.join(&room).await;
    assert_eq!(bob.refused(report(&room, message)).await, "not_found", "a message of another room");
    assert_eq!(bob.refused(report(&room, "nonsense")).await, "not_found");
    for message in [message, "nonsense"] {
        let mut there = bob.ask(report(&private, message)).await;
        let mut nowhere = bob.ask(report("nowhere", message)).await;
        there["id"] = Value::Null;
        nowhere["id"] = Value::Null;
        assert_eq!((&there, &there["code"]), (&nowhere, &json!("not_found")));
    }
    let long =
        json!({"type": "report_message", "roomId": private, "messageId": message, "reason": "x".repeat(501)});
    assert_eq!(alice.refused(long).await, "bad_request");
}

#[tokio::test]
async fn a_report_outlives_the_message_and_a_deleted_one_is_not_reported() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let sent = alice.ack(json!({"type": "send_message", "roomId": room, "content": "you are a fool"})).await;
    let message = sent["messageId"].as_str().unwrap();
    bob.ack(report(&room, message)).await;
    alice.ack(json!({"type": "delete_message", "roomId": room, "messageId": message})).await;
    assert_eq!(reports(&mut alice, &room).await[0]["message"]["content"], "you are a fool");
    assert_eq!(alice.refused(report(&room, message)).await, "not_found");
}

#[tokio::test]
async fn a_report_keeps_the_files_of_a_message_that_is_deleted() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let files = json!([
        {"fileId": "f1", "name": "a.png", "mime": "image/png", "size": 12, "url": "/files/f1/a.png", "width": 3, "height": 4},
        {"fileId": "f2", "name": "b", "mime": "image/gif", "size": 0, "url": "https://a.example/b"},
    ]);
    let send = json!({"type": "send_message", "roomId": room, "content": "", "messageType": "image", "attachments": files});
    let sent = alice.ack(send).await;
    let message = sent["messageId"].as_str().unwrap();
    bob.ack(report(&room, message)).await;
    alice.ack(json!({"type": "delete_message", "roomId": room, "messageId": message})).await;
    let shown = |reports: Vec<Value>| {
        let message = &reports[0]["message"];
        json!([reports.len(), message["messageType"], message["content"], message["attachments"]])
    };
    assert_eq!(shown(reports(&mut alice, &room).await), json!([1, "image", "", files]));
    let id = reports(&mut alice, &room).await[0]["reportId"].clone();
    alice.ack(json!({"type": "resolve_report", "roomId": room, "reportId": id})).await;
    assert_eq!(shown(reports(&mut alice, &room).await), json!([1, "image", "", files]));
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}
