//! Obligations of [`crate::store::LogStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    Random, all_at_once, at, done, draft, log, page, planned, public_room, request, room_id, send, texts,
    verifies,
};
use crate::{
    domain::{Command, Entry, Request},
    id::{RoomId, Seq},
    store::{MessagePage, MessageQuery, Place, Store},
};

/// Commits many requests in as few commits as can be.
async fn commit_all<S: Store>(store: &S, room: &RoomId, requests: &[Request]) {
    for some in requests.chunks(100) {
        let (_, commit) = planned(store, room, some).await.unwrap();
        store.commit(commit.unwrap()).await.unwrap();
    }
}

/// A room whose log mixes messages, of many lengths, with joinings and leavings.
async fn mixed_room<S: Store>(store: &S, seed: u64, entries: usize) -> (RoomId, Vec<Entry>) {
    let room = public_room(store, "mixed", "alice").await;
    let mut random = Random::seeded(seed);
    let mut requests = Vec::new();
    let mut bob_is_in = false;
    while requests.len() < entries {
        if random.below(3) == 0 {
            let command = if bob_is_in { Command::Leave } else { Command::Join };
            bob_is_in = !bob_is_in;
            requests.push(request("bob", requests.len() as i64, command));
        } else {
            let text = "t".repeat(1 + random.below(40) as usize);
            requests.push(request("alice", requests.len() as i64, draft(&text, None)));
        }
    }
    commit_all(store, &room, &requests).await;
    let entries = log(store, &room).await;
    (room, entries)
}

fn bytes(entry: &Entry) -> usize {
    entry.message().map_or(0, |message| message.content.as_str().len())
}

pub async fn entries_come_dense_and_in_order_right_after_the_one_given<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, entries) = mixed_room(&store, 7, 150).await;
    assert_eq!(entries.len(), 152);
    assert!(entries.iter().map(|entry| entry.seq.get()).eq(1..=152));
    for after in [0, 1, 2, 75, 150, 151, 152, 153, 1_000_000] {
        for limit in [1, 2, 50, 200] {
            let expected: Vec<_> = entries.iter().skip(after).take(limit).cloned().collect();
            let found = store.entries(&room, Seq::new(after as u64), limit, usize::MAX).await.unwrap();
            assert_eq!(found, expected, "{limit} after {after}");
        }
    }
    assert_eq!(store.entries(&room_id("nowhere"), Seq::ZERO, 10, usize::MAX).await.unwrap(), []);
}

pub async fn entries_end_early_at_the_byte_limit_but_never_empty<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, entries) = mixed_room(&store, 8, 60).await;
    for after in 0..entries.len() {
        for max_bytes in [0, 1, 30, 60, 200] {
            let found = store.entries(&room, Seq::new(after as u64), 50, max_bytes).await.unwrap();
            assert!(!found.is_empty());
            assert_eq!(found, entries[after..after + found.len()]);
            let used: usize = found.iter().map(bytes).sum();
            assert!(used <= max_bytes || found.len() == 1, "{used} bytes where {max_bytes} were asked");
            if let Some(next) = entries.get(after + found.len()).filter(|_| found.len() < 50) {
                assert!(used + bytes(next) > max_bytes, "ended at {used} of {max_bytes} bytes for no reason");
            }
        }
    }
}

