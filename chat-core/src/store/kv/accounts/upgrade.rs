//! What stores lack that were written before logins were listed by user and looks of names were kept.

use std::ops::ControlFlow;

use super::{
    super::{
        KvStore, OrderedKv,
        keys::{self, table},
        request::{GuardedRows, Refusal, Request},
        values,
        writer::Shared,
    },
    rows::{decode_account, decode_family, id_of, login_key, look_key},
};
use crate::{limits::FAMILIES_PER_SWEEP, store::StoreError};

/// Present once there is nothing more to do, see [`KvStore::index_accounts`].
const INDEXED: &str = "accounts indexed";

/// A key and what it held.
type Row = (Vec<u8>, Vec<u8>);

/// Derives the row of an index from a row, where there is to be one.
type RowOf<K> = fn(&Shared<K>, (&[u8], &[u8])) -> Result<Option<Row>, StoreError>;

impl<K: OrderedKv> KvStore<K> {
    /// Goes through all logins and accounts once in the life of a store. Whoever writes one meanwhile writes the
    /// index, too, so nothing is missed; and breaking off costs nothing but to begin anew.
    pub(super) async fn index_accounts(&self) -> Result<(), StoreError> {
        let done = keys::meta(INDEXED);
        let key = done.clone();
        if self.read(move |shared| shared.rows.view().get(&key)).await?.is_some() {
            return Ok(());
        }
        self.index_table(table::FAMILY, |_, (key, row)| {
            let family = decode_family(id_of(key)?, row)?;
            Ok(Some((login_key(&family.user, family.id), values::PRESENT.to_vec())))
        })
        .await?;
        self.index_table(table::ACCOUNT, |shared, (_, row)| {
            let user = decode_account(row)?.user;
            let Some(profile) = shared.rows.view().get(&keys::user(&keys::user16(&user)))? else {
                return Ok(None);
            };
            let look = look_key(&values::decode_user(&profile)?.username);
            Ok(Some((look, values::encode_named(user.as_str())?)))
        })
        .await?;
        let put = Request::Put(vec![(done, values::PRESENT.to_vec())]);
        self.write(put).await.map(drop).map_err(Refusal::into_store_error)
    }

    /// Puts the row of the index that `row_of` derives beside each row of a table, where none stands.
    async fn index_table(&self, table: u8, row_of: RowOf<K>) -> Result<(), StoreError> {
        let mut from = vec![table];
        loop {
            let start = from.clone();
            let (rows, last) = self.read(move |shared| page(shared, &start, table, row_of)).await?;
            for ((key, row), (index, value)) in rows {
                let expected = vec![(key, Some(row)), (index.clone(), None)];
                let changes = vec![(index, Some(value))];
                let rows = GuardedRows { expected, owner: None, logins: None, profile: None, changes };
                match self.write(Request::Guarded(rows)).await {
                    // It changed meanwhile, and whoever changed it has put the row; or another one looks like it.
                    Ok(_) | Err(Refusal::Unexpected) => {}
                    Err(refusal) => return Err(refusal.into_store_error()),
                }
            }
            let Some(last) = last else { return Ok(()) };
            from = keys::after_key(&last);
        }
    }
}

/// The rows of some keys that lack their row of the index, with that, and the last key if there may be more.
#[allow(clippy::type_complexity, reason = "two rows and a key")]
fn page<K: OrderedKv>(
    shared: &Shared<K>,
    from: &[u8],
    table: u8,
    row_of: RowOf<K>,
) -> Result<(Vec<(Row, Row)>, Option<Vec<u8>>), StoreError> {
    let mut rows: Vec<Row> = Vec::new();
    shared.rows.view().scan(from, &[table + 1], &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        if rows.len() < FAMILIES_PER_SWEEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let last = rows.last().filter(|_| rows.len() >= FAMILIES_PER_SWEEP).map(|(key, _)| key.clone());
    let mut lacking = Vec::new();
    for (key, row) in rows {
        if let Some(index) = row_of(shared, (&key, &row))?
            && shared.rows.view().get(&index.0)?.is_none()
        {
            lacking.push(((key, row), index));
        }
    }
    Ok((lacking, last))
}

#[cfg(test)]
mod tests {
    use super::{
        super::rows::{account_key, email_key, encode_account, encode_family, family_key},
        *,
    };
    use crate::{
        accounts::{Account, AccountStore, Device, Email, Family, FamilyId, PasswordHash},
        auth::ServerRole,
        domain::Username,
        id::UserId,
        store::{
            UserProfile,
            kv::{KvBatch, MemKv},
        },
        time::Timestamp,
    };

    /// A store as the first version left it: two names that look alike, three hundred logins each.
    fn old() -> MemKv {
        let kv = MemKv::new();
        let mut changes = Vec::new();
        for (number, id) in [(1, "ann-1i"), (2, "ann-2l")] {
            let user = UserId::parse(id).unwrap();
            let email = Email::parse(&format!("{id}@example.org")).unwrap();
            let username = Username::parse(if number == 1 { "A_1" } else { "a_l" }).unwrap();
            let profile = UserProfile::new(user.clone(), username, Timestamp::default());
            let named = Some(values::encode_named(id).unwrap());
            changes.push((keys::user(&keys::user16(&user)), Some(values::encode_user(&profile).unwrap())));
            changes.push((keys::username(&profile.username), named.clone()));
            changes.push((email_key(&email), named));
            let password = PasswordHash::from_stored("x");
            let account = Account { user: user.clone(), email, password, role: ServerRole::User };
            changes.push((account_key(&user), Some(encode_account(&account).unwrap())));
            for login in 0..300 {
                let family_id = FamilyId::new(Timestamp::from_millis(login), [number; 10]);
                let family =
                    Family::begin(family_id, user.clone(), Device::default(), Timestamp::from_millis(login));
                changes.push((family_key(family_id), Some(encode_family(&family).unwrap())));
            }
        }
        kv.apply(KvBatch { changes }).unwrap();
        kv
    }

    #[tokio::test]
    async fn a_store_of_the_first_version_lists_its_logins_after_one_pass() {
        let kv = old();
        let store = KvStore::inline(kv.clone()).unwrap();
        assert_eq!(store.families(&UserId::parse("ann-1i").unwrap()).await.unwrap(), []);
        for _ in 0..2 {
            store.upgrade_accounts().await.unwrap();
            assert_eq!(super::super::differences(&kv).unwrap(), Vec::<String>::new());
        }
        let listed = store.families(&UserId::parse("ann-2l").unwrap()).await.unwrap();
        assert_eq!(listed.len(), crate::limits::LOGINS_PER_STEP);
        assert!(listed.iter().all(|family| family.user.as_str() == "ann-2l"));
    }
}
