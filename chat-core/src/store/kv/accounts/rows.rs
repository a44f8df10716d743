//! What stands in the rows of accounts and logins, and where they stand.

use serde::{Deserialize, Serialize};

use super::super::{
    keys::{self, table},
    values::{self, v1},
};
use crate::{
    accounts::{Account, Device, Email, Family, FamilyId, PasswordHash, PasswordReset},
    auth::ServerRole,
    domain::Username,
    id::UserId,
    store::StoreError,
    time::Timestamp,
};

/// The version of rows that say more than the first one can. All others are written as that, so that a row that
/// was read is the same bytes when it is written again.
const SECOND: u8 = 2;

/// The row of an account whose user is like all others.
#[derive(Serialize, Deserialize)]
struct AccountRow<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    email: &'a str,
    password: &'a str,
}

/// The row of an account whose user has a role.
#[derive(Serialize, Deserialize)]
struct AccountRow2<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    email: &'a str,
    password: &'a str,
    role: u8,
}

/// The row of a login of a device without a name.
#[derive(Serialize, Deserialize)]
struct FamilyRow<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    generation: u64,
    created_at: i64,
    rotated_at: i64,
}

/// The row of a login.
#[derive(Serialize, Deserialize)]
struct FamilyRow2<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    generation: u64,
    created_at: i64,
    rotated_at: i64,
    device: &'a str,
}

/// The row of a token by which a password is replaced.
#[derive(Serialize, Deserialize)]
struct ResetRow<'a> {
    #[serde(borrow)]
    user: v1::Id<'a>,
    hash: [u8; 32],
    expires_at: i64,
}

pub(super) fn email_key(email: &Email) -> Vec<u8> {
    keys::key(table::EMAIL, &[&email.key()])
}

pub(super) fn account_key(user: &UserId) -> Vec<u8> {
    keys::key(table::ACCOUNT, &[&keys::user16(user)])
}

pub(super) fn family_key(id: FamilyId) -> Vec<u8> {
    keys::key(table::FAMILY, &[id.as_bytes()])
}

/// What the keys of a user's logins begin with.
pub(super) fn logins_of(user: &UserId) -> Vec<u8> {
    keys::key(table::LOGIN_OF_USER, &[&keys::user16(user)])
}

pub(super) fn login_key(user: &UserId, id: FamilyId) -> Vec<u8> {
    keys::key(table::LOGIN_OF_USER, &[&keys::user16(user), id.as_bytes()])
}

pub(super) fn reset_key(user: &UserId) -> Vec<u8> {
    keys::key(table::RESET, &[&keys::user16(user)])
}

pub(super) fn look_key(name: &Username) -> Vec<u8> {
    keys::key(table::LOOK, &[name.look().as_bytes()])
}

/// The login that a key of its row names.
pub(super) fn id_of(key: &[u8]) -> Result<FamilyId, StoreError> {
    keys::id_at(key, 1).map(FamilyId::from_bytes).ok_or_else(|| values::corrupt("a key of a login"))
}

/// The login that a key of the index names.
pub(super) fn login_of(key: &[u8]) -> Result<FamilyId, StoreError> {
    keys::id_at(key, 17).map(FamilyId::from_bytes).ok_or_else(|| values::corrupt("a key of a user's logins"))
}

/// Whom a row names.
pub(super) fn named(row: &[u8]) -> Result<UserId, StoreError> {
    values::decode::<v1::Named<'_>>(row)?.id.user()
}

pub(super) fn encode_account(account: &Account) -> Result<Vec<u8>, StoreError> {
    let (user, email) = (v1::Id::of(account.user.as_str()), account.email.as_str());
    let password = account.password.expose();
    match account.role {
        ServerRole::User => values::encode(&AccountRow { user, email, password }),
        ServerRole::Admin => values::encode_as(SECOND, &AccountRow2 { user, email, password, role: 1 }),
    }
}

pub(super) fn decode_account(row: &[u8]) -> Result<Account, StoreError> {
    let row = match row.split_first() {
        Some((&SECOND, rest)) => values::decode_rest(rest)?,
        Some((&found, _)) if found > SECOND => return Err(StoreError::TooNew { found }),
        _ => {
            let AccountRow { user, email, password } = values::decode(row)?;
            AccountRow2 { user, email, password, role: 0 }
        }
    };
    Ok(Account {
        user: row.user.user()?,
        email: Email::from_stored(row.email),
        password: PasswordHash::from_stored(row.password),
        role: match row.role {
            0 => ServerRole::User,
            1 => ServerRole::Admin,
            _ => return Err(values::corrupt("the role of an account")),
        },
    })
}

