//! Rooms and their members: coming, going, ranks, and what is changed of a room.

use std::collections::BTreeMap;

use serde_json::json;

use super::{ADMIN, Answer, MODERATOR, Model, OWNER, Room, User};
use crate::state::acts::{Change, Measure, NAMES};

impl Model {
    pub(super) fn create(&mut self, who: User, name: &str, kind: &'static str) -> Answer {
        if name.trim().is_empty() {
            return Err("bad_request");
        }
        if kind == "public" && self.is_taken(name, None) {
            return Err("conflict");
        }
        let mut room = Room::new(who, name, kind, self.now);
        room.head = 1;
        room.admit(who, OWNER, self.now);
        let answer = json!({"room": room.view()});
        self.rooms.push(room);
        Ok(answer)
    }

    pub(super) fn is_taken(&self, name: &str, by_other_than: Option<usize>) -> bool {
        let public = self.rooms.iter().enumerate().filter(|(_, room)| room.kind == "public" && !room.deleted);
        let mut others = public.filter(|(place, _)| Some(*place) != by_other_than);
        others.any(|(_, room)| room.name.to_lowercase() == name.to_lowercase())
    }

    pub(super) fn join(&mut self, who: User, room: u8) -> Answer {
        let room = self.seen(who, room)?;
        self.enter(who, room)
    }

    /// Becomes a member of a room that is open to the user.
    pub(super) fn enter(&mut self, who: User, place: usize) -> Answer {
        let (now, room) = (self.now, &mut self.rooms[place]);
        if !room.members.contains_key(&who) {
            if room.archived || room.banned.get(&who).is_some_and(|until| now < *until) {
                return Err("forbidden");
            }
            room.admit(who, 0, now);
            self.invites.retain(|invite| (invite.room, invite.user) != (place, who));
        }
        Ok(json!({"room": self.rooms[place].view()}))
    }

    pub(super) fn leave(&mut self, who: User, room: u8) -> Answer {
        let room = self.seen(who, room)?;
        let room = &mut self.rooms[room];
        if room.members.contains_key(&who) {
            if room.kind == "direct" {
                return Err("forbidden");
            }
            if room.is_last_owner(who) && room.members.len() > 1 {
                return Err("conflict");
            }
            room.remove(who);
        }
        Ok(json!({}))
    }

    pub(super) fn set_role(&mut self, who: User, room: u8, user: u8, role: usize) -> Answer {
        let (room, user) = (self.joined(who, room)?, self.user(user));
        let room = &mut self.rooms[room];
        let own = room.members[&who].role;
        if room.kind == "direct" {
            return Err("forbidden");
        }
        if user == Some(who) {
            if role > own {
                return Err("forbidden");
            }
            if role < own && room.is_last_owner(who) {
                return Err("conflict");
            }
        } else {
            if own < ADMIN {
                return Err("forbidden");
            }
            room.lower(own, user)?;
            if role >= own && own != OWNER {
                return Err("forbidden");
            }
        }
        let member = user.and_then(|user| room.members.get_mut(&user)).ok_or("not_found")?;
        room.head += u64::from(member.role != role);
        member.role = role;
        Ok(json!({"seq": room.head}))
    }

    pub(super) fn moderate(&mut self, who: User, room: u8, user: u8, measure: Measure) -> Answer {
        let (now, place, user) = (self.now, self.joined(who, room)?, self.user(user));
        let room = &mut self.rooms[place];
        let own = room.members[&who].role;
        if room.kind == "direct" {
            return Err("forbidden");
        }
        if user == Some(who) || own < MODERATOR {
            return Err("forbidden");
        }
        let until = match measure {
            Measure::Ban(Some(0)) | Measure::Mute(Some(0)) => return Err("bad_request"),
            Measure::Ban(Some(seconds)) | Measure::Mute(Some(seconds)) => now + seconds * 1_000,
            _ => i64::MAX,
        };
        room.banned.retain(|_, until| now < *until);
        room.muted.retain(|_, until| now < *until);
        let is_member = user.is_some_and(|user| room.members.contains_key(&user));
        if is_member && !matches!(measure, Measure::Unban) {
            room.lower(own, user)?;
        }
        let user = user.ok_or("not_found")?;
        if matches!(measure, Measure::Ban(_)) {
            self.invites.retain(|invite| (invite.room, invite.user) != (place, user));
        }
        match measure {
            Measure::Kick | Measure::Mute(_) | Measure::Unmute if !is_member => return Err("not_found"),
            Measure::Kick => room.remove(user),
            Measure::Ban(_) if is_member => {
                room.remove(user);
                room.banned.insert(user, until);
            }
            Measure::Ban(_) => room.head += u64::from(room.banned.insert(user, until) != Some(until)),
            Measure::Unban => room.head += u64::from(room.banned.remove(&user).is_some()),
            Measure::Mute(_) => room.head += u64::from(room.muted.insert(user, until) != Some(until)),
            Measure::Unmute => room.head += u64::from(room.muted.remove(&user).is_some()),
        }
        Ok(json!({"seq": room.head}))
    }

    pub(super) fn update(&mut self, who: User, room: u8, change: &Change) -> Answer {
        if matches!(change, Change::Name(name) if NAMES[*name].trim().is_empty()) {
            return Err("bad_request");
        }
        let place = self.joined(who, room)?;
        let room = &self.rooms[place];
        if room.kind == "direct" || room.members[&who].role < ADMIN {
            return Err("forbidden");
        }
        let before = (room.name.clone(), room.kind);
        let after = match change {
            Change::Name(name) => (NAMES[*name].to_owned(), room.kind),
            Change::Private(_) if room.kind == "group" => return Err("bad_request"),
            Change::Private(private) => (room.name.clone(), if *private { "private" } else { "public" }),
            _ => before.clone(),
        };
        if after.1 == "public" && self.is_taken(&after.0, Some(place)) {
            return Err("conflict");
        }
        let room = &mut self.rooms[place];
        let was = (room.archived, room.slow, room.since_join);
        match change {
            Change::Archived(archived) => room.archived = *archived,
            Change::Slow(seconds) => room.slow = *seconds,
            Change::SinceJoin(since_join) => room.since_join = *since_join,
            Change::Name(_) | Change::Private(_) => (room.name, room.kind) = after.clone(),
        }
        room.head += u64::from(was != (room.archived, room.slow, room.since_join) || before != after);
        Ok(json!({"room": room.view()}))
    }

    pub(super) fn delete_room(&mut self, who: User, room: u8) -> Answer {
        let place = self.joined(who, room)?;
        let room = &mut self.rooms[place];
        if room.kind == "direct" || room.members[&who].role < OWNER {
            return Err("forbidden");
        }
        room.head += 1;
        let answer = json!({"room": room.view()});
        (room.deleted, room.members) = (true, BTreeMap::new());
        self.invites.retain(|invite| invite.room != place);
        self.links.retain(|link| link.room != place);
        Ok(answer)
    }
}
