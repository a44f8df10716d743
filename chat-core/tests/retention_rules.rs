//! The rules of cutting a room, without a store: what a plan does with a cut, and what moves with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use chat_core::{
    domain::{
        Actor, AuditAct, Change, Command, Commit, Content, Cut, Draft, Emoji, Entry, MembersOnly, Needs,
        Outcome, Plan, Rejection, Request, Retention, Room, RoomChange, RoomSpec, RowChange, Rows, TextRules,
    },
    id::{RoomId, Seq, UserId},
    time::Timestamp,
};

fn request(actor: &str, command: Command) -> Request {
    let user = if actor.is_empty() { UserId::nobody() } else { UserId::parse(actor).unwrap() };
    Request { actor: Actor::new(user), at: Timestamp::from_millis(9), command }
}

fn send(text: &str) -> Command {
    Command::Send(Draft::text(text).unwrap())
}

fn keep(messages: Option<u32>) -> Command {
    Command::Update(RoomChange { retention_messages: Some(messages), ..RoomChange::default() })
}

fn cut(kept: u32, first: u64, trimmed: u64) -> Command {
    let retention = Retention { days: None, messages: Some(kept) };
    Command::Trim(Cut { retention, first: Seq::new(first), trimmed })
}

/// Everything that these requests come to in one batch, on a room that is to be created by the first of them.
fn planned(requests: &[Request]) -> (Vec<Result<Outcome, Rejection>>, Commit) {
    let mut needs = Needs::default();
    requests.iter().for_each(|request| needs.add(request));
    let rows = Rows {
        members: HashMap::from([(UserId::parse("alice").unwrap(), None)]),
        targets: needs.targets.iter().map(|target| (*target, None)).collect(),
        pins: Some(0),
        ..Rows::default()
    };
    let unborn = Room::unborn(RoomId::parse("lobby").unwrap());
    let mut plan = Plan::on(&unborn, rows, &MembersOnly, TextRules::default());
    let outcomes = requests.iter().map(|request| plan.decide(request)).collect();
    (outcomes, plan.into_commit().unwrap())
}

fn by_alice(commands: Vec<Command>) -> Vec<Request> {
    let create = Command::Create(RoomSpec::private("Lobby").unwrap());
    [create].into_iter().chain(commands).map(|command| request("alice", command)).collect()
}

#[test]
fn a_cut_is_an_entry_by_nobody_and_a_row_to_sweep() {
    let mut requests = by_alice(vec![send("1"), send("2"), keep(Some(1))]);
    requests.push(request("", cut(1, 4, 1)));
    let (outcomes, commit) = planned(&requests);
    assert_eq!(outcomes[4], Ok(Outcome::Changed(Seq::new(6))));
    let Commit { room, entries, rows, .. } = commit;
    assert_eq!((room.first, room.trimmed, room.messages, room.head), (Seq::new(4), 1, 2, Seq::new(6)));
    let last = entries.last().unwrap();
    assert_eq!((&last.actor, last.cuts()), (&UserId::nobody(), Some(Seq::new(4))));
    assert!(matches!(&last.change, Change::Describe(told) if **told == room));
    assert_eq!(rows.iter().filter(|row| **row == RowChange::Trim).count(), 1);
    assert_eq!(rows.iter().filter(|row| **row == RowChange::PutRetention).count(), 1);
    let acts = rows.iter().filter_map(|row| match row {
        RowChange::Audit(note) => Some(note.act),
        _ => None,
    });
    assert_eq!(acts.collect::<Vec<_>>(), [AuditAct::SetRetention], "the cut itself is nobody's act");
    let mut replayed = Room::unborn(room.id.clone());
    assert!(entries.iter().all(|entry| replayed.apply(entry)));
    assert_eq!(replayed, room);
}

#[test]
fn a_cut_under_another_retention_and_one_that_is_no_news_change_nothing() {
    let setup = || by_alice(vec![send("1"), send("2"), send("3"), keep(Some(1))]);
    for (what, cuts, changed) in [
        ("another bound", vec![cut(2, 4, 1)], 0),
        ("the same twice", vec![cut(1, 4, 1), cut(1, 4, 1)], 1),
        ("a shorter one after a longer", vec![cut(1, 5, 2), cut(1, 4, 1)], 1),
        ("a longer one after a shorter", vec![cut(1, 4, 1), cut(1, 5, 2)], 2),
        ("beyond the head", vec![cut(1, 9, 3)], 0),
        ("more messages than there are", vec![cut(1, 7, 4)], 0),
        ("nothing", vec![cut(1, 1, 0)], 0),
        ("after it was taken away", vec![keep(None), cut(1, 4, 1)], 1),
    ] {
        let mut requests = setup();
        requests.extend(cuts.into_iter().map(|command| request("alice", command)));
        let (outcomes, commit) = planned(&requests);
        let done = outcomes[5..].iter().filter(|outcome| matches!(outcome, Ok(Outcome::Changed(_)))).count();
        assert_eq!(done, changed, "{what}");
        assert_eq!(commit.entries.len(), 6 + changed, "{what}");
    }
    let (outcomes, _) = planned(&[request("", cut(1, 2, 1))].into_iter().chain(setup()).collect::<Vec<_>>());
    assert_eq!(outcomes[0], Err(Rejection::NO_ROOM));
}

