//! Random sequences of commands on a store in memory, against a model.
//!
//! ```sh
//! CHAT_STATE_SEQUENCES=10000 cargo nextest run --release -p chat-core --all-features --test state_machine --no-capture
//! ```
//!
//! is the full run; without the number it is a short one. `CHAT_STATE_SEED` gives another seed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "matrix/known.rs"]
mod known;
mod state;

use std::sync::Arc;

use chat_core::{
    engine::Sabotage,
    store::{
        Store,
        kv::{KvStore, MemKv},
    },
};

struct Memory {
    kv: MemKv,
    sabotage: Sabotage,
    lies: bool,
}

impl Memory {
    fn new() -> Self {
        Self { kv: MemKv::crashable(), sabotage: Sabotage::None, lies: false }
    }
}

impl state::run::Disk for Memory {
    async fn open(&mut self, power: bool) -> Arc<dyn Store> {
        self.kv.lie_about_sync(false);
        if power {
            self.kv.crash();
        }
        let store = KvStore::inline(self.kv.clone()).unwrap();
        self.kv.lie_about_sync(self.lies);
        Arc::new(store)
    }

    fn sabotage(&self) -> Sabotage {
        self.sabotage
    }
}

#[test]
fn every_answer_and_every_view_is_that_of_the_model() {
    state::hold(120, true, &known::commands(), Memory::new);
}

#[test]
fn planted_bugs_are_caught() {
    for sabotage in [Sabotage::SwapNeighbours, Sabotage::ResumeOffByOne, Sabotage::ForgetKeys] {
        let caught = state::caught(40, || Memory { sabotage, ..Memory::new() });
        println!(
            "{sabotage:?}: {}",
            caught.as_deref().and_then(|text| text.lines().next()).unwrap_or("nothing")
        );
        assert!(caught.is_some(), "{sabotage:?}");
    }
    let caught = state::caught(40, || Memory { lies: true, ..Memory::new() });
    assert!(caught.is_some(), "a disk that only says that it has synced");
}
