//! Why a store does not open. For the operator: it names paths, and never travels to a client.

use std::{io, path::PathBuf};

use chat_core::store::{StoreError, kv::KvError};

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has it open.
    #[error("{path} is in use by another process: two processes must never share a store")]
    InUse {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The filesystem keeps neither locks nor syncs as sled needs them.
    #[error("{path} lies on {filesystem}, which cannot keep a store safely: use a local disk")]
    Filesystem {
        /// The directory of the store.
        path: PathBuf,
        /// The name of the filesystem.
        filesystem: &'static str,
    },
    /// There is no `FORMAT` file, and yet the directory is not empty.
    #[error("{path} holds something else (such as {example:?}): a store wants a directory of its own")]
    Foreign {
        /// The directory of the store.
        path: PathBuf,
        /// One of the things that are there.
        example: String,
    },
    /// `FORMAT` names a store, the data knows nothing of it: the data was lost, or another version of sled wrote
    /// here. Opening would show an empty store as if nothing had happened.
    #[error(
        "{path} should hold the store {uuid}, but its data is empty: restore a backup (see Salvage in the README)"
    )]
    DataMissing {
        /// The directory of the store.
        path: PathBuf,
        /// What `FORMAT` says.
        uuid: String,
    },
    /// `FORMAT` and the data come from two different stores.
    #[error("{path}: FORMAT names the store {format}, but the data belongs to {data}")]
    Mixed {
        /// The directory of the store.
        path: PathBuf,
        /// What `FORMAT` says.
        format: String,
        /// What the data says.
        data: String,
    },
    /// The data ends before what was known to be on the disk: acked messages are gone, by damage or by a disk that
    /// lied. sled itself would open and say nothing.
    #[error(
        "{path} has lost the last {batches} batches of what was on the disk: restore a backup (see Salvage in the README)"
    )]
    Lost {
        /// The directory of the store.
        path: PathBuf,
        /// How many batches are missing.
        batches: u64,
    },
    /// A newer version of this software wrote the store.
    #[error("{path} has layout {found}, this version knows up to {known}: use a newer version")]
    TooNew {
        /// The directory of the store.
        path: PathBuf,
        /// The layout found.
        found: u32,
        /// The newest layout known here.
        known: u32,
    },
    /// `FORMAT` cannot be read, or names another engine.
    #[error("{path}: FORMAT is not one of a sled 0.34 store ({reason})")]
    Format {
        /// The directory of the store.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data is damaged, and deleting what is not needed for reading it did not help.
    #[error("{path} is damaged ({reason}): see Salvage in the README")]
    Damaged {
        /// The directory of the store.
        path: PathBuf,
        /// What sled says.
        reason: String,
    },
    /// There is no space for what opening has to write.
    #[error("the disk of {path} is full: free some space, then start again")]
    Full {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The operating system failed.
    #[error("{path}: cannot {action}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// What is stored does not make sense to this version.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// For `map_err`: an error of the operating system while doing `action` with `path`.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| {
            if is_full(&source) { Self::Full { path } } else { Self::Io { path, action, source } }
        }
    }

    /// For `map_err`: an error of the engine while the store in `path` was being opened.
    pub(crate) fn kv(path: impl Into<PathBuf>) -> impl FnOnce(KvError) -> Self {
        let path = path.into();
        move |error| match error {
            KvError::Full => Self::Full { path },
            other => Self::Damaged { path, reason: other.to_string() },
        }
    }
}

/// Whether the operating system says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
