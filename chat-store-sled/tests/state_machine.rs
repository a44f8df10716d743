//! Random sequences of commands on sled, against the model of chat-core's tests.
//!
//! ```sh
//! CHAT_STATE_SEQUENCES=500 cargo nextest run --release -p chat-store-sled --test state_machine --no-capture
//! ```
//!
//! is the full run; without the number it is a short one. `CHAT_STATE_SEED` gives another seed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../chat-core/tests/state/mod.rs"]
mod state;

use std::{sync::Arc, time::Duration};

use chat_core::store::Store;
use chat_store_sled::{OpenError, SledStore};
use tempfile::TempDir;

struct Sled(TempDir);

impl state::run::Disk for Sled {
    async fn open(&mut self, _power: bool) -> Arc<dyn Store> {
        let options = SledStore::builder().cache_bytes(8 << 20);
        let options = options.reserve_bytes(0).reserve_percent(0).ballast_bytes(0);
        loop {
            match options.clone().open(self.0.path()) {
                // The engine before may still be letting go of it.
                Err(OpenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                opened => return Arc::new(opened.unwrap()),
            }
        }
    }
}

#[test]
fn every_answer_and_every_view_is_that_of_the_model() {
    state::hold(10, false, &[], || Sled(tempfile::tempdir().unwrap()));
}
