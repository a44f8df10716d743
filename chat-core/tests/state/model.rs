//! What should be so: rooms, members and messages in plain maps and lists, by the text of the protocol.
//!
//! It is written to be read: nothing is counted but by counting, nothing is kept twice. How it looks on the wire
//! stands in `wire.rs`.

mod messages;
mod people;
mod rooms;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::acts::{Act, EMOJI, NAMES, NONE, TEXTS};

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
    /// Privileged acts, the oldest first.
    pub records: Vec<Record>,
}

pub struct Record {
    pub name: &'static str,
    pub actor: User,
    pub target: Option<User>,
    pub at: i64,
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
    by: User,
    room: usize,
    until: i64,
    most: u64,
    uses: u64,
}

/// An entry and its time.
pub type Stamp = (u64, i64);

impl Model {
    /// What a command comes to. A privileged one that changes something is put on record.
    pub fn apply(&mut self, who: User, act: &Act) -> Answer {
        let privileged = self.privileged(who, act);
        let before = privileged.map_or(0, |(room, ..)| self.rooms[room].head);
        let answer = self.decide(who, act)?;
        if let Some((room, name, target)) = privileged {
            let (now, room) = (self.now, &mut self.rooms[room]);
            if room.head > before || name == "revoke_invite_link" {
                room.records.push(Record { name, actor: who, target, at: now });
            }
        }
        Ok(answer)
    }

    /// The room, the name and the target of a privileged act.
    fn privileged(&self, who: User, act: &Act) -> Option<(usize, &'static str, Option<User>)> {
        match act {
            Act::SetRole { room, user, .. } => Some((self.room(*room)?, "set_role", self.user(*user))),
            Act::Moderate { room, user, measure } => {
                Some((self.room(*room)?, measure.name(), self.user(*user)))
            }
            Act::Update { room, .. } => Some((self.room(*room)?, "update_room", None)),
            Act::Delete { room, message } => {
                let room = self.room(*room)?;
                let message = &self.rooms[room].messages[picked(*message, &self.rooms[room].messages)?];
                (message.author != who).then_some((room, "delete_message", Some(message.author)))
            }
            Act::RevokeLink { room, link } => {
                let by = self.links[picked(*link, &self.links)?].by;
                Some((self.room(*room)?, "revoke_invite_link", Some(by)))
            }
            _ => None,
        }
    }

    fn decide(&mut self, who: User, act: &Act) -> Answer {
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
            Act::MarkDelivered { room, .. } => self.joined(who, *room).map(|_| json!({})),
            Act::Records { room } => {
                let room = &self.rooms[self.joined(who, *room)?];
                if room.members[&who].role < ADMIN { Err("forbidden") } else { Ok(room.view_records()) }
            }
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
            records: Vec::new(),
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
