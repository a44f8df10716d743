//! E-mail addresses, as far as they can be judged without sending mail.

use std::{fmt, sync::Arc};

use crate::domain::kept_as_accepted;

/// An address that may well be one. Only a mail that arrives proves more.
///
/// Two addresses are the same when they differ in case alone: no provider that matters tells them apart, and
/// people type them both ways.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(Arc<str>);

kept_as_accepted!(Email);

/// Longest address that can be delivered to (RFC 5321, 4.5.3.1.3, without the angle brackets).
const EMAIL_BYTES_MAX: usize = 254;
/// Longest part before the at sign (RFC 5321, 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

impl Email {
    /// Checks an address and brings it into the form in which it is kept: lower case, without white space
    /// around it. `None` when it can't be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let fits = text.len() <= EMAIL_BYTES_MAX && (1..=LOCAL_BYTES_MAX).contains(&local.len());
        (fits && is_local(local) && is_domain(domain)).then(|| Self(text.to_lowercase().into()))
    }

    /// By what the address is found: a hash of fixed length, so that keys of a store stay short and name nobody.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        blake3::derive_key("chat-core accounts: key of an e-mail address", self.0.as_bytes())
    }
}

/// Hides the address, which is personal data.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

fn is_local(local: &str) -> bool {
    !local.chars().any(|c| c.is_control() || c.is_whitespace() || "@\"(),:;<>[\\]".contains(c))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case_without_surrounding_white_space() {
        let email = Email::parse(" Ann.Lee+chat@Example.ORG ").unwrap();
        assert_eq!(email.as_str(), "ann.lee+chat@example.org");
        assert_eq!(email.key(), Email::parse("ann.lee+chat@example.org").unwrap().key());
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        let long = format!("{}@example.org", "x".repeat(65));
        let longer = format!("x@{}.org", "example.".repeat(40));
        for bad in [
            "",
            "@",
            "a@",
            "@b.c",
            "ann",
            "ann@localhost",
            "a b@c.de",
            "a@b..c",
            "a@-b.c",
            ".a@b.c",
            "a..b@c.de",
            "a@b.c\n@d.e",
            "a@@b.c",
            "a@b_c.de",
            long.as_str(),
            longer.as_str(),
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", Email::parse("ann@example.org").unwrap()), "Email");
    }
}
