//! Obligations of [`crate::store::RetentionStore`]: logs that are kept for a while only.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    all_at_once, at, done, draft, key, log, page, planned, profile, public_room, request, room_id, send,
    texts, user, verifies,
};
use crate::{
    domain::{
        Actor, Change, Command, Content, Cut, Draft, Emoji, Entry, Needs, Outcome, Request, Retention,
        RoomChange, RowChange, TextRules,
    },
    id::{RoomId, Seq, UserId},
    limits::{DELETED_ROOM_GRACE_MS, RETENTION_MESSAGES_LOOKED_AT_MAX},
    store::{CommitError, MessageQuery, Page, PageRequest, Place, Reading, Store},
    testing::random::Random,
};

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Sets how much of a room is kept.
async fn retain<S: Store>(store: &S, room: &RoomId, days: Option<u32>, messages: Option<u32>) {
    let change = RoomChange {
        retention_days: Some(days),
        retention_messages: Some(messages),
        ..RoomChange::default()
    };
    done(store, room, &request("alice", 5, Command::Update(change))).await.unwrap();
}

fn trim(cut: Cut, millis: i64) -> Request {
    Request { actor: Actor::new(UserId::nobody()), at: at(millis), command: Command::Trim(cut) }
}

/// Cuts what may go, and tells where the log begins then.
async fn cut<S: Store>(store: &S, room: &RoomId, millis: i64) -> Option<u64> {
    let cut = store.due_cut(room, at(millis)).await.unwrap()?;
    done(store, room, &trim(cut, millis)).await.unwrap();
    let first = store.room(room).await.unwrap().unwrap().first;
    assert_eq!(first, cut.first);
    Some(first.get())
}

/// Sweeps as long as there is something to sweep, looking at the rows after every step. Tells the number of steps.
pub(crate) async fn swept<S: Store>(store: &S, millis: i64) -> usize {
    let mut steps = 1;
    while store.sweep(at(millis)).await.unwrap() {
        steps += 1;
        assert!(steps < 2_000, "sweeping comes to no end");
        verifies(store).await;
    }
    steps
}

async fn listed<S: Store>(store: &S) -> Vec<String> {
    let Page { items, next } = store.retained_rooms(PageRequest::first(10)).await.unwrap();
    assert_eq!(next, None);
    let mut rooms: Vec<_> = items.iter().map(|room| room.as_str().to_owned()).collect();
    rooms.sort_unstable();
    rooms
}

fn edit(actor: &str, target: Seq, text: &str) -> Request {
    let content = Content::parse(text, TextRules::default()).unwrap();
    request(actor, 2, Command::Edit { target, content })
}

fn react(actor: &str, target: Seq, emoji: &str) -> Request {
    request(actor, 2, Command::React { target, emoji: Emoji::parse(emoji).unwrap() })
}

fn in_thread(text: &str, of: Seq) -> Command {
    Command::Send(Draft::text(text).unwrap().in_thread(of))
}

async fn reading<S: Store>(store: &S, room: &RoomId, who: &str) -> Reading {
    store.overview_of(&user(who), room).await.unwrap().unwrap().reading
}

pub async fn a_room_is_listed_while_it_has_a_retention<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for name in ["attic", "cellar", "lobby"] {
        public_room(&store, name, "alice").await;
    }
    let (attic, lobby) = (room_id("attic"), room_id("lobby"));
    assert_eq!(listed(&store).await, Vec::<String>::new());
    retain(&store, &lobby, Some(1), None).await;
    retain(&store, &attic, None, Some(7)).await;
    assert_eq!(listed(&store).await, ["attic", "lobby"]);
    verifies(&store).await;
    retain(&store, &lobby, Some(1), Some(2)).await;
    retain(&store, &attic, None, None).await;
    assert_eq!(listed(&store).await, ["lobby"]);
    let stored = store.room(&lobby).await.unwrap().unwrap();
    assert_eq!(stored.retention, Retention { days: Some(1), messages: Some(2) });
    done(&store, &lobby, &request("alice", 6, Command::DeleteRoom)).await.unwrap();
    assert_eq!(listed(&store).await, Vec::<String>::new());
    let mut pages = 0;
    for number in 0..23 {
        let room = public_room(&store, &format!("room-{number}"), "alice").await;
        retain(&store, &room, Some(3), None).await;
    }
    let (mut cursor, mut found) = (None, 0);
    loop {
        let page = store.retained_rooms(PageRequest { cursor, limit: 5 }).await.unwrap();
        (found, pages, cursor) = (found + page.items.len(), pages + 1, page.next);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (23, 5));
    verifies(&store).await;
}

