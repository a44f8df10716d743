//! What is one user's, as one node reaches it.

use crate::{
    domain::{Entry, HeldMessage, Report},
    id::UserId,
    store::{GivenReaction, Page, PageRequest, PersonalStore, StoreError},
};
use async_trait::async_trait;

use super::NodeStore;

#[async_trait]
impl PersonalStore for NodeStore {
    async fn authored(&self, user: &UserId, page: PageRequest) -> Result<Page<Entry>, StoreError> {
        self.reading().await?;
        self.inner.authored(user, page).await
    }

    async fn reactions_by(
        &self,
        user: &UserId,
        page: PageRequest,
    ) -> Result<Page<GivenReaction>, StoreError> {
        self.reading().await?;
        self.inner.reactions_by(user, page).await
    }

    async fn held_of(&self, user: &UserId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.reading().await?;
        self.inner.held_of(user, page).await
    }

    async fn reports_by(&self, user: &UserId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.reading().await?;
        self.inner.reports_by(user, page).await
    }
}
