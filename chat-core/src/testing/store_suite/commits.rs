//! Obligations of [`crate::store::RoomStore`]: commits, one by one and many at once.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{
    Trouble, all_at_once, at, done, draft, key, log, planned, public_room, request, room_id, send, user,
    verifies,
};
use crate::{
    domain::{Actor, Command, Commit, Guard, Needs, Request, Role, RoomName, RoomSpec, RowChange, Sent},
    id::{RoomId, Seq},
    limits::COMMIT_ENTRIES_MAX,
    store::{CommitError, PageRequest, Store, StoreError},
};

/// A commit on top of what is stored.
pub(super) async fn commit_of<S: Store>(store: &S, room: &RoomId, requests: &[Request]) -> Commit {
    planned(store, room, requests).await.unwrap().1.unwrap()
}

pub async fn a_commit_is_saved_whole<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = room_id("lobby");
    let requests = [
        request("alice", 1, Command::Create(RoomSpec::public("Lobby").unwrap())),
        request("alice", 2, draft("hello", Some("k"))),
        request("bob", 3, Command::Join),
        request("bob", 4, draft("hi", None)),
    ];
    let commit = commit_of(&store, &room, &requests).await;
    store.commit(commit.clone()).await.unwrap();

    assert_eq!(log(&store, &room).await, commit.entries);
    assert_eq!(store.room(&room).await.unwrap(), Some(commit.room.clone()));
    assert_eq!(store.heads(std::slice::from_ref(&room)).await.unwrap(), [Seq::new(5)]);
    let needs =
        Needs { members: vec![user("alice")], sent: vec![(user("alice"), key("k"))], ..Needs::default() };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.at, Seq::new(5));
    assert_eq!(rows.member(&user("alice")).map(|member| member.role), Some(Role::Owner));
    let sent = Sent { seq: Seq::new(3), at: at(2), duplicate: true };
    assert_eq!(rows.sent(&user("alice"), &key("k")), Some(sent));
    let rooms = store.rooms_of(&user("bob"), PageRequest::first(10)).await.unwrap();
    assert_eq!(rooms.items.into_iter().map(|(room, _)| room).collect::<Vec<_>>(), [commit.room]);
    verifies(&store).await;
}

pub async fn a_commit_that_does_not_follow_its_head_saves_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let before = store.room(&room).await.unwrap();
    let requests = [request("alice", 1, draft("a", None)), request("alice", 2, draft("b", None))];
    let good = commit_of(&store, &room, &requests).await;

    let mut with_hole = good.clone();
    with_hole.entries.remove(0);
    let mut wrong_head = good.clone();
    wrong_head.room.head = wrong_head.room.head.next();
    let mut of_another_room = good.clone();
    of_another_room.entries[1].room = room_id("attic");
    for bad in [with_hole, wrong_head, of_another_room] {
        assert!(matches!(store.commit(bad).await, Err(CommitError::Store(_))));
        assert_eq!(store.room(&room).await.unwrap(), before);
    }
    store.commit(good).await.unwrap();
    verifies(&store).await;
}

pub async fn a_commit_of_too_many_entries_saves_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let sends = |count| vec![request("alice", 1, draft("again", None)); count];
    let large = commit_of(&store, &room, &sends(COMMIT_ENTRIES_MAX + 1)).await;
    assert_eq!(store.commit(large).await, Err(CommitError::Store(StoreError::TooLarge)));
    assert_eq!(store.heads(std::slice::from_ref(&room)).await.unwrap(), [Seq::new(2)]);

    let largest = commit_of(&store, &room, &sends(COMMIT_ENTRIES_MAX)).await;
    store.commit(largest).await.unwrap();
    assert_eq!(log(&store, &room).await.len(), 2 + COMMIT_ENTRIES_MAX);
    verifies(&store).await;
}

pub async fn a_conflict_reports_the_stored_head_and_saves_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let late = commit_of(&store, &room, &[request("alice", 1, draft("late", Some("late")))]).await;
    let head = send(&store, &room, "alice", "first").await;
    let stored = log(&store, &room).await;

    assert_eq!(store.commit(late).await, Err(CommitError::Conflict { head }));
    assert_eq!(log(&store, &room).await, stored);
    let needs = Needs { members: vec![], sent: vec![(user("alice"), key("late"))], ..Needs::default() };
    assert!(store.gather(&room, &needs).await.unwrap().sent.is_empty());

    let elsewhere = room_id("elsewhere");
    let mut ahead = commit_of(&store, &room, &[request("alice", 1, draft("ahead", None))]).await;
    ahead.room.id = elsewhere.clone();
    ahead.entries.iter_mut().for_each(|entry| entry.room = elsewhere.clone());
    assert_eq!(store.commit(ahead).await, Err(CommitError::Conflict { head: Seq::ZERO }));
    assert_eq!(store.room(&elsewhere).await.unwrap(), None);
    verifies(&store).await;
}

