//! What the directory lies on.
//!
//! Network filesystems promise neither the lock nor that a synced file is on a disk; through FUSE nobody knows
//! what either means. On copy-on-write filesystems sled's rewriting in place fragments the file and the free
//! space that they report is not what a write finds.

use std::path::Path;

use crate::OpenError;

/// What is known of a kind of filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fit,
    Doubtful(&'static str, &'static str),
    Unfit(&'static str),
}

/// Refuses an unfit filesystem, or only warns of it when `allow_any`; warns of a doubtful one.
pub(crate) fn check(dir: &Path, kind: Option<u64>, allow_any: bool) -> Result<(), OpenError> {
    match kind.map_or(Verdict::Fit, verdict) {
        Verdict::Fit => Ok(()),
        Verdict::Doubtful(filesystem, why) => {
            tracing::warn!(filesystem, why, "the store lies on a filesystem that may not suit it");
            Ok(())
        }
        Verdict::Unfit(filesystem) if allow_any => {
            tracing::warn!(
                filesystem,
                "the store lies on a filesystem that may lose acked messages, as configured"
            );
            Ok(())
        }
        Verdict::Unfit(filesystem) => Err(OpenError::Filesystem { path: dir.to_path_buf(), filesystem }),
    }
}

/// The number by which the kernel knows the filesystem of `dir`; `None` where there is no such thing.
pub(crate) fn kind(dir: &Path) -> Result<Option<u64>, OpenError> {
    #[cfg(target_os = "linux")]
    {
        let found = rustix::fs::statfs(dir)
            .map_err(|error| OpenError::io(dir, "ask which filesystem it lies on")(error.into()))?;
        // The width and sign of this field differ by architecture; the numbers themselves have 32 bits.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
        let kind = u64::from(found.f_type as u32);
        Ok(Some(kind))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        Ok(None)
    }
}

/// The numbers stand in linux/magic.h and in the sources of the filesystems.
const fn verdict(kind: u64) -> Verdict {
    match kind {
        0x6969 => Verdict::Unfit("NFS"),
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => Verdict::Unfit("SMB"),
        0x6573_5546 => Verdict::Unfit("FUSE"),
        0x0102_1997 => Verdict::Unfit("9P"),
        0x5346_414F | 0x6B41_4653 => Verdict::Unfit("AFS"),
        0x00C3_6400 => Verdict::Unfit("CephFS"),
        0x7375_7245 => Verdict::Unfit("Coda"),
        0x0BD0_0BD0 => Verdict::Unfit("Lustre"),
        0x0116_1970 => Verdict::Unfit("GFS2"),
        0x7461_636F => Verdict::Unfit("OCFS2"),
        0x9123_683E => {
            Verdict::Doubtful("btrfs", "copy on write: set `chattr +C` on the empty directory first")
        }
        0x794C_7630 => Verdict::Doubtful("overlayfs", "the upper layer of a container: use a volume"),
        0x0102_1994 => Verdict::Doubtful("tmpfs", "memory: gone with the power"),
        0x8584_58F6 => Verdict::Doubtful("ramfs", "memory: gone with the power"),
        _ => Verdict::Fit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: u64 = 0xEF53;
    const NFS: u64 = 0x6969;
    const FUSE: u64 = 0x6573_5546;
    const BTRFS: u64 = 0x9123_683E;

    #[test]
    fn network_filesystems_and_fuse_are_refused_unless_allowed() {
        for kind in [NFS, FUSE] {
            let refused = check(Path::new("/srv/chat"), Some(kind), false);
            assert!(matches!(refused, Err(OpenError::Filesystem { .. })), "{kind:#x}");
            check(Path::new("/srv/chat"), Some(kind), true).unwrap();
        }
    }

    #[test]
    fn local_filesystems_are_accepted() {
        for kind in [EXT4, BTRFS] {
            check(Path::new("/srv/chat"), Some(kind), false).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kind_of_a_real_filesystem_is_known() {
        assert_eq!(kind(Path::new("/proc")).unwrap(), Some(0x9FA0));
    }
}