pub async fn a_reader_that_sees_an_entry_can_read_all_before_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let (store, room, over) = (store.clone(), room.clone(), over.clone());
            tokio::spawn(async move {
                let mut last = Seq::ZERO;
                while !over.load(Ordering::Acquire) {
                    let seen = match reader {
                        0 => store.heads(std::slice::from_ref(&room)).await.unwrap()[0],
                        1 => store.room(&room).await.unwrap().unwrap().head,
                        _ => page(&*store, &room, Place::Latest, 1)
                            .await
                            .messages
                            .last()
                            .map_or(Seq::ZERO, |entry| entry.seq),
                    };
                    assert!(seen >= last, "the head went back from {last} to {seen}");
                    let from = Seq::new(seen.get().saturating_sub(20));
                    let entries = store.entries(&room, from, 100, usize::MAX).await.unwrap();
                    assert!(
                        entries.len() as u64 >= seen.since(from),
                        "{seen} was seen, and not all before it"
                    );
                    last = seen;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    all_at_once(&store, 8, |store, number| {
        let room = room.clone();
        async move {
            for round in 0..10 {
                send(&*store, &room, "alice", &format!("{number}.{round}")).await;
            }
        }
    })
    .await;
    over.store(true, Ordering::Release);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// The page that a plain list of messages has.
fn expected(messages: &[Entry], query: MessageQuery) -> MessagePage {
    let visible: Vec<_> = messages.iter().filter(|entry| entry.seq > query.hidden_until).collect();
    let position = |seq: Seq| visible.partition_point(|entry| entry.seq < seq);
    let (mut start, mut end) = match query.place {
        Place::Latest => (visible.len().saturating_sub(query.limit), visible.len()),
        Place::Before(seq) => (position(seq).saturating_sub(query.limit), position(seq)),
        Place::After(seq) => {
            let start = position(seq.next());
            (start, (start + query.limit).min(visible.len()))
        }
        Place::Around(seq) => {
            let middle = position(seq);
            let start = middle.saturating_sub(query.limit / 2);
            (start, (start + query.limit).min(visible.len()))
        }
    };
    let fits = |start: usize, end: usize| {
        end - start <= 1
            || visible[start..end].iter().map(|entry| bytes(entry)).sum::<usize>() <= query.max_bytes
    };
    while !fits(start, end) {
        match query.place {
            Place::After(_) => end -= 1,
            _ => start += 1,
        }
    }
    MessagePage {
        messages: visible[start..end].iter().map(|entry| (*entry).clone()).collect(),
        more_before: start > 0,
        more_after: end < visible.len(),
    }
}

fn messages_of(entries: &[Entry]) -> Vec<Entry> {
    entries.iter().filter(|entry| entry.message().is_some()).cloned().collect()
}

pub async fn every_page_of_messages_is_the_one_of_a_plain_list<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, entries) = mixed_room(&store, 9, 45).await;
    let messages = messages_of(&entries);
    let last = entries.len() as u64;
    let seqs = [0, 1, 2, 3, 10, 20, last - 1, last, last + 1, last + 50, Seq::MAX.get()].map(Seq::new);
    let places = seqs.iter().flat_map(|seq| [Place::Before(*seq), Place::After(*seq), Place::Around(*seq)]);
    for place in places.chain([Place::Latest]) {
        for limit in [1, 2, 3, 10, messages.len(), 200] {
            let query = MessageQuery { place, limit, hidden_until: Seq::ZERO, max_bytes: usize::MAX };
            assert_eq!(store.messages(&room, query).await.unwrap(), expected(&messages, query), "{query:?}");
        }
    }
}

pub async fn a_room_without_messages_has_an_empty_page<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let three = Seq::new(3);
    for place in [Place::Latest, Place::Before(three), Place::After(three), Place::Around(three)] {
        assert_eq!(page(&store, &room, place, 10).await, MessagePage::default(), "{place:?}");
        assert_eq!(page(&store, &room_id("nowhere"), place, 10).await, MessagePage::default(), "{place:?}");
    }
}

pub async fn nothing_hidden_is_shown_or_counted_as_more<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, entries) = mixed_room(&store, 10, 40).await;
    let messages = messages_of(&entries);
    let last = entries.len() as u64;
    for hidden_until in [1, 5, 20, last - 1, last, last + 7].map(Seq::new) {
        for seq in [0, 4, 5, 6, 20, 21, last, last + 9].map(Seq::new) {
            for place in [Place::Latest, Place::Before(seq), Place::After(seq), Place::Around(seq)] {
                for limit in [1, 4, 200] {
                    let query = MessageQuery { place, limit, hidden_until, max_bytes: usize::MAX };
                    let found = store.messages(&room, query).await.unwrap();
                    assert_eq!(found, expected(&messages, query), "{query:?}");
                }
            }
        }
    }
}

