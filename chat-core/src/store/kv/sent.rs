//! What was sent under which key: rows by the week of their sending, so that those that are out of date go together.

use super::{
    OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    request::Refusal,
    values,
};
use crate::{
    domain::{Guard, Sent},
    id::{ClientMessageId, UserId},
    store::StoreError,
};

/// The week of a row of sent keys, if it is one.
pub(super) fn week_of(key: &[u8]) -> Option<u16> {
    match key {
        [table::SENT, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

impl<K: OrderedKv> Group<'_, K> {
    /// Saves a key that is new.
    pub(super) fn put_sent(
        &mut self,
        room16: &Id16,
        user: &UserId,
        client: &ClientMessageId,
        sent: Sent,
    ) -> Result<(), Refusal> {
        let (user16, week) = (keys::user16(user), keys::week(sent.at));
        if !self.key_is_new(room16, user, client)? {
            return Err(Refusal::Guard(Guard::KeyNew(user.clone(), client.clone())));
        }
        if !self.weeks_of_sent.contains(&week) {
            self.weeks_of_sent.push(week);
        }
        Ok(self.put(keys::sent(week, &user16, room16, client), values::encode_sent(sent)?)?)
    }

    pub(super) fn key_is_new(
        &mut self,
        room16: &Id16,
        user: &UserId,
        client: &ClientMessageId,
    ) -> Result<bool, StoreError> {
        let user16 = keys::user16(user);
        for index in 0..self.weeks_of_sent.len() {
            if self.get(&keys::sent(self.weeks_of_sent[index], &user16, room16, client))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
