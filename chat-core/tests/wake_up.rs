//! A sleeping session is woken by every entry that it has not seen, in every interleaving.
//!
//! The file under test is compiled against loom's atomics, which explore all interleavings and all that the
//! memory model permits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::{
    sync::{Arc, Mutex, atomic},
    thread,
};

/// What `flag.rs` takes from its parent, here from loom.
mod sync {
    pub(crate) use super::atomic::{AtomicBool, Ordering};
}

#[path = "../src/engine/flag.rs"]
mod flag;

/// What the two sides share: the ring's head, the flag, and whether the reader was woken.
#[derive(Default)]
struct Room {
    head: atomic::AtomicUsize,
    news: flag::Flag,
    woken: Mutex<bool>,
}

fn publish(room: &Room) {
    // Relaxed on purpose: what makes it seen is the flag alone.
    room.head.fetch_add(1, sync::Ordering::Relaxed);
    if room.news.raise() {
        *room.woken.lock().unwrap() = true;
    }
}

/// One look of the reader, if it was woken; what it sees.
fn look(room: &Room) -> Option<usize> {
    std::mem::take(&mut *room.woken.lock().unwrap()).then(|| {
        room.news.lower();
        room.head.load(sync::Ordering::Relaxed)
    })
}

#[test]
fn no_entry_is_left_unseen_by_a_reader_that_sleeps() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let publisher = thread::spawn({
            let room = room.clone();
            move || (0..2).for_each(|_| publish(&room))
        });
        let mut seen = (0..2).filter_map(|_| look(&room)).max().unwrap_or(0);
        publisher.join().unwrap();
        while let Some(head) = look(&room) {
            seen = seen.max(head);
        }
        assert_eq!(seen, 2, "the reader sleeps with news unseen");
    });
}