pub async fn what_may_go_is_found_by_age_by_count_and_by_both<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let due = async |millis| {
        let cut = store.due_cut(&room, at(millis)).await.unwrap();
        cut.map(|cut| (cut.first.get(), cut.trimmed))
    };
    for (number, millis) in [0, DAY, 2 * DAY, 3 * DAY].into_iter().enumerate() {
        done(&store, &room, &request("alice", millis, draft(&number.to_string(), None))).await.unwrap();
        done(&store, &room, &request(&format!("guest-{number}"), millis, Command::Join)).await.unwrap();
    }
    assert_eq!(due(400 * DAY).await, None, "without a retention nothing goes");
    // Messages stand at 3, 5, 7 and 9.
    retain(&store, &room, Some(1), None).await;
    assert_eq!(due(DAY).await, None);
    assert_eq!(due(2 * DAY + DAY / 2).await, Some((6, 2)));
    assert_eq!(due(400 * DAY).await, Some((10, 4)));
    retain(&store, &room, None, Some(3)).await;
    assert_eq!(due(0).await, Some((4, 1)));
    retain(&store, &room, None, Some(4)).await;
    assert_eq!(due(400 * DAY).await, None);
    retain(&store, &room, Some(1), Some(1)).await;
    assert_eq!(due(2 * DAY + DAY / 2).await, Some((8, 3)), "by count it is more");
    assert_eq!(due(400 * DAY).await, Some((10, 4)), "by age it is more");
    assert_eq!(cut(&store, &room, 2 * DAY + DAY / 2).await, Some(8));
    assert_eq!(due(2 * DAY + DAY / 2).await, None);
    assert_eq!(store.due_cut(&room_id("nowhere"), at(0)).await, Ok(None));
    swept(&store, 0).await;
    assert_eq!(due(400 * DAY).await, Some((10, 4)));
    verifies(&store).await;
}

pub async fn a_cut_goes_so_far_at_once_and_no_further<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let most = RETENTION_MESSAGES_LOOKED_AT_MAX;
    let sends: Vec<_> = (0..most + 50).map(|_| request("alice", 1, draft("x", None))).collect();
    for some in sends.chunks(100) {
        store.commit(planned(&store, &room, some).await.unwrap().1.unwrap()).await.unwrap();
    }
    retain(&store, &room, None, Some(20)).await;
    let most = most as u64;
    assert_eq!(cut(&store, &room, 6).await, Some(most + 3));
    assert_eq!(cut(&store, &room, 6).await, Some(most + 33));
    assert_eq!(cut(&store, &room, 6).await, None);
    assert_eq!(page(&store, &room, Place::Latest, 200).await.messages.len(), 20);
}