#[test]
fn what_comes_in_the_same_batch_as_a_cut_finds_nothing_before_it() {
    let gone = Seq::new(3);
    let content = Content::parse("x", TextRules::default()).unwrap();
    let emoji = Emoji::parse("👍").unwrap();
    for late in [
        Command::Edit { target: gone, content },
        Command::Delete { target: gone },
        Command::React { target: gone, emoji: emoji.clone() },
        Command::Unreact { target: gone, emoji },
        Command::Pin { target: gone },
        Command::Unpin { target: gone },
        Command::Send(Draft::text("x").unwrap().replying(gone)),
        Command::Send(Draft::text("x").unwrap().in_thread(gone)),
        // A reply of which the root is gone begins no thread and goes on with none.
        Command::Send(Draft::text("x").unwrap().in_thread(Seq::new(4))),
    ] {
        let reply = Command::Send(Draft::text("reply").unwrap().in_thread(gone));
        let requests =
            by_alice(vec![send("canary"), reply, keep(Some(1)), cut(1, 4, 1), late.clone(), send("more")]);
        let (outcomes, commit) = planned(&requests);
        assert_eq!(outcomes[5], Err(Rejection::NO_MESSAGE), "{late:?}");
        assert_eq!(outcomes[6].as_ref().map(|_| ()), Ok(()));
        assert_eq!(commit.room.messages, 3);
    }
}

#[test]
fn a_repeat_of_what_was_cut_is_a_repeat() {
    let keyed = || {
        let key = chat_core::id::ClientMessageId::parse("k").unwrap();
        Command::Send(Draft::text("once").unwrap().keyed(key))
    };
    let (outcomes, commit) =
        planned(&by_alice(vec![keyed(), send("2"), keep(Some(1)), cut(1, 4, 1), keyed()]));
    assert!(matches!(outcomes[5], Ok(Outcome::Sent(sent)) if sent.duplicate && sent.seq == Seq::new(3)));
    assert_eq!(commit.room.messages, 2);
}

#[test]
fn an_edit_that_is_told_after_a_cut_of_its_message_has_no_text() {
    let edit = |target| {
        let content = Content::parse("canary", TextRules::default()).unwrap();
        Command::Edit { target, content }
    };
    let (_, commit) = planned(&by_alice(vec![
        send("1"),
        send("2"),
        edit(Seq::new(3)),
        edit(Seq::new(4)),
        keep(Some(1)),
        cut(1, 4, 1),
    ]));
    let cut = commit.entries.last().unwrap();
    let told = |number: usize| {
        let mut entry: Entry = commit.entries[number - 1].clone();
        assert_eq!(entry.is_told_anew_after(cut), entry.take_in(cut));
        match entry.change {
            Change::Edit { content, .. } => content.as_str().to_owned(),
            _ => "no edit".to_owned(),
        }
    };
    assert!(cut.changes_earlier());
    assert_eq!([told(5), told(6), told(4)], ["", "canary", "no edit"]);
}

#[test]
fn nobody_sees_what_was_cut_and_history_hides_no_less_for_it() {
    let (_, commit) = planned(&by_alice(vec![send("1"), send("2"), keep(Some(1)), cut(1, 4, 1)]));
    let room = commit.room;
    let joined = Seq::new(9);
    assert_eq!((room.hidden_from(None), room.hidden_until(joined)), (Seq::new(3), Seq::new(3)));
    let since = Room { history: chat_core::domain::History::SinceJoin, ..room };
    assert_eq!((since.hidden_from(None), since.hidden_until(joined)), (Seq::new(3), Seq::new(8)));
    assert_eq!(since.hidden_until(Seq::new(2)), Seq::new(3));
    assert_eq!(since.hidden_by_history(Seq::new(2)), Seq::new(1));
    let whole = Room::unborn(since.id);
    assert_eq!(whole.hidden_until(joined), Seq::ZERO);
}
