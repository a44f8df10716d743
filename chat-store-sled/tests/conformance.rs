//! The sled store keeps what a store promises.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use chat_core::store::Maintenance;
use chat_store_sled::SledStore;
use tempfile::TempDir;

thread_local! {
    /// Where the stores of this test lie. It goes with the thread, after them.
    static DIRECTORY: TempDir = tempfile::tempdir().unwrap();
}

fn open(path: &Path) -> SledStore {
    let options = SledStore::builder().cache_bytes(8 << 20);
    options.reserve_bytes(0).reserve_percent(0).ballast_bytes(0).open(path).unwrap()
}

fn new() -> SledStore {
    static STORES: AtomicU32 = AtomicU32::new(0);
    let number = STORES.fetch_add(1, Ordering::Relaxed);
    DIRECTORY.with(|directory| open(&directory.path().join(number.to_string())))
}

chat_core::store_conformance!(
    async { new() },
    reopen = |store| async {
        let path = store.path().to_owned();
        store.close().await.unwrap();
        drop(store);
        open(&path)
    }
);
