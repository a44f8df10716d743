//! An engine below a store that fails, blocks or breaks off on command.

use std::{ops::ControlFlow, sync::Arc};

use parking_lot::{Condvar, Mutex};

use crate::store::kv::{Direction, KvBatch, KvError, OrderedKv};

/// An engine below a store that fails, blocks or breaks off when its [`KvFaults`] say so.
#[derive(Debug)]
pub struct FaultyKv<K> {
    inner: K,
    faults: KvFaults,
}

/// What a [`FaultyKv`] is told, and what it has seen. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct KvFaults {
    shared: Arc<(Mutex<KvState>, Condvar)>,
}

#[derive(Debug, Default)]
struct KvState {
    full: bool,
    next_apply: Option<KvError>,
    sync_fails: bool,
    sync_blocks: bool,
    breaks_off: bool,
    blocked: usize,
    syncs: usize,
    flushes: usize,
    largest_batch: usize,
}

impl<K: OrderedKv> FaultyKv<K> {
    /// An engine that does not fail yet, and the handle to change that.
    pub fn new(inner: K) -> (Self, KvFaults) {
        let faults = KvFaults::default();
        (Self { inner, faults: faults.clone() }, faults)
    }
}

impl KvFaults {
    /// Whether the disk is full: batches fail with [`KvError::Full`], and it says that it has no space.
    pub fn fill_disk(&self, full: bool) {
        self.shared.0.lock().full = full;
    }

    /// The next batch is not applied and fails so.
    pub fn fail_apply(&self, error: KvError) {
        self.shared.0.lock().next_apply = Some(error);
    }

    /// Every sync fails from now on.
    pub fn fail_sync(&self) {
        self.shared.0.lock().sync_fails = true;
    }

    /// The next batch panics before it is applied.
    pub fn break_off(&self) {
        self.shared.0.lock().breaks_off = true;
    }

    /// Whether a sync waits until it is told otherwise.
    pub fn block_sync(&self, block: bool) {
        self.shared.0.lock().sync_blocks = block;
        self.shared.1.notify_all();
    }

    /// Waits until a sync is waiting. Blocks the thread.
    pub fn wait_for_blocked_sync(&self) {
        let mut state = self.shared.0.lock();
        self.shared.1.wait_while(&mut state, |state| state.blocked == 0);
    }

    /// Waits until there have been so many syncs. Blocks the thread.
    pub fn wait_for_syncs(&self, count: usize) {
        let mut state = self.shared.0.lock();
        self.shared.1.wait_while(&mut state, |state| state.syncs < count);
    }

    /// How many syncs there have been.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.shared.0.lock().syncs
    }

    /// How many flushes there have been.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.shared.0.lock().flushes
    }

    /// How many keys the largest batch has changed.
    #[must_use]
    pub fn largest_batch(&self) -> usize {
        self.shared.0.lock().largest_batch
    }

    fn pass(&self) -> Result<(), KvError> {
        let (state, changed) = &*self.shared;
        let mut state = state.lock();
        state.blocked += 1;
        changed.notify_all();
        changed.wait_while(&mut state, |state| state.sync_blocks);
        state.blocked -= 1;
        if state.sync_fails { Err(KvError::Io("a fault was asked for".to_owned())) } else { Ok(()) }
    }
}

impl<K: OrderedKv> OrderedKv for FaultyKv<K> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.inner.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError> {
        self.inner.scan(from, to, direction, visit)
    }

    #[allow(clippy::panic, reason = "it is asked for")]
    fn apply(&self, batch: KvBatch) -> Result<(), KvError> {
        let mut state = self.faults.shared.0.lock();
        state.largest_batch = state.largest_batch.max(batch.changes.len());
        let breaks_off = std::mem::take(&mut state.breaks_off);
        let failure = state.next_apply.take().or_else(|| state.full.then_some(KvError::Full));
        drop(state);
        if breaks_off {
            panic!("a fault was asked for");
        }
        match failure {
            Some(error) => Err(error),
            None => self.inner.apply(batch),
        }
    }

    fn sync(&self) -> Result<(), KvError> {
        self.faults.pass()?;
        self.inner.sync()?;
        self.faults.shared.0.lock().syncs += 1;
        self.faults.shared.1.notify_all();
        Ok(())
    }

    fn flush(&self) -> Result<(), KvError> {
        self.faults.pass()?;
        self.inner.flush()?;
        self.faults.shared.0.lock().flushes += 1;
        Ok(())
    }

    fn has_space(&self) -> bool {
        !self.faults.shared.0.lock().full && self.inner.has_space()
    }

    fn close(&self) -> Result<(), KvError> {
        self.inner.close()
    }
}
