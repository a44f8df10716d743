//! Accounts and logins over the layout.

use std::{collections::BTreeSet, ops::ControlFlow};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Direction, KvStore, OrderedKv,
    group::Group,
    keys::{self, table},
    request::{GuardedRows, Refusal, Request},
    values::{self, v1},
    view::View,
};
use crate::{
    accounts::{
        Account, AccountStore, CreateAccountError, Email, Family, FamilyId, NewAccount, PasswordHash,
    },
    id::UserId,
    limits::FAMILIES_PER_SWEEP,
    store::StoreError,
    time::Timestamp,
};

/// The row of an account.
#[derive(Serialize, Deserialize)]
struct AccountRow<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    email: &'a str,
    password: &'a str,
}

/// The row of a login.
#[derive(Serialize, Deserialize)]
struct FamilyRow<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    generation: u64,
    created_at: i64,
    rotated_at: i64,
}

#[async_trait]
impl<K: OrderedKv> AccountStore for KvStore<K> {
    async fn create_account(&self, new: NewAccount) -> Result<(), CreateAccountError> {
        let NewAccount { profile, account, family } = new;
        let by_email = email_key(&account.email);
        let rows = GuardedRows {
            expected: vec![(by_email.clone(), None)],
            owner: None,
            profile: Some(profile),
            changes: vec![
                (by_email, Some(values::encode_named(account.user.as_str())?)),
                (account_key(&account.user), Some(encode_account(&account)?)),
                (family_key(family.id), Some(encode_family(&family)?)),
            ],
        };
        match self.write(Request::Guarded(rows)).await {
            Ok(_) => Ok(()),
            Err(Refusal::IdTaken) => Err(CreateAccountError::IdTaken),
            Err(Refusal::NameTaken) => Err(CreateAccountError::NameTaken),
            Err(Refusal::Unexpected) => Err(CreateAccountError::EmailTaken),
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

    async fn create_family(&self, family: Family) -> Result<(), StoreError> {
        let changes = vec![(family_key(family.id), Some(encode_family(&family)?))];
        let rows = GuardedRows { expected: Vec::new(), owner: Some(family.user), profile: None, changes };
        match self.write(Request::Guarded(rows)).await {
            // Whose login it would be was erased meanwhile: as if its account had gone right after.
            Ok(_) | Err(Refusal::Unexpected) => Ok(()),
            Err(refusal) => Err(refusal.into_store_error()),
        }
    }

    async fn family(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        let key = family_key(id);
        self.read(move |shared| shared.rows.view().get(&key)?.map(|row| decode_family(id, &row)).transpose())
            .await
    }

    async fn replace_family(&self, current: &Family, next: Option<Family>) -> Result<bool, StoreError> {
        let key = family_key(current.id);
        let next = next.map(|next| encode_family(&next)).transpose()?;
        let expected = vec![(key.clone(), Some(encode_family(current)?))];
        let owner = next.is_some().then(|| current.user.clone());
        let rows = GuardedRows { expected, owner, profile: None, changes: vec![(key, next)] };
        match self.write(Request::Guarded(rows)).await {
            Ok(_) => Ok(true),
            Err(Refusal::Unexpected) => Ok(false),
            Err(refusal) => Err(refusal.into_store_error()),
        }
    }

    async fn forget_families(
        &self,
        now: Timestamp,
        cursor: Option<FamilyId>,
    ) -> Result<Option<FamilyId>, StoreError> {
        let from = cursor.map_or(vec![table::FAMILY], |id| keys::after_key(&family_key(id)));
        let looked = self.read(move |shared| look_at_families(&shared.rows.view(), &from, now)).await?;
        if !looked.over.is_empty() {
            let changes = looked.over.iter().map(|(key, _)| (key.clone(), None)).collect();
            let expected = looked.over.into_iter().map(|(key, row)| (key, Some(row))).collect();
            let rows = GuardedRows { expected, owner: None, profile: None, changes };
            match self.write(Request::Guarded(rows)).await {
                // Somebody else is deleting them.
                Ok(_) | Err(Refusal::Unexpected) => {}
                Err(refusal) => return Err(refusal.into_store_error()),
            }
        }
        Ok(looked.next)
    }
}

impl<K: OrderedKv> Group<'_, K> {
    /// Removes the account of a user, if they have one here. Their logins are good for nothing then.
    pub(super) fn remove_account(&mut self, user: &UserId) -> Result<(), StoreError> {
        let key = account_key(user);
        if let Some(row) = self.get(&key)? {
            self.remove(email_key(&decode_account(&row)?.email));
            self.remove(key);
        }
        Ok(())
    }
}

/// Whose login stands in a row.
pub(super) fn user_of_family(key: &[u8], row: &[u8]) -> Result<UserId, StoreError> {
    decode_family(id_of(key)?, row).map(|family| family.user)
}

/// What is kept twice about accounts, compared: each has a profile and holds its address, no address and no login
/// is left over.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let mut held = BTreeSet::new();
    for (key, row) in rows(kv, table::ACCOUNT)? {
        let account = decode_account(&row)?;
        if key != account_key(&account.user) {
            differences.push(format!("the account of {} stands under another key", account.user));
        }
        let profile = kv.get(&keys::user(&keys::user16(&account.user)))?;
        if profile.map(|row| values::decode_user(&row)).transpose()?.is_none_or(|user| user.external) {
            differences.push(format!("the account of {} has no profile of its own", account.user));
        }
        let holder = kv.get(&email_key(&account.email))?.map(|row| named(&row)).transpose()?;
        if holder.as_ref() == Some(&account.user) {
            held.insert(email_key(&account.email));
        } else {
            differences.push(format!("the account of {} does not hold its address", account.user));
        }
    }
    for (key, row) in rows(kv, table::EMAIL)? {
        if !held.contains(&key) {
            differences.push(format!("an address belongs to {}, whose account has another", named(&row)?));
        }
    }
    for (key, row) in rows(kv, table::FAMILY)? {
        let family = decode_family(id_of(&key)?, &row)?;
        let erased = super::erasure::is_erased(kv, &keys::user16(&family.user))?;
        if kv.get(&account_key(&family.user))?.is_none() && !erased {
            differences.push(format!("login {} belongs to {}, who has no account", family.id, family.user));
        }
    }
    Ok(differences)
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
        for (key, expected) in &rows.expected {
            if self.get(key)? != *expected {
                return Err(Refusal::Unexpected);
            }
        }
        if let Some(profile) = &rows.profile {
            self.create_user(profile)?;
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

fn rows<K: OrderedKv>(kv: &K, table: u8) -> Result<Vec<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn named(row: &[u8]) -> Result<UserId, StoreError> {
    values::decode::<v1::Named<'_>>(row)?.id.user()
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

fn email_key(email: &Email) -> Vec<u8> {
    keys::key(table::EMAIL, &[&email.key()])
}

fn account_key(user: &UserId) -> Vec<u8> {
    keys::key(table::ACCOUNT, &[&keys::user16(user)])
}

fn family_key(id: FamilyId) -> Vec<u8> {
    keys::key(table::FAMILY, &[id.as_bytes()])
}

fn id_of(key: &[u8]) -> Result<FamilyId, StoreError> {
    keys::id_at(key, 1).map(FamilyId::from_bytes).ok_or_else(|| values::corrupt("a key of a login"))
}

fn encode_account(account: &Account) -> Result<Vec<u8>, StoreError> {
    values::encode(&AccountRow {
        user: v1::Id::of(account.user.as_str()),
        email: account.email.as_str(),
        password: account.password.expose(),
    })
}

fn decode_account(row: &[u8]) -> Result<Account, StoreError> {
    let row: AccountRow<'_> = values::decode(row)?;
    Ok(Account {
        user: row.user.user()?,
        email: Email::from_stored(row.email),
        password: PasswordHash::from_stored(row.password),
    })
}

fn encode_family(family: &Family) -> Result<Vec<u8>, StoreError> {
    values::encode(&FamilyRow {
        user: v1::Id::of(family.user.as_str()),
        generation: family.generation,
        created_at: family.created_at.as_millis(),
        rotated_at: family.rotated_at.as_millis(),
    })
}

fn decode_family(id: FamilyId, row: &[u8]) -> Result<Family, StoreError> {
    let row: FamilyRow<'_> = values::decode(row)?;
    Ok(Family {
        id,
        user: row.user.user()?,
        generation: row.generation,
        created_at: Timestamp::from_millis(row.created_at),
        rotated_at: Timestamp::from_millis(row.rotated_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::{KvBatch, MemKv};

    /// The bytes as they stand in files that are out there: a change here needs a new version.
    #[test]
    fn the_stored_bytes_of_accounts_and_logins_stay_as_they_are() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let account = Account {
            user: UserId::parse("ann").unwrap(),
            email: Email::parse("ann@example.org").unwrap(),
            password: PasswordHash::from_stored("$argon2id$x"),
        };
        let family = Family {
            id: FamilyId::new(Timestamp::from_millis(1), [0; 10]),
            user: UserId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
            generation: 300,
            created_at: Timestamp::from_millis(1_790_000_000_000),
            rotated_at: Timestamp::from_millis(-1),
        };
        let (account_row, family_row) = (encode_account(&account).unwrap(), encode_family(&family).unwrap());
        assert_eq!(decode_account(&account_row).unwrap(), account);
        assert_eq!(decode_family(family.id, &family_row).unwrap(), family);
        assert_eq!(
            hex(account_row.clone()),
            "010103616e6e0f616e6e406578616d706c652e6f72670b246172676f6e3269642478"
        );
        assert_eq!(hex(family_row), "01000190b5a27a397c3e8f00000000000001ac0280b083c5986801");
        let newer = [&[account_row[0] + 1], &account_row[1..]].concat();
        assert_eq!(decode_account(&newer), Err(StoreError::TooNew { found: newer[0] }));
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let user = UserId::parse("ann").unwrap();
        let account = Account {
            user: user.clone(),
            email: Email::parse("ann@example.org").unwrap(),
            password: PasswordHash::from_stored("x"),
        };
        let other = Email::parse("other@example.org").unwrap();
        let family =
            Family::begin(FamilyId::from_bytes([7; 16]), UserId::parse("bob").unwrap(), Timestamp::default());
        let kv = MemKv::new();
        let changes = vec![
            (account_key(&user), Some(encode_account(&account).unwrap())),
            (email_key(&other), Some(values::encode_named("ann").unwrap())),
            (family_key(family.id), Some(encode_family(&family).unwrap())),
        ];
        kv.apply(KvBatch { changes }).unwrap();
        let expected = [
            "the account of ann has no profile of its own",
            "the account of ann does not hold its address",
            "an address belongs to ann, whose account has another",
            "login 07070707-0707-0707-0707-070707070707 belongs to bob, who has no account",
        ];
        assert_eq!(differences(&kv).unwrap(), expected);
    }
}
