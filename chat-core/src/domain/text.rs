//! What text is accepted. Every type here can only hold text that passed its rules.

use std::{fmt, sync::Arc};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfc};

use super::{Rejection, kept_as_accepted};

/// Text that breaks a rule. Displays as a fixed sentence, never as the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(&'static str);

impl TextError {
    /// An error with this fixed sentence.
    pub(super) const fn of(sentence: &'static str) -> Self {
        Self(sentence)
    }
}

impl From<TextError> for Rejection {
    fn from(error: TextError) -> Self {
        Self::BadRequest(error.0)
    }
}

/// How long a message may be. Lengths are counted in Unicode scalar values after NFC normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRules {
    /// Longest message, in characters.
    pub content_chars: usize,
}

impl Default for TextRules {
    fn default() -> Self {
        Self { content_chars: 5_000 }
    }
}

kept_as_accepted!(Content, RoomName, Description, DisplayName, Username);

/// The text of a message: NFC, not only white space, no control characters but newline and tab.
/// Nothing is trimmed. Its `Debug` form hides the text, since messages never reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<str>);

impl Content {
    /// Checks and normalises the text of a message.
    ///
    /// # Errors
    /// [`TextError`] when it is empty, too long for `rules`, or holds a forbidden character.
    pub fn parse(text: &str, rules: TextRules) -> Result<Self, TextError> {
        // A normal form has at least a third of the scalar values (Unicode Standard Annex 15), so that longer
        // input needs no normalising to be refused.
        if text.chars().nth(rules.content_chars.saturating_mul(3)).is_some() {
            return Err(TOO_LONG);
        }
        let text = normalised(text);
        if text.chars().all(char::is_whitespace) {
            return Err(TextError("the message is empty"));
        }
        if text.chars().nth(rules.content_chars).is_some() {
            return Err(TOO_LONG);
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(TextError("the message holds a control character"));
        }
        Ok(Self(text))
    }

    /// The text that goes with files: it may be empty, and then it is nothing.
    ///
    /// # Errors
    /// [`TextError`] when it is too long for `rules`, or holds a forbidden character.
    pub fn parse_caption(text: &str, rules: TextRules) -> Result<Self, TextError> {
        if text.chars().all(char::is_whitespace) { Ok(Self::gone()) } else { Self::parse(text, rules) }
    }

    /// What is left of a text that was deleted: nothing.
    #[must_use]
    pub fn gone() -> Self {
        Self("".into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

const TOO_LONG: TextError = TextError("the message is too long");

/// The name of a room: 1 to 100 characters, NFC, one line, not only white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks and normalises a name.
    ///
    /// # Errors
    /// [`TextError`] when the length is not 1 to 100 or a character is forbidden.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = bounded(text, 100).ok_or(TextError("a room name has 1 to 100 characters"))?;
        if text.chars().all(char::is_whitespace) {
            return Err(TextError("a room name has 1 to 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(TextError("a room name holds no control characters"));
        }
        Ok(Self(text))
    }

    /// The form by which two names of public rooms are the same name: compatibility-normalised, lower case.
    #[must_use]
    pub fn key(&self) -> String {
        folded(&self.0)
    }
}

/// What a room is about: up to 1,000 characters, NFC, no control characters but newline and tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(Arc<str>);

impl Description {
    /// Checks and normalises a description; an empty one is fine.
    ///
    /// # Errors
    /// [`TextError`] when it is too long or holds a forbidden character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = bounded(text, 1_000).ok_or(TextError("a description has at most 1,000 characters"))?;
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(TextError("a description holds no control characters"));
        }
        Ok(Self(text))
    }
}

/// Why something was done to somebody: up to 500 characters, NFC, no control characters but newline and tab. Only
/// the audit log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Arc<str>);

impl Reason {
    /// Checks and normalises a reason.
    ///
    /// # Errors
    /// [`TextError`] when it is too long or holds a forbidden character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = bounded(text, 500).ok_or(TextError("a reason has at most 500 characters"))?;
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(TextError("a reason holds no control characters"));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a user wishes to be called beside their username: 1 to 50 characters, NFC, one line, without white space around
/// it. Nothing in it can hide, turn around or pile up on what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(Arc<str>);

impl DisplayName {
    /// Checks and normalises a name.
    ///
    /// # Errors
    /// [`TextError`] when the length is not 1 to 50 or a character is forbidden.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = bounded(text.trim(), 50).filter(|text| !text.is_empty());
        let text = text.ok_or(TextError("a display name has 1 to 50 characters"))?;
        if text.chars().any(|c| c.is_control() || is_invisible(c)) {
            return Err(TextError("a display name holds no control characters and no invisible ones"));
        }
        let mut marks = 0;
        for c in text.chars() {
            marks = if is_combining_mark(c) { marks + 1 } else { 0 };
            if marks > COMBINING_MARKS_MAX {
                return Err(TextError("a display name holds too many combining marks"));
            }
        }
        Ok(Self(text))
    }
}

/// As many as any orthography puts on one letter, and not as many as reach into the next line.
const COMBINING_MARKS_MAX: usize = 4;

/// Whether a character shows as nothing, or turns the direction of what follows (Unicode Standard Annex 9 and Unicode
/// Technical Standard 39): in a name it can only deceive.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The name under which a user appears: 3 to 50 of `A-Z a-z 0-9 _`, unique without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(Arc<str>);

impl Username {
    /// Checks a name.
    ///
    /// # Errors
    /// [`TextError`] when the length or a character is not permitted.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let fits = (3..=50).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self(text.into()))
        } else {
            Err(TextError("a username has 3 to 50 characters out of A-Z a-z 0-9 _"))
        }
    }

    /// The form by which two usernames are the same name.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The form by which two usernames look alike: `1` and capital `I` stand for `l`, `0` for `o`, `m` for `rn`.
    ///
    /// It is the skeleton of Unicode Technical Standard 39 for the characters that a username may have, of the name
    /// in lower case; but a capital `I` counts as the `l` that it looks like.
    #[must_use]
    pub fn look(&self) -> String {
        let mut look = String::with_capacity(self.0.len() + 8);
        for c in self.0.chars() {
            match c {
                '1' | 'I' => look.push('l'),
                '0' => look.push('o'),
                'm' | 'M' => look.push_str("rn"),
                _ => look.push(c.to_ascii_lowercase()),
            }
        }
        look
    }

    /// What everybody is called who was erased: no name that anybody can have.
    #[must_use]
    pub fn erased() -> Self {
        Self::from_stored(Self::ERASED)
    }

    /// Whether this stands for somebody who was erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.as_str() == Self::ERASED
    }

    /// A hyphen stands in no username.
    const ERASED: &'static str = "erased-user";
}

