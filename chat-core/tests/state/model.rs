//! What should be so, by the text of the protocol: rooms with their members and messages.
//!
//! It is written to be read: nothing is counted but by counting, nothing is kept twice. Commands come as they stand
//! on the wire, and things are kept as they look there. How they do, and lists of them, stands in `wire.rs` and
//! `shown.rs`.

use std::{collections::BTreeMap, iter};

use serde_json::{Value, json};

use super::wire::{self, ADMIN, Call, MODERATOR, OWNER, USERS, ensure, number, only, put, text, time, with};

/// The fields of an answer, or a code.
pub type Answer = Result<Value, &'static str>;

#[derive(Default)]
pub struct Model {
    pub rooms: Vec<Room>,
    /// Who has blocked whom, and when.
    pub blocks: BTreeMap<(String, String), i64>,
}

#[derive(Clone, Default)]
pub struct Room {
    /// As everybody sees it, but for its head and the number of its members.
    pub shown: Value,
    pub head: u64,
    /// By user; `seq` is the entry of their joining.
    pub members: BTreeMap<String, Value>,
    /// `ban` or `mute` and whose, until when.
    pub sanctions: BTreeMap<String, i64>,
    /// As their authors see them. `marks` are the entries by which they were edited, pinned and deleted, `former`
    /// their texts before, `reactions` pairs of an emoji and its users, all in the order in which they came.
    pub messages: Vec<Value>,
    /// Up to where each has read.
    pub read: BTreeMap<String, u64>,
    pub invites: Vec<Value>,
    pub links: Vec<Value>,
    /// What waits for a moderator; `draft` is the command that sent it.
    pub held: Vec<Value>,
    pub reports: Vec<Value>,
    /// Privileged acts.
    pub records: Vec<Value>,
}

impl Model {
    /// What a command comes to.
    pub fn apply(&mut self, call: Call<'_>) -> Answer {
        ensure(!call.is_malformed(), "bad_request")?;
        for room in &mut self.rooms {
            room.sanctions.retain(|_, until| call.now < *until);
        }
        match call.name {
            "create_room" | "create_group" => self.open(call).map(|place| self.rooms[place].answer()),
            "send_dm" if self.place(call).is_none() => {
                self.open(call).and_then(|place| self.act(place, call))
            }
            "block_user" | "unblock_user" => {
                ensure(call.names_user(), "not_found")?;
                ensure(call.user() != call.who || call.name == "unblock_user", "bad_request")?;
                let pair = (call.who.to_owned(), call.user().to_owned());
                let since = self.blocks.remove(&pair).unwrap_or(call.now);
                self.blocks.extend((call.name == "block_user").then_some((pair, since)));
                Ok(json!({}))
            }
            "list_rooms" | "list_blocks" | "list_invites" | "get_presence" => Ok(self.view(call)),
            "authenticate" | "ping" | "pong" | "unsubscribe" | "set_presence" => Ok(json!("*")),
            _ => self.act(self.permitted(call)?, call),
        }
    }

