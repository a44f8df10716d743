//! Finding and deleting what an erased user has left outside of logs.

use crate::{
    id::{HeldId, Seq, UserId},
    limits::{ERASED_ROWS_AT_ONCE, STORE_NAMES_SCANNED_MAX},
    store::{Page, PageRequest, StoreError},
};

use super::super::{
    OrderedKv, files,
    group::Group,
    invites,
    keys::{self, Id16, table},
    read, review,
    values::{self, v1},
    view::View,
};

/// Rows that one row of a user takes along, as a rule.
pub(super) const CHANGES_PER_ROW: usize = 6;

/// Rows to delete, and where to look on.
pub(super) struct Found {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) next: Option<String>,
}

/// One list to go through.
struct List {
    prefix: Vec<u8>,
    /// Whether the list is of all users, so that the row has to say whose it is.
    of_all: bool,
}

/// The lists, in an order that leaves the store right after each row: a key of what was sent goes before the message
/// forgets it.
fn lists(user16: &Id16, weeks: &[u16]) -> Vec<List> {
    let own = |prefix| List { prefix, of_all: false };
    let all = |prefix| List { prefix, of_all: true };
    let mut lists = vec![
        own(review::reports_of_reporter16(user16)),
        own(review::reports_of_author16(user16)),
        own(review::held_of_author16(user16)),
        own(keys::key(table::MARKER, &[user16])),
        own(keys::key(table::DELIVERED, &[user16])),
        own(keys::key(table::ROOM_OF_USER, &[user16])),
        own(keys::invites_of_user(user16)),
        own(keys::blocks(user16)),
        own(files::files_of_owner16(user16)),
        all(vec![table::INVITE]),
        all(keys::key(table::LINK, &[&[1]])),
        all(vec![table::SANCTION]),
        #[cfg(feature = "accounts")]
        all(vec![table::FAMILY]),
    ];
    lists.extend(weeks.iter().map(|week| own([keys::sent_week(*week).as_slice(), user16].concat())));
    lists.push(own(keys::key(table::AUTHOR, &[user16])));
    lists
}

/// Looks on from a cursor. A list is named in it by its prefix, so that it stays right when a week passes.
pub(super) fn find<K: OrderedKv>(
    view: &View<'_, K>,
    user16: &Id16,
    weeks: &[u16],
    cursor: Option<&str>,
) -> Result<Found, StoreError> {
    let lists = lists(user16, weeks);
    let (named, rest) = cursor.map_or(("", None), |cursor| match cursor.split_once('.') {
        Some((named, rest)) => (named, Some(rest.to_owned())),
        None => (cursor, None),
    });
    // A list that is not there any more was one of keys that were swept: all is gone through again.
    let place = lists.iter().position(|list| read::hex(&list.prefix) == named);
    let (place, rest) = place.map_or((0, None), |place| (place, rest));
    let Some(list) = lists.get(place) else { return Ok(Found { keys: Vec::new(), next: None }) };
    let page = PageRequest { cursor: rest, limit: ERASED_ROWS_AT_ONCE };
    let Page { items, next } =
        read::paged(view, &list.prefix, &page, STORE_NAMES_SCANNED_MAX, |key, row| {
            let is_theirs = !list.of_all || is_of(user16, key, row)?;
            Ok(is_theirs.then(|| key.to_vec()))
        })?;
    let next = match next {
        Some(rest) => Some(format!("{}.{rest}", read::hex(&list.prefix))),
        None => lists.get(place + 1).map(|list| read::hex(&list.prefix)),
    };
    Ok(Found { keys: items, next })
}

/// Whether a row of a list of all users is this user's.
fn is_of(user16: &Id16, key: &[u8], row: &[u8]) -> Result<bool, StoreError> {
    let user = match key.first() {
        Some(&table::INVITE) => invites::decode_invite(row)?.by,
        Some(&table::LINK) => values::decode::<v1::Link<'_>>(row)?.by.user()?,
        Some(&table::SANCTION) => values::decode_sanction(row)?.0,
        #[cfg(feature = "accounts")]
        Some(&table::FAMILY) => super::super::accounts::user_of_family(key, row)?,
        _ => return Ok(false),
    };
    Ok(keys::user16(&user) == *user16)
}

