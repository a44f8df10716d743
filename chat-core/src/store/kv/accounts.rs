//! Accounts and logins over the layout.

mod differences;
mod rows;
mod upgrade;

use std::ops::ControlFlow;

use async_trait::async_trait;

pub(super) use self::differences::differences;
use self::rows::{
    account_key, decode_account, decode_family, decode_reset, email_key, encode_account, encode_family,
    encode_reset, family_key, id_of, login_key, login_of, logins_of, look_key, named, reset_key,
};
use super::{
    KvStore, OrderedKv,
    group::Group,
    keys::{self, table},
    request::{GuardedRows, Refusal, Request},
    values,
    view::View,
};
use crate::{
    accounts::{
        Account, AccountChange, AccountStore, CreateAccountError, Email, Family, FamilyId, NewAccount,
        PasswordReset,
    },
    domain::Username,
    id::UserId,
    limits::{FAMILIES_PER_SWEEP, LOGINS_PER_STEP},
    store::StoreError,
    time::Timestamp,
};

#[async_trait]
impl<K: OrderedKv> AccountStore for KvStore<K> {
    async fn create_account(&self, new: NewAccount) -> Result<(), CreateAccountError> {
        let NewAccount { profile, account, family } = new;
        let (by_email, by_look) = (email_key(&account.email), look_key(&profile.username));
        let user = values::encode_named(account.user.as_str())?;
        let mut changes = vec![
            (by_email.clone(), Some(user.clone())),
            (by_look.clone(), Some(user)),
            (account_key(&account.user), Some(encode_account(&account)?)),
        ];
        if let Some(family) = &family {
            changes.extend(begun(family)?);
        }
        let rows = GuardedRows {
            expected: vec![(by_email, None), (by_look, None)],
            owner: None,
            logins: None,
            profile: Some(profile),
            changes,
        };
        match self.write(Request::Guarded(rows)).await {
            Ok(_) => Ok(()),
            Err(Refusal::IdTaken) => Err(CreateAccountError::IdTaken),
            Err(Refusal::NameTaken) => Err(CreateAccountError::NameTaken),
            // The address or the look of the name, and addresses are told first.
            Err(Refusal::Unexpected) => match self.account_with_email(&account.email).await? {
                Some(_) => Err(CreateAccountError::EmailTaken),
                None => Err(CreateAccountError::NameAlike),
            },
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }

    async fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError> {
        let key = account_key(user);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| decode_account(&row)).transpose())
            .await
    }

    async fn account_with_email(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        let key = email_key(email);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| named(&row)).transpose()).await
    }

    async fn change_account(&self, change: AccountChange) -> Result<bool, StoreError> {
        let next = change.next();
        let AccountChange { account, logins, end, begin, reset, password, .. } = change;
        let user = account.user.clone();
        let key = account_key(&user);
        let mut changes = Vec::new();
        if next != account {
            changes.push((key.clone(), Some(encode_account(&next)?)));
        }
        for id in end {
            changes.extend([(family_key(id), None), (login_key(&user, id), None)]);
        }
        if let Some(family) = &begin {
            changes.extend(begun(family)?);
        }
        let mut expected = vec![(key, Some(encode_account(&account)?))];
        if let Some(reset) = &reset {
            expected.push((reset_key(&user), Some(encode_reset(reset)?)));
        }
        if reset.is_some() || password.is_some() {
            changes.push((reset_key(&user), None));
        }
        self.write_guarded(GuardedRows {
            expected,
            owner: Some(user),
            logins: Some(logins),
            profile: None,
            changes,
        })
        .await
    }

    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        let key = family_key(id);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| decode_family(id, &row)).transpose())
            .await
    }

    async fn families(&self, user: &UserId) -> Result<Vec<Family>, StoreError> {
        let prefix = logins_of(user);
        self.read(move |shared| {
            let view = shared.rows.view();
            let (mut ids, end) = (Vec::new(), keys::after_prefix(&prefix));
            view.scan(&prefix, &end, &mut |key, _| {
                ids.push(login_of(key));
                if ids.len() < LOGINS_PER_STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let mut families = Vec::with_capacity(ids.len());
            for id in ids {
                let id = id?;
                if let Some(row) = view.get(&family_key(id))? {
                    families.push(decode_family(id, &row)?);
                }
            }
            Ok(families)
        })
        .await
    }

    async fn replace_family(&self, current: &Family, next: Option<Family>) -> Result<bool, StoreError> {
        let key = family_key(current.id);
        let owner = next.is_some().then(|| current.user.clone());
        let changes = match &next {
            Some(next) => begun(next)?.into(),
            None => vec![(key.clone(), None), (login_key(&current.user, current.id), None)],
        };
        let expected = vec![(key, Some(encode_family(current)?))];
        self.write_guarded(GuardedRows { expected, owner, logins: None, profile: None, changes }).await
    }

    async fn forget_families(
        &self,
        now: Timestamp,
        cursor: Option<FamilyId>,
    ) -> Result<Option<FamilyId>, StoreError> {
        let from = cursor.map_or(vec![table::FAMILY], |id| keys::after_key(&family_key(id)));
        let looked = self.read(move |shared| look_at_families(&shared.rows.view(), &from, now)).await?;
        if !looked.over.is_empty() {
            let mut changes = Vec::with_capacity(2 * looked.over.len());
            for (key, row) in &looked.over {
                let family = decode_family(id_of(key)?, row)?;
                changes.extend([(key.clone(), None), (login_key(&family.user, family.id), None)]);
            }
            let expected = looked.over.into_iter().map(|(key, row)| (key, Some(row))).collect();
            // Refused where somebody else is deleting them.
            self.write_guarded(GuardedRows { expected, owner: None, logins: None, profile: None, changes })
                .await?;
        }
        Ok(looked.next)
    }

    async fn put_reset(&self, reset: PasswordReset) -> Result<(), StoreError> {
        let changes = vec![(reset_key(&reset.user), Some(encode_reset(&reset)?))];
        let rows = GuardedRows {
            expected: Vec::new(),
            owner: Some(reset.user),
            logins: None,
            profile: None,
            changes,
        };
        // Refused for who was erased meanwhile: as if their account had gone right after.
        self.write_guarded(rows).await.map(drop)
    }

    async fn reset(&self, user: &UserId) -> Result<Option<PasswordReset>, StoreError> {
        let key = reset_key(user);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| decode_reset(&row)).transpose()).await
    }

    async fn forget_resets(&self, now: Timestamp) -> Result<bool, StoreError> {
        let over = self.read(move |shared| resets_over(&shared.rows.view(), now)).await?;
        if over.is_empty() {
            return Ok(false);
        }
        let more = over.len() >= FAMILIES_PER_SWEEP;
        let changes = over.iter().map(|(key, _)| (key.clone(), None)).collect();
        let expected = over.into_iter().map(|(key, row)| (key, Some(row))).collect();
        let rows = GuardedRows { expected, owner: None, logins: None, profile: None, changes };
        // Refused where one was replaced meanwhile: the others go with the next call.
        Ok(!self.write_guarded(rows).await? || more)
    }

    async fn upgrade_accounts(&self) -> Result<(), StoreError> {
        self.index_accounts().await
    }
}

