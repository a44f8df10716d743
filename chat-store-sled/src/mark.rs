//! How far the data has come: the file `SYNCED`.
//!
//! When sled reads its log at opening and meets a damaged place, it takes that for the end, cuts off everything
//! after it, and opens, without an error. So every batch carries a number, and after each sync the number of the
//! last batch is noted in this file. Data that ends before the note has lost something that was acked.
//!
//! The note itself is never synced, which costs nothing and does no harm: one that lags behind only sees less.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::OpenError;

/// The name of the file.
pub(crate) const FILE: &str = "SYNCED";

/// Where the data holds the number of its last batch.
pub(crate) const KEY: &[u8] = b"\x00batch";

/// Counts batches, and notes those that are synced.
#[derive(Debug)]
pub(crate) struct Mark {
    applied: AtomicU64,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    file: File,
    number: u64,
}

impl Mark {
    /// Opens the note in `dir`, for data whose last batch has the number `found`.
    pub(crate) fn open(dir: &Path, found: u64) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(OpenError::io(&path, "open it"))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(16).read_to_end(&mut bytes).map_err(OpenError::io(&path, "read it"))?;
        let number = decode(&bytes);
        if number.is_none() && !bytes.is_empty() {
            tracing::warn!("the note of what was synced is unreadable; whether data was lost cannot be told");
        }
        let number = number.unwrap_or(0);
        Ok(Self { applied: AtomicU64::new(found), noted: Mutex::new(Noted { file, number }) })
    }

    /// How many batches are noted as synced and yet not there.
    pub(crate) fn missing(&self) -> u64 {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.number.saturating_sub(self.applied())
    }

    /// The number of the next batch.
    pub(crate) fn next(&self) -> u64 {
        self.applied.load(Ordering::Relaxed) + 1
    }

    /// The batch of this number is applied.
    pub(crate) fn set_applied(&self, number: u64) {
        self.applied.store(number, Ordering::Relaxed);
    }

    /// The number of the last batch that is applied, to be handed to [`Mark::note`] once it is synced.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Notes that everything up to this batch is synced.
    pub(crate) fn note(&self, synced: u64) -> io::Result<()> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if synced != noted.number {
            noted.file.seek(SeekFrom::Start(0))?;
            noted.file.write_all(&encode(synced))?;
            noted.number = synced;
        }
        Ok(())
    }
}

/// The number and its complement: sixteen bytes in one sector, which tell whether they belong together.
fn encode(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&(!number).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, complement) = bytes.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    let complement = u64::from_le_bytes(complement.try_into().ok()?);
    (complement == !number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_ends_before_the_note_misses_something() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::open(dir.path(), 0).unwrap();
        assert_eq!(mark.next(), 1);
        mark.set_applied(7);
        mark.note(mark.applied()).unwrap();
        drop(mark);
        assert_eq!(Mark::open(dir.path(), 5).unwrap().missing(), 2);
        assert_eq!(Mark::open(dir.path(), 7).unwrap().missing(), 0);
        assert_eq!(Mark::open(dir.path(), 9).unwrap().missing(), 0, "a note may lag behind");
    }

    #[test]
    fn an_unreadable_note_stops_nothing() {
        for damaged in [&b""[..], b"abc", &[7; 16]] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), damaged).unwrap();
            assert_eq!(Mark::open(dir.path(), 3).unwrap().missing(), 0);
        }
    }

    #[test]
    fn notes_keep_their_bytes() {
        assert_eq!(encode(258), [2, 1, 0, 0, 0, 0, 0, 0, 253, 254, 255, 255, 255, 255, 255, 255]);
        assert_eq!(decode(&encode(258)), Some(258));
    }
}
