//! For authors of stores, transports and buses, and for this project's own tests (feature `testing`).

#[allow(clippy::panic, reason = "a failed expectation is a failed test")]
pub mod bus_suite;
mod client;
mod clock;
mod faults;
mod lossy_bus;
mod random;
pub mod sim;
pub mod sniffer;
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
pub mod store_suite;
pub mod transport_suite;

pub use client::TestClient;
pub use clock::ManualClock;
pub use faults::{Around, Decorated, Delays, Faults, FaultyKv, FaultyStore, KvFaults, SlowStore, WriteFault};
pub use lossy_bus::{Loss, LossyBus};
pub use random::Random;
pub use transport_suite::{TestPeer, TransportFixture};
