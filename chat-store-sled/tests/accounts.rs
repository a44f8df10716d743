//! Accounts on sled keep the contract of their store.
#![cfg(feature = "accounts")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use chat_core::account_store_conformance;
use chat_store_sled::SledStore;

account_store_conformance!(async {
    let dir = tempfile::tempdir().unwrap();
    (
        SledStore::builder()
            .reserve_bytes(0)
            .reserve_percent(0)
            .ballast_bytes(0)
            .open(dir.path().join("chat.db"))
            .unwrap(),
        dir,
    )
});
