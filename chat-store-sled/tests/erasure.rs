//! Erasing a user whose data is on a disk: no row is left of it, over a close and a reopening.
#![cfg(feature = "accounts")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../chat-core/tests/erasure/canaries.rs"]
mod canaries;

use std::{path::Path, sync::Arc, time::Duration};

use canaries::{CANARY, EMOJI, LOG_TABLE, REACTION_TABLES, TABLES, own_rows, tables_with};
use chat_core::{
    engine::{Engine, Erased},
    store::{Erasure, ErasureStage, ErasureStore, Maintenance, kv::OrderedKv},
};
use chat_store_sled::{SledKv, SledOptions, SledStore};

fn options() -> SledOptions {
    SledStore::builder().cache_bytes(8 << 20).reserve_bytes(0).reserve_percent(0).ballast_bytes(0)
}

async fn open(dir: &Path) -> (Engine, Arc<SledStore>) {
    let store = Arc::new(options().open(dir).unwrap());
    (canaries::engine(store.clone()).await, store)
}

/// Closes everything, and looks at the rows themselves.
async fn look<T>(open: (Engine, Arc<SledStore>), dir: &Path, look: impl Fn(&SledKv) -> T) -> T {
    let (engine, store) = open;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    engine.shutdown(Duration::from_secs(10)).await.unwrap();
    drop((engine, store));
    let kv = options().open_kv(dir).unwrap();
    let seen = look(&kv);
    kv.close().unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_on_the_disk_holds_anything_of_who_was_erased() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let opened = open(&path).await;
    canaries::release(&opened.0, &*opened.1).await;
    let seen = |kv: &SledKv| (tables_with(kv, CANARY), tables_with(kv, EMOJI), own_rows(kv));
    let before = look(opened, &path, seen).await;
    assert_eq!(before, (TABLES.into(), REACTION_TABLES.into(), [1, 1, 1, 1, 1, 2]));
    let opened = open(&path).await;
    let erased = opened.0.erase_user(&canaries::bob()).await.unwrap();
    assert_eq!(erased, Erased { memberships: 4, rooms: 2, messages: 12, reactions: 1 });
    let after = look(opened, &path, seen).await;
    assert_eq!(after, ([].into(), LOG_TABLE.into(), [0; 6]));
    let (engine, store) = open(&path).await;
    assert_eq!(store.erasure(&canaries::bob()).await, Ok(Some(Erasure::at(ErasureStage::Done))));
    assert!(!canaries::told(&engine).await.to_lowercase().contains(CANARY));
}
