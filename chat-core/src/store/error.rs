//! How a store fails.

use crate::{domain::Guard, id::Seq};

/// The store could not do what was asked. Messages name no path, key, text or secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is (nearly) full. Nothing was saved; works again once there is space, without a restart.
    #[error("the disk is full")]
    Full,
    /// More is waiting to be saved than the bound allows. Nothing was saved; try again.
    #[error("the store is overloaded")]
    Overloaded,
    /// It failed, and whether it was saved is not known until the store is opened again. Never retried here:
    /// the caller repeats with the same `clientMessageId`.
    #[error("the outcome of the write is unknown")]
    Unknown,
    /// An earlier write ended [`StoreError::Unknown`]: reads go on, writes are refused until a restart.
    #[error("the store refuses writes until it is opened again")]
    Poisoned,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// More was asked at once than a store has to take.
    #[error("too large for one operation")]
    TooLarge,
    /// A value was written by a newer version of this software.
    #[error("written by a newer version (value version {found})")]
    TooNew {
        /// The version found.
        found: u8,
    },
    /// What is stored contradicts itself.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// Anything else that the engine below reports; nothing was saved.
    #[error("storage failed: {0}")]
    Backend(String),
}

/// Why a commit was not saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another writer was first: the head is elsewhere. Read on from the known head, plan again.
    #[error("the head has moved to {head}")]
    Conflict {
        /// The stored head. It may not be readable yet; it will be shortly.
        head: Seq,
    },
    /// A guard does not hold.
    #[error("a guard of the commit does not hold")]
    Guard(Guard),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