/// What a user says beside their status: up to 100 characters on one line, NFC; empty for nothing. Its `Debug`
/// form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusText(Arc<str>);

impl StatusText {
    /// Checks and normalises a text.
    ///
    /// # Errors
    /// [`TextError`] when it is too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = bounded(text, 100).ok_or(TextError("a status text has at most 100 characters"))?;
        if text.chars().any(char::is_control) {
            return Err(TextError("a status text holds no control characters"));
        }
        Ok(Self(text))
    }

    /// Adopts a text that was checked before it was stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text; `None` when there is none.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        Some(&*self.0).filter(|text| !text.is_empty())
    }
}

impl Default for StatusText {
    fn default() -> Self {
        Self("".into())
    }
}

impl fmt::Debug for StatusText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusText({} bytes)", self.0.len())
    }
}

/// A few words beside something: up to so many characters, NFC, no control characters but newline and tab.
pub(super) fn note(text: &str, chars: usize) -> Result<Arc<str>, TextError> {
    let text = bounded(text, chars).ok_or(TextError("the reason is too long"))?;
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(TextError("the reason holds a control character"));
    }
    Ok(text)
}

fn bounded(text: &str, chars: usize) -> Option<Arc<str>> {
    if text.chars().nth(chars * 3).is_some() {
        return None;
    }
    let text = normalised(text);
    text.chars().nth(chars).is_none().then_some(text)
}

fn normalised(text: &str) -> Arc<str> {
    if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}

fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Result<Content, TextError> {
        Content::parse(text, TextRules::default())
    }

    #[test]
    fn a_message_of_5000_characters_is_accepted_and_of_5001_refused() {
        assert!(content(&"ü".repeat(5_000)).is_ok());
        assert_eq!(content(&"ü".repeat(5_001)), Err(TOO_LONG));
        assert_eq!(content(&"ü".repeat(500_000)), Err(TOO_LONG));
    }

    #[test]
    fn names_look_alike_as_unicode_has_it() {
        let look = |name: &str| Username::parse(name).unwrap().look();
        for c in ('0'..='9').chain('a'..='z').chain(['_']) {
            let name = format!("x{c}x");
            let skeleton: String = unicode_security::skeleton(&name).collect();
            assert_eq!(look(&name), skeleton.to_lowercase(), "{c}");
        }
        assert_eq!(look("ADMlN"), look("adm1n"));
        assert_eq!(look("rnaIl0ry"), look("MallOry"));
        assert_ne!(look("mail"), look("mall"));
    }

    #[test]
    fn characters_are_counted_after_normalisation() {
        let decomposed = "e\u{301}".repeat(5_000);
        assert_eq!(content(&decomposed).unwrap().as_str(), "é".repeat(5_000));
    }

    #[test]
    fn white_space_alone_is_empty_but_nothing_is_trimmed() {
        assert!(content("").is_err());
        assert!(content(" \n\t\u{a0}").is_err());
        assert_eq!(content("  hi\n").unwrap().as_str(), "  hi\n");
    }

    #[test]
    fn control_characters_are_refused_but_newline_and_tab_are_not() {
        assert!(content("a\n\tb").is_ok());
        for bad in ["a\0", "a\r\n", "a\u{7f}", "a\u{85}", "\u{1b}[31m"] {
            assert!(content(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_text_of_a_message_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", content("secret").unwrap()), "Content(6 bytes)");
    }

    #[test]
    fn room_names_are_compared_without_case_and_compatibility_forms() {
        let key = |name| RoomName::parse(name).unwrap().key();
        assert_eq!(key("Lobby"), key("lobby"));
        assert_eq!(key("ﬁne"), key("FINE"));
        assert_ne!(key("lobby"), key("lobby2"));
    }

    #[test]
    fn usernames_have_3_to_50_word_characters() {
        assert!(Username::parse("john_doe").is_ok());
        for bad in ["ab", "john doe", "jöhn", &"x".repeat(51), ""] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }
}