/// A message that was cut, everything that could be done to one done to it, and one that stays.
pub(crate) async fn cut_room<S: Store>(store: &S) -> (RoomId, Seq, Seq) {
    for name in ["alice", "bob"] {
        store.create_user(profile(name, name)).await.unwrap();
    }
    let room = public_room(store, "lobby", "alice").await;
    done(store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    let long = format!("canary @bob {}", "long ".repeat(2_000));
    done(store, &room, &request("alice", 1, draft(&long, Some("k")))).await.unwrap();
    let gone = Seq::new(4);
    done(store, &room, &edit("alice", gone, "canary @bob @room")).await.unwrap();
    done(store, &room, &react("bob", gone, "👍")).await.unwrap();
    done(store, &room, &request("alice", 2, Command::Pin { target: gone })).await.unwrap();
    done(store, &room, &request("bob", 2, in_thread("reply, which stays", gone))).await.unwrap();
    let kept = Seq::new(8);
    done(store, &room, &edit("alice", gone, "canary again")).await.unwrap();
    retain(store, &room, None, Some(1)).await;
    assert_eq!(cut(store, &room, 6).await, Some(5));
    (room, gone, kept)
}

pub async fn nothing_before_a_cut_is_read_before_and_after_its_rows_go<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, gone, kept) = cut_room(&store).await;
    for sweep in [false, true] {
        if sweep {
            swept(&store, 6).await;
        }
        let entries = log(&store, &room).await;
        let seqs: Vec<_> = entries.iter().map(|entry| entry.seq.get()).collect();
        assert_eq!(seqs, (5..=11).collect::<Vec<_>>());
        assert!(!format!("{entries:?}").contains("canary"));
        let from = async |after| store.entries(&room, Seq::new(after), 1, usize::MAX).await.unwrap()[0].seq;
        assert_eq!([from(0).await, from(3).await, from(4).await, from(5).await], [5, 5, 5, 6].map(Seq::new));
        for place in [Place::Latest, Place::Before(Seq::MAX), Place::After(Seq::ZERO), Place::Around(gone)] {
            let page = page(&store, &room, place, 10).await;
            assert_eq!(texts(&page.messages), ["reply, which stays"]);
            assert!(!page.more_before && !page.more_after, "{place:?}");
        }
        assert!(page(&store, &room, Place::Before(gone.next()), 10).await.messages.is_empty());
        let pins = store.pins(&room, Seq::MAX, Seq::ZERO, usize::MAX).await.unwrap();
        assert!(pins.messages.is_empty() && !pins.more_before);
        assert!(store.former_texts(&room, gone, usize::MAX).await.unwrap().items.is_empty());
        let authored = store.authored(&user("alice"), PageRequest::first(10)).await.unwrap();
        assert!(authored.items.is_empty());
        assert!(store.reactions_by(&user("bob"), PageRequest::first(10)).await.unwrap().items.is_empty());
        let needs = Needs {
            targets: vec![gone, kept],
            sent: vec![(user("alice"), key("k"))],
            reacted: vec![(gone, Emoji::parse("👍").unwrap(), user("bob"))],
            pins: true,
            ..Needs::default()
        };
        let rows = store.gather(&room, &needs).await.unwrap();
        assert_eq!((rows.target(gone), rows.pins), (None, Some(0)));
        assert!(rows.target(kept).is_some());
        assert_eq!(rows.sent(&user("alice"), &key("k")).map(|sent| sent.seq), Some(gone));
        let last = store.overview_of(&user("alice"), &room).await.unwrap().unwrap().last.unwrap();
        assert_eq!(last.seq, kept);
        let again = done(&store, &room, &request("alice", 7, draft("x", Some("k")))).await.unwrap();
        assert!(matches!(again, Outcome::Sent(sent) if sent.duplicate && sent.seq == gone));
        verifies(&store).await;
    }
}

pub async fn an_entry_about_a_message_that_was_cut_tells_no_text<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, gone, _) = cut_room(&store).await;
    for sweep in [false, true] {
        if sweep {
            swept(&store, 6).await;
        }
        let entries = log(&store, &room).await;
        let edits: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.change {
                Change::Edit { target, content, mentions } => Some((*target, content.as_str(), mentions)),
                _ => None,
            })
            .collect();
        assert_eq!(edits.len(), 2);
        assert!(edits.iter().all(|(target, text, mentions)| {
            *target == gone && text.is_empty() && **mentions == crate::domain::Mentions::default()
        }));
    }
    verifies(&store).await;
}

pub async fn a_reply_outlives_the_root_of_its_thread<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, gone, kept) = cut_room(&store).await;
    let thread = async || {
        let query =
            MessageQuery { place: Place::Latest, limit: 10, hidden_until: Seq::ZERO, max_bytes: usize::MAX };
        store.thread(&room, gone, query).await.unwrap().messages
    };
    assert_eq!(texts(&thread().await), ["reply, which stays"]);
    swept(&store, 6).await;
    assert_eq!(texts(&thread().await), ["reply, which stays"]);
    for of in [gone, kept] {
        let more = done(&store, &room, &request("bob", 7, in_thread("more", of))).await;
        assert!(matches!(more, Err(super::Trouble::Rejected(_))), "a thread without a root grows no more");
    }
    done(&store, &room, &request("bob", 7, Command::Delete { target: kept })).await.unwrap();
    let entries = log(&store, &room).await;
    assert_eq!(
        entries.last().map(|entry| &entry.change),
        Some(&Change::Delete { target: kept, thread: None })
    );
    assert_eq!(texts(&thread().await), [""]);
    verifies(&store).await;
    send(&store, &room, "alice", "the newest").await;
    assert_eq!(cut(&store, &room, 8).await, Some(kept.get() + 1));
    assert!(thread().await.is_empty());
    verifies(&store).await;
    swept(&store, 8).await;
    assert!(thread().await.is_empty());
    verifies(&store).await;
}