    /// The room of a command, if the user may give it there.
    fn permitted(&self, call: Call<'_>) -> Result<usize, &'static str> {
        let place = self.place(call).ok_or("not_found")?;
        let room = &self.rooms[place];
        let least = match (call.name, room.kind()) {
            ("pin_message" | "unpin_message", "direct") | ("invite", "public") => 0,
            ("set_role", "public" | "private" | "group") if call.user() == call.who => 0,
            ("kick" | "ban" | "unban" | "mute" | "unmute" | "pin_message" | "unpin_message", _) => MODERATOR,
            ("list_held" | "release_held" | "discard_held", _) => MODERATOR,
            ("list_reports" | "resolve_report" | "invite", _) => MODERATOR,
            ("create_invite_link" | "list_invite_links" | "revoke_invite_link", _) => MODERATOR,
            ("set_role" | "update_room" | "fetch_audit", _) => ADMIN,
            ("delete_room", _) => OWNER,
            _ => 0,
        };
        match (room.rank(call.who), call.name) {
            (_, "accept_invite" | "decline_invite" | "join_by_link") => Ok(place),
            (Some(rank), _) if rank >= least => Ok(place),
            (None, _) if room.kind() != "public" => Err("not_found"),
            (None, "get_room" | "join_room" | "leave_room") => Ok(place),
            _ => Err("forbidden"),
        }
    }

    fn place(&self, call: Call<'_>) -> Option<usize> {
        self.rooms.iter().position(|room| match call.name {
            "accept_invite" | "decline_invite" => room.invites.iter().any(|it| call.answers(it)),
            "join_by_link" => room.links.iter().any(|link| link["token"] == call["token"]),
            "send_dm" => room.kind() == "direct" && call.is_between(room),
            _ => room.shown["id"] == call["roomId"],
        })
    }

    /// What a permitted command comes to in its room: an entry, if it changes what the log tells of.
    fn act(&mut self, place: usize, call: Call<'_>) -> Answer {
        let (before, mut room) = (&self.rooms[place], self.rooms[place].clone());
        let answer = room.decide(call)?;
        let changed = room.logged() != before.logged() || call.name == "delete_room";
        let reaches = changed || room.invites.len() > before.invites.len() || call.name.starts_with("typing");
        let other = room.members.keys().find(|user| room.kind() == "direct" && *user != call.who);
        let blocked = self.is_blocked(call.who, other.map_or(call.user(), String::as_str));
        ensure(!(blocked && reaches && call.is_for_others()), "forbidden")?;
        ensure(call.name != "update_room" || !self.is_taken(&room.shown, place), "conflict")?;
        room.head += u64::from(changed);
        if changed && call.is_about_power() {
            wire::record(&mut room.records, call.name, call, &call["userId"]);
        }
        let answer = match call.name {
            "join_room" | "accept_invite" | "join_by_link" | "update_room" | "delete_room" => room.answer(),
            _ if !answer.is_null() => answer,
            _ if changed || call.is_about_power() => json!({"seq": room.head}),
            _ => json!({}),
        };
        let gone = Room { shown: json!({"gone": room.shown["id"]}), ..Room::default() };
        self.rooms[place] = if call.name == "delete_room" { gone } else { room };
        Ok(answer)
    }

    fn is_blocked(&self, one: &str, other: &str) -> bool {
        self.blocks.keys().any(|(by, user)| (by == one && user == other) || (by == other && user == one))
    }

    /// Whether a public room would have another one's name.
    fn is_taken(&self, shown: &Value, place: usize) -> bool {
        let name = |shown: &Value| (shown["kind"] == "public").then(|| text(&shown["name"]).to_lowercase());
        let mut others = self.rooms.iter().enumerate().filter(|(other, _)| *other != place);
        name(shown).is_some() && others.any(|(_, other)| name(&other.shown) == name(shown))
    }

    /// Makes a new room and says where.
    fn open(&mut self, call: Call<'_>) -> Result<usize, &'static str> {
        let (others, place, shown) = (call.others(), self.rooms.len(), wire::room(call));
        ensure(call.name == "create_room" || !others.is_empty(), "bad_request")?;
        ensure(others.iter().all(|user| USERS.contains(user)), "not_found")?;
        ensure(!others.iter().any(|user| self.is_blocked(call.who, user)), "forbidden")?;
        ensure(call.name != "send_dm" || !call.is_to_wait(), "forbidden")?;
        ensure(!self.is_taken(&shown, place), "conflict")?;
        // Of a direct room the first entry is its first message.
        let (step, first) = if call.name == "send_dm" { (0, 0) } else { (1, OWNER) };
        let mut room = Room { shown, head: step, ..Room::default() };
        for user in iter::once(call.who).chain(others) {
            room.head += step;
            room.admit(user, if user == call.who { first } else { 0 }, room.head, call.now);
        }
        self.rooms.push(room);
        Ok(place)
    }
}

impl Room {
    /// What the log tells of.
    fn logged(&self) -> impl PartialEq + '_ {
        (&self.shown, &self.members, &self.sanctions, &self.messages)
    }

    fn is_last_owner(&self, user: &str) -> bool {
        let mut others = self.members.keys().filter(|other| *other != user);
        self.rank(user) == Some(OWNER) && !others.any(|other| self.rank(other) == Some(OWNER))
    }

    fn may_write(&self, user: &str) -> Result<(), &'static str> {
        let is_muted = self.sanctions.contains_key(&format!("mute {user}"));
        ensure(self.shown["archived"] == false && !is_muted, "forbidden")
    }

    fn admit(&mut self, user: &str, rank: usize, seq: u64, now: i64) {
        self.members.insert(user.to_owned(), wire::member(user, rank, seq, now));
        self.read.insert(user.to_owned(), seq);
        self.invites.retain(|it| it["userId"] != user);
    }

    /// Whether a member may see a message.
    pub fn shows(&self, user: &str, message: &Value) -> bool {
        self.shown["history"] == "all" || number(&message["seq"]) >= number(&self.members[user]["seq"])
    }

