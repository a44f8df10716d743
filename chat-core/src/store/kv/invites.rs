//! Invitations and links over the layout.

use std::collections::BTreeSet;

use super::{
    OrderedKv,
    group::Group,
    keys::{self, Id16},
    people::rows,
    read,
    request::Refusal,
    values::{self, v1},
    view::{View, Visible},
};
use crate::{
    domain::{Guard, Invite, InviteLink, LinkId, Needs, Room, RowChange, Rows},
    id::{InviteId, RoomId, UserId},
    limits::{INVITES_PER_ROOM_MAX, INVITES_PER_USER_MAX, LINKS_PER_ROOM_MAX},
    store::{PageRequest, StoreError},
    time::Timestamp,
};

impl<K: OrderedKv> Group<'_, K> {
    /// Whether a guard about invitations and links holds.
    pub(super) fn way_in_holds(&mut self, room: &Room, guard: &Guard) -> Result<bool, StoreError> {
        let room16 = keys::room16(&room.id);
        match guard {
            Guard::Invited(user, id) => {
                Ok(self.invite_of(&room16, user)?.is_some_and(|invite| invite.id == *id))
            }
            Guard::Uninvited(user) => Ok(self.invite_of(&room16, user)?.is_none()),
            Guard::InviteFits(user) => {
                let of_room = self.keys_under(&keys::invites(&room16), INVITES_PER_ROOM_MAX)?;
                let of_user = keys::invites_of_user(&keys::user16(user));
                Ok(of_room.len() < INVITES_PER_ROOM_MAX
                    && self.keys_under(&of_user, INVITES_PER_USER_MAX)?.len() < INVITES_PER_USER_MAX)
            }
            Guard::LinkStands(id) => Ok(self.link(*id)?.is_some_and(|link| link.room == room.id)),
            Guard::LinkFits => Ok(self.keys_under(&keys::links_of_room(&room16), LINKS_PER_ROOM_MAX)?.len()
                < LINKS_PER_ROOM_MAX),
            _ => Ok(true),
        }
    }

    /// Changes a row of an invitation or a link. What must hold for it is looked at here, so that of several in one
    /// commit each sees those before it.
    pub(super) fn way_in(&mut self, room: &Room, row: &RowChange) -> Result<(), Refusal> {
        let room16 = keys::room16(&room.id);
        match row {
            RowChange::PutInvite(invite) => {
                for guard in [Guard::Uninvited(invite.user.clone()), Guard::InviteFits(invite.user.clone())] {
                    if !self.way_in_holds(room, &guard)? {
                        return Err(Refusal::Guard(guard));
                    }
                }
                let user16 = keys::user16(&invite.user);
                self.put(keys::invite(&room16, &user16), encode_invite(invite)?)?;
                let by_user = keys::invite_of_user(&user16, &keys::id16(invite.id.as_str()));
                self.put(by_user, values::encode_named(invite.room.as_str())?)?;
            }
            RowChange::RemoveInvite(user) => self.remove_invite(&room16, user)?,
            RowChange::PutLink(link) => {
                if !self.way_in_holds(room, &Guard::LinkFits)? {
                    self.drop_dead_links(&room16, link.at)?;
                }
                if !self.way_in_holds(room, &Guard::LinkFits)? {
                    return Err(Refusal::Guard(Guard::LinkFits));
                }
                self.put_link(&room16, link)?;
            }
            RowChange::UseLink(id) => {
                if let Some(link) = self.link(*id)? {
                    self.put_link(&room16, &InviteLink { uses: link.uses.saturating_add(1), ..link })?;
                }
            }
            RowChange::RemoveLink(id) => self.remove_link(&room16, *id),
            _ => {}
        }
        Ok(())
    }

    /// Ends the invitation of a user to a room, if there is one.
    pub(super) fn remove_invite(&mut self, room16: &Id16, user: &UserId) -> Result<(), StoreError> {
        if let Some(invite) = self.invite_of(room16, user)? {
            let user16 = keys::user16(user);
            self.remove(keys::invite_of_user(&user16, &keys::id16(invite.id.as_str())));
            self.remove(keys::invite(room16, &user16));
        }
        Ok(())
    }

    /// Ends all invitations to a room and all links into it: it is gone.
    pub(super) fn close_ways_in(&mut self, room16: &Id16) -> Result<(), StoreError> {
        for key in self.keys_under(&keys::invites(room16), INVITES_PER_ROOM_MAX)? {
            let invite = self.get(&key)?.map(|row| decode_invite(&row)).transpose()?;
            if let Some(invite) = invite {
                self.remove_invite(room16, &invite.user)?;
            }
        }
        for key in self.keys_under(&keys::links_of_room(room16), LINKS_PER_ROOM_MAX)? {
            self.remove_link(room16, link_at(&key, 18)?);
        }
        Ok(())
    }

    fn invite_of(&mut self, room16: &Id16, user: &UserId) -> Result<Option<Invite>, StoreError> {
        self.get(&keys::invite(room16, &keys::user16(user)))?.map(|row| decode_invite(&row)).transpose()
    }

    fn link(&mut self, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
        self.get(&keys::link(id))?.map(|row| decode_link(id, &row)).transpose()
    }

    fn put_link(&mut self, room16: &Id16, link: &InviteLink) -> Result<(), StoreError> {
        self.put(keys::link_of_room(room16, link.id), values::PRESENT.to_vec())?;
        self.put(keys::link(link.id), encode_link(link)?)
    }

    pub(super) fn remove_link(&mut self, room16: &Id16, id: LinkId) {
        self.remove(keys::link_of_room(room16, id));
        self.remove(keys::link(id));
    }

    /// Makes room for a link by removing those that are good for nothing any more.
    fn drop_dead_links(&mut self, room16: &Id16, now: Timestamp) -> Result<(), StoreError> {
        for key in self.keys_under(&keys::links_of_room(room16), LINKS_PER_ROOM_MAX)? {
            let id = link_at(&key, 18)?;
            if self.link(id)?.is_none_or(|link| !link.is_open(now)) {
                self.remove_link(room16, id);
            }
        }
        Ok(())
    }
}

