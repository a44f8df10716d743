//! The rules of rooms against a model that fits on one screen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_core::{
    domain::{
        Actor, Command, Content, Draft, Emoji, MembersOnly, Outcome, Plan, Rejection, Request, Role, Room,
        RoomKind, RoomSpec, Rows, TextRules,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    time::Timestamp,
};
use proptest::prelude::*;

/// What may be asked, by one of a few users.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Create { private: bool },
    Join,
    Leave,
    Send { key: Option<u8> },
    Reply { to: u64 },
    Edit { of: u64, text: u8 },
    Delete { of: u64 },
    React { to: u64, emoji: u8 },
    Unreact { to: u64, emoji: u8 },
    Pin { of: u64 },
    Unpin { of: u64 },
}

/// A message as it ought to stand.
#[derive(Debug, Default, Clone)]
struct Posted {
    author: u8,
    text: Option<u8>,
    /// The entry of the latest edit, or the message itself.
    text_at: u64,
    deleted_at: Option<u64>,
    pinned_at: Option<u64>,
    reactions: BTreeSet<(u8, u8)>,
}

/// What ought to come of it.
#[derive(Debug, Default, Clone)]
struct Model {
    private: bool,
    head: u64,
    members: BTreeMap<u8, Role>,
    sent: HashMap<(u8, u8), u64>,
    messages: u64,
    posted: BTreeMap<u64, Posted>,
}

#[derive(Debug, PartialEq)]
enum Expected {
    At(u64),
    Repeat(u64),
    Nothing,
    Before(u64),
    Refused(&'static str),
}

impl Model {
    fn ask(&mut self, user: u8, ask: Ask) -> Expected {
        let exists = self.head > 0;
        let role = self.members.get(&user).copied();
        let unseen = !exists || (self.private && role.is_none());
        match ask {
            Ask::Create { .. } if exists => Expected::Refused("conflict"),
            Ask::Create { private } => {
                self.private = private;
                self.members.insert(user, Role::Owner);
                self.append(2)
            }
            _ if unseen => Expected::Refused("not_found"),
            Ask::Join if role.is_some() => Expected::Nothing,
            Ask::Join => {
                self.members.insert(user, Role::Member);
                self.append(1)
            }
            Ask::Leave if role.is_none() => Expected::Nothing,
            Ask::Leave if self.is_last_owner(user) && self.members.len() > 1 => Expected::Refused("conflict"),
            Ask::Leave => {
                self.members.remove(&user);
                self.append(1)
            }
            _ if role.is_none() => Expected::Refused("forbidden"),
            Ask::Send { key } => match key.and_then(|key| self.sent.get(&(user, key))) {
                Some(seq) => Expected::Repeat(*seq),
                None => {
                    let at = self.post(user);
                    key.map(|key| self.sent.insert((user, key), self.head));
                    at
                }
            },
            Ask::Reply { to } if !self.lives(to) => Expected::Refused("not_found"),
            Ask::Reply { .. } => self.post(user),
            Ask::Delete { of } => self.delete(user, role, of),
            Ask::Pin { .. } | Ask::Unpin { .. } if role != Some(Role::Owner) => {
                Expected::Refused("forbidden")
            }
            Ask::Edit { of, .. } | Ask::Pin { of } | Ask::Unpin { of } if !self.lives(of) => {
                Expected::Refused("not_found")
            }
            Ask::React { to, .. } | Ask::Unreact { to, .. } if !self.lives(to) => {
                Expected::Refused("not_found")
            }
            Ask::Edit { of, text } => self.edit(user, of, text),
            Ask::React { to, emoji } => match self.at(to).reactions.insert((user, emoji)) {
                true => self.append(1),
                false => Expected::Nothing,
            },
            Ask::Unreact { to, emoji } => match self.at(to).reactions.remove(&(user, emoji)) {
                true => self.append(1),
                false => Expected::Nothing,
            },
            Ask::Pin { of } => match self.at(of).pinned_at {
                Some(seq) => Expected::Before(seq),
                None => {
                    self.at(of).pinned_at = Some(self.head + 1);
                    self.append(1)
                }
            },
            Ask::Unpin { of } => match self.at(of).pinned_at.take() {
                Some(_) => self.append(1),
                None => Expected::Nothing,
            },
        }
    }

    fn at(&mut self, seq: u64) -> &mut Posted {
        self.posted.get_mut(&seq).unwrap()
    }

    fn lives(&self, seq: u64) -> bool {
        self.posted.get(&seq).is_some_and(|posted| posted.deleted_at.is_none())
    }

