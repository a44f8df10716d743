//! Engines for tests.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use chat_core::{
    engine::{Engine, EngineBuilder},
    limits::Limits,
    store::MemoryStore,
    testing::TestClient,
};

/// Limits that are out of the way.
pub fn no_rates() -> Limits {
    Limits { messages_per_minute: 0, commands_per_second: 0, typing_per_second: 0, ..Limits::default() }
}

pub fn builder() -> EngineBuilder {
    Engine::builder().authenticator(TestClient::authenticator).limits(no_rates())
}

pub async fn engine() -> Engine {
    builder().build().await.unwrap()
}

/// An engine and its store, to look into.
pub async fn engine_and_store() -> (Engine, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    (builder().shared_store(store.clone()).build().await.unwrap(), store)
}
