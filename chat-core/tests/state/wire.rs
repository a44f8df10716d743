//! How commands look on the wire, and what comes of them.

use std::{collections::BTreeSet, ops::Index};

use chat_core::{time::Timestamp, wire::rfc3339};
use serde_json::{Map, Value, json};

use super::model::Room;

/// Users' ids, which are their names too.
pub const USERS: [&str; 5] = ["ada", "bea", "cyd", "dot", "eve"];
/// The lowest rank first.
pub const ROLES: [&str; 4] = ["member", "moderator", "admin", "owner"];
pub const MODERATOR: usize = 1;
pub const ADMIN: usize = 2;
pub const OWNER: usize = 3;
/// What those are called who were erased.
pub const ERASED: &str = "erased-user";
/// In milliseconds.
pub const HOUR: i64 = 3_600_000;

/// The fields of an answer, or a code.
pub type Answer = Result<Value, &'static str>;

/// A command, and what the server has `made` of it: of that only ids and tokens are looked at.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub who: &'a str,
    pub name: &'a str,
    pub command: &'a Value,
    pub made: &'a Value,
    pub now: i64,
    /// Who was erased.
    pub erased: &'a BTreeSet<&'static str>,
}

impl<'a> Call<'a> {
    /// Whether there is such a user.
    pub fn knows(&self, user: &str) -> bool {
        USERS.contains(&user) && !self.erased.contains(user)
    }

    /// Whether it is refused whoever sends it.
    pub fn is_malformed(&self) -> bool {
        let is_blank = |field| self[field].as_str().is_some_and(|text| text.trim().is_empty());
        let places = ["before", "after", "around"].iter().filter(|place| self[place].is_u64());
        is_blank("content") || is_blank("name") || self["emoji"] == "no" || places.count() > 1
    }

    /// Whether it is a message that the hook of these tests holds for review.
    pub fn is_to_wait(&self) -> bool {
        text(&self["content"]).contains("hold")
    }

    /// Whom it is about.
    pub fn user(&self) -> &'a str {
        self.command["userId"].as_str().or(self.command["recipientId"].as_str()).unwrap_or_default()
    }

    /// Whether there is such a user.
    pub fn names_user(&self) -> bool {
        self.knows(self.user())
    }

    /// Whom it gathers, each once.
    pub fn others(&self) -> Vec<&'a str> {
        let mut others = Vec::new();
        let named =
            self.command["userIds"].as_array().into_iter().flatten().chain([&self.command["recipientId"]]);
        for user in named.filter_map(Value::as_str) {
            if user != self.who && !others.contains(&user) {
                others.push(user);
            }
        }
        others
    }

    /// Whether it is something that a block keeps from others.
    pub fn is_for_others(&self) -> bool {
        let names = ["send_message", "send_dm", "edit_message", "add_reaction", "invite"];
        names.contains(&self.name) || self.name.starts_with("typing")
    }

    /// Whether it is recorded.
    pub fn is_about_power(&self) -> bool {
        ["set_role", "kick", "ban", "unban", "mute", "unmute", "update_room"].contains(&self.name)
    }

    /// As what it is recorded, if it changed a room so.
    pub fn acts(&self, before: &Value, after: &Value) -> Vec<&'a str> {
        let differ = |fields: &[&str]| fields.iter().any(|field| before[*field] != after[*field]);
        let mut acts = Vec::new();
        let others = ["kind", "name", "description", "archived", "slowModeSeconds", "history"];
        if self.is_about_power() && (self.name != "update_room" || differ(&others)) {
            acts.push(self.name);
        }
        if differ(&["retentionDays", "retentionMessages"]) {
            acts.push("set_retention");
        }
        acts
    }

    /// The place of what it names in a list.
    pub fn names(&self, list: &[Value], field: &str) -> Result<usize, &'static str> {
        list.iter().position(|it| it[field] == self[field]).ok_or("not_found")
    }

    /// Whether a room is one of its user and those whom it gathers.
    pub fn is_between(&self, room: &Room) -> bool {
        let others = self.others();
        room.rank(self.who).is_some()
            && !others.is_empty()
            && others.iter().all(|user| room.rank(user).is_some())
    }

    /// Whether it answers this invitation.
    pub fn answers(&self, invite: &Value) -> bool {
        invite["inviteId"] == self["inviteId"] && invite["userId"] == self.who
    }

    /// The settings of a room that it changes.
    pub fn settings(&self) -> Value {
        let mut settings = self.command.clone();
        if let Some(private) = self["private"].as_bool() {
            settings["kind"] = if private { "private" } else { "public" }.into();
        }
        if let Some(settings) = settings.as_object_mut() {
            settings.retain(|field, _| !["type", "roomId", "private"].contains(&field.as_str()));
        }
        settings
    }
}

impl Index<&str> for Call<'_> {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.command[field]
    }
}

// What is new, as it is shown.

