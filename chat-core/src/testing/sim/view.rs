//! What one connection was told, and whether that is a faithful piece of the logs.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Check, Violation,
    ledger::Ledger,
    logs::{Logs, RoomLog},
};
use crate::id::{RoomId, UserId};

/// The heads of all rooms at one moment.
pub(super) type Heads = BTreeMap<RoomId, u64>;

/// Everything that one connection was told of logs.
pub(super) struct View {
    /// For a reader of violations.
    pub(super) name: String,
    pub(super) user: UserId,
    follows_all: bool,
    /// When it began, by the ledger.
    since: u64,
    /// The heads when `authenticate` was sent, and when it was answered.
    asked: Heads,
    answered: Option<Heads>,
    rooms: BTreeMap<RoomId, Vec<Span>>,
    /// Sends of this connection that were acked as new: room, place among what was sent, seq.
    pub(super) acked: Vec<(RoomId, u64, u64)>,
    oddities: Vec<Violation>,
}

/// One stretch of following one room.
struct Span {
    /// After which entries it may have begun.
    starts: Vec<Start>,
    /// The heads between which the server looked whether the user may follow.
    allowed: Option<(u64, u64)>,
    seen: Vec<(u64, Bytes)>,
    /// How much was seen when the replay was said to have come to that seq.
    caught_up: Option<(usize, u64)>,
    end: Option<End>,
}

/// Why a stretch of following is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By `unsubscribe`.
    Unsubscribed,
    /// By the user's leaving, which was seen.
    Left,
}

#[derive(Clone, Copy)]
enum Start {
    /// Right after this entry, which the client has named.
    Named(u64),
    /// Right after this entry, where the user is a member.
    Standing(u64),
    /// Right after one of these entries, where the user is a member.
    Listed(u64, u64),
    /// With the user's own joining, after this entry.
    Joining(u64),
    /// With the user's next joining after this entry, which is their leaving.
    Rejoining(u64),
}

impl View {
    pub(super) fn new(name: String, user: UserId, follows_all: bool, since: u64, asked: Heads) -> Self {
        Self {
            name,
            user,
            follows_all,
            since,
            asked,
            answered: None,
            rooms: BTreeMap::new(),
            acked: Vec::new(),
            oddities: Vec::new(),
        }
    }

    /// The connection goes on where an earlier one stopped.
    pub(super) fn resumes(&mut self, room: &RoomId, after: u64) {
        let mut span = Span::starting(vec![Start::Named(after)]);
        span.allowed = Some((self.asked.get(room).copied().unwrap_or(0), u64::MAX));
        self.rooms.entry(room.clone()).or_default().push(span);
    }

    pub(super) fn authenticated(&mut self, heads: Heads) {
        for (room, spans) in &mut self.rooms {
            for (_, high) in spans.iter_mut().filter_map(|span| span.allowed.as_mut()) {
                *high = heads.get(room).copied().unwrap_or(0);
            }
        }
        self.answered = Some(heads);
    }

    pub(super) fn resume_failed(&mut self, room: &RoomId) {
        self.rooms.remove(room);
    }

    pub(super) fn resync(&mut self, room: &RoomId, seq: u64) {
        match self.rooms.get_mut(room).and_then(|spans| spans.last_mut()) {
            Some(span) if span.seen.is_empty() => span.starts = vec![Start::Standing(seq)],
            _ => self.odd(room, "was told to resync in the middle"),
        }
    }

    pub(super) fn caught_up(&mut self, room: &RoomId, seq: u64) {
        match self.rooms.get_mut(room).and_then(|spans| spans.last_mut()) {
            Some(span) if span.caught_up.is_none() && span.end != Some(End::Unsubscribed) => {
                span.caught_up = Some((span.seen.len(), seq));
            }
            _ => self.odd(room, "was told to be caught up where nothing was replayed"),
        }
    }

    pub(super) fn unsubscribed(&mut self, room: &RoomId) {
        if let Some(span) = self.rooms.get_mut(room).and_then(|spans| spans.last_mut()) {
            span.end = Some(End::Unsubscribed);
        } else {
            let low = self.asked.get(room).copied().unwrap_or(0);
            let high = self.answered.as_ref().and_then(|heads| heads.get(room)).copied().unwrap_or(low);
            let mut span = Span::starting(vec![Start::Listed(low, high)]);
            span.end = Some(End::Unsubscribed);
            self.rooms.entry(room.clone()).or_default().push(span);
        }
    }

