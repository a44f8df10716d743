//! How the model looks on the wire: lists, pages, and what each user sees of a room.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    model::{Model, Room},
    wire::{Answer, Call, ERASED, number, only, pairs, rank, root, text, time, with},
};

impl Model {
    /// The answer to a command that is about no room and changes nothing.
    pub fn view(&self, call: Call<'_>) -> Value {
        match call.name {
            "list_rooms" => {
                json!({"items": self.list(call.who, call["scope"] == "mine"), "nextCursor": null})
            }
            "list_blocks" => {
                let own = self.blocks.iter().filter(|((by, _), _)| by == call.who);
                let item = |((_, user), at): (&(String, String), &i64)| {
                    let name = if call.knows(user) { user } else { ERASED };
                    json!({"userId": user, "username": name, "createdAt": time(*at)})
                };
                json!({"items": own.map(item).collect::<Vec<_>>(), "nextCursor": null})
            }
            "list_invites" => {
                let of_room = |room: &Room| {
                    let own = room.invites.iter().filter(|it| it["userId"] == call.who);
                    let shown = own.map(|it| only(it, &["inviteId", "invitedBy", "createdAt"]));
                    shown.map(|it| with(it, json!({"room": room.view()}))).collect::<Vec<_>>()
                };
                json!({"items": self.rooms.iter().flat_map(of_room).collect::<Vec<_>>()})
            }
            _ => {
                let meets = |user: &&Value| {
                    let both = |room: &Room| [call.who, &text(user)].iter().all(|it| room.rank(it).is_some());
                    **user == call.who || self.rooms.iter().any(both)
                };
                let item = |user: &Value| {
                    let any = "*";
                    json!({"userId": user, "username": user, "status": any, "statusText": any, "lastSeenAt": any})
                };
                let asked = call["userIds"].as_array().into_iter().flatten();
                json!({"items": asked.filter(meets).map(item).collect::<Vec<_>>()})
            }
        }
    }

    /// A list of rooms: one's own, or the public ones.
    pub fn list(&self, who: &str, mine: bool) -> Vec<Value> {
        let shown = |room: &&Room| if mine { room.rank(who).is_some() } else { room.kind() == "public" };
        let view = |room: &Room| if mine { room.own_view(who) } else { room.view() };
        sorted(self.rooms.iter().filter(shown).map(view).collect())
    }

    /// Everything that a client knows of its user's rooms, by id.
    pub fn client_view(&self, who: &str) -> BTreeMap<String, Value> {
        let own = self.rooms.iter().filter(|room| room.rank(who).is_some());
        own.map(|room| (text(&room.shown["id"]), room.client_view(who))).collect()
    }

    /// The answer to a command that changes nothing in its room.
    pub fn look(&mut self, call: Call<'_>) -> Answer {
        let place = self.permitted(call)?;
        Ok(self.rooms[place].read(call))
    }

    /// The heads of a user's rooms.
    pub fn heads(&self, who: &str) -> BTreeMap<String, u64> {
        let own = self.rooms.iter().filter(|room| room.rank(who).is_some());
        own.map(|room| (text(&room.shown["id"]), room.head)).collect()
    }
}

impl Room {
    /// What is left when it is deleted.
    pub fn gone(&self) -> Self {
        Self { shown: json!({"gone": self.shown["id"]}), ..Self::default() }
    }

    pub fn kind(&self) -> &str {
        self.shown["kind"].as_str().unwrap_or_default()
    }

    pub fn rank(&self, user: &str) -> Option<usize> {
        self.members.get(user).and_then(|member| rank(&member["role"]))
    }

    /// The messages that a member may see.
    fn visible(&self, user: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.messages.iter().filter(move |message| self.shows(user, message))
    }

    /// Whether a member may see a message.
    pub fn shows(&self, user: &str, message: &Value) -> bool {
        let all = self.shown["history"] == "all";
        self.keeps(message) && (all || number(&message["seq"]) >= number(&self.members[user]["seq"]))
    }

    /// Whether a message was not let go of.
    pub fn keeps(&self, message: &Value) -> bool {
        number(&message["seq"]) >= number(&self.shown["firstSeq"])
    }

