//! What the operator does about accounts, and whoever brings users along from elsewhere.

use super::{
    Account, AccountChange, AccountError, Accounts, Email, FamilyId, FieldError, NewAccount, PasswordHash,
    Registration,
    service::{NO_EMAIL, checked},
};
use crate::{
    auth::ServerRole, domain::Username, id::UserId, limits::ACCOUNT_RETRIES_MAX, store::UserProfile,
    time::Timestamp,
};

/// An account that somebody had elsewhere.
#[derive(Debug, Clone)]
pub struct Import {
    /// Their id, if they are to keep it.
    pub id: Option<UserId>,
    /// Their address.
    pub email: String,
    /// Their name.
    pub username: String,
    /// What their password hashes to: see [`PasswordHash::import`]. It is replaced at their first login.
    pub password: PasswordHash,
    /// Since when they have it; since now, if that is not known.
    pub created_at: Option<Timestamp>,
    /// What they may do beyond rooms.
    pub role: ServerRole,
}

impl Accounts {
    /// Creates an account that nobody is logged in to, under any name that is free, reserved ones included.
    ///
    /// # Errors
    /// As for [`Accounts::register`].
    pub async fn create_with_role(
        &self,
        registration: Registration,
        role: ServerRole,
    ) -> Result<UserProfile, AccountError> {
        let (email, username) = checked(&registration)?;
        self.spare_the_taken(&email, &username).await?;
        let password = self.inner.passwords.hash(registration.password).await?;
        self.adopt(None, None, username, (email, password, role)).await
    }

    /// Adopts an account with the hash of its password, under any name that is free.
    ///
    /// # Errors
    /// [`AccountError::Invalid`], [`AccountError::Taken`] (the field may be `id`), or that it can't be done now.
    pub async fn import(&self, import: Import) -> Result<UserProfile, AccountError> {
        let Import { id, email, username, password, created_at, role } = import;
        let (email, username) = (Email::parse(&email), Username::parse(&username).ok());
        let mut errors = Vec::new();
        if email.is_none() {
            errors.push(NO_EMAIL);
        }
        if username.is_none() {
            let message = "a username has 3 to 50 characters out of A-Z a-z 0-9 _";
            errors.push(FieldError { field: "username", message });
        }
        if PasswordHash::import(password.expose()).is_none() {
            errors.push(FieldError { field: "password", message: "this hash can't be verified" });
        }
        match (email, username) {
            (Some(email), Some(username)) if errors.is_empty() => {
                self.adopt(id, created_at, username, (email, password, role)).await
            }
            _ => Err(AccountError::Invalid(errors)),
        }
    }

    async fn adopt(
        &self,
        id: Option<UserId>,
        created_at: Option<Timestamp>,
        username: Username,
        (email, password, role): (Email, PasswordHash, ServerRole),
    ) -> Result<UserProfile, AccountError> {
        let id = id.map_or_else(|| self.new_user(), Ok)?;
        let created_at = created_at.unwrap_or_else(|| self.inner.clock.now());
        let profile = UserProfile::new(id.clone(), username, created_at);
        let account = Account { user: id, email, password, role };
        self.create(NewAccount { profile: profile.clone(), account, family: None }).await?;
        Ok(profile)
    }

    /// The account of a user, if they have one.
    ///
    /// # Errors
    /// That it can't be looked up now.
    pub async fn account_of(&self, user: &UserId) -> Result<Option<Account>, AccountError> {
        Ok(self.inner.store.account(user).await?)
    }

    /// Gives a user another role. All their logins end, so that it holds at once: whoever is connected by one of those
    /// that are returned is to be disconnected. Nothing ends when they have that role already.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], or that it can't be done now.
    pub async fn set_role(&self, user: &UserId, role: ServerRole) -> Result<Vec<FamilyId>, AccountError> {
        for _ in 0..ACCOUNT_RETRIES_MAX {
            let account = self.inner.store.account(user).await?.ok_or(AccountError::NoAccount)?;
            if account.role == role {
                return Ok(Vec::new());
            }
            let plan = |account, logins: &[_]| AccountChange {
                role: Some(role),
                ..AccountChange::of(account, logins)
            };
            if let Some(ended) = self.change(account, None, plan).await? {
                return Ok(ended);
            }
        }
        Err(AccountError::Unavailable)
    }
}
