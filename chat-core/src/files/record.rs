//! What is remembered of a file.

use std::fmt;

use super::FileId;
use crate::{
    id::{RoomId, Seq, UserId},
    time::Timestamp,
};

/// What is remembered of a file; its bytes lie elsewhere and never change. Its `Debug` form hides the name.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// What it is called here.
    pub id: FileId,
    /// Who uploaded it.
    pub owner: UserId,
    /// What it is called by people; made harmless, never a path.
    pub name: String,
    /// Its media type, found by its content.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// Pixels, for images.
    pub width: Option<u32>,
    /// Pixels, for images.
    pub height: Option<u32>,
    /// The small image that stands for it.
    pub thumbnail: Option<Thumbnail>,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// The small image that stands for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// Its media type.
    pub mime: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be posted.
    Attachment,
    /// To stand for its owner: everybody who is authenticated may have it. It is in use while its id is a segment of
    /// the `avatar_url` of its owner's profile.
    Avatar,
}

/// Where a file is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posting {
    /// By a message of a log.
    Message {
        /// The room.
        room: RoomId,
        /// Its place.
        seq: Seq,
    },
    /// By a message that the room holds for review.
    Held {
        /// The room.
        room: RoomId,
    },
}

/// How much a user has uploaded that is still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileUsage {
    /// How many files.
    pub files: u64,
    /// How many bytes, thumbnails aside.
    pub bytes: u64,
}

/// How much a user may have uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At most so many files.
    pub files: u64,
    /// At most so many bytes.
    pub bytes: u64,
}

impl FileUsage {
    /// What there is with one file more.
    #[must_use]
    pub const fn with(self, size: u64) -> Self {
        Self { files: self.files.saturating_add(1), bytes: self.bytes.saturating_add(size) }
    }

    /// What there is with one file less.
    #[must_use]
    pub const fn without(self, size: u64) -> Self {
        Self { files: self.files.saturating_sub(1), bytes: self.bytes.saturating_sub(size) }
    }

    /// Whether it is no more than that.
    #[must_use]
    pub const fn is_within(self, quota: Quota) -> bool {
        self.files <= quota.files && self.bytes <= quota.bytes
    }
}

impl fmt::Debug for FileRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRecord")
            .field("id", &self.id)
            .field("mime", &self.mime)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
