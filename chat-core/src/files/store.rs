//! What a store keeps of files.

use async_trait::async_trait;

use super::{FileId, FileRecord, FileUsage, Posting, Quota};
use crate::{
    id::UserId,
    store::{Page, PageRequest, StoreError},
    time::Timestamp,
};

/// A file that may be nobody's by now, and since when it may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueFile {
    /// From then on.
    pub at: Timestamp,
    /// Which.
    pub file: FileId,
}

/// Why nothing is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateFileError {
    /// It would be more than the owner may have.
    #[error("there is no room for more files of this user")]
    OverQuota,
    /// The owner is erased.
    #[error("the user is erased")]
    Erased,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records of files, and where files are posted.
///
/// # To ensure correctness
///
/// 1. What was answered `Ok` is as durable as a commit.
/// 2. However many are created at once, no user ever has more than the quota that came along.
/// 3. A file of which there is a record is posted exactly where a message that stands, or one that is held, refers to
///    it: from the commit by which that came to be to the one by which it ends, whatever ends it.
/// 4. A file that nothing refers to is due: a day after its creation, or as soon as the last that referred to it is
///    gone. It stays so until it is settled as in use, or its bytes are forgotten.
/// 5. [`FileStore::settle_file`] lets no file go that is posted, held, or an avatar to which its owner's profile refers.
///    An avatar whose place in the profile another one takes is dropped by the very change that does so.
/// 6. An erased user gets no records, and what they had is due at once with the end of their erasure.
/// 7. That there is no record of a file any more is on the disk when [`FileStore::settle_file`] answers so, whatever
///    else an ack promises: its bytes are deleted next, and no crash brings back a message that refers to it.
#[async_trait]
pub trait FileStore: Send + Sync + 'static {
    /// Remembers a file whose bytes are kept already. From [`crate::limits::FILE_UNCLAIMED_MS`] after its creation it
    /// is due.
    ///
    /// # Errors
    /// [`CreateFileError`].
    async fn create_file(&self, file: FileRecord, quota: Quota) -> Result<(), CreateFileError>;

    /// What is remembered of a file.
    async fn file(&self, id: FileId) -> Result<Option<FileRecord>, StoreError>;

    /// The files of a user, the oldest first.
    async fn files_of(&self, owner: &UserId, page: PageRequest) -> Result<Page<FileRecord>, StoreError>;

    /// How much a user has.
    async fn file_usage(&self, owner: &UserId) -> Result<FileUsage, StoreError>;

    /// Where a file is posted, the first [`crate::limits::FILE_POSTINGS_MAX`] places.
    async fn postings(&self, id: FileId) -> Result<Vec<Posting>, StoreError>;

    /// Files that are due by then, at most `limit`.
    async fn due_files(&self, now: Timestamp, limit: usize) -> Result<Vec<DueFile>, StoreError>;

    /// Decides about a file that is due. `true`: there is no record of it (any more), so its bytes are to be deleted,
    /// and then [`FileStore::forget_file`] called. `false`: it is in use, and not due any more.
    async fn settle_file(&self, due: DueFile) -> Result<bool, StoreError>;

    /// Takes a file's record away, in use or not. It is due at once.
    async fn drop_file(&self, id: FileId) -> Result<(), StoreError>;

    /// Notes that the bytes of a file are deleted.
    async fn forget_file(&self, due: DueFile) -> Result<(), StoreError>;
}
