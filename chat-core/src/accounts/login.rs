//! Getting in, and staying in.

use std::cmp::Reverse;

use super::{
    Account, AccountChange, AccountError, Accounts, Client, Email, Family, FamilyId, Grant, PasswordHash,
    delays::{Subject, subject_of},
    family::Shown,
    service::random,
};
use crate::{
    auth::{AuthError, Identity, Secret},
    domain::Username,
    id::UserId,
    limits::{ACCOUNT_RETRIES_MAX, LOGINS_PER_USER_MAX, PASSWORD_CHARS_MAX, ROTATION_RETRIES_MAX},
    store::UserProfile,
};

impl Accounts {
    /// Lets somebody in who knows an account's password. `login` is the e-mail address or the username.
    ///
    /// Whoever has as many logins as one may have loses the least recently used ones: see [`Grant::ended`].
    ///
    /// # Errors
    /// [`AccountError::WrongCredentials`] whichever is wrong, or that it can't be done now.
    pub async fn login(&self, login: &str, password: Secret, client: &Client) -> Result<Grant, AccountError> {
        let inner = &self.inner;
        let account = self.find(login).await?;
        let subject = subject(account.as_ref(), login);
        self.wait_for_turn(subject, client).await?;
        if password.expose().chars().nth(PASSWORD_CHARS_MAX).is_some() {
            return Err(AccountError::WrongCredentials);
        }
        let stored = account.as_ref().map(|account| account.password.clone());
        let right = inner.passwords.verify(password.clone(), stored).await?;
        let Some(account) = account.filter(|_| right) else { return Err(AccountError::WrongCredentials) };
        self.succeeded(&subject, client);
        let profile = self.admitted(&account.user).await?;
        let rehashed = self.rehashed(&account, &password).await;
        let (account, family, ended) = self.begin(account, password, rehashed, client).await?;
        tracing::info!(user = %account.user, login = %family.id, "logged in");
        Ok(Grant { ended, ..self.grant(profile, account, &family)? })
    }

    /// The profile of somebody who has proven who they are, if they are not kept out.
    async fn admitted(&self, user: &UserId) -> Result<UserProfile, AccountError> {
        let profile = self.profile(user).await?;
        if profile.disabled { Err(AccountError::Disabled) } else { Ok(profile) }
    }

    /// A hash as one is made now, for one that was made otherwise. It is no reason to let nobody in: where it can't
    /// be made, the next login makes it.
    async fn rehashed(&self, account: &Account, password: &Secret) -> Option<PasswordHash> {
        let passwords = &self.inner.passwords;
        if !passwords.is_outdated(&account.password) {
            return None;
        }
        passwords.hash(password.clone()).await.ok()
    }

