//! Obligations of [`crate::store::ReadingStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Random, all_at_once, at, done, draft, log, planned, profile, public_room, request, room_id, send, user,
    verifies,
};
use crate::{
    domain::{Change, Command, Content, Entry, History, Mentions, Outcome, Request, RoomSpec, TextRules},
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

pub async fn deleted_messages_are_unread_no_more<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    join(&store, &room, "bob").await;
    // Enough for counts of two levels.
    let texts: Vec<_> = (0..700).map(|_| request("alice", 1, draft("x", None))).collect();
    commit_all(&store, &room, &texts).await;
    assert_eq!(mark(&store, &room, "bob", 10).await, (true, 10, 693));
    let deletions: Vec<_> = (0..700).step_by(3).map(|number| delete("alice", 4 + number)).collect();
    commit_all(&store, &room, &deletions).await;
    let is_unread = |to: u64| (4..704).filter(|seq| *seq > to && (seq - 4) % 3 != 0).count() as u64;
    for to in [10, 11, 255, 256, 257, 258, 259, 260, 300, 512, 515, 516, 600, 702, 703] {
        let (_, at, unread) = mark(&store, &room, "bob", to).await;
        assert_eq!((at, unread), (to, is_unread(to)));
    }
    verifies(&store).await;
}

/// Profiles of users whose names are their ids, members of a new room of `owner`.
async fn known_members<S: Store>(store: &S, owner: &str, members: &[&str]) -> RoomId {
    for name in members.iter().chain([&owner]) {
        store.create_user(profile(name, name)).await.unwrap();
    }
    let room = public_room(store, "lobby", owner).await;
    for member in members {
        join(store, &room, member).await;
    }
    room
}

async fn mentions<S: Store>(store: &S, room: &RoomId, who: &str) -> u64 {
    reading(store, room, who).await.unwrap().mentions
}

pub async fn members_who_are_named_are_mentioned_once_and_by_any_text_of_the_message<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = known_members(&store, "alice", &["bob", "carol"]).await;
    store.create_user(profile("stranger", "stranger")).await.unwrap();
    let text = "@BOB, @bob and @stranger, `@carol`, @nobody, me@carol, @alice";
    let seq = send(&store, &room, "alice", text).await;
    let stored = log(&store, &room).await.pop().unwrap();
    let named = stored.message().unwrap().mentions.clone();
    assert_eq!(named, Mentions { users: vec![user("bob"), user("alice")], room: false });
    assert_eq!(mentions(&store, &room, "bob").await, 1);
    assert_eq!(mentions(&store, &room, "carol").await, 0);
    assert_eq!(mentions(&store, &room, "alice").await, 0, "who sends has read it");

    let edit = |text| edit("alice", seq.get(), text);
    done(&store, &room, &edit("rather @carol")).await.unwrap();
    assert_eq!(mentions(&store, &room, "bob").await, 0);
    assert_eq!(mentions(&store, &room, "carol").await, 1);
    let entries = log(&store, &room).await;
    let Change::Edit { mentions: told, .. } = &entries.last().unwrap().change else { panic!("no edit") };
    assert_eq!(told.users, [user("carol")]);
    done(&store, &room, &edit("@bob and @carol")).await.unwrap();
    mark(&store, &room, "carol", 99).await;
    assert_eq!(mentions(&store, &room, "bob").await, 1);
    assert_eq!(mentions(&store, &room, "carol").await, 0);
    done(&store, &room, &delete("alice", seq.get())).await.unwrap();
    assert_eq!(reading(&store, &room, "bob").await, stands(3, 0));
    assert_eq!(log(&store, &room).await[4].message().unwrap().mentions, Mentions::default());

    done(&store, &room, &request("bob", 1, Command::Leave)).await.unwrap();
    send(&store, &room, "alice", "@bob").await;
    join(&store, &room, "bob").await;
    assert_eq!(mentions(&store, &room, "bob").await, 0);
    verifies(&store).await;
}

pub async fn all_the_room_is_mentioned_by_who_may<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = known_members(&store, "alice", &["bob", "carol"]).await;
    send(&store, &room, "bob", "@room, says a member").await;
    assert_eq!(mentions(&store, &room, "carol").await, 0);
    let seq = send(&store, &room, "alice", "@room, @carol above all").await;
    send(&store, &room, "alice", "@carol").await;
    assert_eq!(mentions(&store, &room, "bob").await, 1);
    assert_eq!(mentions(&store, &room, "carol").await, 2, "by name and with all is once");
    done(&store, &room, &edit("alice", seq.get(), "@carol alone")).await.unwrap();
    assert_eq!(mentions(&store, &room, "bob").await, 0);
    assert_eq!(mentions(&store, &room, "carol").await, 2);
    done(&store, &room, &edit("alice", seq.get(), "@room again")).await.unwrap();
    assert_eq!(mentions(&store, &room, "bob").await, 1);
    done(&store, &room, &delete("alice", seq.get())).await.unwrap();
    assert_eq!(mentions(&store, &room, "bob").await, 0);
    assert_eq!(mentions(&store, &room, "carol").await, 1);
    verifies(&store).await;
}

