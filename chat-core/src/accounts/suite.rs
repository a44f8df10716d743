//! The conformance suite of [`AccountStore`]: one case for each obligation.

use std::sync::Arc;

use futures::future::join_all;

use super::{Account, AccountStore, CreateAccountError, Email, Family, FamilyId, NewAccount, PasswordHash};
use crate::{
    domain::Username,
    id::UserId,
    store::{CreateUserError, UserProfile},
    time::Timestamp,
};

/// Runs every case against a fresh store: `account_store_conformance!(async { (MyStore::open(&dir), dir) });`
///
/// The block is evaluated once a case; it gives the store, and what has to outlive it (`()` for nothing). The
/// calling crate needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! account_store_conformance {
    (async $open:block) => {
        $crate::account_store_conformance! { @cases (async || $open):
            an_account_is_created_whole
            an_account_that_is_refused_leaves_nothing_behind
            of_accounts_racing_for_one_name_exactly_one_is_created
            of_accounts_racing_for_one_address_exactly_one_is_created
            usernames_are_shared_with_profiles_of_users_without_an_account
            a_user_without_an_account_has_none
            of_replacements_of_one_state_exactly_one_takes_effect
            an_ended_family_stays_ended
            forgetting_deletes_what_is_over_and_nothing_else
        }
    };
    (@cases ($open:expr): $($case:ident)*) => {
        mod account_store {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (store, _outlives_it) = ($open)().await;
                    $crate::accounts::suite::$case(store).await;
                }
            )*
        }
    };
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn family(number: u8, user: &str, millis: i64) -> Family {
    let user = UserId::parse(user).unwrap_or_else(|_| UserId::nobody());
    Family::begin(FamilyId::new(at(millis), [number; 10]), user, at(millis))
}

#[allow(clippy::unwrap_used, reason = "a suite of tests: its inputs are its own")]
fn new(id: &str, name: &str, email: &str) -> NewAccount {
    let user = UserId::parse(id).unwrap();
    let username = Username::parse(name).unwrap();
    NewAccount {
        profile: UserProfile::new(user.clone(), username, at(7)),
        account: Account {
            user,
            email: Email::parse(email).unwrap(),
            password: PasswordHash::from_stored("$argon2id$example"),
        },
        family: family(id.as_bytes()[0], id, 7),
    }
}

/// What the store knows of an account: all of it, or `None` when it knows nothing.
#[allow(clippy::unwrap_used, reason = "a suite of tests")]
async fn found<S: AccountStore>(store: &S, new: &NewAccount) -> Option<NewAccount> {
    let user = &new.profile.id;
    let profile = store.users(std::slice::from_ref(user)).await.unwrap().remove(0);
    let account = store.account(user).await.unwrap();
    let family = store.family(new.family.id).await.unwrap();
    let parts = (profile.is_some(), account.is_some(), family.is_some());
    assert!(parts == (true, true, true) || parts == (false, false, false), "created in part: {parts:?}");
    Some(NewAccount { profile: profile?, account: account?, family: family? })
}

/// 1.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn an_account_is_created_whole<S: AccountStore>(store: S) {
    let new = new("ann", "Ann", "ann@example.org");
    store.create_account(new.clone()).await.unwrap();
    assert_eq!(found(&store, &new).await, Some(new.clone()));
    let by_email = store.account_with_email(&Email::parse("ANN@example.org").unwrap()).await.unwrap();
    let by_name = store.user_named(&Username::parse("ANN").unwrap()).await.unwrap();
    assert_eq!((by_email, by_name), (Some(new.profile.id.clone()), Some(new.profile.id)));
}

/// 1.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn an_account_that_is_refused_leaves_nothing_behind<S: AccountStore>(store: S) {
    store.create_account(new("ann", "ann", "ann@example.org")).await.unwrap();
    let same_name = new("bob", "ANN", "bob@example.org");
    assert_eq!(store.create_account(same_name.clone()).await, Err(CreateAccountError::NameTaken));
    let same_email = new("bob", "bob", "Ann@example.org");
    assert_eq!(store.create_account(same_email).await, Err(CreateAccountError::EmailTaken));
    let same_id = new("ann", "bob", "bob@example.org");
    assert_eq!(store.create_account(same_id).await, Err(CreateAccountError::IdTaken));
    assert_eq!(found(&store, &same_name).await, None);
    assert_eq!(store.account_with_email(&same_name.account.email).await, Ok(None));
    store.create_account(new("bob", "bob", "bob@example.org")).await.unwrap();
}

