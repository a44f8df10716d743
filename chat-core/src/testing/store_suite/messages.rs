//! What is done to messages that stand in the log.
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{at, done, draft, log, page, planned, public_room, request, send, texts, user, verifies};
use crate::{
    domain::{
        Attachment, Attachments, Change, Command, Content, Draft, Emoji, Entry, Message, MessageType, Needs,
        Outcome, Request, TextRules,
    },
    id::{RoomId, Seq},
    limits::{EDITS_KEPT_MAX, REACTION_USERS_MAX, REACTIONS_DELETED_AT_ONCE},
    store::{MessageQuery, Place, Store},
};

fn content(text: &str) -> Content {
    Content::parse(text, TextRules { content_chars: 100_000 }).unwrap()
}

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

async fn edit<S: Store>(store: &S, room: &RoomId, target: Seq, text: &str) {
    let command = Command::Edit { target, content: content(text) };
    done(store, room, &request("alice", 2, command)).await.unwrap();
}

async fn act<S: Store>(store: &S, room: &RoomId, actor: &str, command: Command) {
    match done(store, room, &request(actor, 3, command)).await.unwrap() {
        Outcome::Changed(_) | Outcome::Joined(_) => {}
        other => panic!("it came to {other:?}"),
    }
}

/// Commits requests together.
async fn together<S: Store>(store: &S, room: &RoomId, requests: &[Request]) {
    let (_, commit) = planned(store, room, requests).await.unwrap();
    store.commit(commit.unwrap()).await.unwrap();
}

async fn message<S: Store>(store: &S, room: &RoomId, seq: Seq) -> Message {
    let page = page(store, room, Place::Around(seq), 1).await;
    assert_eq!(page.messages[0].seq, seq);
    page.messages[0].message().unwrap().clone()
}

pub async fn a_message_is_told_as_it_stands_by_old_entries_too<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let (long, longer) = ("l".repeat(20_000), "m".repeat(30_000));
    let first = send(&store, &room, "alice", &long).await;
    let reply = draft("r", None);
    let Command::Send(reply) = reply else { unreachable!() };
    done(&store, &room, &request("alice", 1, Command::Send(reply.replying(first)))).await.unwrap();
    for text in ["short", &longer, &long, "last"] {
        edit(&store, &room, first, text).await;
        let entries = log(&store, &room).await;
        let told: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.change {
                Change::Edit { content, .. } => Some(content.as_str()),
                Change::Send(message) if entry.seq == first => Some(message.content.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(told, vec![text; told.len()], "an edit is told with the text that its message has now");
        assert_eq!(message(&store, &room, first).await.content.as_str(), text);
    }
    let stands = message(&store, &room, first).await;
    assert_eq!(stands.edited.map(|edited| (edited.seq, edited.at)), Some((Seq::new(8), at(2))));
    assert_eq!(message(&store, &room, Seq::new(4)).await.reply_to, Some(first));
    verifies(&store).await;
}

pub async fn after_a_deletion_no_read_gives_what_was_deleted<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let long = format!("canary{}", "x".repeat(20_000));
    let target = send(&store, &room, "alice", &long).await;
    edit(&store, &room, target, "canary").await;
    edit(&store, &room, target, &long).await;
    act(&store, &room, "alice", Command::React { target, emoji: emoji("👍") }).await;
    act(&store, &room, "alice", Command::Pin { target }).await;
    act(&store, &room, "alice", Command::Delete { target }).await;
    let stands = message(&store, &room, target).await;
    assert_eq!((stands.content.as_str(), stands.pinned, stands.reactions.len()), ("", None, 0));
    let deleted = stands.deleted.unwrap();
    assert_eq!((deleted.seq, deleted.at, deleted.by), (Seq::new(8), at(3), user("alice")));
    let entries = log(&store, &room).await;
    assert!(texts(&entries).iter().all(|text| text.is_empty()));
    let edits = entries.iter().filter_map(|entry| match &entry.change {
        Change::Edit { content, .. } => Some(content.as_str()),
        _ => None,
    });
    assert_eq!(edits.collect::<Vec<_>>(), ["", ""]);
    assert!(store.former_texts(&room, target, usize::MAX).await.unwrap().items.is_empty());
    assert!(store.pins(&room, Seq::MAX, Seq::ZERO, usize::MAX).await.unwrap().messages.is_empty());
    let needs = Needs {
        targets: vec![target],
        reacted: vec![(target, emoji("👍"), user("alice"))],
        pins: true,
        ..Needs::default()
    };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.target(target).and_then(Entry::message).unwrap().content.as_str(), "");
    assert!(rows.reacted.is_empty());
    assert_eq!(rows.pins, Some(0));
    verifies(&store).await;
}

