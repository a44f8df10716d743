//! Reading logs: entries in order, and pages of messages.
//!
//! All of one answer is read in one view, so that a message, the rest of its text and its reactions belong
//! together. A message is told as it stands, wherever it is told: who reads an old entry gets no text that is gone.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{
    Direction, OrderedKv,
    keys::{self, Id16, table},
    read::log_key,
    values,
    view::{Source, View, Visible},
};
use crate::{
    domain::{Attachments, Change, Content, Entry, Mentions, PINS_MAX, Reaction},
    id::{RoomId, Seq},
    store::{FormerTexts, MessagePage, MessageQuery, Place, StoreError},
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
    match log.entries(after, limit, max_bytes) {
        // Rows of a deleted room go bit by bit: what is left to tell is that it was deleted.
        Err(StoreError::Corrupt(_)) if log.is_deleted()? => log.last(),
        entries => entries,
    }
}

pub(super) fn text_bytes(entry: &Entry) -> usize {
    match &entry.change {
        Change::Send(message) => message.bytes(),
        Change::Edit { content, .. } => content.as_str().len(),
        _ => 0,
    }
}

/// The message at a place, as it stands.
pub(super) fn message<S: Source>(
    source: &S,
    room: &RoomId,
    room16: &Id16,
    seq: Seq,
) -> Result<Option<Entry>, StoreError> {
    let telling = telling(source, room16)?;
    if seq < telling.first {
        return Ok(None);
    }
    let Some(row) = source.get(&keys::message(room16, seq))? else { return Ok(None) };
    let mut entry = values::decode_message(room, seq, &row, || continuation(source, room16, seq))?;
    if let Change::Send(message) = &mut entry.change {
        message.reactions = reactions(source, room16, seq, seq)?.remove(&seq).unwrap_or_default();
        message.attachments = attachments(source, room16, seq, &row)?;
    }
    Ok(Some(telling.address(entry)))
}

/// What has to be known of a room to tell its entries.
pub(super) fn telling<S: Source>(source: &S, room16: &Id16) -> Result<values::Telling, StoreError> {
    let row = source.get(&keys::room(room16))?;
    row.map_or_else(|| Ok(values::Telling::default()), |row| values::Telling::of(&row))
}

