//! Which names and passwords nobody may choose.

use std::{collections::HashSet, sync::LazyLock};

use super::FieldError;
use crate::{
    auth::Secret,
    domain::Username,
    limits::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN},
};

/// Passwords that are tried first by whoever guesses, in lower case, one a word.
const COMMON: &str = include_str!("common_passwords.txt");

static COMMON_SET: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| COMMON.split_ascii_whitespace().collect());

/// Names by which somebody could be taken for who runs the server, or for something that is no person.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "all",
    "anonymous",
    "bot",
    "channel",
    "chat",
    "deleted",
    "everybody",
    "everyone",
    "guest",
    "help",
    "here",
    "hostmaster",
    "me",
    "moderator",
    "nobody",
    "null",
    "official",
    "operator",
    "postmaster",
    "room",
    "root",
    "security",
    "server",
    "staff",
    "support",
    "system",
    "undefined",
    "unknown",
    "webmaster",
];

/// Whether a name is kept for the operator: it is one of those, or looks like one.
#[must_use]
pub fn is_reserved(name: &Username) -> bool {
    // Here an `i` is one more character that a `1` is taken for.
    let look = |name: &Username| name.look().replace('i', "l");
    let given = look(name);
    RESERVED.iter().any(|reserved| look(&Username::from_stored(reserved)) == given)
}

/// Who a password would be of.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) name: &'a str,
    pub(crate) email: &'a str,
}

/// Why nobody may have this password, if so.
pub(crate) fn unfit(password: &Secret, field: &'static str, owner: Owner<'_>) -> Option<FieldError> {
    let chars = password.expose().chars().take(PASSWORD_CHARS_MAX + 1).count();
    let message = if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        "a password has 8 to 128 characters"
    } else {
        let folded = password.expose().to_lowercase();
        let (name, email) = (owner.name.trim().to_lowercase(), owner.email.trim().to_lowercase());
        let local = email.rsplit_once('@').map_or("", |(local, _)| local);
        if folded == name || folded == email || folded == local {
            "the password is the name or the address"
        } else if COMMON_SET.contains(folded.as_str()) {
            "this password is one of the first that are guessed"
        } else {
            return None;
        }
    };
    Some(FieldError { field, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(password: &str) -> Option<&'static str> {
        let owner = Owner { name: "Ann_Lee_1", email: "Ann.Maria@example.org" };
        unfit(&Secret::new(password), "password", owner).map(|error| error.message)
    }

    #[test]
    fn the_list_holds_some_hundred_words_once_in_lower_case_that_are_long_enough_to_be_chosen() {
        let words: Vec<_> = COMMON.split_ascii_whitespace().collect();
        assert!((300..1_000).contains(&words.len()), "{}", words.len());
        assert_eq!(words.len(), COMMON_SET.len());
        for word in words {
            assert!(word.chars().count() >= PASSWORD_CHARS_MIN && word.to_lowercase() == word, "{word}");
        }
    }

    #[test]
    fn common_passwords_are_refused_in_any_case() {
        for common in ["password", "PassWord", "12345678", "qwertyuiop", "ILOVEYOU1"] {
            assert_eq!(
                message(common),
                Some("this password is one of the first that are guessed"),
                "{common}"
            );
        }
        assert_eq!(message("correct horse"), None);
    }

    #[test]
    fn nobodys_password_is_their_name_or_address() {
        for own in ["ann_lee_1", "ann.maria", "ANN.MARIA@example.org"] {
            assert_eq!(message(own), Some("the password is the name or the address"), "{own}");
        }
        assert_eq!(message("ann_lee_12"), None);
    }

    #[test]
    fn names_of_the_operator_are_reserved_in_any_case_and_look() {
        for name in ["admin", "Admin", "ADMIN", "adm1n", "r00t", "Support", "everyone", "rnoderator"] {
            assert!(is_reserved(&Username::parse(name).unwrap()), "{name}");
        }
        for name in ["ann", "administrators", "botanist", "alle"] {
            assert!(!is_reserved(&Username::parse(name).unwrap()), "{name}");
        }
    }
}
