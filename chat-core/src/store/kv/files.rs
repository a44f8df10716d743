//! Files over the layout.
//!
//! Where a file is posted follows from the rows of attachments alone: whatever request puts or removes one, the index
//! is brought in line in the same batch, by looking at what the request changed.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    KvStore, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    people::rows,
    read,
    request::{Refusal, Request},
    review,
    values::{self, v1},
};
use crate::{
    files::{
        CreateFileError, DueFile, FileId, FileRecord, FileStore, FileUsage, Posting, Purpose, Quota,
        Thumbnail,
    },
    id::UserId,
    limits::{FILE_POSTINGS_MAX, FILE_UNCLAIMED_MS},
    store::{Page, PageRequest, StoreError},
    time::Timestamp,
};

/// The second byte of keys of the table.
mod part {
    pub(super) const ROW: u8 = 0;
    pub(super) const BY_OWNER: u8 = 1;
    pub(super) const POSTED: u8 = 2;
    pub(super) const HELD: u8 = 3;
    pub(super) const DUE: u8 = 4;
    pub(super) const USAGE: u8 = 5;
}

/// The row of a file.
#[derive(Serialize, Deserialize)]
struct FileRow<'a> {
    #[serde(borrow)]
    owner: v1::Id<'a>,
    name: &'a str,
    mime: &'a str,
    size: u64,
    width: Option<u32>,
    height: Option<u32>,
    /// Media type, width, height.
    thumbnail: Option<(&'a str, u32, u32)>,
    purpose: u8,
    created_at: i64,
}

/// How much a user has.
#[derive(Serialize, Deserialize)]
struct UsageRow {
    files: u64,
    bytes: u64,
}

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

/// From when on it is due whose last posting is gone.
const AT_ONCE: Timestamp = Timestamp::from_millis(0);

fn row_key(id: FileId) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::ROW], id.as_bytes()])
}

fn owner_key(owner16: &Id16, id: FileId) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::BY_OWNER], owner16, id.as_bytes()])
}

/// Where the files of a user are listed.
pub(super) fn files_of_owner16(owner16: &Id16) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::BY_OWNER], owner16])
}

fn due_key(due: DueFile) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::DUE], &keys::sortable(due.at), due.file.as_bytes()])
}

fn usage_key(owner16: &Id16) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::USAGE], owner16])
}

fn id_in(key: &[u8], offset: usize) -> Result<FileId, StoreError> {
    keys::id_at(key, offset).map(FileId::from_bytes).ok_or_else(|| values::corrupt("a key of a file"))
}

/// The file in a key of the list of a user's files.
fn listed_file(key: &[u8]) -> Result<FileId, StoreError> {
    id_in(key, 18)
}

fn due_in(key: &[u8]) -> Result<DueFile, StoreError> {
    let at = keys::instant_at(key, 2).ok_or_else(|| values::corrupt("a key of a file that is due"))?;
    Ok(DueFile { at, file: id_in(key, 10)? })
}

/// Under which key it stands that a file is posted where this row of an attachment stands; `None` for other rows.
fn posting_key(attached: &[u8], id: FileId) -> Option<Vec<u8>> {
    match attached.first() {
        Some(&table::ATTACHMENT) => {
            Some(keys::key(table::FILE, &[&[part::POSTED], id.as_bytes(), attached.get(1..25)?]))
        }
        Some(&table::HELD) => {
            Some(keys::key(table::FILE, &[&[part::HELD], id.as_bytes(), attached.get(2..34)?]))
        }
        _ => None,
    }
}

/// The rows of attachments: those of messages, and those of held messages.
fn attached() -> [(Vec<u8>, Vec<u8>); 2] {
    [vec![table::ATTACHMENT], review::files_of_held()].map(|from| {
        let to = keys::after_prefix(&from);
        (from, to)
    })
}

