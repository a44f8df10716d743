//! Recounting erasures: what is left of whom.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{decode_erased, number_key, part, row_key, stage_of, under_way_key};
use crate::{
    id::UserId,
    store::{
        ErasureStage, StoreError,
        kv::{
            Direction, OrderedKv, files,
            keys::{self, Id16, table},
            people::rows,
            review,
            values::{self, v1},
        },
    },
};

/// Users who are erased but shown as somebody, and who are shown as erased but are not; erasures that are listed
/// wrongly; and what is left of those whose erasure is at its end.
pub(in super::super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let mut listed: BTreeMap<_, _> = rows(kv, &[table::ERASURE])?.into_iter().collect();
    for (key, row) in rows(kv, &[table::ERASURE, part::ROW])? {
        listed.remove(&key);
        let row: v1::Erasure<'_> = values::decode(&row)?;
        let (user, stage) = (row.user.user()?, stage_of(row.stage)?);
        let user16 = keys::user16(&user);
        if key != row_key(&user16) {
            differences.push(format!("the erasure of {user} stands under another key"));
        }
        let numbered = listed.remove(&number_key(row.number)).map(|row| decode_erased(&row)).transpose()?;
        if numbered != Some((row.number, user.clone())) {
            differences.push(format!("the erasure of {user} is not told under its number"));
        }
        if listed.remove(&under_way_key(&user16)).is_some() == (stage == ErasureStage::Done) {
            differences.push(format!("the erasure of {user} is listed wrongly"));
        }
        let profile = kv.get(&keys::user(&user16))?.map(|row| values::decode_user(&row)).transpose()?;
        if profile.is_none_or(|profile| !profile.is_erased()) {
            differences.push(format!("user {user} is erased and still has a name"));
        }
        if kv.get(&keys::presence(&user16))?.is_some() {
            differences.push(format!("user {user} is erased and still has a presence"));
        }
        if stage == ErasureStage::Done {
            leftovers(kv, &user, &user16, &mut differences)?;
        }
    }
    if !listed.is_empty() {
        differences.push(format!("{} rows are about erasures that are not there", listed.len()));
    }
    for (_, row) in rows(kv, &[table::USER])? {
        let user = values::decode_user(&row)?;
        if user.is_erased() && !is_erased(kv, &keys::user16(&user.id))? {
            differences.push(format!("user {} is called erased and is not", user.id));
        }
    }
    Ok(differences)
}

/// Whether the erasure of a user was begun.
pub(in super::super) fn is_erased<K: OrderedKv>(kv: &K, user16: &Id16) -> Result<bool, StoreError> {
    Ok(kv.get(&row_key(user16))?.is_some())
}

/// What an erasure that is at its end should have deleted.
fn leftovers<K: OrderedKv>(
    kv: &K,
    user: &UserId,
    user16: &Id16,
    differences: &mut Vec<String>,
) -> Result<(), StoreError> {
    let own = [
        ("reports", review::reports_of_reporter16(user16)),
        ("reported messages", review::reports_of_author16(user16)),
        ("held messages", review::held_of_author16(user16)),
        ("markers", keys::key(table::MARKER, &[user16])),
        ("markers of what was delivered", keys::key(table::DELIVERED, &[user16])),
        ("rooms", keys::key(table::ROOM_OF_USER, &[user16])),
        ("invitations", keys::invites_of_user(user16)),
        ("blocks", keys::blocks(user16)),
        ("files", files::files_of_owner16(user16)),
    ];
    for (what, prefix) in own {
        if !rows(kv, &prefix)?.is_empty() {
            differences.push(format!("user {user} is erased and still has {what}"));
        }
    }
    for (key, _) in rows(kv, &keys::key(table::AUTHOR, &[user16]))? {
        let (Some(room16), Some(seq)) = (keys::id_at(&key, 17), keys::seq_at(&key, 33)) else {
            return Err(values::corrupt("a key of the index of authors"));
        };
        let Some(row) = kv.get(&keys::message(&room16, seq))? else { continue };
        let row = values::decode_message_row(&row)?;
        if row.deleted.is_none() || row.client_message_id.is_some() {
            differences.push(format!("user {user} is erased and message {seq} of theirs is not"));
        }
    }
    // Keys of what was sent, sanctions and reactions have no list of the user's own.
    let mut left = 0;
    for (table, offset) in [(table::SENT, 3), (table::SANCTION, 17), (table::MEMBER, 17)] {
        kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |key, _| {
            left += u32::from(keys::id_at(key, offset).is_some_and(|found| found == *user16));
            ControlFlow::Continue(())
        })?;
    }
    if left > 0 {
        differences.push(format!("user {user} is erased and {left} rows of theirs are left"));
    }
    Ok(())
}