    /// Begins a login of whoever has proven to know the password of the account. It comes to nothing when the
    /// password is another one by now.
    async fn begin(
        &self,
        mut account: Account,
        password: Secret,
        mut rehashed: Option<PasswordHash>,
        client: &Client,
    ) -> Result<(Account, Family, Vec<FamilyId>), AccountError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let id = FamilyId::new(now, random()?);
        let family = Family::begin(id, account.user.clone(), client.device.clone(), now);
        for _ in 0..ACCOUNT_RETRIES_MAX {
            let logins = inner.store.families(&account.user).await?;
            let end = too_many(&logins);
            let change = AccountChange {
                begin: Some(family.clone()),
                end: end.clone(),
                password: rehashed.clone(),
                ..AccountChange::of(account.clone(), &logins)
            };
            let next = change.next();
            let changed = match inner.store.change_account(change).await {
                // A login that has to make room may have ended.
                Err(error) if !end.is_empty() => {
                    tracing::warn!(%error, user = %account.user, "whether logins have ended is not known");
                    return Err(AccountError::Doubtful { user: account.user });
                }
                changed => changed?,
            };
            if changed {
                return Ok((next, family, end));
            }
            let fresh = inner.store.account(&account.user).await?.ok_or(AccountError::WrongCredentials)?;
            if fresh.password != account.password
                && !inner.passwords.verify(password.clone(), Some(fresh.password.clone())).await?
            {
                return Err(AccountError::WrongCredentials);
            }
            // Somebody else has just made a hash anew.
            rehashed = rehashed.filter(|_| fresh.password == account.password);
            account = fresh;
        }
        Err(AccountError::Unavailable)
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
            match family.shown(generation, now) {
                Shown::Expired => return Err(AccountError::TokenExpired),
                Shown::Spent => {
                    if let Some(error) = self.end_spent(&family).await {
                        return Err(error);
                    }
                }
                shown => {
                    // Before anything is spent: who is refused gets no new token, and would pass for a thief by the
                    // one that they have.
                    let (profile, account) = self.behind(&family).await?;
                    if shown == Shown::Repeated {
                        return self.grant(profile, account, &family);
                    }
                    let next = family.rotated(generation, now);
                    if inner.store.replace_family(&family, Some(next.clone())).await? {
                        return self.grant(profile, account, &next);
                    }
                }
            }
            // Somebody else was first with the same token: it is judged anew.
        }
        Err(AccountError::Unavailable)
    }

    /// Ends a login whose spent token was shown: why there is no grant, or `None` when the login has changed meanwhile.
    async fn end_spent(&self, family: &Family) -> Option<AccountError> {
        let (user, login) = (family.user.clone(), family.id);
        match self.inner.store.replace_family(family, None).await {
            Ok(false) => None,
            Ok(true) => {
                tracing::warn!(%user, %login, "a spent refresh token was shown; its login is ended");
                Some(AccountError::LoginEnded { user, login })
            }
            Err(error) => {
                tracing::warn!(%error, %user, %login, "a spent refresh token was shown; its login could not be ended");
                Some(AccountError::LoginDoubtful { user, login })
            }
        }
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

    pub(super) async fn find(&self, login: &str) -> Result<Option<Account>, AccountError> {
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

    /// Waits for as long as failures of the recent past say, of the account or of the address, whichever is longer.
    pub(super) async fn wait_for_turn(&self, subject: Subject, client: &Client) -> Result<(), AccountError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let by_address =
            client.address.map(|address| inner.delays_by_address.attempt(subject_of(address), now));
        let delay = inner.delays.attempt(subject, now).max(by_address.unwrap_or_default());
        if !delay.is_zero() {
            let _waiting = inner.delayed.try_acquire().map_err(|_| AccountError::Overloaded)?;
            // At whose account is for nobody to read who reads logs.
            tracing::info!(
                delay_ms = delay.as_millis(),
                "a password has to wait, since others were wrong before it"
            );
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    /// The attempt that had waited was none to guess.
    pub(super) fn succeeded(&self, subject: &Subject, client: &Client) {
        self.inner.delays.succeeded(subject);
        if let Some(address) = client.address {
            self.inner.delays_by_address.excuse(&subject_of(address));
        }
    }

    /// Whose login it is, if they are not kept out.
    async fn behind(&self, family: &Family) -> Result<(UserProfile, Account), AccountError> {
        let account = self.inner.store.account(&family.user).await?.ok_or(AccountError::InvalidToken)?;
        Ok((self.admitted(&family.user).await?, account))
    }
}

/// The least recently used logins, which end for one more to fit.
fn too_many(logins: &[Family]) -> Vec<FamilyId> {
    let mut logins: Vec<_> = logins.iter().collect();
    logins.sort_by_key(|family| Reverse((family.rotated_at, family.id)));
    logins.iter().skip(LOGINS_PER_USER_MAX - 1).map(|family| family.id).collect()
}

/// An account is counted by its id, whichever of its names was typed; an unknown name by itself.
pub(super) fn subject(account: Option<&Account>, login: &str) -> Subject {
    let mut hasher = blake3::Hasher::new();
    match account {
        Some(account) => hasher.update(b"account").update(account.user.as_str().as_bytes()),
        None => hasher.update(b"unknown").update(login.trim().to_lowercase().as_bytes()),
    };
    *hasher.finalize().as_bytes()
}