/// Reads the invitations and links that planning needs.
pub(super) fn gather<K: OrderedKv>(
    view: &View<'_, K>,
    room: &RoomId,
    needs: &Needs,
    found: &mut Rows,
) -> Result<(), StoreError> {
    let room16 = keys::room16(room);
    for user in &needs.invites {
        if let Some(row) = view.get(&keys::invite(&room16, &keys::user16(user)))? {
            found.invites.insert(user.clone(), decode_invite(&row)?);
        }
    }
    for id in &needs.links {
        if let Some(row) = view.get(&keys::link(*id))? {
            let link = decode_link(*id, &row)?;
            if link.room == *room {
                found.links.insert(*id, link);
            }
        }
    }
    Ok(())
}

pub(super) fn invites_of<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
) -> Result<Vec<(Invite, Room)>, StoreError> {
    let (user16, view) = (keys::user16(user), rows.view());
    let all = PageRequest::first(INVITES_PER_USER_MAX);
    let page = read::paged(&view, &keys::invites_of_user(&user16), &all, usize::MAX, |_, row| {
        let room16 = keys::room16(&values::decode::<v1::Named<'_>>(row)?.id.room()?);
        // A room that is gone takes its invitations along, a little later.
        let Some(room) = view.room(&room16)?.filter(|room| !room.deleted) else { return Ok(None) };
        let invite = view.get(&keys::invite(&room16, &user16))?;
        let invite = invite.ok_or_else(|| values::corrupt("an invitation that is not there"))?;
        Ok(Some((decode_invite(&invite)?, room)))
    })?;
    Ok(page.items)
}

pub(super) fn invite<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    id: &InviteId,
) -> Result<Option<Invite>, StoreError> {
    let (user16, view) = (keys::user16(user), rows.view());
    let Some(row) = view.get(&keys::invite_of_user(&user16, &keys::id16(id.as_str())))? else {
        return Ok(None);
    };
    let room16 = keys::room16(&values::decode::<v1::Named<'_>>(&row)?.id.room()?);
    let invite = view.get(&keys::invite(&room16, &user16))?;
    invite.map(|row| decode_invite(&row)).transpose()
}

pub(super) fn link<K: OrderedKv>(rows: &Visible<K>, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
    rows.view().get(&keys::link(id))?.map(|row| decode_link(id, &row)).transpose()
}

pub(super) fn links_into<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
) -> Result<Vec<InviteLink>, StoreError> {
    let view = rows.view();
    let all = PageRequest::first(LINKS_PER_ROOM_MAX);
    let page = read::paged(&view, &keys::links_of_room(&keys::room16(room)), &all, usize::MAX, |key, _| {
        let id = link_at(key, 18)?;
        let row = view.get(&keys::link(id))?.ok_or_else(|| values::corrupt("a link that is not there"))?;
        decode_link(id, &row).map(Some)
    })?;
    Ok(page.items)
}

