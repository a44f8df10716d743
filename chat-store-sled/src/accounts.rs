//! Own accounts, beside the rooms.

use async_trait::async_trait;
use chat_core::{
    accounts::{Account, AccountStore, CreateAccountError, Email, Family, FamilyId, NewAccount},
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

    async fn create_family(&self, family: Family) -> Result<(), StoreError> {
        self.kv.create_family(family).await
    }

    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        self.kv.family(id).await
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
}
