//! Obligations of the traits in [`crate::store`] about rooms that change their names, their pace, and end.
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    all_at_once, at, done, draft, log, planned, public_room, request, room_id, send, user, verifies,
};
use crate::{
    domain::{
        Attachment, Attachments, Change, Command, Draft, MessageType, Moderation, Needs, RoomChange,
        RoomName, RoomSpec,
    },
    id::{RoomId, Seq},
    limits::DELETED_ROOM_GRACE_MS,
    store::{CommitError, PageRequest, Store},
};
use std::sync::Arc;

fn renamed(name: &str) -> Command {
    Command::Update(RoomChange { name: Some(RoomName::parse(name).unwrap()), ..RoomChange::default() })
}

/// Sweeps as long as there is something to sweep, and counts the steps.
async fn swept<S: Store>(store: &S, millis: i64) -> usize {
    let mut steps = 1;
    while store.sweep(at(millis)).await.unwrap() {
        steps += 1;
        assert!(steps < 1_000, "sweeping comes to no end");
    }
    steps
}

async fn names<S: Store>(store: &S) -> Vec<String> {
    let rooms = store.public_rooms(None, PageRequest::first(10)).await.unwrap().items;
    rooms.iter().map(|room| room.name.as_str().to_owned()).collect()
}

pub async fn a_name_that_is_given_back_can_be_taken<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    public_room(&*store, "attic", "alice").await;
    done(&*store, &room, &request("alice", 1, renamed("hall"))).await.unwrap();
    assert_eq!(names(&*store).await, ["attic", "hall"]);
    public_room(&*store, "cellar", "alice").await;
    let won = all_at_once(&store, 3, |store, number| async move {
        let room = room_id(["lobby", "attic", "cellar"][number]);
        done(&*store, &room, &request("alice", 2, renamed("lobby"))).await.is_ok()
    })
    .await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    verifies(&*store).await;
}

pub async fn a_deleted_room_is_listed_nowhere_and_its_id_is_not_free<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    done(&store, &room, &request("alice", 2, Command::DeleteRoom)).await.unwrap();
    assert_eq!(names(&store).await, Vec::<String>::new());
    for member in ["alice", "bob"] {
        assert_eq!(store.rooms_of(&user(member), PageRequest::first(10)).await.unwrap().items, []);
        assert!(store.overview(&user(member), PageRequest::first(10)).await.unwrap().items.is_empty());
        assert!(store.overview_of(&user(member), &room).await.unwrap().is_none());
    }
    let stored = store.room(&room).await.unwrap().unwrap();
    assert!(!stored.exists() && stored.deleted && stored.name.as_str().is_empty());
    assert_eq!(store.heads(std::slice::from_ref(&room)).await.unwrap(), [Seq::new(4)]);
    verifies(&store).await;
    swept(&store, 2).await;
    swept(&store, 2 + DELETED_ROOM_GRACE_MS).await;

    let unborn = crate::domain::Room::unborn(room.clone());
    let create = request("bob", 3, Command::Create(RoomSpec::public("lobby").unwrap()));
    let rows = store.gather(&room, &Needs::default()).await.unwrap();
    let rules = crate::domain::TextRules::default();
    let mut plan = crate::domain::Plan::on(&unborn, rows, &crate::domain::MembersOnly, rules);
    plan.decide(&create).unwrap();
    let again = store.commit(plan.into_commit().unwrap()).await;
    assert_eq!(again, Err(CommitError::Conflict { head: Seq::new(4) }));
    public_room(&store, "another", "bob").await;
    done(&store, &room_id("another"), &request("bob", 4, renamed("lobby"))).await.unwrap();
    verifies(&store).await;
}