/// What is kept twice, compared: each invitation stands with its room and with its user, each link with its room.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let of_users = rows(kv, &[keys::table::INVITE_OF_USER])?;
    let mut listed: BTreeSet<_> = of_users.into_iter().collect();
    for (key, row) in rows(kv, &[keys::table::INVITE])? {
        let invite = decode_invite(&row)?;
        let (room16, user16) = (keys::room16(&invite.room), keys::user16(&invite.user));
        if key != keys::invite(&room16, &user16) {
            differences.push(format!("an invitation to room {} stands under another key", invite.room));
        }
        let by_user = keys::invite_of_user(&user16, &keys::id16(invite.id.as_str()));
        if !listed.remove(&(by_user, values::encode_named(invite.room.as_str())?)) {
            differences.push(format!("an invitation to room {} is missing with its user", invite.room));
        }
        if kv.get(&keys::member(&room16, &user16))?.is_some() {
            differences.push(format!("a member of room {} is still invited to it", invite.room));
        }
    }
    if !listed.is_empty() {
        differences.push(format!("{} invitations stand with their users only", listed.len()));
    }
    let mut of_rooms: BTreeSet<_> =
        rows(kv, &[keys::table::LINK, 0])?.into_iter().map(|(key, _)| key).collect();
    for (key, row) in rows(kv, &[keys::table::LINK, 1])? {
        let link = decode_link(link_at(&key, 2)?, &row)?;
        if !of_rooms.remove(&keys::link_of_room(&keys::room16(&link.room), link.id)) {
            differences.push(format!("a link into room {} is missing with it", link.room));
        }
        if link.max_uses.is_some_and(|most| link.uses > most) {
            differences.push(format!("a link into room {} was used too often", link.room));
        }
    }
    if !of_rooms.is_empty() {
        differences.push(format!("{} links stand with their rooms only", of_rooms.len()));
    }
    Ok(differences)
}

pub(super) fn link_at(key: &[u8], offset: usize) -> Result<LinkId, StoreError> {
    keys::id_at(key, offset).map(LinkId::from_bytes).ok_or_else(|| values::corrupt("a key of a link"))
}

pub(super) fn encode_invite(invite: &Invite) -> Result<Vec<u8>, StoreError> {
    values::encode(&v1::Invite {
        id: v1::Id::of(invite.id.as_str()),
        room: v1::Id::of(invite.room.as_str()),
        user: v1::Id::of(invite.user.as_str()),
        by: v1::Id::of(invite.by.as_str()),
        at: invite.at.as_millis(),
    })
}

pub(super) fn decode_invite(row: &[u8]) -> Result<Invite, StoreError> {
    let row: v1::Invite<'_> = values::decode(row)?;
    Ok(Invite {
        id: row.id.parse(InviteId::parse)?,
        room: row.room.room()?,
        user: row.user.user()?,
        by: row.by.user()?,
        at: Timestamp::from_millis(row.at),
    })
}

pub(super) fn encode_link(link: &InviteLink) -> Result<Vec<u8>, StoreError> {
    values::encode(&v1::Link {
        room: v1::Id::of(link.room.as_str()),
        by: v1::Id::of(link.by.as_str()),
        at: link.at.as_millis(),
        expires_at: link.expires_at.as_millis(),
        max_uses: link.max_uses,
        uses: link.uses,
    })
}

pub(super) fn decode_link(id: LinkId, row: &[u8]) -> Result<InviteLink, StoreError> {
    let row: v1::Link<'_> = values::decode(row)?;
    Ok(InviteLink {
        id,
        room: row.room.room()?,
        by: row.by.user()?,
        at: Timestamp::from_millis(row.at),
        expires_at: Timestamp::from_millis(row.expires_at),
        max_uses: row.max_uses,
        uses: row.uses,
    })
}
