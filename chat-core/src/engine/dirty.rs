//! The hand-shake between who adds news to the rings of rooms and the session that reads them: a bit for each room.
//!
//! Both sides use a read-modify-write on one word, so that they are ordered: whichever comes second sees what the
//! other did before. Either taking comes second, and the look at the ring that follows finds the news; or marking
//! comes second, finds the word empty, and wakes the reader once more. A reader who finds the word empty leaves it
//! alone: its waker stands by then, and whoever marks after that wakes it. `tests/wake_up.rs` explores the
//! interleavings of marking and taking.

use super::sync::{AtomicU64, Mutex, Ordering};

/// In which of a session's places there may be news that it has not looked at. Without a lock and without memory of
/// its own for a session that follows few rooms.
#[derive(Debug)]
pub(crate) struct Dirty {
    /// A bit for each of the first places, and [`MORE`].
    first: AtomicU64,
    /// A bit for each of the other places: as many words as the rooms that one user may belong to need.
    others: Mutex<Vec<u64>>,
}

/// Says that there is something in `others`.
const MORE: u64 = 1 << 63;

/// Places that have their bit in the first word.
const FIRST: u32 = MORE.trailing_zeros();

impl Default for Dirty {
    fn default() -> Self {
        Self { first: AtomicU64::new(0), others: Mutex::new(Vec::new()) }
    }
}

impl Dirty {
    /// To be called after adding news. Whether the reader has to be woken: it has taken all since the last time.
    pub(crate) fn mark(&self, place: u32) -> bool {
        let bit = match place.checked_sub(FIRST) {
            None => 1 << place,
            Some(other) => {
                let mut others = self.others.lock();
                let (word, bit) = ((other / 64) as usize, other % 64);
                if others.len() <= word {
                    others.resize(word + 1, 0);
                }
                others[word] |= 1 << bit;
                MORE
            }
        };
        self.first.fetch_or(bit, Ordering::AcqRel) == 0
    }

    /// To be called before looking for news: gives the places that are marked, and unmarks them.
    pub(crate) fn take(&self, mut each: impl FnMut(u32)) {
        // Seeing nothing here is as good as having been first: whoever marks now finds the word empty and wakes.
        if self.first.load(Ordering::Acquire) == 0 {
            return;
        }
        let first = self.first.swap(0, Ordering::AcqRel);
        bits(first & !MORE).for_each(&mut each);
        if first & MORE != 0 {
            let mut others = self.others.lock();
            for (word, base) in others.iter_mut().zip((FIRST..).step_by(64)) {
                bits(std::mem::take(word)).for_each(|bit| each(base + bit));
            }
        }
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}