pub async fn a_page_ends_early_at_the_byte_limit_but_never_empty<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (room, entries) = mixed_room(&store, 11, 40).await;
    let messages = messages_of(&entries);
    for seq in [1, 3, 10, 20, 41, 42, 43].map(Seq::new) {
        for max_bytes in [0, 1, 25, 50, 100, 1_000] {
            for place in [Place::Latest, Place::Before(seq), Place::After(seq)] {
                let query = MessageQuery { place, limit: 10, hidden_until: Seq::ZERO, max_bytes };
                let found = store.messages(&room, query).await.unwrap();
                assert_eq!(found, expected(&messages, query), "{query:?}");
            }
            let query =
                MessageQuery { place: Place::Around(seq), limit: 10, hidden_until: Seq::ZERO, max_bytes };
            let found = store.messages(&room, query).await.unwrap();
            check_bounded(&found, &messages, query);
        }
    }
}

/// Where a page around a place ends early is the store's choice, within these bounds.
fn check_bounded(found: &MessagePage, messages: &[Entry], query: MessageQuery) {
    let unbounded = expected(messages, MessageQuery { max_bytes: usize::MAX, ..query });
    assert!(!found.messages.is_empty(), "{query:?}");
    let used: usize = found.messages.iter().map(bytes).sum();
    assert!(used <= query.max_bytes || found.messages.len() == 1, "{query:?}: {used} bytes");
    let first = messages.iter().position(|entry| *entry == found.messages[0]).unwrap();
    let last = first + found.messages.len();
    assert_eq!(found.messages, messages[first..last], "{query:?}: not one after the other");
    assert!(found.messages.iter().all(|entry| unbounded.messages.contains(entry)), "{query:?}");
    assert_eq!((found.more_before, found.more_after), (first > 0, last < messages.len()), "{query:?}");
}

pub async fn long_texts_come_back_whole<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let lengths = [1, 5_999, 6_000, 6_001, 6_003, 12_899, 12_900, 12_901, 20_000];
    let mut sent = Vec::new();
    for length in lengths {
        sent.push("a".repeat(length));
        // Four bytes a character, so that no cut falls onto a boundary by luck.
        sent.push(format!("a{}", "\u{1F980}".repeat(length / 4)));
    }
    for text in &sent {
        send(&store, &room, "alice", text).await;
    }
    assert_eq!(texts(&log(&store, &room).await), sent);
    assert_eq!(texts(&page(&store, &room, Place::Latest, 200).await.messages), sent);
    verifies(&store).await;
    let query = MessageQuery { place: Place::Latest, limit: 200, hidden_until: Seq::ZERO, max_bytes: 40_005 };
    let found = store.messages(&room, query).await.unwrap();
    assert_eq!((texts(&found.messages), found.more_before), (vec![&*sent[16], &*sent[17]], true));
}

pub async fn texts_of_every_script_come_back_unchanged<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let sent =
        ["  spaces \n\tkept  ", "Ünïcödé", "日本語", "שלום", "🦀👩‍👩‍👧", "\u{10ffff}", "\u{200b}x", "'\"\\<&>%_"];
    for text in sent {
        send(&store, &room, "alice", text).await;
    }
    assert_eq!(texts(&log(&store, &room).await), sent);
}

pub async fn times_may_go_backwards<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let week = 7 * 24 * 3_600_000;
    for millis in [5 * week, -5 * week, 0, -1_790_000_000_000, week] {
        let client = format!("key {millis}");
        let send = request("alice", millis, draft("x", Some(&client)));
        let first = done(&store, &room, &send).await.unwrap();
        let crate::domain::Outcome::Sent(first) = first else { panic!("{first:?}") };
        let again = done(&store, &room, &Request { at: at(0), ..send }).await.unwrap();
        let again_expected = crate::domain::Sent { duplicate: true, ..first };
        assert_eq!(again, crate::domain::Outcome::Sent(again_expected), "{millis}");
    }
    let times: Vec<_> = log(&store, &room).await.iter().skip(2).map(|entry| entry.at).collect();
    assert_eq!(times, [5 * week, -5 * week, 0, -1_790_000_000_000, week].map(at));
    verifies(&store).await;
}
