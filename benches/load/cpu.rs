//! CPU time of a process, more exactly than in steps of 10 ms: short windows have no more than some of these.

use std::{collections::BTreeMap, fs, io, time::Duration};

use crate::process;

/// Steps of the coarse figure: it may lag behind the exact one by two of them.
const COARSE: Duration = Duration::from_millis(20);

/// CPU time that a process had used at some moment.
#[derive(Debug)]
pub(crate) struct Cpu {
    coarse: Duration,
    /// By thread, in nanoseconds; empty where the system does not tell.
    threads: BTreeMap<u32, u64>,
}

impl Cpu {
    /// What it has used by now.
    ///
    /// # Errors
    /// When the process is gone, or the system is not Linux.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            // A thread may end while it is looked at.
            let used = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let used: Option<u64> = used.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
            let number: Option<u32> = thread.file_name().to_str().and_then(|name| name.parse().ok());
            threads.extend(number.zip(used));
        }
        Ok(Self { coarse: process::cpu_time(pid)?, threads })
    }

    /// What it has used since, in seconds.
    ///
    /// A thread that ended meanwhile took its exact figure with it; when that was much, the coarse one is told.
    pub(crate) fn since(&self, before: &Self) -> f64 {
        let used = self.threads.iter().map(|(thread, nanos)| {
            nanos.saturating_sub(before.threads.get(thread).copied().unwrap_or_default())
        });
        let exact = Duration::from_nanos(used.sum());
        let coarse = self.coarse.saturating_sub(before.coarse);
        if coarse > exact + COARSE { coarse.as_secs_f64() } else { exact.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_and_go_are_counted() {
        let cpu = |coarse, threads: &[(u32, u64)]| Cpu {
            coarse: Duration::from_millis(coarse),
            threads: threads.iter().copied().collect(),
        };
        let before = cpu(100, &[(1, 40_000_000), (2, 60_000_000)]);
        assert_eq!(cpu(110, &[(1, 45_000_000), (2, 60_000_000), (3, 1_000_000)]).since(&before), 0.006);
        assert_eq!(cpu(300, &[(1, 45_000_000)]).since(&before), 0.2);
        assert_eq!(cpu(110, &[]).since(&cpu(100, &[])), 0.0);
        assert_eq!(cpu(130, &[]).since(&cpu(100, &[])), 0.03);
    }
}
