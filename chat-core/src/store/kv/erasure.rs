//! Erasing users over the layout.
//!
//! The writer looks, before it saves anything by or about a user, whether they are erased: so what was planned or
//! under way when the erasure began is refused, whoever planned it.

mod differences;
mod sweep;

use async_trait::async_trait;

use super::{
    KvStore, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    read,
    request::{Refusal, Request},
    values::{self, v1},
};
use crate::{
    domain::{AuditAct, AuditNote, Change, Commit, Entry, Guard, LeaveReason, RowChange, Username},
    id::UserId,
    store::{Erasure, ErasureStage, ErasureStore, Page, PageRequest, StoreError, UserProfile},
    time::Timestamp,
};

pub(super) use differences::differences;
#[cfg(feature = "accounts")]
pub(super) use differences::is_erased;

/// A change of what is known of an erasure, or a part of it.
#[derive(Debug)]
pub(super) enum EraseRequest {
    Begin(UserId),
    Advance(UserId, Erasure),
    /// Rows that were found to be the user's; each is looked at again.
    Rows(UserId, Vec<Vec<u8>>),
}

impl EraseRequest {
    /// At most how many keys and about how many bytes this changes.
    pub(super) fn cost(&self) -> (usize, usize) {
        let keys = match self {
            Self::Begin(_) => 8,
            Self::Advance(..) => 2,
            Self::Rows(_, keys) => keys.len() * sweep::CHANGES_PER_ROW,
        };
        (keys, keys * 128)
    }
}

/// The second byte of keys of the table.
mod part {
    pub(super) const ROW: u8 = 0;
    pub(super) const UNDER_WAY: u8 = 1;
    pub(super) const NUMBER: u8 = 2;
}

fn row_key(user16: &Id16) -> Vec<u8> {
    keys::key(table::ERASURE, &[&[part::ROW], user16])
}

fn under_way_key(user16: &Id16) -> Vec<u8> {
    keys::key(table::ERASURE, &[&[part::UNDER_WAY], user16])
}

fn number_key(number: u64) -> Vec<u8> {
    keys::key(table::ERASURE, &[&[part::NUMBER], &number.to_be_bytes()])
}

const fn stage_byte(stage: ErasureStage) -> u8 {
    match stage {
        ErasureStage::Memberships => 0,
        ErasureStage::Messages => 1,
        ErasureStage::Reactions => 2,
        ErasureStage::Rows => 3,
        ErasureStage::Done => 4,
    }
}

fn stage_of(byte: u8) -> Result<ErasureStage, StoreError> {
    Ok(match byte {
        0 => ErasureStage::Memberships,
        1 => ErasureStage::Messages,
        2 => ErasureStage::Reactions,
        3 => ErasureStage::Rows,
        4 => ErasureStage::Done,
        _ => return Err(values::corrupt("the stage of an erasure")),
    })
}

#[async_trait]
impl<K: OrderedKv> ErasureStore for KvStore<K> {
    async fn begin_erasure(&self, user: &UserId) -> Result<bool, StoreError> {
        self.erase(EraseRequest::Begin(user.clone())).await
    }

    async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError> {
        let key = row_key(&keys::user16(user));
        self.read(move |shared| {
            let Some(row) = shared.rows.view().get(&key)? else { return Ok(None) };
            let row: v1::Erasure<'_> = values::decode(&row)?;
            let cursor = row.cursor.map(str::to_owned);
            Ok(Some(Erasure { stage: stage_of(row.stage)?, cursor }))
        })
        .await
    }

    async fn advance_erasure(&self, user: &UserId, to: Erasure) -> Result<(), StoreError> {
        self.erase(EraseRequest::Advance(user.clone(), to)).await.map(drop)
    }

    async fn erasures(&self, page: PageRequest) -> Result<Page<UserId>, StoreError> {
        let prefix = keys::key(table::ERASURE, &[&[part::UNDER_WAY]]);
        self.read(move |shared| {
            read::paged(&shared.rows.view(), &prefix, &page, usize::MAX, |_, row| {
                values::decode::<v1::Named<'_>>(row)?.id.user().map(Some)
            })
        })
        .await
    }

    async fn erased_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, UserId)>, StoreError> {
        self.read(move |shared| {
            let (mut found, mut failed) = (Vec::new(), None);
            let (from, to) =
                (keys::after_key(&number_key(number)), keys::key(table::ERASURE, &[&[part::NUMBER + 1]]));
            shared.rows.view().scan(&from, &to, &mut |_, row| {
                if found.len() >= limit {
                    return std::ops::ControlFlow::Break(());
                }
                match decode_erased(row) {
                    Ok(erased) => found.push(erased),
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() {
                    return std::ops::ControlFlow::Break(());
                }
                std::ops::ControlFlow::Continue(())
            })?;
            failed.map_or(Ok(found), Err)
        })
        .await
    }

    async fn erase_rows(&self, user: &UserId, cursor: Option<String>) -> Result<Option<String>, StoreError> {
        let user16 = keys::user16(user);
        let found = self
            .read(move |shared| {
                let weeks = shared.weeks.read().clone();
                sweep::find(&shared.rows.view(), &user16, &weeks, cursor.as_deref())
            })
            .await?;
        if !found.keys.is_empty() {
            self.erase(EraseRequest::Rows(user.clone(), found.keys)).await?;
        }
        Ok(found.next)
    }
}