    /// The place of a message that a member may see, deleted or not.
    pub fn find(&self, user: &str, id: &Value) -> Result<usize, &'static str> {
        self.messages.iter().position(|it| it["id"] == *id && self.shows(user, it)).ok_or("not_found")
    }

    /// The messages that count as unread.
    pub fn unread(&self, user: &str) -> impl Iterator<Item = &Value> {
        let others = self.messages.iter().filter(move |it| it["userId"] != user && it["deletedAt"].is_null());
        others.filter(move |it| number(&it["seq"]) > self.read[user])
    }

    /// The members whom a text names, and whether it speaks to all of them.
    pub fn mentions(&self, author: &str, content: &Value) -> Value {
        let (mut named, for_all) = wire::addressed(content);
        named.retain(|user| self.members.contains_key(*user));
        let may = ["direct", "group"].contains(&self.kind()) || self.rank(author) >= Some(MODERATOR);
        json!({"mentions": named, "mentionsRoom": for_all && may})
    }

    /// Changes what a permitted command changes. Null is the usual answer.
    fn decide(&mut self, call: Call<'_>) -> Answer {
        let Call { who, name, now, .. } = call;
        let is_banned = |user: &str| self.sanctions.contains_key(&format!("ban {user}"));
        match name {
            "join_room" | "accept_invite" | "join_by_link" if self.members.contains_key(who) => {}
            "join_room" | "accept_invite" | "join_by_link" => {
                let banned = is_banned(who);
                for link in self.links.iter_mut().filter(|link| link["token"] == call["token"]) {
                    // Times compare as text.
                    let is_over = link["uses"] == link["maxUses"] || text(&link["expiresAt"]) <= time(now);
                    ensure(!is_over, "not_found")?;
                    link["uses"] = json!(number(&link["uses"]) + 1);
                }
                ensure(self.shown["archived"] == false && !banned, "forbidden")?;
                self.admit(who, 0, self.head + 1, now);
            }
            "leave_room" => {
                ensure(self.kind() != "direct", "forbidden")?;
                ensure(!self.is_last_owner(who) || self.members.len() == 1, "conflict")?;
                self.members.remove(who);
                return Ok(json!({}));
            }
            "update_room" => {
                ensure(call["private"].is_null() || self.kind() != "group", "bad_request")?;
                put(&mut self.shown, call.settings());
            }
            "set_role" | "kick" | "ban" | "unban" | "mute" | "unmute" => self.moderate(call)?,
            "invite" => {
                ensure(call.names_user(), "not_found")?;
                let is_it = |it: &Value| it["userId"] == call.user();
                if !self.members.contains_key(call.user()) && !self.invites.iter().any(is_it) {
                    ensure(!is_banned(call.user()), "forbidden")?;
                    self.invites.push(wire::invite(call));
                }
                let invite = self.invites.iter().find(|it| is_it(it));
                return Ok(invite.map_or(json!({}), |it| only(it, &["inviteId"])));
            }
            "decline_invite" => self.invites.retain(|it| !call.answers(it)),
            "create_invite_link" => {
                self.links.push(wire::link(call));
                return Ok(only(&wire::link(call), &["linkId", "token", "expiresAt", "maxUses"]));
            }
            "revoke_invite_link" => {
                let link = self.links.remove(call.names(&self.links, "linkId")?);
                wire::record(&mut self.records, name, call, &link["createdBy"]);
            }
            "mark_read" => {
                let read = self.read.entry(who.to_owned()).or_default();
                *read = number(&call["seq"]).min(self.head).max(*read);
                return Ok(self.view_unread(who));
            }
            "typing_start" | "typing_stop" => self.may_write(who)?,
            "send_message" | "send_dm" => return self.send(call, who, call.command),
            "release_held" | "discard_held" => return self.review(call),
            "resolve_report" => {
                let place = call.names(&self.reports, "reportId")?;
                if self.reports[place]["resolvedBy"].is_null() {
                    put(&mut self.reports[place], json!({"resolvedBy": who, "resolvedAt": time(now)}));
                }
            }
            _ if call["messageId"].is_string() => return self.treat(call),
            _ => return Ok(self.read(call)),
        }
        Ok(Value::Null)
    }

    fn moderate(&mut self, call: Call<'_>) -> Result<(), &'static str> {
        let (name, user) = (call.name, call.user());
        let (own, theirs, rank) = (self.rank(call.who), self.rank(user), wire::rank(&call["role"]));
        if name == "set_role" && user == call.who {
            ensure(rank <= own, "forbidden")?;
            ensure(rank == own || !self.is_last_owner(user), "conflict")?;
        } else {
            ensure(user != call.who, "forbidden")?;
            ensure(call["seconds"] != 0, "bad_request")?;
            ensure(theirs < own || name == "unban", "forbidden")?;
            ensure(theirs.is_some() || name.ends_with("ban"), "not_found")?;
            ensure(rank < own || own == Some(OWNER), "forbidden")?;
        }
        ensure(call.names_user(), "not_found")?;
        let until = call["seconds"].as_i64().map_or(i64::MAX, |seconds| call.now + seconds * 1_000);
        let sanction = format!("{} {user}", name.trim_start_matches("un"));
        match name {
            "set_role" => self.members.entry(user.to_owned()).or_default()["role"] = call["role"].clone(),
            "ban" | "mute" => drop(self.sanctions.insert(sanction, until)),
            "unban" | "unmute" => drop(self.sanctions.remove(&sanction)),
            _ => drop(self.members.remove(user)),
        }
        if name == "ban" {
            self.members.remove(user);
            self.invites.retain(|it| it["userId"] != user);
        }
        Ok(())
    }

    /// What becomes of a message that `author` has written, now or before a moderator let it pass.
    fn send(&mut self, call: Call<'_>, author: &str, draft: &Value) -> Answer {
        let key = &draft["clientMessageId"];
        let is_own = |it: &&Value| it["userId"] == author;
        let repeats = |it: &&Value| is_own(it) && it["clientMessageId"] == *key && key.is_string();
        if let Some(first) = self.messages.iter().find(repeats) {
            return Ok(wire::sent(first, true));
        }
        self.may_write(author)?;
        let pause = self.shown["slowModeSeconds"].as_i64().unwrap_or_default() * 1_000;
        let hurries = |it: &Value| text(&it["createdAt"]) > time(call.now - pause);
        let waits = self.rank(author) < Some(MODERATOR) && self.messages.iter().filter(is_own).any(hurries);
        ensure(!waits, "rate_limited")?;
        for id in [&draft["replyTo"], &draft["threadId"]].into_iter().filter(|id| id.is_string()) {
            ensure(self.messages[self.find(author, id)?]["deletedAt"].is_null(), "not_found")?;
        }
        let root =
            self.find(author, &draft["threadId"]).map_or(&Value::Null, |at| wire::root(&self.messages[at]));
        let is_dead = |it: &Value| it["id"] == *root && !it["deletedAt"].is_null();
        ensure(!self.messages.iter().any(is_dead), "not_found")?;
        if call.is_to_wait() {
            ensure(self.kind() != "direct", "forbidden")?;
            let first = self.held.iter().find(repeats).cloned();
            let answer = wire::waiting(call, first.as_ref());
            self.held.extend(first.is_none().then(|| wire::held(call)));
            return Ok(answer);
        }
        let message = wire::message(self, call, author, draft, root);
        self.messages.push(message.clone());
        if call.name != "release_held" {
            self.read.insert(author.to_owned(), self.head + 1);
        }
        Ok(wire::sent(&message, false))
    }

    fn review(&mut self, call: Call<'_>) -> Answer {
        let held = self.held.remove(call.names(&self.held, "heldId")?);
        let (author, mut act, mut answer) = (text(&held["userId"]), "discard_message", json!({}));
        if call.name == "release_held" {
            ensure(self.members.contains_key(&author), "forbidden")?;
            answer = self.send(call, &author, &held["draft"]).map_err(|_| "forbidden")?;
            // What its author has sent under its key since stands in its place.
            act = if answer["duplicate"] == true { act } else { "release_message" };
        }
        wire::record(&mut self.records, act, call, &held["userId"]);
        Ok(answer)
    }

    /// What a command does to a message.
    fn treat(&mut self, call: Call<'_>) -> Answer {
        let Call { who, name, .. } = call;
        if ["edit_message", "add_reaction"].contains(&name) {
            self.may_write(who)?;
        }
        let at = self.find(who, &call["messageId"])?;
        let (before, own) = (self.messages[at].clone(), self.rank(who));
        let (is_own, stands) = (before["userId"] == who, before["deletedAt"].is_null());
        ensure(stands || ["delete_message", "fetch_edits", "fetch_thread"].contains(&name), "not_found")?;
        match name {
            "edit_message" => {
                ensure(is_own, "forbidden")?;
                if before["content"] != wire::normal(&call["content"]) {
                    ensure(!call.is_to_wait(), "forbidden")?;
                    let mentions = self.mentions(who, &call["content"]);
                    put(&mut self.messages[at], with(mentions, wire::edited(&before, call)));
                }
            }
            "delete_message" => {
                let outranks = own >= Some(MODERATOR) && self.rank(&text(&before["userId"])) < own;
                ensure(is_own || outranks, "forbidden")?;
                if stands {
                    put(&mut self.messages[at], wire::tombstone(call));
                }
                if stands && !is_own {
                    wire::record(&mut self.records, name, call, &before["userId"]);
                }
            }
            "add_reaction" | "remove_reaction" => wire::toggle(&mut self.messages[at]["reactions"], call),
            "pin_message" | "unpin_message" => self.messages[at]["pinned"] = json!(name == "pin_message"),
            "report_message" => wire::report(&mut self.reports, call, &before),
            _ => return Ok(self.read(call)),
        }
        if self.messages[at] == before {
            return Ok(wire::mark(&before, name));
        }
        self.messages[at]["marks"][name] = json!(self.head + 1);
        Ok(Value::Null)
    }
}