pub(super) fn encode_family(family: &Family) -> Result<Vec<u8>, StoreError> {
    let user = v1::Id::of(family.user.as_str());
    let (created_at, rotated_at) = (family.created_at.as_millis(), family.rotated_at.as_millis());
    let (generation, device) = (family.generation, family.device.as_str());
    if device.is_empty() {
        return values::encode(&FamilyRow { user, generation, created_at, rotated_at });
    }
    values::encode_as(SECOND, &FamilyRow2 { user, generation, created_at, rotated_at, device })
}

pub(super) fn decode_family(id: FamilyId, row: &[u8]) -> Result<Family, StoreError> {
    let row = match row.split_first() {
        Some((&SECOND, rest)) => values::decode_rest(rest)?,
        Some((&found, _)) if found > SECOND => return Err(StoreError::TooNew { found }),
        _ => {
            let FamilyRow { user, generation, created_at, rotated_at } = values::decode(row)?;
            FamilyRow2 { user, generation, created_at, rotated_at, device: "" }
        }
    };
    Ok(Family {
        id,
        user: row.user.user()?,
        generation: row.generation,
        created_at: Timestamp::from_millis(row.created_at),
        rotated_at: Timestamp::from_millis(row.rotated_at),
        device: Device::from_stored(row.device),
    })
}

pub(super) fn encode_reset(reset: &PasswordReset) -> Result<Vec<u8>, StoreError> {
    let (user, expires_at) = (v1::Id::of(reset.user.as_str()), reset.expires_at.as_millis());
    values::encode(&ResetRow { user, hash: reset.hash, expires_at })
}

pub(super) fn decode_reset(row: &[u8]) -> Result<PasswordReset, StoreError> {
    let row: ResetRow<'_> = values::decode(row)?;
    let expires_at = Timestamp::from_millis(row.expires_at);
    Ok(PasswordReset { user: row.user.user()?, hash: row.hash, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn account(role: ServerRole) -> Account {
        Account {
            user: UserId::parse("ann").unwrap(),
            email: Email::parse("ann@example.org").unwrap(),
            password: PasswordHash::from_stored("$argon2id$x"),
            role,
        }
    }

    /// The bytes as they stand in files that are out there: a change here needs a new version.
    #[test]
    fn the_stored_bytes_of_accounts_stay_as_they_are() {
        for (role, bytes) in [
            (ServerRole::User, "010103616e6e0f616e6e406578616d706c652e6f72670b246172676f6e3269642478"),
            (ServerRole::Admin, "020103616e6e0f616e6e406578616d706c652e6f72670b246172676f6e326964247801"),
        ] {
            let row = encode_account(&account(role)).unwrap();
            assert_eq!(hex(&row), bytes);
            assert_eq!(decode_account(&row).unwrap(), account(role));
            let newer = [&[3], &row[1..]].concat();
            assert_eq!(decode_account(&newer), Err(StoreError::TooNew { found: 3 }));
        }
    }

    #[test]
    fn the_stored_bytes_of_logins_stay_as_they_are() {
        for (device, bytes) in [
            ("", "01000190b5a27a397c3e8f00000000000001ac0280b083c5986801"),
            ("curl", "02000190b5a27a397c3e8f00000000000001ac0280b083c5986801046375726c"),
        ] {
            let family = Family {
                id: FamilyId::new(Timestamp::from_millis(1), [0; 10]),
                user: UserId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
                generation: 300,
                created_at: Timestamp::from_millis(1_790_000_000_000),
                rotated_at: Timestamp::from_millis(-1),
                device: Device::new(device),
            };
            let row = encode_family(&family).unwrap();
            assert_eq!(hex(&row), bytes);
            assert_eq!(decode_family(family.id, &row).unwrap(), family);
            let newer = [&[3], &row[1..]].concat();
            assert_eq!(decode_family(family.id, &newer), Err(StoreError::TooNew { found: 3 }));
        }
    }

    #[test]
    fn the_stored_bytes_of_resets_stay_as_they_are() {
        let (user, expires_at) = (UserId::parse("ann").unwrap(), Timestamp::from_millis(-1));
        let reset = PasswordReset { user, hash: [7; 32], expires_at };
        let row = encode_reset(&reset).unwrap();
        assert_eq!(hex(&row), format!("010103616e6e{}01", "07".repeat(32)));
        assert_eq!(decode_reset(&row).unwrap(), reset);
    }
}