async fn race<S: AccountStore>(store: S, accounts: Vec<NewAccount>) -> Vec<Result<(), CreateAccountError>> {
    let store = Arc::new(store);
    join_all(accounts.into_iter().map(|account| {
        let store = Arc::clone(&store);
        async move { store.create_account(account).await }
    }))
    .await
}

/// 2.
#[allow(clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_accounts_racing_for_one_name_exactly_one_is_created<S: AccountStore>(store: S) {
    let racers = (b'a'..=b'p').map(|c| {
        let c = c as char;
        new(&format!("{c}-user"), "wanted", &format!("{c}@example.org"))
    });
    let answers = race(store, racers.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(CreateAccountError::NameTaken)).count(), 15);
}

/// 2.
#[allow(clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_accounts_racing_for_one_address_exactly_one_is_created<S: AccountStore>(store: S) {
    let racers = (b'a'..=b'p').map(|c| {
        let c = c as char;
        new(&format!("{c}-user"), &format!("name_{c}"), "wanted@example.org")
    });
    let answers = race(store, racers.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(CreateAccountError::EmailTaken)).count(), 15);
}

/// 2.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn usernames_are_shared_with_profiles_of_users_without_an_account<S: AccountStore>(store: S) {
    let guest = UserProfile { external: true, ..new("guest", "ann", "guest@example.org").profile };
    store.create_user(guest).await.unwrap();
    let taken = store.create_account(new("ann", "Ann", "ann@example.org")).await;
    assert_eq!(taken, Err(CreateAccountError::NameTaken));
    store.create_account(new("bob", "bob", "bob@example.org")).await.unwrap();
    let taken = store.create_user(new("late", "BOB", "late@example.org").profile).await;
    assert!(matches!(taken, Err(CreateUserError::NameTaken)));
}

/// 1.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn a_user_without_an_account_has_none<S: AccountStore>(store: S) {
    let guest = new("guest", "guest", "guest@example.org");
    store.create_user(guest.profile).await.unwrap();
    assert_eq!(store.account(&guest.account.user).await, Ok(None));
    assert_eq!(store.account_with_email(&guest.account.email).await, Ok(None));
    assert_eq!(store.family(guest.family.id).await, Ok(None));
}

/// 3.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_replacements_of_one_state_exactly_one_takes_effect<S: AccountStore>(store: S) {
    let store = Arc::new(store);
    let first = family(1, "ann", 0);
    store.create_family(first.clone()).await.unwrap();
    let next = |generation| Family { generation, rotated_at: at(5), ..first.clone() };
    let racing = (2..18).map(|generation| {
        let (store, first, next) = (Arc::clone(&store), first.clone(), next(generation));
        async move { store.replace_family(&first, Some(next)).await.unwrap().then_some(generation) }
    });
    let winners: Vec<u64> = join_all(racing).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(store.family(first.id).await, Ok(Some(next(winners[0]))));
}

/// 3.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn an_ended_family_stays_ended<S: AccountStore>(store: S) {
    let first = family(1, "ann", 0);
    store.create_family(first.clone()).await.unwrap();
    assert_eq!(store.replace_family(&first, None).await, Ok(true));
    assert_eq!(store.replace_family(&first, Some(first.clone())).await, Ok(false));
    assert_eq!(store.family(first.id).await, Ok(None));
}

/// 5.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn forgetting_deletes_what_is_over_and_nothing_else<S: AccountStore>(store: S) {
    let store = Arc::new(store);
    let week = 7 * 24 * 3_600_000;
    let families: Vec<Family> = (0..600_i64).map(|i| family((i % 251) as u8, "ann", i)).collect();
    join_all(families.iter().map(|family| store.create_family(family.clone()))).await;
    let mut rotated = families[3].clone();
    rotated.rotated_at = at(1_000);
    assert_eq!(store.replace_family(&families[3], Some(rotated.clone())).await, Ok(true));
    let mut cursor = None;
    for step in 0.. {
        assert!(step < 600, "it comes to an end");
        cursor = store.forget_families(at(week + 299), cursor).await.unwrap();
        if cursor.is_none() {
            break;
        }
    }
    for (i, family) in families.iter().enumerate() {
        let expected = match i {
            3 => Some(rotated.clone()),
            0..=299 => None,
            _ => Some(family.clone()),
        };
        assert_eq!(store.family(family.id).await, Ok(expected), "family {i}");
    }
}
