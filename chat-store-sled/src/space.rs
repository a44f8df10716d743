//! Staying clear of a full disk.
//!
//! Once sled meets a full disk it refuses everything until it is opened again, and opening fails as well,
//! because it begins with writing a snapshot. So writes stop while there is still room (and go on, without a
//! restart, when there is again), and a file of some megabytes waits to be deleted for the sake of an open.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::OpenError;

/// The file that gives way.
pub(crate) const BALLAST: &str = "ballast";

/// How much is to stay free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserve {
    pub(crate) bytes: u64,
    pub(crate) percent: u8,
    pub(crate) ballast_bytes: u64,
}

impl Reserve {
    /// The larger of the two bounds, on a filesystem of this size.
    fn of(self, total: u64) -> u64 {
        self.bytes.max(total / 100 * u64::from(self.percent))
    }
}

/// Watches the free space of one store.
#[derive(Debug)]
pub(crate) struct SpaceGuard {
    reserve: Reserve,
    dir: PathBuf,
    has_ballast: AtomicBool,
}

impl SpaceGuard {
    /// For the store in `dir`.
    pub(crate) fn new(dir: &Path, reserve: Reserve) -> Self {
        let has_ballast = AtomicBool::new(dir.join(BALLAST).exists());
        Self { reserve, dir: dir.to_path_buf(), has_ballast }
    }

    /// Before opening: gives up the ballast when space is short.
    pub(crate) fn make_room(&self) -> Result<(), OpenError> {
        if self.has_room_for(0) || !self.has_ballast.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = self.dir.join(BALLAST);
        fs::remove_file(&path).map_err(OpenError::io(&path, "delete the ballast"))?;
        self.has_ballast.store(false, Ordering::Relaxed);
        tracing::warn!("the disk is nearly full: deleted the ballast so that the store can open");
        Ok(())
    }

    /// Whether there is room to write. Puts the ballast back once there is enough for it as well.
    pub(crate) fn has_room(&self) -> bool {
        let short_of_ballast = self.reserve.ballast_bytes > 0 && !self.has_ballast.load(Ordering::Relaxed);
        if short_of_ballast && self.has_room_for(self.reserve.ballast_bytes) {
            self.put_ballast();
        }
        self.has_room_for(0)
    }

    /// Whether the reserve stays free when `bytes` more are written. A filesystem that does not tell is left to
    /// fail by itself.
    fn has_room_for(&self, bytes: u64) -> bool {
        rustix::fs::statvfs(&self.dir).map_or(true, |found| {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let total = found.f_blocks.saturating_mul(found.f_frsize);
            free >= self.reserve.of(total).saturating_add(bytes)
        })
    }

    fn put_ballast(&self) {
        // Remembered as done before it is, and even when it failed: one thread tries, once; the store works without,
        // and the next open tries again.
        if self.has_ballast.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = self.dir.join(BALLAST);
        if let Err(error) = write_ballast(&path, self.reserve.ballast_bytes) {
            tracing::warn!(%error, "no ballast could be laid");
            drop(fs::remove_file(&path));
        }
    }
}

/// Takes up space for real, which a file with holes does not.
fn write_ballast(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    #[cfg(target_os = "linux")]
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    let block = [0_u8; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..part])?;
        left -= part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(dir: &Path, bytes: u64) -> SpaceGuard {
        SpaceGuard::new(dir, Reserve { bytes, percent: 0, ballast_bytes: 8_192 })
    }

    #[test]
    fn the_reserve_is_the_larger_of_bytes_and_share() {
        let reserve = Reserve { bytes: 1_000, percent: 5, ballast_bytes: 0 };
        assert_eq!(reserve.of(10_000), 1_000);
        assert_eq!(reserve.of(100_000), 5_000);
    }

    #[test]
    fn ballast_is_laid_when_there_is_room_and_gives_way_when_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = dir.path().join(BALLAST);
        assert!(guard(dir.path(), 0).has_room());
        assert_eq!(fs::metadata(&ballast).unwrap().len(), 8_192);

        let short = guard(dir.path(), u64::MAX / 2);
        assert!(!short.has_room());
        assert!(ballast.exists(), "only an open needs the room");
        short.make_room().unwrap();
        assert!(!ballast.exists());
        assert!(!short.has_room());
        assert!(!ballast.exists());
    }
}
