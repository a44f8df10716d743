//! Files over the layout.
//!
//! Where a file is posted follows from the rows of attachments alone: whatever request puts or removes one, the index
//! is brought in line in the same batch, by looking at what the request changed.

mod differences;
mod rows;

pub(super) use self::{differences::differences, rows::files_of_owner16};

use async_trait::async_trait;

use self::rows::{
    UsageRow, attached, decode_file, decode_usage, due_in, due_key, encode_file, file_in, listed_file,
    owner_key, part, posting_key, row_key, usage_key,
};
use super::{
    KvStore, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    read,
    request::{Refusal, Request},
    values,
};
use crate::{
    files::{CreateFileError, DueFile, FileId, FileRecord, FileStore, FileUsage, Posting, Purpose, Quota},
    id::UserId,
    limits::{FILE_POSTINGS_MAX, FILE_UNCLAIMED_MS},
    store::{Page, PageRequest, StoreError, UserProfile},
    time::Timestamp,
};

/// A change of what is known of files.
#[derive(Debug)]
pub(super) enum FileRequest {
    Create(FileRecord, Quota),
    Settle(DueFile),
    Drop(FileId),
    Forget(DueFile),
}

/// Why a file is not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRefusal {
    OverQuota,
    Erased,
}

impl FileRequest {
    /// At most how many keys and about how many bytes this changes.
    pub(super) fn cost(&self) -> (usize, usize) {
        match self {
            Self::Create(file, _) => (4, 512 + file.name.len()),
            Self::Settle(_) => (4, 256),
            Self::Drop(_) => (4 + FILE_POSTINGS_MAX, 256),
            Self::Forget(_) => (1, 64),
        }
    }
}

/// Which of the files kept here a profile refers to: the one whose id is a segment of the URL.
pub(super) fn avatar_of(profile: &UserProfile) -> Option<FileId> {
    profile.avatar_url.as_deref()?.split('/').find_map(FileId::parse)
}

/// From when on it is due whose last posting is gone.
const AT_ONCE: Timestamp = Timestamp::from_millis(0);

#[async_trait]
impl<K: OrderedKv> FileStore for KvStore<K> {
    async fn create_file(&self, file: FileRecord, quota: Quota) -> Result<(), CreateFileError> {
        match self.write(Request::Files(Box::new(FileRequest::Create(file, quota)))).await {
            Ok(_) => Ok(()),
            Err(Refusal::Files(FileRefusal::OverQuota)) => Err(CreateFileError::OverQuota),
            Err(Refusal::Files(FileRefusal::Erased)) => Err(CreateFileError::Erased),
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }

    async fn file(&self, id: FileId) -> Result<Option<FileRecord>, StoreError> {
        let key = row_key(id);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| decode_file(id, &row)).transpose())
            .await
    }

    async fn files_of(&self, owner: &UserId, page: PageRequest) -> Result<Page<FileRecord>, StoreError> {
        let prefix = files_of_owner16(&keys::user16(owner));
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |key, _| {
                let id = listed_file(key)?;
                view.get(&row_key(id))?.map(|row| decode_file(id, &row)).transpose()
            })
        })
        .await
    }

    async fn file_usage(&self, owner: &UserId) -> Result<FileUsage, StoreError> {
        let key = usage_key(&keys::user16(owner));
        self.read(move |shared| decode_usage(shared.rows.view().get(&key)?)).await
    }

    async fn postings(&self, id: FileId) -> Result<Vec<Posting>, StoreError> {
        self.read(move |shared| {
            let view = shared.rows.view();
            let mut postings = Vec::new();
            for part in [part::POSTED, part::HELD] {
                let prefix = keys::key(table::FILE, &[&[part], id.as_bytes()]);
                let page = PageRequest::first(FILE_POSTINGS_MAX);
                let found = read::paged(&view, &prefix, &page, FILE_POSTINGS_MAX, |key, _| {
                    let room16 =
                        keys::id_at(key, 18).ok_or_else(|| values::corrupt("a key of a posted file"))?;
                    // A room that is gone has no readers.
                    let Some(room) = view.room(&room16)? else { return Ok(None) };
                    Ok(Some(match keys::seq_at(key, 34) {
                        Some(seq) if part == part::POSTED => Posting::Message { room: room.id, seq },
                        _ => Posting::Held { room: room.id },
                    }))
                })?;
                postings.extend(found.items);
            }
            postings.truncate(FILE_POSTINGS_MAX);
            Ok(postings)
        })
        .await
    }

    async fn due_files(&self, now: Timestamp, limit: usize) -> Result<Vec<DueFile>, StoreError> {
        let from = keys::key(table::FILE, &[&[part::DUE]]);
        let to = keys::key(table::FILE, &[&[part::DUE], &keys::sortable(now.plus_millis(1))]);
        self.read(move |shared| {
            let (mut due, mut failed) = (Vec::new(), None);
            shared.rows.view().scan(&from, &to, &mut |key, _| {
                match due_in(key) {
                    Ok(one) if due.len() < limit => due.push(one),
                    Ok(_) => return std::ops::ControlFlow::Break(()),
                    Err(error) => {
                        failed = Some(error);
                        return std::ops::ControlFlow::Break(());
                    }
                }
                std::ops::ControlFlow::Continue(())
            })?;
            failed.map_or(Ok(due), Err)
        })
        .await
    }

    async fn settle_file(&self, due: DueFile) -> Result<bool, StoreError> {
        self.change_files(FileRequest::Settle(due)).await
    }

    async fn drop_file(&self, id: FileId) -> Result<(), StoreError> {
        self.change_files(FileRequest::Drop(id)).await.map(drop)
    }

    async fn forget_file(&self, due: DueFile) -> Result<(), StoreError> {
        self.change_files(FileRequest::Forget(due)).await.map(drop)
    }
}

