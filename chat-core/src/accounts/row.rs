//! What a store keeps of accounts.

use std::fmt;

use async_trait::async_trait;

use super::{Email, Family, FamilyId, PasswordHash};
use crate::{
    auth::ServerRole,
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
    /// What they may do beyond rooms.
    pub role: ServerRole,
}

/// A change of an account and of its logins, which takes effect whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// The account as it was read.
    pub account: Account,
    /// Its logins as [`AccountStore::families`] gave them, by name.
    pub logins: Vec<FamilyId>,
    /// What its password hashes to from now on.
    pub password: Option<PasswordHash>,
    /// What its user may do from now on.
    pub role: Option<ServerRole>,
    /// Which of the logins end.
    pub end: Vec<FamilyId>,
    /// A login that begins.
    pub begin: Option<Family>,
    /// The token that is used up.
    pub reset: Option<PasswordReset>,
}

impl AccountChange {
    /// No change of an account as it was read, with the logins that were listed.
    #[must_use]
    pub fn of(account: Account, logins: &[Family]) -> Self {
        Self {
            account,
            logins: logins.iter().map(|family| family.id).collect(),
            password: None,
            role: None,
            end: Vec::new(),
            begin: None,
            reset: None,
        }
    }

    /// The account after it.
    #[must_use]
    pub fn next(&self) -> Account {
        let mut next = self.account.clone();
        if let Some(password) = &self.password {
            next.password = password.clone();
        }
        next.role = self.role.unwrap_or(next.role);
        next
    }
}

/// What is kept of a token by which a forgotten password is replaced: a hash, which gives the token away to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordReset {
    /// Whose password.
    pub user: UserId,
    /// What the token hashes to.
    pub hash: [u8; 32],
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

/// Hides the hash.
impl fmt::Debug for PasswordReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordReset").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Everything that a registration creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Who they are to others.
    pub profile: UserProfile,
    /// How they get in.
    pub account: Account,
    /// Their first login, if they are let in right away.
    pub family: Option<Family>,
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
    /// Somebody has an account with a username that looks like this one ([`crate::domain::Username::look`]).
    #[error("the username looks like one that is taken")]
    NameAlike,
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
/// 2. Of any number of accounts created at once with one id, username, look of a username or address, exactly one is
///    created; usernames are shared with the profiles that [`UserStore::create_user`] makes.
/// 3. Of any number of replacements of one state of a family, exactly one takes effect.
/// 4. What was answered `Ok` is as durable as a commit.
/// 5. Forgetting deletes what is over and nothing else, and comes to an end.
/// 6. A change of an account takes effect whole, and only while the account, its logins and the token that it uses
///    up are as it says; else it changes nothing. Of any number of changes of one state that begin or end logins,
///    or change the account, exactly one takes effect.
/// 7. The logins of a user are listed as they are, and no others.
/// 8. There is at most one token for a user, the last one that was put. A change that takes effect and sets a password
///    leaves none.
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

    /// Changes an account and its logins. Answers `false`, and changes nothing, when something is not (any more) as
    /// the change says.
    async fn change_account(&self, change: AccountChange) -> Result<bool, StoreError>;

    /// A login, unless it is over and forgotten.
    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError>;

    /// The logins of a user, the oldest first, up to [`crate::limits::LOGINS_PER_STEP`] of them.
    async fn families(&self, user: &UserId) -> Result<Vec<Family>, StoreError>;

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

    /// Keeps a token in the place of the user's former one. For who was erased nothing is kept.
    async fn put_reset(&self, reset: PasswordReset) -> Result<(), StoreError>;

    /// The token of a user, which may have expired.
    async fn reset(&self, user: &UserId) -> Result<Option<PasswordReset>, StoreError>;

    /// Deletes some of the tokens that have expired. Returns whether there may be more.
    async fn forget_resets(&self, now: Timestamp) -> Result<bool, StoreError>;

    /// Brings what an earlier version of the store wrote into the form that these calls rely on. To be called before
    /// they are; when there is nothing to do, it costs next to nothing.
    async fn upgrade_accounts(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
