//! Files for the chat engine: taken in, checked, made harmless, kept and given out.
//!
//! ```
//! # use std::sync::Arc;
//! use chat_core::{id::UserId, store::MemoryStore};
//! use chat_files::{Files, Part};
//! use futures::{TryStreamExt, stream};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let files = Files::builder(Arc::new(MemoryStore::new()), folder.path()).build()?;
//! let body = stream::iter([Ok::<_, std::io::Error>("dear ".into()), Ok("diary".into())]);
//! let file = files.receive(&UserId::parse("ann")?, "../diary.exe", body).await?;
//! assert_eq!((file.name.as_str(), file.mime.as_str(), file.size), ("diary.txt", "text/plain", 10));
//!
//! let opened = files.open(file.id, Part::Whole, Some(5..10)).await?.unwrap();
//! assert_eq!(opened.pieces.try_collect::<Vec<_>>().await?.concat(), b"diary");
//! # Ok(()) }
//! ```
//!
//! # What happens to an upload
//!
//! 1. It is written to a temporary file as it comes, and counted: never is more than a piece of it in memory, and the
//!    first byte over the limit ends it.
//! 2. A [`Scanner`], where there is one, looks at it.
//! 3. Its content says what it is ([`Kind`]); what is on no list is refused, whatever it is called.
//! 4. An image is measured by its header, then decoded within bounds, turned upright, and encoded again, off the async
//!    threads and within a budget of memory. So no metadata is left, and nothing that was hidden before, after or
//!    between its parts. A thumbnail is made with it.
//! 5. Its name is made harmless. It is shown and offered for saving, and is never a path here.
//! 6. Its bytes are kept, durably, under its id; then it is remembered ([`chat_core::files::FileStore`]).
//!
//! # What it is not
//!
//! It knows nothing of who may read a file: [`chat_core::engine::Caller::sees_file`] does. A PDF or a sound is kept as it
//! came; that it can do no harm is up to the headers it is served with. Colour profiles are not applied: an image that
//! was made for another colour space than sRGB may look a little different.

mod blobs;
mod builder;
mod claim;
mod error;
mod images;
mod kind;
mod limits;
mod name;
mod resolve;
#[cfg(feature = "s3")]
mod s3;
mod scanner;
mod service;
mod workshop;

pub use blobs::{Opened, Part};
pub use builder::FilesBuilder;
pub use error::UploadError;
pub use kind::Kind;
pub use limits::UploadLimits;
#[cfg(feature = "s3")]
pub use s3::{InvalidS3, S3};
pub use scanner::{ClamAv, Scanner, Verdict};
pub use service::{Files, Place};
