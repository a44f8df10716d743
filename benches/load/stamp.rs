//! The time that a message carries in its text, by which whoever receives it knows how long it took.
//!
//! It is the system's monotonic clock in nanoseconds, which is the same for all processes of a machine.

use rustix::time::{ClockId, clock_gettime};

/// What stands before the digits in a message's text.
pub(crate) const MARKER: &str = "sent=";

/// Digits of a stamp: 64 bits as hexadecimal.
pub(crate) const DIGITS: usize = 16;

/// The shortest text that has room for a stamp.
pub(crate) const TEXT_BYTES_MIN: usize = MARKER.len() + DIGITS;

/// Nanoseconds since some moment, the same for all processes.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Both are never negative for this clock.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Appends a stamp's digits.
pub(crate) fn put(into: &mut Vec<u8>, stamp: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    into.extend((0..DIGITS).rev().map(|place| HEX[(stamp >> (4 * place)) as usize & 15]));
}

/// Reads the stamp at the beginning of some bytes.
pub(crate) fn read(digits: &[u8]) -> Option<u64> {
    digits
        .get(..DIGITS)?
        .iter()
        .try_fold(0, |stamp, digit| Some(stamp << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_put() {
        for stamp in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX, now()] {
            let mut digits = Vec::new();
            put(&mut digits, stamp);
            assert_eq!((digits.len(), read(&digits)), (DIGITS, Some(stamp)));
        }
        assert_eq!((read(b"0123"), read(b"0123456789abcdeg")), (None, None));
    }
}
