//! Presence over the layout: what is kept of it, and who may know of whom.

use std::{collections::HashSet, ops::ControlFlow};

use super::{
    Direction, OrderedKv,
    keys::{self, table},
    values::{self, v1},
    view::Visible,
};
use crate::{
    domain::{KeptPresence, PresenceMode, StatusText},
    id::UserId,
    limits::PRESENCES_SAVED_AT_ONCE,
    store::StoreError,
    time::Timestamp,
};

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// The rows that keep these presences.
pub(super) fn rows(presences: &[(UserId, KeptPresence)]) -> Result<Vec<Row>, StoreError> {
    if presences.len() > PRESENCES_SAVED_AT_ONCE {
        return Err(StoreError::TooLarge);
    }
    let row = |(user, kept): &(UserId, KeptPresence)| {
        Ok((keys::presence(&keys::user16(user)), encode_presence(user, kept)?))
    };
    presences.iter().map(row).collect()
}

pub(super) fn presences<K: OrderedKv>(
    rows: &Visible<K>,
    users: &[UserId],
) -> Result<Vec<Option<KeptPresence>>, StoreError> {
    let kept = |user: &UserId| {
        let row = rows.view().get(&keys::presence(&keys::user16(user)))?;
        row.map(|row| decode_presence(&row).map(|(_, kept)| kept)).transpose()
    };
    users.iter().map(kept).collect()
}

/// Looks at keys alone, at most those of all the rooms of the users.
pub(super) fn share_rooms<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    others: &[UserId],
) -> Result<Vec<bool>, StoreError> {
    let view = rows.view();
    let rooms_of = |user: &UserId, visit: &mut dyn FnMut(keys::Id16) -> ControlFlow<()>| {
        let prefix = keys::key(table::ROOM_OF_USER, &[&keys::user16(user)]);
        view.scan(&prefix, &keys::after_prefix(&prefix), &mut |key, _| {
            keys::id_at(key, 17).map_or(ControlFlow::Continue(()), &mut *visit)
        })
    };
    let mut own = HashSet::new();
    rooms_of(user, &mut |room16| {
        own.insert(room16);
        ControlFlow::Continue(())
    })?;
    let shares = |other: &UserId| {
        let mut shared = Ok(false);
        rooms_of(other, &mut |room16| {
            if own.contains(&room16) {
                // Memberships outlast a deleted room for a while.
                shared = view.room(&room16).map(|room| room.is_some_and(|room| !room.deleted));
            }
            if let Ok(false) = shared { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        shared
    };
    others.iter().map(shares).collect()
}

pub(super) fn encode_presence(user: &UserId, kept: &KeptPresence) -> Result<Vec<u8>, StoreError> {
    values::encode(&v1::Presence {
        user: v1::Id::of(user.as_str()),
        mode: match kept.mode {
            PresenceMode::Available => 0,
            PresenceMode::Dnd => 1,
            PresenceMode::Invisible => 2,
        },
        text: kept.text.as_str().unwrap_or_default(),
        last_seen: kept.last_seen.map(Timestamp::as_millis),
    })
}

pub(super) fn decode_presence(bytes: &[u8]) -> Result<(UserId, KeptPresence), StoreError> {
    let row: v1::Presence<'_> = values::decode(bytes)?;
    let kept = KeptPresence {
        mode: match row.mode {
            0 => PresenceMode::Available,
            1 => PresenceMode::Dnd,
            2 => PresenceMode::Invisible,
            _ => return Err(values::corrupt("the mode of a presence")),
        },
        text: StatusText::from_stored(row.text),
        last_seen: row.last_seen.map(Timestamp::from_millis),
    };
    Ok((row.user.user()?, kept))
}

/// Presences that stand under another key than their user's, and those of nobody.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let (mut rows, mut differences) = (Vec::new(), Vec::new());
    let from = [table::PRESENCE];
    kv.scan(&from, &keys::after_prefix(&from), Direction::Ascending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    for (key, row) in rows {
        let (user, _) = decode_presence(&row)?;
        if key != keys::presence(&keys::user16(&user)) {
            differences.push(format!("the presence of {user} stands under another key"));
        }
        if kv.get(&keys::user(&keys::user16(&user)))?.is_none() {
            differences.push(format!("there is a presence of {user}, who has no profile"));
        }
    }
    Ok(differences)
}
