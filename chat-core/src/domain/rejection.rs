//! The domain says no.

use super::ErrorCode;

/// A request that the rules refuse. Nothing was changed and nothing is wrong with the server.
///
/// The texts are fixed sentences: they never repeat what the client sent, and never say whether something
/// hidden exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A field is not acceptable.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Not permitted to this caller.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Not there, as far as this caller may know.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Contradicts what is already so.
    #[error("{0}")]
    Conflict(&'static str),
    /// Over a rate; acceptable again after that many milliseconds.
    #[error("too many requests")]
    RateLimited {
        /// Milliseconds until the same request conforms.
        retry_after_ms: u64,
    },
}

impl Rejection {
    /// A room that is not there, or must look so.
    pub const NO_ROOM: Self = Self::NotFound("room");

    /// There is no such file, or none that the caller may have.
    pub const NO_FILE: Self = Self::NotFound("file");

    /// A message that is not there: it never was, it is deleted, or it must look so.
    pub const NO_MESSAGE: Self = Self::NotFound("message");
    /// A user who is not there.
    pub const NO_USER: Self = Self::NotFound("user");

    /// An invitation that is not there, or is somebody else's.
    pub const NO_INVITE: Self = Self::NotFound("invitation");

    /// An invitation link that is good for nothing: unknown, revoked, expired or used up.
    pub const NO_LINK: Self = Self::NotFound("invitation link");

    /// What is not permitted between people, in words that say nothing about why: a block must not show.
    pub const NOT_PERMITTED: Self = Self::Forbidden("this is not permitted");
    /// A message that is not held for review, or not any more.
    pub const NO_HELD: Self = Self::NotFound("held message");

    /// Somebody who may read, and not write.
    pub const MUTED: Self = Self::Forbidden("you are muted in this room");

    /// A room in which nothing is added any more.
    pub const ARCHIVED: Self = Self::Forbidden("the room is archived");

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
        }
    }
}
