//! Rooms that keep their log for a while only: which they are, how much of a log may go, and the rows that go.
//!
//! A cut takes effect with the room's row, which says where the log begins; readers look at that in the same view as
//! at the log. The rows before it are nobody's any more and go in bounded steps, a message with all that belongs to
//! it. What counts messages by their ordinals is corrected as they go, so that a recount over the rows that are there
//! comes to the same at any time.

use std::ops::ControlFlow;

use async_trait::async_trait;

use super::{
    Direction, KvStore, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    read::{self, log_key},
    tally::Tally,
    values::{self, v1},
    view::{Source, Visible},
};
use crate::{
    domain::{Cut, Room},
    id::{RoomId, Seq},
    limits::{REACTIONS_DELETED_AT_ONCE, RETENTION_MESSAGES_LOOKED_AT_MAX},
    store::{Page, PageRequest, RetentionStore, StoreError},
    time::Timestamp,
};

/// Messages that are looked at in one view: the writer waits while there is one.
const MESSAGES_PER_VIEW: usize = 1_000;

/// Rows that a message takes along at least: itself, its author's index, and one more.
const ROWS_PER_MESSAGE: usize = 3;

/// Rows that count one deletion or mention, in a room of up to 16 million messages.
const ROWS_PER_COUNT: usize = 3;

#[async_trait]
impl<K: OrderedKv> RetentionStore for KvStore<K> {
    async fn retained_rooms(&self, page: PageRequest) -> Result<Page<RoomId>, StoreError> {
        self.read(move |shared| {
            read::paged(&shared.rows.view(), &keys::all_retained(), &page, usize::MAX, |_, row| {
                values::decode::<v1::Named<'_>>(row)?.id.room().map(Some)
            })
        })
        .await
    }

    async fn due_cut(&self, room: &RoomId, now: Timestamp) -> Result<Option<Cut>, StoreError> {
        let room = room.clone();
        self.read(move |shared| due_cut(&shared.rows, &room, now)).await
    }
}

