//! The service: what it is made of, registration, and what all its parts share.

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;

use super::{
    Account, AccountStore, Client, CreateAccountError, Email, Family, FamilyId, HashingCost, Mailer,
    NewAccount, TokenKeys,
    delays::{Delays, FREE_FAILURES_OF_ACCOUNT, FREE_FAILURES_OF_ADDRESS},
    family::uuid_v7,
    mail::Mailing,
    password::Passwords,
    rules::{Owner, is_reserved, unfit},
};
use crate::{
    auth::{JwtAuthenticator, Secret, ServerRole},
    domain::{ErrorCode, Rate, Username},
    engine::RateTable,
    id::UserId,
    limits::{LOGINS_DELAYED_MAX, RESETS_PER_HOUR},
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
    /// Failures at accounts.
    pub(super) delays: Delays,
    /// Failures from addresses.
    pub(super) delays_by_address: Delays,
    pub(super) delayed: Semaphore,
    pub(super) mailing: Option<Mailing>,
    /// How often a password was forgotten, by a hash of the address.
    pub(super) forgotten: RateTable<[u8; 32]>,
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
    /// The user has no account here.
    #[error("the user has no account")]
    NoAccount,
    /// Not the password of who is logged in.
    #[error("the password is wrong")]
    WrongPassword,
    /// The token by which a forgotten password is replaced is none of ours, was used, has expired, or a newer one
    /// was asked for.
    #[error("the token is not valid, or not any more")]
    InvalidReset,
    /// Too often; try again after so many milliseconds.
    #[error("too many requests")]
    RateLimited(u64),
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
    /// Logins of the user may have ended, and with them the password or the role been changed, since the store failed
    /// over it: whoever is connected as them is to be disconnected ([`crate::engine::Engine::disconnect`]); who is still
    /// logged in comes back. To be told as [`AccountError::Unavailable`].
    #[error("accounts are unavailable at the moment")]
    Doubtful {
        /// Whose logins.
        user: UserId,
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
            Self::NoAccount => ErrorCode::NotFound,
            Self::WrongCredentials => ErrorCode::Unauthenticated,
            Self::Disabled | Self::WrongPassword => ErrorCode::Forbidden,
            Self::InvalidToken | Self::InvalidReset | Self::LoginEnded { .. } => ErrorCode::InvalidToken,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::Overloaded | Self::RateLimited(_) => ErrorCode::RateLimited,
            Self::Unavailable | Self::LoginDoubtful { .. } | Self::Doubtful { .. } => ErrorCode::Unavailable,
            Self::Setup(_) => ErrorCode::Internal,
        }
    }

    /// When to try again, where that is known.
    #[must_use]
    pub const fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Overloaded => Some(1_000),
            Self::RateLimited(millis) => Some(*millis),
            _ => None,
        }
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
        Self::made(store, keys, cost, clock, None)
    }

    /// The same, with somebody who delivers mail, so that a password that was forgotten can be replaced. Where the
    /// mail leads to is `reset_url`, followed by `#token=` and the token: what stands there is sent to no server and
    /// is in no log.
    ///
    /// # Errors
    /// As for [`Accounts::new`].
    pub fn with_mailer(
        store: Arc<dyn AccountStore>,
        keys: TokenKeys,
        cost: HashingCost,
        clock: Arc<dyn Clock>,
        mailer: Arc<dyn Mailer>,
        reset_url: &str,
    ) -> Result<Self, AccountError> {
        Self::made(store, keys, cost, clock, Some(Mailing::new(mailer, reset_url)))
    }

    fn made(
        store: Arc<dyn AccountStore>,
        keys: TokenKeys,
        cost: HashingCost,
        clock: Arc<dyn Clock>,
        mailing: Option<Mailing>,
    ) -> Result<Self, AccountError> {
        let inner = Inner {
            store,
            keys,
            clock,
            passwords: Passwords::new(cost)?,
            delays: Delays::new(FREE_FAILURES_OF_ACCOUNT),
            delays_by_address: Delays::new(FREE_FAILURES_OF_ADDRESS),
            delayed: Semaphore::new(LOGINS_DELAYED_MAX),
            mailing,
            forgotten: RateTable::new(Rate::per_hour(RESETS_PER_HOUR)),
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
        if is_reserved(&username) {
            return Err(AccountError::Taken(NAME_TAKEN));
        }
        self.spare_the_taken(&email, &username).await?;
        let password = inner.passwords.hash(registration.password).await?;
        let now = inner.clock.now();
        let id = self.new_user()?;
        let family = Family::begin(FamilyId::new(now, random()?), id.clone(), client.device.clone(), now);
        let profile = UserProfile::new(id.clone(), username, now);
        let account = Account { user: id, email, password, role: ServerRole::User };
        let new =
            NewAccount { profile: profile.clone(), account: account.clone(), family: Some(family.clone()) };
        self.create(new).await?;
        self.grant(profile, account, &family)
    }

    /// Asked before hashing: a name that is taken costs no hash. The store decides in the end.
    pub(super) async fn spare_the_taken(&self, email: &Email, name: &Username) -> Result<(), AccountError> {
        if self.inner.store.user_named(name).await?.is_some() {
            return Err(AccountError::Taken(NAME_TAKEN));
        }
        if self.inner.store.account_with_email(email).await?.is_some() {
            return Err(AccountError::Taken(EMAIL_TAKEN));
        }
        Ok(())
    }

    /// An id for somebody who comes now.
    pub(super) fn new_user(&self) -> Result<UserId, AccountError> {
        let id = uuid_v7(self.inner.clock.now(), random()?).to_string();
        UserId::parse(&id).map_err(|_| AccountError::Unavailable)
    }

    pub(super) async fn create(&self, new: NewAccount) -> Result<(), AccountError> {
        match self.inner.store.create_account(new).await {
            Ok(()) => Ok(()),
            Err(CreateAccountError::NameTaken) => Err(AccountError::Taken(NAME_TAKEN)),
            Err(CreateAccountError::NameAlike) => Err(AccountError::Taken(NAME_ALIKE)),
            Err(CreateAccountError::EmailTaken) => Err(AccountError::Taken(EMAIL_TAKEN)),
            Err(CreateAccountError::IdTaken) => Err(AccountError::Taken(ID_TAKEN)),
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
        self.inner.forgotten.sweep(self.inner.clock.now());
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
const ID_TAKEN: FieldError = FieldError { field: "id", message: "there is a user with this id" };
const NAME_ALIKE: FieldError =
    FieldError { field: "username", message: "the username looks like one that is taken" };
const EMAIL_TAKEN: FieldError = FieldError { field: "email", message: "the e-mail address is taken" };

pub(super) fn checked(registration: &Registration) -> Result<(Email, Username), AccountError> {
    let email = Email::parse(&registration.email);
    let username = Username::parse(&registration.username);
    let mut errors = Vec::new();
    if email.is_none() {
        errors.push(NO_EMAIL);
    }
    if username.is_err() {
        errors.push(FieldError {
            field: "username",
            message: "a username has 3 to 50 characters out of A-Z a-z 0-9 _",
        });
    }
    let owner = Owner { name: &registration.username, email: &registration.email };
    errors.extend(unfit(&registration.password, "password", owner));
    match (email, username) {
        (Some(email), Ok(username)) if errors.is_empty() => Ok((email, username)),
        _ => Err(AccountError::Invalid(errors)),
    }
}

pub(super) const NO_EMAIL: FieldError = FieldError { field: "email", message: "this is no e-mail address" };

pub(super) fn random<const N: usize>() -> Result<[u8; N], AccountError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AccountError::Unavailable)?;
    Ok(bytes)
}
