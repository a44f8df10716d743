//! Obligations of [`crate::store::OperatorStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    at, planned, public_room, request,
    review::{report, report_id},
    room_id, send, user, verifies,
};
use crate::{
    domain::{AuditAct, AuditNote, Command, Resolution},
    id::RoomId,
    store::{Page, PageRequest, Store},
};

pub async fn every_room_that_is_there_is_listed_once_in_pages<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for name in ["one", "two", "three", "four"] {
        public_room(&store, name, "owner").await;
    }
    let delete = request("owner", 9, Command::DeleteRoom);
    let (_, commit) = planned(&store, &room_id("two"), &[delete]).await.unwrap();
    store.commit(commit.unwrap()).await.unwrap();
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next } = store.all_rooms(PageRequest { cursor, limit: 2 }).await.unwrap();
        assert!(items.len() <= 2);
        listed.extend(items.into_iter().map(|room| room.id.as_str().to_owned()));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    listed.sort_unstable();
    assert_eq!(listed, ["four", "one", "three"]);
    verifies(&store).await;
}

pub async fn open_reports_of_all_rooms_are_listed_and_no_others<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (hall, lobby) =
        (public_room(&store, "hall", "author").await, public_room(&store, "lobby", "author").await);
    let mut made = Vec::new();
    for (number, room) in [&hall, &lobby, &lobby].into_iter().enumerate() {
        let seq = send(&store, room, "author", "bad words").await.get();
        let one = report(room, number, "alice", seq, "bad words");
        store.report(one.clone()).await.unwrap();
        made.push(one);
    }
    let resolution = Resolution { by: user("mod"), at: at(9) };
    assert_eq!(store.resolve_report(&lobby, &report_id(1), resolution).await, Ok(true));
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next } = store.open_reports(PageRequest { cursor, limit: 1 }).await.unwrap();
        listed.extend(items);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    listed.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    assert_eq!(listed, [made[0].clone(), made[2].clone()]);
    verifies(&store).await;
}

pub async fn what_is_noted_is_recorded_in_a_chain_of_its_own<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let note = |millis| AuditNote {
        at: at(millis),
        actor: user("admin"),
        act: AuditAct::DisableUser,
        target: Some(user("bob")),
        details: vec![("reason", "spam".to_owned())],
    };
    for millis in 1..=3 {
        store.note(&RoomId::server(), note(millis)).await.unwrap();
    }
    let records = store.audit(&RoomId::server(), PageRequest::first(10)).await.unwrap().items;
    let told: Vec<_> = records.iter().map(|record| (record.number, record.act.as_str(), record.at)).collect();
    assert_eq!(told, [(3, "disable_user", at(3)), (2, "disable_user", at(2)), (1, "disable_user", at(1))]);
    assert!(records.iter().all(crate::domain::AuditRecord::is_intact));
    assert_eq!(store.room(&RoomId::server()).await, Ok(None));
    verifies(&store).await;
}