pub async fn markers_behind_a_cut_count_from_there<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for who in ["bob", "carol", "dave"] {
        done(&store, &room, &request(who, 1, Command::Join)).await.unwrap();
    }
    for _ in 0..300 {
        send(&store, &room, "alice", "x").await;
    }
    // Messages stand from 6 to 305.
    store.mark_read(&user("carol"), &room, Seq::new(100)).await.unwrap();
    store.mark_read(&user("dave"), &room, Seq::new(296)).await.unwrap();
    retain(&store, &room, None, Some(20)).await;
    assert_eq!(cut(&store, &room, 6).await, Some(286));
    let unread = async || {
        let mut unread = Vec::new();
        for who in ["alice", "bob", "carol", "dave"] {
            unread.push(reading(&store, &room, who).await.unread);
        }
        unread
    };
    assert_eq!(unread().await, [0, 20, 20, 9]);
    let marked = store.mark_read(&user("carol"), &room, Seq::new(200)).await.unwrap().unwrap();
    assert!(marked.moved && marked.reading.seq == Seq::new(200) && marked.reading.unread == 20);
    swept(&store, 6).await;
    assert_eq!(unread().await, [0, 20, 20, 9]);
    let marked = store.mark_read(&user("carol"), &room, Seq::new(210)).await.unwrap().unwrap();
    assert!(marked.moved && marked.reading.seq == Seq::new(210) && marked.reading.unread == 20);
    let marked = store.mark_read(&user("bob"), &room, Seq::new(290)).await.unwrap().unwrap();
    assert_eq!((marked.reading.seq, marked.reading.unread), (Seq::new(290), 15));
    assert_eq!(unread().await, [0, 15, 20, 9]);
    verifies(&store).await;
}

pub async fn what_was_cut_goes_in_bounded_steps<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let other = public_room(&store, "other", "alice").await;
    let crowd: Vec<_> = (0..400).map(|number| format!("user-{number}")).collect();
    let joins: Vec<_> = crowd.iter().map(|who| request(who, 1, Command::Join)).collect();
    for some in joins.chunks(100) {
        store.commit(planned(&store, &room, some).await.unwrap().1.unwrap()).await.unwrap();
    }
    let liked = send(&store, &room, "alice", &"long ".repeat(3_000)).await;
    let likes: Vec<_> = crowd.iter().map(|who| react(who, liked, "👍")).collect();
    for some in likes.chunks(100) {
        store.commit(planned(&store, &room, some).await.unwrap().1.unwrap()).await.unwrap();
    }
    for number in 0..60 {
        done(&store, &room, &edit("alice", liked, &number.to_string().repeat(1_500))).await.unwrap();
    }
    let deleted = send(&store, &room, "alice", "deleted").await;
    done(&store, &room, &request("alice", 2, Command::Delete { target: deleted })).await.unwrap();
    send(&store, &room, "alice", "kept").await;
    send(&store, &other, "alice", "kept").await;
    let before = log(&store, &room).await;
    retain(&store, &room, None, Some(1)).await;
    let first = cut(&store, &room, 6).await.unwrap();
    assert_eq!(first, deleted.get() + 1);
    let kept = log(&store, &room).await;
    assert_eq!(kept[..2], before[usize::try_from(first).unwrap() - 1..]);
    assert!(swept(&store, 6).await > 5, "a step deletes a bounded number of rows");
    assert_eq!(log(&store, &room).await, kept);
    assert_eq!(log(&store, &other).await.len(), 3);
    assert!(!store.sweep(at(6)).await.unwrap(), "nothing is left");
    verifies(&store).await;
}

pub async fn of_cuts_that_race_one_is_saved<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    for _ in 0..50 {
        send(&*store, &room, "alice", "x").await;
    }
    retain(&*store, &room, None, Some(10)).await;
    let place = room.clone();
    let outcomes = all_at_once(&store, 8, move |store, number| {
        let room = place.clone();
        async move {
            match number % 2 {
                0 => {
                    let cut = store.due_cut(&room, at(6)).await.unwrap();
                    match cut {
                        Some(cut) => done(&*store, &room, &trim(cut, 6)).await.unwrap(),
                        None => Outcome::Unchanged(None),
                    }
                }
                _ => done(&*store, &room, &request("alice", 6, draft("y", None))).await.unwrap(),
            }
        }
    })
    .await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Changed(_))));
    let stored = store.room(&room).await.unwrap().unwrap();
    let kept = page(&*store, &room, Place::Latest, 100).await.messages.len() as u64;
    assert_eq!(kept, stored.messages - stored.trimmed);
    assert!((10..=14).contains(&kept), "{kept}");

    // One that was found under another retention is void, and so is one planned on an older head.
    send(&*store, &room, "alice", "z").await;
    retain(&*store, &room, None, Some(5)).await;
    let found = store.due_cut(&room, at(6)).await.unwrap().unwrap();
    let stale = planned(&*store, &room, &[trim(found, 6)]).await.unwrap().1.unwrap();
    assert!(stale.rows.contains(&RowChange::Trim));
    retain(&*store, &room, None, Some(6)).await;
    assert!(matches!(store.commit(stale).await, Err(CommitError::Conflict { .. })));
    assert_eq!(done(&*store, &room, &trim(found, 6)).await.unwrap(), Outcome::Unchanged(None));
    swept(&*store, 6).await;
    verifies(&*store).await;
}

