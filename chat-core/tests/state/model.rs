//! What should be so: rooms, members and messages in plain maps and lists, by the text of the protocol.
//!
//! It is written to be read: nothing is counted but by counting, nothing is kept twice. How it looks on the wire
//! stands in `wire.rs`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    acts::{Act, Change, EMOJI, Measure, NAMES, NONE, TEXTS, key_text},
    wire::time,
};

/// A user, by their place in [`USERS`].
pub type User = usize;
/// Users' ids, which are their names too.
pub const USERS: [&str; 5] = ["ada", "bea", "cyd", "dot", "eve"];
/// The lowest rank first.
pub const ROLES: [&str; 4] = ["member", "moderator", "admin", "owner"];
const MODERATOR: usize = 1;
const ADMIN: usize = 2;
const OWNER: usize = 3;

/// What a command is answered: the fields of its answer, or a code. A string `"?"` stands for one that the server
/// makes up.
pub type Answer = Result<Value, &'static str>;

#[derive(Default)]
pub struct Model {
    /// In milliseconds since the epoch.
    pub now: i64,
    pub rooms: Vec<Room>,
    /// Who has blocked whom, and when.
    pub blocks: BTreeMap<(User, User), i64>,
    pub invites: Vec<Invite>,
    pub links: Vec<Link>,
}

pub struct Room {
    /// `"?"` until the server has told it.
    pub id: String,
    pub kind: &'static str,
    pub name: String,
    pub created: (User, i64),
    pub head: u64,
    pub archived: bool,
    pub slow: i64,
    pub since_join: bool,
    pub deleted: bool,
    pub members: BTreeMap<User, Member>,
    /// Until when.
    banned: BTreeMap<User, i64>,
    muted: BTreeMap<User, i64>,
    pub messages: Vec<Message>,
}

pub struct Member {
    pub role: usize,
    /// The entry of their joining.
    pub joined: Stamp,
    /// The newest seq that they have read.
    pub read: u64,
}