    /// `subscribe` was acked with the seq from which on everything is told.
    pub(super) fn subscribed(&mut self, room: &RoomId, after: Option<u64>, seq: u64, allowed: (u64, u64)) {
        let spans = self.rooms.entry(room.clone()).or_default();
        if spans.last().is_some_and(|span| span.end.is_none()) {
            return;
        }
        let mut span = Span::starting(vec![Start::Standing(seq)]);
        span.starts.extend(after.map(Start::Named));
        span.allowed = Some(allowed);
        spans.push(span);
    }

    /// `leaves`: the entry is the user's own leaving.
    pub(super) fn saw(&mut self, room: &RoomId, seq: u64, frame: Bytes, leaves: bool) {
        let low = self.asked.get(room).copied().unwrap_or(0);
        let high = self.answered.as_ref().and_then(|heads| heads.get(room)).copied().unwrap_or(low);
        let spans = self.rooms.entry(room.clone()).or_default();
        if spans.last().is_none_or(|span| span.end.is_some()) {
            let has_left = spans.last().is_some_and(|span| span.end == Some(End::Left));
            if !self.follows_all && !has_left {
                let line = format!("{}: saw {seq} of {room}, which it does not follow", self.name);
                self.oddities.push(Check::OnlyWhatIsFollowed.violated(line));
                return;
            }
            let last_seen = |span: &Span| span.seen.last().map_or(0, |(seq, _)| *seq);
            let starts = match spans.last() {
                Some(before) if has_left => vec![Start::Rejoining(last_seen(before))],
                Some(before) => vec![Start::Joining(last_seen(before))],
                None => vec![Start::Listed(low, high), Start::Joining(0)],
            };
            spans.push(Span::starting(starts));
        }
        if let Some(span) = spans.last_mut() {
            span.seen.push((seq, frame));
            span.end = leaves.then_some(End::Left);
        }
    }

    fn odd(&mut self, room: &RoomId, what: &str) {
        let line = format!("{}: {what} of {room}", self.name);
        self.oddities.push(Check::Protocol.violated(line));
    }

    /// Against the logs. `live`: the connection still stood when everything had come to rest.
    pub(super) fn check(&self, logs: &Logs, ledger: &Ledger, live: bool, found: &mut Vec<Violation>) {
        found.extend(self.oddities.iter().cloned());
        for (room, spans) in &self.rooms {
            let Some(log) = logs.get(room) else {
                if spans.iter().any(|span| !span.seen.is_empty()) {
                    found.push(
                        Check::LiveIsStored
                            .violated(format!("{}: saw {room}, which is not stored", self.name)),
                    );
                }
                continue;
            };
            if let (true, true, Some(Span { end: Some(End::Left), seen, .. })) =
                (live, self.follows_all, spans.last())
            {
                let left = seen.last().map_or(0, |(seq, _)| *seq);
                // Who came back and left once more while hints were lost belongs to nothing that could be told.
                let rejoined = log.next_joining(&self.user, left);
                if let Some(rejoined) = rejoined.filter(|_| log.member_at(&self.user, log.head())) {
                    let line = format!("{}: never saw the rejoining at {rejoined} of {room}", self.name);
                    found.push(Check::EverybodyCatchesUp.violated(line));
                }
            }
            for span in spans {
                let tell = |violation: Violation| Violation {
                    text: format!("{}: {room}: {}", self.name, violation.text),
                    ..violation
                };
                if let Err(violation) = span.check(log, &self.user, live && span.end.is_none()) {
                    found.push(tell(violation));
                }
                for (seq, frame) in &span.seen {
                    if let Err(check) = log.tells(*seq, &self.user, frame, ledger, self.since) {
                        let frame = String::from_utf8_lossy(frame);
                        found.push(tell(check.violated(format!("{seq} was never as it was told: {frame}"))));
                    }
                }
            }
        }
        if let (true, true, Some(answered)) = (live, self.follows_all, &self.answered) {
            self.check_missing(logs, answered, found);
        }
        self.check_pipeline(found);
    }

    /// Rooms of which nothing was told must have had nothing to tell.
    fn check_missing(&self, logs: &Logs, answered: &Heads, found: &mut Vec<Violation>) {
        for (room, log) in logs.rooms().filter(|(room, _)| !self.rooms.contains_key(*room)) {
            let since = answered.get(room).copied().unwrap_or(0);
            if log.member_at(&self.user, log.head()) && log.head() > since {
                let line =
                    format!("{}: was told nothing of {room} from {since} to {}", self.name, log.head());
                found.push(Check::EverybodyCatchesUp.violated(line));
            }
        }
    }

