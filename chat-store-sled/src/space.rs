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

use crate::{
    OpenError,
    limits::{BALLAST_BYTES, RESERVE_BYTES, RESERVE_PERCENT},
};

/// The file that gives way.
pub(crate) const BALLAST: &str = "ballast";

/// How much is to stay free; what is not set depends on the size of the filesystem.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reserve {
    pub(crate) bytes: Option<u64>,
    pub(crate) percent: Option<u8>,
    pub(crate) ballast_bytes: Option<u64>,
}

impl Reserve {
    /// The larger of the two bounds. As far as they are not set, they leave three quarters of a small disk to the
    /// store.
    fn of(self, disk: Disk) -> u64 {
        let bytes = self.bytes.unwrap_or(RESERVE_BYTES.min(disk.total / 4));
        bytes.max(disk.total / 100 * u64::from(self.percent.unwrap_or(RESERVE_PERCENT)))
    }

    /// The size of the ballast. As far as it is not set, it takes up little of a small disk.
    fn ballast(self, disk: Disk) -> u64 {
        self.ballast_bytes.unwrap_or(BALLAST_BYTES.min(disk.total / 8))
    }
}

/// What the filesystem says of itself, in bytes.
#[derive(Debug, Clone, Copy)]
struct Disk {
    free: u64,
    total: u64,
}

impl Disk {
    /// `None` when it does not tell.
    fn of(dir: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(dir).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some(Self { free: bytes(found.f_bavail), total: bytes(found.f_blocks) }).filter(|disk| disk.total > 0)
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
        if self.has_room() || !self.has_ballast.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = self.dir.join(BALLAST);
        fs::remove_file(&path).map_err(OpenError::io(&path, "delete the ballast"))?;
        self.has_ballast.store(false, Ordering::Relaxed);
        tracing::warn!("the disk is nearly full: deleted the ballast so that the store can open");
        Ok(())
    }

    /// Whether there is room to write. A filesystem that does not tell is left to fail by itself.
    pub(crate) fn has_room(&self) -> bool {
        Disk::of(&self.dir).is_none_or(|disk| disk.free >= self.reserve.of(disk))
    }

    /// Lays the ballast, if it is not there and there is enough room for it as well.
    pub(crate) fn lay_ballast(&self) {
        if self.has_ballast.load(Ordering::Relaxed) {
            return;
        }
        let Some(disk) = Disk::of(&self.dir) else { return };
        let bytes = self.reserve.ballast(disk);
        let enough = self.reserve.of(disk).saturating_add(bytes);
        // Remembered as done before it is, and even when it fails: one thread tries, once; the store works without,
        // and the next open tries again.
        if disk.free < enough || self.has_ballast.swap(true, Ordering::Relaxed) || bytes == 0 {
            return;
        }
        let path = self.dir.join(BALLAST);
        if let Err(error) = write_ballast(&path, bytes) {
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
        SpaceGuard::new(dir, Reserve { bytes: Some(bytes), percent: Some(0), ballast_bytes: Some(8_192) })
    }

    const MIB: u64 = 1 << 20;

    fn disk(total: u64) -> Disk {
        Disk { free: total, total }
    }

    #[test]
    fn the_reserve_is_the_larger_of_bytes_and_share() {
        let reserve = Reserve { bytes: Some(1_000), percent: Some(5), ballast_bytes: None };
        assert_eq!(reserve.of(disk(10_000)), 1_000);
        assert_eq!(reserve.of(disk(100_000)), 5_000);
    }

    #[test]
    fn by_default_a_large_disk_keeps_a_share_a_usual_one_256_mib_and_a_small_one_a_quarter() {
        let reserve = Reserve::default();
        assert_eq!(reserve.of(disk(100 * 1_000 * MIB)), 5 * 1_000 * MIB);
        assert_eq!(reserve.of(disk(2_000 * MIB)), 256 * MIB);
        assert_eq!(reserve.of(disk(40 * MIB)), 10 * MIB);
        assert_eq!(reserve.ballast(disk(2_000 * MIB)), 64 * MIB);
        assert_eq!(reserve.ballast(disk(40 * MIB)), 5 * MIB);
    }

    #[test]
    fn ballast_is_laid_when_there_is_room_and_gives_way_when_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = dir.path().join(BALLAST);
        let roomy = guard(dir.path(), 0);
        assert!(roomy.has_room());
        roomy.lay_ballast();
        assert_eq!(fs::metadata(&ballast).unwrap().len(), 8_192);

        let short = guard(dir.path(), u64::MAX / 2);
        assert!(!short.has_room());
        assert!(ballast.exists(), "only an open needs the room");
        short.make_room().unwrap();
        assert!(!ballast.exists());
        short.lay_ballast();
        assert!(!ballast.exists());
    }
}
