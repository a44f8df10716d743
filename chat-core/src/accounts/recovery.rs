//! Another password: for who knows the present one, and for who has forgotten it.

use super::{
    Account, AccountChange, AccountError, Accounts, Client, Email, FamilyId, PasswordReset,
    login::subject,
    rules::{Owner, unfit},
    service::{NO_EMAIL, random},
};
use crate::{
    auth::Secret,
    domain::Username,
    id::UserId,
    limits::{ACCOUNT_RETRIES_MAX, PASSWORD_CHARS_MAX},
};

/// How long a token is good by which a forgotten password is replaced.
const RESET_LIFETIME_MS: i64 = 30 * 60_000;

impl Accounts {
    /// Gives somebody another password who is logged in and knows the present one. Their other logins end: whoever is
    /// connected by one of those that are returned is to be disconnected.
    ///
    /// # Errors
    /// [`AccountError::Invalid`], [`AccountError::WrongPassword`], or that it can't be done now.
    pub async fn change_password(
        &self,
        user: &UserId,
        login: FamilyId,
        current: Secret,
        new: Secret,
        client: &Client,
    ) -> Result<Vec<FamilyId>, AccountError> {
        let inner = &self.inner;
        let account = inner.store.account(user).await?.ok_or(AccountError::WrongPassword)?;
        self.check_fit(&account, &new, "newPassword").await?;
        let subject = subject(Some(&account), "");
        self.wait_for_turn(subject, client).await?;
        if current.expose().chars().nth(PASSWORD_CHARS_MAX).is_some()
            || !inner.passwords.verify(current, Some(account.password.clone())).await?
        {
            return Err(AccountError::WrongPassword);
        }
        self.succeeded(&subject, client);
        let hash = inner.passwords.hash(new).await?;
        let plan = |account, logins: &[_]| AccountChange {
            password: Some(hash.clone()),
            ..AccountChange::of(account, logins)
        };
        // Somebody else was faster, and the password is another one by now.
        self.change(account, Some(login), plan).await?.ok_or(AccountError::WrongPassword)
    }

    /// Sends a mail with a token to whoever has the address, if anybody does. Nothing tells whether: the work is done
    /// later, and takes nobody's time. Has to be called within a runtime of tokio.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] when it is no address, [`AccountError::RateLimited`] when it was asked for too often,
    /// or that it can't be done now.
    pub fn forgot(&self, email: &str) -> Result<(), AccountError> {
        let email = Email::parse(email).ok_or_else(|| AccountError::Invalid(vec![NO_EMAIL]))?;
        let inner = &self.inner;
        let mailing = inner.mailing.as_ref().ok_or(AccountError::Unavailable)?;
        let rate = inner.forgotten.admit(&email.key(), inner.clock.now());
        rate.map_err(AccountError::RateLimited)?;
        let place = mailing.place()?;
        let accounts = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let sent = match accounts.inner.store.account_with_email(&email).await {
                Ok(Some(user)) => accounts.send_reset(&user).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = sent {
                tracing::warn!(%error, "a forgotten password could not be replaced");
            }
        });
        Ok(())
    }

    /// Sends a user a mail with a token, since the operator wishes it.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], or that it can't be done now.
    pub async fn request_reset_for(&self, user: &UserId) -> Result<(), AccountError> {
        let _place = self.inner.mailing.as_ref().ok_or(AccountError::Unavailable)?.place()?;
        self.send_reset(user).await
    }

    async fn send_reset(&self, user: &UserId) -> Result<(), AccountError> {
        let inner = &self.inner;
        let account = inner.store.account(user).await?.ok_or(AccountError::NoAccount)?;
        let profile = self.profile(user).await?;
        let mailing = inner.mailing.as_ref().filter(|_| !profile.disabled);
        let Some(mailing) = mailing else { return Ok(()) };
        let secret: [u8; 32] = random()?;
        let expires_at = inner.clock.now().plus_millis(RESET_LIFETIME_MS);
        let reset = PasswordReset { user: user.clone(), hash: *hash_of(&secret).as_bytes(), expires_at };
        inner.store.put_reset(reset).await?;
        let token = Secret::new(format!("{user}.{}", blake3::Hash::from_bytes(secret).to_hex()));
        mailing.send_reset(account.email, profile.username.as_str(), token.expose()).await;
        Ok(())
    }

    /// Gives an account another password, by the token of a mail. It is used up by that, and all logins of the account
    /// end: whoever is connected by one of them is to be disconnected.
    ///
    /// # Errors
    /// [`AccountError::InvalidReset`], [`AccountError::Invalid`], or that it can't be done now.
    pub async fn reset_password(
        &self,
        token: &Secret,
        new: Secret,
    ) -> Result<(UserId, Vec<FamilyId>), AccountError> {
        let inner = &self.inner;
        let (user, hash) = opened(token.expose()).ok_or(AccountError::InvalidReset)?;
        let reset = inner.store.reset(&user).await?.ok_or(AccountError::InvalidReset)?;
        // `blake3::Hash` compares in constant time.
        let right = blake3::Hash::from_bytes(reset.hash) == hash;
        if !right || reset.expires_at <= inner.clock.now() {
            return Err(AccountError::InvalidReset);
        }
        let account = inner.store.account(&user).await?.ok_or(AccountError::InvalidReset)?;
        self.check_fit(&account, &new, "password").await?;
        let password = inner.passwords.hash(new).await?;
        let plan = |account, logins: &[_]| AccountChange {
            password: Some(password.clone()),
            reset: Some(reset.clone()),
            ..AccountChange::of(account, logins)
        };
        for _ in 0..ACCOUNT_RETRIES_MAX {
            let account = inner.store.account(&user).await?.ok_or(AccountError::InvalidReset)?;
            if inner.store.reset(&user).await?.as_ref() != Some(&reset) {
                return Err(AccountError::InvalidReset);
            }
            let known = subject(Some(&account), "");
            if let Some(ended) = self.change(account, None, plan).await? {
                inner.delays.succeeded(&known);
                return Ok((user, ended));
            }
        }
        Err(AccountError::Unavailable)
    }

    async fn check_fit(
        &self,
        account: &Account,
        new: &Secret,
        field: &'static str,
    ) -> Result<(), AccountError> {
        let profile = self.profile(&account.user).await?;
        let owner = Owner { name: Username::as_str(&profile.username), email: account.email.as_str() };
        unfit(new, field, owner).map_or(Ok(()), |error| Err(AccountError::Invalid(vec![error])))
    }
}

/// Whose token it is, and what it hashes to.
fn opened(token: &str) -> Option<(UserId, blake3::Hash)> {
    let (user, secret) = token.rsplit_once('.')?;
    let secret = blake3::Hash::from_hex(secret).ok()?;
    Some((UserId::parse(user).ok()?, hash_of(secret.as_bytes())))
}

/// What is kept of a secret.
fn hash_of(secret: &[u8; 32]) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key("chat-core accounts: token of a forgotten password", secret))
}
