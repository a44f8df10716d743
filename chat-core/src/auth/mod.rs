//! Who are you?
//!
//! An [`Authenticator`] turns what a connection presents into an [`Identity`]. A closure will do; a type may;
//! for tokens there is [`JwtAuthenticator`].

mod claims;
mod jwks;
mod jwt;
mod network;

use std::{fmt, future::Future, net::IpAddr, sync::Arc};

use async_trait::async_trait;

pub use claims::ClaimNames;
pub use jwks::{Jwks, KeySource};
pub use jwt::{JwtAlgorithm, JwtAuthenticator, JwtRules, KeyError};
pub use network::network_of;

use crate::{domain::ErrorCode, id::UserId, time::Timestamp};

/// What a connection presents to prove who it is.
#[derive(Debug, Clone, Default)]
pub struct Hello {
    /// The token, from the `authenticate` frame or from the handshake.
    pub token: Option<Secret>,
    /// Where it comes from, behind trusted proxies resolved.
    pub address: Option<IpAddr>,
}

/// Text that never shows in debug output or logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for checking it, never for showing it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What was proven about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// The name under which they wish to appear. Where it is missing, invalid or taken by somebody else, the
    /// engine derives one. It counts at first sight only: then the profile has it.
    pub username: Option<String>,
    /// When the proof runs out: the session is closed then, unless it authenticates anew before.
    pub expires_at: Option<Timestamp>,
    /// The login that the proof stems from, where there is such a thing: all proofs of one login can be revoked
    /// together, see [`crate::engine::Engine::disconnect_login`].
    pub login: Option<String>,
    /// Whether somebody else's issuer vouches for them. Such an identity may not name an own account.
    pub external: bool,
    /// What they may do beyond rooms.
    pub role: ServerRole,
}

/// What somebody may do beyond rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ServerRole {
    /// What everybody may.
    #[default]
    User,
    /// To look after users, rooms and reports of the whole server.
    Admin,
}

impl ServerRole {
    /// Its name on the wire and in access tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl Identity {
    /// A user with a name, for ever: for embedders that have checked everything themselves.
    #[must_use]
    pub fn new(user: UserId, username: impl Into<String>) -> Self {
        Self {
            user,
            username: Some(username.into()),
            expires_at: None,
            login: None,
            external: false,
            role: ServerRole::User,
        }
    }
}

/// Checks what a connection presents.
///
/// A closure `|hello: Hello| async move { … }` that returns `Result<Identity, AuthError>` is one.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who it is.
    ///
    /// # Errors
    /// [`AuthError`], which the client is told as `auth_error` before the connection is closed with 4401.
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError>;
}

#[async_trait]
impl<F, Answer> Authenticator for F
where
    F: Fn(Hello) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Identity, AuthError>> + Send,
{
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError> {
        self(hello).await
    }
}

/// Why a proof is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nothing was presented.
    #[error("authentication required")]
    Missing,
    /// What was presented proves nothing.
    #[error("the token is not valid")]
    Invalid,
    /// It was good, but its time is over.
    #[error("the token has expired")]
    Expired,
    /// Too many attempts or connections.
    #[error("too many requests")]
    RateLimited,
    /// Whoever it is was erased, for good.
    #[error("the user was erased")]
    Erased,
    /// Whoever it is is kept out, until the operator lets them in again.
    #[error("the user is disabled")]
    Disabled,
    /// It can't be checked at the moment.
    #[error("authentication is unavailable")]
    Unavailable,
}

impl AuthError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Missing => ErrorCode::Unauthenticated,
            Self::Invalid => ErrorCode::InvalidToken,
            Self::Expired => ErrorCode::TokenExpired,
            Self::RateLimited => ErrorCode::RateLimited,
            Self::Erased | Self::Disabled => ErrorCode::Forbidden,
            Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}
