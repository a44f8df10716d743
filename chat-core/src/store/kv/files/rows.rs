//! What stands in the rows of files, and where they stand.

use serde::{Deserialize, Serialize};

use super::super::{
    keys::{self, Id16, table},
    review,
    values::{self, v1},
};
use crate::{
    files::{DueFile, FileId, FileRecord, FileUsage, Purpose, Thumbnail},
    store::StoreError,
    time::Timestamp,
};

/// The second byte of keys of the table.
pub(super) mod part {
    pub(in super::super) const ROW: u8 = 0;
    pub(in super::super) const BY_OWNER: u8 = 1;
    pub(in super::super) const POSTED: u8 = 2;
    pub(in super::super) const HELD: u8 = 3;
    pub(in super::super) const DUE: u8 = 4;
    pub(in super::super) const USAGE: u8 = 5;
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
pub(super) struct UsageRow {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

pub(super) fn row_key(id: FileId) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::ROW], id.as_bytes()])
}

pub(super) fn owner_key(owner16: &Id16, id: FileId) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::BY_OWNER], owner16, id.as_bytes()])
}

/// Where the files of a user are listed.
pub(in super::super) fn files_of_owner16(owner16: &Id16) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::BY_OWNER], owner16])
}

pub(super) fn due_key(due: DueFile) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::DUE], &keys::sortable(due.at), due.file.as_bytes()])
}

pub(super) fn usage_key(owner16: &Id16) -> Vec<u8> {
    keys::key(table::FILE, &[&[part::USAGE], owner16])
}

pub(super) fn id_in(key: &[u8], offset: usize) -> Result<FileId, StoreError> {
    keys::id_at(key, offset).map(FileId::from_bytes).ok_or_else(|| values::corrupt("a key of a file"))
}

/// The file in a key of the list of a user's files.
pub(super) fn listed_file(key: &[u8]) -> Result<FileId, StoreError> {
    id_in(key, 18)
}

pub(super) fn due_in(key: &[u8]) -> Result<DueFile, StoreError> {
    let at = keys::instant_at(key, 2).ok_or_else(|| values::corrupt("a key of a file that is due"))?;
    Ok(DueFile { at, file: id_in(key, 10)? })
}

/// Under which key it stands that a file is posted where this row of an attachment stands; `None` for other rows.
pub(super) fn posting_key(attached: &[u8], id: FileId) -> Option<Vec<u8>> {
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
pub(super) fn attached() -> [(Vec<u8>, Vec<u8>); 2] {
    [vec![table::ATTACHMENT], review::files_of_held()].map(|from| {
        let to = keys::after_prefix(&from);
        (from, to)
    })
}

/// The file that a row of an attachment names, if its id has the form of ours.
pub(super) fn file_in(row: &[u8]) -> Result<Option<FileId>, StoreError> {
    Ok(FileId::parse(values::decode::<v1::Attachment<'_>>(row)?.file_id))
}

pub(super) fn encode_file(file: &FileRecord) -> Result<Vec<u8>, StoreError> {
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

pub(super) fn decode_file(id: FileId, row: &[u8]) -> Result<FileRecord, StoreError> {
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

pub(super) fn decode_usage(row: Option<Vec<u8>>) -> Result<FileUsage, StoreError> {
    let Some(row) = row else { return Ok(FileUsage::default()) };
    let UsageRow { files, bytes } = values::decode(&row)?;
    Ok(FileUsage { files, bytes })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::id::UserId;

    pub(in super::super) fn record() -> FileRecord {
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
}