    /// Commands of one connection take effect in the order sent.
    fn check_pipeline(&self, found: &mut Vec<Violation>) {
        let mut acked = self.acked.clone();
        acked.sort_unstable();
        for pair in acked.windows(2) {
            let [(room, first, before), (other, second, after)] = pair else { continue };
            if room == other && before >= after {
                let line = format!(
                    "{}: send {first} got {before} of {room} and send {second} got {after}",
                    self.name
                );
                found.push(Check::PipelineOrder.violated(line));
            }
        }
    }
}

impl Span {
    fn starting(starts: Vec<Start>) -> Self {
        Self { starts, allowed: None, seen: Vec::new(), caught_up: None, end: None }
    }

    fn check(&self, log: &RoomLog, user: &UserId, live: bool) -> Result<(), Violation> {
        let told = !self.seen.is_empty() || self.caught_up.is_some();
        if let (Some((low, high)), true) = (self.allowed, told)
            && !log.member_within(user, low, high)
        {
            let line = format!("was replayed though no member between {low} and {high}");
            return Err(Check::MembersOnly.violated(line));
        }
        let mut first_error = None;
        for start in &self.starts {
            for (start, inside) in self.expand(*start, log, user) {
                match self.follow(log, user, start, inside, live) {
                    Ok(()) => return Ok(()),
                    Err(error) => drop(first_error.get_or_insert(error)),
                }
            }
        }
        match first_error {
            Some(error) => Err(error),
            None if self.seen.is_empty() => Ok(()),
            None => {
                let first = self.seen.first().map_or(0, |(seq, _)| *seq);
                Err(Check::DenseView
                    .violated(format!("began with {first}, where nothing permits it to begin")))
            }
        }
    }

    /// The entries after which it may have begun, and whether the user was a member there.
    fn expand(&self, start: Start, log: &RoomLog, user: &UserId) -> Vec<(u64, bool)> {
        match start {
            Start::Named(seq) => vec![(seq, true)],
            // The creator is told from the beginning, though a member only from the second entry on.
            Start::Standing(0) => vec![(0, log.room.created_by == *user)],
            Start::Standing(seq) => vec![(seq, log.member_at(user, seq))],
            Start::Listed(low, high) => (low..=high.max(low))
                .rev()
                .filter(|seq| log.member_at(user, *seq))
                .map(|seq| (seq, true))
                .collect(),
            Start::Rejoining(after) => {
                log.next_joining(user, after).map(|joining| (joining - 1, false)).into_iter().collect()
            }
            Start::Joining(after) => {
                let Some((first, _)) = self.seen.first() else { return Vec::new() };
                let joins = log.entry(*first).is_some_and(|entry| entry.joins() == Some(user));
                let creates = *first == 1 && log.room.created_by == *user;
                if *first > after && (joins || creates) { vec![(first - 1, creates)] } else { Vec::new() }
            }
        }
    }

    /// Whether exactly what lies after `start` was seen, up to somewhere or (`live`) to the head.
    fn follow(
        &self,
        log: &RoomLog,
        user: &UserId,
        start: u64,
        mut inside: bool,
        live: bool,
    ) -> Result<(), Violation> {
        let mut seen = self.seen.iter().enumerate();
        let mut due = None;
        for seq in start + 1..=log.head() {
            let Some(entry) = log.entry(seq) else { break };
            let was_inside = inside;
            if entry.joins() == Some(user) {
                inside = true;
            } else if entry.leaves() == Some(user) {
                inside = false;
            }
            if self.end == Some(End::Left) && seen.len() == 0 {
                // What came after the leaving is another stretch.
                break;
            }
            if !was_inside && !inside {
                continue;
            }
            let Some((index, (saw, _))) = seen.next() else {
                due = Some(seq);
                break;
            };
            if *saw != seq {
                return Err(
                    Check::DenseView.violated(format!("after {start} saw {saw} where {seq} was next"))
                );
            }
            if let Some((until, announced)) = self.caught_up
                && index >= until
                && seq <= announced
            {
                return Err(
                    Check::DenseView.violated(format!("{seq} came after being caught up to {announced}"))
                );
            }
        }
        if let Some((_, (saw, _))) = seen.next() {
            return Err(match *saw > log.head() {
                true => {
                    Check::LiveIsStored.violated(format!("saw {saw}, but the log ends at {}", log.head()))
                }
                false => {
                    Check::DenseView.violated(format!("after {start} saw {saw}, which it was not to see"))
                }
            });
        }
        match (due, live) {
            (Some(due), _) if self.caught_up.is_some_and(|(_, announced)| due <= announced) => {
                Err(Check::DenseView.violated(format!("never saw {due}, but was told to be caught up")))
            }
            (Some(due), true) => {
                Err(Check::EverybodyCatchesUp
                    .violated(format!("never saw {due}; the head is {}", log.head())))
            }
            _ => Ok(()),
        }
    }
}
