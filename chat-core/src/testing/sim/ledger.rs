//! What the clients of a simulation know to be true, whatever the engine says.

use std::collections::BTreeMap;

use super::{Check, Violation, logs::Logs, rework::Reworks};
use crate::{
    domain::Message,
    id::{ClientMessageId, RoomId, UserId},
};

/// Names one message that somebody wanted to send: its text is unique.
pub(super) type Text = String;

/// All messages that were ever asked to be sent.
#[derive(Default)]
pub(super) struct Ledger {
    sends: BTreeMap<Text, SendRecord>,
    /// The first texts of messages by the keys under which they were sent.
    keys: BTreeMap<ClientMessageId, Text>,
    /// Orders what the clients did and heard.
    now: u64,
}

pub(super) struct SendRecord {
    pub(super) user: UserId,
    pub(super) room: RoomId,
    pub(super) key: Option<ClientMessageId>,
    first_sent: u64,
    acks: Vec<Ack>,
    /// Attempts whose outcome nobody knows.
    uncertain: bool,
    refused: bool,
    /// Its id, once it was acked.
    id: Option<String>,
    reworks: Reworks,
}

struct Ack {
    seq: u64,
    duplicate: bool,
    at: u64,
}

impl Ledger {
    /// The next moment.
    pub(super) fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// A message is about to be sent, for the first time or again.
    pub(super) fn sending(
        &mut self,
        text: &str,
        user: &UserId,
        room: &RoomId,
        key: Option<&ClientMessageId>,
    ) {
        let now = self.tick();
        if let Some(key) = key {
            self.keys.insert(key.clone(), text.to_owned());
        }
        self.sends.entry(text.to_owned()).or_insert_with(|| SendRecord {
            user: user.clone(),
            room: room.clone(),
            key: key.cloned(),
            first_sent: now,
            acks: Vec::new(),
            uncertain: false,
            refused: false,
            id: None,
            reworks: Reworks::default(),
        });
    }

    pub(super) fn acked(&mut self, text: &str, id: Option<&str>, seq: u64, duplicate: bool) {
        let at = self.tick();
        if let Some(record) = self.sends.get_mut(text) {
            record.id = id.map(str::to_owned);
            record.acks.push(Ack { seq, duplicate, at });
        }
    }

    /// Nobody knows whether an attempt took effect.
    pub(super) fn uncertain(&mut self, text: &str) {
        if let Some(record) = self.sends.get_mut(text) {
            record.uncertain = true;
        }
    }

    /// The rules refused it for good.
    pub(super) fn refused(&mut self, text: &str) {
        if let Some(record) = self.sends.get_mut(text) {
            record.refused = true;
        }
    }

    pub(super) fn acks(&self) -> u64 {
        self.sends.values().map(|record| record.acks.len() as u64).sum()
    }

    /// A message that was acked is about to be edited, or with no text deleted: its room, its id, and the number of
    /// what is asked for.
    pub(super) fn reworking(
        &mut self,
        original: &str,
        text: Option<Text>,
    ) -> Option<(RoomId, String, usize)> {
        let record = self.sends.get_mut(original)?;
        let id = record.id.clone()?;
        Some((record.room.clone(), id, record.reworks.ask(text)))
    }

    pub(super) fn rework_acked(&mut self, original: &str, number: usize, seq: u64) {
        let at = self.tick();
        if let Some(record) = self.sends.get_mut(original) {
            record.reworks.acked(number, seq, at);
        }
    }

    pub(super) fn reworks(&self) -> u64 {
        self.sends.values().map(|record| record.reworks.acks() as u64).sum()
    }

    /// Whether somebody who began to ask at `since` may be told this text of a message.
    pub(super) fn may_tell(&self, message: &Message, told: &str, since: u64) -> Result<(), Check> {
        let (original, record) = self.known(message).ok_or(Check::NoPhantom)?;
        record.reworks.may_tell(original, told, since)
    }

    /// What is known of a stored message, and what it said first. One without a key is never edited.
    fn known(&self, message: &Message) -> Option<(&Text, &SendRecord)> {
        let original = match &message.client_message_id {
            Some(key) => self.keys.get(key)?.as_str(),
            None => message.content.as_str(),
        };
        self.sends.get_key_value(original)
    }