impl<K: OrderedKv> KvStore<K> {
    /// Whether the rows were as they had to be, and were changed.
    async fn write_guarded(&self, rows: GuardedRows) -> Result<bool, StoreError> {
        match self.write(Request::Guarded(rows)).await {
            Ok(_) => Ok(true),
            Err(Refusal::Unexpected) => Ok(false),
            Err(refusal) => Err(refusal.into_store_error()),
        }
    }
}

/// A key and its new value.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// The rows of a login that is there.
fn begun(family: &Family) -> Result<[Change; 2], StoreError> {
    let index = (login_key(&family.user, family.id), Some(values::PRESENT.to_vec()));
    Ok([(family_key(family.id), Some(encode_family(family)?)), index])
}

impl<K: OrderedKv> Group<'_, K> {
    /// Removes the account of a user, if they have one here. Their logins are good for nothing then.
    pub(super) fn remove_account(&mut self, user: &UserId, name: &Username) -> Result<(), StoreError> {
        let key = account_key(user);
        if let Some(row) = self.get(&key)? {
            self.remove(email_key(&decode_account(&row)?.email));
            self.remove(key);
        }
        self.remove(reset_key(user));
        let look = look_key(name);
        if self.get(&look)?.map(|row| named(&row)).transpose()?.as_ref() == Some(user) {
            self.remove(look);
        }
        Ok(())
    }

    /// Gives a user another name, unless somebody's account has one that looks like it. Who has an account themselves
    /// keeps others from looking like them.
    pub(super) fn move_look(&mut self, user: &UserId, from: &Username, to: &Username) -> Result<(), Refusal> {
        let (old, new) = (look_key(from), look_key(to));
        let holder = self.get(&new)?.map(|row| named(&row)).transpose()?;
        if old == new || holder.as_ref() == Some(user) {
            return Ok(());
        }
        if holder.is_some() {
            return Err(Refusal::NameTaken);
        }
        if self.get(&account_key(user))?.is_some() {
            if self.get(&old)?.map(|row| named(&row)).transpose()?.as_ref() == Some(user) {
                self.remove(old);
            }
            self.put(new, values::encode_named(user.as_str())?)?;
        }
        Ok(())
    }

    /// Removes a login of a user.
    pub(super) fn remove_family(&mut self, user: &UserId, key: &[u8]) -> Result<(), StoreError> {
        self.remove(login_key(user, id_of(key)?));
        self.remove(key.to_vec());
        Ok(())
    }
}

