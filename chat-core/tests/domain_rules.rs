//! The rules of rooms against a model that fits on one screen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};

use chat_core::{
    domain::{
        Actor, Command, Draft, MembersOnly, Outcome, Plan, Rejection, Request, Role, Room, RoomKind,
        RoomSpec, Rows, TextRules,
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
}

/// What ought to come of it.
#[derive(Debug, Default, Clone)]
struct Model {
    private: bool,
    head: u64,
    members: BTreeMap<u8, Role>,
    sent: HashMap<(u8, u8), u64>,
    messages: u64,
}

#[derive(Debug, PartialEq)]
enum Expected {
    At(u64),
    Repeat(u64),
    Nothing,
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
            Ask::Send { .. } if role.is_none() => Expected::Refused("forbidden"),
            Ask::Send { key } => match key.and_then(|key| self.sent.get(&(user, key))) {
                Some(seq) => Expected::Repeat(*seq),
                None => {
                    self.messages += 1;
                    let at = self.append(1);
                    key.map(|key| self.sent.insert((user, key), self.head));
                    at
                }
            },
        }
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
        Ok(Outcome::AlreadyJoined | Outcome::AlreadyLeft | Outcome::Unchanged(_)) => Expected::Nothing,
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
    };
    let actor = Actor::new(UserId::parse(&format!("user{user}")).unwrap());
    Request { actor, at: Timestamp::from_millis(at), command }
}

fn asks() -> impl Strategy<Value = Vec<Vec<(u8, Ask)>>> {
    let ask = prop_oneof![
        1 => any::<bool>().prop_map(|private| Ask::Create { private }),
        3 => Just(Ask::Join),
        2 => Just(Ask::Leave),
        5 => prop::option::of(0u8..4).prop_map(|key| Ask::Send { key }),
    ];
    prop::collection::vec(prop::collection::vec((0u8..4, ask), 1..8), 1..12)
}

proptest! {
    /// Batches of any size: each request is decided on top of those before it, stored or only planned.
    #[test]
    fn every_request_comes_to_what_the_model_says(batches in asks()) {
        let mut model = Model::default();
        let mut room = Room::unborn(RoomId::parse("room").unwrap());
        // All rows at once: a plan sees the same as if they were gathered.
        let mut rows = Rows::default();
        let mut log = Vec::new();
        for (at, batch) in batches.into_iter().enumerate() {
            let mut gathered = rows.clone();
            for (user, _) in &batch {
                gathered.members.entry(UserId::parse(&format!("user{user}")).unwrap()).or_default();
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
