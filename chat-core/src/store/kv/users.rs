//! Profiles, over the layout.

use async_trait::async_trait;

use super::{
    KvStore, OrderedKv,
    group::Group,
    keys, presence,
    read::paged,
    request::{Refusal, Request},
    values::{self, v1},
    view::Visible,
};
use crate::{
    domain::{KeptPresence, Username},
    id::UserId,
    store::{
        CreateUserError, Page, PageRequest, ProfileChange, StoreError, UpdateUserError, UserProfile,
        UserStore,
    },
};

#[async_trait]
impl<K: OrderedKv> UserStore for KvStore<K> {
    async fn create_user(&self, user: UserProfile) -> Result<(), CreateUserError> {
        match self.write(Request::CreateUser(user)).await {
            Ok(_) => Ok(()),
            Err(Refusal::IdTaken) => Err(CreateUserError::IdTaken),
            Err(Refusal::NameTaken) => Err(CreateUserError::NameTaken),
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }

    async fn update_user(&self, user: &UserId, change: ProfileChange) -> Result<(), UpdateUserError> {
        match self.write(Request::UpdateUser(user.clone(), change)).await {
            Ok(_) => Ok(()),
            Err(Refusal::NoUser) => Err(UpdateUserError::NoUser),
            Err(Refusal::NameTaken) => Err(UpdateUserError::NameTaken),
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<Option<UserProfile>>, StoreError> {
        let users = users.to_vec();
        self.read(move |shared| profiles(&shared.rows, &users)).await
    }

    async fn user_named(&self, name: &Username) -> Result<Option<UserId>, StoreError> {
        let name = name.clone();
        self.read(move |shared| user_named(&shared.rows, &name)).await
    }

    async fn users_like(&self, beginning: &str, page: PageRequest) -> Result<Page<UserProfile>, StoreError> {
        let beginning = beginning.to_ascii_lowercase();
        self.read(move |shared| users_like(&shared.rows, &beginning, &page)).await
    }

    async fn save_presences(&self, presences: Vec<(UserId, KeptPresence)>) -> Result<(), StoreError> {
        let rows = presence::rows(&presences)?;
        self.write(Request::Put(rows)).await.map(drop).map_err(Refusal::into_store_error)
    }

    async fn presences(&self, users: &[UserId]) -> Result<Vec<Option<KeptPresence>>, StoreError> {
        let users = users.to_vec();
        self.read(move |shared| presence::presences(&shared.rows, &users)).await
    }
}

impl<K: OrderedKv> Group<'_, K> {
    pub(super) fn create_user(&mut self, user: &UserProfile) -> Result<(), Refusal> {
        let key = keys::user(&keys::user16(&user.id));
        if self.get(&key)?.is_some() {
            return Err(Refusal::IdTaken);
        }
        let name_key = keys::username(&user.username);
        if self.get(&name_key)?.is_some() {
            return Err(Refusal::NameTaken);
        }
        self.put(key, values::encode_user(user)?)?;
        self.put(name_key, values::encode_named(user.id.as_str())?)?;
        Ok(())
    }

    /// Changes the profile of somebody who is there; another name takes the place of theirs.
    pub(super) fn update_user(&mut self, user: &UserId, change: &ProfileChange) -> Result<(), Refusal> {
        let key = keys::user(&keys::user16(user));
        let Some(row) = self.get(&key)? else { return Err(Refusal::NoUser) };
        let before = values::decode_user(&row)?;
        if before.is_erased() {
            return Err(Refusal::NoUser);
        }
        let after = before.clone().changed(change);
        let (old_name, new_name) = (keys::username(&before.username), keys::username(&after.username));
        if old_name != new_name {
            if self.get(&new_name)?.is_some() {
                return Err(Refusal::NameTaken);
            }
            self.remove(old_name);
            self.put(new_name, values::encode_named(user.as_str())?)?;
        }
        self.drop_replaced_avatar(&before, &after)?;
        #[cfg(feature = "accounts")]
        self.move_look(user, &before.username, &after.username)?;
        self.put(key, values::encode_user(&after)?)?;
        Ok(())
    }
}

fn profiles<K: OrderedKv>(
    rows: &Visible<K>,
    users: &[UserId],
) -> Result<Vec<Option<UserProfile>>, StoreError> {
    let profile = |user: &UserId| {
        let row = rows.view().get(&keys::user(&keys::user16(user)))?;
        row.map(|row| values::decode_user(&row)).transpose()
    };
    users.iter().map(profile).collect()
}

fn user_named<K: OrderedKv>(rows: &Visible<K>, name: &Username) -> Result<Option<UserId>, StoreError> {
    let row = rows.view().get(&keys::username(name))?;
    row.map(|row| values::decode::<v1::Named<'_>>(&row)?.id.user()).transpose()
}

fn users_like<K: OrderedKv>(
    rows: &Visible<K>,
    beginning: &str,
    page: &PageRequest,
) -> Result<Page<UserProfile>, StoreError> {
    let prefix = keys::key(keys::table::USERNAME, &[beginning.as_bytes()]);
    let view = rows.view();
    paged(&view, &prefix, page, usize::MAX, |_, row| {
        let user = values::decode::<v1::Named<'_>>(row)?.id.user()?;
        let profile = view.get(&keys::user(&keys::user16(&user)))?;
        let profile = profile.ok_or_else(|| values::corrupt("a username of a user who is not there"))?;
        values::decode_user(&profile).map(Some)
    })
}
