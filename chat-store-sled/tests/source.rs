//! What the source of this crate must not contain: calls of sled that are known to lose data or to hang.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

/// The source by file, without comments and without the tests at the end.
fn source() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        files.push((
            path.file_name().unwrap().to_string_lossy().into_owned(),
            lines.collect::<Vec<_>>().join("\n"),
        ));
    }
    files.sort();
    assert!(files.len() >= 10, "the source is not where it is looked for");
    files
}

/// The files in which `needle` stands, once for each time.
fn places(needle: &str) -> Vec<String> {
    let hits = |(name, code): &(String, String)| vec![name.clone(); code.matches(needle).count()];
    source().iter().flat_map(hits).collect()
}

#[test]
fn calls_that_lose_data_or_hang_do_not_occur() {
    for forbidden in [
        ("flush_async", "deadlocks with eight callers"),
        ("watch_prefix", "a slow subscriber blocks every writer"),
        ("drop_tree", "leaves trees that do not open"),
        ("generate_id", "leaves holes at each open"),
        ("verify_integrity", "says yes to damaged data"),
        (".transaction(", "a process-wide lock for what a batch does as well"),
        (".checksum(", "scans everything and may never end"),
        (".compare_and_swap(", "writes beside the one writer"),
        (".fetch_and_update(", "writes beside the one writer"),
        (".update_and_fetch(", "writes beside the one writer"),
        (".pop_m", "writes beside the one writer"),
        (".merge(", "writes beside the one writer"),
        (".export(", "leaves out the default tree in other versions"),
        (".temporary(", "never syncs"),
    ] {
        assert_eq!(places(forbidden.0), [""; 0], "{} {}", forbidden.0, forbidden.1);
    }
}

#[test]
fn there_is_one_place_that_writes() {
    assert_eq!(places("apply_batch"), ["kv.rs"]);
    for single in ["tree.insert", "tree.remove", "db.insert", "db.remove", "tree.clear", "db.clear"] {
        assert_eq!(places(single), [""; 0], "{single} writes beside the batch");
    }
}

#[test]
fn there_is_one_named_tree_and_nothing_goes_to_the_default_one() {
    assert_eq!(places("open_tree(TREE)"), ["kv.rs"]);
    assert_eq!(places("open_tree("), ["kv.rs"]);
    // A database dereferences to its default tree, so each call on it but the one above is suspicious.
    assert_eq!(places("db."), ["kv.rs"]);
}

#[test]
fn only_one_file_knows_sled() {
    let knowing = source().into_iter().filter(|(_, code)| code.contains("sled::")).map(|(name, _)| name);
    assert_eq!(knowing.collect::<Vec<_>>(), ["kv.rs", "open.rs"]);
    assert_eq!(places("use sled::"), ["kv.rs", "open.rs"]);
    assert_eq!(places("use sled::{Db, Tree}"), ["open.rs"], "which only hands them on");
}

#[test]
fn no_iterator_of_sled_is_read_past_an_error() {
    let kv = source().into_iter().find(|(name, _)| name == "kv.rs").unwrap().1;
    for endless in [".flatten()", ".count()", "Result::ok", "filter_map", "flat_map", ".last()", ".for_each("]
    {
        assert!(!kv.contains(endless), "{endless} never ends on an iterator that repeats its error");
    }
    assert_eq!(places(".range("), ["kv.rs"]);
    assert_eq!(places(".iter()"), [""; 0]);
    assert_eq!(places("scan_prefix"), [""; 0]);
}

#[test]
fn sled_is_opened_with_the_settings_that_the_fences_count_on() {
    let kv = source().into_iter().find(|(name, _)| name == "kv.rs").unwrap().1;
    for setting in [
        ".cache_capacity(cache_bytes)",
        ".mode(Mode::LowSpace)",
        ".use_compression(false)",
        ".flush_every_ms(Some(BACKGROUND_FLUSH_MS))",
    ] {
        assert!(kv.contains(setting), "{setting} is missing");
    }
    assert_eq!(places("sled::Config::new()"), ["kv.rs"]);
    assert_eq!(places("sync_data()"), ["kv.rs"]);
}

#[test]
fn the_manifest_pins_the_one_release_that_is_fenced_without_features() {
    let workspace = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml")).unwrap();
    assert!(workspace.contains(r#"sled = { version = "=0.34.7", default-features = false }"#));
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(own.contains("sled.workspace = true"));
}
