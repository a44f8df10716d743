//! Obligations of [`crate::store::RetentionStore`]: logs that are kept for a while only.
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    at, done, draft, key, log, page, planned, profile, public_room, request, room_id, send, texts, user,
    verifies,
};
use crate::{
    domain::{
        Actor, Change, Command, Content, Cut, Draft, Emoji, Needs, Outcome, Request, Retention, RoomChange,
        TextRules,
    },
    id::{RoomId, Seq, UserId},
    limits::RETENTION_MESSAGES_LOOKED_AT_MAX,
    store::{MessageQuery, Page, PageRequest, Place, Reading, Store},
};

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Sets how much of a room is kept.
pub(crate) async fn retain<S: Store>(store: &S, room: &RoomId, days: Option<u32>, messages: Option<u32>) {
    let change = RoomChange {
        retention_days: Some(days),
        retention_messages: Some(messages),
        ..RoomChange::default()
    };
    done(store, room, &request("alice", 5, Command::Update(change))).await.unwrap();
}

pub(super) fn trim(cut: Cut, millis: i64) -> Request {
    Request { actor: Actor::new(UserId::nobody()), at: at(millis), command: Command::Trim(cut) }
}

/// Cuts what may go, and tells where the log begins then.
pub(crate) async fn cut<S: Store>(store: &S, room: &RoomId, millis: i64) -> Option<u64> {
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

pub(super) async fn listed<S: Store>(store: &S) -> Vec<String> {
    let Page { items, next } = store.retained_rooms(PageRequest::first(10)).await.unwrap();
    assert_eq!(next, None);
    let mut rooms: Vec<_> = items.iter().map(|room| room.as_str().to_owned()).collect();
    rooms.sort_unstable();
    rooms
}

pub(super) fn edit(actor: &str, target: Seq, text: &str) -> Request {
    let content = Content::parse(text, TextRules::default()).unwrap();
    request(actor, 2, Command::Edit { target, content })
}

pub(super) fn react(actor: &str, target: Seq, emoji: &str) -> Request {
    request(actor, 2, Command::React { target, emoji: Emoji::parse(emoji).unwrap() })
}

pub(super) fn in_thread(text: &str, of: Seq) -> Command {
    Command::Send(Draft::text(text).unwrap().in_thread(of))
}

pub(super) async fn reading<S: Store>(store: &S, room: &RoomId, who: &str) -> Reading {
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
