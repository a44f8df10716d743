//! The logins of a user: listed, and ended.

use std::cmp::Reverse;

use super::{Account, AccountChange, AccountError, Accounts, Device, Family, FamilyId};
use crate::{
    id::UserId,
    limits::{ACCOUNT_RETRIES_MAX, LOGINS_PER_STEP, ROTATION_RETRIES_MAX},
    store::StoreError,
    time::Timestamp,
};

/// A login, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub id: FamilyId,
    /// What logged in, as it called itself.
    pub device: Device,
    /// When.
    pub created_at: Timestamp,
    /// When it was renewed last.
    pub last_used_at: Timestamp,
}

impl Accounts {
    /// The logins of a user that are not over, the most recently used first.
    ///
    /// # Errors
    /// That they can't be looked up now.
    pub async fn logins(&self, user: &UserId) -> Result<Vec<Login>, AccountError> {
        let now = self.inner.clock.now();
        let mut families = self.inner.store.families(user).await?;
        families.retain(|family| family.expires_at() > now);
        families.sort_by_key(|family| Reverse((family.rotated_at, family.id)));
        Ok(families.into_iter().map(login_of).collect())
    }

    /// Ends a login: neither its refresh tokens nor, where [`Accounts::check_login`] is asked, its access tokens are
    /// good from here on. Who is connected by it is to be disconnected
    /// ([`crate::engine::Engine::disconnect_login`]). What has ended already stays so: then, and when the login is
    /// somebody else's, the answer is `false`.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn logout(&self, user: &UserId, login: FamilyId) -> Result<bool, AccountError> {
        for _ in 0..ROTATION_RETRIES_MAX {
            let family = self.inner.store.family(login).await?;
            let Some(family) = family.filter(|family| family.user == *user) else { return Ok(false) };
            if self.inner.store.replace_family(&family, None).await? {
                tracing::info!(%user, %login, "logged out");
                return Ok(true);
            }
        }
        Err(AccountError::Unavailable)
    }

    /// Ends all logins of a user, all at once, as [`Accounts::logout`] ends one. Returns which they were: who is
    /// connected by one of them is to be disconnected.
    ///
    /// # Errors
    /// That it can't be done now.
    pub async fn end_all_logins(&self, user: &UserId) -> Result<Vec<FamilyId>, AccountError> {
        for _ in 0..ACCOUNT_RETRIES_MAX {
            let Some(account) = self.inner.store.account(user).await? else { return Ok(Vec::new()) };
            if let Some(ended) = self.change(account, None, AccountChange::of).await? {
                return Ok(ended);
            }
        }
        Err(AccountError::Unavailable)
    }

    /// Changes an account as `plan` says and ends its logins, but for `kept`, along with it. Returns which ended, or
    /// `None` when the account is not any more as it was read. Whatever fails once something may have ended is
    /// [`AccountError::Doubtful`].
    pub(super) async fn change(
        &self,
        account: Account,
        kept: Option<FamilyId>,
        plan: impl Fn(Account, &[Family]) -> AccountChange,
    ) -> Result<Option<Vec<FamilyId>>, AccountError> {
        let store = &self.inner.store;
        let mut ended = Vec::new();
        let mut changed: Option<Account> = None;
        let doubtful = |error: StoreError| {
            tracing::warn!(%error, user = %account.user, "whether logins have ended is not known");
            AccountError::Doubtful { user: account.user.clone() }
        };
        for _ in 0..ACCOUNT_RETRIES_MAX {
            let logins = store.families(&account.user).await;
            let logins = match &changed {
                None => logins?,
                // Some have ended by now.
                Some(_) => logins.map_err(doubtful)?,
            };
            let end: Vec<_> = logins.iter().map(|family| family.id).filter(|id| Some(*id) != kept).collect();
            // Only who logged in before their number was bounded needs a second step.
            let change = match &changed {
                None => plan(account.clone(), &logins),
                Some(_) if end.is_empty() => return Ok(Some(ended)),
                Some(account) => AccountChange::of(account.clone(), &logins),
            };
            let change = AccountChange { end: end.clone(), ..change };
            let next = change.next();
            if store.change_account(change).await.map_err(doubtful)? {
                ended.extend(end);
                if logins.len() < LOGINS_PER_STEP {
                    return Ok(Some(ended));
                }
                changed = Some(next);
            } else {
                let now = store.account(&account.user).await;
                let now = if changed.is_some() { now.map_err(doubtful)? } else { now? };
                if now.as_ref() != Some(changed.as_ref().unwrap_or(&account)) {
                    return Ok(changed.map(|_| ended));
                }
            }
        }
        match changed {
            None => Err(AccountError::Unavailable),
            Some(account) => Err(AccountError::Doubtful { user: account.user }),
        }
    }
}

fn login_of(family: Family) -> Login {
    let Family { id, device, created_at, rotated_at, .. } = family;
    Login { id, device, created_at, last_used_at: rotated_at }
}
