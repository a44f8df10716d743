//! Counting marked numbers behind a number, at a cost that does not grow with how many there are.
//!
//! Messages of a room are numbered; some numbers are marked: deleted, or mentioning somebody. Marks are counted
//! by 256s: a row of level 0 names the marked ones among 256 numbers, a row of level 1 how many are marked in
//! each of 256 rows of level 0, and so on. Counting what is marked behind a number adds what stands behind it in
//! its own row of each level, and ends at the first level in whose row the newest number stands as well: one row
//! for somebody who has read nearly all, four for somebody who is a thousand million messages behind.
//!
//! The first place of a row above level 0 is never counted, since nothing lies before it; it is not kept either,
//! so that a room of up to 256 messages has one row, and one of up to 65,536 two for each mark.

use std::collections::BTreeMap;

use super::{
    OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    values::{self, v1},
};
use crate::{domain::Mentions, store::StoreError};

/// Bits of a number that name its place in a row.
const PLACE_BITS: u32 = 8;

/// Levels that numbers of 64 bits can need.
const LEVELS: u8 = 8;

/// Some of a room's ordinals, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    prefix: Vec<u8>,
}

/// What stands in one row: the places that count, and how much.
pub(super) type Counts = BTreeMap<u8, u64>;

impl Tally {
    /// The messages of a room that are deleted.
    pub(super) fn tombstones(room16: &Id16) -> Self {
        Self { prefix: keys::key(table::TOMBSTONES, &[room16]) }
    }

    /// The messages of a room that mention a user by name.
    pub(super) fn mentions(room16: &Id16, user16: &Id16) -> Self {
        Self { prefix: keys::key(table::MENTIONS, &[room16, user16]) }
    }

    /// The messages of a room that mention all of it.
    pub(super) fn room_mentions(room16: &Id16) -> Self {
        Self { prefix: keys::key(table::ROOM_MENTIONS, &[room16]) }
    }

    /// Where a message that mentions these is counted.
    pub(super) fn of_mentions(room16: &Id16, mentions: &Mentions) -> Vec<Self> {
        match mentions.room {
            true => vec![Self::room_mentions(room16)],
            false => mentions.users.iter().map(|user| Self::mentions(room16, &keys::user16(user))).collect(),
        }
    }

    /// How many of the numbers behind `after`, up to `newest`, are marked.
    pub(super) fn behind(
        &self,
        after: u64,
        newest: u64,
        mut get: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for level in 0..LEVELS {
            if after >> (PLACE_BITS * u32::from(level)) >= newest >> (PLACE_BITS * u32::from(level)) {
                break;
            }
            let (row, place) = place_of(after, level);
            if let Some(bytes) = get(&self.key(level, row))? {
                count += decode(&bytes)?.iter().filter(|(at, _)| **at > place).map(|(_, n)| n).sum::<u64>();
            }
        }
        Ok(count)
    }

    /// The rows in which a number counts, and where.
    pub(super) fn rows_of(&self, number: u64) -> impl Iterator<Item = (Vec<u8>, u8)> {
        (0..LEVELS).filter_map(move |level| {
            let (row, place) = place_of(number, level);
            (level == 0 || place > 0).then(|| (self.key(level, row), place))
        })
    }

    fn key(&self, level: u8, row: u64) -> Vec<u8> {
        [&self.prefix[..], &[level], &row.to_be_bytes()].concat()
    }
}

/// The row of a level in which a number stands, and its place there.
#[allow(clippy::cast_possible_truncation, reason = "the low byte is what is meant")]
fn place_of(number: u64, level: u8) -> (u64, u8) {
    let number = number >> (PLACE_BITS * u32::from(level));
    (number >> PLACE_BITS, number as u8)
}

/// The counts in a row.
pub(super) fn decode(bytes: &[u8]) -> Result<Counts, StoreError> {
    let row: v1::Tally = values::decode(bytes)?;
    Ok(row.counts.into_iter().collect())
}

impl<K: OrderedKv> Group<'_, K> {
    /// Counts, or ceases to count, whom a message mentions. Somebody whom it mentions by name and with all the
    /// room is mentioned once.
    pub(super) fn count_mentions(
        &mut self,
        room16: &Id16,
        ordinal: u64,
        mentions: &Mentions,
        counted: bool,
    ) -> Result<(), StoreError> {
        for tally in Tally::of_mentions(room16, mentions) {
            self.tally(&tally, ordinal, counted)?;
        }
        Ok(())
    }

    /// Marks a number, or takes its mark away; what is so already stays so.
    pub(super) fn tally(&mut self, tally: &Tally, number: u64, marked: bool) -> Result<(), StoreError> {
        for (level, (key, place)) in tally.rows_of(number).enumerate() {
            let mut counts = match self.get(&key)? {
                Some(row) => decode(&row)?,
                None => Counts::new(),
            };
            let count = counts.remove(&place).unwrap_or_default();
            if level == 0 && (count > 0) == marked {
                return Ok(());
            }
            let count = if marked { count + 1 } else { count.saturating_sub(1) };
            if count > 0 {
                counts.insert(place, count);
            }
            if counts.is_empty() {
                self.remove(key);
            } else {
                let counts = counts.into_iter().collect();
                self.put(key, values::encode(&v1::Tally { counts })?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn tally() -> Tally {
        Tally::tombstones(&[7; 16])
    }

    /// The rows of a tally of these numbers.
    fn rows(marked: &BTreeSet<u64>) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut counts: BTreeMap<Vec<u8>, Counts> = BTreeMap::new();
        for number in marked {
            for (key, place) in tally().rows_of(*number) {
                *counts.entry(key).or_default().entry(place).or_default() += 1;
            }
        }
        let encode = |counts: Counts| values::encode(&v1::Tally { counts: counts.into_iter().collect() });
        counts.into_iter().map(|(key, counts)| (key, encode(counts).unwrap())).collect()
    }

    proptest! {
        #[test]
        fn what_is_marked_behind_a_number_is_counted_exactly(
            marked in prop::collection::btree_set(prop_oneof![1..600_u64, 65_000..66_200_u64, 1..17_000_000_u64], 0..60),
            after in prop_oneof![0..600_u64, 65_000..66_200_u64, 0..17_000_000_u64],
        ) {
            let rows = rows(&marked);
            let newest = 17_000_000.max(after);
            let mut read = 0;
            let counted = tally().behind(after, newest, |key| {
                read += 1;
                Ok(rows.get(key).cloned())
            });
            prop_assert_eq!(counted, Ok(marked.range(after + 1..).count() as u64));
            prop_assert!(read <= 4);
        }
    }

    #[test]
    fn a_number_counts_in_as_many_rows_as_its_size_needs() {
        let rows = |number| tally().rows_of(number).count();
        assert_eq!([1, 255, 256, 65_535, 65_536, 65_537, 16_777_215].map(rows), [1, 1, 2, 2, 2, 2, 3]);
    }

    #[test]
    fn nothing_is_read_for_somebody_who_has_read_all() {
        let unread = tally().behind(9, 9, |_| Err(values::corrupt("nothing is to be read")));
        assert_eq!(unread, Ok(0));
    }
}
