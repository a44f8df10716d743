//! The conformance suite of [`AccountStore`]: one case for each obligation.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    Account, AccountChange, AccountStore, CreateAccountError, Device, Email, Family, FamilyId, NewAccount,
    PasswordHash, PasswordReset,
};
use crate::{
    auth::ServerRole,
    domain::Username,
    id::UserId,
    store::{CreateUserError, ProfileChange, UpdateUserError, UserProfile},
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
            of_accounts_racing_for_one_look_exactly_one_is_created
            who_takes_another_name_takes_its_look_along
            a_change_of_an_account_takes_effect_whole
            a_change_that_was_planned_on_another_state_changes_nothing
            of_changes_of_one_state_exactly_one_takes_effect
            the_logins_of_a_user_are_listed_as_they_are
            a_token_takes_the_place_of_the_one_before
            no_token_outlives_the_password_that_it_was_to_replace
            tokens_that_have_expired_are_forgotten_and_no_others
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
    Family::begin(FamilyId::new(at(millis), [number; 10]), user, Device::new("curl"), at(millis))
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
            role: ServerRole::User,
        },
        family: Some(family(id.as_bytes()[0], id, 7)),
    }
}

/// What the store knows of an account: all of it, or `None` when it knows nothing.
#[allow(clippy::unwrap_used, reason = "a suite of tests")]
async fn found<S: AccountStore>(store: &S, new: &NewAccount) -> Option<NewAccount> {
    let user = &new.profile.id;
    let profile = store.users(std::slice::from_ref(user)).await.unwrap().remove(0);
    let account = store.account(user).await.unwrap();
    let family = match &new.family {
        Some(family) => store.family(family.id).await.unwrap(),
        None => None,
    };
    let logins = store.families(user).await.unwrap();
    assert_eq!(logins.into_iter().next(), family);
    let parts = (profile.is_some(), account.is_some(), family.is_some());
    let whole = (true, true, new.family.is_some());
    assert!(parts == whole || parts == (false, false, false), "created in part: {parts:?}");
    Some(NewAccount { profile: profile?, account: account?, family })
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
    assert_eq!(store.families(&guest.account.user).await, Ok(Vec::new()));
}

/// Creates Ann, and returns her first login.
#[allow(clippy::unwrap_used, reason = "a suite of tests")]
async fn begun<S: AccountStore>(store: &S) -> Family {
    let new = new("ann", "ann", "ann@example.org");
    store.create_account(new.clone()).await.unwrap();
    new.family.unwrap()
}

/// 3.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_replacements_of_one_state_exactly_one_takes_effect<S: AccountStore>(store: S) {
    let first = begun(&store).await;
    let store = Arc::new(store);
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
    let first = begun(&store).await;
    assert_eq!(store.replace_family(&first, None).await, Ok(true));
    assert_eq!(store.replace_family(&first, Some(first.clone())).await, Ok(false));
    assert_eq!(store.family(first.id).await, Ok(None));
}

/// 5.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn forgetting_deletes_what_is_over_and_nothing_else<S: AccountStore>(store: S) {
    let week = 7 * 24 * 3_600_000;
    let families: Vec<Family> = (0..600_i64).map(|i| family((i % 251) as u8, "ann", i)).collect();
    store.create_account(new("ann", "ann", "ann@example.org")).await.unwrap();
    for family in &families {
        let logins = store.families(&family.user).await.unwrap();
        let account = store.account(&family.user).await.unwrap().unwrap();
        let change = AccountChange { begin: Some(family.clone()), ..AccountChange::of(account, &logins) };
        assert_eq!(store.change_account(change).await, Ok(true));
    }
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

/// 2.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_accounts_racing_for_one_look_exactly_one_is_created<S: AccountStore>(store: S) {
    let names = ["modem_l0", "rnodern_lo", "Modem_IO", "m0dem_10", "modern_l0", "MODEM_1O"];
    let racers = names
        .iter()
        .enumerate()
        .map(|(i, name)| new(&format!("user-{i}"), name, &format!("{i}@example.org")));
    let racers: Vec<_> = racers.collect();
    assert!(racers.iter().all(|account| account.profile.username.look() == "rnodern_lo"));
    let answers = race(store, racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Err(CreateAccountError::NameAlike)).count(), 5);
}

