//! Erasing users, behind faults and delays.

use crate::{
    id::UserId,
    store::{Erasure, ErasureStore, Page, PageRequest, Store, StoreError},
};
use async_trait::async_trait;

use super::{Around, Decorated};

#[async_trait]
impl<S: Store, A: Around> ErasureStore for Decorated<S, A> {
    async fn begin_erasure(&self, user: &UserId) -> Result<bool, StoreError> {
        let forget = self.around.before_write().await?;
        let answer = self.inner.begin_erasure(user).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(answer) }
    }

    async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError> {
        self.around.before_read().await?;
        self.inner.erasure(user).await
    }

    async fn advance_erasure(&self, user: &UserId, to: Erasure) -> Result<(), StoreError> {
        let forget = self.around.before_write().await?;
        self.inner.advance_erasure(user, to).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(()) }
    }

    async fn erasures(&self, page: PageRequest) -> Result<Page<UserId>, StoreError> {
        self.around.before_read().await?;
        self.inner.erasures(page).await
    }

    async fn erased_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, UserId)>, StoreError> {
        self.around.before_read().await?;
        self.inner.erased_after(number, limit).await
    }

    async fn erase_rows(&self, user: &UserId, cursor: Option<String>) -> Result<Option<String>, StoreError> {
        let forget = self.around.before_write().await?;
        let answer = self.inner.erase_rows(user, cursor).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(answer) }
    }
}
