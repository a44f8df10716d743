//! The audit log: what those with power have done, for those who may know.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::AuditHash,
    id::RoomId,
    store::{AuditStore, Maintenance, PageRequest},
    testing::TestClient,
};
use common::engine_and_store;
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn every_privileged_act_that_changed_something_is_recorded_once() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    bob.send(&room, "canary").await;
    let on =
        |kind: &str| json!({"type": kind, "roomId": room, "userId": "bob", "seconds": 60, "reason": "spam"});
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "moderator"})).await;
    for kind in ["mute", "unmute", "unmute", "kick", "ban", "unban", "unban"] {
        alice.ack(on(kind)).await;
    }
    assert_eq!(alice.refused(on("kick")).await, "not_found");
    let audit = alice.ask(json!({"type": "fetch_audit", "roomId": room})).await;
    assert_eq!((&audit["type"], &audit["nextCursor"]), (&json!("audit"), &Value::Null));
    let items = audit["items"].as_array().unwrap();
    let acts: Vec<_> = items.iter().map(|item| item["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["unban", "ban", "kick", "unmute", "mute", "set_role"]);
    assert!(items.iter().all(|item| item["actorId"] == "alice" && item["targetId"] == "bob"));
    assert_eq!(items[1]["details"], json!({"seconds": "60", "reason": "spam"}));
    assert_eq!(items[5]["details"], json!({"role": "moderator"}));
    assert_eq!(items[0]["previous"], items[1]["hash"]);
    assert_eq!(items[5]["previous"], AuditHash::default().to_string());
    assert!(!audit.to_string().contains("canary"));
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn only_admins_and_above_read_it_page_by_page() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    let fetch = |cursor: Value| json!({"type": "fetch_audit", "roomId": room, "cursor": cursor});
    assert_eq!(bob.refused(fetch(Value::Null)).await, "forbidden");
    bob.join(&room).await;
    let role = |role: &str| json!({"type": "set_role", "roomId": room, "userId": "bob", "role": role});
    for number in 0..75 {
        assert_eq!(bob.refused(fetch(Value::Null)).await, "forbidden", "{number}");
        alice.ack(role("admin")).await;
        alice.ack(role("moderator")).await;
    }
    alice.ack(role("admin")).await;
    let (mut cursor, mut numbers) = (Value::Null, Vec::new());
    loop {
        let page = bob.ask(fetch(cursor)).await;
        numbers.extend(page["items"].as_array().unwrap().iter().map(|item| item["number"].as_u64().unwrap()));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(numbers, (1..=151).rev().collect::<Vec<_>>());
    let room = RoomId::parse(&room).unwrap();
    let records = store.audit(&room, PageRequest::first(200)).await.unwrap().items;
    assert!(records.iter().all(|record| record.is_intact()));
    assert!(records.windows(2).all(|pair| pair[0].previous == pair[1].hash));
}