/// 2.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn who_takes_another_name_takes_its_look_along<S: AccountStore>(store: S) {
    let (ann, guest) = (new("ann", "modem", "ann@example.org"), new("guest", "guest", "guest@example.org"));
    store.create_account(ann.clone()).await.unwrap();
    store.create_user(guest.profile.clone()).await.unwrap();
    let called =
        |name: &str| ProfileChange { username: Username::parse(name).ok(), ..ProfileChange::default() };
    let taken = store.update_user(&guest.profile.id, called("modern")).await;
    assert_eq!(taken, Err(UpdateUserError::NameTaken));
    store.update_user(&ann.profile.id, called("m0dem")).await.unwrap();
    store.update_user(&ann.profile.id, called("small")).await.unwrap();
    store.update_user(&guest.profile.id, called("modern")).await.unwrap();
    let bob = store.create_account(new("bob", "sma1l", "bob@example.org")).await;
    assert_eq!(bob, Err(CreateAccountError::NameAlike));
    store.create_account(new("bob", "rnodem", "bob@example.org")).await.unwrap();
}

/// Ann with the login that she registered with and two more, and her account.
#[allow(clippy::unwrap_used, reason = "a suite of tests")]
async fn three_logins<S: AccountStore>(store: &S) -> (Account, Vec<Family>) {
    begun(store).await;
    let user = UserId::parse("ann").unwrap();
    for (number, millis) in [(1, 8), (2, 9)] {
        let (account, logins) =
            (store.account(&user).await.unwrap().unwrap(), store.families(&user).await.unwrap());
        let begin = Some(family(number, "ann", millis));
        let change = AccountChange { begin, ..AccountChange::of(account, &logins) };
        assert_eq!(store.change_account(change).await, Ok(true));
    }
    (store.account(&user).await.unwrap().unwrap(), store.families(&user).await.unwrap())
}

/// A change of everything that can be changed: the first two logins end, another one begins.
fn everything(account: &Account, logins: &[Family], reset: &PasswordReset) -> AccountChange {
    AccountChange {
        password: Some(PasswordHash::from_stored("$argon2id$another")),
        role: Some(ServerRole::Admin),
        end: logins.iter().take(2).map(|family| family.id).collect(),
        begin: Some(family(9, "ann", 10)),
        reset: Some(reset.clone()),
        ..AccountChange::of(account.clone(), logins)
    }
}

fn token(user: &UserId, byte: u8, millis: i64) -> PasswordReset {
    PasswordReset { user: user.clone(), hash: [byte; 32], expires_at: at(millis) }
}

/// 6.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn a_change_of_an_account_takes_effect_whole<S: AccountStore>(store: S) {
    let (account, logins) = three_logins(&store).await;
    let reset = token(&account.user, 1, 50);
    store.put_reset(reset.clone()).await.unwrap();
    let change = everything(&account, &logins, &reset);
    assert_eq!(store.change_account(change.clone()).await, Ok(true));
    let changed = store.account(&account.user).await.unwrap().unwrap();
    assert_eq!(changed, change.next());
    assert_eq!((changed.role, changed.email), (ServerRole::Admin, account.email));
    let left = vec![logins[2].clone(), family(9, "ann", 10)];
    assert_eq!(store.families(&account.user).await, Ok(left));
    assert_eq!(store.family(logins[0].id).await, Ok(None));
    assert_eq!(store.reset(&account.user).await, Ok(None));
}

/// 6.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn a_change_that_was_planned_on_another_state_changes_nothing<S: AccountStore>(store: S) {
    let (account, logins) = three_logins(&store).await;
    let reset = token(&account.user, 1, 50);
    let change = everything(&account, &logins, &reset);
    assert_eq!(store.change_account(change.clone()).await, Ok(false), "there is no token");
    store.put_reset(token(&account.user, 2, 50)).await.unwrap();
    assert_eq!(store.change_account(change.clone()).await, Ok(false), "it is another token");
    store.put_reset(reset.clone()).await.unwrap();
    let mut other = change.clone();
    other.logins.pop();
    assert_eq!(store.change_account(other).await, Ok(false), "there is one more login");
    let mut other = change.clone();
    other.logins.push(FamilyId::from_bytes([0xff; 16]));
    assert_eq!(store.change_account(other).await, Ok(false), "there is one login less");
    let mut other = change.clone();
    other.account.password = PasswordHash::from_stored("$argon2id$former");
    assert_eq!(store.change_account(other).await, Ok(false), "the password is another one");
    assert_eq!(store.account(&account.user).await, Ok(Some(account.clone())));
    assert_eq!(store.families(&account.user).await, Ok(logins));
    assert_eq!(store.reset(&account.user).await, Ok(Some(reset)));
    assert_eq!(store.change_account(change).await, Ok(true));
}

