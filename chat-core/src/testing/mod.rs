//! For authors of stores, transports and buses, and for this project's own tests (feature `testing`).

mod client;
mod clock;
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
pub mod store_suite;
pub mod transport_suite;

pub use client::TestClient;
pub use clock::ManualClock;
pub use transport_suite::{TestPeer, TransportFixture};
