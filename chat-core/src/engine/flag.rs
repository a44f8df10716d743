//! The hand-shake between who adds news to a ring and who reads it.
//!
//! Both sides use a read-modify-write on one flag, so that they are ordered: whichever comes second sees what
//! the other did before. Either lowering comes second, and the look at the ring that follows finds the news; or
//! raising comes second, finds the flag down, and wakes the reader once more. `tests/wake_up.rs` explores every
//! interleaving of this file.

use super::sync::{AtomicBool, Ordering};

/// Whether there may be news that nobody has looked at.
#[derive(Debug)]
pub(crate) struct Flag(AtomicBool);

impl Default for Flag {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Flag {
    /// To be called after adding news. Whether the reader has to be woken: it has looked since the last time.
    pub(crate) fn raise(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// To be called before looking for news.
    pub(crate) fn lower(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}
