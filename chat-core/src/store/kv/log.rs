//! Reading logs: entries in order, and pages of messages.
//!
//! The head is read first, from the durable rows; what stands up to it never changes, so the rest needs no lock.

use std::ops::ControlFlow;

use super::{
    Direction, OrderedKv,
    keys::{self, Id16, table},
    read::log_key,
    values,
    view::Visible,
};
use crate::{
    domain::Entry,
    id::{RoomId, Seq},
    store::{MessagePage, MessageQuery, Place, StoreError},
};

/// Entries in one answer at most, whatever is asked.
const ENTRIES_MAX: usize = 1_000;

/// Messages on a page at most, whatever is asked.
const MESSAGES_MAX: usize = 200;

pub(super) fn entries<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    after: Seq,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Entry>, StoreError> {
    let log = Log::of(rows, room)?;
    let limit = limit.clamp(1, ENTRIES_MAX) as u64;
    // The log is dense, so the answer is exactly this range of both tables, unless it ends early.
    let mut last = log.head.min(Seq::new(after.get().saturating_add(limit)));
    if last <= after {
        return Ok(Vec::new());
    }
    let messages =
        log.rows(table::MESSAGE, after.next(), last, Direction::Ascending, usize::MAX, max_bytes)?;
    if let Some(cut) = messages.cut {
        // What passes the bound is sent all the same when nothing stands before it.
        last = if cut == after.next() { cut } else { cut.previous() };
    }
    let events = log.rows(table::EVENT, after.next(), last, Direction::Ascending, usize::MAX, usize::MAX)?;
    let mut entries = Vec::with_capacity(messages.rows.len() + events.rows.len());
    for (seq, row) in messages.rows.iter().filter(|(seq, _)| *seq <= last) {
        entries.push(log.message(*seq, row)?);
    }
    for (seq, row) in &events.rows {
        entries.push(values::decode_event(room, *seq, row)?);
    }
    entries.sort_unstable_by_key(|entry| entry.seq);
    let expected = (after.get() + 1)..=last.get();
    if !entries.iter().map(|entry| entry.seq.get()).eq(expected) {
        return Err(values::corrupt("a log with a hole"));
    }
    Ok(entries)
}

pub(super) fn messages<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    query: MessageQuery,
) -> Result<MessagePage, StoreError> {
    let log = Log::of(rows, room)?;
    let limit = query.limit.clamp(1, MESSAGES_MAX);
    let span = Span { log: &log, first: query.hidden_until.next(), last: log.head };
    let bytes = query.max_bytes;
    match query.place {
        Place::Latest => span.page(&span.before(log.head.next(), limit, bytes, true)?, &Found::default()),
        Place::Before(seq) => {
            let before = span.before(seq, limit, bytes, true)?;
            let more = span.any_from(seq)?;
            span.page(&before, &Found { rows: Vec::new(), more })
        }
        Place::After(seq) => {
            let after = span.from(seq.next(), limit, bytes, true)?;
            let more = span.any_to(seq)?;
            span.page(&Found { rows: Vec::new(), more }, &after)
        }
        Place::Around(seq) => {
            let before = span.before(seq, limit / 2, bytes / 2, false)?;
            let used = before.bytes()?;
            let left = limit - before.rows.len();
            let after = span.from(seq, left, bytes.saturating_sub(used), before.rows.is_empty())?;
            if before.rows.is_empty() && after.rows.is_empty() {
                let before = span.before(seq, limit / 2, bytes, true)?;
                return span.page(&before, &after);
            }
            span.page(&before, &after)
        }
    }
}

/// The part of a log that a reader may see.
struct Span<'a, K> {
    log: &'a Log<'a, K>,
    first: Seq,
    last: Seq,
}

/// Rows of messages on one side of a place, ascending, and whether there are more beyond them.
#[derive(Default)]
struct Found {
    rows: Vec<(Seq, Vec<u8>)>,
    more: bool,
}

impl Found {
    fn bytes(&self) -> Result<usize, StoreError> {
        self.rows.iter().map(|(_, row)| values::text_bytes(row)).sum()
    }
}

