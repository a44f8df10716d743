//! What should be so, by the text of the protocol: rooms with their members and messages.
//!
//! It is written to be read: nothing is counted but by counting, nothing is kept twice. Commands come as they stand
//! on the wire, and things are kept as they look there, see `wire.rs`; what is shown of them stands in `shown.rs`.

use std::{cmp::Reverse, collections::BTreeMap, iter};

use serde_json::{Value, json};

use super::wire::{self, *};

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
    /// By user, with the entry of their joining in `seq`, and up to where each has read.
    pub members: BTreeMap<String, Value>,
    pub read: BTreeMap<String, u64>,
    /// `ban` or `mute` and whose, until when.
    pub sanctions: BTreeMap<String, i64>,
    /// As their authors see them. `marks` are the entries by which they were edited, pinned and deleted, `former`
    /// their texts before, `reactions` pairs of an emoji and its users, all in the order in which they came.
    pub messages: Vec<Value>,
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
        self.rooms.iter_mut().for_each(|room| room.sanctions.retain(|_, until| call.now < *until));
        match call.name {
            "create_room" | "create_group" => self.open(call).map(|place| self.rooms[place].answer()),
            "send_dm" => self.permitted(call).or_else(|_| self.open(call)).and_then(|at| self.act(at, call)),
            "block_user" | "unblock_user" => {
                let pair = (call.who.to_owned(), call.user().to_owned());
                let (blocks, since) = (call.name == "block_user", self.blocks.get(&pair).copied());
                ensure(call.names_user() || (!blocks && since.is_some()), "not_found")?;
                ensure(call.user() != call.who || !blocks, "forbidden")?;
                self.blocks.remove(&pair);
                self.blocks.extend(blocks.then(|| (pair, since.unwrap_or(call.now))));
                Ok(json!({}))
            }
            "list_rooms" | "list_blocks" | "list_invites" | "get_presence" => Ok(self.view(call)),
            "authenticate" | "ping" | "pong" | "unsubscribe" | "set_presence" => Ok(json!("*")),
            _ => self.act(self.permitted(call)?, call),
        }
    }

    /// The room of a command, if the user may give it there.
    pub fn permitted(&self, call: Call<'_>) -> Result<usize, &'static str> {
        let is_it = |room: &Room| match call.name {
            "accept_invite" | "decline_invite" => room.invites.iter().any(|it| call.answers(it)),
            "join_by_link" => room.links.iter().any(|link| link["token"] == call["token"]),
            "send_dm" => room.kind() == "direct" && call.is_between(room),
            _ => room.shown["id"] == call["roomId"],
        };
        let place = self.rooms.iter().position(is_it).ok_or("not_found")?;
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

    /// What a permitted command comes to in its room: an entry, if it changes what the log tells of.
    fn act(&mut self, place: usize, call: Call<'_>) -> Answer {
        let (before, mut room) = (&self.rooms[place], self.rooms[place].clone());
        let answer = room.decide(call)?;
        let [was, is] = [before, &room].map(|it| (&it.shown, &it.members, &it.sanctions, &it.messages));
        let changed = was != is || call.name == "delete_room";
        let reaches = changed || room.invites.len() > before.invites.len() || call.name.starts_with("typing");
        // Of a direct room both are there for ever, also who was erased.
        let other = room.read.keys().find(|user| room.kind() == "direct" && *user != call.who);
        let blocked = self.is_blocked(call.who, other.map_or(call.user(), String::as_str));
        ensure(!(blocked && reaches && call.is_for_others()), "forbidden")?;
        ensure(call.name != "update_room" || !self.is_taken(&room.shown, place), "conflict")?;
        room.head += u64::from(changed);
        let acts = if changed { call.acts(&before.shown, &room.shown) } else { Vec::new() };
        acts.into_iter().for_each(|act| wire::record(&mut room.records, act, call, &call["userId"]));
        let answer = wire::answer(call, &room, changed, answer);
        self.rooms[place] = if call.name == "delete_room" { room.gone() } else { room };
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

    /// What the server does now and then: rooms let go of what they need not keep.
    pub fn keep_up(&mut self, now: i64) {
        for room in &mut self.rooms {
            let [days, most] = ["retentionDays", "retentionMessages"].map(|bound| room.shown[bound].as_i64());
            let is_old = |it: &Value, days| text(&it["createdAt"]) < time((now / HOUR - days * 24) * HOUR);
            let mut newest = (1..).zip(room.messages.iter().rev());
            let goes = |(count, it): &(i64, &Value)| {
                days.is_some_and(|days| is_old(it, days)) || most.is_some_and(|most| *count > most)
            };
            let first = newest.find(goes).map_or(0, |(_, message)| seq(message) + 1);
            if first > number(&room.shown["firstSeq"]) {
                room.shown["firstSeq"] = json!(first);
                room.head += 1;
            }
        }
    }

    /// Erases the caller: nothing stays but the entries that say so.
    pub fn erase(&mut self, call: Call<'_>) {
        let (who, is_it) = (call.who, |it: &Value| *it == *call.who);
        self.blocks.retain(|(by, _), _| by != who);
        for room in &mut self.rooms {
            let others = room.members.iter().filter(|(user, _)| *user != who);
            let place = |(user, it): &(&String, &Value)| (room.rank(user), Reverse(seq(it)));
            match others.max_by_key(place).map(|(user, _)| user.clone()) {
                None if room.is_last_owner(who) => *room = room.gone(),
                Some(heir) if room.is_last_owner(who) => {
                    room.members.entry(heir).or_default()["role"] = json!("owner");
                    room.head += 1;
                }
                _ => {}
            }
            if room.members.remove(who).is_some() {
                room.head += 1;
                wire::record(&mut room.records, "erase_user", call, &json!(who));
            }
            room.sanctions.retain(|sanction, _| !sanction.ends_with(who));
            for list in [&mut room.invites, &mut room.links, &mut room.held, &mut room.reports] {
                list.retain(|it| !wire::is_of(it, who));
            }
            let (first, head) = (number(&room.shown["firstSeq"]), &mut room.head);
            let mut kept: Vec<_> = room.messages.iter_mut().filter(|it| seq(it) >= first).collect();
            for message in kept.iter_mut().filter(|it| is_it(&it["userId"])) {
                if message["deletedAt"].is_null() {
                    *head += 1;
                    put(message, wire::tombstone(call));
                    message["marks"]["delete_message"] = json!(head);
                }
                wire::rename(message);
            }
            *head += kept.iter_mut().map(|it| wire::withdraw(&mut it["reactions"], who)).sum::<u64>();
        }
    }

    /// Makes a new room and says where.
    fn open(&mut self, call: Call<'_>) -> Result<usize, &'static str> {
        let (others, place, shown) = (call.others(), self.rooms.len(), wire::room(call));
        let names_nobody = call["userIds"].as_array().is_some_and(Vec::is_empty);
        let alone = if names_nobody { "bad_request" } else { "forbidden" };
        ensure(call.name == "create_room" || !others.is_empty(), alone)?;
        ensure(others.iter().all(|user| call.knows(user)), "not_found")?;
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

    /// The place of a message that a member may see, deleted or not.
    pub fn find(&self, user: &str, id: &Value) -> Result<usize, &'static str> {
        self.messages.iter().position(|it| it["id"] == *id && self.shows(user, it)).ok_or("not_found")
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
        let user = if call["userId"].is_null() { who } else { call.user() };
        let is_banned = self.sanctions.contains_key(&format!("ban {user}"));
        match name {
            "join_room" | "accept_invite" | "join_by_link" if !self.members.contains_key(who) => {
                for link in self.links.iter_mut().filter(|link| link["token"] == call["token"]) {
                    let is_over = link["uses"] == link["maxUses"] || text(&link["expiresAt"]) <= time(now);
                    ensure(!is_over, "not_found")?;
                    link["uses"] = json!(number(&link["uses"]) + 1);
                }
                ensure(self.shown["archived"] == false && !is_banned, "forbidden")?;
                self.admit(who, 0, self.head + 1, now);
            }
            "leave_room" => {
                ensure(self.kind() != "direct", "forbidden")?;
                ensure(!self.is_last_owner(who) || self.members.len() == 1, "conflict")?;
                self.members.remove(who);
            }
            "update_room" => {
                ensure(call["private"].is_null() || self.kind() != "group", "bad_request")?;
                put(&mut self.shown, call.settings());
            }
            "set_role" | "kick" | "ban" | "unban" | "mute" | "unmute" => {
                let (own, theirs, rank) = (self.rank(who), self.rank(user), wire::rank(&call["role"]));
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
                    "set_role" => {
                        self.members.entry(user.to_owned()).or_default()["role"] = call["role"].clone()
                    }
                    "ban" | "mute" => drop(self.sanctions.insert(sanction, until)),
                    "unban" | "unmute" => drop(self.sanctions.remove(&sanction)),
                    _ => drop(self.members.remove(user)),
                }
                if name == "ban" {
                    self.members.remove(user);
                    self.invites.retain(|it| it["userId"] != user);
                }
            }
            "invite" => {
                ensure(call.names_user(), "not_found")?;
                ensure(!is_banned, "forbidden")?;
                let is_known = self.invites.iter().any(|it| it["userId"] == user);
                if !is_known && !self.members.contains_key(user) {
                    self.invites.push(wire::invite(call));
                }
                return Ok(wire::invited(&self.invites, user));
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
                *read = seq(call.command).min(self.head).max(*read);
                return Ok(self.view_unread(who));
            }
            "typing_start" | "typing_stop" => self.may_write(who)?,
            "send_message" | "send_dm" => return self.send(call, who, call.command),
            "release_held" | "discard_held" => {
                let held = self.held.remove(call.names(&self.held, "heldId")?);
                let (author, mut act, mut answer) = (text(&held["userId"]), "discard_message", json!({}));
                if name == "release_held" {
                    ensure(self.members.contains_key(&author), "forbidden")?;
                    answer = self.send(call, &author, &held["draft"]).map_err(|_| "forbidden")?;
                    // What its author has sent under its key since stands in its place.
                    act = if answer["duplicate"] == true { act } else { "release_message" };
                }
                wire::record(&mut self.records, act, call, &held["userId"]);
                return Ok(answer);
            }
            "resolve_report" => wire::resolve(&mut self.reports, call)?,
            _ if call["messageId"].is_string() => return self.treat(call),
            _ => return Ok(self.read(call)),
        }
        Ok(Value::Null)
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
        let hurries = |it: &Value| self.keeps(it) && text(&it["createdAt"]) > time(call.now - pause);
        let waits = self.rank(author) < Some(MODERATOR) && self.messages.iter().filter(is_own).any(hurries);
        ensure(call.name == "release_held" || !waits, "rate_limited")?;
        for id in [&draft["replyTo"], &draft["threadId"]].into_iter().filter(|id| id.is_string()) {
            ensure(self.messages[self.find(author, id)?]["deletedAt"].is_null(), "not_found")?;
        }
        let root =
            self.find(author, &draft["threadId"]).map_or(&Value::Null, |at| wire::root(&self.messages[at]));
        let is_dead = |it: &Value| it["id"] == *root && (!self.keeps(it) || !it["deletedAt"].is_null());
        ensure(!self.messages.iter().any(is_dead), "not_found")?;
        if call.is_to_wait() {
            ensure(self.kind() != "direct", "forbidden")?;
            let first = self.held.iter().find(repeats).cloned();
            return Ok(wire::hold(&mut self.held, call, first.as_ref()));
        }
        // The other one was erased.
        ensure(self.kind() != "direct" || self.members.len() > 1, "not_found")?;
        let message = wire::message(self, call, author, draft, root);
        self.messages.push(message.clone());
        if call.name != "release_held" {
            self.read.insert(author.to_owned(), self.head + 1);
        }
        Ok(wire::sent(&message, false))
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
