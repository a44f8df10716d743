//! The seam over a map in memory.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use parking_lot::RwLock;

use super::{Direction, KvBatch, KvError, OrderedKv};

/// An ordered map in memory. Clones share the map.
///
/// Nothing survives the process, and `sync` has nothing to do. With the feature `testing`, `MemKv::crashable`
/// makes one that can lose, like a disk whose power is cut, what was applied and not synced.
#[derive(Debug, Clone, Default)]
pub struct MemKv {
    state: Arc<RwLock<State>>,
}

/// A key and its value, `None` for none.
type Change = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The values before each change since the last sync, the oldest first; `None` when nothing can be lost.
    unsynced: Option<Vec<Change>>,
    sync_lies: bool,
}

impl MemKv {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map that remembers what was not synced yet, see [`MemKv::crash`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn crashable() -> Self {
        let kv = Self::new();
        kv.state.write().unsynced = Some(Vec::new());
        kv
    }

    /// Loses what was applied and not synced, as a cut of the power would.
    #[cfg(feature = "testing")]
    pub fn crash(&self) {
        let mut state = self.state.write();
        let Some(unsynced) = &mut state.unsynced else { return };
        for (key, value) in std::mem::take(unsynced).into_iter().rev() {
            match value {
                Some(value) => state.map.insert(key, value),
                None => state.map.remove(&key),
            };
        }
    }

    /// Whether `sync` only says that it has synced. A test that still passes then has not tested durability.
    #[cfg(feature = "testing")]
    pub fn lie_about_sync(&self, lies: bool) {
        self.state.write().sync_lies = lies;
    }
}

impl OrderedKv for MemKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.state.read().map.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError> {
        if from >= to {
            return Ok(());
        }
        let state = self.state.read();
        let mut rows = state.map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        while let Some((key, value)) = match direction {
            Direction::Ascending => rows.next(),
            Direction::Descending => rows.next_back(),
        } {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: KvBatch) -> Result<(), KvError> {
        let mut state = self.state.write();
        let State { map, unsynced, .. } = &mut *state;
        for (key, value) in batch.changes {
            let undo = unsynced.is_some().then(|| key.clone());
            let before = match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            if let (Some(unsynced), Some(key)) = (unsynced.as_mut(), undo) {
                unsynced.push((key, before));
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), KvError> {
        let mut state = self.state.write();
        if !state.sync_lies
            && let Some(unsynced) = &mut state.unsynced
        {
            unsynced.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: u8, value: u8) -> KvBatch {
        KvBatch { changes: vec![(vec![key], Some(vec![value]))] }
    }

    fn rows(kv: &MemKv, from: u8, to: u8, direction: Direction) -> Vec<u8> {
        let mut rows = Vec::new();
        kv.scan(&[from], &[to], direction, &mut |key, _| {
            rows.push(key[0]);
            ControlFlow::Continue(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn a_scan_includes_its_start_and_excludes_its_end_in_both_directions() {
        let kv = MemKv::new();
        for key in 1..=5 {
            kv.apply(put(key, 0)).unwrap();
        }
        assert_eq!(rows(&kv, 2, 4, Direction::Ascending), [2, 3]);
        assert_eq!(rows(&kv, 2, 4, Direction::Descending), [3, 2]);
        assert!(rows(&kv, 4, 2, Direction::Ascending).is_empty());
    }

    #[cfg(feature = "testing")]
    #[test]
    fn a_crash_loses_what_was_not_synced_and_nothing_else() {
        let kv = MemKv::crashable();
        kv.apply(put(1, 1)).unwrap();
        kv.sync().unwrap();
        kv.apply(put(1, 2)).unwrap();
        kv.apply(put(2, 2)).unwrap();
        kv.crash();
        assert_eq!(kv.get(&[1]).unwrap(), Some(vec![1]));
        assert_eq!(kv.get(&[2]).unwrap(), None);
    }

    #[cfg(feature = "testing")]
    #[test]
    fn a_sync_that_lies_keeps_nothing_through_a_crash() {
        let kv = MemKv::crashable();
        kv.lie_about_sync(true);
        kv.apply(put(1, 1)).unwrap();
        kv.sync().unwrap();
        kv.crash();
        assert_eq!(kv.get(&[1]).unwrap(), None);
    }
}
