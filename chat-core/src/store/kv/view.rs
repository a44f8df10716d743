//! What readers see: the durable rows and nothing newer.

use std::{collections::BTreeMap, ops::ControlFlow};

use parking_lot::{RwLock, RwLockReadGuard};

use super::{Direction, OrderedKv, group::Changes, keys, values};
use crate::{
    domain::Room,
    id::{RoomId, Seq},
    store::StoreError,
};

/// The rows below, with those of a group that is applied and not yet durable shown as they were before it.
///
/// The writer hands in what the rows held before it applies a group, and takes it back once the group is
/// durable. A reader holds the lock while it reads, so a group begins or ends between two views, never within
/// one. New rows of logs are left out: a room's head hides them.
#[derive(Debug)]
pub(super) struct Visible<K> {
    kv: K,
    undo: RwLock<Changes>,
}

impl<K: OrderedKv> Visible<K> {
    pub(super) fn new(kv: K) -> Self {
        Self { kv, undo: RwLock::new(BTreeMap::new()) }
    }

    /// The engine below, unfiltered: for the writer.
    pub(super) fn raw(&self) -> &K {
        &self.kv
    }

    /// The durable rows. Short-lived: the writer waits while there is a view.
    pub(super) fn view(&self) -> View<'_, K> {
        View { kv: &self.kv, undo: self.undo.read() }
    }

    /// From here until [`Visible::publish`], readers see these rows as they are in `undo`.
    pub(super) fn hide(&self, undo: Changes) {
        *self.undo.write() = undo;
    }

    /// Everything applied is durable, or what was to be applied was not.
    pub(super) fn publish(&self) {
        self.undo.write().clear();
    }
}

/// Rows to read.
pub(super) trait Source {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the rows from `from` (inclusive) to `to` (exclusive) in the given direction, until `visit` breaks.
    #[allow(clippy::type_complexity, reason = "the shape of `OrderedKv::scan`")]
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
}

/// The rows of an engine as they are.
pub(super) struct Raw<'a, K>(pub(super) &'a K);

impl<K: OrderedKv> Source for Raw<'_, K> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Ok(self.0.scan(from, to, direction, visit)?)
    }
}

/// A consistent view of the durable rows.
pub(super) struct View<'a, K> {
    kv: &'a K,
    undo: RwLockReadGuard<'a, Changes>,
}

impl<K: OrderedKv> Source for View<'_, K> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.undo.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.kv.get(key)?),
        }
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let mut hidden =
            self.undo.range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
        let mut next_hidden = || match direction {
            Direction::Ascending => hidden.next(),
            Direction::Descending => hidden.next_back(),
        };
        let is_past = |hidden: &[u8], key: &[u8]| match direction {
            Direction::Ascending => hidden > key,
            Direction::Descending => hidden < key,
        };
        let mut before = next_hidden();
        let mut flow = ControlFlow::Continue(());
        self.kv.scan(from, to, direction, &mut |key, value| {
            while let Some((old_key, old_value)) = before {
                if is_past(old_key, key) {
                    break;
                }
                before = next_hidden();
                if let Some(old_value) = old_value {
                    flow = visit(old_key, old_value);
                }
                if old_key == key || flow.is_break() {
                    return flow;
                }
            }
            flow = visit(key, value);
            flow
        })?;
        while let (ControlFlow::Continue(()), Some((key, value))) = (flow, before) {
            if let Some(value) = value {
                flow = visit(key, value);
            }
            before = next_hidden();
        }
        Ok(())
    }
}

impl<K: OrderedKv> View<'_, K> {
    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Source::get(self, key)
    }

    /// Visits the rows from `from` (inclusive) to `to` (exclusive), ascending, until `visit` breaks.
    #[allow(clippy::type_complexity, reason = "the shape of `OrderedKv::scan`")]
    pub(super) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.range(from, to, Direction::Ascending, visit)
    }

    pub(super) fn head(&self, room16: &keys::Id16) -> Result<Seq, StoreError> {
        match self.get(&keys::room_count(room16))? {
            Some(count) => values::decode_head(&count),
            None => Ok(Seq::ZERO),
        }
    }

    pub(super) fn room(&self, room16: &keys::Id16) -> Result<Option<Room>, StoreError> {
        let Some(count) = self.get(&keys::room_count(room16))? else { return Ok(None) };
        let room = self.get(&keys::room(room16))?.ok_or_else(|| values::corrupt("a room without its row"))?;
        values::decode_room(&room, &count).map(Some)
    }

    /// The durable head of a room by its id.
    pub(super) fn head_of(&self, room: &RoomId) -> Result<Seq, StoreError> {
        self.head(&keys::room16(room))
    }
}