/// Whose login stands in a row.
pub(super) fn user_of_family(key: &[u8], row: &[u8]) -> Result<UserId, StoreError> {
    decode_family(id_of(key)?, row).map(|family| family.user)
}

/// A row.
type KeyValue = (Vec<u8>, Vec<u8>);

impl<K: OrderedKv> Group<'_, K> {
    pub(super) fn guarded(&mut self, rows: &GuardedRows) -> Result<(), Refusal> {
        if let Some(owner) = &rows.owner
            && self.is_erased(owner)?
        {
            return Err(Refusal::Unexpected);
        }
        // First of all, since a taken name looks like itself.
        if let Some(profile) = &rows.profile {
            self.create_user(profile)?;
        }
        if let (Some(owner), Some(logins)) = (&rows.owner, &rows.logins) {
            let keys = self.keys_under(&logins_of(owner), LOGINS_PER_STEP)?;
            if !keys.iter().map(|key| login_of(key)).eq(logins.iter().copied().map(Ok)) {
                return Err(Refusal::Unexpected);
            }
        }
        for (key, expected) in &rows.expected {
            if self.get(key)? != *expected {
                return Err(Refusal::Unexpected);
            }
        }
        for (key, value) in &rows.changes {
            match value {
                Some(value) => self.put(key.clone(), value.clone())?,
                None => self.remove(key.clone()),
            }
        }
        Ok(())
    }
}

struct Looked {
    over: Vec<KeyValue>,
    next: Option<FamilyId>,
}

fn look_at_families<K: OrderedKv>(
    view: &View<'_, K>,
    from: &[u8],
    now: Timestamp,
) -> Result<Looked, StoreError> {
    let mut looked = Looked { over: Vec::new(), next: None };
    let mut failed = None;
    let mut count = 0;
    view.scan(from, &[table::FAMILY + 1], &mut |key, row| {
        let family = id_of(key).and_then(|id| decode_family(id, row));
        match family {
            Ok(family) => {
                if family.expires_at() <= now {
                    looked.over.push((key.to_vec(), row.to_vec()));
                }
                count += 1;
                if count < FAMILIES_PER_SWEEP {
                    return ControlFlow::Continue(());
                }
                looked.next = Some(family.id);
            }
            Err(error) => failed = Some(error),
        }
        ControlFlow::Break(())
    })?;
    failed.map_or(Ok(looked), Err)
}

fn resets_over<K: OrderedKv>(view: &View<'_, K>, now: Timestamp) -> Result<Vec<KeyValue>, StoreError> {
    let (mut over, mut failed) = (Vec::new(), None);
    view.scan(&[table::RESET], &[table::RESET + 1], &mut |key, row| {
        match decode_reset(row) {
            Ok(reset) if reset.expires_at <= now => over.push((key.to_vec(), row.to_vec())),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
        match failed.is_some() || over.len() >= FAMILIES_PER_SWEEP {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    failed.map_or(Ok(over), Err)
}
