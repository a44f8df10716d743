//! Snapshots that stop a store from opening.
//!
//! sled writes a snapshot of its page table at each open, so that the next one need not read the whole log. Two
//! things go wrong with that: a process killed meanwhile leaves `snap.X.generating`, which the next open takes
//! for the newest snapshot even when it is half written; and a snapshot may name places that a damaged file no
//! longer has. No snapshot is needed: without one the whole log is read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{OpenError, limits::QUARANTINE_FILES_MAX};

/// Where snapshots go that were in the way.
pub(crate) const DIRECTORY: &str = "quarantine";

/// What sled calls a snapshot that it is still writing.
const UNFINISHED: &str = ".generating";

/// Deletes snapshots that were never finished.
pub(crate) fn delete_unfinished(dir: &Path) -> Result<(), OpenError> {
    for path in snapshots(dir)? {
        if path.to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(&path).map_err(OpenError::io(&path, "delete an unfinished snapshot"))?;
            tracing::warn!("deleted a snapshot that was left unfinished; nothing is lost by that");
        }
    }
    Ok(())
}

/// Moves all snapshots out of the way. Returns how many there were.
pub(crate) fn isolate_snapshots(dir: &Path) -> Result<usize, OpenError> {
    let found = snapshots(dir)?;
    if found.is_empty() {
        return Ok(0);
    }
    let quarantine = dir.join(DIRECTORY);
    fs::create_dir_all(&quarantine).map_err(OpenError::io(&quarantine, "create the quarantine"))?;
    for path in &found {
        let to = free_name(&quarantine, path);
        fs::rename(path, &to).map_err(OpenError::io(path, "move a snapshot to the quarantine"))?;
    }
    keep_newest(&quarantine)?;
    Ok(found.len())
}

/// The snapshots in `dir`, finished or not.
fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io(dir, "list the store"))? {
        let entry = entry.map_err(OpenError::io(dir, "list the store"))?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A name in the quarantine that is not taken; one snapshot may get there twice under one name.
fn free_name(quarantine: &Path, snapshot: &Path) -> PathBuf {
    let name = snapshot.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 0_u32;
    loop {
        let path = quarantine.join(format!("{name}.{number}"));
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}

/// Deletes the oldest files of the quarantine until it keeps its bound.
fn keep_newest(quarantine: &Path) -> Result<(), OpenError> {
    let list = || -> std::io::Result<Vec<_>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(quarantine)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        Ok(files)
    };
    let files = list().map_err(OpenError::io(quarantine, "list the quarantine"))?;
    let surplus = files.len().saturating_sub(QUARANTINE_FILES_MAX);
    for (_, path) in &files[..surplus] {
        fs::remove_file(path).map_err(OpenError::io(path, "delete from the quarantine"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_unfinished_snapshots_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["db", "snap.01", "snap.02.generating"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        delete_unfinished(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["db", "snap.01"]);
    }

    #[test]
    fn snapshots_are_moved_and_a_bounded_number_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(isolate_snapshots(dir.path()).unwrap(), 0);
        for round in 0..QUARANTINE_FILES_MAX {
            fs::write(dir.path().join("snap.01"), "x").unwrap();
            fs::write(dir.path().join("snap.02"), "x").unwrap();
            assert_eq!(isolate_snapshots(dir.path()).unwrap(), 2, "round {round}");
            assert_eq!(names(dir.path()), [DIRECTORY]);
        }
        assert_eq!(names(&dir.path().join(DIRECTORY)).len(), QUARANTINE_FILES_MAX);
    }
}
