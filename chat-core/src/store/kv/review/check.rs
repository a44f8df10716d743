//! Recounts what is kept of held messages and reports in several places.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::place::{
    OPEN, RESOLVED, file_key, held_by_author, held_by_key, held_row, part, report_by_author,
    report_by_reporter, report_row, text_prefix,
};
use crate::{
    id::{ClientMessageId, HeldId, ReportId, Seq},
    store::{
        StoreError,
        kv::{
            Direction, OrderedKv,
            keys::{self, Id16, table},
            values::{self, v1},
        },
    },
};

/// What is kept twice about held messages and reports, compared: each is counted, found by its author, and stands
/// under its own key; nothing else is there.
pub(in super::super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut expected = BTreeSet::new();
    let mut counts = std::collections::BTreeMap::<(u8, Id16), u32>::new();
    let mut found = BTreeSet::new();
    let mut said = std::collections::BTreeMap::new();
    for table in [table::HELD, table::REPORT] {
        for (key, row) in rows(kv, table)? {
            let room16 =
                keys::id_at(&key, 2).ok_or_else(|| values::corrupt("a key of what is to be reviewed"))?;
            match key[1] {
                part::ROW => {
                    *counts.entry((table, room16)).or_default() += 1;
                    let (own, continued, id16) = match table {
                        table::HELD => expect_held(&room16, &row, &mut expected)?,
                        _ => expect_report(&room16, &row, &mut expected)?,
                    };
                    expected.insert(own);
                    expect_text(kv, table, &room16, &id16, continued, &mut expected)?;
                    found.insert(key);
                }
                part::COUNT => {
                    said.insert((table, room16), values::decode::<v1::Count>(&row)?.count);
                }
                _ => drop(found.insert(key)),
            }
        }
    }
    let mut differences = Vec::new();
    let (missing, extra) = (expected.difference(&found).count(), found.difference(&expected).count());
    if (missing, extra) != (0, 0) {
        differences
            .push(format!("of what is to be reviewed {missing} rows are missing and {extra} left over"));
    }
    if counts != said {
        differences.push("what is to be reviewed is counted wrongly".to_owned());
    }
    Ok(differences)
}

type Expected = BTreeSet<Vec<u8>>;

fn expect_held(
    room16: &Id16,
    row: &[u8],
    expected: &mut Expected,
) -> Result<(Vec<u8>, u32, Id16), StoreError> {
    let row: v1::Held<'_> = values::decode(row)?;
    let id = row.id.parse(HeldId::parse)?;
    let author16 = keys::user16(&row.author.user()?);
    if let Some(client) = &row.client_message_id {
        expected.insert(held_by_key(&author16, room16, &client.parse(ClientMessageId::parse)?));
    }
    expected.insert(held_by_author(&author16, room16, &id));
    expected.extend((0..row.attachments).map(|number| file_key(table::HELD, room16, id.as_str(), number)));
    Ok((held_row(room16, &id), row.continued, keys::id16(id.as_str())))
}

fn expect_report(
    room16: &Id16,
    row: &[u8],
    expected: &mut Expected,
) -> Result<(Vec<u8>, u32, Id16), StoreError> {
    let row: v1::Report<'_> = values::decode(row)?;
    let id = row.id.parse(ReportId::parse)?;
    expected.insert(report_by_reporter(&keys::user16(&row.reporter.user()?), room16, Seq::new(row.seq)));
    expected.insert(report_by_author(&keys::user16(&row.author.user()?), room16, &id));
    expected.extend((0..row.attachments).map(|number| file_key(table::REPORT, room16, id.as_str(), number)));
    let state = if row.resolved.is_some() { RESOLVED } else { OPEN };
    Ok((report_row(room16, state, &id), row.continued, keys::id16(id.as_str())))
}

fn expect_text<K: OrderedKv>(
    kv: &K,
    table: u8,
    room16: &Id16,
    id16: &Id16,
    continued: u32,
    expected: &mut Expected,
) -> Result<(), StoreError> {
    let prefix = text_prefix(table, room16, id16);
    let (mut bytes, mut number) = (0, 0_u16);
    while bytes < continued as usize {
        let key = [prefix.as_slice(), &number.to_be_bytes()].concat();
        bytes += kv.get(&key)?.map_or(continued as usize, |part| part.len());
        expected.insert(key);
        number += 1;
    }
    Ok(())
}

/// A row.
pub(super) type KeyValue = (Vec<u8>, Vec<u8>);

pub(super) fn rows<K: OrderedKv>(kv: &K, table: u8) -> Result<Vec<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}