pub async fn a_room_that_was_cut_and_is_deleted_goes_whole<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, _, _) = cut_room(&store).await;
    assert!(store.sweep(at(6)).await.unwrap(), "there is something to sweep");
    for number in 0..20 {
        send(&store, &room, "bob", &number.to_string()).await;
    }
    cut(&store, &room, 6).await.unwrap();
    done(&store, &room, &request("alice", 7, Command::DeleteRoom)).await.unwrap();
    assert_eq!(listed(&store).await, Vec::<String>::new());
    verifies(&store).await;
    let end = log(&store, &room).await.pop().unwrap();
    assert_eq!(end.change, Change::DeleteRoom);
    swept(&store, 7).await;
    swept(&store, 8 + DELETED_ROOM_GRACE_MS).await;
    assert_eq!(log(&store, &room).await, [end]);
    verifies(&store).await;
}

pub async fn an_erasure_takes_along_what_was_cut_and_is_not_swept<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = super::erasure::before(&store).await;
    let target = send(&store, &room, "bob", &"long @alice ".repeat(1_000)).await;
    done(&store, &room, &edit("bob", target, "@alice again")).await.unwrap();
    done(&store, &room, &react("alice", target, "👍")).await.unwrap();
    let deleted = send(&store, &room, "bob", "deleted").await;
    done(&store, &room, &request("bob", 2, Command::Delete { target: deleted })).await.unwrap();
    done(&store, &room, &request("bob", 2, draft("keyed", Some("k")))).await.unwrap();
    send(&store, &room, "alice", "kept").await;
    retain(&store, &room, None, Some(1)).await;
    cut(&store, &room, 6).await.unwrap();
    let store = super::erasure::finished(store, &room).await;
    verifies(&store).await;
    assert_eq!(texts(&page(&store, &room, Place::Latest, 10).await.messages), ["kept"]);
    assert_eq!(reading(&store, &room, "alice").await.unread, 0);
    swept(&store, 6).await;
    verifies(&store).await;
}

pub async fn readers_find_whole_logs_while_rows_go_under_them<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    for number in 0..400 {
        let text = if number % 40 == 0 { "long ".repeat(3_000) } else { number.to_string() };
        send(&*store, &room, "alice", &text).await;
    }
    let place = room.clone();
    all_at_once(&store, 4, move |store, number| {
        let room = place.clone();
        async move {
            if number == 0 {
                for kept in (0..=380).rev().step_by(20) {
                    retain(&*store, &room, None, Some(kept + 10)).await;
                    cut(&*store, &room, 6).await;
                    while store.sweep(at(6)).await.unwrap() {}
                }
                return;
            }
            let mut random = Random::seeded(number as u64);
            loop {
                let after = Seq::new(random.below(400));
                let entries = store.entries(&room, after, 50, usize::MAX).await.unwrap();
                assert!(entries.iter().all(|entry| entry.seq > after));
                assert!(entries.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq));
                let messages = page(&*store, &room, Place::Around(after), 50).await.messages;
                assert!(messages.iter().filter_map(Entry::message).all(|message| message.deleted.is_none()));
                store.overview_of(&user("alice"), &room).await.unwrap().unwrap().last.unwrap();
                if store.room(&room).await.unwrap().unwrap().trimmed == 390 {
                    return;
                }
            }
        }
    })
    .await;
    assert_eq!(page(&*store, &room, Place::Latest, 100).await.messages.len(), 10);
    verifies(&*store).await;
}

/// The plainest way to count: a list of the messages that are there, and who has read how many entries.
#[derive(Default)]
struct Recount {
    /// Place, author, who is mentioned.
    messages: Vec<(u64, &'static str, Vec<&'static str>)>,
    /// Places of all messages, deleted ones included.
    sent: Vec<u64>,
    first: u64,
    read: BTreeMap<&'static str, u64>,
}

