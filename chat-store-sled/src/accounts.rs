//! Own accounts, beside the rooms.

use async_trait::async_trait;
use chat_core::{
    accounts::{
        Account, AccountChange, AccountStore, CreateAccountError, Email, Family, FamilyId, NewAccount,
        PasswordReset,
    },
    id::UserId,
    store::StoreError,
    time::Timestamp,
};

use crate::SledStore;

#[async_trait]
impl AccountStore for SledStore {
    async fn create_account(&self, new: NewAccount) -> Result<(), CreateAccountError> {
        self.kv.create_account(new).await
    }

    async fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError> {
        self.kv.account(user).await
    }

    async fn account_with_email(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        self.kv.account_with_email(email).await
    }

    async fn change_account(&self, change: AccountChange) -> Result<bool, StoreError> {
        self.kv.change_account(change).await
    }

    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        self.kv.family(id).await
    }

    async fn families(&self, user: &UserId) -> Result<Vec<Family>, StoreError> {
        self.kv.families(user).await
    }

    async fn replace_family(&self, current: &Family, next: Option<Family>) -> Result<bool, StoreError> {
        self.kv.replace_family(current, next).await
    }

    async fn forget_families(
        &self,
        now: Timestamp,
        cursor: Option<FamilyId>,
    ) -> Result<Option<FamilyId>, StoreError> {
        self.kv.forget_families(now, cursor).await
    }

    async fn put_reset(&self, reset: PasswordReset) -> Result<(), StoreError> {
        self.kv.put_reset(reset).await
    }

    async fn reset(&self, user: &UserId) -> Result<Option<PasswordReset>, StoreError> {
        self.kv.reset(user).await
    }

    async fn forget_resets(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.kv.forget_resets(now).await
    }

    async fn upgrade_accounts(&self) -> Result<(), StoreError> {
        self.kv.upgrade_accounts().await
    }
}
