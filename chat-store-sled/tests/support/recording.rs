//! What a power cut would leave of the files that a process wrote.
//!
//! A small library (`shim.c`) that is loaded into the process records each write, truncation and sync of the
//! files in one directory. From that the files are rebuilt as a disk without power may hold them: everything
//! that stood before a sync that ended, and of the rest each piece of 4 KiB by chance. Not modelled: torn
//! sectors within a piece, directory entries that are lost, disks that lie about syncing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::random::Random;

/// What is lost or kept as a whole.
const PIECE: usize = 4_096;

/// Compiles the library; returns where it is.
pub fn build_shim(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/shim.c");
    let shim = dir.join("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&shim, &source])
        .arg("-ldl")
        .output()
        .expect("this test needs a C compiler under the name cc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    shim
}

/// Makes `command` record what it does to the files in `dir`.
pub fn record(command: &mut Command, shim: &Path, dir: &Path, acks: &Path, log: &Path) {
    command.env("LD_PRELOAD", shim).env("RECORD_DIR", dir).env("RECORD_ACKS", acks).env("RECORD_LOG", log);
}

/// One thing that the process did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Created,
    Wrote { offset: usize, data: Vec<u8> },
    Truncated { length: usize },
    SyncBegan(u64),
    SyncEnded(u64),
    Acked(String),
}

/// Everything that the process did, in order; with the inode of the file concerned.
#[derive(Debug)]
pub struct Recording {
    pub events: Vec<(u64, Event)>,
}

impl Recording {
    /// Reads what the library wrote. A last record that is cut off never happened.
    pub fn read(log: &Path) -> Self {
        let bytes = fs::read(log).unwrap();
        let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        let (mut events, mut at) = (Vec::new(), 0);
        while at + 32 <= bytes.len() {
            let (kind, inode, value) = (bytes[at], number(at + 8), number(at + 16));
            let size = usize::try_from(number(at + 24)).unwrap();
            let Some(data) = bytes.get(at + 32..at + 32 + size) else { break };
            let value_size = || usize::try_from(value).unwrap();
            let event = match kind {
                b'C' => Event::Created,
                b'W' => Event::Wrote { offset: value_size(), data: data.to_vec() },
                b'T' => Event::Truncated { length: value_size() },
                b'B' => Event::SyncBegan(value),
                b'E' => Event::SyncEnded(value),
                b'A' => Event::Acked(String::from_utf8(data.to_vec()).unwrap()),
                other => panic!("a record of the kind {other}"),
            };
            events.push((inode, event));
            at += 32 + size;
        }
        Self { events }
    }

    /// The acks, in order.
    pub fn acks(&self) -> Vec<String> {
        let texts = self.events.iter().filter_map(|(_, event)| match event {
            Event::Acked(text) => Some(text.lines().map(str::to_owned)),
            _ => None,
        });
        texts.flatten().collect()
    }

    /// Rebuilds in `into` the files that now stand in `dir`, as a power cut could have left them. `before` holds
    /// the files as they were when the process started; each piece that was not synced is kept with a chance
    /// of `keep` percent.
    pub fn cut_power(&self, dir: &Path, before: Option<&Path>, into: &Path, keep: u64, random: &mut Random) {
        for (path, inode) in files_below(dir) {
            let old = before.and_then(|before| fs::read(before.join(&path)).ok()).unwrap_or_default();
            let left = self.left_of(inode, old, keep, random);
            let path = into.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, left).unwrap();
        }
        // Empty directories are part of the store as well.
        fs::create_dir_all(into.join("blobs")).unwrap();
    }

    /// The content of one file.
    fn left_of(&self, inode: u64, old: Vec<u8>, keep: u64, random: &mut Random) -> Vec<u8> {
        let mut file = old;
        let mut pending: Vec<&Event> = Vec::new();
        let mut began: BTreeMap<u64, usize> = BTreeMap::new();
        for (_, event) in self.events.iter().filter(|(of, _)| *of == inode) {
            match event {
                Event::Created => {
                    file.clear();
                    pending.clear();
                    began.clear();
                }
                Event::Wrote { .. } | Event::Truncated { .. } => pending.push(event),
                Event::SyncBegan(number) => drop(began.insert(*number, pending.len())),
                Event::SyncEnded(number) => {
                    // Another sync that overlapped may have covered a part already.
                    let covered = began.remove(number).unwrap_or(0);
                    for event in pending.drain(..covered) {
                        happen(&mut file, event, &mut || true);
                    }
                    for earlier in began.values_mut() {
                        *earlier = earlier.saturating_sub(covered);
                    }
                }
                Event::Acked(_) => {}
            }
        }
        for event in pending {
            happen(&mut file, event, &mut || random.percent(keep));
        }
        file
    }
}

/// Lets `event` reach the disk, piece by piece as `reaches` says.
fn happen(file: &mut Vec<u8>, event: &Event, reaches: &mut dyn FnMut() -> bool) {
    match event {
        Event::Wrote { offset, data } => {
            let mut at = 0;
            while at < data.len() {
                let place = offset + at;
                let size = (PIECE - place % PIECE).min(data.len() - at);
                if reaches() {
                    if file.len() < place + size {
                        file.resize(place + size, 0);
                    }
                    file[place..place + size].copy_from_slice(&data[at..at + size]);
                }
                at += size;
            }
        }
        Event::Truncated { length } if reaches() => file.resize(*length, 0),
        _ => {}
    }
}

/// The files below `dir` with their inodes, by their paths from there.
fn files_below(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        for entry in fs::read_dir(dir.join(&below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            let metadata = entry.metadata().unwrap();
            match metadata.is_dir() {
                true => left.push(path),
                false => found.push((path, metadata.ino())),
            }
        }
    }
    found.sort();
    found
}

/// Copies the files of `from` to `to`, so that they get new inodes.
pub fn copy(from: &Path, to: &Path) {
    for (path, _) in files_below(from) {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(path), target).unwrap();
    }
    fs::create_dir_all(to.join("blobs")).unwrap();
}
