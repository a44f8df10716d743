//! Names, profiles and memberships, which are each kept in several places.

use std::collections::{BTreeSet, HashMap};

use super::{Check, hex};
use crate::{
    domain::{Member, Role, Room, RoomKind},
    store::{
        StoreError,
        kv::{
            OrderedKv,
            keys::{self, Id16, table},
            values::{self, v1},
        },
    },
};

impl<K: OrderedKv> Check<'_, K> {
    /// Names of public rooms: each room has its own, and no name is left over.
    pub(super) fn names(&mut self) -> Result<(), StoreError> {
        let mut named = BTreeSet::new();
        for (key, row) in self.table(table::ROOM_NAME)? {
            let id = values::decode::<v1::Named<'_>>(&row)?.id.room()?;
            match self.rooms.get(&keys::room16(&id)) {
                Some(room) if room.kind == RoomKind::Public && keys::room_name(&room.name) == key => {
                    named.insert(keys::room16(&id));
                }
                _ => self.differ(format!("a name belongs to room {id}, which has another or is not public")),
            }
        }
        let nameless =
            |(room16, room): &(&Id16, &Room)| room.kind == RoomKind::Public && !named.contains(*room16);
        let nameless: Vec<_> = self.rooms.iter().filter(nameless).map(|(_, room)| room.id.clone()).collect();
        for room in nameless {
            self.differ(format!("public room {room} does not hold its name"));
        }
        Ok(())
    }

    pub(super) fn users(&mut self) -> Result<(), StoreError> {
        let mut names: HashMap<_, _> = self.table(table::USERNAME)?.into_iter().collect();
        for (_, row) in self.table(table::USER)? {
            let user = values::decode_user(&row)?;
            if user.is_erased() {
                continue;
            }
            let holder = names.remove(&keys::username(&user.username));
            let holder = holder.map(|row| values::decode::<v1::Named<'_>>(&row)?.id.user()).transpose()?;
            if holder.as_ref() != Some(&user.id) {
                self.differ(format!("user {} does not hold their name", user.id));
            }
        }
        if !names.is_empty() {
            self.differ(format!("{} usernames belong to nobody", names.len()));
        }
        Ok(())
    }

    /// Memberships against counts of rooms, the users' lists and their counters.
    pub(super) fn memberships(&mut self) -> Result<(), StoreError> {
        let mut listed: BTreeSet<_> =
            self.table(table::ROOM_OF_USER)?.into_iter().map(|(key, _)| key).collect();
        let mut of_room: HashMap<Id16, (u32, u32)> = HashMap::new();
        let mut of_user: HashMap<Id16, u32> = HashMap::new();
        for (key, row) in self.table(table::MEMBER)? {
            let (Some(room16), Some(user16)) = (keys::id_at(&key, 1), keys::id_at(&key, 17)) else {
                return Err(values::corrupt("a key of a membership"));
            };
            let Member { user, role, joined, .. } = values::decode_member(&row)?;
            let (members, owners) = of_room.entry(room16).or_default();
            *members += 1;
            *owners += u32::from(role == Role::Owner);
            let direct = self.rooms.get(&room16).is_some_and(|room| room.kind == RoomKind::Direct);
            *of_user.entry(user16).or_default() += u32::from(!direct);
            if keys::user16(&user) != user16 {
                self.differ(format!("the membership of user {user} stands under another key"));
            }
            if !listed.remove(&keys::room_of_user(&user16, &room16)) {
                self.differ(format!("a room of user {user} is missing in their list"));
            }
            if self.rooms.get(&room16).is_none_or(|room| joined > room.head) {
                self.differ(format!("user {user} joined at entry {joined}, which is not there"));
            }
        }
        // Memberships of deleted rooms count until they are gone.
        for (key, _) in self.all_under(&[table::MEMBER])? {
            if let (Some(room16), Some(user16)) = (keys::id_at(&key, 1), keys::id_at(&key, 17))
                && self.deleted.contains(&room16)
            {
                *of_user.entry(user16).or_default() += 1;
            }
        }
        if !listed.is_empty() {
            self.differ(format!("{} rooms are listed for users who are no members", listed.len()));
        }
        let counted: Vec<_> = self.rooms.iter().map(|(room16, room)| (*room16, room.clone())).collect();
        for (room16, room) in counted {
            let (members, owners) = of_room.remove(&room16).unwrap_or_default();
            if (room.members, room.owners) != (members, owners) {
                let Room { id, members: said, owners: said_owners, .. } = room;
                self.differ(format!(
                    "room {id} counts {said} members and {said_owners} owners but has {members} and {owners}"
                ));
            }
        }
        for (key, row) in self.table(table::USER_COUNT)? {
            let Some(user16) = keys::id_at(&key, 1) else {
                return Err(values::corrupt("a key of a counter"));
            };
            let said = values::decode::<v1::UserCount>(&row)?.rooms;
            let rooms = of_user.remove(&user16).unwrap_or_default();
            if said != rooms {
                self.differ(format!("user {} counts {said} rooms but has {rooms}", hex(&user16)));
            }
        }
        if !of_user.is_empty() {
            self.differ(format!("{} members have no count of rooms", of_user.len()));
        }
        Ok(())
    }
}
