//! References to files that messages carry.

use std::{fmt, sync::Arc};

use super::TextError;
use crate::limits::{
    ATTACHMENT_FILE_ID_CHARS, ATTACHMENT_MIME_CHARS, ATTACHMENT_NAME_CHARS, ATTACHMENT_URL_BYTES,
    ATTACHMENTS_MAX,
};

/// A file that a message refers to. Who sends the message says all of it; the file itself is not looked at.
/// Its `Debug` form hides what the sender wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's id, where it lies.
    pub file_id: String,
    /// The name to show.
    pub name: String,
    /// The media type (RFC 6838), such as `image/png`.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// Where to get it: a path on the same server, beginning with one `/`, or a URL of `http` or `https`.
    pub url: String,
    /// Pixels, for what has such.
    pub width: Option<u32>,
    /// Pixels, for what has such.
    pub height: Option<u32>,
}

impl Attachment {
    /// How many bytes of text it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.file_id.len() + self.name.len() + self.mime.len() + self.url.len()
    }

    fn check(&self) -> Result<(), TextError> {
        let plain = |text: &str, most: usize| {
            !text.is_empty() && text.chars().nth(most).is_none() && !text.chars().any(char::is_control)
        };
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&self.file_id, ATTACHMENT_FILE_ID_CHARS) || !visible(&self.file_id) {
            return Err(TextError::of("the fileId of an attachment has 1 to 64 visible ASCII characters"));
        }
        if !plain(&self.name, ATTACHMENT_NAME_CHARS) {
            return Err(TextError::of(
                "the name of an attachment has 1 to 255 characters, no control characters",
            ));
        }
        let typed = self.mime.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
        if !plain(&self.mime, ATTACHMENT_MIME_CHARS) || !visible(&self.mime) || !typed {
            return Err(TextError::of("the mime of an attachment is a media type of at most 100 characters"));
        }
        let lower = self.url.get(..8).unwrap_or(&self.url).to_ascii_lowercase();
        let absolute = ["http://", "https://"].iter().any(|scheme| {
            lower.starts_with(scheme)
                && self.url.len() > scheme.len()
                && !self.url[scheme.len()..].starts_with('/')
        });
        // Two slashes, or a slash and a backslash, name another server.
        let relative = self.url.starts_with('/') && !matches!(self.url.as_bytes().get(1), Some(b'/' | b'\\'));
        let fits = self.url.len() <= ATTACHMENT_URL_BYTES
            && !self.url.chars().any(|c| c.is_control() || c.is_whitespace());
        if !fits || !(absolute || relative) {
            return Err(TextError::of("the url of an attachment is a path or http(s), at most 1,000 bytes"));
        }
        if self.size >= 1 << 53 {
            return Err(TextError::of("the size of an attachment is too large"));
        }
        Ok(())
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The files of one message: at most [`ATTACHMENTS_MAX`], each within its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachments(Arc<[Attachment]>);

impl Attachments {
    /// Checks references to files.
    ///
    /// # Errors
    /// [`TextError`] when there are too many or one is not as it should be.
    pub fn parse(attachments: Vec<Attachment>) -> Result<Self, TextError> {
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(TextError::of("a message has at most 10 attachments"));
        }
        attachments.iter().try_for_each(Attachment::check)?;
        Ok(Self(attachments.into()))
    }

    /// Adopts references that were checked before they were stored.
    #[must_use]
    pub fn from_stored(attachments: Vec<Attachment>) -> Self {
        Self(attachments.into())
    }

    /// How many bytes of text they hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Attachment::bytes).sum()
    }
}

impl std::ops::Deref for Attachments {
    type Target = [Attachment];

    fn deref(&self) -> &[Attachment] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Attachment {
        Attachment {
            file_id: "f1".to_owned(),
            name: "Größe \u{1f600}.png".to_owned(),
            mime: "image/png".to_owned(),
            size: 7,
            url: "/files/f1/x.png".to_owned(),
            width: Some(1),
            height: None,
        }
    }

    #[test]
    fn urls_are_paths_of_this_server_or_of_the_web() {
        let with = |url: &str| Attachments::parse(vec![Attachment { url: url.to_owned(), ..picture() }]);
        for good in ["/", "/f/1?x=1#y", "http://a", "HTTPS://a.example/ü", "https://a/b"] {
            assert!(with(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "x".repeat(ATTACHMENT_URL_BYTES));
        for bad in [
            "",
            "f/1",
            "//evil.example/x",
            "/\\evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://",
            "https:///x",
            "/a b",
            "/a\nb",
            "ftp://a/b",
            "ü",
            "httpsü://",
            &long,
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_field_has_its_bound() {
        let long = "x".repeat(300);
        for bad in [
            Attachment { file_id: String::new(), ..picture() },
            Attachment { file_id: "x".repeat(65), ..picture() },
            Attachment { file_id: "a b".to_owned(), ..picture() },
            Attachment { name: String::new(), ..picture() },
            Attachment { name: long.clone(), ..picture() },
            Attachment { name: "a\nb".to_owned(), ..picture() },
            Attachment { mime: "png".to_owned(), ..picture() },
            Attachment { mime: "/".to_owned(), ..picture() },
            Attachment { mime: format!("image/{long}"), ..picture() },
            Attachment { size: 1 << 53, ..picture() },
        ] {
            assert!(Attachments::parse(vec![bad]).is_err());
        }
        assert!(Attachments::parse(vec![picture(); 10]).is_ok());
        assert!(Attachments::parse(vec![picture(); 11]).is_err());
        assert!(!format!("{:?}", Attachments::parse(vec![picture()])).contains("png"));
    }
}
