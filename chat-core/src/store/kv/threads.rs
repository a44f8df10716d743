//! Reading threads: the replies to one message, in their order.

use std::ops::ControlFlow;

use super::{
    Direction, OrderedKv,
    keys::{self, Id16},
    log, values,
    view::{Source as _, View, Visible},
};
use crate::{
    domain::THREAD_ROWS_MAX,
    id::{RoomId, Seq},
    store::{MessagePage, MessageQuery, Place, StoreError},
    time::Timestamp,
};

/// Replies on a page at most, whatever is asked.
const REPLIES_MAX: usize = 200;

/// The newest replies that are not deleted, ascending, with the times of their sending.
pub(super) fn newest<K: OrderedKv>(
    view: &View<'_, K>,
    room16: &Id16,
    root: Seq,
    head: Seq,
) -> Result<Vec<(Seq, Timestamp)>, StoreError> {
    let mut rows = Vec::new();
    let (from, to) =
        (keys::thread(room16, root, true, Seq::ZERO), keys::thread(room16, root, true, head.next()));
    view.range(&from, &to, Direction::Descending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        if rows.len() >= THREAD_ROWS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let reply = |(key, row): &(Vec<u8>, Vec<u8>)| {
        let seq = keys::reply_of(key).ok_or_else(|| values::corrupt("a key of a thread"))?;
        Ok((seq, Timestamp::from_millis(values::decode(row)?)))
    };
    rows.iter().rev().map(reply).collect()
}

pub(super) fn thread<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    root: Seq,
    query: MessageQuery,
) -> Result<MessagePage, StoreError> {
    let view = rows.view();
    let room16 = keys::room16(room);
    let first = query.hidden_until.next().max(log::telling(&view, &room16)?.first);
    let thread = Thread { root, first, last: view.head(&room16)?, room16, view: &view };
    let limit = query.limit.clamp(1, REPLIES_MAX);
    let (seqs, ascending, beyond) = match query.place {
        Place::Latest => {
            (thread.replies(Seq::ZERO, Seq::MAX, Direction::Descending, limit + 1)?, false, false)
        }
        Place::Before(seq) => (
            thread.replies(Seq::ZERO, seq.previous(), Direction::Descending, limit + 1)?,
            false,
            !thread.replies(seq, Seq::MAX, Direction::Ascending, 1)?.is_empty(),
        ),
        Place::After(seq) => (
            thread.replies(seq.next(), Seq::MAX, Direction::Ascending, limit + 1)?,
            true,
            !thread.replies(Seq::ZERO, seq, Direction::Descending, 1)?.is_empty(),
        ),
        Place::Around(seq) => (
            thread.replies(seq, Seq::MAX, Direction::Ascending, limit + 1)?,
            true,
            !thread.replies(Seq::ZERO, seq.previous(), Direction::Descending, 1)?.is_empty(),
        ),
    };
    let mut more = seqs.len() > limit;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for seq in seqs.into_iter().take(limit) {
        let entry = log::message(&view, room, &thread.room16, seq)?;
        let entry = entry.ok_or_else(|| values::corrupt("a reply that is not there"))?;
        bytes += log::text_bytes(&entry);
        if bytes > query.max_bytes && !messages.is_empty() {
            more = true;
            break;
        }
        messages.push(entry);
    }
    if ascending {
        return Ok(MessagePage { messages, more_before: beyond, more_after: more });
    }
    messages.reverse();
    Ok(MessagePage { messages, more_before: more, more_after: beyond })
}

/// The part of a thread that a reader may see.
struct Thread<'a, K> {
    view: &'a View<'a, K>,
    room16: Id16,
    root: Seq,
    first: Seq,
    last: Seq,
}

impl<K: OrderedKv> Thread<'_, K> {
    /// The replies from `first` to `last`, both inclusive, at most `limit`.
    fn replies(
        &self,
        first: Seq,
        last: Seq,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Seq>, StoreError> {
        let (first, last) = (first.max(self.first), last.min(self.last));
        let mut seqs = Vec::new();
        let key = |seq| keys::thread(&self.room16, self.root, false, seq);
        self.view.range(&key(first), &key(last.next()), direction, &mut |key, _| {
            seqs.extend(keys::reply_of(key));
            if seqs.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(seqs)
    }
}
