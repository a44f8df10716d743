//! Random sequences of commands on a store in memory, against a model.
//!
//! ```sh
//! CHAT_STATE_SEQUENCES=10000 cargo nextest run -p chat-core --all-features --test state_machine --no-capture
//! ```
//!
//! is the full run; without the number it is a short one. `CHAT_STATE_SEED` gives another seed.

mod state;

use std::sync::Arc;

use chat_core::store::{
    Store,
    kv::{KvStore, MemKv},
};

struct Memory(MemKv);

impl state::run::Disk for Memory {
    async fn open(&mut self, power: bool) -> Arc<dyn Store> {
        if power {
            self.0.crash();
        }
        #[allow(clippy::unwrap_used, reason = "a test may panic")]
        Arc::new(KvStore::inline(self.0.clone()).unwrap())
    }
}

#[test]
fn every_answer_and_every_view_is_that_of_the_model() {
    state::hold(300, true, || Memory(MemKv::crashable()));
}