fn decode_erased(row: &[u8]) -> Result<(u64, UserId), StoreError> {
    let row: v1::Erased<'_> = values::decode(row)?;
    Ok((row.number, row.user.user()?))
}

impl<K: OrderedKv> KvStore<K> {
    async fn erase(&self, request: EraseRequest) -> Result<bool, StoreError> {
        self.write(Request::Erase(request)).await.map_err(Refusal::into_store_error)
    }
}

impl<K: OrderedKv> Group<'_, K> {
    /// Carries out a part of an erasure. Of a beginning it tells whether there is such a user.
    pub(super) fn erase(&mut self, request: &EraseRequest) -> Result<bool, Refusal> {
        match request {
            EraseRequest::Begin(user) => Ok(self.begin_erasure(user)?),
            EraseRequest::Advance(user, to) => Ok(self.advance_erasure(user, to)?),
            EraseRequest::Rows(user, keys) => {
                if !self.is_erased(user)? {
                    return Ok(false);
                }
                for key in keys {
                    self.erase_row(user, key)?;
                }
                Ok(true)
            }
        }
    }

    fn begin_erasure(&mut self, user: &UserId) -> Result<bool, StoreError> {
        let user16 = keys::user16(user);
        if self.is_erased(user)? {
            return Ok(true);
        }
        let Some(row) = self.get(&keys::user(&user16))? else { return Ok(false) };
        let name = values::decode_user(&row)?.username;
        self.remove(keys::username(&name));
        let profile = UserProfile::new(user.clone(), Username::erased(), Timestamp::default());
        self.put(keys::user(&user16), values::encode_user(&profile)?)?;
        self.remove(keys::presence(&user16));
        #[cfg(feature = "accounts")]
        self.remove_account(user, &name)?;
        let (from, to) = (number_key(0), keys::key(table::ERASURE, &[&[part::NUMBER + 1]]));
        let last = self.last_between(&from, &to)?.map(|row| decode_erased(&row)).transpose()?;
        let number = last.map_or(0, |(number, _)| number) + 1;
        let id = v1::Id::of(user.as_str());
        self.put(number_key(number), values::encode(&v1::Erased { number, user: id })?)?;
        self.put(under_way_key(&user16), values::encode_named(user.as_str())?)?;
        let stage = stage_byte(ErasureStage::Memberships);
        self.put(row_key(&user16), values::encode(&v1::Erasure { user: id, number, stage, cursor: None })?)?;
        Ok(true)
    }

    fn advance_erasure(&mut self, user: &UserId, to: &Erasure) -> Result<bool, StoreError> {
        let user16 = keys::user16(user);
        let Some(row) = self.get(&row_key(&user16))? else { return Ok(false) };
        let row: v1::Erasure<'_> = values::decode(&row)?;
        if to.stage < stage_of(row.stage)? {
            return Ok(false);
        }
        if to.stage == ErasureStage::Done {
            self.remove(under_way_key(&user16));
        }
        let (stage, cursor) = (stage_byte(to.stage), to.cursor.as_deref());
        self.put(row_key(&user16), values::encode(&v1::Erasure { stage, cursor, ..row })?)?;
        Ok(true)
    }

    /// Whether the erasure of a user was begun.
    pub(super) fn is_erased(&mut self, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.get(&row_key(&keys::user16(user)))?.is_some())
    }

    /// Whether the user of a key is erased.
    pub(super) fn is_erased16(&mut self, user16: &Id16) -> Result<bool, StoreError> {
        Ok(self.get(&row_key(user16))?.is_some())
    }

    /// Refuses a commit by which something new would be known of somebody who is erased.
    pub(super) fn spare_the_erased(&mut self, commit: &Commit) -> Result<(), Refusal> {
        let mut looked_at: Vec<&UserId> = Vec::new();
        for user in concerned(commit) {
            if looked_at.contains(&user) {
                continue;
            }
            if self.is_erased(user)? {
                return Err(Refusal::Guard(Guard::NotErased(user.clone())));
            }
            looked_at.push(user);
        }
        Ok(())
    }
}

