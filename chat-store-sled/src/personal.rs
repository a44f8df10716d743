//! What is one user's.

use async_trait::async_trait;
use chat_core::{
    domain::{Entry, HeldMessage, Report},
    id::UserId,
    store::{GivenReaction, Page, PageRequest, PersonalStore, StoreError},
};

use crate::SledStore;

#[async_trait]
impl PersonalStore for SledStore {
    async fn authored(&self, user: &UserId, page: PageRequest) -> Result<Page<Entry>, StoreError> {
        self.kv.authored(user, page).await
    }

    async fn reactions_by(
        &self,
        user: &UserId,
        page: PageRequest,
    ) -> Result<Page<GivenReaction>, StoreError> {
        self.kv.reactions_by(user, page).await
    }

    async fn held_of(&self, user: &UserId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.kv.held_of(user, page).await
    }

    async fn reports_by(&self, user: &UserId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.kv.reports_by(user, page).await
    }
}