/// How much of a room's log its retention lets go of.
fn due_cut<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    now: Timestamp,
) -> Result<Option<Cut>, StoreError> {
    let room16 = keys::room16(room);
    let mut cut: Option<Cut> = None;
    for _ in 0..RETENTION_MESSAGES_LOOKED_AT_MAX / MESSAGES_PER_VIEW {
        let view = rows.view();
        let Some(room) = view.room(&room16)?.filter(Room::exists) else { return Ok(None) };
        let retention = room.retention;
        if !retention.is_bounded() || cut.is_some_and(|cut| cut.retention != retention) {
            return Ok(None);
        }
        let from = cut.map_or(room.first, |cut| cut.first.max(room.first));
        let (from, to) =
            (log_key(table::MESSAGE, &room16, from), log_key(table::MESSAGE, &room16, room.head.next()));
        let (mut looked_at, mut failed) = (0, None);
        view.range(&from, &to, Direction::Ascending, &mut |key, row| {
            let (Some(seq), Ok(row)) = (keys::seq_of(key), values::decode_message_row(row)) else {
                failed = Some(values::corrupt("a message"));
                return ControlFlow::Break(());
            };
            if !retention.lets_go(now, room.messages, Timestamp::from_millis(row.at), row.ordinal) {
                return ControlFlow::Break(());
            }
            cut = Some(Cut { retention, first: seq.next(), trimmed: row.ordinal });
            looked_at += 1;
            if looked_at < MESSAGES_PER_VIEW { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if looked_at < MESSAGES_PER_VIEW {
            break;
        }
    }
    Ok(cut)
}

impl<K: OrderedKv> Group<'_, K> {
    /// Lists a room among those that have a retention, or does so no more.
    pub(super) fn put_retention(&mut self, room16: &Id16, room: &Room) -> Result<(), StoreError> {
        let key = keys::retained(room16);
        if !room.retention.is_bounded() {
            self.remove(key);
            return Ok(());
        }
        self.put(key, values::encode_named(room.id.as_str())?)
    }

    /// Deletes about `budget` rows of what was cut. Whether more may be left.
    pub(super) fn sweep_trimmed(&mut self, budget: usize) -> Result<bool, StoreError> {
        let prefix = keys::all_trimmed();
        let noted = self.stored_between(&prefix, &keys::after_prefix(&prefix), 1)?.pop();
        let Some((noted, _)) = noted else { return Ok(false) };
        if self.get(&noted)?.is_none() {
            // The room is deleted by this very group: its log goes another way.
            return Ok(true);
        }
        let room16 = keys::id_at(&noted, 2).ok_or_else(|| values::corrupt("a key of a room that was cut"))?;
        let first = self.first_kept(&room16)?;
        let cut = |table| (log_key(table, &room16, Seq::ZERO), log_key(table, &room16, first));

        let (mut left, (from, to)) = (budget, cut(table::MESSAGE));
        let most = (budget / ROWS_PER_MESSAGE).max(1);
        let messages = self.stored_between(&from, &to, most)?;
        for (key, row) in &messages {
            let seq = keys::seq_of(key).ok_or_else(|| values::corrupt("a key of a log"))?;
            if left == 0 {
                return Ok(true);
            }
            left = left.saturating_sub(self.forget(&room16, seq, row)?);
        }
        if messages.len() == most {
            return Ok(true);
        }
        let (most, (from, to)) = (left.max(1), cut(table::EVENT));
        let events = self.stored_between(&from, &to, most)?;
        let all = events.len() < most;
        events.into_iter().for_each(|(key, _)| self.remove(key));
        // A cut of this very group goes on to need it.
        if all && self.get(&keys::room(&room16))? == self.as_stored(&keys::room(&room16))? {
            self.remove(noted);
        }
        Ok(true)
    }

    /// Whether a message was cut, as readers see it.
    pub(super) fn is_cut(&self, room16: &Id16, seq: Seq) -> Result<bool, StoreError> {
        Ok(seq < self.first_kept(room16)?)
    }

    /// Where a log begins, as it is stored: a cut of this very group is not durable yet, and readers still look behind
    /// it.
    pub(super) fn first_kept(&self, room16: &Id16) -> Result<Seq, StoreError> {
        let room = self.as_stored(&keys::room(room16))?;
        room.map_or(Ok(Seq::ZERO), |row| values::Telling::of(&row).map(|telling| telling.first))
    }

    /// Deletes a message that was cut and all that belongs to it, but for what was sent under its key. Of those who
    /// reacted, who are too many for one step go with the next ones. Tells about how many rows that were.
    pub(super) fn forget(&mut self, room16: &Id16, seq: Seq, row: &[u8]) -> Result<usize, StoreError> {
        let mut gone = vec![keys::message(room16, seq), keys::pin(room16, seq)];
        for table in [table::TEXT, table::FORMER, table::REACTION, table::ATTACHMENT] {
            gone.extend(self.keys_under(&keys::of_message(table, room16, seq), usize::MAX)?);
        }
        let reacted = keys::of_message(table::REACTED, room16, seq);
        let reacted = self.keys_under(&reacted, REACTIONS_DELETED_AT_ONCE + 1)?;
        if reacted.len() > REACTIONS_DELETED_AT_ONCE {
            self.put(keys::unswept(room16, seq), values::PRESENT.to_vec())?;
        }
        gone.extend(reacted.into_iter().take(REACTIONS_DELETED_AT_ONCE));
        let row = values::decode_message_row(row)?;
        gone.push(keys::author(&keys::user16(&row.actor.user()?), room16, seq));
        if row.thread > 0 {
            let of = |living| keys::thread(room16, Seq::new(row.thread), living, seq);
            gone.extend([of(false), of(true)]);
        }
        let mut counted = Tally::of_mentions(room16, &values::mentions_in(&row)?);
        counted.extend(row.deleted.is_some().then(|| Tally::tombstones(room16)));
        for tally in &counted {
            self.tally(tally, row.ordinal, false)?;
        }
        let rows = gone.len() + ROWS_PER_COUNT * counted.len();
        gone.into_iter().for_each(|key| self.remove(key));
        Ok(rows)
    }
}
