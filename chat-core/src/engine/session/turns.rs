//! Whose turn it is to say what is new.

use smallvec::SmallVec;

/// Places of a session that wait for their turn: a bit for each, so that none waits twice, however often it is added.
/// They take turns in the order of their numbers, each time from the one after the last on.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: SmallVec<[u64; 1]>,
    /// Whose turn is next, or the first after it.
    from: u32,
}

impl Turns {
    pub(super) fn add(&mut self, place: u32) {
        let (word, bit) = split(place);
        if self.waiting.len() <= word {
            self.waiting.resize(word + 1, 0);
        }
        self.waiting[word] |= 1 << bit;
    }

    pub(super) fn next(&mut self) -> Option<u32> {
        let place = self.first_from(self.from).or_else(|| self.first_from(0))?;
        self.remove(place);
        self.from = place + 1;
        Some(place)
    }

    /// Lets those wait no more whom `keep` does not pick.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        let mut from = 0;
        while let Some(place) = self.first_from(from) {
            if !keep(place) {
                self.remove(place);
            }
            from = place + 1;
        }
    }

    fn first_from(&self, from: u32) -> Option<u32> {
        let (word, bit) = split(from);
        let first = *self.waiting.get(word)? & (u64::MAX << bit);
        let rest = self.waiting[word + 1..].iter().copied();
        let mut words = (0..).step_by(64).skip(word).zip(std::iter::once(first).chain(rest));
        words.find_map(|(base, word)| (word != 0).then(|| base + word.trailing_zeros()))
    }

    fn remove(&mut self, place: u32) {
        let (word, bit) = split(place);
        self.waiting[word] &= !(1 << bit);
    }
}

fn split(place: u32) -> (usize, u32) {
    ((place / 64) as usize, place % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns) -> Vec<u32> {
        std::iter::from_fn(|| turns.next()).collect()
    }

    #[test]
    fn each_place_has_one_turn_however_often_it_is_added() {
        let mut turns = Turns::default();
        [200, 3, 63, 64, 3, 200].into_iter().for_each(|place| turns.add(place));
        assert_eq!(all(&mut turns), [3, 63, 64, 200]);
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn who_is_added_again_waits_for_those_that_wait() {
        let mut turns = Turns::default();
        [0, 1, 130].into_iter().for_each(|place| turns.add(place));
        assert_eq!(turns.next(), Some(0));
        turns.add(0);
        assert_eq!(all(&mut turns), [1, 130, 0]);
    }

    #[test]
    fn those_that_are_not_picked_wait_no_more() {
        let mut turns = Turns::default();
        (0..140).for_each(|place| turns.add(place));
        turns.retain(|place| place % 60 == 7);
        assert_eq!(all(&mut turns), [7, 67, 127]);
    }
}
