//! Obligations of [`crate::store::ReviewStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{
    Trouble, all_at_once, at, done, draft, key, log, public_room, request, room_id, send, texts, user,
    verifies,
};
use crate::{
    domain::{
        Attachment, Attachments, AuditAct, AuditNote, Command, Content, Draft, Guard, HeldMessage,
        MessageType, Outcome, Release, Report, ReportReason, Resolution, RoomChange, Snapshot, TextRules,
        Username,
    },
    id::{HeldId, ReportId, RoomId, Seq},
    limits::{
        DELETED_ROOM_GRACE_MS, HELD_PER_AUTHOR_MAX, HELD_PER_ROOM_MAX, REPORTS_PER_REPORTER_MAX,
        REPORTS_PER_ROOM_MAX, UNATTENDED_UNREAD_MAX,
    },
    store::{CommitError, Keeping, PageRequest, Store},
};

fn held(room: &RoomId, number: usize, author: &str, text: &str, client: Option<&str>) -> HeldMessage {
    let Command::Send(draft) = draft(text, client) else { unreachable!("a draft is sent") };
    let id = held_id(number);
    HeldMessage { id, room: room.clone(), author: user(author), at: at(number as i64), draft }
}

fn held_id(number: usize) -> HeldId {
    HeldId::parse(&format!("0190b5a2-7a39-7c3e-8f00-{number:012x}")).unwrap()
}

pub(super) fn report_id(number: usize) -> ReportId {
    ReportId::parse(&format!("0190b5a2-7a39-7c3e-8f01-{number:012x}")).unwrap()
}

pub(super) fn report(room: &RoomId, number: usize, reporter: &str, seq: u64, text: &str) -> Report {
    Report {
        id: report_id(number),
        room: room.clone(),
        reporter: user(reporter),
        at: at(number as i64),
        reason: ReportReason::parse(&"ü".repeat(500)).unwrap(),
        snapshot: Snapshot {
            seq: Seq::new(seq),
            author: user("author"),
            at: at(1),
            content: Content::parse(text, TextRules { content_chars: 100_000 }).unwrap(),
            message_type: MessageType::Image,
            attachments: files(seq),
        },
        resolved: None,
    }
}

/// None for every third report, so that both are kept side by side.
fn files(seq: u64) -> Attachments {
    let file = |number| Attachment {
        file_id: format!("file-{seq}-{number}"),
        name: "picture".to_owned(),
        mime: "image/png".to_owned(),
        size: number,
        url: "/files/picture".to_owned(),
        width: Some(4),
        height: None,
    };
    Attachments::from_stored((0..seq % 3).map(file).collect())
}

fn note() -> AuditNote {
    AuditNote { at: at(3), actor: user("mod"), act: AuditAct::DiscardMessage, target: None, details: vec![] }
}

fn release(held: &HeldMessage) -> Command {
    let author_name = Username::parse("author").unwrap();
    Command::Release(Box::new(Release { held: held.clone(), author_name }))
}

async fn all_held<S: Store>(store: &S, room: &RoomId) -> Vec<HeldMessage> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.held_in(room, PageRequest { cursor, limit: 7 }).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn all_reports<S: Store>(store: &S, room: &RoomId) -> Vec<Report> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.reports_in(room, PageRequest { cursor, limit: 100 }).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

pub async fn a_held_message_comes_back_whole_and_in_order<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = room_id("lobby");
    let long = "日".repeat(30_000);
    let all: Vec<_> = [("alice", "short", Some("k")), ("bob", &long, None), ("alice", "other", Some("k2"))]
        .iter()
        .enumerate()
        .map(|(number, (author, text, key))| held(&room, number, author, text, *key))
        .collect();
    for one in all.iter().rev() {
        assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
    }
    assert_eq!(all_held(&store, &room).await, all);
    assert_eq!(all_held(&store, &room_id("attic")).await, []);
    assert_eq!(store.held(&room, &all[1].id).await, Ok(Some(all[1].clone())));
    assert_eq!(store.held(&room, &held_id(9)).await, Ok(None));
    verifies(&store).await;
}