impl<K: OrderedKv> KvStore<K> {
    async fn change_files(&self, request: FileRequest) -> Result<bool, StoreError> {
        self.write(Request::Files(Box::new(request))).await.map_err(Refusal::into_store_error)
    }
}

impl<K: OrderedKv> Group<'_, K> {
    /// Carries out a change. Of a settlement it tells whether there is no record.
    pub(super) fn files(&mut self, request: &FileRequest) -> Result<bool, Refusal> {
        match request {
            FileRequest::Create(file, quota) => self.create_file(file, *quota).map(|()| false),
            FileRequest::Settle(due) => Ok(self.settle_file(*due)?),
            FileRequest::Drop(id) => Ok(self.drop_file(*id).map(|()| false)?),
            FileRequest::Forget(due) => {
                self.remove(due_key(*due));
                Ok(false)
            }
        }
    }

    fn create_file(&mut self, file: &FileRecord, quota: Quota) -> Result<(), Refusal> {
        if self.is_erased(&file.owner)? {
            return Err(Refusal::Files(FileRefusal::Erased));
        }
        let (key, owner16) = (row_key(file.id), keys::user16(&file.owner));
        if self.get(&key)?.is_some() {
            return Err(Refusal::IdTaken);
        }
        let usage = decode_usage(self.get(&usage_key(&owner16))?)?.with(file.size);
        if !usage.is_within(quota) {
            return Err(Refusal::Files(FileRefusal::OverQuota));
        }
        self.put_usage(&owner16, usage)?;
        self.put(key, encode_file(file)?)?;
        self.put(owner_key(&owner16, file.id), values::PRESENT.to_vec())?;
        self.file_due(DueFile { at: file.created_at.plus_millis(FILE_UNCLAIMED_MS), file: file.id })?;
        Ok(())
    }

    fn put_usage(&mut self, owner16: &Id16, usage: FileUsage) -> Result<(), StoreError> {
        let key = usage_key(owner16);
        if usage == FileUsage::default() {
            self.remove(key);
            return Ok(());
        }
        self.put(key, values::encode(&UsageRow { files: usage.files, bytes: usage.bytes })?)
    }

    fn file_due(&mut self, due: DueFile) -> Result<(), StoreError> {
        self.put(due_key(due), values::PRESENT.to_vec())
    }

    fn settle_file(&mut self, due: DueFile) -> Result<bool, StoreError> {
        let Some(row) = self.get(&row_key(due.file))? else { return Ok(true) };
        let file = decode_file(due.file, &row)?;
        let mut in_use = self.is_avatar(&file)?;
        for part in [part::POSTED, part::HELD] {
            let prefix = keys::key(table::FILE, &[&[part], due.file.as_bytes()]);
            in_use |= !self.keys_under(&prefix, 1)?.is_empty();
        }
        if in_use {
            self.remove(due_key(due));
            return Ok(false);
        }
        self.remove_record(&file)?;
        Ok(true)
    }

    fn drop_file(&mut self, id: FileId) -> Result<(), StoreError> {
        let Some(row) = self.get(&row_key(id))? else { return Ok(()) };
        let file = decode_file(id, &row)?;
        for part in [part::POSTED, part::HELD] {
            for key in self.keys_under(&keys::key(table::FILE, &[&[part], id.as_bytes()]), usize::MAX)? {
                self.remove(key);
            }
        }
        self.remove_record(&file)?;
        self.file_due(DueFile { at: AT_ONCE, file: id })
    }

    /// Whether it is an avatar that its owner's profile refers to.
    fn is_avatar(&mut self, file: &FileRecord) -> Result<bool, StoreError> {
        if file.purpose != Purpose::Avatar {
            return Ok(false);
        }
        let row = self.get(&keys::user(&keys::user16(&file.owner)))?;
        let profile = row.map(|row| values::decode_user(&row)).transpose()?;
        Ok(profile.is_some_and(|profile| avatar_of(&profile) == Some(file.id)))
    }

    /// Drops the avatar that a profile does not refer to any more.
    pub(super) fn drop_replaced_avatar(
        &mut self,
        before: &UserProfile,
        after: &UserProfile,
    ) -> Result<(), StoreError> {
        let replaced = avatar_of(before).filter(|id| avatar_of(after) != Some(*id));
        let Some(id) = replaced else { return Ok(()) };
        let Some(row) = self.get(&row_key(id))? else { return Ok(()) };
        let file = decode_file(id, &row)?;
        // Whatever else a profile may refer to is not let go by that.
        if file.purpose == Purpose::Avatar && file.owner == before.id {
            self.drop_file(id)?;
        }
        Ok(())
    }

    fn remove_record(&mut self, file: &FileRecord) -> Result<(), StoreError> {
        let owner16 = keys::user16(&file.owner);
        let usage = decode_usage(self.get(&usage_key(&owner16))?)?.without(file.size);
        self.put_usage(&owner16, usage)?;
        self.remove(owner_key(&owner16, file.id));
        self.remove(row_key(file.id));
        Ok(())
    }

    /// Drops the file of a row that lists it as an erased user's.
    pub(super) fn erase_file(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.drop_file(listed_file(key)?)
    }

    /// Brings where files are posted in line with the attachments that the request at hand puts and removes.
    pub(super) fn index_postings(&mut self) -> Result<(), StoreError> {
        for (from, to) in attached() {
            for (key, value) in self.changed_between(&from, &to) {
                if let Some(row) = &value
                    && let Some((id, posting)) = self.posting(&key, row)?
                    && self.get(&row_key(id))?.is_some()
                {
                    self.put(posting, values::PRESENT.to_vec())?;
                } else if value.is_none()
                    && let Some(row) = self.before(&key)?
                    && let Some((id, posting)) = self.posting(&key, &row)?
                    && self.get(&posting)?.is_some()
                {
                    self.remove(posting);
                    self.file_due(DueFile { at: AT_ONCE, file: id })?;
                }
            }
        }
        Ok(())
    }

    fn posting(&self, attached: &[u8], row: &[u8]) -> Result<Option<(FileId, Vec<u8>)>, StoreError> {
        let Some(id) = file_in(row)? else { return Ok(None) };
        Ok(posting_key(attached, id).map(|key| (id, key)))
    }
}
