//! For authors of stores, transports and buses, and for this project's own tests (feature `testing`).

mod client;
mod clock;

pub use client::TestClient;
pub use clock::ManualClock;