    /// The messages that count as unread.
    pub fn unread(&self, user: &str) -> impl Iterator<Item = &Value> {
        let others = self.messages.iter().filter(move |it| it["userId"] != user && it["deletedAt"].is_null());
        others.filter(move |it| self.keeps(it) && number(&it["seq"]) > self.read[user])
    }

    /// The answer that gives the room.
    pub fn answer(&self) -> Value {
        json!({"room": self.view()})
    }

    /// The room as everybody sees it.
    pub fn view(&self) -> Value {
        let counts = json!({"memberCount": self.members.len(), "lastSeq": self.head});
        let mut view = with(self.shown.clone(), counts);
        if let Some(view) = view.as_object_mut() {
            view.retain(|field, value| !field.starts_with("retention") || !value.is_null());
        }
        view
    }

    fn own_view(&self, user: &str) -> Value {
        let last = self.visible(user).next_back().map(|message| self.view_message(message, user));
        let own = json!({
            "role": self.members[user]["role"], "lastReadSeq": self.read[user], "lastMessage": last,
        });
        with(with(self.view(), own), self.view_unread(user))
    }

    pub fn view_unread(&self, user: &str) -> Value {
        let is_named = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|it| *it == *user));
        let mentions = |it: &&Value| it["mentionsRoom"] == true || is_named(&it["mentions"]);
        json!({"unread": self.unread(user).count(), "mentions": self.unread(user).filter(mentions).count()})
    }

    fn view_message(&self, message: &Value, user: &str) -> Value {
        let replies = || {
            let stands = |it: &&Value| it["threadId"] == message["id"] && it["deletedAt"].is_null();
            self.messages.iter().filter(stands)
        };
        let reaction = |(emoji, users): (String, Vec<String>)| json!({"emoji": emoji, "count": users.len(), "userIds": users});
        let mut view = message.clone();
        view["reactions"] = pairs(&message["reactions"]).into_iter().map(reaction).collect();
        view["threadCount"] = replies().count().into();
        view["lastReplyAt"] = replies().next_back().map_or(Value::Null, |last| last["createdAt"].clone());
        if let Some(view) = view.as_object_mut() {
            let own = message["userId"] == user;
            view.retain(|field, value| match field.as_str() {
                "marks" | "former" => false,
                "clientMessageId" => own && !value.is_null(),
                "mentionsRoom" => *value == true,
                _ => true,
            });
        }
        view
    }

    /// The answer to a command that changes nothing in its room.
    pub fn read(&mut self, call: Call<'_>) -> Value {
        let (who, id) = (call.who, &self.shown["id"]);
        match call.name {
            "get_room" if self.rank(who).is_some() => json!({"room": self.own_view(who)}),
            "get_room" => json!({"room": self.view()}),
            "list_members" => {
                let fields = ["userId", "username", "role", "joinedAt"];
                let items: Vec<_> = self.members.values().map(|member| only(member, &fields)).collect();
                json!({"roomId": id, "items": items, "nextCursor": null})
            }
            "fetch_history" => self.history(call),
            "fetch_thread" => self.thread(call),
            "fetch_edits" => {
                let message = self.messages.iter().find(|it| it["id"] == call["messageId"]);
                let items = message.map(|message| &message["former"]);
                json!({"roomId": id, "messageId": call["messageId"], "items": items, "hasMoreBefore": false})
            }
            "list_pins" => {
                let pinned = self.visible(who).filter(|message| message["pinned"] == true);
                let messages: Vec<_> = pinned.map(|message| self.view_message(message, who)).collect();
                json!({"roomId": id, "messages": messages, "hasMoreBefore": false})
            }
            "list_invite_links" => {
                let fields = ["linkId", "createdBy", "createdAt", "expiresAt", "maxUses", "uses"];
                let items: Vec<_> = self.links.iter().map(|link| only(link, &fields)).collect();
                json!({"roomId": id, "items": items})
            }
            "list_held" => {
                let fields =
                    ["heldId", "userId", "username", "content", "messageType", "attachments", "createdAt"];
                let items: Vec<_> = self.held.iter().map(|held| only(held, &fields)).collect();
                json!({"roomId": id, "items": items, "nextCursor": null})
            }
            "list_reports" => {
                // Only here are their ids told.
                let key = |it: &Value| (it["reportedBy"]["id"].clone(), it["message"]["id"].clone());
                for report in &mut self.reports {
                    let told = call.made["items"].as_array().into_iter().flatten();
                    let told =
                        told.filter(|it| key(it) == key(report)).map(|it| it["reportId"].clone()).next();
                    report["reportId"] = told.unwrap_or_default();
                }
                json!({"roomId": id, "items": self.reports, "nextCursor": null})
            }
            "fetch_audit" => {
                let items: Vec<_> = self.records.iter().rev().collect();
                json!({"roomId": id, "items": items, "nextCursor": null})
            }
            "subscribe" => json!({"seq": "*"}),
            _ => json!({}),
        }
    }

    fn history(&self, call: Call<'_>) -> Value {
        let all: Vec<_> = self.visible(call.who).collect();
        let limit = call["limit"].as_u64().map_or(50, |limit| limit as usize);
        let until = |seq: u64| all.iter().filter(|message| number(&message["seq"]) < seq).count();
        let (before, after, around) = (&call["before"], &call["after"], &call["around"]);
        let (start, end) = match (before.as_u64(), after.as_u64(), around.as_u64()) {
            (Some(seq), ..) => (until(seq).saturating_sub(limit), until(seq)),
            (_, Some(seq), _) => (until(seq + 1), (until(seq + 1) + limit).min(all.len())),
            (.., Some(seq)) => {
                let start = until(seq).saturating_sub(limit / 2);
                (start, (start + limit).min(all.len()))
            }
            _ => (all.len().saturating_sub(limit), all.len()),
        };
        let messages: Vec<_> = all[start..end].iter().map(|it| self.view_message(it, call.who)).collect();
        let (before, after) = (start > 0, end < all.len());
        json!({
            "roomId": self.shown["id"], "messages": messages, "hasMoreBefore": before, "hasMoreAfter": after,
        })
    }

    /// The newest replies of a thread, after the message that began it.
    fn thread(&self, call: Call<'_>) -> Value {
        let message = self.messages.iter().find(|it| it["id"] == call["messageId"]).unwrap_or(&Value::Null);
        let root = root(message);
        let replies: Vec<_> = self.visible(call.who).filter(|it| it["threadId"] == *root).collect();
        let skipped = replies.len().saturating_sub(number(&call["limit"]) as usize);
        let begins = self.visible(call.who).filter(|it| it["id"] == *root);
        let messages = begins.chain(replies[skipped..].iter().copied());
        let messages: Vec<_> = messages.map(|it| self.view_message(it, call.who)).collect();
        json!({
            "roomId": self.shown["id"], "messageId": root, "messages": messages,
            "hasMoreBefore": skipped > 0, "hasMoreAfter": false,
        })
    }

    /// What a client keeps of a room: itself, its messages, and its members' roles.
    fn client_view(&self, user: &str) -> Value {
        let messages = self.visible(user).map(|message| unordered(self.view_message(message, user)));
        let roles = self.members.iter().map(|(user, member)| (user.clone(), member["role"].clone()));
        let (messages, roles) = (messages.collect::<Vec<_>>(), roles.collect::<Map<_, _>>());
        json!({"room": self.view(), "messages": messages, "roles": roles})
    }
}

/// Rooms, users and the like, by their ids.
pub fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    let ids = ["id", "inviteId", "linkId", "heldId", "reportId", "userId"];
    items.sort_by_key(|item| ids.iter().find_map(|id| item[*id].as_str()).unwrap_or_default().to_owned());
    items
}

/// A message whose reactions stand in an order of their own: who comes late can't know the one in which they came.
pub fn unordered(mut message: Value) -> Value {
    // Nor what the author of what is gone was called, once they are erased.
    if !message["deletedAt"].is_null() {
        message["username"] = "".into();
        message.as_object_mut().and_then(|message| message.remove("senderUsername"));
    }
    if let Some(reactions) = message["reactions"].as_array_mut() {
        for reaction in reactions.iter_mut() {
            if let Some(users) = reaction["userIds"].as_array_mut() {
                users.sort_by_key(Value::to_string);
            }
        }
        reactions.sort_by_key(|reaction| reaction["emoji"].to_string());
    }
    message
}
