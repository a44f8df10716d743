//! Erasing users, as one node does it.

use crate::{
    id::UserId,
    store::{Erasure, ErasureStore, Page, PageRequest, StoreError},
};
use async_trait::async_trait;

use super::NodeStore;

#[async_trait]
impl ErasureStore for NodeStore {
    async fn begin_erasure(&self, user: &UserId) -> Result<bool, StoreError> {
        self.writing().await?;
        let answer = self.inner.begin_erasure(user).await?;
        self.written().await?;
        Ok(answer)
    }

    async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError> {
        self.reading().await?;
        self.inner.erasure(user).await
    }

    async fn advance_erasure(&self, user: &UserId, to: Erasure) -> Result<(), StoreError> {
        self.writing().await?;
        self.inner.advance_erasure(user, to).await?;
        self.written().await
    }

    async fn erasures(&self, page: PageRequest) -> Result<Page<UserId>, StoreError> {
        self.reading().await?;
        self.inner.erasures(page).await
    }

    async fn erased_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, UserId)>, StoreError> {
        self.reading().await?;
        self.inner.erased_after(number, limit).await
    }

    async fn erase_rows(&self, user: &UserId, cursor: Option<String>) -> Result<Option<String>, StoreError> {
        self.writing().await?;
        let answer = self.inner.erase_rows(user, cursor).await?;
        self.written().await?;
        Ok(answer)
    }
}
