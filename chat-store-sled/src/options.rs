//! How to open a store.

use std::{fmt, io, path::Path, sync::Arc};

use chat_core::{
    store::Durability,
    time::{Clock, SystemClock},
};

use crate::{OpenError, SledKv, SledStore, limits::CACHE_BYTES, space::Reserve};

/// How to open a store; every setting has a default.
///
/// ```no_run
/// # fn main() -> Result<(), chat_store_sled::OpenError> {
/// use chat_core::store::Durability;
/// use chat_store_sled::SledStore;
///
/// let store = SledStore::builder().durability(Durability::Interval).cache_bytes(256 << 20).open("chat.db")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `open`"]
pub struct SledOptions {
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: u64,
    pub(crate) reserve: Reserve,
    pub(crate) any_filesystem: bool,
    pub(crate) accept_loss: bool,
    pub(crate) clock: SharedClock,
    pub(crate) faults: Faults,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            cache_bytes: CACHE_BYTES,
            reserve: Reserve::default(),
            any_filesystem: false,
            accept_loss: false,
            clock: SharedClock(Arc::new(SystemClock)),
            faults: Faults::default(),
        }
    }
}

impl SledOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What an ack promises. Default: [`Durability::Fsync`].
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The size of sled's page cache, in bytes. Default: 64 MiB. Expect about three times as much resident
    /// memory.
    pub const fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Writes are refused while less than this is free, in bytes. Default: 256 MiB, on a filesystem below 1 GiB a
    /// quarter of it.
    pub const fn reserve_bytes(mut self, bytes: u64) -> Self {
        self.reserve.bytes = Some(bytes);
        self
    }

    /// Writes are refused while less than this share of the filesystem is free, in percent, where that is more
    /// than the bytes. Default: 5.
    pub const fn reserve_percent(mut self, percent: u8) -> Self {
        self.reserve.percent = Some(percent);
        self
    }

    /// The size of the file that is deleted to open on a full disk, in bytes; 0 for none. Default: 64 MiB, on
    /// a filesystem below 512 MiB an eighth of it.
    pub const fn ballast_bytes(mut self, bytes: u64) -> Self {
        self.reserve.ballast_bytes = Some(bytes);
        self
    }

    /// Opens on a network filesystem or FUSE too, with a warning. Only for filesystems of which you know that
    /// their locks and syncs are real.
    pub const fn allow_any_filesystem(mut self, allow: bool) -> Self {
        self.any_filesystem = allow;
        self
    }

    /// Opens although acked messages are missing ([`OpenError::Lost`]), with what is left and under a new epoch,
    /// so that clients notice. For the one start after a loss that no backup can make good.
    pub const fn accept_loss(mut self, accept: bool) -> Self {
        self.accept_loss = accept;
        self
    }

    /// What tells the time. Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock(Arc::new(clock));
        self
    }

    /// Breaks things, for tests.
    #[doc(hidden)]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Opens the store in the directory `path`, which is created if need be. Blocks while sled reads its log
    /// (some seconds a gigabyte).
    ///
    /// # Errors
    /// [`OpenError`] when a fence says no or the system fails.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SledStore, OpenError> {
        SledStore::open_with(path.as_ref(), &self)
    }

    /// Opens only the engine, for whoever puts another layout on top.
    ///
    /// # Errors
    /// [`OpenError`] when a fence says no or the system fails.
    pub fn open_kv(self, path: impl AsRef<Path>) -> Result<SledKv, OpenError> {
        crate::open::open(path.as_ref(), &self).map(|(kv, _)| kv)
    }
}

/// A clock that can be shown and shared.
#[derive(Clone)]
pub(crate) struct SharedClock(pub(crate) Arc<dyn Clock>);

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What tests break. By default nothing is.
#[doc(hidden)]
#[derive(Clone, Default)]
#[allow(missing_docs)]
pub struct Faults {
    /// Runs before each sync of the data file, and fails it.
    pub before_sync: Option<Arc<dyn Fn() -> io::Result<()> + Send + Sync>>,
    /// Leaves the sync of the data file out, as sled alone does.
    pub skip_sync: bool,
    /// Stands in for the kind of filesystem that the kernel tells.
    pub filesystem: Option<u64>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("skip_sync", &self.skip_sync).finish_non_exhaustive()
    }
}
