//! Files on sled keep the contract of their store.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use chat_core::file_store_conformance;
use chat_store_sled::SledStore;

file_store_conformance!(async {
    let dir = tempfile::tempdir().unwrap();
    let options = SledStore::builder().reserve_bytes(0).reserve_percent(0).ballast_bytes(0);
    (options.open(dir.path().join("chat.db")).unwrap(), dir)
});
