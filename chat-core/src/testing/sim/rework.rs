//! What was done to one message, as the clients of a simulation know it: its texts, and when each of them was gone.

use serde_json::Value;

use super::{Check, Violation, logs::RoomLog};
use crate::{
    domain::{Change, Content},
    id::Seq,
};

/// The edits and the deletions of one message, in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Reworks {
    asked: Vec<Rework>,
}

struct Rework {
    /// What the message was to say; `None` for a deletion.
    text: Option<String>,
    /// The seq of its entry, and when its ack came.
    acked: Option<(u64, u64)>,
}

impl Reworks {
    /// Something is about to be asked for. Returns the number under which its ack is to be noted.
    pub(super) fn ask(&mut self, text: Option<String>) -> usize {
        self.asked.push(Rework { text, acked: None });
        self.asked.len() - 1
    }

    pub(super) fn acked(&mut self, number: usize, seq: u64, at: u64) {
        if let Some(rework) = self.asked.get_mut(number) {
            rework.acked = Some((seq, at));
        }
    }

    pub(super) fn acks(&self) -> usize {
        self.asked.iter().filter(|rework| rework.acked.is_some()).count()
    }

    /// Whether somebody who began to ask at `since` may be told this text of a message that was sent as `original`.
    pub(super) fn may_tell(&self, original: &str, told: &str, since: u64) -> Result<(), Check> {
        let of = |rework: &&Rework| rework.text.as_deref().unwrap_or_default() == told;
        let mut place = (told == original).then_some(0);
        for rework in self.asked.iter().filter(of) {
            // One whose place is not known may stand behind all others.
            place = place.max(Some(rework.acked.map_or(u64::MAX, |(seq, _)| seq)));
        }
        let Some(place) = place else { return Err(Check::LiveIsStored) };
        let replaces = |rework: &Rework| {
            rework.acked.is_some_and(|(seq, at)| {
                at < since && (seq > place || (rework.text.is_none() && !told.is_empty()))
            })
        };
        if self.asked.iter().any(replaces) { Err(Check::GoneIsGone) } else { Ok(()) }
    }

    /// Against the log, in which the message stands at `target`.
    pub(super) fn check(&self, original: &str, target: u64, log: &RoomLog, found: &mut Vec<Violation>) {
        let about = |seq: u64| {
            let entry = log.entry(seq)?;
            (entry.target() == Some(Seq::new(target))).then_some(&entry.change)
        };
        for rework in &self.asked {
            let Some((seq, _)) = rework.acked else { continue };
            let stands = match about(seq) {
                Some(Change::Edit { .. }) => rework.text.is_some(),
                Some(Change::Delete { .. }) => rework.text.is_none(),
                _ => false,
            };
            if !stands {
                let line = format!("what was done to {original} was acked at {seq} and does not stand there");
                found.push(Check::AckedIsStored.violated(line));
            }
        }
        let last = (target + 1..=log.head()).rev().find_map(|seq| Some((seq, about(seq)?)));
        let now = log.entry(target).and_then(|entry| entry.message()).map(|message| &message.content);
        let expected: Vec<&str> = match last {
            None => vec![original],
            Some((_, Change::Delete { .. })) => vec![""],
            Some((last, _)) => {
                let is_last = |rework: &&Rework| rework.acked.is_none_or(|(seq, _)| seq == last);
                self.asked.iter().filter(is_last).filter_map(|rework| rework.text.as_deref()).collect()
            }
        };
        if !now.map(Content::as_str).is_some_and(|now| expected.contains(&now)) {
            let line = format!("{original} says {now:?} in the end, and should one of {expected:?}");
            found.push(Check::AckedIsStored.violated(line));
        }
    }
}

/// A frame about a message, with what edits and deletions change set apart.
#[derive(PartialEq, Eq)]
pub(super) struct Skeleton {
    rest: Value,
}

impl Skeleton {
    /// The text in a frame, and all the rest of it.
    pub(super) fn of(frame: &[u8]) -> Option<(String, Self)> {
        let mut rest: Value = serde_json::from_slice(frame).ok()?;
        let fields = match rest.get("message") {
            Some(_) => rest.get_mut("message")?.as_object_mut()?,
            None => rest.as_object_mut()?,
        };
        let text = fields.remove("content")?.as_str()?.to_owned();
        for field in ["editedAt", "deletedAt", "deletedBy"] {
            fields.remove(field);
        }
        Some((text, Self { rest }))
    }
}
