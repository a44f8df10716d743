//! Obligations of [`crate::store::PeopleStore`], and of rooms between people.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{Trouble, all_at_once, at, done, draft, log, page, planned, request, texts, user, verifies};
use crate::{
    domain::{Actor, Command, GroupSpec, Guard, Outcome, Request, Role, Room, RoomKind, RoomSpec},
    id::{RoomId, Seq},
    limits::BLOCKS_PER_USER_MAX,
    store::{Block, CommitError, PageRequest, PeopleError, Place, Store},
};

fn direct(text: &str, to: &str) -> Command {
    let Command::Send(draft) = draft(text, None) else { panic!("a draft is to be sent") };
    Command::SendDirect(user(to), draft)
}

fn between(one: &str, other: &str) -> RoomId {
    RoomId::direct(&user(one), &user(other))
}

pub(super) fn block(by: &str, whom: &str) -> Block {
    Block { by: user(by), user: user(whom), at: at(5) }
}

/// Whether a direct message from one to the other is saved.
pub(super) async fn reaches<S: Store>(store: &S, from: &str, to: &str) -> bool {
    match done(store, &between(from, to), &request(from, 1, direct("x", to))).await {
        Ok(Outcome::Sent(_)) => true,
        Err(Trouble::Commit(CommitError::Guard(guard))) => {
            assert_eq!(guard, Guard::Unblocked(user(from), user(to)));
            false
        }
        other => panic!("{other:?}"),
    }
}

pub async fn a_direct_room_begins_with_its_first_message_and_belongs_to_both<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = between("alice", "bob");
    assert_eq!(room, between("bob", "alice"));
    let sent = done(&store, &room, &request("alice", 1, direct("first", "bob"))).await.unwrap();
    assert!(matches!(sent, Outcome::Sent(sent) if sent.seq == Seq::new(1)), "{sent:?}");
    done(&store, &room, &request("bob", 2, direct(&"second ".repeat(2_000), "alice"))).await.unwrap();
    done(&store, &room, &request("alice", 3, draft("third", None))).await.unwrap();

    let stored = store.room(&room).await.unwrap().unwrap();
    let expected = Room {
        head: Seq::new(3),
        messages: 3,
        ..Room::direct(room.clone(), user("alice"), user("bob"), at(1))
    };
    assert_eq!((stored.kind, stored.members, stored.owners), (RoomKind::Direct, 2, 0));
    assert_eq!(stored, expected);
    let entries = log(&store, &room).await;
    let mut replayed = Room::unborn(room.clone());
    entries.iter().for_each(|entry| assert!(replayed.apply(entry)));
    assert_eq!(replayed, expected);
    let recipients = ["bob", "alice", "bob"].map(|id| Some(user(id)));
    let of = |entry: &crate::domain::Entry| entry.message().and_then(|message| message.recipient.clone());
    assert_eq!(entries.iter().map(of).collect::<Vec<_>>(), recipients);
    let newest = page(&store, &room, Place::Latest, 10).await.messages;
    assert_eq!(newest, entries, "pages and the log tell the same");

    let mut members = store.members(&room, PageRequest::first(10)).await.unwrap().items;
    members.sort_by(|a, b| a.user.cmp(&b.user));
    let members: Vec<_> =
        members.iter().map(|member| (member.user.as_str(), member.role, member.joined.get())).collect();
    assert_eq!(members, [("alice", Role::Member, 1), ("bob", Role::Member, 1)]);
    for person in ["alice", "bob"] {
        let rooms = store.rooms_of(&user(person), PageRequest::first(10)).await.unwrap().items;
        assert!(rooms.iter().map(|(room, _)| room).eq([&expected]), "{rooms:?}");
    }
    verifies(&store).await;
}

pub async fn first_messages_that_race_from_both_sides_end_in_one_room<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = between("alice", "bob");
    let places = all_at_once(&store, 8, |store, number| {
        let room = room.clone();
        async move {
            let (from, to) = if number % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
            done(&*store, &room, &request(from, 1, direct(&number.to_string(), to))).await.unwrap()
        }
    })
    .await;
    let mut seqs: Vec<_> = places
        .iter()
        .map(|place| match place {
            Outcome::Sent(sent) => sent.seq.get(),
            other => panic!("{other:?}"),
        })
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=8).collect::<Vec<_>>());
    let entries = log(&*store, &room).await;
    let mut sent = texts(&entries);
    sent.sort_unstable();
    assert_eq!(sent, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(store.room(&room).await.unwrap().unwrap().members, 2);
    verifies(&*store).await;
}

pub async fn direct_rooms_do_not_count_among_the_rooms_of_a_user<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let before = store.membership_versions(&[user("alice"), user("bob")]).await.unwrap();
    assert!(reaches(&store, "alice", "bob").await);
    let after = store.membership_versions(&[user("alice"), user("bob")]).await.unwrap();
    assert!(after.iter().zip(&before).all(|(after, before)| after > before), "other nodes can tell");
    let actor = Actor { rooms_max: Some(1), ..Actor::new(user("alice")) };
    let command = Command::Create(RoomSpec::private("Attic").unwrap());
    let create = Request { actor, at: at(0), command };
    done(&store, &super::room_id("attic"), &create).await.unwrap();
    verifies(&store).await;
}

