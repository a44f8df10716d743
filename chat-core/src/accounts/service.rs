//! The service: what it is made of, registration, and what all its parts share.

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;

use super::{
    Account, AccountStore, Client, CreateAccountError, Email, Family, FamilyId, HashingCost, NewAccount,
    TokenKeys, delays::Delays, family::uuid_v7, password::Passwords,
};
use crate::{
    auth::{JwtAuthenticator, Secret, ServerRole},
    domain::{ErrorCode, Username},
    id::UserId,
    limits::{LOGINS_DELAYED_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN},
    store::{StoreError, UserProfile},
    time::{Clock, Timestamp},
};

/// Registers people, logs them in and renews their logins. Cheap to clone; all clones share their bounds.
#[derive(Clone)]
pub struct Accounts {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn AccountStore>,
    pub(super) keys: TokenKeys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) passwords: Passwords,
    pub(super) delays: Delays,
    pub(super) delayed: Semaphore,
}

/// What somebody fills in to register.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Their address.
    pub email: String,
    /// The name they wish to have.
    pub username: String,
    /// 8 to 128 characters of any kind.
    pub password: Secret,
}

/// A way in, handed out by registering, logging in or renewing.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who it is.
    pub profile: UserProfile,
    /// Their address.
    pub email: Email,
    /// Good for every request and connection, for 15 minutes.
    pub access_token: Secret,
    /// When the access token runs out.
    pub expires_at: Timestamp,
    /// Good for one renewal, within seven days.
    pub refresh_token: Secret,
    /// The login that both tokens belong to.
    pub family: FamilyId,
    /// What their user may do beyond rooms.
    pub role: ServerRole,
    /// Logins of theirs that ended, since they had as many as they may have: who is connected by one is to be
    /// disconnected ([`crate::engine::Engine::disconnect_login`]).
    pub ended: Vec<FamilyId>,
}

/// One field that can't be accepted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldError {
    /// Its name.
    pub field: &'static str,
    /// A sentence for a person; it never repeats what was typed.
    pub message: &'static str,
}

/// Why there is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Fields that can't be accepted.
    #[error("some fields are not acceptable")]
    Invalid(Vec<FieldError>),
    /// A field whose value somebody else has.
    #[error("{}", .0.message)]
    Taken(FieldError),
    /// No such account, or not its password: which of the two is not told.
    #[error("the login or the password is wrong")]
    WrongCredentials,
    /// Whoever it is is kept out by the operator. It is told to nobody but who has proven who they are.
    #[error("the user is disabled")]
    Disabled,
    /// The refresh token is none of ours, spent, or its family has ended.
    #[error("the refresh token is not valid")]
    InvalidToken,
    /// The refresh token was spent, and its login is ended, since two have it: whoever is connected by that login is
    /// to be disconnected ([`crate::engine::Engine::disconnect_login`]). To be told as [`AccountError::InvalidToken`].
    #[error("the refresh token is not valid")]
    LoginEnded {
        /// Whose login it was.
        user: UserId,
        /// Which.
        login: FamilyId,
    },
    /// The refresh token was spent, and its login could not be ended, or may have been: whoever is connected by that
    /// login is to be disconnected, as for [`AccountError::LoginEnded`]. To be told as [`AccountError::Unavailable`];
    /// the same token tries again.
    #[error("accounts are unavailable at the moment")]
    LoginDoubtful {
        /// Whose login it is.
        user: UserId,
        /// Which.
        login: FamilyId,
    },
    /// The refresh token was good once.
    #[error("the refresh token has expired")]
    TokenExpired,
    /// Too much at once; try again in a second.
    #[error("too many requests")]
    Overloaded,
    /// It can't be done now; nothing was changed, unless the store says that it does not know.
    #[error("accounts are unavailable at the moment")]
    Unavailable,
    /// The service can't work as it is set up.
    #[error("accounts are not set up properly: {0}")]
    Setup(String),
}

impl Registration {
    /// Whether the fields can be accepted as they stand; [`Accounts::register`] asks the same.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] with every field at fault.
    pub fn check(&self) -> Result<(), AccountError> {
        checked(self).map(drop)
    }
}

impl AccountError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::BadRequest,
            Self::Taken(_) => ErrorCode::Conflict,
            Self::WrongCredentials => ErrorCode::Unauthenticated,
            Self::Disabled => ErrorCode::Forbidden,
            Self::InvalidToken | Self::LoginEnded { .. } => ErrorCode::InvalidToken,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::Overloaded => ErrorCode::RateLimited,
            Self::Unavailable | Self::LoginDoubtful { .. } => ErrorCode::Unavailable,
            Self::Setup(_) => ErrorCode::Internal,
        }
    }

    /// When to try again, where that is known.
    #[must_use]
    pub const fn retry_after_ms(&self) -> Option<u64> {
        if matches!(self, Self::Overloaded) { Some(1_000) } else { None }
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the account store failed");
        Self::Unavailable
    }
}

