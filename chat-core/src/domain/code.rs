//! The stable codes by which clients tell refusals apart (docs/protocol.md, Errors).

use std::fmt;

/// Why a request got no answer but an error. The string form is part of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The frame or one of its fields is not what the contract says.
    BadRequest,
    /// The frame's `type` is unknown to this server.
    UnknownType,
    /// No identity has been proven yet.
    Unauthenticated,
    /// The token proves nothing.
    InvalidToken,
    /// The token was good, but its time is over.
    TokenExpired,
    /// The caller may know of the thing, but may not do this with it.
    Forbidden,
    /// The thing is not there, or the caller may not know that it is.
    NotFound,
    /// The request contradicts what is already so.
    Conflict,
    /// An HTTP body is over its limit.
    PayloadTooLarge,
    /// Too much, too fast; `retryAfterMs` says when it will be accepted.
    RateLimited,
    /// The server can't do it now; the same request may succeed later.
    Unavailable,
    /// The server is at fault.
    Internal,
}

impl ErrorCode {
    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidToken => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
