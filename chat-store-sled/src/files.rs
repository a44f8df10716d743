//! Records of files, beside the rooms.

use async_trait::async_trait;
use chat_core::{
    files::{CreateFileError, DueFile, FileId, FileRecord, FileStore, FileUsage, Posting, Quota},
    id::UserId,
    store::{Page, PageRequest, StoreError},
    time::Timestamp,
};

use crate::SledStore;

#[async_trait]
impl FileStore for SledStore {
    async fn create_file(&self, file: FileRecord, quota: Quota) -> Result<(), CreateFileError> {
        self.kv.create_file(file, quota).await
    }

    async fn file(&self, id: FileId) -> Result<Option<FileRecord>, StoreError> {
        self.kv.file(id).await
    }

    async fn files_of(&self, owner: &UserId, page: PageRequest) -> Result<Page<FileRecord>, StoreError> {
        self.kv.files_of(owner, page).await
    }

    async fn file_usage(&self, owner: &UserId) -> Result<FileUsage, StoreError> {
        self.kv.file_usage(owner).await
    }

    async fn postings(&self, id: FileId) -> Result<Vec<Posting>, StoreError> {
        self.kv.postings(id).await
    }

    async fn due_files(&self, now: Timestamp, limit: usize) -> Result<Vec<DueFile>, StoreError> {
        self.kv.due_files(now, limit).await
    }

    async fn settle_file(&self, due: DueFile) -> Result<bool, StoreError> {
        self.kv.settle_file(due).await
    }

    async fn drop_file(&self, id: FileId) -> Result<(), StoreError> {
        self.kv.drop_file(id).await
    }

    async fn forget_file(&self, due: DueFile) -> Result<(), StoreError> {
        self.kv.forget_file(due).await
    }
}