    /// The newest seq of a room that anybody was acked.
    pub(super) fn newest_acked(&self, room: &RoomId) -> u64 {
        let of_room = self.sends.values().filter(|record| record.room == *room);
        of_room.flat_map(|record| &record.acks).map(|ack| ack.seq).max().unwrap_or(0)
    }

    /// A message of a user that was acked, chosen by number.
    pub(super) fn acked_of(&self, user: &UserId, choice: u64) -> Option<(Text, RoomId, ClientMessageId)> {
        let mine: Vec<_> = self
            .sends
            .iter()
            .filter(|(_, record)| record.user == *user && !record.acks.is_empty())
            .filter_map(|(text, record)| Some((text.clone(), record.room.clone(), record.key.clone()?)))
            .collect();
        (!mine.is_empty()).then(|| mine[(choice % mine.len() as u64) as usize].clone())
    }

    /// Every message against the logs.
    pub(super) fn check(&self, logs: &Logs, found: &mut Vec<Violation>) {
        for (text, record) in &self.sends {
            self.check_one(text, record, logs, found);
        }
        for (room, log) in logs.rooms() {
            for entry in &log.entries {
                let Some(message) = entry.message() else { continue };
                let known = self.known(message);
                if !known.is_some_and(|(_, known)| known.room == *room && known.user == entry.actor) {
                    found.push(
                        Check::NoPhantom.violated(format!("{room} has {}, which nobody sent", entry.seq)),
                    );
                }
            }
            self.check_real_time(room, found);
        }
    }

    fn check_one(&self, text: &str, record: &SendRecord, logs: &Logs, found: &mut Vec<Violation>) {
        let is_it = |message: &Message| self.known(message).is_some_and(|(known, _)| known == text);
        let places: Vec<u64> = logs.places_of(&record.room, is_it);
        if let ([place], Some(log)) = (&*places, logs.get(&record.room)) {
            record.reworks.check(text, *place, log, found);
        }
        if places.len() > 1 {
            found.push(
                Check::OneMessagePerKey.violated(format!("{text} stands at {places:?} of {}", record.room)),
            );
        }
        for ack in &record.acks {
            if !places.contains(&ack.seq) {
                let line =
                    format!("{text} was acked at {} of {} and stands at {places:?}", ack.seq, record.room);
                found.push(Check::AckedIsStored.violated(line));
            }
        }
        let firsts = record.acks.iter().filter(|ack| !ack.duplicate).count();
        if firsts > 1 || (record.key.is_none() && record.acks.len() > 1) {
            found.push(Check::OneMessagePerKey.violated(format!("{text} was acked {firsts} times as new")));
        }
        if firsts == 0 && !record.acks.is_empty() && !record.uncertain {
            found.push(Check::OneMessagePerKey.violated(format!("{text} was never sent before its repeat")));
        }
        if record.refused && !record.uncertain && record.acks.is_empty() && !places.is_empty() {
            found.push(Check::NoPhantom.violated(format!("{text} was refused and stands at {places:?}")));
        }
    }

    /// What was acked before another was sent stands before it.
    fn check_real_time(&self, room: &RoomId, found: &mut Vec<Violation>) {
        let mut acked: Vec<(u64, u64, &Text)> = Vec::new();
        let mut sent: Vec<(u64, u64, &Text)> = Vec::new();
        for (text, record) in self.sends.iter().filter(|(_, record)| record.room == *room) {
            let Some(first) = record.acks.first() else { continue };
            acked.push((first.at, first.seq, text));
            sent.push((record.first_sent, first.seq, text));
        }
        acked.sort_unstable();
        sent.sort_unstable();
        let mut done = acked.into_iter().peekable();
        let mut highest: Option<(u64, &Text)> = None;
        for (at, seq, text) in sent {
            while let Some((_, before, earlier)) = done.next_if(|(acked, ..)| *acked < at) {
                highest = highest.max(Some((before, earlier)));
            }
            if let Some((before, earlier)) = highest.filter(|(before, _)| *before >= seq) {
                let line = format!(
                    "{earlier} was acked at {before} of {room} before {text} was sent, which got {seq}"
                );
                found.push(Check::RealTimeOrder.violated(line));
            }
        }
    }
}
