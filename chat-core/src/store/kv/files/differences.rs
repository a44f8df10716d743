//! What is kept twice about files, compared.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        OrderedKv,
        keys::{self, table},
        people::rows,
        values,
    },
    avatar_of,
    rows::{
        attached, decode_file, decode_usage, due_in, file_in, id_in, owner_key, part, posting_key, usage_key,
    },
};
use crate::{
    files::{FileUsage, Purpose},
    store::StoreError,
};

/// Lists and sums are what they are made of, postings stand where the index says, and what nothing refers to is due.
pub(in super::super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
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
        let profile = match file.purpose {
            Purpose::Attachment => None,
            Purpose::Avatar => kv.get(&keys::user(&keys::user16(&file.owner)))?,
        };
        let profile = profile.map(|row| values::decode_user(&row)).transpose()?;
        // The files of who is being erased go one after the other.
        let is_avatar =
            profile.is_some_and(|profile| profile.is_erased() || avatar_of(&profile) == Some(file.id));
        if !is_avatar && !in_use.contains(&file.id) && !due.contains(&file.id) {
            differences.push(format!("file {} is nobody's and not due", file.id));
        }
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{KvBatch, MemKv},
            rows::{UsageRow, encode_file, row_key, tests::record},
        },
        *,
    };
    use crate::files::{FileId, FileRecord};

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
            format!("file {file} is nobody's and not due"),
            format!("file {lost} is nobody's and not due"),
        ];
        assert_eq!(differences(&kv).unwrap(), expected);
    }
}