pub fn room(call: Call<'_>) -> Value {
    let (kind, id) = match call.name {
        "send_dm" => ("direct", &call.made["roomId"]),
        "create_group" => ("group", &call.made["room"]["id"]),
        _ if call["private"] == true => ("private", &call.made["room"]["id"]),
        _ => ("public", &call.made["room"]["id"]),
    };
    json!({
        "id": id, "kind": kind, "name": text(&call["name"]), "description": text(&call["description"]),
        "createdBy": call.who, "createdAt": time(call.now), "slowModeSeconds": 0, "history": "all",
        "archived": false, "retentionDays": null, "retentionMessages": null,
    })
}

pub fn member(user: &str, rank: usize, seq: u64, now: i64) -> Value {
    json!({"userId": user, "username": user, "role": ROLES[rank], "joinedAt": time(now), "seq": seq})
}

/// A message of `author`, who wrote the `draft`.
pub fn message(room: &Room, call: Call<'_>, author: &str, draft: &Value, root: &Value) -> Value {
    let (seq, id) = (room.head + 1, &call.made["messageId"]);
    let mut message = json!({
        "id": id, "roomId": room.shown["id"], "seq": seq, "userId": author, "username": author,
        "content": normal(&draft["content"]), "messageType": "text", "createdAt": time(call.now),
        "editedAt": null, "deletedAt": null, "replyTo": draft["replyTo"], "threadId": root, "attachments": [],
        "reactions": [], "pinned": false, "clientMessageId": draft["clientMessageId"],
        "marks": {"edit_message": seq}, "former": [],
    });
    if room.kind() == "direct" {
        let recipient = room.members.keys().find(|user| *user != author);
        put(&mut message, json!({"senderId": author, "senderUsername": author, "recipientId": recipient}));
    }
    with(message, room.mentions(author, &draft["content"]))
}

/// The id of the message that began the thread of this one.
pub fn root(message: &Value) -> &Value {
    if message["threadId"].is_null() { &message["id"] } else { &message["threadId"] }
}

/// What an edit changes.
pub fn edited(before: &Value, call: Call<'_>) -> Value {
    let since = if before["editedAt"].is_null() { &before["createdAt"] } else { &before["editedAt"] };
    let mut former = before["former"].as_array().cloned().unwrap_or_default();
    former.push(json!({"content": before["content"], "createdAt": since, "replacedAt": time(call.now)}));
    json!({"content": normal(&call["content"]), "editedAt": time(call.now), "former": former})
}

/// What a deletion leaves.
pub fn tombstone(call: Call<'_>) -> Value {
    json!({
        "content": "", "mentions": [], "mentionsRoom": false, "reactions": [], "former": [], "pinned": false,
        "deletedAt": time(call.now), "deletedBy": call.who,
    })
}

/// Gives a message the name of somebody who was erased.
pub fn rename(message: &mut Value) {
    for field in ["username", "senderUsername"] {
        if message[field].is_string() {
            message[field] = ERASED.into();
        }
    }
}

/// Gives a list of reactions one more, or one less.
pub fn toggle(reactions: &mut Value, call: Call<'_>) {
    let (who, emoji) = (call.who.to_owned(), text(&call["emoji"]));
    let mut all = pairs(reactions);
    if !all.iter().any(|(known, _)| *known == emoji) {
        all.push((emoji.clone(), Vec::new()));
    }
    for (_, users) in all.iter_mut().filter(|(known, _)| *known == emoji) {
        match call.name {
            "remove_reaction" => users.retain(|user| *user != who),
            _ if users.contains(&who) => {}
            _ => users.push(who.clone()),
        }
    }
    all.retain(|(_, users)| !users.is_empty());
    *reactions = json!(all);
}

/// Takes a user's reactions away. Returns how many they were.
pub fn withdraw(reactions: &mut Value, who: &str) -> u64 {
    let mut all = pairs(reactions);
    let given = all.iter_mut().filter(|(_, users)| users.iter().any(|user| user == who));
    let count = given.map(|(_, users)| users.retain(|user| user != who)).count();
    all.retain(|(_, users)| !users.is_empty());
    *reactions = json!(all);
    count as u64
}

/// Emoji with their users.
pub fn pairs(reactions: &Value) -> Vec<(String, Vec<String>)> {
    serde_json::from_value(reactions.clone()).unwrap_or_default()
}

/// The answer to what changes nothing in a message: by which entry it became so, where that is told.
pub fn mark(message: &Value, name: &str) -> Value {
    match name {
        "edit_message" | "delete_message" | "pin_message" => json!({"seq": message["marks"][name]}),
        _ => json!({}),
    }
}

/// The answer to a send.
pub fn sent(message: &Value, duplicate: bool) -> Value {
    json!({
        "messageId": message["id"], "roomId": message["roomId"], "seq": message["seq"],
        "createdAt": message["createdAt"], "duplicate": duplicate,
    })
}

fn held(call: Call<'_>) -> Value {
    json!({
        "heldId": call.made["heldId"], "userId": call.who, "username": call.who,
        "content": normal(&call["content"]), "messageType": "text", "attachments": [],
        "createdAt": time(call.now), "clientMessageId": call["clientMessageId"], "draft": call.command,
    })
}

