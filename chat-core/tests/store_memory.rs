//! The memory store keeps what a store promises: within the call, and with a thread for its writes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use chat_core::store::{
    Maintenance, MemoryStore,
    kv::{KvOptions, KvStore, MemKv},
};

mod within_the_call {
    use super::*;

    chat_core::store_conformance!(async { MemoryStore::new() });
}

mod on_a_thread {
    use super::*;

    thread_local! {
        /// The map under the store of this test: it outlives the store, as a disk would.
        static DISK: MemKv = MemKv::crashable();
    }

    fn open(kv: MemKv) -> KvStore<MemKv> {
        KvStore::threaded(kv, KvOptions::default()).unwrap()
    }

    fn on_disk() -> KvStore<MemKv> {
        open(DISK.with(MemKv::clone))
    }

    chat_core::store_conformance!(async { open(MemKv::new()) });

    mod reopened {
        use super::*;

        chat_core::store_reopening_conformance!(
            async { on_disk() },
            reopen = |store| async {
                store.close().await.unwrap();
                drop(store);
                DISK.with(MemKv::crash);
                on_disk()
            }
        );
    }
}
