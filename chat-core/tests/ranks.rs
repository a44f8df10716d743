//! Who may do what to whom, against a table that fits on one screen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    domain::{
        Actor, Command, MembersOnly, Moderation, Outcome, Plan, Rejection, Request, Role, Room, RoomSpec,
        Rows, TextRules,
    },
    id::{RoomId, UserId},
    time::Timestamp,
};
use proptest::prelude::*;

const ROLES: [Role; 4] = [Role::Member, Role::Moderator, Role::Admin, Role::Owner];

#[derive(Debug, Clone, Copy)]
enum Ask {
    Join,
    Leave,
    SetRole(Role),
    Kick,
    Ban,
    Unban,
    Mute,
    Unmute,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Done,
    Nothing,
    Refused(&'static str),
}

/// Roles by user, and who is banned or muted.
#[derive(Debug, Default)]
struct Model {
    roles: BTreeMap<u8, Role>,
    banned: BTreeSet<u8>,
    muted: BTreeSet<u8>,
    /// Whether everybody had left once: who comes then is no owner.
    abandoned: bool,
}

use Expected::{Done, Nothing, Refused};

impl Model {
    fn ask(&mut self, actor: u8, target: u8, ask: Ask) -> Expected {
        let own = self.roles.get(&actor).copied();
        let its = self.roles.get(&target).copied();
        let changed = |changed: bool| if changed { Done } else { Nothing };
        match ask {
            Ask::Join if own.is_some() => return Nothing,
            Ask::Join if self.banned.contains(&actor) => return Refused("forbidden"),
            Ask::Join => {
                self.roles.insert(actor, Role::Member);
                return Done;
            }
            Ask::Leave if own.is_none() => return Nothing,
            Ask::Leave if self.is_last_owner(actor) && self.roles.len() > 1 => return Refused("conflict"),
            Ask::Leave => {
                self.roles.remove(&actor);
                self.abandoned |= self.roles.is_empty();
                return Done;
            }
            _ => {}
        }
        let Some(own) = own else { return Refused("forbidden") };
        if let (true, Ask::SetRole(role)) = (actor == target, ask) {
            return match role {
                role if role > own => Refused("forbidden"),
                role if role < own && self.is_last_owner(actor) => Refused("conflict"),
                role => changed(self.roles.insert(actor, role) != Some(role)),
            };
        }
        let least = if matches!(ask, Ask::SetRole(_)) { Role::Admin } else { Role::Moderator };
        let acts_on_member = matches!(ask, Ask::SetRole(_) | Ask::Kick | Ask::Mute | Ask::Unmute);
        match (ask, its) {
            _ if actor == target => Refused("forbidden"),
            _ if own < least => Refused("forbidden"),
            (_, None) if acts_on_member => Refused("not_found"),
            (Ask::Ban, None) => changed(self.banned.insert(target)),
            (Ask::Unban, _) => changed(self.banned.remove(&target)),
            (_, Some(its)) if its >= own => Refused("forbidden"),
            (Ask::SetRole(role), _) if role >= own && own != Role::Owner => Refused("forbidden"),
            (Ask::SetRole(role), _) => changed(self.roles.insert(target, role) != Some(role)),
            (Ask::Kick, _) => changed(self.roles.remove(&target).is_some()),
            (Ask::Ban, _) => changed(self.roles.remove(&target).is_some() && self.banned.insert(target)),
            (Ask::Mute, _) => changed(self.muted.insert(target)),
            (Ask::Unmute, _) => changed(self.muted.remove(&target)),
            (Ask::Join | Ask::Leave, _) => unreachable!("answered above"),
        }
    }

    fn is_last_owner(&self, user: u8) -> bool {
        let owners: Vec<_> = self.roles.iter().filter(|(_, role)| **role == Role::Owner).collect();
        owners.len() == 1 && *owners[0].0 == user
    }
}

fn user(number: u8) -> UserId {
    UserId::parse(&format!("user{number}")).unwrap()
}

fn request(actor: u8, target: u8, ask: Ask) -> Request {
    let target = user(target);
    let command = match ask {
        Ask::Join => Command::Join,
        Ask::Leave => Command::Leave,
        Ask::SetRole(role) => Command::Moderate(Moderation::set_role(target, role)),
        Ask::Kick => Command::Moderate(Moderation::kick(target)),
        Ask::Ban => Command::Moderate(Moderation::ban(target, None)),
        Ask::Unban => Command::Moderate(Moderation::unban(target)),
        Ask::Mute => Command::Moderate(Moderation::mute(target, None)),
        Ask::Unmute => Command::Moderate(Moderation::unmute(target)),
    };
    Request { actor: Actor::new(user(actor)), at: Timestamp::from_millis(0), command }
}

fn observed(outcome: &Result<Outcome, Rejection>) -> Expected {
    match outcome {
        Ok(Outcome::AlreadyJoined | Outcome::AlreadyLeft | Outcome::Unchanged(_)) => Nothing,
        Ok(_) => Done,
        Err(rejection) => Refused(rejection.code().as_str()),
    }
}

fn asks() -> impl Strategy<Value = Vec<(u8, u8, Ask)>> {
    let ask = prop_oneof![
        4 => Just(Ask::Join),
        1 => Just(Ask::Leave),
        6 => prop::sample::select(&ROLES[..]).prop_map(Ask::SetRole),
        1 => Just(Ask::Kick),
        1 => Just(Ask::Ban),
        2 => Just(Ask::Unban),
        2 => Just(Ask::Mute),
        2 => Just(Ask::Unmute),
    ];
    prop::collection::vec((0u8..5, 0u8..5, ask), 1..60)
}

/// Rows of five users who all have profiles.
fn rows() -> Rows {
    Rows {
        members: (0..5).map(|number| (user(number), None)).collect(),
        profiles: (0..5).map(user).collect(),
        ..Rows::default()
    }
}

proptest! {
    #[test]
    fn every_act_comes_to_what_the_table_says(asks in asks()) {
        let mut model = Model { roles: BTreeMap::from([(0, Role::Owner)]), ..Model::default() };
        let mut room = Room::unborn(RoomId::parse("room").unwrap());
        let mut plan = Plan::on(&room, rows(), &MembersOnly, TextRules::default());
        let create = Command::Create(RoomSpec::public("Room").unwrap());
        let at = Timestamp::from_millis(0);
        plan.decide(&Request { actor: Actor::new(user(0)), at, command: create }).unwrap();
        for (actor, target, ask) in asks {
            let before = plan.entries();
            let outcome = plan.decide(&request(actor, target, ask));
            prop_assert_eq!(observed(&outcome), model.ask(actor, target, ask), "{} {:?} {}", actor, ask, target);
            let made = plan.entries() - before;
            prop_assert_eq!(made, usize::from(observed(&outcome) == Done), "one entry for every change");
        }
        let commit = plan.into_commit().unwrap();
        let mut moved = rows();
        for entry in &commit.entries {
            prop_assert!(room.apply(entry));
            moved.apply(entry);
        }
        let owners = model.roles.values().filter(|role| **role == Role::Owner).count();
        prop_assert_eq!((room.members as usize, room.owners as usize), (model.roles.len(), owners));
        prop_assert!(owners > 0 || model.abandoned, "a room with members keeps an owner");
        for number in 0..5 {
            let member = moved.member(&user(number));
            prop_assert_eq!(member.map(|member| member.role), model.roles.get(&number).copied());
            let sanction = moved.sanction(&user(number));
            prop_assert_eq!(sanction.is_banned(at), model.banned.contains(&number));
            prop_assert_eq!(sanction.is_muted(at), model.muted.contains(&number));
        }
    }
}
