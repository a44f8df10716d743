//! The audit logs: records that are only ever appended, each chained to the one before.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{
    Direction, OrderedKv,
    group::Group,
    keys::{self, table},
    values::{self, v1},
    view::Visible,
};
use crate::{
    domain::{AuditHash, AuditNote, AuditRecord},
    id::RoomId,
    store::{Page, PageRequest, StoreError},
};

/// Records on a page at most, whatever is asked.
const PAGE_MAX: u64 = 200;

impl<K: OrderedKv> Group<'_, K> {
    /// Appends a record to a room's audit log.
    pub(super) fn audit(&mut self, room: &RoomId, note: &AuditNote) -> Result<(), StoreError> {
        let room16 = keys::room16(room);
        let head = match self.get(&keys::audit_head(&room16))? {
            Some(row) => values::decode(&row)?,
            None => v1::AuditHead::default(),
        };
        let record = AuditRecord::following(head.count, AuditHash(head.hash), room, note);
        self.put(keys::audit(&room16, record.number), values::encode_audit(&record)?)?;
        let head = v1::AuditHead { count: record.number, hash: record.hash.0 };
        self.put(keys::audit_head(&room16), values::encode(&head)?)
    }
}

/// Records of a room, the newest first. The cursor is the number of the last one seen; one that this store did not
/// make starts from the beginning.
pub(super) fn page<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    page: &PageRequest,
) -> Result<Page<AuditRecord>, StoreError> {
    let room16 = keys::room16(room);
    let newest = match rows.view().get(&keys::audit_head(&room16))? {
        Some(row) => values::decode::<v1::AuditHead>(&row)?.count,
        None => 0,
    };
    let seen = page.cursor.as_deref().and_then(|cursor| cursor.parse::<u64>().ok());
    let last = seen.map_or(newest, |seen| newest.min(seen.saturating_sub(1)));
    let limit = u64::try_from(page.limit).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let first = last.saturating_sub(limit - 1).max(1);
    // What stands up to the durable count never changes, so it needs no view.
    let mut items = Vec::new();
    for number in (first..=last).rev() {
        let row = rows.raw().get(&keys::audit(&room16, number))?;
        let row = row.ok_or_else(|| values::corrupt("an audit log with a hole"))?;
        items.push(values::decode_audit(number, &row)?);
    }
    let next = (first > 1 && !items.is_empty()).then(|| first.to_string());
    Ok(Page { items, next })
}

/// Follows every chain from its first record to its head.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let mut heads = BTreeMap::new();
    for (key, row) in table_rows(kv, table::AUDIT_HEAD)? {
        let room16 = keys::id_at(&key, 1).ok_or_else(|| values::corrupt("a key of an audit log"))?;
        heads.insert(room16, values::decode::<v1::AuditHead>(&row)?);
    }
    let mut chains: BTreeMap<_, (u64, AuditHash)> = BTreeMap::new();
    for (key, row) in table_rows(kv, table::AUDIT)? {
        let (Some(room16), Some(number)) = (keys::id_at(&key, 1), keys::seq_of(&key)) else {
            return Err(values::corrupt("a key of an audit log"));
        };
        let record = values::decode_audit(number.get(), &row)?;
        let (count, hash) = chains.entry(room16).or_default();
        if !record.is_intact() || keys::room16(&record.room) != room16 {
            differences.push(format!("record {number} of the audit log of {} was changed", record.room));
        }
        if record.number != *count + 1 || record.previous != *hash {
            differences.push(format!(
                "record {number} of the audit log of {} does not follow the one before",
                record.room
            ));
        }
        (*count, *hash) = (record.number, record.hash);
    }
    for (room16, head) in heads {
        if chains.remove(&room16).unwrap_or_default() != (head.count, AuditHash(head.hash)) {
            differences.push("an audit log does not end where it should".to_owned());
        }
    }
    if !chains.is_empty() {
        differences.push(format!("{} audit logs have no end", chains.len()));
    }
    Ok(differences)
}

#[allow(clippy::type_complexity, reason = "rows are keys and values")]
fn table_rows<K: OrderedKv>(kv: &K, table: u8) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(&[table], &keys::after_prefix(&[table]), Direction::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}