pub async fn former_texts_come_oldest_first_and_the_newest_are_kept<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let target = send(&store, &room, "alice", "text 0").await;
    let other = send(&store, &room, "alice", "other").await;
    assert!(store.former_texts(&room, target, usize::MAX).await.unwrap().items.is_empty());
    let count = EDITS_KEPT_MAX + 5;
    for number in 1..=count {
        edit(&store, &room, target, &format!("text {number}")).await;
    }
    let former = store.former_texts(&room, target, usize::MAX).await.unwrap();
    let found: Vec<_> = former.items.iter().map(|item| item.content.as_str().to_owned()).collect();
    let expected: Vec<_> = (count - EDITS_KEPT_MAX..count).map(|number| format!("text {number}")).collect();
    assert_eq!(found, expected);
    assert!(!former.more_before);
    assert!(store.former_texts(&room, other, usize::MAX).await.unwrap().items.is_empty());
    assert!(store.former_texts(&room, Seq::new(1), usize::MAX).await.unwrap().items.is_empty());
    let once = store.former_texts(&room, target, usize::MAX).await.unwrap().items.remove(0);
    assert_eq!((once.written_at, once.replaced_at), (at(2), at(2)));
    verifies(&store).await;
}

pub async fn former_texts_end_early_at_the_byte_limit_but_never_empty<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let target = send(&store, &room, "alice", &"a".repeat(20_000)).await;
    for text in ["b", "c", "d"] {
        edit(&store, &room, target, &text.repeat(20_000)).await;
    }
    for (bytes, count) in [(1, 1), (20_000, 1), (40_000, 2), (59_999, 2), (60_000, 3)] {
        let former = store.former_texts(&room, target, bytes).await.unwrap();
        assert_eq!((former.items.len(), former.more_before), (count, count < 3), "{bytes}");
        assert_eq!(former.items.last().unwrap().content.as_str(), "c".repeat(20_000));
    }
}

pub async fn reactions_are_counted_and_come_in_the_order_of_their_coming<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let target = send(&store, &room, "alice", "x").await;
    let people = REACTION_USERS_MAX + 3;
    let names: Vec<_> = (0..people).map(|number| format!("user{number:02}")).collect();
    for name in &names {
        act(&store, &room, name, Command::Join).await;
    }
    let (up, heart) = (emoji("👍"), emoji("❤️"));
    let requests: Vec<_> = names
        .iter()
        .map(|name| request(name, 3, Command::React { target, emoji: up.clone() }))
        .chain([request("user05", 3, Command::React { target, emoji: heart.clone() })])
        .collect();
    together(&store, &room, &requests).await;
    let seen = message(&store, &room, target).await.reactions;
    let listed: Vec<_> = seen.iter().map(|it| (it.emoji.as_str(), it.count, it.users.len())).collect();
    assert_eq!(listed, [("👍", people as u32, REACTION_USERS_MAX), ("❤️", 1, 1)]);
    assert_eq!(seen[0].users[..2], [user("user00"), user("user01")]);
    let takes_back = |name: &String| request(name, 3, Command::Unreact { target, emoji: up.clone() });
    together(&store, &room, &names.iter().map(takes_back).collect::<Vec<_>>()).await;
    let seen = message(&store, &room, target).await.reactions;
    assert_eq!(seen.iter().map(|it| it.emoji.as_str()).collect::<Vec<_>>(), ["❤️"]);
    verifies(&store).await;
}

pub async fn a_crowd_that_reacted_is_forgotten_with_the_message<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let target = send(&store, &room, "alice", "x").await;
    let names: Vec<_> = (0..REACTIONS_DELETED_AT_ONCE + 30).map(|number| format!("user{number}")).collect();
    for names in names.chunks(50) {
        let join = names.iter().map(|name| request(name, 2, Command::Join));
        let react = names.iter().map(|name| request(name, 3, Command::React { target, emoji: emoji("👍") }));
        together(&store, &room, &join.chain(react).collect::<Vec<_>>()).await;
    }
    verifies(&store).await;
    act(&store, &room, "alice", Command::Delete { target }).await;
    assert!(message(&store, &room, target).await.reactions.is_empty());
    verifies(&store).await;
    while store.sweep(at(0)).await.unwrap() {}
    verifies(&store).await;
    let reacted = names.iter().map(|name| (target, emoji("👍"), user(name))).collect();
    let rows = store.gather(&room, &Needs { reacted, ..Needs::default() }).await.unwrap();
    assert!(rows.reacted.is_empty());
}

