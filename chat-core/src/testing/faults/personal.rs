//! What is one user's, behind faults and delays.

use crate::{
    domain::{Entry, HeldMessage, Report},
    id::UserId,
    store::{GivenReaction, Page, PageRequest, PersonalStore, Store, StoreError},
};
use async_trait::async_trait;

use super::{Around, Decorated};

#[async_trait]
impl<S: Store, A: Around> PersonalStore for Decorated<S, A> {
    async fn authored(&self, user: &UserId, page: PageRequest) -> Result<Page<Entry>, StoreError> {
        self.around.before_read().await?;
        self.inner.authored(user, page).await
    }

    async fn reactions_by(
        &self,
        user: &UserId,
        page: PageRequest,
    ) -> Result<Page<GivenReaction>, StoreError> {
        self.around.before_read().await?;
        self.inner.reactions_by(user, page).await
    }

    async fn held_of(&self, user: &UserId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.around.before_read().await?;
        self.inner.held_of(user, page).await
    }

    async fn reports_by(&self, user: &UserId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.around.before_read().await?;
        self.inner.reports_by(user, page).await
    }
}