/// The file that a row of an attachment names, if its id has the form of ours.
fn file_in(row: &[u8]) -> Result<Option<FileId>, StoreError> {
    Ok(FileId::parse(values::decode::<v1::Attachment<'_>>(row)?.file_id))
}

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
        if file.purpose == Purpose::Attachment {
            self.file_due(DueFile { at: file.created_at.plus_millis(FILE_UNCLAIMED_MS), file: file.id })?;
        }
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
        let mut in_use = file.purpose == Purpose::Avatar;
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

/// What is kept twice about files, compared: lists, sums, where files are posted, and that what nothing refers to is
/// due.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let of = |part: u8| rows(kv, &[table::FILE, part]);
    let mut files = BTreeMap::new();
    let mut usage: BTreeMap<Vec<u8>, FileUsage> = BTreeMap::new();
    let mut listed: BTreeSet<_> = of(part::BY_OWNER)?.into_iter().map(|(key, _)| key).collect();
    for (key, row) in of(part::ROW)? {
        let file = decode_file(id_in(&key, 2)?, &row)?;
        let owner16 = keys::user16(&file.owner);
        let used = usage.entry(usage_key(&owner16)).or_default();
        *used = used.with(file.size);
        if !listed.remove(&owner_key(&owner16, file.id)) {
            differences.push(format!("file {} is not listed as its owner's", file.id));
        }
        files.insert(file.id, file);
    }
    if !listed.is_empty() {
        differences.push(format!("{} files are listed that are not there", listed.len()));
    }
    for (key, row) in of(part::USAGE)? {
        if usage.remove(&key) != Some(decode_usage(Some(row))?) {
            differences.push("the files of a user are counted wrongly".to_owned());
        }
    }
    if !usage.is_empty() {
        differences.push(format!("the files of {} users are not counted", usage.len()));
    }
    let mut posted: BTreeSet<_> =
        [of(part::POSTED)?, of(part::HELD)?].concat().into_iter().map(|(key, _)| key).collect();
    let mut in_use = BTreeSet::new();
    let mut found = BTreeSet::new();
    for (from, _) in attached() {
        for (key, row) in rows(kv, &from)? {
            let Some(id) = file_in(&row)?.filter(|id| files.contains_key(id)) else { continue };
            in_use.insert(id);
            if let Some(posting) = posting_key(&key, id)
                && !posted.remove(&posting)
                && !found.contains(&posting)
            {
                differences.push(format!("file {id} is posted where its index does not say"));
            } else if let Some(posting) = posting_key(&key, id) {
                found.insert(posting);
            }
        }
    }
    if !posted.is_empty() {
        differences.push(format!("{} postings of files are listed that are not there", posted.len()));
    }
    let due = of(part::DUE)?.iter().map(|(key, _)| due_in(key)).collect::<Result<Vec<_>, _>>()?;
    let due: BTreeSet<_> = due.into_iter().map(|due| due.file).collect();
    for file in files.values() {
        if file.purpose == Purpose::Attachment && !in_use.contains(&file.id) && !due.contains(&file.id) {
            differences.push(format!("file {} is nobody's and not due", file.id));
        }
    }
    Ok(differences)
}

fn encode_file(file: &FileRecord) -> Result<Vec<u8>, StoreError> {
    values::encode(&FileRow {
        owner: v1::Id::of(file.owner.as_str()),
        name: &file.name,
        mime: &file.mime,
        size: file.size,
        width: file.width,
        height: file.height,
        thumbnail: file.thumbnail.as_ref().map(|small| (small.mime.as_str(), small.width, small.height)),
        purpose: match file.purpose {
            Purpose::Attachment => 0,
            Purpose::Avatar => 1,
        },
        created_at: file.created_at.as_millis(),
    })
}

fn decode_file(id: FileId, row: &[u8]) -> Result<FileRecord, StoreError> {
    let row: FileRow<'_> = values::decode(row)?;
    Ok(FileRecord {
        id,
        owner: row.owner.user()?,
        name: row.name.to_owned(),
        mime: row.mime.to_owned(),
        size: row.size,
        width: row.width,
        height: row.height,
        thumbnail: row.thumbnail.map(|(mime, width, height)| Thumbnail {
            mime: mime.to_owned(),
            width,
            height,
        }),
        purpose: match row.purpose {
            0 => Purpose::Attachment,
            1 => Purpose::Avatar,
            _ => return Err(values::corrupt("the purpose of a file")),
        },
        created_at: Timestamp::from_millis(row.created_at),
    })
}

fn decode_usage(row: Option<Vec<u8>>) -> Result<FileUsage, StoreError> {
    let Some(row) = row else { return Ok(FileUsage::default()) };
    let UsageRow { files, bytes } = values::decode(&row)?;
    Ok(FileUsage { files, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::{KvBatch, MemKv};

    fn record() -> FileRecord {
        FileRecord {
            id: FileId::from_bytes([7; 16]),
            owner: UserId::parse("ann").unwrap(),
            name: "n.png".into(),
            mime: "image/png".into(),
            size: 300,
            width: Some(2),
            height: Some(3),
            thumbnail: Some(Thumbnail { mime: "image/png".into(), width: 1, height: 2 }),
            purpose: Purpose::Avatar,
            created_at: Timestamp::from_millis(-1),
        }
    }

    /// The bytes as they stand in files that are out there: a change here needs a new version.
    #[test]
    fn the_stored_bytes_of_files_stay_as_they_are() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let row = encode_file(&record()).unwrap();
        assert_eq!(
            hex(&row),
            "010103616e6e056e2e706e6709696d6167652f706e67ac020102010301\
             09696d6167652f706e6701020101"
        );
        assert_eq!(decode_file(record().id, &row), Ok(record()));
        let plain = FileRecord { thumbnail: None, width: None, height: None, ..record() };
        assert_eq!(decode_file(plain.id, &encode_file(&plain).unwrap()), Ok(plain));
        let usage = values::encode(&UsageRow { files: 1, bytes: 300 }).unwrap();
        assert_eq!(hex(&usage), "0101ac02");
        let newer = [&[row[0] + 1], &row[1..]].concat();
        assert_eq!(decode_file(record().id, &newer), Err(StoreError::TooNew { found: newer[0] }));
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let kv = MemKv::new();
        let ann = keys::user16(&record().owner);
        let [file, other, lost] = [7, 8, 9].map(|byte| FileId::from_bytes([byte; 16]));
        let present = || Some(values::PRESENT.to_vec());
        let changes = vec![
            (row_key(file), Some(encode_file(&record()).unwrap())),
            (owner_key(&ann, other), present()),
            (usage_key(&ann), Some(values::encode(&UsageRow { files: 2, bytes: 2 }).unwrap())),
            (keys::key(table::FILE, &[&[part::POSTED], file.as_bytes(), &[0; 24]]), present()),
            (
                row_key(lost),
                Some(encode_file(&FileRecord { purpose: Purpose::Attachment, ..record() }).unwrap()),
            ),
            (owner_key(&ann, lost), present()),
        ];
        kv.apply(KvBatch { changes }).unwrap();
        let expected = [
            format!("file {file} is not listed as its owner's"),
            "1 files are listed that are not there".to_owned(),
            "the files of a user are counted wrongly".to_owned(),
            "1 postings of files are listed that are not there".to_owned(),
            format!("file {lost} is nobody's and not due"),
        ];
        assert_eq!(differences(&kv).unwrap(), expected);
    }
}
