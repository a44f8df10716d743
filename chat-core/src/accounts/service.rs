//! Registration, login, renewal.

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;

use super::{
    Account, AccountStore, CreateAccountError, Email, Family, FamilyId, HashingCost, NewAccount, TokenKeys,
    delays::{Delays, Subject},
    family::{Shown, uuid_v7},
    password::Passwords,
};
use crate::{
    auth::{AuthError, Identity, JwtAuthenticator, Secret},
    domain::{ErrorCode, Username},
    id::UserId,
    limits::{LOGINS_DELAYED_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, ROTATION_RETRIES_MAX},
    store::{StoreError, UserProfile},
    time::{Clock, Timestamp},
};

/// Registers people, logs them in and renews their logins. Cheap to clone; all clones share their bounds.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn AccountStore>,
    keys: TokenKeys,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    delays: Delays,
    delayed: Semaphore,
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
    pub async fn register(&self, registration: Registration) -> Result<Grant, AccountError> {
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
        let family = Family::begin(FamilyId::new(now, random()?), id.clone(), now);
        let profile = UserProfile::new(id.clone(), username, now);
        let account = Account { user: id, email: email.clone(), password };
        let new = NewAccount { profile: profile.clone(), account, family: family.clone() };
        match inner.store.create_account(new).await {
            Ok(()) => self.grant(profile, email, &family),
            Err(CreateAccountError::NameTaken) => Err(AccountError::Taken(NAME_TAKEN)),
            Err(CreateAccountError::EmailTaken) => Err(AccountError::Taken(EMAIL_TAKEN)),
            Err(CreateAccountError::IdTaken) => Err(AccountError::Unavailable),
            Err(CreateAccountError::Store(error)) => Err(error.into()),
        }
    }

    /// Lets somebody in who knows an account's password. `login` is the e-mail address or the username.
    ///
    /// # Errors
    /// [`AccountError::WrongCredentials`] whichever is wrong, or that it can't be done now.
    pub async fn login(&self, login: &str, password: Secret) -> Result<Grant, AccountError> {
        let inner = &self.inner;
        let account = self.find(login).await?;
        let subject = subject(account.as_ref(), login);
        self.wait_for_turn(subject).await?;
        if password.expose().chars().nth(PASSWORD_CHARS_MAX).is_some() {
            return Err(AccountError::WrongCredentials);
        }
        let stored = account.as_ref().map(|account| account.password.clone());
        let right = inner.passwords.verify(password, stored).await?;
        let Some(account) = account.filter(|_| right) else { return Err(AccountError::WrongCredentials) };
        inner.delays.succeeded(&subject);
        let profile = self.profile(&account.user).await?;
        let now = inner.clock.now();
        let family = Family::begin(FamilyId::new(now, random()?), account.user, now);
        inner.store.create_family(family.clone()).await?;
        self.grant(profile, account.email, &family)
    }

    /// Renews a login: the token that was shown is spent, the grant has a new one.
    ///
    /// A token that is shown again within 20 seconds, before the new one was used, gets the same new one again,
    /// since the answer may have been lost. Later it ends the login: somebody has a copy.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`], [`AccountError::TokenExpired`], or that it can't be done now.
    pub async fn refresh(&self, token: &Secret) -> Result<Grant, AccountError> {
        let inner = &self.inner;
        let (id, generation) = inner.keys.open_refresh(token.expose()).ok_or(AccountError::InvalidToken)?;
        for _ in 0..ROTATION_RETRIES_MAX {
            let family = inner.store.family(id).await?.ok_or(AccountError::InvalidToken)?;
            let now = inner.clock.now();
            let next = match family.shown(generation, now) {
                Shown::Expired => return Err(AccountError::TokenExpired),
                Shown::Repeated => return self.grant_again(&family).await,
                Shown::Current => Some(family.rotated(generation, now)),
                Shown::Spent => None,
            };
            match (inner.store.replace_family(&family, next.clone()).await, next) {
                // Somebody else was first with the same token: judge it anew.
                (Ok(false), _) => {}
                (Ok(true), Some(next)) => return self.grant_again(&next).await,
                (Ok(true), None) => {
                    tracing::warn!(user = %family.user, login = %family.id, "a spent refresh token was shown; its login is ended");
                    return Err(AccountError::LoginEnded { user: family.user, login: family.id });
                }
                (Err(error), Some(_)) => return Err(error.into()),
                (Err(error), None) => {
                    tracing::warn!(%error, user = %family.user, login = %family.id, "a spent refresh token was shown; its login could not be ended");
                    return Err(AccountError::LoginDoubtful { user: family.user, login: family.id });
                }
            }
        }
        Err(AccountError::Unavailable)
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

    /// Checks that the login which an access token stems from has not ended: the token itself does not tell.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] when it has, [`AuthError::Erased`] when its user was erased, [`AuthError::Unavailable`] when it can't be looked up.
    pub async fn check_login(&self, identity: &Identity) -> Result<(), AuthError> {
        let id = identity.login.as_deref().and_then(FamilyId::parse).ok_or(AuthError::Invalid)?;
        match self.inner.store.family(id).await {
            Ok(Some(family)) if family.user == identity.user => Ok(()),
            // The logins of who was erased are gone; they are told why.
            Ok(_) => match self.profile(&identity.user).await {
                Ok(profile) if profile.is_erased() => Err(AuthError::Erased),
                _ => Err(AuthError::Invalid),
            },
            Err(error) => {
                tracing::warn!(%error, "the account store failed");
                Err(AuthError::Unavailable)
            }
        }
    }

    /// Ends a login: neither its refresh tokens nor, where [`Accounts::check_login`] is asked, its access tokens are
    /// good from here on. Who is connected by it is to be disconnected
    /// ([`crate::engine::Engine::disconnect_login`]). What has ended already stays so.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn logout(&self, user: &UserId, login: FamilyId) -> Result<(), AccountError> {
        for _ in 0..ROTATION_RETRIES_MAX {
            let family = self.inner.store.family(login).await?;
            let Some(family) = family.filter(|family| family.user == *user) else { return Ok(()) };
            if self.inner.store.replace_family(&family, None).await? {
                return Ok(());
            }
        }
        Err(AccountError::Unavailable)
    }

    /// Deletes logins that are over. To be called now and then, an hour apart, say.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn sweep(&self) -> Result<(), AccountError> {
        let mut cursor = None;
        loop {
            cursor = self.inner.store.forget_families(self.inner.clock.now(), cursor).await?;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn find(&self, login: &str) -> Result<Option<Account>, AccountError> {
        let store = &self.inner.store;
        let user = if let Some(email) = Email::parse(login) {
            store.account_with_email(&email).await?
        } else if let Ok(name) = Username::parse(login.trim()) {
            store.user_named(&name).await?
        } else {
            None
        };
        match user {
            Some(user) => Ok(store.account(&user).await?),
            None => Ok(None),
        }
    }

    async fn wait_for_turn(&self, subject: Subject) -> Result<(), AccountError> {
        let delay = self.inner.delays.attempt(subject, self.inner.clock.now());
        if !delay.is_zero() {
            let _waiting = self.inner.delayed.try_acquire().map_err(|_| AccountError::Overloaded)?;
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<UserProfile, AccountError> {
        let found = self.inner.store.users(std::slice::from_ref(user)).await?;
        found.into_iter().next().flatten().ok_or(AccountError::Unavailable)
    }

    async fn grant_again(&self, family: &Family) -> Result<Grant, AccountError> {
        let account = self.inner.store.account(&family.user).await?.ok_or(AccountError::InvalidToken)?;
        self.grant(self.profile(&family.user).await?, account.email, family)
    }

    fn grant(&self, profile: UserProfile, email: Email, family: &Family) -> Result<Grant, AccountError> {
        let inner = &self.inner;
        let (access_token, expires_at) = inner.keys.access(family, &profile.username, inner.clock.now())?;
        let refresh_token = inner.keys.refresh(family.id, family.generation);
        Ok(Grant { profile, email, access_token, expires_at, refresh_token, family: family.id })
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("passwords", &self.inner.passwords).finish_non_exhaustive()
    }
}

const NAME_TAKEN: FieldError = FieldError { field: "username", message: "the username is taken" };
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

/// An account is counted by its id, whichever of its names was typed; an unknown name by itself.
fn subject(account: Option<&Account>, login: &str) -> Subject {
    let mut hasher = blake3::Hasher::new();
    match account {
        Some(account) => hasher.update(b"account").update(account.user.as_str().as_bytes()),
        None => hasher.update(b"unknown").update(login.trim().to_lowercase().as_bytes()),
    };
    *hasher.finalize().as_bytes()
}

fn random<const N: usize>() -> Result<[u8; N], AccountError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AccountError::Unavailable)?;
    Ok(bytes)
}