pub struct Message {
    /// `"?"` until the server has told it.
    pub id: String,
    pub seq: u64,
    pub author: User,
    pub at: i64,
    pub text: String,
    pub key: Option<String>,
    /// Messages, by their places in the room's list.
    pub reply_to: Option<usize>,
    pub thread: Option<usize>,
    /// Members, and whether all of them.
    pub mentions: (Vec<User>, bool),
    pub edited: Option<Stamp>,
    pub deleted: Option<(Stamp, User)>,
    pub pinned: Option<u64>,
    /// Texts before, with when they were written and replaced.
    pub former: Vec<(String, i64, i64)>,
    /// In the order in which the emoji came; of each, its users in the order in which they came.
    pub reactions: Vec<(&'static str, Vec<User>)>,
}

pub struct Invite {
    pub id: String,
    pub room: usize,
    pub user: User,
    pub by: User,
    pub at: i64,
}

pub struct Link {
    pub id: String,
    pub token: String,
    room: usize,
    until: i64,
    most: u64,
    uses: u64,
}

/// An entry and its time.
pub type Stamp = (u64, i64);

impl Model {
    /// What a command comes to.
    pub fn apply(&mut self, who: User, act: &Act) -> Answer {
        match act {
            Act::Create { name, private } => {
                self.create(who, NAMES[*name], if *private { "private" } else { "public" })
            }
            Act::Group { users } => self.create_group(who, users),
            Act::Join { room } => self.join(who, *room),
            Act::Leave { room } => self.leave(who, *room),
            Act::Send { room, text, key, reply, thread } => {
                let text = parsed(TEXTS[*text])?;
                let room = self.joined(who, *room)?;
                self.send(who, room, text, *key, (*reply, *thread))
            }
            Act::Direct { user, text, key } => self.send_direct(who, *user, TEXTS[*text], *key),
            Act::Edit { room, message, text } => self.edit(who, *room, *message, TEXTS[*text]),
            Act::Delete { room, message } => self.delete(who, *room, *message),
            Act::React { room, message, emoji, adds } => {
                self.react(who, *room, *message, EMOJI[*emoji], *adds)
            }
            Act::Pin { room, message, pins } => self.pin(who, *room, *message, *pins),
            Act::Edits { room, message } => {
                let room = self.joined(who, *room)?;
                let room = &self.rooms[room];
                let message = room.message(who, *message).ok_or("not_found")?;
                Ok(room.view_edits(&room.messages[message]))
            }
            Act::Thread { room, message, limit } => {
                let room = self.joined(who, *room)?;
                let room = &self.rooms[room];
                let message = room.message(who, *message).ok_or("not_found")?;
                Ok(room.view_thread(who, room.messages[message].thread.unwrap_or(message), *limit))
            }
            Act::Pins { room } => self.joined(who, *room).map(|room| self.rooms[room].view_pins(who)),
            Act::History { room, place, seq, limit } => {
                let room = self.joined(who, *room)?;
                Ok(self.rooms[room].history(who, *place, *seq, *limit))
            }
            Act::Members { room } => self.joined(who, *room).map(|room| self.rooms[room].view_members()),
            Act::GetRoom { room } => self.seen(who, *room).map(|room| self.rooms[room].known_to(who)),
            Act::Rooms { mine } => Ok(json!({"items": self.list(who, *mine), "nextCursor": null})),
            Act::MarkRead { room, seq } => {
                let room = self.joined(who, *room)?;
                let room = &mut self.rooms[room];
                let member = room.members.get_mut(&who).ok_or("forbidden")?;
                member.read = member.read.max(*seq).min(room.head);
                Ok(json!({"unread": room.unread(who).count(), "mentions": room.unread_mentions(who)}))
            }
            Act::SetRole { room, user, role } => self.set_role(who, *room, *user, *role),
            Act::Moderate { room, user, measure } => self.moderate(who, *room, *user, *measure),
            Act::Block { user, blocks } => self.block(who, *user, *blocks),
            Act::Blocks => Ok(self.view_blocks(who)),
            Act::Update { room, change } => self.update(who, *room, change),
            Act::DeleteRoom { room } => self.delete_room(who, *room),
            Act::Invite { room, user } => self.invite(who, *room, *user),
            Act::Answer { invite, accepts } => self.answer_invite(who, *invite, *accepts),
            Act::Invites => Ok(self.view_invites(who)),
            Act::CreateLink { room, seconds, most } => self.create_link(who, *room, *seconds, *most),
            Act::RevokeLink { room, link } => self.revoke_link(who, *room, *link),
            Act::JoinByLink { link } => self.join_by_link(who, *link),
            Act::Cut
            | Act::Connect
            | Act::Wait { .. }
            | Act::Crash { .. }
            | Act::CrashAmid { .. }
            | Act::Check => Ok(json!({})),
        }
    }

    /// Takes note of what the server has made up.
    pub fn learn(&mut self, answer: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let room_id = text(if answer["room"].is_null() { &answer["roomId"] } else { &answer["room"]["id"] });
        for room in self.rooms.iter_mut().filter(|room| room.id == "?") {
            room.id.clone_from(&room_id);
        }
        for room in self.rooms.iter_mut().filter(|room| room.id == room_id) {
            for message in room.messages.iter_mut().filter(|message| message.id == "?") {
                message.id = text(&answer["messageId"]);
            }
        }
        for invite in self.invites.iter_mut().filter(|invite| invite.id == "?") {
            invite.id = text(&answer["inviteId"]);
        }
        for link in self.links.iter_mut().filter(|link| link.id == "?") {
            (link.id, link.token) = (text(&answer["linkId"]), text(&answer["token"]));
        }
    }

    pub fn user(&self, pick: u8) -> Option<User> {
        (pick != NONE).then(|| usize::from(pick) % USERS.len())
    }

    pub fn room(&self, pick: u8) -> Option<usize> {
        picked(pick, &self.rooms)
    }

    /// A room that the user may know of.
    fn seen(&self, who: User, pick: u8) -> Result<usize, &'static str> {
        let room = self.room(pick).ok_or("not_found")?;
        let Room { kind, members, deleted, .. } = &self.rooms[room];
        if !deleted && (*kind == "public" || members.contains_key(&who)) {
            Ok(room)
        } else {
            Err("not_found")
        }
    }