/// The places of the pinned messages of a room, ascending.
pub(super) fn pinned<S: Source>(source: &S, room16: &Id16) -> Result<Vec<Seq>, StoreError> {
    let first = keys::pin(room16, telling(source, room16)?.first);
    let prefix = keys::key(table::PIN, &[room16]);
    let mut pinned = Vec::new();
    source.range(&first, &keys::after_prefix(&prefix), Direction::Ascending, &mut |key, _| {
        pinned.extend(keys::seq_of(key));
        // The rules keep it below; damage must not make it more.
        if pinned.len() > PINS_MAX as usize { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(pinned)
}

pub(super) fn pins<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    before: Seq,
    hidden_until: Seq,
    max_bytes: usize,
) -> Result<MessagePage, StoreError> {
    let log = Log::of(rows, room)?;
    let mut page = MessagePage::default();
    let mut bytes = 0;
    let visible = pinned(&log.view, &log.room16)?.into_iter().filter(|seq| *seq > hidden_until);
    for seq in visible.rev() {
        if seq >= before {
            page.more_after = true;
            continue;
        }
        let entry = message(&log.view, room, &log.room16, seq)?;
        let entry = entry.ok_or_else(|| values::corrupt("a pinned message that is not there"))?;
        bytes += text_bytes(&entry);
        if bytes > max_bytes && !page.messages.is_empty() {
            page.more_before = true;
            break;
        }
        page.messages.push(entry);
    }
    page.messages.reverse();
    Ok(page)
}

pub(super) fn former_texts<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    target: Seq,
    max_bytes: usize,
) -> Result<FormerTexts, StoreError> {
    let Log { view, room16, telling, .. } = Log::of(rows, room)?;
    if target < telling.first {
        return Ok(FormerTexts::default());
    }
    let prefix = keys::of_message(table::FORMER, &room16, target);
    let mut edits: BTreeMap<Seq, Vec<Vec<u8>>> = BTreeMap::new();
    view.scan(&prefix, &keys::after_prefix(&prefix), &mut |key, row| {
        if let Some((edit, _)) = keys::edit_of(key) {
            edits.entry(edit).or_default().push(row.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    let (mut items, mut more_before, mut bytes) = (Vec::new(), false, 0);
    for parts in edits.values().rev() {
        let Some((first, rest)) = parts.split_first() else { continue };
        let former = values::decode_former(first, || whole(&rest.concat()))?;
        bytes += former.content.as_str().len();
        if bytes > max_bytes && !items.is_empty() {
            more_before = true;
            break;
        }
        items.push(former);
    }
    items.reverse();
    Ok(FormerTexts { items, more_before })
}

pub(super) fn messages<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    query: MessageQuery,
) -> Result<MessagePage, StoreError> {
    let log = Log::of(rows, room)?;
    let limit = query.limit.clamp(1, MESSAGES_MAX);
    let first = query.hidden_until.next().max(log.telling.first);
    let span = Span { log: &log, first, last: log.head };
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
        let rows: Vec<_> = before.rows.iter().chain(&after.rows).collect();
        let mut reactions = match (rows.first(), rows.last()) {
            (Some((first, _)), Some((last, _))) => {
                reactions(&self.log.view, &self.log.room16, *first, *last)?
            }
            _ => BTreeMap::new(),
        };
        let message = |(seq, row): &(Seq, Vec<u8>)| self.log.message(*seq, row, &mut reactions);
        let messages = rows.into_iter().map(message).collect::<Result<_, _>>()?;
        Ok(MessagePage { messages, more_before: before.more, more_after: after.more })
    }
}

/// A room's log up to its durable head.
struct Log<'a, K> {
    view: View<'a, K>,
    room: &'a RoomId,
    room16: Id16,
    head: Seq,
    telling: values::Telling,
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
        let view = rows.view();
        let head = view.head(&room16)?;
        let telling = telling(&view, &room16)?;
        Ok(Self { view, room, room16, head, telling })
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
        self.view.range(&from, &to, direction, &mut |key, value| {
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

    /// Entries right after `after`, or after what was cut if that is later.
    fn entries(&self, after: Seq, limit: usize, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let limit = limit.clamp(1, ENTRIES_MAX) as u64;
        let after = after.max(self.telling.first.previous());
        // The log is dense, so the answer is exactly this range of both tables, unless it ends early.
        let mut last = self.head.min(Seq::new(after.get().saturating_add(limit)));
        if last <= after {
            return Ok(Vec::new());
        }
        let messages =
            self.rows(table::MESSAGE, after.next(), last, Direction::Ascending, usize::MAX, max_bytes)?;
        if let Some(cut) = messages.cut {
            // What passes the bound is sent all the same when nothing stands before it.
            last = if cut == after.next() { cut } else { cut.previous() };
        }
        let events =
            self.rows(table::EVENT, after.next(), last, Direction::Ascending, usize::MAX, usize::MAX)?;
        let mut reactions = reactions(&self.view, &self.room16, after.next(), last)?;
        let mut entries = Vec::with_capacity(messages.rows.len() + events.rows.len());
        for (seq, row) in messages.rows.iter().filter(|(seq, _)| *seq <= last) {
            entries.push(self.message(*seq, row, &mut reactions)?);
        }
        // Edits tell texts too, which count towards the bound; beyond it they are not even read.
        let mut edited = 0;
        for (seq, row) in &events.rows {
            let text = |target| {
                let text = text_of(&self.view, &self.room16, self.telling.first, target)?;
                edited += text.0.as_str().len();
                Ok(text)
            };
            entries.push(values::decode_event(self.room, *seq, row, text)?);
            if edited > max_bytes {
                last = last.min(*seq);
                break;
            }
        }
        entries.retain(|entry| entry.seq <= last);
        entries.sort_unstable_by_key(|entry| entry.seq);
        let expected = (after.get() + 1)..=last.get();
        if !entries.iter().map(|entry| entry.seq.get()).eq(expected) {
            return Err(values::corrupt("a log with a hole"));
        }
        let mut bytes = 0;
        let fit = entries.iter().take_while(|entry| {
            bytes += text_bytes(entry);
            bytes <= max_bytes
        });
        let fit = fit.count().max(1);
        entries.truncate(fit);
        Ok(entries)
    }

    fn is_deleted(&self) -> Result<bool, StoreError> {
        Ok(self.view.room(&self.room16)?.is_some_and(|room| room.deleted))
    }

    /// The last entry alone, of a log that an event ends.
    fn last(&self) -> Result<Vec<Entry>, StoreError> {
        let row = self.view.get(&keys::event(&self.room16, self.head))?;
        let row = row.ok_or_else(|| values::corrupt("the log of a deleted room without its end"))?;
        let entry = values::decode_event(self.room, self.head, &row, |_| Err(values::corrupt("an entry")))?;
        Ok(vec![entry])
    }

    fn message(
        &self,
        seq: Seq,
        row: &[u8],
        reactions: &mut BTreeMap<Seq, Vec<Reaction>>,
    ) -> Result<Entry, StoreError> {
        let rest = || continuation(&self.view, &self.room16, seq);
        let mut entry = values::decode_message(self.room, seq, row, rest)?;
        if let Change::Send(message) = &mut entry.change {
            message.reactions = reactions.remove(&seq).unwrap_or_default();
            message.attachments = attachments(&self.view, &self.room16, seq, row)?;
        }
        Ok(self.telling.address(entry))
    }
}

/// The reactions to the messages from `first` to `last`, both inclusive, in the order in which they came.
pub(super) fn reactions<S: Source>(
    source: &S,
    room16: &Id16,
    first: Seq,
    last: Seq,
) -> Result<BTreeMap<Seq, Vec<Reaction>>, StoreError> {
    let (from, to) = (log_key(table::REACTION, room16, first), log_key(table::REACTION, room16, last.next()));
    let mut found: BTreeMap<Seq, Vec<(Reaction, Seq)>> = BTreeMap::new();
    let mut failed = None;
    source.range(&from, &to, Direction::Ascending, &mut |key, row| {
        let (Some(seq), Some(emoji)) = (keys::seq_of(key), keys::emoji_of(key)) else {
            failed = Some(values::corrupt("a key of a reaction"));
            return ControlFlow::Break(());
        };
        match values::decode_reaction(emoji, row) {
            Ok(reaction) => found.entry(seq).or_default().push(reaction),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let in_order = |(seq, mut reactions): (Seq, Vec<(Reaction, Seq)>)| {
        reactions.sort_by_key(|(_, first)| *first);
        (seq, reactions.into_iter().map(|(reaction, _)| reaction).collect())
    };
    Ok(found.into_iter().map(in_order).collect())
}

/// The files that the message in a row refers to.
pub(super) fn attachments<S: Source>(
    source: &S,
    room16: &Id16,
    seq: Seq,
    row: &[u8],
) -> Result<Attachments, StoreError> {
    let attachment = |number| {
        let row = source.get(&keys::attachment(room16, seq, number))?;
        values::decode_attachment(&row.ok_or_else(|| values::corrupt("a file of a message is not there"))?)
    };
    (0..values::attachments(row)?).map(attachment).collect::<Result<_, _>>().map(Attachments::from_stored)
}

/// The text that a message has now, and whom it mentions: nothing of one before `first`, which was cut.
pub(super) fn text_of<S: Source>(
    source: &S,
    room16: &Id16,
    first: Seq,
    seq: Seq,
) -> Result<(Content, Mentions), StoreError> {
    if seq < first {
        return Ok((Content::gone(), Mentions::default()));
    }
    let row = source.get(&keys::message(room16, seq))?;
    let row = row.ok_or_else(|| values::corrupt("an entry about a message that is not there"))?;
    let row = values::decode_message_row(&row)?;
    let mentions = values::mentions_in(&row)?;
    let text = values::whole_text(row.text, row.continued, || continuation(source, room16, seq))?;
    Ok((text, mentions))
}

/// The rest of a long text.
pub(super) fn continuation<S: Source>(source: &S, room16: &Id16, seq: Seq) -> Result<String, StoreError> {
    let prefix = log_key(table::TEXT, room16, seq);
    let mut rest = Vec::new();
    source.range(&prefix, &keys::after_prefix(&prefix), Direction::Ascending, &mut |_, part| {
        rest.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    whole(&rest)
}

fn whole(parts: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(parts.to_vec()).map_err(|_| values::corrupt("the continuation of a text"))
}
