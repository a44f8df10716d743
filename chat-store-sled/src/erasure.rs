//! Erasing users.

use async_trait::async_trait;
use chat_core::{
    id::UserId,
    store::{Erasure, ErasureStore, Page, PageRequest, StoreError},
};

use crate::SledStore;

#[async_trait]
impl ErasureStore for SledStore {
    async fn begin_erasure(&self, user: &UserId) -> Result<bool, StoreError> {
        self.kv.begin_erasure(user).await
    }

    async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError> {
        self.kv.erasure(user).await
    }

    async fn advance_erasure(&self, user: &UserId, to: Erasure) -> Result<(), StoreError> {
        self.kv.advance_erasure(user, to).await
    }

    async fn erasures(&self, page: PageRequest) -> Result<Page<UserId>, StoreError> {
        self.kv.erasures(page).await
    }

    async fn erased_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, UserId)>, StoreError> {
        self.kv.erased_after(number, limit).await
    }

    async fn erase_rows(&self, user: &UserId, cursor: Option<String>) -> Result<Option<String>, StoreError> {
        self.kv.erase_rows(user, cursor).await
    }
}
