//! What a store keeps of accounts.

use async_trait::async_trait;

use super::{Email, Family, FamilyId, PasswordHash};
use crate::{
    id::UserId,
    store::{StoreError, UserProfile, UserStore},
    time::Timestamp,
};

/// Somebody's way in: the profile's private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is; there is a profile with the same id.
    pub user: UserId,
    /// Where mail reaches them; unique among accounts.
    pub email: Email,
    /// What their password hashes to.
    pub password: PasswordHash,
}

/// Everything that a registration creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Who they are to others.
    pub profile: UserProfile,
    /// How they get in.
    pub account: Account,
    /// Their first login.
    pub family: Family,
}

/// Why an account was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateAccountError {
    /// There is a profile with this id.
    #[error("the user exists already")]
    IdTaken,
    /// Somebody has this username, with an account or without.
    #[error("the username is taken")]
    NameTaken,
    /// Somebody registered with this address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Accounts and logins, beside the profiles of [`UserStore`].
///
/// # To ensure correctness
///
/// 1. An account is created whole (profile, account, first login) or not at all.
/// 2. Of any number of accounts created at once with one id, username or address, exactly one is created;
///    usernames are shared with the profiles that [`UserStore::create_user`] makes.
/// 3. Of any number of replacements of one state of a family, exactly one takes effect.
/// 4. What was answered `Ok` is as durable as a commit.
/// 5. Forgetting deletes families that are over and no others, and comes to an end.
#[async_trait]
pub trait AccountStore: UserStore {
    /// Creates an account.
    ///
    /// # Errors
    /// [`CreateAccountError`].
    async fn create_account(&self, new: NewAccount) -> Result<(), CreateAccountError>;

    /// The account of a user; `None` for a user without one, too.
    async fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError>;

    /// Whose account has this address.
    async fn account_with_email(&self, email: &Email) -> Result<Option<UserId>, StoreError>;

    /// Remembers a login.
    async fn create_family(&self, family: Family) -> Result<(), StoreError>;

    /// A login, unless it is over and forgotten.
    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError>;

    /// Puts `next` in the place of `current`, or ends the family with `None`. Answers `false`, and changes
    /// nothing, when the family is not (any more) as `current` says.
    async fn replace_family(&self, current: &Family, next: Option<Family>) -> Result<bool, StoreError>;

    /// Deletes families that are over ([`Family::expires_at`]), looking at a bounded number after `cursor`.
    /// Returns where to go on, `None` at the end.
    async fn forget_families(
        &self,
        now: Timestamp,
        cursor: Option<FamilyId>,
    ) -> Result<Option<FamilyId>, StoreError>;
}