impl Recount {
    fn reading(&self, who: &str) -> Reading {
        let read = self.read[who];
        let unread = || {
            self.messages
                .iter()
                .filter(|(seq, author, _)| *seq >= self.first && *seq > read && *author != who)
        };
        let mentions = unread().filter(|(_, _, named)| named.contains(&who)).count() as u64;
        Reading { seq: Seq::new(read), unread: unread().count() as u64, mentions }
    }
}

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

pub async fn counts_are_what_a_recount_says_whatever_is_cut<S: Store>(open: impl AsyncFn() -> S) {
    for seed in 1..=3 {
        println!("seed {seed}");
        let store = open().await;
        for name in PEOPLE {
            store.create_user(profile(name, name)).await.unwrap();
        }
        let room = public_room(&store, "lobby", "alice").await;
        let mut random = Random::seeded(seed);
        let mut recount = Recount { first: 1, ..Recount::default() };
        recount.read.insert("alice", 2);
        for (who, seq) in [("bob", 3), ("carol", 4)] {
            done(&store, &room, &request(who, 1, Command::Join)).await.unwrap();
            recount.read.insert(who, seq);
        }
        for _ in 0..200 {
            let mut pick = |most: usize| random.below(most as u64) as usize;
            let who = PEOPLE[pick(3)];
            let named = PEOPLE[pick(3)];
            let own = |(_, author, _): &&(u64, &str, Vec<&str>)| *author == who;
            let there: Vec<_> = recount.messages.iter().filter(own).map(|message| message.0).collect();
            let target = there.get(pick(there.len().max(1))).copied();
            let is_cut = target.is_some_and(|target| target < recount.first);
            let what = match (pick(12), target) {
                (0..=3, _) => draft(&format!("@{named}"), None),
                (4, Some(target)) => in_thread(&format!("@{named}"), Seq::new(target)),
                (5, Some(target)) => Command::Delete { target: Seq::new(target) },
                (6, Some(target)) => {
                    let text = format!("@{named} {}", pick(1_000));
                    edit(who, Seq::new(target), &text).command
                }
                (7, Some(target)) => react(who, Seq::new(target), ["👍", "🎉"][pick(2)]).command,
                (8, Some(target)) if who == "alice" => Command::Pin { target: Seq::new(target) },
                (9, _) => {
                    let head = store.heads(std::slice::from_ref(&room)).await.unwrap()[0].get();
                    let to = pick(head as usize) as u64;
                    store.mark_read(&user(who), &room, Seq::new(to)).await.unwrap();
                    recount.read.entry(who).and_modify(|read| *read = to.max(*read));
                    continue;
                }
                (10, _) => {
                    let kept = 1 + pick(30);
                    retain(&store, &room, None, Some(u32::try_from(kept).unwrap())).await;
                    if let Some(first) = cut(&store, &room, 6).await {
                        recount.first = first;
                        let left = recount.sent.iter().filter(|seq| **seq >= first).count();
                        assert_eq!(left, kept);
                    }
                    continue;
                }
                _ => {
                    store.sweep(at(6)).await.unwrap();
                    continue;
                }
            };
            let outcome = done(&store, &room, &request(who, 2, what.clone())).await;
            if is_cut && !matches!(what, Command::Send(Draft { thread: None, .. })) {
                assert!(matches!(outcome, Err(super::Trouble::Rejected(_))), "{outcome:?}");
            }
            match (what, outcome) {
                (Command::Send(_), Ok(Outcome::Sent(sent))) => {
                    recount.messages.push((sent.seq.get(), who, vec![named]));
                    recount.sent.push(sent.seq.get());
                    recount.read.insert(who, sent.seq.get());
                }
                (Command::Edit { target, .. }, Ok(Outcome::Changed(_))) => {
                    let message = recount.messages.iter_mut().find(|message| message.0 == target.get());
                    message.unwrap().2 = vec![named];
                }
                (Command::Delete { target }, Ok(Outcome::Changed(_))) => {
                    recount.messages.retain(|message| message.0 != target.get());
                }
                _ => {}
            }
            for who in PEOPLE {
                assert_eq!(reading(&store, &room, who).await, recount.reading(who), "{who}");
            }
            verifies(&store).await;
        }
        swept(&store, 6).await;
        for who in PEOPLE {
            assert_eq!(reading(&store, &room, who).await, recount.reading(who), "{who}");
        }
        verifies(&store).await;
    }
}
