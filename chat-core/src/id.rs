//! Identifiers: parsed once where they enter, cheap to clone afterwards.

use std::{borrow::Borrow, fmt, sync::Arc};

/// An identifier is empty, too long, or contains a character outside its alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 64 characters out of A-Z a-z 0-9 . _ : @ | -")]
pub struct InvalidId;

/// Longest identifier that is accepted, in bytes (all permitted characters are ASCII).
pub const ID_MAX_BYTES: usize = 64;

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and adopts an identifier that came from outside.
            ///
            /// # Errors
            /// [`InvalidId`] when its length or alphabet is not permitted.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(InvalidId) }
            }

            /// Adopts an identifier that was checked before, or that this crate made.
            #[must_use]
            pub fn from_trusted(text: &str) -> Self {
                Self(text.into())
            }

            /// The identifier as it travels on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

fn is_id(text: &str) -> bool {
    (1..=ID_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@|-".contains(&b))
}

fn is_client_key(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 64 && !text.chars().any(char::is_control)
}

opaque_id! {
    /// An account known to the embedder. May be the embedder's own id (`user-42`), so no mapping table is needed.
    UserId, is_id
}

opaque_id! {
    /// A room. May be the embedder's own id (`order-4711`).
    RoomId, is_id
}

opaque_id! {
    /// An invitation of one user to one room.
    InviteId, is_id
}

opaque_id! {
    /// The engine's side of one authenticated connection.
    SessionId, is_id
}

opaque_id! {
    /// One engine of a cluster, from its start to its end: an engine that starts anew is another one.
    NodeId, is_id
}

opaque_id! {
    /// A message that is held for review.
    HeldId, is_id
}

opaque_id! {
    /// A report of a message.
    ReportId, is_id
}

opaque_id! {
    /// A client-chosen key (1 to 64 characters, no control characters) that makes a repeated send the same
    /// send, per user and room.
    ClientMessageId, is_client_key
}

impl RoomId {
    /// The log of what was done to the server itself: no room has this id's form (ours are UUIDs), and an embedder
    /// should not make one of it.
    #[must_use]
    pub fn server() -> Self {
        Self("@server".into())
    }

    /// The direct room of two users: the same whoever is named first, and no other two have it. A UUID of version
    /// 8 over a hash of both ids.
    #[cfg(feature = "engine")]
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        // No id has a line break in it, so that no two pairs give one text.
        let hash = blake3::hash(format!("direct room\n{first}\n{second}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string().as_str().into())
    }
}

impl UserId {
    /// The user who stands where no user has acted yet, or where the operator acts. No account has this id's
    /// form (ours are UUIDs), and an embedder's authenticator should not hand it out.
    #[must_use]
    pub fn nobody() -> Self {
        Self("-".into())
    }
}

/// A position in one room's log: from 1, without holes. [`Seq::ZERO`] means "before the first entry".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before the first entry; the head of a room that does not exist yet.
    pub const ZERO: Self = Self(0);

    /// Largest position that a JSON number carries exactly (2^53 - 1).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The position with this number, at most [`Seq::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 { Self::MAX } else { Self(number) }
    }

    /// The number of this position.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before this one; [`Seq::ZERO`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many entries lie after `earlier`, up to and including this position.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The public name of a message. Opaque to clients; encodes the message's place, so that looking one up needs
/// no index: a 64-bit tag of the room, then the seq, both in hexadecimal.
///
/// The tag only keeps ids of different rooms apart. It guards nothing: every command names its room, and
/// access is decided for that room.
///
/// ```
/// use chat_core::id::{MessageId, RoomId, Seq};
/// let lobby = RoomId::parse("lobby").unwrap();
/// let id = MessageId::of(&lobby, Seq::new(42));
/// assert_eq!(MessageId::parse(&id.to_string()).unwrap().seq_in(&lobby), Some(Seq::new(42)));
/// assert_eq!(id.seq_in(&RoomId::parse("attic").unwrap()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    room_tag: u64,
    seq: Seq,
}

impl MessageId {
    /// The id of the message at `seq` of `room`.
    #[must_use]
    pub fn of(room: &RoomId, seq: Seq) -> Self {
        Self { room_tag: room_tag(room), seq }
    }

    /// Reads an id as a client sent it.
    ///
    /// # Errors
    /// [`InvalidId`] when it was not made by [`MessageId::of`].
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let canonical = text.is_ascii() && (17..=30).contains(&text.len());
        let (tag, seq) = if canonical { text.split_at(16) } else { return Err(InvalidId) };
        let room_tag = u64::from_str_radix(tag, 16).map_err(|_| InvalidId)?;
        let seq = u64::from_str_radix(seq, 16).map_err(|_| InvalidId)?;
        let id = Self { room_tag, seq: Seq::new(seq) };
        if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
    }

    /// The place of the message in `room`, or `None` when the id belongs to another room.
    #[must_use]
    pub fn seq_in(self, room: &RoomId) -> Option<Seq> {
        (self.room_tag == room_tag(room)).then_some(self.seq)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:x}", self.room_tag, self.seq.get())
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo): stable for ever, since it is part of every message id handed out.
fn room_tag(room: &RoomId) -> u64 {
    room.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_an_embedder_are_accepted_as_they_are() {
        for id in ["user-42", "order:4711", "auth0|5f7c", "a@b.c", "0190b5a2-7a39-7c3e-8f00-000000000001"] {
            assert_eq!(UserId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn ids_outside_the_alphabet_or_length_are_refused() {
        for id in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(RoomId::parse(id), Err(InvalidId));
        }
    }

    #[test]
    fn a_message_id_parses_only_in_its_canonical_form() {
        let room = RoomId::parse("lobby").unwrap();
        let id = MessageId::of(&room, Seq::new(10)).to_string();
        assert!(MessageId::parse(&id).is_ok());
        assert_eq!(MessageId::parse(&id.to_uppercase()), Err(InvalidId));
        assert_eq!(MessageId::parse(&format!("{}0a", &id[..16])), Err(InvalidId));
        assert_eq!(MessageId::parse("+123456789abcdef1"), Err(InvalidId));
        assert_eq!(MessageId::parse("é23456789abcdef1a"), Err(InvalidId));
    }
}
