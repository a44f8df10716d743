//! Obligations of [`crate::store::RetentionStore`]: the rows of what was cut, whatever else happens as they go.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    all_at_once, at, done, draft, log, page, planned, profile, public_room, request,
    retention::{cut, cut_room, edit, in_thread, listed, react, reading, retain, swept, trim},
    send, texts, user, verifies,
};
use crate::{
    domain::{Change, Command, Draft, Entry, Outcome, RowChange},
    id::Seq,
    limits::DELETED_ROOM_GRACE_MS,
    store::{CommitError, Place, Reading, Store},
    testing::random::Random,
};

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
