//! A sleeping session is woken by every entry that it has not seen, in every interleaving.
//!
//! The file under test is compiled against loom's atomics, which explore all interleavings and all that the
//! memory model permits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::{
    sync::{Arc, Mutex, atomic},
    thread,
};

/// What `dirty.rs` takes from its parent, here from loom.
mod sync {
    pub(crate) use super::atomic::{AtomicU64, Ordering};

    /// A lock that nobody poisons.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(super::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(super::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[path = "../src/engine/dirty.rs"]
mod dirty;

/// A place with a bit in the first word, another one, and one with a bit elsewhere.
const PLACES: [u32; 3] = [0, 62, 70];

/// What the two sides share: the heads of rings, where there is news, and whether the reader was woken.
#[derive(Default)]
struct Rooms {
    heads: [atomic::AtomicUsize; PLACES.len()],
    dirty: dirty::Dirty,
    woken: Mutex<bool>,
}

impl Rooms {
    fn publish(&self, room: usize) {
        // Relaxed on purpose: what makes it seen is the hand-shake alone.
        self.heads[room].fetch_add(1, sync::Ordering::Relaxed);
        if self.dirty.mark(PLACES[room]) {
            *self.woken.lock().unwrap() = true;
        }
    }

    /// One look of the reader, if it was woken: at the rings that have news, and at no other.
    fn look(&self, seen: &mut [usize; PLACES.len()]) -> bool {
        let woken = std::mem::take(&mut *self.woken.lock().unwrap());
        if woken {
            self.dirty.take(|place| {
                let room = PLACES.iter().position(|it| *it == place).unwrap();
                seen[room] = seen[room].max(self.heads[room].load(sync::Ordering::Relaxed));
            });
        }
        woken
    }
}

/// Entries published to rooms by a thread of their own are all seen.
fn all_are_seen(published: &'static [&'static [usize]]) {
    loom::model(move || {
        let rooms = Arc::new(Rooms::default());
        let publishers: Vec<_> = published
            .iter()
            .map(|entries| {
                let rooms = rooms.clone();
                thread::spawn(move || entries.iter().for_each(|room| rooms.publish(*room)))
            })
            .collect();
        let mut seen = [0; PLACES.len()];
        rooms.look(&mut seen);
        rooms.look(&mut seen);
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        while rooms.look(&mut seen) {}
        let all =
            std::array::from_fn(|room| published.iter().flat_map(|it| *it).filter(|it| **it == room).count());
        assert_eq!(seen, all, "the reader sleeps with news unseen");
    });
}

#[test]
fn no_entry_of_a_room_is_left_unseen_by_a_reader_that_sleeps() {
    all_are_seen(&[&[0, 0]]);
}

#[test]
fn no_entry_is_left_unseen_when_two_rooms_have_news_at_once() {
    all_are_seen(&[&[0], &[1]]);
}

#[test]
fn no_entry_is_left_unseen_of_a_room_beyond_the_first_word() {
    all_are_seen(&[&[2, 2]]);
    all_are_seen(&[&[0, 2]]);
}
