//! How far a member has come in a room, and whether every entry comes once and in order.

use crate::{limits::MISSING_MAX, tally::Checks};

/// One room that a member follows.
#[derive(Debug)]
pub(crate) struct Follow {
    /// Its id.
    pub(crate) room: Box<[u8]>,
    /// Its number in the plan, or among a worker's direct rooms.
    pub(crate) number: usize,
    /// The entry that should come next.
    pub(crate) next: u64,
    missing: Vec<u64>,
}

impl Follow {
    /// From the beginning.
    pub(crate) fn new(room: &str, number: usize) -> Self {
        Self { room: room.as_bytes().into(), number, next: 1, missing: Vec::new() }
    }

    /// Goes on after an entry, whatever was before.
    pub(crate) fn go_on_after(&mut self, head: u64) {
        self.next = head + 1;
        self.missing.clear();
    }

    /// Takes an entry.
    pub(crate) fn take(&mut self, seq: u64, checks: &mut Checks) {
        if seq >= self.next {
            self.skip_to(seq, checks);
            self.next = seq + 1;
        } else if let Some(at) = self.missing.iter().position(|missing| *missing == seq) {
            self.missing.swap_remove(at);
            checks.lost = checks.lost.saturating_sub(1);
            checks.disordered += 1;
        } else {
            checks.repeated += 1;
        }
    }

    /// Is told that there is nothing more up to an entry, that one included.
    pub(crate) fn end_at(&mut self, seq: u64, checks: &mut Checks) {
        if seq >= self.next {
            self.skip_to(seq + 1, checks);
            self.next = seq + 1;
        }
    }

    fn skip_to(&mut self, seq: u64, checks: &mut Checks) {
        checks.lost += seq - self.next;
        let room = MISSING_MAX.saturating_sub(self.missing.len());
        self.missing.extend((self.next..seq).take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(entries: &[u64], end: u64) -> (u64, u64, u64) {
        let (mut follow, mut checks) = (Follow::new("room", 0), Checks::default());
        entries.iter().for_each(|seq| follow.take(*seq, &mut checks));
        follow.end_at(end, &mut checks);
        (checks.lost, checks.repeated, checks.disordered)
    }

    #[test]
    fn what_is_lost_repeated_or_late_is_told_apart() {
        assert_eq!(checked(&[1, 2, 3], 3), (0, 0, 0));
        assert_eq!(checked(&[1, 3, 4], 4), (1, 0, 0));
        assert_eq!(checked(&[1, 2, 2, 3], 3), (0, 1, 0));
        assert_eq!(checked(&[1, 3, 2, 4], 4), (0, 0, 1));
        assert_eq!(checked(&[1, 2], 5), (3, 0, 0));
        assert_eq!(checked(&[], 2), (2, 0, 0));
    }
}