impl Accounts {
    /// A service over a store. Makes one hash right away, so it takes a moment.
    ///
    /// # Errors
    /// [`AccountError::Setup`] when the cost is out of Argon2's range.
    pub fn new(
        store: Arc<dyn AccountStore>,
        keys: TokenKeys,
        cost: HashingCost,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AccountError> {
        let inner = Inner {
            store,
            keys,
            clock,
            passwords: Passwords::new(cost)?,
            delays: Delays::default(),
            delayed: Semaphore::new(LOGINS_DELAYED_MAX),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Accepts the access tokens of this service.
    #[must_use]
    pub fn authenticator(&self) -> JwtAuthenticator {
        self.inner.keys.authenticator(Arc::clone(&self.inner.clock))
    }

    /// Creates an account and logs it in.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] with every field at fault, [`AccountError::Taken`], or that it can't be done now.
    pub async fn register(&self, registration: Registration, client: &Client) -> Result<Grant, AccountError> {
        let (email, username) = checked(&registration)?;
        let inner = &self.inner;
        // Asked before hashing: a name that is taken costs no hash. The store decides in the end.
        if inner.store.user_named(&username).await?.is_some() {
            return Err(AccountError::Taken(NAME_TAKEN));
        }
        if inner.store.account_with_email(&email).await?.is_some() {
            return Err(AccountError::Taken(EMAIL_TAKEN));
        }
        let password = inner.passwords.hash(registration.password).await?;
        let now = inner.clock.now();
        let id =
            UserId::parse(&uuid_v7(now, random()?).to_string()).map_err(|_| AccountError::Unavailable)?;
        let family = Family::begin(FamilyId::new(now, random()?), id.clone(), client.device.clone(), now);
        let profile = UserProfile::new(id.clone(), username, now);
        let account = Account { user: id, email, password, role: ServerRole::User };
        let new =
            NewAccount { profile: profile.clone(), account: account.clone(), family: Some(family.clone()) };
        match inner.store.create_account(new).await {
            Ok(()) => self.grant(profile, account, &family),
            Err(CreateAccountError::NameTaken) => Err(AccountError::Taken(NAME_TAKEN)),
            Err(CreateAccountError::NameAlike) => Err(AccountError::Taken(NAME_ALIKE)),
            Err(CreateAccountError::EmailTaken) => Err(AccountError::Taken(EMAIL_TAKEN)),
            Err(CreateAccountError::IdTaken) => Err(AccountError::Unavailable),
            Err(CreateAccountError::Store(error)) => Err(error.into()),
        }
    }

    /// Whose account has this username.
    ///
    /// # Errors
    /// That it can't be looked up now.
    pub async fn user_named(&self, name: &Username) -> Result<Option<UserId>, AccountError> {
        let store = &self.inner.store;
        let Some(user) = store.user_named(name).await? else { return Ok(None) };
        Ok(store.account(&user).await?.map(|account| account.user))
    }

    /// Brings what an earlier version wrote into the present form. To be called once, before anything else is.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn upgrade(&self) -> Result<(), AccountError> {
        Ok(self.inner.store.upgrade_accounts().await?)
    }

    /// Deletes logins and tokens that are over. To be called now and then, an hour apart, say.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn sweep(&self) -> Result<(), AccountError> {
        let mut cursor = None;
        loop {
            cursor = self.inner.store.forget_families(self.inner.clock.now(), cursor).await?;
            if cursor.is_none() {
                break;
            }
        }
        while self.inner.store.forget_resets(self.inner.clock.now()).await? {}
        Ok(())
    }

    pub(super) async fn profile(&self, user: &UserId) -> Result<UserProfile, AccountError> {
        let found = self.inner.store.users(std::slice::from_ref(user)).await?;
        found.into_iter().next().flatten().ok_or(AccountError::Unavailable)
    }

    pub(super) fn grant(
        &self,
        profile: UserProfile,
        account: Account,
        family: &Family,
    ) -> Result<Grant, AccountError> {
        let inner = &self.inner;
        let Account { email, role, .. } = account;
        let (access_token, expires_at) =
            inner.keys.access(family, &profile.username, role, inner.clock.now())?;
        let refresh_token = inner.keys.refresh(family.id, family.generation);
        let ended = Vec::new();
        Ok(Grant { profile, email, access_token, expires_at, refresh_token, family: family.id, role, ended })
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("passwords", &self.inner.passwords).finish_non_exhaustive()
    }
}

const NAME_TAKEN: FieldError = FieldError { field: "username", message: "the username is taken" };
const NAME_ALIKE: FieldError =
    FieldError { field: "username", message: "the username looks like one that is taken" };
const EMAIL_TAKEN: FieldError = FieldError { field: "email", message: "the e-mail address is taken" };

fn checked(registration: &Registration) -> Result<(Email, Username), AccountError> {
    let email = Email::parse(&registration.email);
    let username = Username::parse(&registration.username);
    let chars = registration.password.expose().chars().take(PASSWORD_CHARS_MAX + 1).count();
    let mut errors = Vec::new();
    if email.is_none() {
        errors.push(FieldError { field: "email", message: "this is no e-mail address" });
    }
    if username.is_err() {
        errors.push(FieldError {
            field: "username",
            message: "a username has 3 to 50 characters out of A-Z a-z 0-9 _",
        });
    }
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        errors.push(FieldError { field: "password", message: "a password has 8 to 128 characters" });
    }
    match (email, username) {
        (Some(email), Ok(username)) if errors.is_empty() => Ok((email, username)),
        _ => Err(AccountError::Invalid(errors)),
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], AccountError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AccountError::Unavailable)?;
    Ok(bytes)
}