fn delete(actor: &str, target: u64) -> Request {
    request(actor, 2, Command::Delete { target: Seq::new(target) })
}

fn edit(actor: &str, target: u64, text: &str) -> Request {
    let content = Content::parse(text, TextRules::default()).unwrap();
    request(actor, 2, Command::Edit { target: Seq::new(target), content })
}

async fn commit_all<S: Store>(store: &S, room: &RoomId, requests: &[Request]) {
    for some in requests.chunks(100) {
        let (_, commit) = planned(store, room, some).await.unwrap();
        store.commit(commit.unwrap()).await.unwrap();
    }
}

/// The plainest way to count: a list of the messages, and who has read how many entries.
#[derive(Default)]
struct Recount {
    head: u64,
    /// Place, author, who is mentioned, whether all are; without those that are deleted.
    messages: Vec<(u64, &'static str, Vec<&'static str>, bool)>,
    read: BTreeMap<&'static str, u64>,
}

impl Recount {
    fn reading(&self, who: &str) -> Option<Reading> {
        let read = *self.read.get(who)?;
        let unread = || self.messages.iter().filter(|(seq, author, ..)| *seq > read && *author != who);
        let mentions = unread().filter(|(_, _, named, all)| *all || named.contains(&who)).count() as u64;
        Some(Reading { seq: Seq::new(read), unread: unread().count() as u64, mentions })
    }

    fn names(&self, text: &str) -> Vec<&'static str> {
        let named = |who: &&&'static str| text.contains(&format!("@{who}"));
        self.read.keys().filter(named).copied().collect()
    }
}

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

pub async fn counts_are_what_a_recount_says_after_every_step<S: Store>(open: impl AsyncFn() -> S) {
    for seed in 1..=4 {
        println!("seed {seed}");
        let store = open().await;
        let room = known_members(&store, "alice", &["bob", "carol", "dave"]).await;
        let mut random = Random::seeded(seed);
        let mut recount = Recount { head: 5, ..Recount::default() };
        recount.read.extend(PEOPLE.iter().zip(2..).map(|(who, seq)| (*who, seq)));
        for _ in 0..150 {
            let mut pick = |most: usize| random.below(most as u64) as usize;
            let who = PEOPLE[pick(4)];
            let words = ["hi", "@alice", "@bob", "@carol", "@dave", "@room", "`@bob`"];
            let text = [words[pick(7)], words[pick(7)], words[pick(7)]].join(" ");
            let all = who == "alice" && text.contains("@room");
            let named = recount.names(&text.replace("`@bob`", ""));
            let is_member = recount.read.contains_key(who);
            let of_who = |(_, author, ..): &&(u64, &str, Vec<&str>, bool)| *author == who;
            let target = recount.messages.iter().filter(of_who).map(|message| message.0).nth(pick(5));
            match (pick(10), target) {
                (0, _) if who != "alice" && is_member => {
                    done(&store, &room, &request(who, 1, Command::Leave)).await.unwrap();
                    recount.head += 1;
                    recount.read.remove(who);
                }
                (0 | 1, _) if !is_member => {
                    join(&store, &room, who).await;
                    recount.head += 1;
                    recount.read.insert(who, recount.head);
                }
                (2..=4, _) if is_member => {
                    recount.head = send(&store, &room, who, &text).await.get();
                    recount.messages.push((recount.head, who, named, all));
                    recount.read.insert(who, recount.head);
                }
                (5, Some(target)) if is_member => {
                    let edited = done(&store, &room, &edit(who, target, &text)).await.unwrap();
                    if matches!(edited, Outcome::Changed(_)) {
                        recount.head += 1;
                        let message = recount.messages.iter_mut().find(|message| message.0 == target);
                        let message = message.unwrap();
                        (message.2, message.3) = (named, all);
                    }
                }
                (6 | 7, Some(target)) if is_member => {
                    done(&store, &room, &delete(who, target)).await.unwrap();
                    recount.head += 1;
                    recount.messages.retain(|message| message.0 != target);
                }
                (8 | 9, _) => {
                    let to = pick(recount.head as usize + 3) as u64;
                    let marked = store.mark_read(&user(who), &room, Seq::new(to)).await.unwrap();
                    if let Some(read) = recount.read.get_mut(who) {
                        *read = (*read).max(to.min(recount.head));
                    }
                    assert_eq!(marked.map(|marked| marked.reading), recount.reading(who));
                }
                _ => {}
            }
            for who in PEOPLE {
                assert_eq!(reading(&store, &room, who).await, recount.reading(who), "{who}");
            }
        }
        verifies(&store).await;
    }
}
