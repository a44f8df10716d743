//! What a request asks for of a file that never changes: all of it, a part, or whether it is still the same.

use std::ops::Range;

use http::{HeaderMap, Method, header};

use crate::http::etag;

/// What is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// A part of it.
    Part(Range<u64>),
    /// The client has it already.
    Known,
    /// A part that is not there.
    Beyond,
}

/// Reads the headers of a request for a file of that length and tag. Parts are for `GET` alone (RFC 9110, 14.2).
pub(super) fn asked(method: &Method, headers: &HeaderMap, tag: &str, size: u64) -> Asked {
    if etag::has(headers, tag.as_bytes()) {
        return Asked::Known;
    }
    // A part of another file than the one that the client has a part of is of no use. A date is no tag, and names none
    // of ours.
    let same = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let mut lines = headers.get_all(header::RANGE).iter();
    match (lines.next().and_then(|line| line.to_str().ok()), lines.next()) {
        (Some(line), None) if same && method == Method::GET => range(line, size),
        _ => Asked::Whole,
    }
}

/// One range of bytes (RFC 9110, 14.1.2). Several at once are not given out, and what is no range is none.
fn range(line: &str, size: u64) -> Asked {
    let Some((first, last)) = line.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too long for a number is beyond everything.
        true => Some(text.parse().unwrap_or(u64::MAX)),
        false => None,
    };
    let (first, last) = match (first, last) {
        ("", "") => return Asked::Whole,
        ("", suffix) => match number(suffix) {
            Some(0) => return Asked::Beyond,
            Some(suffix) => (size.saturating_sub(suffix), size.saturating_sub(1)),
            None => return Asked::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, u64::MAX),
            None => return Asked::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Asked::Whole,
        },
    };
    if first >= size {
        return Asked::Beyond;
    }
    Asked::Part(first..last.saturating_add(1).min(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const TAG: &str = "\"abc\"";

    fn of(headers: &[(HeaderName, &'static str)]) -> Asked {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        asked(&Method::GET, &headers.collect(), TAG, 1_000)
    }

    #[test]
    fn one_range_is_given_out_as_far_as_it_is_there() {
        for (line, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-99", Asked::Part(0..100)),
            ("bytes=900-", Asked::Part(900..1_000)),
            ("bytes=900-5000", Asked::Part(900..1_000)),
            ("bytes=-100", Asked::Part(900..1_000)),
            ("bytes=-5000", Asked::Part(0..1_000)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..1_000)),
            ("bytes=1000-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=99999999999999999999999-", Asked::Beyond),
            ("bytes=9-1", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(of(&[(header::RANGE, line)]), expected, "{line}");
        }
        assert_eq!(of(&[]), Asked::Whole);
        assert_eq!(of(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"abc\"")]), Asked::Part(0..2));
        assert_eq!(of(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"other\"")]), Asked::Whole);
        assert_eq!(of(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "W/\"abc\"")]), Asked::Whole);
        let all = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-"))]);
        assert_eq!(asked(&Method::GET, &all, TAG, 0), Asked::Beyond);
        assert_eq!(asked(&Method::HEAD, &all, TAG, 0), Asked::Whole);
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for line in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(
                of(&[(header::IF_NONE_MATCH, line), (header::RANGE, "bytes=0-1")]),
                Asked::Known,
                "{line}"
            );
        }
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"x\", abc")]), Asked::Whole);
    }
}
