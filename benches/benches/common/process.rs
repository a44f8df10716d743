//! What a process uses, as Linux tells in `/proc`.

use std::{fs, io, time::Duration};

/// The unit of times in `/proc/PID/stat`: `USER_HZ`, which is 100 a second wherever this builds.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that a process has used so far, its own and the kernel's for it; in steps of 10 ms.
///
/// # Errors
/// When the process is gone, or the system is not Linux.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses and may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields 14 and 15 of proc(5), counted from field 3 here.
    let ticks: Option<u32> = after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>().ok())
        .try_fold(0, |sum, ticks| Some(sum + ticks?));
    ticks.map(|ticks| TICK * ticks).ok_or_else(|| io::Error::other("/proc/PID/stat is not as expected"))
}

/// Resident memory of a process that belongs to no file, in bytes: heap and stacks.
///
/// # Errors
/// When the process is gone, or the system is not Linux.
pub(crate) fn anonymous_memory(pid: u32) -> io::Result<u64> {
    kib(&format!("/proc/{pid}/status"), "RssAnon:")
}

/// Its proportional share of all resident memory, in bytes.
///
/// # Errors
/// When the process is gone or somebody else's, or the system is not Linux.
pub(crate) fn proportional_memory(pid: u32) -> io::Result<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("{file} has no {name}")))
}