pub async fn of_repeats_racing_to_be_held_one_is<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = room_id("lobby");
    let place = room.clone();
    let kept = all_at_once(&store, 16, move |store, number| {
        let one = held(&place, number, "alice", "x", Some("same"));
        async move { store.hold(one).await.unwrap() }
    })
    .await;
    let held_now = all_held(&*store, &room).await;
    assert_eq!(held_now.len(), 1);
    assert_eq!(kept.iter().filter(|kept| **kept == Keeping::Kept).count(), 1);
    let repeat = Keeping::Repeat(held_now[0].id.clone());
    assert_eq!(kept.iter().filter(|kept| **kept == repeat).count(), 15);
    // Another author's and another room's key is another key.
    assert_eq!(store.hold(held(&room, 20, "bob", "x", Some("same"))).await, Ok(Keeping::Kept));
    let attic = room_id("attic");
    assert_eq!(store.hold(held(&attic, 21, "alice", "x", Some("same"))).await, Ok(Keeping::Kept));
    verifies(&*store).await;
}

pub async fn of_releases_and_discards_racing_one_succeeds<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    for round in 0..8 {
        let one = held(&room, round, "alice", &format!("text {round}"), None);
        assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
        let place = room.clone();
        let done = all_at_once(&store, 6, move |store, number| {
            let (room, one) = (place.clone(), one.clone());
            async move {
                if number % 2 == 0 {
                    return store.discard_held(&room, &one.id, note()).await.unwrap();
                }
                match done(&*store, &room, &request("alice", 2, release(&one))).await {
                    Ok(Outcome::Sent(sent)) => !sent.duplicate,
                    Err(Trouble::Commit(CommitError::Guard(Guard::IsHeld(id)))) if id == one.id => false,
                    other => panic!("releasing came to {other:?}"),
                }
            }
        })
        .await;
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    }
    assert_eq!(all_held(&*store, &room).await, []);
    let sent = log(&*store, &room).await;
    let mut sent = texts(&sent);
    sent.dedup();
    assert_eq!(sent.len(), texts(&log(&*store, &room).await).len(), "nothing is sent twice");
    verifies(&*store).await;
}

pub async fn a_released_message_is_its_authors_and_known_by_its_key<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    let one = held(&room, 1, "bob", &"long ".repeat(4_000), Some("k"));
    store.hold(one.clone()).await.unwrap();
    let outcome = done(&store, &room, &request("alice", 5, release(&one))).await.unwrap();
    let Outcome::Sent(sent) = outcome else { panic!("releasing came to {outcome:?}") };
    assert_eq!((sent.seq, sent.at, sent.duplicate), (Seq::new(4), at(5), false));
    let entries = log(&store, &room).await;
    let Draft { content, client_message_id, .. } = &one.draft;
    assert_eq!(entries[3].actor, user("bob"));
    assert_eq!(entries[3].message().map(|message| &message.content), Some(content));
    assert_eq!(entries[3].message().map(|message| &message.client_message_id), Some(client_message_id));
    assert_eq!(store.held(&room, &one.id).await, Ok(None));
    let repeat = done(&store, &room, &request("bob", 6, draft("again", Some("k")))).await.unwrap();
    assert_eq!(repeat, Outcome::Sent(crate::domain::Sent { duplicate: true, ..sent }));
    // The key is free for holding, too.
    assert_eq!(store.hold(held(&room, 2, "bob", "x", Some("k"))).await, Ok(Keeping::Kept));
    verifies(&store).await;
}

pub async fn a_room_holds_no_more_messages_than_it_may<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = room_id("lobby");
    for number in 0..HELD_PER_ROOM_MAX as usize {
        let author = format!("author-{}", number / HELD_PER_AUTHOR_MAX);
        if number == HELD_PER_AUTHOR_MAX {
            let one_more = held(&room, 5_000, "author-0", "x", None);
            assert_eq!(store.hold(one_more).await, Ok(Keeping::AuthorFull));
        }
        assert_eq!(store.hold(held(&room, number, &author, "x", None)).await, Ok(Keeping::Kept));
    }
    assert_eq!(store.hold(held(&room, 5_001, "other", "x", None)).await, Ok(Keeping::RoomFull));
    assert_eq!(store.discard_held(&room, &held_id(0), note()).await, Ok(true));
    assert_eq!(store.discard_held(&room, &held_id(0), note()).await, Ok(false));
    let recorded = store.audit(&room, PageRequest::first(10)).await.unwrap().items;
    assert_eq!(recorded.iter().map(|record| record.act.as_str()).collect::<Vec<_>>(), ["discard_message"]);
    assert_eq!(store.hold(held(&room, 5_002, "other", "x", None)).await, Ok(Keeping::Kept));
    verifies(&store).await;
}

