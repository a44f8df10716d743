//! The seam between the layout and an ordered key-value engine.

use std::ops::ControlFlow;

/// An ordered map of bytes with atomic batches and a durable sync.
///
/// One thread writes at a time; any number read meanwhile. A scan need not be a snapshot.
///
/// # To ensure correctness
///
/// 1. After [`OrderedKv::apply`] returned, every read sees the whole batch; after a crash, all of it or none.
/// 2. After [`OrderedKv::sync`] returned, all batches applied before it survive the loss of power.
/// 3. Keys are ordered by their bytes.
/// 4. A failed `apply` changed nothing, unless it failed with [`KvError::Unknown`]. A failed `sync` leaves open
///    what survives; it is never tried again.
pub trait OrderedKv: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Calls `visit` with each key from `from` (inclusive) to `to` (exclusive) and its value, in the given
    /// direction, until it breaks. Stops at the first error.
    #[allow(clippy::type_complexity, reason = "an alias would hide what a visitor gets")]
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError>;

    /// Changes many keys at once.
    fn apply(&self, batch: KvBatch) -> Result<(), KvError>;

    /// Makes everything applied so far survive the loss of power.
    fn sync(&self) -> Result<(), KvError>;

    /// Makes everything applied so far survive the loss of the process, as cheaply as can be.
    fn flush(&self) -> Result<(), KvError> {
        self.sync()
    }

    /// Whether there is room to write; asked before every group of commits.
    fn has_space(&self) -> bool {
        true
    }

    /// Releases what is held (files, locks). Nothing is called afterwards.
    fn close(&self) -> Result<(), KvError> {
        Ok(())
    }
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key.
    Ascending,
    /// From the largest key.
    Descending,
}

/// Changes that are applied together: for each key its new value, or `None` to delete it. Each key stands at
/// most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvBatch {
    /// Key and new value, in no particular order.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// How an engine below fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// No space left on the device.
    #[error("no space left")]
    Full,
    /// What was read contradicts its checksum or form.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// It failed half way, and what of it survives is not known before the engine is opened again.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// Anything else.
    #[error("{0}")]
    Io(String),
}
