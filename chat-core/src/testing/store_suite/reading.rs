//! Obligations of [`crate::store::ReadingStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{Random, all_at_once, at, done, draft, public_room, request, room_id, send, user, verifies};
use crate::{
    domain::{Command, Entry, History, RoomSpec},
    id::{RoomId, Seq},
    store::{PageRequest, Reading, RoomOverview, Store},
};

/// Joins a room.
async fn join<S: Store>(store: &S, room: &RoomId, who: &str) {
    done(store, room, &request(who, 1, Command::Join)).await.unwrap();
}

/// Where a user stands.
async fn reading<S: Store>(store: &S, room: &RoomId, who: &str) -> Option<Reading> {
    store.overview_of(&user(who), room).await.unwrap().map(|overview| overview.reading)
}

/// Marks a room as read up to an entry; whether that moved the marker, and where it is.
async fn mark<S: Store>(store: &S, room: &RoomId, who: &str, to: u64) -> (bool, u64, u64) {
    let marked = store.mark_read(&user(who), room, Seq::new(to)).await.unwrap().unwrap();
    assert_eq!(reading(store, room, who).await, Some(marked.reading));
    (marked.moved, marked.reading.seq.get(), marked.reading.unread)
}

fn stands(seq: u64, unread: u64) -> Option<Reading> {
    Some(Reading { seq: Seq::new(seq), unread, mentions: 0 })
}

pub async fn a_marker_only_moves_forward_and_to_the_head_at_most<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    join(&store, &room, "bob").await;
    for text in ["a", "b", "c", "d"] {
        send(&store, &room, "alice", text).await;
    }
    assert_eq!(reading(&store, &room, "bob").await, stands(3, 4));
    assert_eq!(mark(&store, &room, "bob", 5).await, (true, 5, 2));
    assert_eq!(mark(&store, &room, "bob", 5).await, (false, 5, 2));
    assert_eq!(mark(&store, &room, "bob", 4).await, (false, 5, 2));
    assert_eq!(mark(&store, &room, "bob", 0).await, (false, 5, 2));
    assert_eq!(mark(&store, &room, "bob", 1_000_000).await, (true, 7, 0));
    assert_eq!(mark(&store, &room, "bob", 8).await, (false, 7, 0));
    send(&store, &room, "alice", "e").await;
    assert_eq!(reading(&store, &room, "bob").await, stands(7, 1));
    verifies(&store).await;
}

pub async fn joining_and_sending_move_the_marker_and_leaving_ends_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    send(&store, &room, "alice", "before bob").await;
    join(&store, &room, "bob").await;
    assert_eq!(reading(&store, &room, "bob").await, stands(4, 0));
    send(&store, &room, "alice", "unread").await;
    assert_eq!(reading(&store, &room, "bob").await, stands(4, 1));
    assert_eq!(reading(&store, &room, "alice").await, stands(5, 0));
    send(&store, &room, "bob", "an answer").await;
    assert_eq!(reading(&store, &room, "bob").await, stands(6, 0));
    assert_eq!(reading(&store, &room, "alice").await, stands(5, 1));

    done(&store, &room, &request("bob", 1, Command::Leave)).await.unwrap();
    assert_eq!(reading(&store, &room, "bob").await, None);
    send(&store, &room, "alice", "without bob").await;
    join(&store, &room, "bob").await;
    assert_eq!(reading(&store, &room, "bob").await, stands(9, 0));
    verifies(&store).await;
}

pub async fn marking_for_somebody_who_is_no_member_changes_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for place in [&room, &room_id("nowhere")] {
        assert_eq!(store.mark_read(&user("bob"), place, Seq::MAX).await, Ok(None));
        assert_eq!(store.mark_delivered(&user("bob"), place, Seq::MAX).await, Ok(None));
        assert_eq!(store.overview_of(&user("bob"), place).await, Ok(None));
    }
    assert_eq!(store.overview(&user("bob"), PageRequest::first(10)).await.unwrap().items, []);
    verifies(&store).await;
}

pub async fn of_markers_racing_in_one_room_the_newest_stays<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    join(&*store, &room, "bob").await;
    for number in 0..40 {
        send(&*store, &room, "alice", &number.to_string()).await;
    }
    let place = room.clone();
    let marked = all_at_once(&store, 40, move |store, number| {
        let (room, to) = (place.clone(), Seq::new(4 + (number as u64 * 7) % 38));
        async move { (to, store.mark_read(&user("bob"), &room, to).await.unwrap().unwrap()) }
    })
    .await;
    for (to, marked) in marked {
        assert!(marked.reading.seq >= to, "{marked:?}");
        assert_eq!(marked.reading.unread, 43 - marked.reading.seq.get());
    }
    assert_eq!(reading(&*store, &room, "bob").await, stands(41, 2));
    verifies(&*store).await;
}

