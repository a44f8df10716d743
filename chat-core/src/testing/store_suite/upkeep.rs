//! Obligations of [`crate::store::Maintenance`].
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{at, draft, key, log, planned, profile, public_room, request, room_id, user, verifies};
use crate::{
    domain::Needs,
    id::{RoomId, Seq},
    store::{CommitError, CreateUserError, PageRequest, Store, StoreError},
};

/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;

pub async fn an_empty_store_is_writable_and_verifies<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert_eq!(store.writable(), Ok(()));
    verifies(&store).await;
    assert!(!store.epoch().is_empty());
}

/// How many of the keys `prefix 0` to `prefix count - 1` are known.
async fn known<S: Store>(store: &S, room: &RoomId, prefix: &str, count: usize) -> usize {
    let sent = (0..count).map(|number| (user("alice"), key(&format!("{prefix} {number}")))).collect();
    let needs = Needs { members: vec![], sent, ..Needs::default() };
    store.gather(room, &needs).await.unwrap().sent.len()
}

pub async fn sweeping_ends_and_deletes_only_keys_older_than_a_week<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let ages = [("old", 30 * DAY, 1_200), ("weeks", 15 * DAY, 30), ("days", 6 * DAY, 30), ("new", 0, 30)];
    for (prefix, age, count) in ages {
        let numbers: Vec<_> = (0..count).collect();
        for some in numbers.chunks(100) {
            let send = |number| request("alice", -age, draft("x", Some(&format!("{prefix} {number}"))));
            let requests: Vec<_> = some.iter().map(send).collect();
            let (_, commit) = planned(&store, &room, &requests).await.unwrap();
            store.commit(commit.unwrap()).await.unwrap();
        }
        assert_eq!(known(&store, &room, prefix, count).await, count);
    }
    let before = log(&store, &room).await;
    let mut sweeps = 0;
    while store.sweep(at(0)).await.unwrap() {
        sweeps += 1;
        assert!(sweeps < 1_000, "sweeping comes to no end");
    }
    assert_eq!(known(&store, &room, "old", 1_200).await, 0);
    assert_eq!(known(&store, &room, "weeks", 30).await, 0);
    assert_eq!(known(&store, &room, "days", 30).await, 30);
    assert_eq!(known(&store, &room, "new", 30).await, 30);
    assert!(!store.sweep(at(0)).await.unwrap());
    assert_eq!(log(&store, &room).await, before);
    verifies(&store).await;
}

pub async fn a_closed_store_refuses_everything<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let (_, commit) = planned(&store, &room, &[request("alice", 1, draft("x", None))]).await.unwrap();
    store.close().await.unwrap();

    let closed = StoreError::Closed;
    assert_eq!(store.commit(commit.unwrap()).await, Err(CommitError::Store(closed.clone())));
    let created = store.create_user(profile("alice", "alice")).await;
    assert!(matches!(created, Err(CreateUserError::Store(StoreError::Closed))), "{created:?}");
    assert_eq!(store.sweep(at(0)).await, Err(closed.clone()));
    assert_eq!(store.writable(), Err(closed.clone()));
    assert_eq!(store.room(&room).await, Err(closed.clone()));
    assert_eq!(store.heads(&[room_id("lobby")]).await, Err(closed.clone()));
    assert_eq!(store.entries(&room, Seq::ZERO, 10, 1_000).await, Err(closed.clone()));
    assert_eq!(store.members(&room, PageRequest::first(1)).await, Err(closed.clone()));
    assert_eq!(store.users(&[user("alice")]).await, Err(closed.clone()));
    assert_eq!(store.verify().await, Err(closed));
}

pub async fn closing_twice_is_fine<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert_eq!(store.close().await, Ok(()));
    assert_eq!(store.close().await, Ok(()));
}

pub async fn the_epoch_stays_the_same_while_the_store_is_open<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let epoch = store.epoch();
    public_room(&store, "lobby", "alice").await;
    assert_eq!(store.epoch(), epoch);
    assert_ne!(open().await.epoch(), epoch, "another store has the same epoch");
}