pub async fn a_deleted_room_goes_in_bounded_steps_and_its_end_stays<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let other = public_room(&store, "other", "alice").await;
    for some in (0..240).collect::<Vec<_>>().chunks(60) {
        let joins: Vec<_> =
            some.iter().map(|number| request(&format!("user-{number}"), 1, Command::Join)).collect();
        let (_, commit) = planned(&store, &room, &joins).await.unwrap();
        store.commit(commit.unwrap()).await.unwrap();
    }
    for number in 0..300 {
        let text = "long ".repeat(if number % 50 == 0 { 2_000 } else { 1 });
        let author = format!("user-{number}");
        let author = if number < 240 { author.as_str() } else { "alice" };
        done(&store, &room, &request(author, 2, draft(&text, Some(&format!("{number}"))))).await.unwrap();
    }
    let file = Attachment {
        file_id: "f".to_owned(),
        name: "n".to_owned(),
        mime: "a/b".to_owned(),
        size: 1,
        url: "/u".to_owned(),
        width: None,
        height: None,
    };
    let draft = Draft::text("file").unwrap().with(MessageType::File, Attachments::from_stored(vec![file]));
    done(&store, &room, &request("alice", 2, Command::Send(draft))).await.unwrap();
    let mute = Command::Moderate(Moderation::mute(user("user-1"), None));
    done(&store, &room, &request("alice", 3, mute)).await.unwrap();
    send(&store, &other, "alice", "stays").await;
    let before = store.membership_versions(&[user("user-7"), user("nobody")]).await.unwrap();
    done(&store, &room, &request("alice", 4, Command::DeleteRoom)).await.unwrap();
    let whole = log(&store, &room).await;
    assert_eq!(whole.last().map(|entry| &entry.change), Some(&Change::DeleteRoom));

    assert!(store.sweep(at(4)).await.unwrap());
    let left = store.members(&room, PageRequest::first(200)).await.unwrap();
    assert!(left.next.is_some() || left.items.len() > 100, "one step deletes a bounded number");
    verifies(&store).await;
    assert!(swept(&store, 4).await > 1);
    assert_eq!(store.members(&room, PageRequest::first(1)).await.unwrap().items, []);
    let after = store.membership_versions(&[user("user-7"), user("nobody")]).await.unwrap();
    assert!(after[0] > before[0] && after[1] == before[1]);
    swept(&store, DELETED_ROOM_GRACE_MS / 2).await;
    assert_eq!(log(&store, &room).await, whole, "the log stays for a while");
    verifies(&store).await;

    let due = 10 + DELETED_ROOM_GRACE_MS;
    while store.sweep(at(due)).await.unwrap() {
        verifies(&store).await;
        for after in [0, 100, 250, 400] {
            let entries = store.entries(&room, Seq::new(after), 50, usize::MAX).await.unwrap();
            let follows = entries[0].seq == Seq::new(after + 1) || entries == whole[whole.len() - 1..];
            assert!(follows, "after {after} comes {}", entries[0].seq);
        }
    }
    assert_eq!(log(&store, &room).await, whole[whole.len() - 1..]);
    assert_eq!(log(&store, &other).await.len(), 3);
    assert_eq!(store.audit(&room, PageRequest::first(10)).await.unwrap().items.len(), 2);
    verifies(&store).await;
}

pub async fn when_somebody_sent_last_is_gathered<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let other = public_room(&store, "other", "alice").await;
    let asked = async |room: &RoomId| {
        let needs = Needs { last_sent: vec![user("alice"), user("bob")], ..Needs::default() };
        let rows = store.gather(room, &needs).await.unwrap();
        [rows.last_sent[&user("alice")], rows.last_sent[&user("bob")]]
    };
    assert_eq!(asked(&room).await, [None, None]);
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    for millis in [10, 20, 30] {
        done(&store, &room, &request("alice", millis, draft("x", None))).await.unwrap();
    }
    done(&store, &room, &request("bob", 25, draft("x", None))).await.unwrap();
    assert_eq!(asked(&room).await, [Some(at(30)), Some(at(25))]);
    assert_eq!(asked(&other).await, [None, None]);
}
