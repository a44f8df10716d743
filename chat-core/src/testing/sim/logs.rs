//! The rooms' logs as they stand in the store at the end: what everything else is compared with.

use std::{cell::OnceCell, collections::BTreeMap};

use bytes::Bytes;

use super::{Check, Violation, ledger::Ledger, rework::Skeleton};
use crate::{
    domain::{Change, Entry, Message, Room},
    id::{RoomId, Seq, UserId},
    store::{LogStore, Maintenance, RoomStore, StoreError, UserStore},
    wire::entry_frame,
};

/// The logs of all rooms.
#[derive(Default)]
pub(super) struct Logs {
    rooms: BTreeMap<RoomId, RoomLog>,
}

/// One room's log.
pub(super) struct RoomLog {
    pub(super) room: Room,
    pub(super) entries: Vec<Entry>,
    names: Vec<String>,
    /// The frames of entries, for everybody and for the author.
    frames: Vec<[OnceCell<Bytes>; 2]>,
}

impl Logs {
    /// Reads everything, and what the store itself finds wrong with it.
    pub(super) async fn read<S: RoomStore + LogStore + UserStore + Maintenance>(
        store: &S,
        rooms: &[RoomId],
        found: &mut Vec<Violation>,
    ) -> Result<Self, StoreError> {
        let differences = store.verify().await?;
        found.extend(differences.into_iter().map(|difference| Check::StoreVerifies.violated(difference)));
        let mut logs = Self::default();
        for id in rooms {
            let Some(room) = store.room(id).await? else { continue };
            let mut entries: Vec<Entry> = Vec::new();
            loop {
                let after = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
                let more = store.entries(id, after, 100, usize::MAX).await?;
                if more.is_empty() {
                    break;
                }
                entries.extend(more);
            }
            if !entries.iter().map(|entry| entry.seq.get()).eq(1..=room.head.get()) {
                let seqs: Vec<_> = entries.iter().map(|entry| entry.seq.get()).collect();
                found.push(Check::DenseLog.violated(format!("{id} with head {} has {seqs:?}", room.head)));
            }
            let mut names = Vec::new();
            for entry in &entries {
                let subject = entry.joins().or_else(|| entry.leaves()).unwrap_or(&entry.actor);
                let profile = store.users(std::slice::from_ref(subject)).await?.pop().flatten();
                names
                    .push(profile.map_or_else(|| "unknown".to_owned(), |it| it.username.as_str().to_owned()));
            }
            let frames = entries.iter().map(|_| Default::default()).collect();
            logs.rooms.insert(id.clone(), RoomLog { room, entries, names, frames });
        }
        Ok(logs)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = (&RoomId, &RoomLog)> {
        self.rooms.iter()
    }

    pub(super) fn get(&self, room: &RoomId) -> Option<&RoomLog> {
        self.rooms.get(room)
    }

    /// Where such messages stand in a room.
    pub(super) fn places_of(&self, room: &RoomId, is_it: impl Fn(&Message) -> bool) -> Vec<u64> {
        let entries = self.rooms.get(room).map(|log| log.entries.as_slice()).unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry.message().is_some_and(&is_it))
            .map(|entry| entry.seq.get())
            .collect()
    }
}

impl RoomLog {
    pub(super) fn head(&self) -> u64 {
        self.room.head.get()
    }

    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// Whether the user is a member right after this entry.
    pub(super) fn member_at(&self, user: &UserId, seq: u64) -> bool {
        let touching = self.entries.iter().take_while(|entry| entry.seq.get() <= seq);
        let last = touching.filter(|entry| entry.joins().or_else(|| entry.leaves()) == Some(user)).last();
        last.is_some_and(|entry| entry.joins().is_some())
    }

    /// The user's first joining after this entry.
    pub(super) fn next_joining(&self, user: &UserId, after: u64) -> Option<u64> {
        let later = self.entries.iter().filter(|entry| entry.seq.get() > after);
        later.filter(|entry| entry.joins() == Some(user)).map(|entry| entry.seq.get()).next()
    }

    /// Whether the user is a member at some moment between these entries.
    pub(super) fn member_within(&self, user: &UserId, low: u64, high: u64) -> bool {
        (low..=high.max(low)).any(|seq| self.member_at(user, seq))
    }

    /// Whether a session of this user, which began at `since`, was told the entry as it stands or stood.
    pub(super) fn tells(
        &self,
        seq: u64,
        user: &UserId,
        told: &Bytes,
        ledger: &Ledger,
        since: u64,
    ) -> Result<(), Check> {
        let stored = self.frame(seq, user).ok_or(Check::LiveIsStored)?;
        if stored == *told {
            return Ok(());
        }
        let entry = self.entry(seq).ok_or(Check::LiveIsStored)?;
        let about = match &entry.change {
            Change::Edit { target, .. } => self.entry(target.get()),
            _ => Some(entry),
        };
        let message = about.and_then(Entry::message).ok_or(Check::LiveIsStored)?;
        match (Skeleton::of(&stored), Skeleton::of(told)) {
            (Some((_, stored)), Some((text, told))) if stored == told => {
                ledger.may_tell(message, &text, since)
            }
            _ => Err(Check::LiveIsStored),
        }
    }

    /// What a session of this user is sent for the entry.
    fn frame(&self, seq: u64, user: &UserId) -> Option<Bytes> {
        let entry = self.entry(seq)?;
        let index = (seq - 1) as usize;
        let keyed = entry.message().is_some_and(|message| message.client_message_id.is_some());
        let own = keyed && entry.actor == *user;
        let frame =
            self.frames[index][usize::from(own)].get_or_init(|| entry_frame(entry, &self.names[index], own));
        Some(frame.clone())
    }
}