    /// A room that the user belongs to.
    fn joined(&self, who: User, pick: u8) -> Result<usize, &'static str> {
        let room = self.seen(who, pick)?;
        if self.rooms[room].members.contains_key(&who) { Ok(room) } else { Err("forbidden") }
    }

    fn is_blocked(&self, one: User, other: User) -> bool {
        self.blocks.contains_key(&(one, other)) || self.blocks.contains_key(&(other, one))
    }

    /// Whether nothing of this user's gets through in a direct room.
    fn is_shut_out(&self, who: User, room: usize) -> bool {
        let room = &self.rooms[room];
        room.kind == "direct" && room.members.keys().any(|user| self.is_blocked(who, *user))
    }

    fn create(&mut self, who: User, name: &str, kind: &'static str) -> Answer {
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

    fn is_taken(&self, name: &str, by_other_than: Option<usize>) -> bool {
        let public = self.rooms.iter().enumerate().filter(|(_, room)| room.kind == "public" && !room.deleted);
        let mut others = public.filter(|(place, _)| Some(*place) != by_other_than);
        others.any(|(_, room)| room.name.to_lowercase() == name.to_lowercase())
    }

    fn create_group(&mut self, who: User, users: &[u8]) -> Answer {
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

    fn join(&mut self, who: User, room: u8) -> Answer {
        let room = self.seen(who, room)?;
        self.enter(who, room)
    }

    /// Becomes a member of a room that is open to the user.
    fn enter(&mut self, who: User, place: usize) -> Answer {
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

    fn leave(&mut self, who: User, room: u8) -> Answer {
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

    fn send(
        &mut self,
        who: User,
        room: usize,
        text: String,
        key: Option<u8>,
        (reply, thread): (Option<u8>, Option<u8>),
    ) -> Answer {
        let (now, key, shut_out) = (self.now, key.map(key_text), self.is_shut_out(who, room));
        let room = &mut self.rooms[room];
        let sent = |id: &str, room: &Room, seq, at, duplicate| json!({"messageId": id, "roomId": room.id, "seq": seq, "createdAt": time(at), "duplicate": duplicate});
        let repeated = |message: &&Message| message.author == who && key.is_some() && message.key == key;
        if let Some(first) = room.messages.iter().find(repeated) {
            return Ok(sent(&first.id, room, first.seq, first.at, true));
        }
        room.may_write(who, now)?;
        let last = room.messages.iter().rev().find(|message| message.author == who);
        if room.members[&who].role < MODERATOR && last.is_some_and(|last| now < last.at + room.slow * 1_000) {
            return Err("rate_limited");
        }
        let reply_to = reply.map(|reply| room.living(who, reply)).transpose()?;
        let thread = thread.map(|of| room.living(who, of)).transpose()?;
        let thread = thread.map(|of| room.messages[of].thread.unwrap_or(of));
        if thread.is_some_and(|root| room.messages[root].deleted.is_some()) {
            return Err("not_found");
        }
        if shut_out {
            return Err("forbidden");
        }
        room.head += 1;
        let (seq, mentions) = (room.head, room.mentions(who, &text));
        room.messages.push(Message { key, reply_to, thread, mentions, ..Message::new(seq, who, now, text) });
        room.members.entry(who).and_modify(|member| member.read = seq);
        Ok(sent("?", room, seq, now, false))
    }

    fn send_direct(&mut self, who: User, to: u8, text: &str, key: Option<u8>) -> Answer {
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

    fn edit(&mut self, who: User, room: u8, message: u8, text: &str) -> Answer {
        let text = parsed(text)?;
        let room = self.joined(who, room)?;
        let (now, shut_out, room) = (self.now, self.is_shut_out(who, room), &mut self.rooms[room]);
        room.may_write(who, now)?;
        let message = room.living(who, message)?;
        let mentions = room.mentions(who, &text);
        let message = &mut room.messages[message];
        if message.author != who {
            return Err("forbidden");
        }
        let (seq, at) = message.edited.unwrap_or((message.seq, message.at));
        if message.text == text {
            return Ok(json!({"seq": seq}));
        }
        if shut_out {
            return Err("forbidden");
        }
        room.head += 1;
        message.former.push((std::mem::replace(&mut message.text, text), at, now));
        (message.edited, message.mentions) = (Some((room.head, now)), mentions);
        Ok(json!({"seq": room.head}))
    }

    fn delete(&mut self, who: User, room: u8, message: u8) -> Answer {
        let room = self.joined(who, room)?;
        let (now, room) = (self.now, &mut self.rooms[room]);
        let (own, message) = (room.members[&who].role, room.message(who, message).ok_or("not_found")?);
        let message = &mut room.messages[message];
        let above = room.members.get(&message.author).is_none_or(|author| author.role < own);
        if message.author != who && (own < MODERATOR || !above) {
            return Err("forbidden");
        }
        let ((seq, _), _) = *message.deleted.get_or_insert_with(|| {
            room.head += 1;
            ((room.head, now), who)
        });
        (message.text, message.pinned) = (String::new(), None);
        (message.former, message.reactions, message.mentions) = Default::default();
        Ok(json!({"seq": seq}))
    }

    fn react(&mut self, who: User, room: u8, message: u8, emoji: &'static str, adds: bool) -> Answer {
        if emoji == "no" {
            return Err("bad_request");
        }
        let room = self.joined(who, room)?;
        let (now, shut_out, room) = (self.now, self.is_shut_out(who, room), &mut self.rooms[room]);
        if adds {
            room.may_write(who, now)?;
        }
        let message = room.living(who, message)?;
        let reactions = &mut room.messages[message].reactions;
        let at = reactions.iter().position(|(known, _)| *known == emoji);
        let has = at.is_some_and(|at| reactions[at].1.contains(&who));
        if has == adds {
            return Ok(json!({}));
        }
        match at {
            _ if adds && shut_out => return Err("forbidden"),
            Some(at) if adds => reactions[at].1.push(who),
            Some(at) => reactions[at].1.retain(|user| *user != who),
            None => reactions.push((emoji, vec![who])),
        }
        reactions.retain(|(_, users)| !users.is_empty());
        room.head += 1;
        Ok(json!({"seq": room.head}))
    }

    fn pin(&mut self, who: User, room: u8, message: u8, pins: bool) -> Answer {
        let room = self.joined(who, room)?;
        let room = &mut self.rooms[room];
        if room.kind != "direct" && room.members[&who].role < MODERATOR {
            return Err("forbidden");
        }
        let message = room.living(who, message)?;
        let pinned = &mut room.messages[message].pinned;
        if pinned.is_some() == pins {
            return Ok(pinned.map_or(json!({}), |seq| json!({"seq": seq})));
        }
        room.head += 1;
        *pinned = pins.then_some(room.head);
        Ok(json!({"seq": room.head}))
    }

    fn set_role(&mut self, who: User, room: u8, user: u8, role: usize) -> Answer {
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

    fn moderate(&mut self, who: User, room: u8, user: u8, measure: Measure) -> Answer {
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

    fn block(&mut self, who: User, user: u8, blocks: bool) -> Answer {
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

    fn update(&mut self, who: User, room: u8, change: &Change) -> Answer {
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

    fn delete_room(&mut self, who: User, room: u8) -> Answer {
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

    fn invite(&mut self, who: User, room: u8, user: u8) -> Answer {
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

    fn answer_invite(&mut self, who: User, invite: u8, accepts: bool) -> Answer {
        let place = picked(invite, &self.invites).filter(|place| self.invites[*place].user == who);
        let place = place.ok_or("not_found")?;
        if accepts {
            return self.enter(who, self.invites[place].room);
        }
        self.invites.remove(place);
        Ok(json!({}))
    }

    /// A room whose links the user may make and revoke.
    fn linked(&self, who: User, room: u8) -> Result<usize, &'static str> {
        let room = self.joined(who, room)?;
        let Room { kind, members, .. } = &self.rooms[room];
        if *kind == "direct" || members[&who].role < MODERATOR { Err("forbidden") } else { Ok(room) }
    }

    fn create_link(&mut self, who: User, room: u8, seconds: i64, most: u64) -> Answer {
        let (room, until) = (self.linked(who, room)?, self.now + seconds * 1_000);
        self.links.push(Link { id: "?".to_owned(), token: "?".to_owned(), room, until, most, uses: 0 });
        Ok(json!({"linkId": "?", "token": "?", "expiresAt": time(until), "maxUses": most}))
    }

    fn revoke_link(&mut self, who: User, room: u8, link: u8) -> Answer {
        let room = self.linked(who, room)?;
        let link =
            picked(link, &self.links).filter(|link| self.links[*link].room == room).ok_or("not_found")?;
        self.links.remove(link);
        Ok(json!({}))
    }

    fn join_by_link(&mut self, who: User, link: u8) -> Answer {
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

    /// The heads of a user's rooms.
    pub fn heads(&self, who: User) -> BTreeMap<String, u64> {
        let own = self.rooms.iter().filter(|room| room.members.contains_key(&who));
        own.map(|room| (room.id.clone(), room.head)).collect()
    }
}

impl Room {
    fn new(creator: User, name: &str, kind: &'static str, now: i64) -> Self {
        Self {
            id: "?".to_owned(),
            kind,
            name: name.to_owned(),
            created: (creator, now),
            head: 0,
            archived: false,
            slow: 0,
            since_join: false,
            deleted: false,
            members: BTreeMap::new(),
            banned: BTreeMap::new(),
            muted: BTreeMap::new(),
            messages: Vec::new(),
        }
    }

    fn may_write(&self, user: User, now: i64) -> Result<(), &'static str> {
        let muted = self.muted.get(&user).is_some_and(|until| now < *until);
        if muted || self.archived { Err("forbidden") } else { Ok(()) }
    }

    fn is_last_owner(&self, user: User) -> bool {
        let owners = self.members.iter().filter(|(_, member)| member.role == OWNER);
        owners.map(|(user, _)| *user).collect::<BTreeSet<_>>() == BTreeSet::from([user])
    }

    /// That somebody of that rank may act on this member.
    fn lower(&self, own: usize, user: Option<User>) -> Result<(), &'static str> {
        let member = user.and_then(|user| self.members.get(&user)).ok_or("not_found")?;
        if member.role < own { Ok(()) } else { Err("forbidden") }
    }

    fn admit(&mut self, user: User, role: usize, now: i64) {
        self.head += 1;
        self.members.insert(user, Member { role, joined: (self.head, now), read: self.head });
    }

    fn remove(&mut self, user: User) {
        self.head += 1;
        self.members.remove(&user);
    }

    /// What comes before is hidden from the member.
    pub fn visible_from(&self, who: User) -> u64 {
        if self.since_join { self.members[&who].joined.0 } else { 0 }
    }

    /// A message that the member may see, deleted or not.
    pub fn message(&self, who: User, pick: u8) -> Option<usize> {
        picked(pick, &self.messages).filter(|message| self.messages[*message].seq >= self.visible_from(who))
    }

    fn living(&self, who: User, pick: u8) -> Result<usize, &'static str> {
        let message = self.message(who, pick).filter(|message| self.messages[*message].deleted.is_none());
        message.ok_or("not_found")
    }

    /// The members whom a text names, and whether it speaks to all of them.
    fn mentions(&self, author: User, text: &str) -> (Vec<User>, bool) {
        let names = || text.split(' ').filter_map(|word| word.strip_prefix('@'));
        let named = names().filter_map(|name| USERS.iter().position(|user| *user == name));
        let for_all = ["direct", "group"].contains(&self.kind) || self.members[&author].role >= MODERATOR;
        let named = named.filter(|user| self.members.contains_key(user)).collect();
        (named, for_all && names().any(|name| name == "room"))
    }

    pub fn unread_mentions(&self, user: User) -> usize {
        self.unread(user).filter(|message| message.mentions.1 || message.mentions.0.contains(&user)).count()
    }

    /// The replies in a thread that stand, the oldest first.
    pub fn replies(&self, root: usize) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.thread == Some(root) && message.deleted.is_none())
    }

    pub fn unread(&self, user: User) -> impl Iterator<Item = &Message> {
        let read = self.members[&user].read;
        let counts = move |message: &&Message| message.author != user && message.deleted.is_none();
        self.messages.iter().filter(move |message| message.seq > read).filter(counts)
    }
}

impl Message {
    fn new(seq: u64, author: User, at: i64, text: String) -> Self {
        let (key, reply_to, thread, edited, deleted, pinned) = Default::default();
        let (id, mentions, former, reactions) = ("?".to_owned(), Default::default(), Vec::new(), Vec::new());
        Self {
            id,
            seq,
            author,
            at,
            text,
            key,
            reply_to,
            thread,
            mentions,
            edited,
            deleted,
            pinned,
            former,
            reactions,
        }
    }
}

/// A text as it is stored.
fn parsed(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("bad_request") } else { Ok(text.replace("e\u{301}", "é")) }
}

pub fn picked<T>(pick: u8, from: &[T]) -> Option<usize> {
    (pick != NONE && !from.is_empty()).then(|| usize::from(pick) % from.len())
}