pub async fn pins_come_in_the_order_of_their_messages<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let mut sent = Vec::new();
    for text in ["a", "b", "c", "d"] {
        sent.push(send(&store, &room, "alice", &text.repeat(10)).await);
    }
    for index in [3, 0, 2, 1] {
        act(&store, &room, "alice", Command::Pin { target: sent[index] }).await;
    }
    act(&store, &room, "alice", Command::Unpin { target: sent[1] }).await;
    let seqs = async |before: Seq, hidden: Seq, bytes: usize| {
        let page = store.pins(&room, before, hidden, bytes).await.unwrap();
        let seqs: Vec<_> = page.messages.iter().map(|entry| entry.seq).collect();
        (seqs, page.more_before, page.more_after)
    };
    let (a, c, d) = (sent[0], sent[2], sent[3]);
    assert_eq!(seqs(Seq::MAX, Seq::ZERO, usize::MAX).await, (vec![a, c, d], false, false));
    assert_eq!(seqs(d, Seq::ZERO, usize::MAX).await, (vec![a, c], false, true));
    assert_eq!(seqs(Seq::MAX, a, usize::MAX).await, (vec![c, d], false, false));
    assert_eq!(seqs(Seq::MAX, Seq::ZERO, 20).await, (vec![c, d], true, false));
    assert_eq!(seqs(Seq::MAX, Seq::ZERO, 1).await, (vec![d], true, false));
    let page = store.pins(&room, Seq::MAX, Seq::ZERO, usize::MAX).await.unwrap();
    assert!(page.messages.iter().all(|entry| entry.message().unwrap().pinned.is_some()));
    verifies(&store).await;
}

pub async fn what_planning_needs_of_messages_is_gathered<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    act(&store, &room, "bob", Command::Join).await;
    let target = send(&store, &room, "bob", "x").await;
    act(&store, &room, "alice", Command::React { target, emoji: emoji("👍") }).await;
    act(&store, &room, "alice", Command::Pin { target }).await;
    let needs = Needs {
        targets: vec![target, Seq::new(1), Seq::new(99), Seq::ZERO],
        reacted: vec![(target, emoji("👍"), user("alice")), (target, emoji("👍"), user("bob"))],
        pins: true,
        ..Needs::default()
    };
    let rows = store.gather(&room, &needs).await.unwrap();
    let found = rows.target(target).unwrap();
    assert_eq!(found.actor, user("bob"));
    assert_eq!(found.message().unwrap().count(&emoji("👍")), 1);
    assert!(rows.member(&user("bob")).is_some(), "the author's membership comes along");
    for other in [Seq::new(1), Seq::new(99), Seq::ZERO] {
        assert_eq!(rows.targets.get(&other), Some(&None), "{other} is no message");
    }
    assert!(rows.has_reacted(target, &emoji("👍"), &user("alice")));
    assert!(!rows.has_reacted(target, &emoji("👍"), &user("bob")));
    assert_eq!(rows.pins, Some(1));
    done(&store, &room, &request("bob", 4, Command::Leave)).await.unwrap();
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.members.get(&user("bob")), Some(&None));
}

async fn reply<S: Store>(store: &S, room: &RoomId, millis: i64, of: Seq, text: &str) -> Seq {
    let Command::Send(draft) = draft(text, None) else { unreachable!() };
    match done(store, room, &request("alice", millis, Command::Send(draft.in_thread(of)))).await.unwrap() {
        Outcome::Sent(sent) => sent.seq,
        other => panic!("replying came to {other:?}"),
    }
}

