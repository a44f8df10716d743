//! What is done with messages.

use serde_json::json;

use super::{Answer, MODERATOR, Message, Model, Room, User, parsed};
use crate::state::{acts::key_text, wire::time};

impl Model {
    pub(super) fn send(
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

    pub(super) fn edit(&mut self, who: User, room: u8, message: u8, text: &str) -> Answer {
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

    pub(super) fn delete(&mut self, who: User, room: u8, message: u8) -> Answer {
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

    pub(super) fn react(
        &mut self,
        who: User,
        room: u8,
        message: u8,
        emoji: &'static str,
        adds: bool,
    ) -> Answer {
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

    pub(super) fn pin(&mut self, who: User, room: u8, message: u8, pins: bool) -> Answer {
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
}
