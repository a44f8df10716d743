//! Emoji, as reactions use them.

use std::{fmt, sync::Arc};

use super::{TextError, kept_as_accepted};

/// One emoji as people see it: one grapheme, which may be several characters long (skin tones, families, flags,
/// keycaps). The form is that of an emoji sequence in Unicode Technical Standard 51; text of any other kind is
/// none. It is kept as it was sent: with and without a variation selector are two emoji.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Emoji(Arc<str>);

kept_as_accepted!(Emoji);

/// Longest emoji, in bytes: twice the longest that Unicode recommends.
pub(crate) const EMOJI_BYTES_MAX: usize = 64;

const VARIATION: char = '\u{fe0f}';
const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';

impl Emoji {
    /// Checks an emoji.
    ///
    /// # Errors
    /// [`TextError`] when the text is not exactly one emoji.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() <= EMOJI_BYTES_MAX && is_emoji(text) {
            Ok(Self(text.into()))
        } else {
            Err(TextError::of("a reaction is exactly one emoji"))
        }
    }
}

impl fmt::Debug for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Emoji({})", self.0)
    }
}

fn is_emoji(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    match characters.as_slice() {
        ['0'..='9' | '#' | '*', KEYCAP] | ['0'..='9' | '#' | '*', VARIATION, KEYCAP] => true,
        [first, second] if is_regional(*first) && is_regional(*second) => true,
        characters => characters.split(|c| *c == JOINER).all(is_element),
    }
}

/// One picture of a sequence: a base with at most one of a variation selector, a skin tone, or a row of tags.
fn is_element(characters: &[char]) -> bool {
    match characters {
        [base] | [base, VARIATION] => is_pictograph(*base) || is_skin_tone(*base),
        [base, tone] if is_skin_tone(*tone) => is_pictograph(*base),
        [base, tags @ .., '\u{e007f}'] => {
            is_pictograph(*base)
                && !tags.is_empty()
                && tags.iter().all(|c| ('\u{e0020}'..='\u{e007e}').contains(c))
        }
        _ => false,
    }
}

const fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

const fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// The characters with the property `Extended_Pictographic`: today's emoji and the room kept for later ones.
const fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{2199}'
        | '\u{21a9}'..='\u{21aa}' | '\u{231a}'..='\u{231b}' | '\u{2328}' | '\u{2388}' | '\u{23cf}'
        | '\u{23e9}'..='\u{23f3}' | '\u{23f8}'..='\u{23fa}' | '\u{24c2}' | '\u{25aa}'..='\u{25ab}'
        | '\u{25b6}' | '\u{25c0}' | '\u{25fb}'..='\u{25fe}' | '\u{2600}'..='\u{2605}'
        | '\u{2607}'..='\u{2612}' | '\u{2614}'..='\u{2685}' | '\u{2690}'..='\u{2705}'
        | '\u{2708}'..='\u{2712}' | '\u{2714}' | '\u{2716}' | '\u{271d}' | '\u{2721}' | '\u{2728}'
        | '\u{2733}'..='\u{2734}' | '\u{2744}' | '\u{2747}' | '\u{274c}' | '\u{274e}'
        | '\u{2753}'..='\u{2755}' | '\u{2757}' | '\u{2763}'..='\u{2767}' | '\u{2795}'..='\u{2797}'
        | '\u{27a1}' | '\u{27b0}' | '\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b07}'
        | '\u{2b1b}'..='\u{2b1c}' | '\u{2b50}' | '\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1f0ff}' | '\u{1f10d}'..='\u{1f10f}' | '\u{1f12f}' | '\u{1f16c}'..='\u{1f171}'
        | '\u{1f17e}'..='\u{1f17f}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}' | '\u{1f1ad}'..='\u{1f1e5}'
        | '\u{1f201}'..='\u{1f20f}' | '\u{1f21a}' | '\u{1f22f}' | '\u{1f232}'..='\u{1f23a}'
        | '\u{1f23c}'..='\u{1f23f}' | '\u{1f249}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1f53d}'
        | '\u{1f546}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6ff}' | '\u{1f774}'..='\u{1f77f}'
        | '\u{1f7d5}'..='\u{1f7ff}' | '\u{1f80c}'..='\u{1f80f}' | '\u{1f848}'..='\u{1f84f}'
        | '\u{1f85a}'..='\u{1f85f}' | '\u{1f888}'..='\u{1f88f}' | '\u{1f8ae}'..='\u{1f8ff}'
        | '\u{1f90c}'..='\u{1f93a}' | '\u{1f93c}'..='\u{1f945}' | '\u{1f947}'..='\u{1faff}'
        | '\u{1fc00}'..='\u{1fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_emoji_is_one() {
        let all = [
            "👍",
            "👍🏽",
            "❤",
            "❤️",
            "😀",
            "🏻",
            "1️⃣",
            "#⃣",
            "🇩🇪",
            "👩‍👩‍👧‍👦",
            "🏳️‍🌈",
            "👩🏿‍🚀",
            "☠️",
            "🫠",
            "©️",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        ];
        for emoji in all {
            assert_eq!(Emoji::parse(emoji).map(|emoji| emoji.as_str().to_owned()), Ok(emoji.to_owned()));
        }
    }

    #[test]
    fn text_and_more_than_one_emoji_are_none() {
        let long = "👩‍".repeat(20) + "👩";
        for text in ["", "a", "1", "👍👍", "👍 ", ":+1:", "🇩", "🇩🇪🇫🇷", "‍", "👍‍", "\u{fe0f}", "ü", "日", &long]
        {
            assert!(Emoji::parse(text).is_err(), "{text:?}");
        }
    }
}
