//! Every bound of this crate, with its reason and what happens at it.

use std::time::Duration;

/// Bytes of one value. A leaf of sled 0.34 holds up to 17 items; a page above 128 KiB goes to a file of its own
/// that sled never syncs. 17 values of 7,000 bytes stay below. Over it: the batch is refused.
pub const VALUE_BYTES_MAX: usize = 7_000;

/// Bytes of one key: the longest key of the layout with room to spare. Over it: the batch is refused.
pub const KEY_BYTES_MAX: usize = 256;

/// Changes in one batch. A batch stops all reads while it is applied, some 17 µs a change. The group commit keeps
/// to [`chat_core::limits::STORE_GROUP_OPS_MAX`]; one commit of many very long texts may need more. Over it: the
/// batch is refused.
pub const BATCH_CHANGES_MAX: usize = 10_000;

/// Default size of sled's page cache. Expect about three times as much resident memory.
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Default free space below which writes are refused (on a small filesystem a quarter of it): a group of commits
/// writes a few megabytes at most, the rest is for whatever else fills the disk between two looks.
pub const RESERVE_BYTES: u64 = 256 * 1024 * 1024;

/// Default share of the filesystem below which writes are refused, where that is more.
pub const RESERVE_PERCENT: u8 = 5;

/// Default size of the file that gives way when the store has to open on a full disk (on a small filesystem an
/// eighth of it): opening writes a snapshot,
/// about 30 bytes for every page of the data.
pub const BALLAST_BYTES: u64 = 64 * 1024 * 1024;

/// How often sled writes out, reclaims space and syncs by itself. Without it sled never reclaims any space.
pub const BACKGROUND_FLUSH_MS: u64 = 500;

/// Snapshots that the quarantine keeps for whoever looks into it; older ones are deleted.
pub const QUARANTINE_FILES_MAX: usize = 8;

/// How long closing waits for sled's own threads. One that died leaves its owner waiting for ever; after this
/// time the memory is given up instead, with what sled holds. Everything acked is on the disk before.
pub const CLOSE_WAIT: Duration = Duration::from_secs(30);
