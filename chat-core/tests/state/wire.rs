//! How the model looks on the wire.

use std::collections::BTreeMap;

use chat_core::{time::Timestamp, wire::rfc3339};
use serde_json::{Map, Value, json};

use super::{
    acts::Place,
    model::{Invite, Member, Message, Model, ROLES, Record, Room, USERS, User},
};

impl Model {
    /// A list of rooms, by id: one's own, or the public ones.
    pub fn list(&self, who: User, mine: bool) -> Vec<Value> {
        let own = self.rooms.iter().filter(|room| room.members.contains_key(&who));
        let public = self.rooms.iter().filter(|room| room.kind == "public" && !room.deleted);
        let list = if mine {
            own.map(|room| room.own_view(who)).collect()
        } else {
            public.map(Room::view).collect()
        };
        sorted(list)
    }

    /// Everything that a client knows of its user's rooms, by id.
    pub fn view(&self, who: User) -> BTreeMap<String, Value> {
        let own = self.rooms.iter().filter(|room| room.members.contains_key(&who));
        own.map(|room| (room.id.clone(), room.client_view(who))).collect()
    }

    pub fn view_invites(&self, who: User) -> Value {
        let item = |invite: &Invite| {
            let room = self.rooms[invite.room].view();
            let (by, at) = (USERS[invite.by], time(invite.at));
            json!({"inviteId": invite.id, "room": room, "invitedBy": by, "createdAt": at})
        };
        let own = self.invites.iter().filter(|invite| invite.user == who);
        json!({"items": own.map(item).collect::<Vec<_>>()})
    }

    pub fn view_blocks(&self, who: User) -> Value {
        let own = self.blocks.iter().filter(|((by, _), _)| *by == who);
        let item = |((_, user), at): (&(User, User), &i64)| json!({"userId": USERS[*user], "username": USERS[*user], "createdAt": time(*at)});
        json!({"items": own.map(item).collect::<Vec<_>>(), "nextCursor": null})
    }
}

impl Room {
    pub fn view(&self) -> Value {
        json!({
            "id": self.id, "kind": self.kind, "name": self.name,
            "description": "", "createdBy": USERS[self.created.0], "createdAt": time(self.created.1),
            "memberCount": self.members.len(), "lastSeq": self.head, "slowModeSeconds": self.slow,
            "history": if self.since_join { "since_join" } else { "all" }, "archived": self.archived,
        })
    }

    fn own_view(&self, user: User) -> Value {
        let member = &self.members[&user];
        let mut view = self.view();
        view["role"] = ROLES[member.role].into();
        view["unread"] = self.unread(user).count().into();
        view["mentions"] = self.unread_mentions(user).into();
        view["lastReadSeq"] = member.read.into();
        view["lastMessage"] =
            self.visible(user).last().map_or(Value::Null, |message| self.view_message(message, user));
        view
    }

    /// The room as `get_room` gives it.
    pub fn known_to(&self, user: User) -> Value {
        json!({"room": if self.members.contains_key(&user) { self.own_view(user) } else { self.view() }})
    }

    pub fn view_message(&self, message: &Message, user: User) -> Value {
        let author = USERS[message.author];
        let id = |place: usize| self.messages[place].id.as_str();
        let place = self.messages.iter().position(|other| other.seq == message.seq).unwrap_or_default();
        let replies = || self.replies(place);
        let reaction = |(emoji, users): &(&'static str, Vec<User>)| {
            let users: Vec<_> = users.iter().map(|user| USERS[*user]).collect();
            json!({"emoji": emoji, "count": users.len(), "userIds": users})
        };
        let mut view = json!({
            "id": message.id, "roomId": self.id, "seq": message.seq, "userId": author, "username": author,
            "content": message.text, "messageType": "text", "createdAt": time(message.at),
            "editedAt": message.edited.map(|(_, at)| time(at)),
            "deletedAt": message.deleted.map(|((_, at), _)| time(at)),
            "replyTo": message.reply_to.map(id), "threadId": message.thread.map(id),
            "threadCount": replies().count(), "lastReplyAt": replies().next_back().map(|last| time(last.at)),
            "attachments": [], "mentions": message.mentions.0.iter().map(|user| USERS[*user]).collect::<Vec<_>>(),
            "reactions": message.reactions.iter().map(reaction).collect::<Vec<_>>(),
            "pinned": message.pinned.is_some(),
        });
        if message.mentions.1 {
            view["mentionsRoom"] = true.into();
        }
        if let Some((_, by)) = message.deleted {
            view["deletedBy"] = USERS[by].into();
        }
        if self.kind == "direct" {
            let recipient =
                self.members.keys().find(|user| **user != message.author).copied().unwrap_or_default();
            view["senderId"] = author.into();
            view["senderUsername"] = author.into();
            view["recipientId"] = USERS[recipient].into();
        }
        if let Some(key) = message.key.as_ref().filter(|_| message.author == user) {
            view["clientMessageId"] = key.as_str().into();
        }
        view
    }

