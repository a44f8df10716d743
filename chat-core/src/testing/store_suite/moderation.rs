//! Obligations of [`crate::store::RoomStore`] about sanctions, and of [`crate::store::AuditStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{all_at_once, at, done, planned, profile, public_room, request, room_id, user, verifies};
use crate::{
    domain::{AuditHash, AuditRecord, Command, Moderation, Needs, Role, Sanction},
    id::{RoomId, Seq},
    store::{CommitError, Page, PageRequest, Store},
    time::Timestamp,
};

fn moderate(moderation: Moderation) -> Command {
    Command::Moderate(moderation)
}

/// The whole audit log of a room, the oldest record first.
async fn records<S: Store>(store: &S, room: &RoomId) -> Vec<AuditRecord> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.audit(room, PageRequest { cursor, limit: 7 }).await.unwrap();
        assert!(page.items.len() <= 7);
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            found.reverse();
            return found;
        }
    }
}

/// That the records are numbered and chained from the first on.
fn assert_chained(records: &[AuditRecord]) {
    let mut previous = AuditHash::default();
    for (record, number) in records.iter().zip(1..) {
        assert!(record.is_intact());
        assert_eq!((record.number, record.previous), (number, previous));
        previous = record.hash;
    }
}

pub async fn what_stands_against_a_user_is_gathered_with_their_membership<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let gathered = async || {
        let needs = Needs { members: vec![user("bob")], ..Needs::default() };
        let rows = store.gather(&room, &needs).await.unwrap();
        (rows.member(&user("bob")).is_some(), rows.sanction(&user("bob")))
    };
    let (nothing, forever) = (Sanction::default(), Some(Timestamp::FOREVER));
    assert_eq!(gathered().await, (false, nothing));
    let muted = Sanction { muted_until: Some(at(5_002)), ..nothing };
    let steps = [
        ("bob", Command::Join, (true, nothing)),
        ("alice", moderate(Moderation::mute(user("bob"), Some(5))), (true, muted)),
        ("bob", Command::Leave, (false, muted)),
        ("bob", Command::Join, (true, muted)),
        (
            "alice",
            moderate(Moderation::ban(user("bob"), None)),
            (false, Sanction { banned_until: forever, ..muted }),
        ),
        ("alice", moderate(Moderation::unban(user("bob"))), (false, muted)),
        ("bob", Command::Join, (true, muted)),
        ("alice", moderate(Moderation::unmute(user("bob"))), (true, nothing)),
    ];
    for (number, (actor, command, expected)) in (1..).zip(steps) {
        done(&store, &room, &request(actor, number, command)).await.unwrap();
        assert_eq!(gathered().await, expected, "step {number}");
        verifies(&store).await;
    }
}

pub async fn who_has_a_profile_is_gathered<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    store.create_user(profile("bob", "Bob")).await.unwrap();
    let needs = Needs { profiles: vec![user("alice"), user("bob")], ..Needs::default() };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.profiles.into_iter().collect::<Vec<_>>(), [user("bob")]);
}

pub async fn audit_records_are_numbered_and_chained_in_the_order_of_commits<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = Arc::new(open().await);
    let rooms = ["lobby", "attic"];
    for room in rooms {
        public_room(&*store, room, "alice").await;
        done(&*store, &room_id(room), &request("bob", 1, Command::Join)).await.unwrap();
    }
    // Each of many writers turns the same role to and fro, so that some of it changes something.
    all_at_once(&store, 8, |store, number| async move {
        let room = room_id(rooms[number % 2]);
        for round in 0..10 {
            let role = if (round + number / 2) % 2 == 0 { Role::Admin } else { Role::Moderator };
            let command = moderate(Moderation::set_role(user("bob"), role));
            done(&*store, &room, &request("alice", round as i64, command)).await.unwrap();
        }
    })
    .await;
    for room in rooms.map(room_id) {
        let found = records(&*store, &room).await;
        assert_chained(&found);
        let changed = store.entries(&room, Seq::new(3), 1_000, usize::MAX).await.unwrap();
        assert_eq!(found.len(), changed.len(), "a record for every change");
        for (record, entry) in found.iter().zip(changed) {
            let crate::domain::Change::UpdateMember(update) = entry.change else { panic!("{entry:?}") };
            let role = update.role.map(|role| role.as_str().to_owned()).unwrap();
            assert_eq!((record.at, &record.room), (entry.at, &room));
            assert_eq!(record.details, [("role".to_owned(), role)]);
        }
    }
    assert_eq!(store.audit(&room_id("nowhere"), PageRequest::first(1)).await.unwrap().items, []);
    verifies(&*store).await;
}

pub async fn a_commit_that_is_not_saved_leaves_no_audit_record<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    let kick = request("alice", 2, moderate(Moderation::kick(user("bob"))));
    let (_, commit) = planned(&store, &room, &[kick]).await.unwrap();
    done(&store, &room, &request("carol", 3, Command::Join)).await.unwrap();
    let late = store.commit(commit.unwrap()).await;
    assert_eq!(late, Err(CommitError::Conflict { head: Seq::new(4) }));
    assert_eq!(store.audit(&room, PageRequest::first(1)).await.unwrap(), Page { items: vec![], next: None });
    verifies(&store).await;
}

pub async fn an_audit_cursor_that_was_never_handed_out_starts_from_the_newest<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for number in 0..3 {
        done(&store, &room, &request("bob", number, Command::Join)).await.unwrap();
        let kick = request("alice", number, moderate(Moderation::kick(user("bob"))));
        done(&store, &room, &kick).await.unwrap();
    }
    for (cursor, expected) in
        [("x", vec![3, 2]), ("99", vec![3, 2]), ("2", vec![1]), ("1", vec![]), ("0", vec![])]
    {
        let page = PageRequest { cursor: Some(cursor.to_owned()), limit: 2 };
        let page = store.audit(&room, page).await.unwrap();
        assert_eq!(page.items.iter().map(|record| record.number).collect::<Vec<_>>(), expected, "{cursor}");
    }
}

pub(super) async fn some_acts<S: Store>(store: &S, room: &RoomId) -> Vec<AuditRecord> {
    for number in 0..3 {
        done(store, room, &request("eve", number, Command::Join)).await.unwrap();
        let kick = request("alice", number, moderate(Moderation::kick(user("eve"))));
        done(store, room, &kick).await.unwrap();
    }
    let found = records(store, room).await;
    assert_chained(&found);
    found
}
