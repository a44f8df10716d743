//! Direct rooms, groups, blocks, and how people come into rooms that are not open to all.

use serde_json::json;

use super::{Answer, Invite, Link, MODERATOR, Member, Model, OWNER, Room, User, parsed, picked};
use crate::state::wire::time;

impl Model {
    pub(super) fn create_group(&mut self, who: User, users: &[u8]) -> Answer {
        let mut others: Vec<Option<User>> = Vec::new();
        for user in users.iter().map(|user| self.user(*user)) {
            if user != Some(who) && !others.contains(&user) {
                others.push(user);
            }
        }
        if others.is_empty() {
            return Err("bad_request");
        }
        let others: Vec<_> = others.into_iter().collect::<Option<_>>().ok_or("not_found")?;
        if others.iter().any(|user| self.is_blocked(who, *user)) {
            return Err("forbidden");
        }
        let mut room = Room::new(who, "", "group", self.now);
        room.head = 1;
        room.admit(who, OWNER, self.now);
        others.iter().for_each(|user| room.admit(*user, 0, self.now));
        let answer = json!({"room": room.view()});
        self.rooms.push(room);
        Ok(answer)
    }

    pub(super) fn send_direct(&mut self, who: User, to: u8, text: &str, key: Option<u8>) -> Answer {
        let (text, now) = (parsed(text)?, self.now);
        let to = self.user(to).ok_or("not_found")?;
        if to == who {
            return Err("bad_request");
        }
        let theirs = |room: &Room| {
            room.kind == "direct" && [who, to].iter().all(|user| room.members.contains_key(user))
        };
        let known = self.rooms.iter().position(theirs);
        if known.is_none() {
            if self.is_blocked(who, to) {
                return Err("forbidden");
            }
            let mut room = Room::new(who, "", "direct", now);
            room.members.extend([who, to].map(|user| (user, Member { role: 0, joined: (0, now), read: 0 })));
            self.rooms.push(room);
        }
        self.send(who, known.unwrap_or(self.rooms.len() - 1), text, key, (None, None))
    }

    pub(super) fn block(&mut self, who: User, user: u8, blocks: bool) -> Answer {
        let user = self.user(user).ok_or("not_found")?;
        if blocks && user == who {
            return Err("bad_request");
        }
        if blocks {
            self.blocks.entry((who, user)).or_insert(self.now);
        } else {
            self.blocks.remove(&(who, user));
        }
        Ok(json!({}))
    }

    pub(super) fn invite(&mut self, who: User, room: u8, user: u8) -> Answer {
        let place = self.joined(who, room)?;
        let (room, now) = (&self.rooms[place], self.now);
        if room.kind == "direct" || (room.kind != "public" && room.members[&who].role < MODERATOR) {
            return Err("forbidden");
        }
        let user = self.user(user).ok_or("not_found")?;
        if room.members.contains_key(&user) {
            return Ok(json!({}));
        }
        if room.banned.get(&user).is_some_and(|until| now < *until) {
            return Err("forbidden");
        }
        if let Some(invite) = self.invites.iter().find(|invite| (invite.room, invite.user) == (place, user)) {
            return Ok(json!({"inviteId": invite.id}));
        }
        if self.is_blocked(who, user) {
            return Err("forbidden");
        }
        self.invites.push(Invite { id: "?".to_owned(), room: place, user, by: who, at: now });
        Ok(json!({"inviteId": "?"}))
    }

    pub(super) fn answer_invite(&mut self, who: User, invite: u8, accepts: bool) -> Answer {
        let place = picked(invite, &self.invites).filter(|place| self.invites[*place].user == who);
        let place = place.ok_or("not_found")?;
        if accepts {
            return self.enter(who, self.invites[place].room);
        }
        self.invites.remove(place);
        Ok(json!({}))
    }

    /// A room whose links the user may make and revoke.
    pub(super) fn linked(&self, who: User, room: u8) -> Result<usize, &'static str> {
        let room = self.joined(who, room)?;
        let Room { kind, members, .. } = &self.rooms[room];
        if *kind == "direct" || members[&who].role < MODERATOR { Err("forbidden") } else { Ok(room) }
    }

    pub(super) fn create_link(&mut self, who: User, room: u8, seconds: i64, most: u64) -> Answer {
        let (room, until) = (self.linked(who, room)?, self.now + seconds * 1_000);
        let (id, token) = ("?".to_owned(), "?".to_owned());
        self.links.push(Link { id, token, by: who, room, until, most, uses: 0 });
        Ok(json!({"linkId": "?", "token": "?", "expiresAt": time(until), "maxUses": most}))
    }

    pub(super) fn revoke_link(&mut self, who: User, room: u8, link: u8) -> Answer {
        let room = self.linked(who, room)?;
        let link =
            picked(link, &self.links).filter(|link| self.links[*link].room == room).ok_or("not_found")?;
        self.links.remove(link);
        Ok(json!({}))
    }

    pub(super) fn join_by_link(&mut self, who: User, link: u8) -> Answer {
        let place = picked(link, &self.links).ok_or("not_found")?;
        let Link { room, until, most, uses, .. } = self.links[place];
        let is_new = !self.rooms[room].members.contains_key(&who);
        if is_new && (uses >= most || until <= self.now) {
            return Err("not_found");
        }
        let answer = self.enter(who, room)?;
        self.links[place].uses += u64::from(is_new);
        Ok(answer)
    }
}