pub async fn a_guard_that_does_not_hold_is_named_and_saves_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    public_room(&store, "lobby", "alice").await;
    let second = room_id("second");
    let create = request("bob", 0, Command::Create(RoomSpec::public("LOBBY").unwrap()));
    let commit = commit_of(&store, &second, &[create]).await;
    assert_eq!(
        store.commit(commit).await,
        Err(CommitError::Guard(Guard::NameFree(RoomName::from_stored("LOBBY"))))
    );
    assert_eq!(store.room(&second).await.unwrap(), None);
    assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(1)).await.unwrap().items, []);

    let attic = room_id("attic");
    let actor = Actor { rooms_max: Some(1), ..Actor::new(user("alice")) };
    let create = Command::Create(RoomSpec::private("Attic").unwrap());
    let commit = commit_of(&store, &attic, &[Request { actor, at: at(0), command: create }]).await;
    let guard = Guard::RoomsBelow(user("alice"), 1);
    assert_eq!(store.commit(commit).await, Err(CommitError::Guard(guard)));
    assert_eq!(store.room(&attic).await.unwrap(), None);
    verifies(&store).await;
}

pub async fn a_key_that_something_was_sent_under_is_named_and_saves_nothing<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let sent_under = |mut commit: Commit, client: &str| {
        for row in &mut commit.rows {
            if let RowChange::PutSent(_, known, _) = row {
                *known = key(client);
            }
        }
        commit
    };
    done(&store, &room, &request("alice", 1, draft("first", Some("k")))).await.unwrap();
    let before = log(&store, &room).await;
    // Soon after, and when keys go to another week's table already.
    for later in [2, 8 * 24 * 60 * 60 * 1_000] {
        let again = commit_of(&store, &room, &[request("alice", later, draft("again", Some("new")))]).await;
        let refused = store.commit(sent_under(again, "k")).await;
        assert_eq!(refused, Err(CommitError::Guard(Guard::KeyNew(user("alice"), key("k")))), "{later}");
    }
    let both = [request("alice", 3, draft("a", Some("a"))), request("alice", 3, draft("b", Some("b")))];
    let both = commit_of(&store, &room, &both).await;
    let refused = store.commit(sent_under(both, "c")).await;
    assert_eq!(refused, Err(CommitError::Guard(Guard::KeyNew(user("alice"), key("c")))));
    assert_eq!(log(&store, &room).await, before);
    verifies(&store).await;
}

pub async fn of_commits_racing_for_one_head_exactly_one_is_saved<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    for round in 1..=10 {
        let mut commits = Vec::new();
        for number in 0..16 {
            let text = format!("{round}.{number}");
            commits.push(commit_of(&*store, &room, &[request("alice", 1, draft(&text, None))]).await);
        }
        let results = all_at_once(&store, commits.len(), |store, number| {
            let commit = commits[number].clone();
            async move { store.commit(commit).await }
        })
        .await;
        let head = Seq::new(2 + round);
        let saved: Vec<_> = (0..commits.len()).filter(|number| results[*number].is_ok()).collect();
        assert_eq!(saved.len(), 1, "{results:?}");
        let lost = results.iter().filter(|result| **result == Err(CommitError::Conflict { head })).count();
        assert_eq!(lost, commits.len() - 1, "{results:?}");
        assert_eq!(log(&*store, &room).await.pop().as_ref(), commits[saved[0]].entries.last());
    }
    verifies(&*store).await;
}

pub async fn logs_stay_dense_under_many_writers_in_many_rooms<S: Store>(open: impl AsyncFn() -> S) {
    const WRITERS: usize = 64;
    const ROOMS: usize = 16;
    const SENDS: usize = 5;
    let store = Arc::new(open().await);
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(public_room(&*store, &format!("room-{number}"), "alice").await);
    }
    let sent = all_at_once(&store, WRITERS, |store, writer| {
        let room = rooms[writer % ROOMS].clone();
        async move {
            let mut seqs = Vec::new();
            for number in 0..SENDS {
                seqs.push(send(&*store, &room, "alice", &format!("{writer}.{number}")).await);
            }
            (writer, seqs)
        }
    })
    .await;
    for (number, room) in rooms.iter().enumerate() {
        let entries = log(&*store, room).await;
        let seqs: Vec<_> = entries.iter().map(|entry| entry.seq.get()).collect();
        assert_eq!(seqs, (1..=(2 + WRITERS / ROOMS * SENDS) as u64).collect::<Vec<_>>());
        for (writer, seqs) in sent.iter().filter(|(writer, _)| writer % ROOMS == number) {
            for (number, seq) in seqs.iter().enumerate() {
                let message = entries[seq.get() as usize - 1].message().unwrap();
                assert_eq!(message.content.as_str(), format!("{writer}.{number}"));
            }
        }
    }
    verifies(&*store).await;
}