pub async fn a_thread_comes_in_pages_in_the_order_of_its_replies<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let root = send(&store, &room, "alice", "root").await;
    let other = send(&store, &room, "alice", "other").await;
    let mut replies = Vec::new();
    for number in 0..5 {
        let of = replies.last().copied().unwrap_or(root);
        replies.push(reply(&store, &room, 2, of, &format!("reply {number}")).await);
        send(&store, &room, "alice", "between").await;
        reply(&store, &room, 2, other, "elsewhere").await;
    }
    act(&store, &room, "alice", Command::Delete { target: replies[1] }).await;
    let seqs = async |place: Place, limit: usize, hidden_until: Seq, max_bytes: usize| {
        let query = MessageQuery { place, limit, hidden_until, max_bytes };
        let page = store.thread(&room, root, query).await.unwrap();
        let seqs: Vec<_> = page.messages.iter().map(|entry| entry.seq).collect();
        (seqs, page.more_before, page.more_after)
    };
    let (all, none) = (usize::MAX, Seq::ZERO);
    assert_eq!(seqs(Place::Latest, 9, none, all).await, (replies.clone(), false, false));
    assert_eq!(seqs(Place::Latest, 2, none, all).await, (replies[3..].to_vec(), true, false));
    assert_eq!(seqs(Place::Latest, 9, none, 1).await, (replies[4..].to_vec(), true, false));
    assert_eq!(seqs(Place::Latest, 9, replies[2], all).await, (replies[3..].to_vec(), false, false));
    assert_eq!(seqs(Place::Before(replies[3]), 2, none, all).await, (replies[1..3].to_vec(), true, true));
    assert_eq!(seqs(Place::Before(root), 2, none, all).await, (vec![], false, true));
    assert_eq!(seqs(Place::After(replies[0]), 2, none, all).await, (replies[1..3].to_vec(), true, true));
    assert_eq!(seqs(Place::After(replies[3]), 9, none, all).await, (replies[4..].to_vec(), true, false));
    assert_eq!(seqs(Place::Around(replies[3]), 9, none, all).await, (replies[3..].to_vec(), true, false));
    let query = MessageQuery { place: Place::Latest, limit: 9, hidden_until: none, max_bytes: all };
    let page = store.thread(&room, root, query).await.unwrap();
    assert_eq!(texts(&page.messages), ["reply 0", "", "reply 2", "reply 3", "reply 4"]);
    verifies(&store).await;
}

pub async fn a_root_knows_how_many_replies_stand_and_when_the_last_was_sent<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let root = send(&store, &room, "alice", "root").await;
    let stands = async || {
        let replies = message(&store, &room, root).await.replies;
        (replies.count, replies.last_at)
    };
    assert_eq!(stands().await, (0, None));
    let mut replies = Vec::new();
    for millis in 10..15 {
        replies.push(reply(&store, &room, millis, root, "x").await);
    }
    assert_eq!(stands().await, (5, Some(at(14))));
    act(&store, &room, "alice", Command::Delete { target: replies[2] }).await;
    assert_eq!(stands().await, (4, Some(at(14))));
    let delete = |target: Seq| request("alice", 20, Command::Delete { target });
    together(&store, &room, &[delete(replies[4]), delete(replies[3])]).await;
    assert_eq!(stands().await, (2, Some(at(11))));
    let Command::Send(late) = draft("x", None) else { unreachable!() };
    let late = request("alice", 30, Command::Send(late.in_thread(root)));
    together(&store, &room, &[delete(replies[1]), late, delete(replies[0])]).await;
    assert_eq!(stands().await, (1, Some(at(30))));
    act(&store, &room, "alice", Command::Delete { target: root }).await;
    let left = log(&store, &room).await.last().unwrap().seq;
    assert_eq!(stands().await, (1, Some(at(30))), "the replies stay");
    act(&store, &room, "alice", Command::Delete { target: left.previous().previous() }).await;
    assert_eq!(stands().await, (0, None));
    verifies(&store).await;
}

pub async fn files_come_with_their_message_and_go_with_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let file = |number: u32| Attachment {
        file_id: format!("file-{number}"),
        name: "ü".repeat(255),
        mime: "image/png".to_owned(),
        size: 5 << 20,
        url: format!("/{}", "u".repeat(999)),
        width: Some(number),
        height: None,
    };
    let files = Attachments::parse((0..10).map(file).collect()).unwrap();
    let bytes = files.bytes();
    let draft = Draft::new(Content::gone()).with(MessageType::Image, files.clone());
    let Outcome::Sent(sent) = done(&store, &room, &request("alice", 1, Command::Send(draft))).await.unwrap()
    else {
        panic!("it was not sent")
    };
    let other = send(&store, &room, "alice", "x").await;
    let stands = message(&store, &room, sent.seq).await;
    assert_eq!((&stands.attachments, stands.message_type), (&files, MessageType::Image));
    assert_eq!(log(&store, &room).await[2].message(), Some(&stands));
    let needs = Needs { targets: vec![sent.seq], ..Needs::default() };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.target(sent.seq).and_then(Entry::message), Some(&stands));
    let query =
        |max_bytes| MessageQuery { place: Place::Latest, limit: 9, hidden_until: Seq::ZERO, max_bytes };
    let full = store.messages(&room, query(bytes)).await.unwrap();
    assert_eq!(
        full.messages.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [other],
        "files count as text"
    );
    verifies(&store).await;
    act(&store, &room, "alice", Command::Delete { target: sent.seq }).await;
    let stands = message(&store, &room, sent.seq).await;
    assert_eq!((stands.attachments.len(), stands.message_type), (0, MessageType::Image));
    assert!(log(&store, &room).await[2].message().unwrap().attachments.is_empty());
    verifies(&store).await;
}