/// 6.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn of_changes_of_one_state_exactly_one_takes_effect<S: AccountStore>(store: S) {
    let (account, logins) = three_logins(&store).await;
    let store = Arc::new(store);
    let racing = (10..26).map(|number| {
        let begin = Some(family(number, "ann", 20));
        let change = AccountChange { begin, ..AccountChange::of(account.clone(), &logins) };
        let store = Arc::clone(&store);
        async move { store.change_account(change).await.unwrap() }
    });
    assert_eq!(join_all(racing).await.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(store.families(&account.user).await.unwrap().len(), logins.len() + 1);
}

/// 7.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn the_logins_of_a_user_are_listed_as_they_are<S: AccountStore>(store: S) {
    let (account, logins) = three_logins(&store).await;
    store.create_account(new("bob", "bob", "bob@example.org")).await.unwrap();
    assert_eq!(logins, [family(b'a', "ann", 7), family(1, "ann", 8), family(2, "ann", 9)]);
    let rotated = Family { generation: 2, rotated_at: at(30), ..logins[1].clone() };
    assert_eq!(store.replace_family(&logins[1], Some(rotated.clone())).await, Ok(true));
    assert_eq!(store.replace_family(&logins[0], None).await, Ok(true));
    assert_eq!(store.families(&account.user).await, Ok(vec![rotated, logins[2].clone()]));
    let nobody = UserId::parse("nobody-here").unwrap();
    assert_eq!(store.families(&nobody).await, Ok(Vec::new()));
}

/// 8.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn a_token_takes_the_place_of_the_one_before<S: AccountStore>(store: S) {
    let user = begun(&store).await.user;
    assert_eq!(store.reset(&user).await, Ok(None));
    for byte in 1..4 {
        store.put_reset(token(&user, byte, 50)).await.unwrap();
        assert_eq!(store.reset(&user).await, Ok(Some(token(&user, byte, 50))));
    }
}

/// 8.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn no_token_outlives_the_password_that_it_was_to_replace<S: AccountStore>(store: S) {
    let (account, logins) = three_logins(&store).await;
    let user = account.user.clone();
    let reset = token(&user, 1, 50);
    store.put_reset(reset.clone()).await.unwrap();
    let role = AccountChange { role: Some(ServerRole::Admin), ..AccountChange::of(account.clone(), &logins) };
    let changed = role.next();
    assert_eq!(store.change_account(role).await, Ok(true));
    assert_eq!(store.reset(&user).await, Ok(Some(reset.clone())), "the password is the same");
    let password = Some(PasswordHash::from_stored("$argon2id$another"));
    let stale = AccountChange { password: password.clone(), ..AccountChange::of(account, &logins) };
    assert_eq!(store.change_account(stale).await, Ok(false));
    assert_eq!(store.reset(&user).await, Ok(Some(reset)));
    let change = AccountChange { password, ..AccountChange::of(changed, &logins) };
    assert_eq!(store.change_account(change).await, Ok(true));
    assert_eq!(store.reset(&user).await, Ok(None));
}

/// 5.
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case of the suite")]
pub async fn tokens_that_have_expired_are_forgotten_and_no_others<S: AccountStore>(store: S) {
    let users: Vec<_> = (0..300).map(|i| UserId::parse(&format!("user-{i}")).unwrap()).collect();
    join_all((0..).zip(&users).map(|(i, user)| store.put_reset(token(user, 1, i)))).await;
    for step in 0.. {
        assert!(step < 300, "it comes to an end");
        if !store.forget_resets(at(289)).await.unwrap() {
            break;
        }
    }
    for (i, user) in (0..).zip(&users) {
        let expected = (i > 289).then(|| token(user, 1, i));
        assert_eq!(store.reset(user).await, Ok(expected), "user {i}");
    }
}
