//! Files that people upload: what is remembered of each, and how a message comes to refer to one.
//!
//! The bytes lie elsewhere (`chat-files` keeps them); a store keeps a [`FileRecord`] of each, and where it stands. A
//! file is *posted* where a message refers to it, and by that its readers are the message's: whoever may read the
//! message now may have the file, nobody else but its owner. It is *unclaimed* while nothing refers to it.
//!
//! ```text
//! upload ──> record, due in a day ──> posted by a message ──> message deleted, cut or erased ──> due at once
//!                     │                                                                             │
//!                     └────────────────────── settled: in use, or gone with its bytes <─────────────┘
//! ```
//!
//! * Where a file is posted is written in the commit of the message and goes in the commit that deletes it, so the two
//!   never differ. So it is with messages that are held for review.
//! * What may have become nobody's is noted as due in that same commit. Whoever collects asks for what is due, and
//!   needs to look through nothing else.
//! * A report keeps what a file was called and how large it was, not its bytes: they go with the message.
//!
//! An engine that is given a [`FileResolver`] takes names, types and sizes of such files from their records, whatever a
//! client wrote, and only for who uploaded them.

mod id;
mod record;
mod reference;
mod store;

#[cfg(feature = "testing")]
#[doc(hidden)]
#[allow(missing_docs, reason = "each case is named by its sentence")]
pub mod suite;

pub use id::FileId;
pub use record::{FileRecord, FileUsage, Posting, Purpose, Quota, Thumbnail};
pub use reference::{FileReference, FileResolver};
pub use store::{CreateFileError, DueFile, FileStore};