    fn post(&mut self, author: u8) -> Expected {
        self.messages += 1;
        let at = self.append(1);
        self.posted.insert(self.head, Posted { author, text_at: self.head, ..Posted::default() });
        at
    }

    fn edit(&mut self, user: u8, of: u64, text: u8) -> Expected {
        let next = self.head + 1;
        let posted = self.at(of);
        match posted.author == user {
            false => Expected::Refused("forbidden"),
            true if posted.text == Some(text) => Expected::Before(posted.text_at),
            true => {
                (posted.text, posted.text_at) = (Some(text), next);
                self.append(1)
            }
        }
    }

    /// The owner deletes what members and people who have left wrote, everybody their own.
    fn delete(&mut self, user: u8, role: Option<Role>, of: u64) -> Expected {
        let Some(posted) = self.posted.get(&of) else { return Expected::Refused("not_found") };
        if posted.author != user && role != Some(Role::Owner) {
            return Expected::Refused("forbidden");
        }
        if let Some(seq) = posted.deleted_at {
            return Expected::Before(seq);
        }
        let (author, deleted_at) = (posted.author, Some(self.head + 1));
        *self.at(of) = Posted { author, deleted_at, ..Posted::default() };
        self.append(1)
    }

    fn is_last_owner(&self, user: u8) -> bool {
        let owners: Vec<_> = self.members.iter().filter(|(_, role)| **role == Role::Owner).collect();
        owners.len() == 1 && *owners[0].0 == user
    }