impl<K: OrderedKv> Span<'_, K> {
    /// The nearest messages before `seq`.
    fn before(&self, seq: Seq, limit: usize, bytes: usize, never_empty: bool) -> Result<Found, StoreError> {
        let last = self.last.min(seq.previous());
        let mut found = self.scan(self.first, last, Direction::Descending, limit, bytes, never_empty)?;
        found.rows.reverse();
        Ok(found)
    }

    /// The nearest messages from `seq` on.
    fn from(&self, seq: Seq, limit: usize, bytes: usize, never_empty: bool) -> Result<Found, StoreError> {
        self.scan(self.first.max(seq), self.last, Direction::Ascending, limit, bytes, never_empty)
    }

    fn scan(
        &self,
        first: Seq,
        last: Seq,
        direction: Direction,
        limit: usize,
        bytes: usize,
        never_empty: bool,
    ) -> Result<Found, StoreError> {
        let read = self.log.rows(table::MESSAGE, first, last, direction, limit + 1, bytes)?;
        let mut rows = read.rows;
        let mut more = read.cut.is_some();
        // The scan hands in the row that passes the bound as well.
        if read.cut.is_some() && !(never_empty && rows.len() == 1) {
            rows.pop();
        } else if read.cut.is_some() {
            more = self.log.rows(table::MESSAGE, first, last, direction, 2, usize::MAX)?.rows.len() > 1;
        }
        if rows.len() > limit {
            rows.truncate(limit);
            more = true;
        }
        Ok(Found { rows, more })
    }

    fn any_from(&self, seq: Seq) -> Result<bool, StoreError> {
        Ok(self.from(seq, 0, usize::MAX, false)?.more)
    }

    fn any_to(&self, seq: Seq) -> Result<bool, StoreError> {
        Ok(self.before(seq.next(), 0, usize::MAX, false)?.more)
    }

    fn page(&self, before: &Found, after: &Found) -> Result<MessagePage, StoreError> {
        let rows = before.rows.iter().chain(&after.rows);
        let messages = rows.map(|(seq, row)| self.log.message(*seq, row)).collect::<Result<_, _>>()?;
        Ok(MessagePage { messages, more_before: before.more, more_after: after.more })
    }
}

/// A room's log up to its durable head.
struct Log<'a, K> {
    kv: &'a K,
    room: &'a RoomId,
    room16: Id16,
    head: Seq,
}

/// Rows of one table of a log, in the order of the scan.
struct LogRows {
    rows: Vec<(Seq, Vec<u8>)>,
    /// The row at which their texts passed the bound; it is the last of `rows`.
    cut: Option<Seq>,
}

impl<'a, K: OrderedKv> Log<'a, K> {
    fn of(rows: &'a Visible<K>, room: &'a RoomId) -> Result<Self, StoreError> {
        let room16 = keys::room16(room);
        let head = rows.view().head(&room16)?;
        Ok(Self { kv: rows.raw(), room, room16, head })
    }

    /// Rows from `first` to `last`, both inclusive: at most `limit`, and none after the one at which the texts
    /// pass `max_bytes`.
    fn rows(
        &self,
        table: u8,
        first: Seq,
        last: Seq,
        direction: Direction,
        limit: usize,
        max_bytes: usize,
    ) -> Result<LogRows, StoreError> {
        let mut found = LogRows { rows: Vec::new(), cut: None };
        if first > last {
            return Ok(found);
        }
        let (from, to) = (log_key(table, &self.room16, first), log_key(table, &self.room16, last.next()));
        let (mut bytes, mut failed) = (0_usize, None);
        self.kv.scan(&from, &to, direction, &mut |key, value| {
            let Some(seq) = keys::seq_of(key) else {
                failed = Some(values::corrupt("a key of a log"));
                return ControlFlow::Break(());
            };
            if max_bytes < usize::MAX {
                match values::text_bytes(value) {
                    Ok(more) => bytes += more,
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            found.rows.push((seq, value.to_vec()));
            if bytes > max_bytes {
                found.cut = Some(seq);
            }
            if found.cut.is_some() || found.rows.len() >= limit {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }

    fn message(&self, seq: Seq, row: &[u8]) -> Result<Entry, StoreError> {
        values::decode_message(self.room, seq, row, || continuation(self.kv, &self.room16, seq))
    }
}

/// The rest of a long text.
pub(super) fn continuation<K: OrderedKv>(kv: &K, room16: &Id16, seq: Seq) -> Result<String, StoreError> {
    let prefix = log_key(table::TEXT, room16, seq);
    let mut rest = Vec::new();
    kv.scan(&prefix, &keys::after_prefix(&prefix), Direction::Ascending, &mut |_, part| {
        rest.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    String::from_utf8(rest).map_err(|_| values::corrupt("the continuation of a text"))
}