/// Holds a message for review, unless it was already. Returns the answer.
pub fn hold(all: &mut Vec<Value>, call: Call<'_>, first: Option<&Value>) -> Value {
    let id = &first.unwrap_or(call.made)["heldId"];
    if first.is_none() {
        all.push(held(call));
    }
    json!({"held": true, "heldId": id, "roomId": call["roomId"], "duplicate": first.is_some()})
}

pub fn invite(call: Call<'_>) -> Value {
    let (id, user) = (&call.made["inviteId"], call.user());
    json!({"inviteId": id, "invitedBy": call.who, "createdAt": time(call.now), "userId": user})
}

/// The answer to an invitation: what it is called, if there is one.
pub fn invited(invites: &[Value], user: &str) -> Value {
    let invite = invites.iter().find(|it| it["userId"] == *user);
    invite.map_or(json!({}), |it| only(it, &["inviteId"]))
}

pub fn link(call: Call<'_>) -> Value {
    let (until, made) = (call.now + number(&call["expiresInSeconds"]).cast_signed() * 1_000, call.made);
    json!({
        "linkId": made["linkId"], "token": made["token"], "createdBy": call.who, "createdAt": time(call.now),
        "expiresAt": time(until), "maxUses": call["maxUses"], "uses": 0,
    })
}

/// Notes a report, unless it repeats one.
pub fn report(reports: &mut Vec<Value>, call: Call<'_>, message: &Value) {
    let is_it = |it: &Value| it["reportedBy"]["id"] == call.who && it["message"]["id"] == message["id"];
    if reports.iter().any(is_it) {
        return;
    }
    let fields = ["id", "seq", "userId", "username", "content", "messageType", "createdAt", "attachments"];
    reports.push(json!({
        "reportId": "", "reportedBy": {"id": call.who, "username": call.who}, "reportedAt": time(call.now),
        "reason": text(&call["reason"]), "resolvedBy": null, "resolvedAt": null, "message": only(message, &fields),
    }));
}

/// Resolves a report, unless somebody has.
pub fn resolve(reports: &mut [Value], call: Call<'_>) -> Result<(), &'static str> {
    let report = &mut reports[call.names(reports, "reportId")?];
    if report["resolvedBy"].is_null() {
        put(report, json!({"resolvedBy": call.who, "resolvedAt": time(call.now)}));
    }
    Ok(())
}

/// Whether something that is listed is somebody's, or about them.
pub fn is_of(listed: &Value, user: &str) -> bool {
    let fields = ["userId", "invitedBy", "createdBy"];
    let (by, of) = (&listed["reportedBy"]["id"], &listed["message"]["userId"]);
    fields.iter().map(|field| &listed[*field]).chain([by, of]).any(|it| *it == *user)
}

/// The answer to a command in a room; null stands for the usual one.
pub fn answer(call: Call<'_>, room: &Room, changed: bool, answer: Value) -> Value {
    match call.name {
        "join_room" | "accept_invite" | "join_by_link" | "update_room" | "delete_room" => room.answer(),
        "leave_room" => json!({}),
        _ if !answer.is_null() => answer,
        _ if changed || call.is_about_power() => json!({"seq": room.head}),
        _ => json!({}),
    }
}

/// Puts a privileged act on record.
pub fn record(records: &mut Vec<Value>, act: &str, call: Call<'_>, target: &Value) {
    records.push(json!({
        "number": records.len() + 1, "at": time(call.now), "actorId": call.who, "act": act, "targetId": target,
        "details": "*", "previous": "*", "hash": "*",
    }));
}

pub fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The users whom a text names, and whether it speaks to all.
pub fn addressed(content: &Value) -> (Vec<&'static str>, bool) {
    let content = text(content);
    let names = || content.split(' ').filter_map(|word| word.strip_prefix('@'));
    let named = names().filter_map(|name| USERS.into_iter().find(|user| *user == name)).collect();
    (named, names().any(|name| name == "room"))
}

/// The rank of a role.
pub fn rank(role: &Value) -> Option<usize> {
    ROLES.iter().position(|it| role == it)
}

/// A text as it is stored.
pub fn normal(content: &Value) -> String {
    text(content).replace("e\u{301}", "é")
}

/// A time. Times compare as their texts do.
pub fn time(at: i64) -> String {
    rfc3339(Timestamp::from_millis(at))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The place of something in its room's log.
pub fn seq(entry: &Value) -> u64 {
    number(&entry["seq"])
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Both objects in one.
pub fn with(mut fields: Value, more: Value) -> Value {
    put(&mut fields, more);
    fields
}

/// Puts fields into an object.
pub fn put(into: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (into.as_object_mut(), more) {
        fields.extend(more);
    }
}

/// Some fields of an object.
pub fn only(value: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| ((*field).to_owned(), value[*field].clone())).collect::<Map<_, _>>().into()
}
