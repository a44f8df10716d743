//! What a file is called.

use std::fmt;

use uuid::Uuid;

use crate::time::Timestamp;

/// Names a file: a UUID of version 7. It is no secret: whoever knows it still has to be allowed to read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(Uuid);

impl FileId {
    /// A new name.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads a name. Only the canonical form of a UUID of version 7 is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.0.get_version_num() == 7 && id.to_string() == text).then_some(id)
    }

    /// The name as bytes that order by age.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The name whose bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        let id = FileId::new(Timestamp::from_millis(1_790_000_000_000), [7; 10]);
        let text = id.to_string();
        assert_eq!(FileId::parse(&text), Some(id));
        assert_eq!(FileId::from_bytes(*id.as_bytes()), id);
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            "9f2ab7c4-3d55-4f43-9f0a-5a1f2a5d0b11".to_owned(),
            "../../etc/passwd".to_owned(),
            String::new(),
        ] {
            assert_eq!(FileId::parse(&other), None, "{other}");
        }
    }
}
