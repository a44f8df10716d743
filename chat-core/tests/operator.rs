//! Acting for the operator: above all ranks, under one's own name, and without reading what others write.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    auth::Identity,
    domain::{AuditAct, ErrorCode, Moderation, Role, RoomChange},
    engine::Caller,
    id::{RoomId, Seq, UserId},
    store::{Maintenance, Place},
    testing::TestClient,
};
use common::{engine, engine_and_store};
use serde_json::json;

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

async fn operator(engine: &chat_core::engine::Engine) -> Caller {
    engine.caller(Identity::new(user("root"), "root")).await.unwrap().for_the_operator()
}

#[tokio::test(start_paused = true)]
async fn whoever_acts_for_the_operator_stands_above_owners_and_is_named_in_the_audit_log() {
    let engine = engine().await;
    let mut owner = TestClient::connect(&engine, "owner").await;
    let room = owner.ack(json!({"type": "create_room", "name": "Cellar", "private": true})).await;
    let room = RoomId::parse(room["room"]["id"].as_str().unwrap()).unwrap();
    let root = operator(&engine).await;
    let archived = Some(true);
    root.update_room(&room, RoomChange { archived, ..RoomChange::default() }).await.unwrap();
    root.moderate(&room, Moderation::set_role(user("owner"), Role::Member)).await.unwrap();
    root.kick(&room, &user("owner")).await.unwrap();
    let acts: Vec<_> = root.audit(&room, None).await.unwrap().items.into_iter().rev().collect();
    let told: Vec<_> = acts.iter().map(|record| (record.actor.as_str(), record.act.as_str())).collect();
    assert_eq!(told, [("root", "update_room"), ("root", "set_role"), ("root", "kick")]);
    root.appoint_owner(&room, &user("owner")).await.unwrap();
    let newest = root.audit(&room, None).await.unwrap().items.remove(0);
    let target = newest.target.as_ref().map(UserId::as_str);
    assert_eq!((newest.actor.as_str(), newest.act.as_str(), target), ("root", "set_role", Some("owner")));
    let stranger = engine.caller(Identity::new(user("stranger"), "stranger")).await.unwrap();
    let refused = stranger.appoint_owner(&room, &user("stranger")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Forbidden);
    root.delete_room(&room).await.unwrap();
    assert_eq!(engine.room(&room).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn whoever_acts_for_the_operator_reads_no_messages_and_cannot_write() {
    let engine = engine().await;
    let mut owner = TestClient::connect(&engine, "owner").await;
    let room = owner.ack(json!({"type": "create_room", "name": "Cellar", "private": true})).await;
    let id = room["room"]["id"].as_str().unwrap().to_owned();
    let seq = owner.send(&id, "secret").await;
    let room = RoomId::parse(&id).unwrap();
    let root = operator(&engine).await;
    let refusals = [
        root.messages(&room, Place::Latest, 10).await.map(drop),
        root.log(&room, Seq::ZERO, 10).await.map(drop),
        root.members(&room, None).await.map(drop),
        root.send(&room, chat_core::domain::Draft::text("x").unwrap()).await.map(drop),
    ];
    let codes: Vec<_> = refusals.into_iter().map(|refusal| refusal.unwrap_err().code()).collect();
    assert_eq!(codes, [ErrorCode::NotFound; 4]);
    root.delete(&room, Seq::new(seq)).await.unwrap();
    let page = owner.ask(json!({"type": "fetch_history", "roomId": id})).await;
    assert_eq!(page["messages"][0]["deletedBy"], "root");
}

#[tokio::test(start_paused = true)]
async fn open_reports_of_all_rooms_are_listed_and_resolved() {
    let engine = engine().await;
    let mut owner = TestClient::connect(&engine, "owner").await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    for name in ["hall", "tea"] {
        let room = owner.create_room(name).await;
        alice.join(&room).await;
        let seq = owner.send(&room, "rude").await;
        alice.ack(common::about("report_message", &room, seq)).await;
    }
    let open = engine.open_reports(None).await.unwrap();
    assert_eq!((open.items.len(), open.next), (2, None));
    let (report, [reporter, author]) = &open.items[0];
    assert_eq!((reporter.as_str(), author.as_str()), ("alice", "owner"));
    let root = operator(&engine).await;
    root.resolve_report(&report.room, &report.id).await.unwrap();
    let left = engine.open_reports(None).await.unwrap();
    assert_eq!(left.items, open.items[1..]);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_to_the_server_stands_in_a_log_of_its_own() {
    let (engine, store) = engine_and_store().await;
    engine.caller(Identity::new(user("bob"), "bob")).await.unwrap();
    engine.note(&user("root"), AuditAct::DisableUser, Some(user("bob")), Vec::new()).await.unwrap();
    let records = engine.audit(None).await.unwrap().items;
    let told: Vec<_> =
        records.iter().map(|it| (it.actor.as_str(), it.act.as_str(), it.target.clone())).collect();
    assert_eq!(told, [("root", "disable_user", Some(user("bob")))]);
    assert_eq!(store.verify().await, Ok(Vec::new()));
}
