//! How a message comes to refer to a file.

use std::fmt;

use async_trait::async_trait;

use crate::{domain::Attachment, engine::Error, id::UserId};

/// A reference to a file as a client wrote it. Its `Debug` form hides that.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FileReference {
    /// The file's id.
    pub file_id: String,
    /// The name to show.
    pub name: Option<String>,
    /// The media type.
    pub mime: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Where to get it.
    pub url: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
}

impl FileReference {
    /// The attachment just as it was written, if that says all that one needs.
    #[must_use]
    pub fn as_written(self) -> Option<Attachment> {
        Some(Attachment {
            file_id: self.file_id,
            name: self.name?,
            mime: self.mime?,
            size: self.size?,
            url: self.url?,
            width: self.width,
            height: self.height,
        })
    }
}

impl fmt::Debug for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReference").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Knows the files that messages may refer to. Asked before each message that refers to any is planned.
///
/// # To ensure correctness
///
/// 1. A file of one's own keeping is only given to who uploaded it; to everybody else it is as if it were not there.
/// 2. What is known of it is what the message says, whatever the client wrote.
/// 3. One attachment comes back for each reference, in the same order.
#[async_trait]
pub trait FileResolver: Send + Sync + 'static {
    /// What a message of this user is to say of these files.
    ///
    /// # Errors
    /// `not_found` for a file that is not there or not the user's, `bad_request` for a reference that names no file
    /// and does not say all that an attachment needs.
    async fn resolve(&self, user: &UserId, files: Vec<FileReference>) -> Result<Vec<Attachment>, Error>;
}
