//! What a store refuses to open, and what it opens in spite of.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, ops::ControlFlow, path::Path};

use chat_core::store::kv::{Direction, KvBatch, OrderedKv};
use chat_store_sled::{Faults, OpenError, SledKv, SledOptions};

fn options() -> SledOptions {
    SledOptions::new().cache_bytes(4 << 20).reserve_bytes(0).reserve_percent(0).ballast_bytes(0)
}

fn open(dir: &Path) -> Result<SledKv, OpenError> {
    options().open_kv(dir)
}

fn put(kv: &SledKv, n: u32) {
    let change = (n.to_be_bytes().to_vec(), Some(vec![7; 500]));
    kv.apply(KvBatch { changes: vec![change] }).unwrap();
}

/// All numbers that [`put`] left, or the error on the way.
fn numbers(kv: &SledKv) -> Result<Vec<u32>, chat_core::store::kv::KvError> {
    let mut numbers = Vec::new();
    kv.scan(&[0, 0, 0, 0], &[1], Direction::Ascending, &mut |key, _| {
        numbers.extend(<[u8; 4]>::try_from(key).map(u32::from_be_bytes));
        ControlFlow::Continue(())
    })?;
    Ok(numbers)
}

/// A closed store in `dir` that holds the numbers below `count`.
fn fill(dir: &Path, count: u32) {
    let kv = open(dir).unwrap();
    for n in 0..count {
        put(&kv, n);
    }
    kv.sync().unwrap();
    kv.close().unwrap();
}

fn snapshots(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("snap."))
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_store_gets_a_name_that_stands_in_the_file_and_in_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/chat.db");
    let kv = open(&path).unwrap();
    let format: serde_json::Value = serde_json::from_slice(&fs::read(path.join("FORMAT")).unwrap()).unwrap();
    let stored = kv.get(b"\x00store_uuid").unwrap().unwrap();
    let stored = uuid::Uuid::from_slice(&stored).unwrap().to_string();
    assert_eq!(format["engine"], "sled-0.34");
    assert_eq!(format["store_uuid"], stored.as_str());
}

#[test]
fn what_was_synced_is_there_after_opening_again_under_the_same_name() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 1_000);
    let format = fs::read(dir.path().join("FORMAT")).unwrap();
    let kv = open(dir.path()).unwrap();
    assert_eq!(numbers(&kv).unwrap(), (0..1_000).collect::<Vec<_>>());
    assert_eq!(fs::read(dir.path().join("FORMAT")).unwrap(), format);
}

#[test]
fn a_second_opening_of_one_store_is_refused_with_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let _open = open(dir.path()).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(
        refused.to_string().ends_with("is in use by another process: two processes must never share a store")
    );
}

#[test]
fn a_store_whose_data_came_back_empty_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 10);
    let format = fs::read(dir.path().join("FORMAT")).unwrap();

    fs::remove_file(dir.path().join("db")).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::DataMissing { .. })));
    assert!(!dir.path().join("db").exists(), "nothing is created in the place of what is missing");

    fs::write(dir.path().join("db"), "").unwrap();
    for name in snapshots(dir.path()) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(open(dir.path()), Err(OpenError::DataMissing { .. })));
    assert!(
        matches!(open(dir.path()), Err(OpenError::DataMissing { .. })),
        "and not at the second try either"
    );
    assert_eq!(fs::read(dir.path().join("FORMAT")).unwrap(), format);
}

#[test]
fn the_data_of_another_store_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(dir.path(), 10);
    fill(other.path(), 10);
    fs::copy(other.path().join("FORMAT"), dir.path().join("FORMAT")).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Mixed { .. })));
}

#[test]
fn a_store_of_a_newer_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let newer = r#"{"engine":"sled-0.34","layout":2}"#;
    fs::write(dir.path().join("FORMAT"), newer).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::TooNew { found: 2, known: 1, .. })));
    assert!(!dir.path().join("db").exists());
    assert_eq!(fs::read_to_string(dir.path().join("FORMAT")).unwrap(), newer);
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.odt"), "chapter 1").unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_foreign_sled_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let database = sled::Config::new().path(dir.path()).open().unwrap();
    database.open_tree("chat").unwrap().insert("key", "value").unwrap();
    drop(database);
    assert!(matches!(open(dir.path()), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_store_whose_format_was_deleted_gets_it_back() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 10);
    fs::rename(dir.path().join("FORMAT"), dir.path().join("FORMAT.tmp")).unwrap();
    let kv = open(dir.path()).unwrap();
    assert_eq!(numbers(&kv).unwrap().len(), 10);
    assert!(dir.path().join("FORMAT").exists());
    assert!(!dir.path().join("FORMAT.tmp").exists());
}

#[test]
fn network_filesystems_are_refused_unless_the_operator_insists() {
    let dir = tempfile::tempdir().unwrap();
    let on_nfs = || options().faults(Faults { filesystem: Some(0x6969), ..Faults::default() });
    let refused = on_nfs().open_kv(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Filesystem { filesystem: "NFS", .. }), "{refused}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    on_nfs().allow_any_filesystem(true).open_kv(dir.path()).unwrap();
}

#[test]
fn a_half_written_snapshot_is_deleted_and_the_store_opens_whole() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2_000);
    open(dir.path()).unwrap().close().unwrap();
    let newest = snapshots(dir.path()).pop().unwrap();
    let bytes = fs::read(dir.path().join(&newest)).unwrap();
    let unfinished = dir.path().join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, &bytes[..bytes.len() / 2]).unwrap();

    let kv = open(dir.path()).unwrap();
    assert_eq!(numbers(&kv).unwrap().len(), 2_000);
    assert!(!unfinished.exists());
}

#[test]
fn a_half_written_snapshot_does_stop_sled_itself() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2_000);
    open(dir.path()).unwrap().close().unwrap();
    let newest = snapshots(dir.path()).pop().unwrap();
    let bytes = fs::read(dir.path().join(&newest)).unwrap();
    fs::write(dir.path().join("snap.FFFFFFFFFFFFFFFF.generating"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(sled::Config::new().path(dir.path()).open().is_err(), "then the fence is not needed any more");
}

#[test]
fn a_damaged_snapshot_goes_to_the_quarantine_and_the_store_opens_whole() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2_000);
    open(dir.path()).unwrap().close().unwrap();
    let newest = snapshots(dir.path()).pop().unwrap();
    let bytes = fs::read(dir.path().join(&newest)).unwrap();
    fs::write(dir.path().join(&newest), &bytes[..bytes.len() / 2]).unwrap();

    let kv = open(dir.path()).unwrap();
    assert_eq!(numbers(&kv).unwrap().len(), 2_000);
    assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), 1);
}

#[test]
fn a_store_opens_whole_without_any_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2_000);
    for name in snapshots(dir.path()) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert_eq!(numbers(&open(dir.path()).unwrap()).unwrap().len(), 2_000);
}
