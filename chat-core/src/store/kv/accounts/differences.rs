//! What is kept twice about accounts, compared.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::{
    super::{
        Direction, OrderedKv, erasure,
        keys::{self, table},
        values,
    },
    rows::{
        account_key, decode_account, decode_family, decode_reset, email_key, family_key, id_of, login_key,
        login_of, look_key, named,
    },
};
use crate::store::StoreError;

/// Each account has a profile and holds its address and the look of its name; each login stands among those of its
/// user; nothing is left over.
pub(in super::super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let (mut held, mut looks) = (BTreeSet::new(), BTreeSet::new());
    for (key, row) in rows(kv, table::ACCOUNT)? {
        let account = decode_account(&row)?;
        if key != account_key(&account.user) {
            differences.push(format!("the account of {} stands under another key", account.user));
        }
        let profile = kv.get(&keys::user(&keys::user16(&account.user)))?;
        match profile.map(|row| values::decode_user(&row)).transpose()?.filter(|user| !user.external) {
            // Of names that were alike before looks were kept, one holds theirs.
            Some(profile) if kv.get(&look_key(&profile.username))?.is_some() => {
                looks.insert((look_key(&profile.username), account.user.clone()));
            }
            Some(_) => differences.push(format!("the account of {} does not hold its look", account.user)),
            None => differences.push(format!("the account of {} has no profile of its own", account.user)),
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
    for (key, row) in rows(kv, table::LOOK)? {
        let user = named(&row)?;
        if !looks.contains(&(key, user.clone())) {
            differences.push(format!("a look belongs to {user}, whose name has another"));
        }
    }
    for (key, row) in rows(kv, table::FAMILY)? {
        let family = decode_family(id_of(&key)?, &row)?;
        let erased = erasure::is_erased(kv, &keys::user16(&family.user))?;
        if kv.get(&account_key(&family.user))?.is_none() && !erased {
            differences.push(format!("login {} belongs to {}, who has no account", family.id, family.user));
        }
        if kv.get(&login_key(&family.user, family.id))?.is_none() {
            differences.push(format!("login {} is not among those of {}", family.id, family.user));
        }
    }
    for (key, _) in rows(kv, table::LOGIN_OF_USER)? {
        let id = login_of(&key)?;
        let family = kv.get(&family_key(id))?.map(|row| decode_family(id, &row)).transpose()?;
        if family.is_none_or(|family| login_key(&family.user, id) != key) {
            differences.push(format!("login {id} is listed and is not there"));
        }
    }
    for (_, row) in rows(kv, table::RESET)? {
        let user = decode_reset(&row)?.user;
        if kv.get(&account_key(&user))?.is_none() {
            differences.push(format!("the password of {user} can be replaced, who has no account"));
        }
    }
    Ok(differences)
}

/// A row.
type KeyValue = (Vec<u8>, Vec<u8>);

fn rows<K: OrderedKv>(kv: &K, table: u8) -> Result<Vec<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{
        super::rows::{encode_account, encode_family, encode_reset, reset_key},
        *,
    };
    use crate::{
        accounts::{Account, Device, Email, Family, FamilyId, PasswordHash, PasswordReset},
        auth::ServerRole,
        domain::Username,
        id::UserId,
        store::{
            UserProfile,
            kv::{KvBatch, MemKv},
        },
        time::Timestamp,
    };

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn account(id: &str) -> Account {
        let email = Email::parse(&format!("{id}@example.org")).unwrap();
        let password = PasswordHash::from_stored("x");
        Account { user: user(id), email, password, role: ServerRole::User }
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let profile = UserProfile::new(user("cid"), Username::parse("cid").unwrap(), Timestamp::default());
        let id = FamilyId::from_bytes([7; 16]);
        let family = Family::begin(id, user("bob"), Device::default(), Timestamp::default());
        let reset = PasswordReset { user: user("bob"), hash: [0; 32], expires_at: Timestamp::default() };
        let named = |id: &str| Some(values::encode_named(id).unwrap());
        let kv = MemKv::new();
        let changes = vec![
            (account_key(&user("ann")), Some(encode_account(&account("ann")).unwrap())),
            (email_key(&Email::parse("other@example.org").unwrap()), named("ann")),
            (account_key(&user("cid")), Some(encode_account(&account("cid")).unwrap())),
            (email_key(&account("cid").email), named("cid")),
            (keys::user(&keys::user16(&user("cid"))), Some(values::encode_user(&profile).unwrap())),
            (look_key(&Username::parse("dan").unwrap()), named("cid")),
            (family_key(id), Some(encode_family(&family).unwrap())),
            (login_key(&user("ann"), id), Some(values::PRESENT.to_vec())),
            (reset_key(&user("bob")), Some(encode_reset(&reset).unwrap())),
        ];
        kv.apply(KvBatch { changes }).unwrap();
        let mut expected = [
            "the account of ann has no profile of its own",
            "the account of ann does not hold its address",
            "the account of cid does not hold its look",
            "an address belongs to ann, whose account has another",
            "a look belongs to cid, whose name has another",
            "login 07070707-0707-0707-0707-070707070707 belongs to bob, who has no account",
            "login 07070707-0707-0707-0707-070707070707 is not among those of bob",
            "login 07070707-0707-0707-0707-070707070707 is listed and is not there",
            "the password of bob can be replaced, who has no account",
        ];
        let mut found = differences(&kv).unwrap();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