impl<K: OrderedKv> Group<'_, K> {
    /// Deletes what a row stands for, if it is still there and the user's.
    pub(super) fn erase_row(&mut self, user: &UserId, key: &[u8]) -> Result<(), StoreError> {
        let Some(row) = self.get(key)? else { return Ok(()) };
        let user16 = keys::user16(user);
        match key.first() {
            Some(&table::REPORT) => self.erase_report(key, &row)?,
            Some(&table::HELD) => {
                let (room16, id16) = place_of(key)?;
                if let Some(held) = self.get(&review::held_row16(&room16, &id16))? {
                    let id: HeldId = values::decode::<v1::Held<'_>>(&held)?.id.parse(HeldId::parse)?;
                    self.remove_held(&room16, &id)?;
                }
                self.remove(key.to_vec());
            }
            Some(&table::ROOM_OF_USER) => {
                let room16 =
                    keys::id_at(key, 17).ok_or_else(|| values::corrupt("a key of a user's rooms"))?;
                if let Some((kind, _)) = self.room_kind(&room16)?.filter(|(_, deleted)| *deleted) {
                    self.remove_member(&room16, kind, user)?;
                }
            }
            Some(&table::INVITE_OF_USER) => {
                let room = values::decode::<v1::Named<'_>>(&row)?.id.room()?;
                self.remove_invite(&keys::room16(&room), user)?;
            }
            Some(&table::INVITE) if is_of(&user16, key, &row)? => {
                let invite = invites::decode_invite(&row)?;
                self.remove_invite(&keys::room16(&invite.room), &invite.user)?;
            }
            Some(&table::LINK) if is_of(&user16, key, &row)? => {
                let room = values::decode::<v1::Link<'_>>(&row)?.room.room()?;
                self.remove_link(&keys::room16(&room), invites::link_at(key, 2)?);
            }
            Some(&table::AUTHOR) => self.erase_authored(key)?,
            Some(&table::FILE) => self.erase_file(key)?,
            Some(&table::MARKER | &table::DELIVERED | &table::BLOCK | &table::SENT) => {
                self.remove(key.to_vec())
            }
            #[cfg(feature = "accounts")]
            Some(&table::FAMILY) if is_of(&user16, key, &row)? => self.remove_family(user, key)?,
            Some(_) if is_of(&user16, key, &row)? => self.remove(key.to_vec()),
            _ => {}
        }
        Ok(())
    }

    fn erase_report(&mut self, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let (room16, id16) = if key.starts_with(&review::reports_by_reporters()) {
            let id = values::decode::<v1::Named<'_>>(row)?.id;
            let room16 = keys::id_at(key, 18).ok_or_else(|| values::corrupt("a key of a report"))?;
            (room16, keys::id16(&id.parse(|id| Ok::<_, StoreError>(id.to_owned()))?))
        } else {
            place_of(key)?
        };
        self.remove_report_of(&room16, &id16)?;
        self.remove(key.to_vec());
        Ok(())
    }

    /// A message of theirs is deleted by now: its key goes. In a room that was deleted nobody could delete it, and it
    /// goes itself before its room's rows do.
    fn erase_authored(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let (Some(room16), Some(seq)) = (keys::id_at(key, 17), keys::seq_at(key, 33)) else {
            return Err(values::corrupt("a key of the index of authors"));
        };
        if self.room_kind(&room16)?.is_some_and(|(_, deleted)| deleted) {
            for table in [table::TEXT, table::FORMER, table::ATTACHMENT] {
                for key in self.keys_under(&keys::of_message(table, &room16, seq), usize::MAX)? {
                    self.remove(key);
                }
            }
            self.remove(keys::message(&room16, seq));
            self.remove(key.to_vec());
            return Ok(());
        }
        // Nor can anybody delete one that was cut: it goes right now.
        if self.is_cut(&room16, seq)? {
            let row = self.get(&keys::message(&room16, seq))?;
            return row.map_or(Ok(()), |row| self.forget(&room16, seq, &row).map(drop));
        }
        self.forget_key(&room16, seq)
    }

    /// Takes the client's key from a message that is deleted.
    fn forget_key(&mut self, room16: &Id16, seq: Seq) -> Result<(), StoreError> {
        let Some(stored) = self.get(&keys::message(room16, seq))? else { return Ok(()) };
        let mut row = values::decode_message_row(&stored)?;
        if row.deleted.is_some() && row.client_message_id.take().is_some() {
            self.put(keys::message(room16, seq), values::encode_message_row(&row)?)?;
        }
        Ok(())
    }
}

/// The room and what stands in it, in a key of the tables `62 03` and `63 03`.
fn place_of(key: &[u8]) -> Result<(Id16, Id16), StoreError> {
    match (keys::id_at(key, 18), keys::id_at(key, 34)) {
        (Some(room16), Some(id16)) => Ok((room16, id16)),
        _ => Err(values::corrupt("a key of what is to be reviewed")),
    }
}