    pub fn view_members(&self) -> Value {
        let member = |(user, member): (&User, &Member)| {
            let (name, role) = (USERS[*user], ROLES[member.role]);
            json!({"userId": name, "username": name, "role": role, "joinedAt": time(member.joined.1)})
        };
        let items: Vec<_> = self.members.iter().map(member).collect();
        json!({"roomId": self.id, "items": items, "nextCursor": null})
    }

    pub fn history(&self, who: User, place: Place, seq: u64, limit: usize) -> Value {
        let all: Vec<_> = self.visible(who).map(|message| self.view_message(message, who)).collect();
        let before = self.visible(who).filter(|message| message.seq < seq).count();
        let until = self.visible(who).filter(|message| message.seq <= seq).count();
        let (start, end) = match place {
            Place::Latest => (all.len().saturating_sub(limit), all.len()),
            Place::Before => (before.saturating_sub(limit), before),
            Place::After => (until, (until + limit).min(all.len())),
            Place::Around => {
                let start = before.saturating_sub(limit / 2);
                (start, (start + limit).min(all.len()))
            }
        };
        let (before, after) = (start > 0, end < all.len());
        json!({"roomId": self.id, "messages": all[start..end], "hasMoreBefore": before, "hasMoreAfter": after})
    }

    /// The newest replies of a thread, after the message that began it.
    pub fn view_thread(&self, who: User, root: usize, limit: usize) -> Value {
        let in_thread = |message: &&Message| message.thread == Some(root);
        let mut replies: Vec<_> = self.visible(who).filter(in_thread).collect();
        let rest = replies.split_off(replies.len().saturating_sub(limit));
        let begins = self.visible(who).filter(|message| message.seq == self.messages[root].seq);
        let messages: Vec<_> = begins.chain(rest).map(|message| self.view_message(message, who)).collect();
        json!({
            "roomId": self.id, "messageId": self.messages[root].id, "messages": messages,
            "hasMoreBefore": !replies.is_empty(), "hasMoreAfter": false,
        })
    }

    fn visible(&self, who: User) -> impl DoubleEndedIterator<Item = &Message> {
        let from = self.visible_from(who);
        self.messages.iter().filter(move |message| message.seq >= from)
    }

    pub fn view_edits(&self, message: &Message) -> Value {
        let item = |(text, written, replaced): &(String, i64, i64)| json!({"content": text, "createdAt": time(*written), "replacedAt": time(*replaced)});
        let items: Vec<_> = message.former.iter().map(item).collect();
        json!({"roomId": self.id, "messageId": message.id, "items": items, "hasMoreBefore": false})
    }

    /// The audit log, the newest record first.
    pub fn view_records(&self) -> Value {
        let item = |(at, record): (usize, &Record)| {
            json!({
                "number": at + 1, "at": time(record.at), "actorId": USERS[record.actor], "act": record.name,
                "targetId": record.target.map(|user| USERS[user]), "details": "*", "previous": "?", "hash": "?",
            })
        };
        let items: Vec<_> = self.records.iter().enumerate().rev().map(item).collect();
        json!({"roomId": self.id, "items": items, "nextCursor": null})
    }

    pub fn view_pins(&self, who: User) -> Value {
        let pinned = self.visible(who).filter(|message| message.pinned.is_some());
        let messages: Vec<_> = pinned.map(|message| self.view_message(message, who)).collect();
        json!({"roomId": self.id, "messages": messages, "hasMoreBefore": false})
    }

    /// What a client keeps of a room: itself, its messages, and its members' roles.
    fn client_view(&self, user: User) -> Value {
        let messages = self.visible(user).map(|message| unordered(self.view_message(message, user)));
        let roles =
            self.members.iter().map(|(user, member)| (USERS[*user].to_owned(), ROLES[member.role].into()));
        let (messages, roles) = (messages.collect::<Vec<_>>(), roles.collect::<Map<_, _>>());
        json!({"room": self.view(), "messages": messages, "roles": roles})
    }
}

pub fn time(at: i64) -> String {
    rfc3339(Timestamp::from_millis(at))
}

/// Rooms, users and the like, by their ids.
pub fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    let id = |item: &Value| {
        item["id"]
            .as_str()
            .or(item["userId"].as_str())
            .or(item["inviteId"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    items.sort_by_key(id);
    items
}

/// A message whose reactions stand in an order of their own: who comes late can't know the one in which they came.
pub fn unordered(mut message: Value) -> Value {
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
