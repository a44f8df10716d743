//! What the tests that kill processes and cut the power share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses a part of this; a test may panic"
)]

pub mod child;
pub mod random;
pub mod recording;
pub mod senders;

use chat_store_sled::SledOptions;

/// Options for a store in a small temporary directory.
pub fn options() -> SledOptions {
    SledOptions::new().cache_bytes(8 << 20).reserve_bytes(0).reserve_percent(0).ballast_bytes(0)
}
