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

/// The seed of a test: its own, or that of `CHAT_TEST_SEED`, for the long runs of a night. Printed in any case.
pub fn seed(own: u64) -> u64 {
    let seed = from_environment("CHAT_TEST_SEED").unwrap_or(own);
    println!("seed {seed}");
    seed
}

/// How often a process is killed: `usual` times, or as often as `CHAT_TEST_KILLS` says.
pub fn kills(usual: u64) -> u64 {
    from_environment("CHAT_TEST_KILLS").unwrap_or(usual)
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}