pub async fn after_the_answer_every_read_sees_the_commit<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let rooms = all_at_once(&store, 8, |store, number| async move {
        let owner = format!("owner-{number}");
        let room = public_room(&*store, &format!("room-{number}"), &owner).await;
        for round in 1..=10_u64 {
            let seq = send(&*store, &room, &owner, "x").await;
            assert_eq!(seq, Seq::new(2 + round));
            assert_eq!(store.room(&room).await.unwrap().map(|room| room.head), Some(seq));
            assert_eq!(store.heads(std::slice::from_ref(&room)).await.unwrap(), [seq]);
            let entries = store.entries(&room, seq.previous(), 10, usize::MAX).await.unwrap();
            assert_eq!(entries.len(), 1);
            let newest = super::page(&*store, &room, crate::store::Place::Latest, 1).await.messages;
            assert_eq!(newest, entries);
        }
        room
    })
    .await;
    assert_eq!(store.heads(&rooms).await.unwrap(), vec![Seq::new(12); 8]);
}

pub async fn a_commit_whose_future_is_dropped_is_saved_whole_or_not_at_all<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for round in 0..50 {
        let requests = [
            request("alice", 1, draft("one", Some(&format!("{round}")))),
            request("alice", 1, draft("two", None)),
        ];
        let commit = commit_of(&store, &room, &requests).await;
        let head = commit.after;
        let saving = store.commit(commit.clone());
        // Polled once, then dropped: some stores have begun by then, some have ended.
        let _ = futures::FutureExt::now_or_never(saving);
        // What comes after it shows what became of it.
        let again = store.commit(commit.clone()).await;
        match again {
            Ok(()) => {}
            Err(CommitError::Conflict { head: stored }) => assert_eq!(stored, commit.room.head),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(store.entries(&room, head, 10, usize::MAX).await.unwrap(), commit.entries);
    }
    verifies(&store).await;
}

pub async fn one_bad_commit_does_not_fail_those_beside_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let mut commits = Vec::new();
    for number in 0..40 {
        let room = public_room(&*store, &format!("room-{number}"), "alice").await;
        let mut commit = commit_of(&*store, &room, &[request("alice", 1, draft("x", None))]).await;
        match number % 4 {
            1 => commit.guards.push(Guard::RoomsBelow(user("alice"), 1)),
            2 => commit.entries.clear(),
            3 => commit.guards.push(Guard::NameFree(commit.room.name.clone())),
            _ => {}
        }
        commits.push(commit);
    }
    let results = all_at_once(&store, commits.len(), |store, number| {
        let commit = commits[number].clone();
        async move { store.commit(commit).await }
    })
    .await;
    for (number, result) in results.iter().enumerate() {
        match number % 4 {
            // A room's own name does not stand in its way.
            0 | 3 => assert_eq!(*result, Ok(()), "{number}"),
            1 => {
                assert_eq!(*result, Err(CommitError::Guard(Guard::RoomsBelow(user("alice"), 1))), "{number}")
            }
            _ => assert!(matches!(result, Err(CommitError::Store(_))), "{number}: {result:?}"),
        }
    }
    verifies(&*store).await;
}

pub async fn a_name_goes_to_one_public_room_however_many_race<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let results = all_at_once(&store, 100, |store, number| async move {
        let name = if number % 2 == 0 { "The Lobby" } else { "THE LOBBY" };
        let create = Command::Create(RoomSpec::public(name).unwrap());
        done(&*store, &room_id(&format!("room-{number}")), &request("alice", 0, create)).await
    })
    .await;
    let created = results.iter().filter(|result| result.is_ok()).count();
    let refused = |result: &&Result<_, _>| {
        matches!(result, Err(Trouble::Commit(CommitError::Guard(Guard::NameFree(_)))))
    };
    assert_eq!((created, results.iter().filter(refused).count()), (1, 99));
    assert_eq!(store.public_rooms(None, PageRequest::first(10)).await.unwrap().items.len(), 1);
    verifies(&*store).await;
}

pub async fn private_rooms_may_share_a_name<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    public_room(&store, "lobby", "alice").await;
    for id in ["one", "two"] {
        let create = Command::Create(RoomSpec::private("lobby").unwrap());
        done(&store, &room_id(id), &request("alice", 0, create)).await.unwrap();
    }
    let public = store.public_rooms(None, PageRequest::first(10)).await.unwrap();
    assert_eq!(public.items.iter().map(|room| room.id.as_str()).collect::<Vec<_>>(), ["lobby"]);
    verifies(&store).await;
}

pub async fn a_user_joins_no_more_rooms_than_allowed_however_many_race<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    for number in 0..100 {
        public_room(&*store, &format!("room-{number}"), "alice").await;
    }
    let results = all_at_once(&store, 100, |store, number| async move {
        let actor = Actor { rooms_max: Some(7), ..Actor::new(user("bob")) };
        let join = Request { actor, at: at(1), command: Command::Join };
        done(&*store, &room_id(&format!("room-{number}")), &join).await
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 7);
    let rooms = store.rooms_of(&user("bob"), PageRequest::first(100)).await.unwrap();
    assert_eq!(rooms.items.len(), 7);
    verifies(&*store).await;
}
