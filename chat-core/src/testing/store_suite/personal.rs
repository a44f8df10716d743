//! Obligations of [`crate::store::PersonalStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{at, done, public_room, request, send, user, verifies};
use crate::{
    domain::{Command, Content, Draft, Emoji, HeldMessage, Report, ReportReason, Snapshot},
    id::{HeldId, ReportId, RoomId, Seq},
    store::{GivenReaction, Keeping, Page, PageRequest, Store, StoreError},
};

/// All items of a list, read in small pages.
async fn all<T, F: Future<Output = Result<Page<T>, StoreError>>>(list: impl Fn(PageRequest) -> F) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = list(PageRequest { cursor, limit: 2 }).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn two_rooms<S: Store>(store: &S) -> [RoomId; 2] {
    let rooms = [public_room(store, "attic", "alice").await, public_room(store, "lobby", "alice").await];
    for room in &rooms {
        done(store, room, &request("bob", 1, Command::Join)).await.unwrap();
    }
    rooms
}

pub async fn every_message_of_a_user_is_listed_once_and_nobody_elses<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let rooms = two_rooms(&store).await;
    let mut expected = Vec::new();
    for (number, room) in rooms.iter().cycle().take(7).enumerate() {
        expected.push((room.clone(), send(&store, room, "bob", &format!("text {number}")).await));
        send(&store, room, "alice", "other").await;
    }
    let (room, first) = expected[0].clone();
    done(&store, &room, &request("bob", 2, Command::Delete { target: first })).await.unwrap();
    done(&store, &rooms[1], &request("bob", 3, Command::Leave)).await.unwrap();
    let bob = user("bob");
    let listed = all(|page| store.authored(&bob, page)).await;
    let mut places: Vec<_> = listed.iter().map(|entry| (entry.room.clone(), entry.seq)).collect();
    assert!(listed.iter().all(|entry| entry.actor == bob));
    let deleted = listed.iter().find(|entry| (&entry.room, entry.seq) == (&room, first));
    let deleted = deleted.and_then(|entry| entry.message()).unwrap();
    assert!(deleted.deleted.is_some() && deleted.content.as_str().is_empty());
    places.sort();
    expected.sort();
    assert_eq!(places, expected);
    let nobody = user("nobody");
    assert_eq!(all(|page| store.authored(&nobody, page)).await, []);
    verifies(&store).await;
}

pub async fn every_reaction_of_a_user_is_listed_while_it_stands<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let rooms = two_rooms(&store).await;
    let emoji = |text| Emoji::parse(text).unwrap();
    let mut expected = Vec::new();
    for room in &rooms {
        let target = send(&store, room, "alice", "text").await;
        let gone = send(&store, room, "alice", "gone").await;
        for (target, text) in [(target, "👍"), (target, "🎉"), (gone, "👍")] {
            let react = Command::React { target, emoji: emoji(text) };
            done(&store, room, &request("bob", 2, react.clone())).await.unwrap();
            done(&store, room, &request("alice", 2, react)).await.unwrap();
        }
        let unreact = Command::Unreact { target, emoji: emoji("🎉") };
        done(&store, room, &request("bob", 3, unreact)).await.unwrap();
        done(&store, room, &request("alice", 3, Command::Delete { target: gone })).await.unwrap();
        expected.push(GivenReaction { room: room.clone(), target, emoji: emoji("👍") });
    }
    let bob = user("bob");
    let mut listed = all(|page| store.reactions_by(&bob, page)).await;
    listed.sort_by(|a, b| a.room.cmp(&b.room));
    assert_eq!(listed, expected);
}

pub async fn what_a_user_has_waiting_for_moderators_is_listed<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let rooms = two_rooms(&store).await;
    let (mut held, mut reports) = (Vec::new(), Vec::new());
    for (number, room) in rooms.iter().cycle().take(6).enumerate() {
        let author = if number < 4 { "bob" } else { "alice" };
        let id = |part: &str| format!("0190b5a2-7a39-7c3e-{part}-{number:012x}");
        let one = HeldMessage {
            id: HeldId::parse(&id("8f00")).unwrap(),
            room: room.clone(),
            author: user(author),
            at: at(1),
            draft: Draft::text(&"long ".repeat(999)).unwrap(),
        };
        let report = Report {
            id: ReportId::parse(&id("8f01")).unwrap(),
            room: room.clone(),
            reporter: user(author),
            at: at(2),
            reason: ReportReason::from_stored("rude"),
            snapshot: Snapshot {
                seq: Seq::new(number as u64 + 1),
                author: user("alice"),
                at: at(1),
                content: Content::from_stored("text"),
                message_type: crate::domain::MessageType::Text,
                attachments: crate::domain::Attachments::default(),
            },
            resolved: None,
        };
        assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
        assert_eq!(store.report(report.clone()).await, Ok(Keeping::Kept));
        if author == "bob" {
            held.push(one);
            reports.push(report);
        }
    }
    let bob = user("bob");
    let mut listed = all(|page| store.held_of(&bob, page)).await;
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(listed, held);
    let mut listed = all(|page| store.reports_by(&bob, page)).await;
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(listed, reports);
}
