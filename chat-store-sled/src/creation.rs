//! A store that was never finished.
//!
//! Between the first byte that sled writes and the first sync, a loss of power can leave a directory that sled
//! calls damaged. Nothing was acked by then, so nothing is lost by beginning anew; but to a look from outside a
//! damaged store with years in it is no different. So the file `CREATING` stands from before that first byte
//! until `FORMAT` is on the disk, and only what lies beside it is ever deleted.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::{OpenError, format, mark};

/// The name of the file.
pub(crate) const FILE: &str = "CREATING";

/// Before sled opens a directory without `FORMAT`: deletes what an interrupted creation left, or notes that a
/// creation begins. A directory that has data, and was not being created, is left as it is.
pub(crate) fn begin(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    if path.exists() {
        tracing::warn!("the store was interrupted while it was created; beginning anew");
        return delete_unfinished(dir).map_err(OpenError::io(dir, "delete a store that was never finished"));
    }
    if dir.join("db").exists() {
        return Ok(());
    }
    let note = || -> io::Result<()> {
        File::create(&path)?.sync_all()?;
        File::open(dir)?.sync_all()
    };
    note().map_err(OpenError::io(&path, "write it"))
}

/// Once `FORMAT` is on the disk.
pub(crate) fn end(dir: &Path) -> Result<(), OpenError> {
    remove(&dir.join(FILE)).map_err(OpenError::io(dir.join(FILE), "delete it"))
}

fn delete_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match &*name {
            "blobs" => fs::remove_dir_all(&path)?,
            "db" | "conf" | mark::FILE | format::TEMPORARY => remove(&path)?,
            snapshot if snapshot.starts_with("snap.") => remove(&path)?,
            _ => {}
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
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
    fn what_an_interrupted_creation_left_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path()).unwrap();
        for name in ["db", "conf", "snap.00", "SYNCED", "FORMAT.tmp", "LOCK"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        fs::create_dir(dir.path().join("blobs")).unwrap();
        begin(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["CREATING", "LOCK"]);
        end(dir.path()).unwrap();
        end(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["LOCK"]);
    }

    #[test]
    fn data_that_was_not_being_created_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("db"), "years").unwrap();
        begin(dir.path()).unwrap();
        begin(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["db"]);
    }
}
