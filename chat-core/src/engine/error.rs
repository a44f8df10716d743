//! Why a call failed, in words that may be shown to its caller.

use crate::{
    auth::AuthError,
    domain::{ErrorCode, Rejection, TextError},
    id::HeldId,
    store::StoreError,
};

/// A call that the engine refused or could not carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The rules refuse it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Nobody is authenticated, or not any more.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store can't do it. Its own words are for the operator's log, not for the caller.
    #[error("the service is unavailable, try again")]
    Store(#[source] StoreError),
    /// The message waits for review, as it is called here: nothing failed, but nothing was sent. Only
    /// [`super::Caller::send`] and what builds on it say so, as they promise a place in the log.
    #[error("the message waits for review")]
    Held(HeldId),
    /// Too much is going on, or the engine is shutting down. Nothing was stored.
    #[error("the service is unavailable, try again")]
    Unavailable,
}

impl Error {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Auth(error) => error.code(),
            Self::Held(_) => ErrorCode::Forbidden,
            Self::Store(StoreError::Corrupt(_) | StoreError::TooNew { .. }) => ErrorCode::Internal,
            Self::Store(_) | Self::Unavailable => ErrorCode::Unavailable,
        }
    }

    /// When the same call will be accepted, for `rate_limited`.
    #[must_use]
    pub const fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Rejected(Rejection::RateLimited { retry_after_ms }) => Some(*retry_after_ms),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store failed");
        Self::Store(error)
    }
}

impl From<TextError> for Error {
    fn from(error: TextError) -> Self {
        Self::Rejected(error.into())
    }
}