pub async fn nothing_between_two_is_saved_while_one_has_blocked_the_other<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    assert!(reaches(&store, "alice", "bob").await);
    assert_eq!(store.block(block("bob", "alice")).await, Ok(true));
    assert!(!reaches(&store, "alice", "bob").await);
    assert!(!reaches(&store, "bob", "alice").await);
    let send = request("alice", 1, draft("by its room", None));
    let refused = done(&store, &between("alice", "bob"), &send).await;
    assert!(matches!(refused, Err(Trouble::Commit(CommitError::Guard(_)))), "{refused:?}");
    let group =
        Command::CreateGroup(GroupSpec::new(&user("alice"), &[user("bob"), user("carol")], None).unwrap());
    let group_room = super::room_id("group");
    let refused = done(&store, &group_room, &request("alice", 1, group)).await;
    assert!(matches!(refused, Err(Trouble::Commit(CommitError::Guard(_)))), "{refused:?}");
    assert_eq!(store.room(&group_room).await.unwrap(), None);
    assert!(reaches(&store, "alice", "carol").await);
    assert!(reaches(&store, "carol", "bob").await);

    assert_eq!(store.block(block("alice", "bob")).await, Ok(true));
    assert_eq!(store.unblock(&user("bob"), &user("alice")).await, Ok(true));
    assert!(!reaches(&store, "alice", "bob").await, "the other block stands");
    assert_eq!(store.unblock(&user("alice"), &user("bob")).await, Ok(true));
    assert!(reaches(&store, "alice", "bob").await);
    assert_eq!(log(&store, &between("alice", "bob")).await.len(), 2);
    verifies(&store).await;
}

pub async fn a_commit_planned_before_a_block_is_not_saved_after_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = between("alice", "bob");
    let send = request("alice", 1, direct("too late", "bob"));
    let (_, commit) = planned(&store, &room, &[send]).await.unwrap();
    store.block(block("bob", "alice")).await.unwrap();
    let guard = Guard::Unblocked(user("alice"), user("bob"));
    assert_eq!(store.commit(commit.unwrap()).await, Err(CommitError::Guard(guard)));
    assert_eq!(store.room(&room).await.unwrap(), None);
    assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(1)).await.unwrap().items, []);
    verifies(&store).await;
}

pub async fn blocking_twice_and_unblocking_twice_change_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert_eq!(store.unblock(&user("bob"), &user("alice")).await, Ok(false));
    assert_eq!(store.block(block("bob", "alice")).await, Ok(true));
    assert_eq!(store.block(Block { at: at(9), ..block("bob", "alice") }).await, Ok(false));
    let blocks = store.blocks(&user("bob"), PageRequest::first(10)).await.unwrap();
    assert_eq!(blocks.items, [block("bob", "alice")]);
    assert_eq!(store.blocks(&user("alice"), PageRequest::first(10)).await.unwrap().items, []);
    assert!(store.are_blocked(&user("alice"), &user("bob")).await.unwrap());
    assert!(store.are_blocked(&user("bob"), &user("alice")).await.unwrap());
    assert!(!store.are_blocked(&user("bob"), &user("carol")).await.unwrap());
    assert_eq!(store.unblock(&user("bob"), &user("alice")).await, Ok(true));
    assert_eq!(store.unblock(&user("bob"), &user("alice")).await, Ok(false));
    assert_eq!(store.blocks(&user("bob"), PageRequest::first(10)).await.unwrap().items, []);
    assert!(!store.are_blocked(&user("alice"), &user("bob")).await.unwrap());
    verifies(&store).await;
}

pub async fn a_user_blocks_a_bounded_number_of_others_however_many_race<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let results = all_at_once(&store, BLOCKS_PER_USER_MAX + 20, |store, number| async move {
        store.block(block("bob", &format!("user-{number}"))).await
    })
    .await;
    let count =
        |wanted: Result<bool, PeopleError>| results.iter().filter(|result| **result == wanted).count();
    assert_eq!((count(Ok(true)), count(Err(PeopleError::TooMany))), (BLOCKS_PER_USER_MAX, 20));
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.blocks(&user("bob"), PageRequest { cursor, limit: 70 }).await.unwrap();
        listed.extend(page.items.into_iter().map(|block| block.user));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut distinct = listed.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((listed.len(), distinct.len()), (BLOCKS_PER_USER_MAX, BLOCKS_PER_USER_MAX));
    assert_eq!(store.unblock(&user("bob"), &listed[0]).await, Ok(true));
    assert_eq!(store.block(block("bob", "carol")).await, Ok(true));
    verifies(&*store).await;
}

pub async fn a_group_is_saved_with_all_its_members<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = super::room_id("group");
    let others = ["bob", "carol", "dave"].map(user);
    let spec = GroupSpec::new(&user("alice"), &others, None).unwrap();
    done(&store, &room, &request("alice", 1, Command::CreateGroup(spec))).await.unwrap();
    let stored = store.room(&room).await.unwrap().unwrap();
    assert_eq!((stored.kind, stored.members, stored.owners), (RoomKind::Group, 4, 1));
    assert_eq!((stored.head, stored.peer.as_ref()), (Seq::new(5), None));
    let members = store.members(&room, PageRequest::first(10)).await.unwrap().items;
    assert_eq!(members.iter().filter(|member| member.role == Role::Owner).count(), 1);
    let versions = store.membership_versions(&others).await.unwrap();
    assert_eq!(versions, [1, 1, 1]);
    verifies(&store).await;
}