    fn append(&mut self, entries: u64) -> Expected {
        self.head += entries;
        Expected::At(self.head)
    }
}

fn observed(outcome: &Result<Outcome, Rejection>) -> Expected {
    match outcome {
        Ok(Outcome::Created(seq) | Outcome::Joined(seq) | Outcome::Left(seq) | Outcome::Changed(seq)) => {
            Expected::At(seq.get())
        }
        Ok(Outcome::Sent(sent)) if sent.duplicate => Expected::Repeat(sent.seq.get()),
        Ok(Outcome::Sent(sent)) => Expected::At(sent.seq.get()),
        Ok(Outcome::Unchanged(Some(seq))) => Expected::Before(seq.get()),
        Ok(Outcome::Held { .. }) => panic!("a plan holds nothing"),
        Ok(
            Outcome::AlreadyJoined
            | Outcome::AlreadyLeft
            | Outcome::Unchanged(None)
            | Outcome::Invited { .. }
            | Outcome::Linked { .. }
            | Outcome::Done,
        ) => Expected::Nothing,
        Err(rejection) => Expected::Refused(rejection.code().as_str()),
    }
}

fn request(user: u8, ask: Ask, at: i64) -> Request {
    let command = match ask {
        Ask::Create { private: false } => Command::Create(RoomSpec::public("Room").unwrap()),
        Ask::Create { private: true } => Command::Create(RoomSpec::private("Room").unwrap()),
        Ask::Join => Command::Join,
        Ask::Leave => Command::Leave,
        Ask::Send { key } => {
            let draft = Draft::text("hi").unwrap();
            Command::Send(match key {
                Some(key) => draft.keyed(ClientMessageId::parse(&key.to_string()).unwrap()),
                None => draft,
            })
        }
        Ask::Reply { to } => Command::Send(Draft::text("hi").unwrap().replying(Seq::new(to))),
        Ask::Edit { of, text } => {
            let content = Content::parse(&format!("text {text}"), TextRules::default()).unwrap();
            Command::Edit { target: Seq::new(of), content }
        }
        Ask::Delete { of } => Command::Delete { target: Seq::new(of) },
        Ask::React { to, emoji } => Command::React { target: Seq::new(to), emoji: emoji_of(emoji) },
        Ask::Unreact { to, emoji } => Command::Unreact { target: Seq::new(to), emoji: emoji_of(emoji) },
        Ask::Pin { of } => Command::Pin { target: Seq::new(of) },
        Ask::Unpin { of } => Command::Unpin { target: Seq::new(of) },
    };
    let actor = Actor::new(user_of(user));
    Request { actor, at: Timestamp::from_millis(at), command }
}

fn user_of(number: u8) -> UserId {
    UserId::parse(&format!("user{number}")).unwrap()
}

fn emoji_of(number: u8) -> Emoji {
    Emoji::parse(["👍", "❤", "🎉"][usize::from(number)]).unwrap()
}

fn asks() -> impl Strategy<Value = Vec<Vec<(u8, Ask)>>> {
    let ask = prop_oneof![
        1 => any::<bool>().prop_map(|private| Ask::Create { private }),
        3 => Just(Ask::Join),
        2 => Just(Ask::Leave),
        5 => prop::option::of(0u8..4).prop_map(|key| Ask::Send { key }),
        1 => (1..PLACES).prop_map(|to| Ask::Reply { to }),
        2 => (1..PLACES, 0u8..2).prop_map(|(of, text)| Ask::Edit { of, text }),
        1 => (1..PLACES).prop_map(|of| Ask::Delete { of }),
        3 => (1..PLACES, 0u8..3).prop_map(|(to, emoji)| Ask::React { to, emoji }),
        2 => (1..PLACES, 0u8..3).prop_map(|(to, emoji)| Ask::Unreact { to, emoji }),
        1 => (1..PLACES).prop_map(|of| Ask::Pin { of }),
        1 => (1..PLACES).prop_map(|of| Ask::Unpin { of }),
    ];
    prop::collection::vec(prop::collection::vec((0u8..4, ask), 1..8), 1..12)
}

/// Messages up to this place have things done to them.
const PLACES: u64 = 16;

proptest! {
    /// Batches of any size: each request is decided on top of those before it, stored or only planned.
    #[test]
    fn every_request_comes_to_what_the_model_says(batches in asks()) {
        let mut model = Model::default();
        let mut room = Room::unborn(RoomId::parse("room").unwrap());
        // All rows at once: a plan sees the same as if they were gathered.
        let targets = (1..PLACES).map(|seq| (Seq::new(seq), None)).collect();
        let mut rows = Rows { targets, pins: Some(0), ..Rows::default() };
        let mut log = Vec::new();
        for (at, batch) in batches.into_iter().enumerate() {
            let mut gathered = rows.clone();
            for (user, _) in &batch {
                gathered.members.entry(user_of(*user)).or_default();
            }
            rows = gathered.clone();
            let mut plan = Plan::on(&room, gathered, &MembersOnly, TextRules::default());
            for (user, ask) in batch {
                let outcome = plan.decide(&request(user, ask, at as i64));
                prop_assert_eq!(observed(&outcome), model.ask(user, ask));
            }
            let planned_on = room.head;
            if let Some(commit) = plan.into_commit() {
                prop_assert_eq!(commit.after, planned_on);
                for entry in &commit.entries {
                    prop_assert!(room.apply(entry), "entries are dense");
                    rows.apply(entry);
                }
                prop_assert_eq!(&room, &commit.room, "what was planned is what applying gives");
                log.extend(commit.entries);
            }
        }
        prop_assert_eq!(room.head.get(), model.head);
        prop_assert_eq!(room.messages, model.messages);
        prop_assert_eq!(room.members as usize, model.members.len());
        for (seq, posted) in model.posted.range(..PLACES) {
            let message = rows.target(Seq::new(*seq)).and_then(|entry| entry.message()).unwrap();
            let text = match (posted.deleted_at, posted.text) {
                (Some(_), _) => String::new(),
                (None, Some(text)) => format!("text {text}"),
                (None, None) => "hi".to_owned(),
            };
            prop_assert_eq!(message.content.as_str(), text);
            prop_assert_eq!(message.deleted.as_ref().map(|deleted| deleted.seq.get()), posted.deleted_at);
            prop_assert_eq!(message.pinned.map(Seq::get), posted.pinned_at);
            let reactions = message.reactions.iter().flat_map(|reaction| {
                assert_eq!(reaction.count as usize, reaction.users.len());
                reaction.users.iter().map(|user| (user.clone(), reaction.emoji.clone()))
            });
            let expected = posted.reactions.iter().map(|(user, emoji)| (user_of(*user), emoji_of(*emoji)));
            prop_assert_eq!(reactions.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
        }
        let pinned = model.posted.range(..PLACES).filter(|(_, posted)| posted.pinned_at.is_some()).count();
        prop_assert_eq!(rows.pins, Some(pinned as u32));
        prop_assert_eq!(room.exists() && room.kind == RoomKind::Private, model.head > 0 && model.private);

        let mut replayed = Room::unborn(room.id.clone());
        for entry in log.iter().chain(&log) {
            replayed.apply(entry);
        }
        prop_assert_eq!(replayed, room, "the log alone tells the state, and a replay that overlaps is harmless");
    }
}

#[test]
fn an_entry_further_ahead_than_the_next_is_not_applied() {
    let mut room = Room::unborn(RoomId::parse("room").unwrap());
    let mut plan = Plan::on(&room, Rows::default(), &MembersOnly, TextRules::default());
    plan.decide(&request(1, Ask::Create { private: false }, 0)).unwrap();
    let commit = plan.into_commit().unwrap();
    assert!(!room.apply(&commit.entries[1]));
    assert_eq!(room.head, Seq::ZERO);
}