pub async fn a_report_keeps_the_message_as_it_was_once_per_reporter<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "author").await;
    let seq = send(&*store, &room, "author", "bad words").await.get();
    let long = "日".repeat(30_000);
    let place = room.clone();
    let kept = all_at_once(&store, 8, move |store, number| {
        let one = report(&place, number, "alice", seq, "bad words");
        async move { store.report(one).await.unwrap() }
    })
    .await;
    assert_eq!(kept.iter().filter(|kept| **kept == Keeping::Kept).count(), 1);
    let first = all_reports(&*store, &room).await.remove(0);
    assert_eq!(kept.iter().filter(|kept| **kept == Keeping::Repeat(first.id.clone())).count(), 7);
    let second = report(&room, 20, "bob", seq, &long);
    assert_eq!(store.report(second.clone()).await, Ok(Keeping::Kept));
    assert_eq!(all_reports(&*store, &room).await, [first.clone(), second.clone()]);

    let resolution = Resolution { by: user("mod"), at: at(9) };
    assert_eq!(store.resolve_report(&room, &first.id, resolution.clone()).await, Ok(true));
    let again = Resolution { by: user("other"), at: at(10) };
    assert_eq!(store.resolve_report(&room, &first.id, again.clone()).await, Ok(true));
    assert_eq!(store.resolve_report(&room, &report_id(99), again).await, Ok(false));
    let resolved = Report { resolved: Some(resolution), ..first };
    assert_eq!(all_reports(&*store, &room).await, [second, resolved.clone()]);
    let repeat = report(&room, 21, "alice", seq, "bad words");
    assert_eq!(store.report(repeat).await, Ok(Keeping::Repeat(resolved.id)));
    verifies(&*store).await;
}

pub async fn of_too_many_reports_the_oldest_resolved_one_makes_room<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = room_id("lobby");
    for number in 0..REPORTS_PER_ROOM_MAX as usize {
        let reporter = format!("reporter-{}", number / REPORTS_PER_REPORTER_MAX);
        if number == REPORTS_PER_REPORTER_MAX {
            let one_more = report(&room, 5_000, "reporter-0", 5_000, "x");
            assert_eq!(store.report(one_more).await, Ok(Keeping::AuthorFull));
        }
        let one = report(&room, number, &reporter, number as u64 + 1, "x");
        assert_eq!(store.report(one).await, Ok(Keeping::Kept));
    }
    assert_eq!(store.report(report(&room, 5_001, "other", 1, "x")).await, Ok(Keeping::RoomFull));
    for number in [7, 5] {
        let resolution = Resolution { by: user("mod"), at: at(9) };
        assert_eq!(store.resolve_report(&room, &report_id(number), resolution).await, Ok(true));
    }
    assert_eq!(store.report(report(&room, 5_002, "other", 1, "x")).await, Ok(Keeping::Kept));
    let kept = all_reports(&store, &room).await;
    assert_eq!(kept.len(), REPORTS_PER_ROOM_MAX as usize);
    assert!(kept.iter().all(|report| report.id != report_id(5)));
    assert_eq!(kept.iter().filter(|report| report.resolved.is_some()).count(), 1);
    // Whose report was dropped may report again.
    assert_eq!(store.report(report(&room, 5_003, "reporter-0", 6, "x")).await, Ok(Keeping::Kept));
    verifies(&store).await;
}

