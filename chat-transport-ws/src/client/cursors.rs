//! How far a client has come in each room.

use std::collections::HashMap;

use chat_core::limits::RESUME_ROOMS_MAX;

use crate::limits::CURSORS_MAX;

#[derive(Debug, Default)]
pub(super) struct Cursors {
    rooms: HashMap<String, Cursor>,
    /// Counts events, so that the room that was silent longest is known.
    clock: u64,
}

#[derive(Debug)]
struct Cursor {
    after: u64,
    /// Whether entries up to `after` have really come, so that one that comes again is a repeat. An answer
    /// tells the head of a room too, but the entries up to it may still be on their way.
    heard: bool,
    touched: u64,
}

/// What to resume, and what is too much to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resume {
    pub(super) rooms: Vec<(String, u64)>,
    pub(super) left_out: Vec<String>,
}

impl Cursors {
    /// Notes an entry. False when it has come before.
    pub(super) fn hear(&mut self, room: &str, seq: u64) -> bool {
        let cursor = self.cursor(room);
        if cursor.heard && seq <= cursor.after {
            return false;
        }
        (cursor.after, cursor.heard) = (seq, true);
        true
    }

    /// Everything up to `seq` is known to the caller, or was replayed.
    pub(super) fn settle(&mut self, room: &str, seq: u64) {
        let cursor = self.cursor(room);
        (cursor.after, cursor.heard) = (seq, true);
    }

    /// An answer told the head of a room that is followed from now on. The first one counts: what a later
    /// one counts in may still be on its way.
    pub(super) fn learn(&mut self, room: &str, head: u64) {
        let cursor = self.cursor(room);
        if !cursor.heard && cursor.after == 0 {
            cursor.after = head;
        }
    }

    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    pub(super) fn after(&self, room: &str) -> Option<u64> {
        self.rooms.get(room).map(|cursor| cursor.after)
    }

    /// The rooms to go on with, the liveliest first.
    pub(super) fn resume(&self) -> Resume {
        let mut rooms: Vec<_> = self.rooms.iter().collect();
        rooms.sort_unstable_by_key(|(_, cursor)| std::cmp::Reverse(cursor.touched));
        let left_out = rooms.split_off(rooms.len().min(RESUME_ROOMS_MAX));
        Resume {
            rooms: rooms.into_iter().map(|(room, cursor)| (room.clone(), cursor.after)).collect(),
            left_out: left_out.into_iter().map(|(room, _)| room.clone()).collect(),
        }
    }

    fn cursor(&mut self, room: &str) -> &mut Cursor {
        self.clock += 1;
        let clock = self.clock;
        if !self.rooms.contains_key(room) && self.rooms.len() >= CURSORS_MAX {
            let silent = self.rooms.iter().min_by_key(|(_, cursor)| cursor.touched);
            if let Some(silent) = silent.map(|(room, _)| room.clone()) {
                self.rooms.remove(&silent);
            }
        }
        let cursor =
            self.rooms.entry(room.to_owned()).or_insert(Cursor { after: 0, heard: false, touched: clock });
        cursor.touched = clock;
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_comes_again_is_a_repeat() {
        let mut cursors = Cursors::default();
        assert!(cursors.hear("a", 5) && cursors.hear("a", 6) && cursors.hear("b", 5));
        assert!(!cursors.hear("a", 6) && !cursors.hear("a", 1));
    }

    #[test]
    fn a_head_told_by_an_answer_makes_no_entry_a_repeat_but_is_resumed_from() {
        let mut cursors = Cursors::default();
        cursors.learn("a", 9);
        assert_eq!(cursors.after("a"), Some(9));
        assert!(cursors.hear("a", 9), "the entry was still on its way");
        cursors.learn("a", 20);
        assert_eq!(cursors.after("a"), Some(9), "what has come counts more");
    }

    #[test]
    fn the_rooms_that_were_silent_longest_are_left_out_and_then_forgotten() {
        let mut cursors = Cursors::default();
        for n in 0..=CURSORS_MAX {
            cursors.hear(&n.to_string(), 1);
        }
        assert_eq!(cursors.after("0"), None);
        let resume = cursors.resume();
        assert_eq!(
            (resume.rooms.len(), resume.left_out.len()),
            (RESUME_ROOMS_MAX, CURSORS_MAX - RESUME_ROOMS_MAX)
        );
        assert_eq!(resume.rooms[0], (CURSORS_MAX.to_string(), 1));
    }
}