/// Of whom something new would be known by a commit. What erases somebody is nothing new of them.
fn concerned(commit: &Commit) -> impl Iterator<Item = &UserId> {
    let erases = |note: &AuditNote, user: &UserId| {
        note.act == AuditAct::EraseUser && note.target.as_ref() == Some(user)
    };
    let is_going = move |user: &UserId| {
        commit.rows.iter().any(|row| matches!(row, RowChange::Audit(note) if erases(note, user)))
    };
    let in_entries = commit.entries.iter().flat_map(move |entry| {
        let (own, other) = concerned_by(entry);
        let may_erase = matches!(entry.change, Change::UpdateMember(_) | Change::DeleteRoom);
        [own.filter(|user| !(may_erase && is_going(user))), other]
    });
    let in_rows = commit.rows.iter().flat_map(move |row| match row {
        RowChange::PutInvite(invite) => [Some(&invite.user), Some(&invite.by)],
        RowChange::PutLink(link) => [Some(&link.by), None],
        RowChange::Audit(note) => {
            let may_erase = matches!(note.act, AuditAct::EraseUser | AuditAct::DeleteRoom);
            [Some(&note.actor).filter(|user| !(may_erase && is_going(user))), None]
        }
        _ => [None, None],
    });
    in_entries.chain(in_rows).flatten()
}

/// Who brings an entry about, unless it takes back what they did, and who else it is about.
fn concerned_by(entry: &Entry) -> (Option<&UserId>, Option<&UserId>) {
    let actor = Some(&entry.actor);
    match &entry.change {
        Change::Leave { reason: LeaveReason::Erased, .. }
        | Change::Delete { .. }
        | Change::Unreact { .. } => (None, None),
        Change::Join { user, .. } | Change::Leave { user, .. } => (actor, Some(user)),
        Change::UpdateMember(update) => (actor, Some(&update.user)),
        Change::Send(message) => (actor, message.recipient.as_ref()),
        Change::Describe(_)
        | Change::DeleteRoom
        | Change::Edit { .. }
        | Change::React { .. }
        | Change::Pin { .. }
        | Change::Unpin { .. } => (actor, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        UserStore,
        kv::{KvBatch, MemKv, people::rows},
    };

    /// The bytes as they stand in files that are out there: a change here needs a new version.
    #[test]
    fn the_stored_bytes_of_erasures_stay_as_they_are() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let user = v1::Id::of("bob");
        let row = v1::Erasure { user, number: 300, stage: stage_byte(ErasureStage::Done), cursor: Some("c") };
        assert_eq!(hex(values::encode(&row).unwrap()), "010103626f62ac0204010163");
        assert_eq!(hex(values::encode(&v1::Erased { number: 300, user }).unwrap()), "01ac020103626f62");
        for stage in 0..5 {
            assert_eq!(stage_byte(stage_of(stage).unwrap()), stage);
        }
        assert!(stage_of(5).is_err());
    }

    #[tokio::test]
    async fn an_erasure_that_contradicts_itself_is_noticed() {
        let kv = MemKv::new();
        let store = KvStore::inline(kv.clone()).unwrap();
        for name in ["ann", "bob"] {
            let (id, username) = (UserId::parse(name).unwrap(), Username::parse(name).unwrap());
            let created_at = Timestamp::default();
            store.create_user(UserProfile::new(id, username, created_at)).await.unwrap();
        }
        let bob = UserId::parse("bob").unwrap();
        assert_eq!(store.begin_erasure(&bob).await, Ok(true));
        assert_eq!(differences(&kv), Ok(Vec::new()));
        let set = |key: &[u8], value| kv.apply(KvBatch { changes: vec![(key.to_vec(), value)] }).unwrap();
        let all = [rows(&kv, &[table::ERASURE]).unwrap(), rows(&kv, &[table::USER]).unwrap()].concat();
        assert_eq!(all.len(), 5);
        for (key, value) in all.into_iter().filter(|(key, _)| *key != keys::user(&keys::id16("ann"))) {
            set(&key, None);
            assert_ne!(differences(&kv), Ok(Vec::new()), "{key:02x?}");
            if key[0] == table::ERASURE {
                let mut other = key.clone();
                other[5] ^= 1;
                set(&other, Some(value.clone()));
                assert_ne!(differences(&kv), Ok(Vec::new()), "{other:02x?}");
                set(&other, None);
            }
            set(&key, Some(value));
        }
        let user16 = keys::user16(&bob);
        for (key, value) in [
            (keys::presence(&user16), values::PRESENT.to_vec()),
            (keys::user(&user16), kv.get(&keys::user(&keys::id16("ann"))).unwrap().unwrap()),
        ] {
            let before = kv.get(&key).unwrap();
            set(&key, Some(value));
            assert_ne!(differences(&kv), Ok(Vec::new()), "{key:02x?}");
            set(&key, before);
        }
        store.advance_erasure(&bob, Erasure::at(ErasureStage::Done)).await.unwrap();
        assert_eq!(differences(&kv), Ok(Vec::new()));
        let room16 = keys::id16("lobby");
        for key in [
            keys::marker(&user16, &room16),
            keys::room_of_user(&user16, &room16),
            keys::member(&room16, &user16),
            keys::sanction(&room16, &user16),
            keys::block(&user16, &room16),
        ] {
            set(&key, Some(values::PRESENT.to_vec()));
            assert_ne!(differences(&kv), Ok(Vec::new()), "{key:02x?}");
            set(&key, None);
        }
        assert_eq!(differences(&kv), Ok(Vec::new()));
    }
}
