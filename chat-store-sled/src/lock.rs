//! One process a store.
//!
//! sled locks its own file, but only after it has looked at the directory and perhaps repaired something there;
//! and its error does not tell a second process from a broken disk. So a file of our own is locked first.
//! The kernel releases the lock with the process, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::OpenError;

/// The name of the file.
pub(crate) const FILE: &str = "LOCK";

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct DirectoryLock(
    #[allow(dead_code, reason = "the lock lives as long as the descriptor")] File,
);

impl DirectoryLock {
    /// Takes the lock of the store in `dir`, without waiting.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(OpenError::io(&path, "open the lock file"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(OpenError::io(path, "lock the lock file")(error)),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing alone does not release it while a process that is just being started still has the descriptor. An
        // error leaves that to the closing.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_exclusive_and_ends_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(dir.path()).unwrap();
        assert!(matches!(DirectoryLock::acquire(dir.path()), Err(OpenError::InUse { .. })));
        drop(first);
        DirectoryLock::acquire(dir.path()).unwrap();
    }
}
