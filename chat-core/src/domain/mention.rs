//! Whom a message mentions.

use super::Username;
use crate::id::UserId;

/// Different users whom one message mentions. Names beyond are plain text: each one is a count to be kept.
pub const MENTIONS_MAX: usize = 50;

/// Whom a message mentions: those of the named who were members when it got its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions {
    /// Users, in the order in which the text names them, each once.
    pub users: Vec<UserId>,
    /// Whether it mentions all who are in the room.
    pub room: bool,
}

impl Mentions {
    /// Whether it mentions nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.room
    }

    /// Whether it mentions a member of the room.
    #[must_use]
    pub fn mentions(&self, user: &UserId) -> bool {
        self.room || self.users.contains(user)
    }
}

/// The names that a text addresses, whoever has them.
///
/// `@name` addresses the user of that name, without regard to case. The name is the longest run of characters that
/// usernames are made of. It is plain text where `@` follows a letter, a digit, `_` or `@` (so that addresses of
/// mail are none), where a letter of another script follows, and in code: between two runs of as many backticks.
/// `@room` addresses all who are in the room; nobody can be addressed so who has that for a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addressed {
    /// Names of users, in the order of the text, each once, at most [`MENTIONS_MAX`].
    pub names: Vec<Username>,
    /// Whether it addresses the room.
    pub room: bool,
}

impl Addressed {
    /// Reads a text.
    #[must_use]
    pub fn by(text: &str) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        while let Some(next) = text[at..].find(['@', '`']) {
            at += next;
            at += match text.as_bytes()[at] {
                b'`' => code_bytes(&text[at..]),
                _ => found.address(&text[..at], &text[at + 1..]),
            };
        }
        found
    }

    /// Looks at what stands around an `@`. Returns how many bytes it and the name take.
    fn address(&mut self, before: &str, after: &str) -> usize {
        let length = after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, rest) = after.split_at(length);
        let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '@');
        let is_address =
            !continues(before.chars().next_back()) && !rest.chars().next().is_some_and(char::is_alphanumeric);
        if is_address && name.eq_ignore_ascii_case("room") {
            self.room = true;
        } else if is_address
            && let Ok(name) = Username::parse(name)
            && self.names.len() < MENTIONS_MAX
            && self.names.iter().all(|known| known.key() != name.key())
        {
            self.names.push(name);
        }
        1 + length
    }
}

/// How many bytes to pass over at a backtick: the code that it begins, or, if no run of as many follows, the run.
fn code_bytes(text: &str) -> usize {
    let run_at = |text: &str| text.bytes().take_while(|byte| *byte == b'`').count();
    let opening = run_at(text);
    let mut at = opening;
    while let Some(next) = text[at..].find('`') {
        let closing = run_at(&text[at + next..]);
        at += next + closing;
        if closing == opening {
            return at;
        }
    }
    opening
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addressed(text: &str) -> (Vec<String>, bool) {
        let Addressed { names, room } = Addressed::by(text);
        (names.iter().map(|name| name.as_str().to_owned()).collect(), room)
    }

    fn names(text: &str) -> Vec<String> {
        let (names, room) = addressed(text);
        assert!(!room, "{text}");
        names
    }

    #[test]
    fn names_are_found_wherever_they_stand_and_each_once() {
        assert_eq!(names("@ada"), ["ada"]);
        assert_eq!(names("hi @ada, and (@bob_2)! @ADA?\n@eve."), ["ada", "bob_2", "eve"]);
        assert_eq!(names("ü@\u{a0}@ada"), ["ada"]);
        assert_eq!(names("日本 @ada、"), ["ada"]);
        assert_eq!(names(&format!("@{}", "x".repeat(50))), ["x".repeat(50)]);
    }

    #[test]
    fn what_is_part_of_a_word_or_no_username_is_plain_text() {
        for text in [
            "",
            "@",
            "@@",
            "ada@example.com",
            "_@ada",
            "é@ada",
            "@@ada",
            "@ab",
            "@adaß",
            "@ ada",
            "＠ada",
            &format!("@{}", "x".repeat(51)),
        ] {
            assert_eq!(names(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn code_addresses_nobody() {
        assert_eq!(names("`@ada` @bob"), ["bob"]);
        assert_eq!(names("```\n@ada\n`@ada`\n``` @bob"), ["bob"]);
        assert_eq!(names("it`s @ada"), ["ada"]);
        assert_eq!(names("`` @ada ` @bob"), ["ada", "bob"]);
        assert_eq!(names("` `` @ada ` @bob"), ["bob"]);
    }

    #[test]
    fn the_room_is_addressed_by_a_word_of_its_own() {
        assert_eq!(addressed("@room please"), (vec![], true));
        assert_eq!(addressed("@Room @ada"), (vec!["ada".to_owned()], true));
        assert_eq!(addressed("@rooms `@room`"), (vec!["rooms".to_owned()], false));
    }

    #[test]
    fn no_more_are_addressed_than_a_message_may_mention() {
        let text: String = (0..60).map(|number| format!("@user{number} ")).collect();
        assert_eq!(names(&text).len(), MENTIONS_MAX);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[@`a-c_ ü]{0,40}") {
            let found = Addressed::by(&text);
            for name in found.names {
                let address = format!("@{}", name.as_str());
                prop_assert!(text.contains(&address));
            }
        }
    }
}