pub async fn a_marker_between_messages_leaves_those_after_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    join(&store, &room, "bob").await;
    let mut random = Random::seeded(3);
    let mut messages = Vec::new();
    for number in 0..60 {
        if random.below(3) == 0 {
            let other = format!("guest-{number}");
            join(&store, &room, &other).await;
        } else {
            messages.push(send(&store, &room, "alice", "x").await.get());
        }
    }
    let head = store.heads(std::slice::from_ref(&room)).await.unwrap()[0].get();
    for to in 4..=head {
        let unread = messages.iter().filter(|seq| **seq > to).count() as u64;
        assert_eq!(mark(&store, &room, "bob", to).await, (true, to, unread));
    }
    verifies(&store).await;
}

pub async fn what_was_delivered_only_moves_forward<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    join(&store, &room, "bob").await;
    send(&store, &room, "alice", "x").await;
    let delivered = async |to| store.mark_delivered(&user("bob"), &room, Seq::new(to)).await.unwrap();
    assert_eq!(delivered(3).await, Some(Seq::new(3)));
    assert_eq!(delivered(3).await, None);
    assert_eq!(delivered(1).await, None);
    assert_eq!(delivered(99).await, Some(Seq::new(4)));
    assert_eq!(delivered(100).await, None);
    assert_eq!(reading(&store, &room, "bob").await, stands(3, 1));
    done(&store, &room, &request("bob", 1, Command::Leave)).await.unwrap();
    join(&store, &room, "bob").await;
    assert_eq!(delivered(2).await, Some(Seq::new(2)), "leaving has ended it");
    verifies(&store).await;
}

pub async fn the_overview_tells_each_room_once_in_pages<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for number in 0..23 {
        let room = public_room(&store, &format!("room-{number}"), "alice").await;
        join(&store, &room, "bob").await;
        for _ in 0..number {
            send(&store, &room, "alice", "x").await;
        }
    }
    let mut found: Vec<RoomOverview> = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.overview(&user("bob"), PageRequest { cursor, limit: 5 }).await.unwrap();
        assert!(page.items.len() <= 5);
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let listed = store.rooms_of(&user("bob"), PageRequest::first(200)).await.unwrap().items;
    let rooms: Vec<_> = found.iter().map(|it| (it.room.clone(), it.member.clone())).collect();
    assert_eq!(rooms, listed);
    let mut unread: Vec<_> = found.iter().map(|overview| overview.reading.unread).collect();
    unread.sort_unstable();
    assert_eq!(unread, (0..23).collect::<Vec<_>>());
    for overview in &found {
        assert_eq!(store.overview_of(&user("bob"), &overview.room.id).await, Ok(Some(overview.clone())));
    }
}

pub async fn the_overview_tells_the_newest_message_that_may_be_seen<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (open_room, closing) = (room_id("all"), room_id("since-join"));
    for (room, history) in [(&open_room, History::All), (&closing, History::SinceJoin)] {
        let spec = RoomSpec { history, ..RoomSpec::public(room.as_str()).unwrap() };
        done(&store, room, &request("alice", 0, Command::Create(spec))).await.unwrap();
        send(&store, room, "alice", "first").await;
        done(&store, room, &request("alice", 1, draft("second", None))).await.unwrap();
        join(&store, room, "bob").await;
    }
    let last = async |room: &RoomId, who: &str| {
        let overview = store.overview_of(&user(who), room).await.unwrap().unwrap();
        overview.last.as_ref().and_then(Entry::message).map(|it| it.content.as_str().to_owned())
    };
    assert_eq!(last(&open_room, "bob").await.as_deref(), Some("second"));
    assert_eq!(last(&closing, "bob").await, None);
    assert_eq!(last(&closing, "alice").await.as_deref(), Some("second"));
    done(&store, &closing, &request("alice", 2, draft("third", None))).await.unwrap();
    assert_eq!(last(&closing, "bob").await.as_deref(), Some("third"));
    let overview = store.overview_of(&user("bob"), &closing).await.unwrap().unwrap();
    assert_eq!(overview.last.unwrap().at, at(2));
}
