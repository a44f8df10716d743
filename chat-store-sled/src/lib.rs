//! A [`chat_core`] store on [sled](https://docs.rs/sled/0.34.7) 0.34.7: the embedded default. One directory, one
//! process, no service beside it.
//!
//! # Why the fences
//!
//! sled is fast, small, pure Rust and no longer maintained; its last release has defects that are known and will
//! stay. Each of them is closed here from outside, in a file that says how:
//!
//! | fence | because sled by itself | where |
//! |---|---|---|
//! | a sync of the data file through a descriptor of our own, after each `flush` and before each ack | `flush` is `sync_file_range` on Linux: acked data is lost with the power, often the whole store | `kv.rs` |
//! | one thread writes; the asynchronous flush is never used | its asynchronous flush deadlocks with eight callers | `kv.rs`, [`KvStore`](chat_core::store::kv::KvStore) |
//! | values up to 7,000 bytes, keys up to 256 | larger pages go to files that are never synced | `limits.rs`, `kv.rs` |
//! | small batches | all reads stand still while a batch is applied | [`KvStore`](chat_core::store::kv::KvStore), `limits.rs` |
//! | `FORMAT`, and the name of the store in the data as well | opens lost data, and that of other versions, as a new empty store | `format.rs` |
//! | `CREATING` marks a store that is not finished, and only such a one is ever begun anew | calls a store damaged when the power went in its first moments | `creation.rs` |
//! | every batch has a number, and `SYNCED` knows the last one that was synced | takes a damaged place in its log for the end, and cuts off the rest | `mark.rs` |
//! | unfinished snapshots are deleted; with damage, all snapshots go to `quarantine/` for a second try | a kill while opening can leave a snapshot that stops every later open | `quarantine.rs` |
//! | writes stop while there is still space; `ballast` gives way to an open | refuses everything once the disk was full, and does not open then either | `space.rs` |
//! | a lock file of our own | looks at the directory before it locks it | `lock.rs` |
//! | network filesystems and FUSE are refused | trusts locks and syncs that mean nothing there | `filesystem.rs` |
//! | panics become errors; a failed sync ends all writing | panics over some damage; syncs again as if nothing had failed | `kv.rs`, [`KvStore`](chat_core::store::kv::KvStore) |
//! | scans end at the first error | its iterators repeat an error for ever | `kv.rs` |
//! | one named tree, `LowSpace`, no compression, background flush every 500 ms | loses its default tree in exports; never reclaims space without that flush | `kv.rs` |
//! | a small cache by default | takes a gigabyte | `limits.rs` |
//!
//! # What an ack means
//!
//! * [`Durability::Fsync`](chat_core::store::Durability::Fsync), the default: on the disk. It survives `kill -9`,
//!   a crash of the system and the loss of power, if the disk keeps what it says it has synced.
//! * [`Durability::Interval`](chat_core::store::Durability::Interval): with the operating system. It survives
//!   `kill -9`; the loss of power takes what the last half second acked.
//! * [`Durability::None`](chat_core::store::Durability::None): in memory. `kill -9` takes what the last half second
//!   acked.
//!
//! # Limits
//!
//! * One process, one disk. Comfortable up to about 3 million messages, or 5 GB on disk (some 1.8 KB a message),
//!   and about 8,000 durable messages a second.
//! * Opening reads the log since the last open: some 4 s a gigabyte with a cold disk.
//! * Resident memory is about three times the cache ([`SledOptions::cache_bytes`]), which the store also logs when
//!   it opens.
//! * The data file does not shrink. Space of what is deleted is used again.
//! * **Deleted text stays readable in the data file** until its place is used again, which may be never: also that of
//!   a user who was erased, of whom no row is left. Whoever
//!   must erase for certain encrypts the disk and destroys the key, or moves the store through a backup.
//! * Damage of the disk that sled does not notice is found by
//!   [`verify`](chat_core::store::Maintenance::verify), not by opening.
//! * Do not copy the directory of an open store file by file: such a copy does not open. Use a snapshot of the
//!   volume, or close the store first.
//!
//! # The way out
//!
//! The layout and the group commit are not here but in [`chat_core::store::kv`]. This crate is one
//! implementation of its seam, [`OrderedKv`](chat_core::store::kv::OrderedKv): get, scan, one atomic batch, one
//! sync. fjall 3 or redb 4 behind that seam is one file of code, and needs few of these fences.

#[cfg(feature = "accounts")]
mod accounts;
mod creation;
mod erasure;
mod error;
mod files;
mod filesystem;
mod format;
mod kv;
pub mod limits;
mod lock;
mod mark;
mod open;
mod operator;
mod options;
mod personal;
mod quarantine;
mod retention;
mod space;
mod store;

pub use error::OpenError;
pub use kv::SledKv;
#[doc(hidden)]
pub use options::Faults;
pub use options::SledOptions;
pub use store::SledStore;