pub async fn what_is_to_be_reviewed_refuses_on_a_closed_store<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = room_id("lobby");
    store.close().await.unwrap();
    let closed = crate::store::StoreError::Closed;
    assert_eq!(store.hold(held(&room, 1, "alice", "x", Some(key("k").as_str()))).await, Err(closed.clone()));
    assert_eq!(store.held_in(&room, PageRequest::first(1)).await, Err(closed.clone()));
    assert_eq!(store.report(report(&room, 1, "alice", 1, "x")).await, Err(closed.clone()));
    assert_eq!(store.reports_in(&room, PageRequest::first(1)).await, Err(closed));
}

pub async fn what_waits_in_a_room_that_was_deleted_goes_with_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let [gone, kept] =
        [public_room(&store, "attic", "alice").await, public_room(&store, "lobby", "alice").await];
    for room in [&gone, &kept] {
        for number in 0..45 {
            let number = number + 1_000 * usize::from(*room == kept);
            let text = "long ".repeat(1_000);
            assert_eq!(store.hold(held(room, number, "alice", &text, None)).await, Ok(Keeping::Kept));
            let one = report(room, number, "alice", number as u64 + 1, &text);
            assert_eq!(store.report(one).await, Ok(Keeping::Kept));
        }
    }
    done(&store, &gone, &request("alice", 2, Command::DeleteRoom)).await.unwrap();
    for millis in [2, 2 + DELETED_ROOM_GRACE_MS] {
        while store.sweep(at(millis)).await.unwrap() {}
    }
    assert_eq!((all_held(&store, &gone).await, all_reports(&store, &gone).await), (vec![], vec![]));
    assert_eq!((all_held(&store, &kept).await.len(), all_reports(&store, &kept).await.len()), (45, 45));
    verifies(&store).await;
}

pub async fn a_released_message_that_was_cut_counts_for_nobody<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for who in ["author", "bob"] {
        done(&store, &room, &request(who, 1, Command::Join)).await.unwrap();
    }
    let unread = async || {
        let mut unread = Vec::new();
        for who in ["author", "bob"] {
            unread.push(store.overview_of(&user(who), &room).await.unwrap().unwrap().reading.unread);
        }
        unread
    };
    for number in 0..4 {
        let one = held(&room, number, "author", "text", None);
        assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
        done(&store, &room, &request("alice", 5, release(&one))).await.unwrap();
        send(&store, &room, "alice", "unread").await;
    }
    assert_eq!(unread().await, [4, 8]);
    let change = RoomChange { retention_messages: Some(Some(3)), ..RoomChange::default() };
    done(&store, &room, &request("alice", 6, Command::Update(change))).await.unwrap();
    let cut = store.due_cut(&room, at(6)).await.unwrap().unwrap();
    done(&store, &room, &request("alice", 6, Command::Trim(cut))).await.unwrap();
    assert_eq!(unread().await, [2, 3]);
    while store.sweep(at(6)).await.unwrap() {}
    assert_eq!(unread().await, [2, 3]);
    verifies(&store).await;
}

pub async fn a_released_message_counts_for_everybody_but_its_author<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("author", 1, Command::Join)).await.unwrap();
    let reading = async |who: &str| {
        let reading = store.overview_of(&user(who), &room).await.unwrap().unwrap().reading;
        (reading.seq.get(), reading.unread)
    };
    send(&store, &room, "alice", "unread").await;
    for number in 0..UNATTENDED_UNREAD_MAX {
        let one = held(&room, number, "author", "text", None);
        assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
        done(&store, &room, &request("alice", 5, release(&one))).await.unwrap();
    }
    assert_eq!(reading("author").await, (3, 1));
    assert_eq!(reading("alice").await, (4, UNATTENDED_UNREAD_MAX as u64));
    store.mark_read(&user("author"), &room, Seq::new(4)).await.unwrap();
    assert_eq!(reading("author").await, (4, 0));
    send(&store, &room, "alice", "unread").await;
    verifies(&store).await;
    // One more than are counted one by one.
    let one = held(&room, 1_000, "author", "text", None);
    assert_eq!(store.hold(one.clone()).await, Ok(Keeping::Kept));
    let head = store.room(&room).await.unwrap().unwrap().head.get();
    assert_eq!(reading("author").await, (4, 1));
    done(&store, &room, &request("alice", 5, release(&one))).await.unwrap();
    assert_eq!(reading("author").await, (head + 1, 0));
    verifies(&store).await;
}
