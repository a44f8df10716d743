//! Accounts over the memory store: the contract of the store, and what people can do.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use chat_core::{
    account_store_conformance,
    accounts::{
        AccountError, AccountStore, Accounts, Client, Device, FieldError, Grant, HashingCost, Login,
        Registration, TokenKeys,
    },
    auth::{AuthError, Secret, ServerRole},
    domain::ErrorCode,
    id::UserId,
    limits::LOGINS_PER_USER_MAX,
    store::{
        ErasureStore, Maintenance, ProfileChange, UserStore,
        kv::{Direction, KvBatch, KvError, KvStore, MemKv, MemoryStore, OrderedKv},
    },
    time::{Clock, Timestamp},
};
use futures::future::join_all;

account_store_conformance!(async { (MemoryStore::new(), ()) });

/// A clock that a test turns.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    accounts: Accounts,
    store: Arc<MemoryStore>,
    clock: Arc<Hands>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(Hands(AtomicI64::new(1_000_000_000_000)));
        let keys = TokenKeys::new(Secret::new("an example of a secret, 32 bytes")).unwrap();
        let accounts = Accounts::new(store.clone(), keys, HashingCost::trivial(), clock.clone()).unwrap();
        Self { accounts, store, clock }
    }

    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    async fn ann(&self) -> Grant {
        self.accounts
            .register(registration("ann@example.org", "ann", "correct horse"), &Client::default())
            .await
            .unwrap()
    }

    async fn register(&self, registration: Registration) -> Result<Grant, AccountError> {
        self.accounts.register(registration, &Client::default()).await
    }

    async fn login(&self, login: &str, password: &str) -> Result<Grant, AccountError> {
        self.accounts.login(login, Secret::new(password), &Client::default()).await
    }
}

fn registration(email: &str, username: &str, password: &str) -> Registration {
    Registration { email: email.into(), username: username.into(), password: Secret::new(password) }
}

#[tokio::test]
async fn who_registers_gets_tokens_that_name_them() {
    let world = World::new();
    let grant = world.ann().await;
    let identity = world.accounts.authenticator().check(grant.access_token.expose()).unwrap();
    assert_eq!(identity.user, grant.profile.id);
    assert_eq!(identity.username.as_deref(), Some("ann"));
    assert_eq!(identity.expires_at, Some(grant.expires_at));
    assert_eq!(grant.expires_at.millis_since(world.clock.now()), 15 * 60_000);
    assert_eq!(grant.profile.id.as_str().len(), 36);
    world.pass(15 * 60_000);
    assert_eq!(world.accounts.authenticator().check(grant.access_token.expose()), Err(AuthError::Expired));
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token() {
    let world = World::new();
    let grant = world.ann().await;
    assert_eq!(world.accounts.authenticator().check(grant.refresh_token.expose()), Err(AuthError::Invalid));
    assert_eq!(world.accounts.refresh(&grant.access_token).await.unwrap_err(), AccountError::InvalidToken);
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let error = World::new()
        .accounts
        .register(registration("ann", "a", "short"), &Client::default())
        .await
        .unwrap_err();
    let expected = AccountError::Invalid(vec![
        FieldError { field: "email", message: "this is no e-mail address" },
        FieldError { field: "username", message: "a username has 3 to 50 characters out of A-Z a-z 0-9 _" },
        FieldError { field: "password", message: "a password has 8 to 128 characters" },
    ]);
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_password_has_8_to_128_characters_of_any_kind() {
    let world = World::new();
    for (name, password, good) in [
        ("a__", "horsesh".to_owned(), false),
        ("b__", "horsesho".to_owned(), true),
        ("c__", "☃".repeat(128), true),
        ("d__", "☃".repeat(129), false),
    ] {
        let email = format!("{name}@example.org");
        let registered =
            world.accounts.register(registration(&email, name, &password), &Client::default()).await;
        assert_eq!(registered.is_ok(), good, "{name}");
    }
}

#[tokio::test]
async fn names_and_addresses_are_taken_without_regard_to_case() {
    let world = World::new();
    world.ann().await;
    let name = world
        .accounts
        .register(registration("x@example.org", "ANN", "correct horse"), &Client::default())
        .await;
    assert!(matches!(name, Err(AccountError::Taken(FieldError { field: "username", .. }))));
    let email = world
        .accounts
        .register(registration("ANN@example.org", "other", "correct horse"), &Client::default())
        .await;
    assert!(matches!(email, Err(AccountError::Taken(FieldError { field: "email", .. }))));
}

#[tokio::test]
async fn one_logs_in_by_name_or_address_and_every_login_is_its_own() {
    let world = World::new();
    let first = world.ann().await;
    let by_name = world.login("Ann", "correct horse").await.unwrap();
    let by_email = world.login(" ANN@example.org ", "correct horse").await.unwrap();
    assert_eq!(by_name.profile, first.profile);
    assert_eq!(by_email.profile, first.profile);
    assert!(first.family != by_name.family && by_name.family != by_email.family);
}

#[tokio::test]
async fn a_wrong_user_and_a_wrong_password_are_told_in_the_same_words() {
    let world = World::new();
    world.ann().await;
    for (login, password) in [
        ("ann", "wrong horse"),
        ("nobody", "correct horse"),
        ("nobody@example.org", "correct horse"),
        ("not a name", "correct horse"),
        ("", ""),
        ("ann", ""),
    ] {
        assert_eq!(world.login(login, password).await.unwrap_err(), AccountError::WrongCredentials);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_logins_slow_an_account_down_and_never_lock_it() {
    let world = World::new();
    world.ann().await;
    for _ in 0..30 {
        assert_eq!(world.login("ann", "wrong horse").await.unwrap_err(), AccountError::WrongCredentials);
    }
    let before = tokio::time::Instant::now();
    world.login("ann@example.org", "correct horse").await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 5, "by whichever name it is tried");
    let before = tokio::time::Instant::now();
    world.login("ann", "correct horse").await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again() {
    let world = World::new();
    let first = world.ann().await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    world.pass(19_999);
    let again = world.accounts.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    assert_eq!(again.family, first.family);
    world.accounts.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_spent_token_ends_its_login_and_no_other() {
    let world = World::new();
    let first = world.ann().await;
    let other = world.login("ann", "correct horse").await.unwrap();
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    world.pass(20_000);
    let ended = AccountError::LoginEnded { user: first.profile.id.clone(), login: first.family };
    for (spent, error) in [(&first, ended), (&second, AccountError::InvalidToken)] {
        assert_eq!(error.code(), ErrorCode::InvalidToken);
        assert_eq!(world.accounts.refresh(&spent.refresh_token).await.unwrap_err(), error);
    }
    world.accounts.refresh(&other.refresh_token).await.unwrap();
}

/// Rows in memory on a disk that may be full.
#[derive(Clone, Default)]
struct Disk {
    rows: Arc<MemKv>,
    is_full: Arc<AtomicBool>,
}

impl OrderedKv for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.rows.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError> {
        self.rows.scan(from, to, direction, visit)
    }

    fn apply(&self, batch: KvBatch) -> Result<(), KvError> {
        if self.is_full.load(Ordering::SeqCst) { Err(KvError::Full) } else { self.rows.apply(batch) }
    }

    fn sync(&self) -> Result<(), KvError> {
        self.rows.sync()
    }
}

#[tokio::test]
async fn whose_login_could_not_be_ended_is_told_for_a_spent_token_alone() {
    let disk = Disk::default();
    let store = Arc::new(KvStore::inline(disk.clone()).unwrap());
    let keys = TokenKeys::new(Secret::new("an example of a secret, 32 bytes")).unwrap();
    let clock = Arc::new(Hands(AtomicI64::new(1_000_000_000_000)));
    let accounts = Accounts::new(store, keys, HashingCost::trivial(), clock.clone()).unwrap();
    let first = accounts
        .register(registration("ann@example.org", "ann", "correct horse"), &Client::default())
        .await
        .unwrap();
    disk.is_full.store(true, Ordering::SeqCst);
    let unchanged = accounts.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(unchanged, AccountError::Unavailable);
    disk.is_full.store(false, Ordering::SeqCst);
    accounts.refresh(&first.refresh_token).await.unwrap();
    clock.0.fetch_add(20_000, Ordering::SeqCst);

    let (user, login) = (first.profile.id.clone(), first.family);
    disk.is_full.store(true, Ordering::SeqCst);
    let doubtful = accounts.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(doubtful, AccountError::LoginDoubtful { user: user.clone(), login });
    assert_eq!((doubtful.code(), doubtful.to_string()), (ErrorCode::Unavailable, unchanged.to_string()));
    disk.is_full.store(false, Ordering::SeqCst);
    let ended = accounts.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(ended, AccountError::LoginEnded { user, login });
}

#[tokio::test]
async fn whose_logins_may_have_ended_is_told_when_the_store_fails_over_it() {
    let disk = Disk::default();
    let store = Arc::new(KvStore::inline(disk.clone()).unwrap());
    let keys = TokenKeys::new(Secret::new("an example of a secret, 32 bytes")).unwrap();
    let clock = Arc::new(Hands(AtomicI64::new(1_000_000_000_000)));
    let accounts = Accounts::new(store, keys, HashingCost::trivial(), clock).unwrap();
    let ann = registration("ann@example.org", "ann", "correct horse");
    let ann = accounts.register(ann, &Client::default()).await.unwrap();
    let (user, login) = (&ann.profile.id, ann.family);
    let change = async |current: &str| {
        let (current, new) = (Secret::new(current), Secret::new("another horse"));
        accounts.change_password(user, login, current, new, &Client::default()).await.map(drop)
    };
    disk.is_full.store(true, Ordering::SeqCst);
    let doubtful = AccountError::Doubtful { user: user.clone() };
    assert_eq!(doubtful.code(), ErrorCode::Unavailable);
    assert_eq!(change("correct horse").await, Err(doubtful.clone()));
    assert_eq!(accounts.set_role(user, ServerRole::Admin).await, Err(doubtful.clone()));
    assert_eq!(accounts.end_all_logins(user).await, Err(doubtful));
    assert_eq!(change("wrong horse").await, Err(AccountError::WrongPassword), "nothing was touched");
}

#[tokio::test]
async fn a_token_is_spent_once_its_successor_is_used_however_soon() {
    let world = World::new();
    let first = world.ann().await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let third = world.accounts.refresh(&second.refresh_token).await.unwrap();
    let ended = AccountError::LoginEnded { user: first.profile.id.clone(), login: first.family };
    assert_eq!(world.accounts.refresh(&first.refresh_token).await.unwrap_err(), ended);
    assert_eq!(
        world.accounts.refresh(&third.refresh_token).await.unwrap_err(),
        AccountError::InvalidToken,
        "the login is over"
    );
}

#[tokio::test]
async fn of_64_refreshes_with_one_token_all_get_the_same_new_one() {
    let world = World::new();
    let first = world.ann().await;
    let grants = join_all((0..64).map(|_| world.accounts.refresh(&first.refresh_token))).await;
    let tokens: Vec<_> = grants.into_iter().map(|grant| grant.unwrap().refresh_token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != first.refresh_token));
}

#[tokio::test]
async fn a_login_that_is_not_renewed_for_seven_days_is_over_and_swept_away() {
    let world = World::new();
    let week = 7 * 24 * 3_600_000;
    let first = world.ann().await;
    world.pass(week - 1);
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    world.pass(week);
    assert_eq!(world.accounts.refresh(&second.refresh_token).await.unwrap_err(), AccountError::TokenExpired);
    world.accounts.sweep().await.unwrap();
    assert_eq!(world.store.verify().await.unwrap(), Vec::<String>::new());
    assert_eq!(world.store.family(first.family).await.unwrap(), None);
    assert_eq!(world.accounts.refresh(&second.refresh_token).await.unwrap_err(), AccountError::InvalidToken);
}

#[tokio::test]
async fn nothing_secret_shows_in_debug_output() {
    let world = World::new();
    let grant = world.ann().await;
    let account = world.store.account(&grant.profile.id).await.unwrap();
    let shown = format!(
        "{grant:?} {account:?} {:?} {:?}",
        world.accounts,
        registration("ann@example.org", "ann", "correct horse")
    );
    for secret in ["correct horse", "argon2id", grant.access_token.expose(), grant.refresh_token.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_login_that_was_ended_is_over_for_all_its_tokens_and_no_others() {
    let world = World::new();
    let first = world.ann().await;
    let other = world.login("ann", "correct horse").await.unwrap();
    let proven = |grant: &Grant| world.accounts.authenticator().check(grant.access_token.expose()).unwrap();
    let (gone, stays) = (proven(&first), proven(&other));
    assert_eq!(world.accounts.check_login(&gone).await, Ok(()));
    let stranger = UserId::parse("stranger").unwrap();
    world.accounts.logout(&stranger, first.family).await.unwrap();
    assert_eq!(world.accounts.check_login(&gone).await, Ok(()), "it was not theirs");
    for _ in 0..2 {
        world.accounts.logout(&first.profile.id, first.family).await.unwrap();
        assert_eq!(world.accounts.check_login(&gone).await, Err(AuthError::Invalid));
    }
    assert_eq!(world.accounts.refresh(&first.refresh_token).await.unwrap_err(), AccountError::InvalidToken);
    assert_eq!(world.accounts.check_login(&stays).await, Ok(()));
    world.accounts.refresh(&other.refresh_token).await.unwrap();
}

/// Logs Ann in and lets a second pass.
async fn again(world: &World, device: &str) -> Grant {
    world.pass(1_000);
    let client = Client { device: Device::new(device), address: None };
    world.accounts.login("ann", Secret::new("correct horse"), &client).await.unwrap()
}

#[tokio::test]
async fn logins_are_listed_with_their_device_the_most_recently_used_first() {
    let world = World::new();
    let first = world.ann().await;
    let begun = world.clock.now();
    let second = again(&world, "curl/8\r\n").await;
    world.pass(1_000);
    world.accounts.refresh(&first.refresh_token).await.unwrap();
    let login = |id, device: &str, created_at, last_used_at| Login {
        id,
        device: Device::new(device),
        created_at,
        last_used_at,
    };
    let expected = [
        login(first.family, "", begun, world.clock.now()),
        login(second.family, "curl/8", begun.plus_millis(1_000), begun.plus_millis(1_000)),
    ];
    let user = &first.profile.id;
    assert_eq!(world.accounts.logins(user).await.unwrap(), expected);
    world.pass(7 * 24 * 3_600_000 - 1_000);
    assert_eq!(world.accounts.logins(user).await.unwrap().len(), 1, "one is over, and not yet swept");
}

#[tokio::test]
async fn all_logins_of_a_user_end_at_once_and_nobody_elses() {
    let world = World::new();
    let first = world.ann().await;
    let second = again(&world, "curl").await;
    let other = registration("bob@example.org", "bob", "correct horse");
    let bob = world.accounts.register(other, &Client::default()).await.unwrap();
    let user = &first.profile.id;
    assert_eq!(world.accounts.end_all_logins(user).await.unwrap(), [first.family, second.family]);
    assert_eq!(world.accounts.logins(user).await.unwrap(), []);
    for grant in [&first, &second] {
        let gone = world.accounts.refresh(&grant.refresh_token).await.unwrap_err();
        assert_eq!(gone, AccountError::InvalidToken);
    }
    assert_eq!(world.accounts.end_all_logins(user).await.unwrap(), []);
    assert_eq!(world.accounts.logins(&bob.profile.id).await.unwrap().len(), 1);
    again(&world, "curl").await;
}

#[tokio::test]
async fn with_one_login_too_many_the_least_recently_used_one_ends() {
    let world = World::new();
    let first = world.ann().await;
    let second = again(&world, "").await;
    for _ in 2..LOGINS_PER_USER_MAX {
        assert_eq!(again(&world, "").await.ended, []);
    }
    world.pass(1_000);
    world.accounts.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again(&world, "").await.ended, [second.family]);
    let logins = world.accounts.logins(&first.profile.id).await.unwrap();
    assert_eq!(logins.len(), LOGINS_PER_USER_MAX);
    assert!(logins.iter().any(|login| login.id == first.family));
    assert_eq!(world.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn who_is_kept_out_is_told_so_with_the_right_password_alone() {
    let world = World::new();
    let grant = world.ann().await;
    let change = |disabled| ProfileChange { disabled: Some(disabled), ..ProfileChange::default() };
    world.store.update_user(&grant.profile.id, change(true)).await.unwrap();
    assert_eq!(world.login("ann", "wrong horse").await.unwrap_err(), AccountError::WrongCredentials);
    let disabled = world.login("ann", "correct horse").await.unwrap_err();
    assert_eq!((disabled.clone(), disabled.code()), (AccountError::Disabled, ErrorCode::Forbidden));
    for _ in 0..2 {
        assert_eq!(world.accounts.refresh(&grant.refresh_token).await.unwrap_err(), AccountError::Disabled);
        // Longer than an answer is repeated that was lost: nothing was spent.
        world.pass(60_000);
    }
    world.store.update_user(&grant.profile.id, change(false)).await.unwrap();
    world.accounts.refresh(&grant.refresh_token).await.unwrap();
    world.login("ann", "correct horse").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_many_logins_at_once_all_succeed_within_their_bound() {
    let world = World::new();
    let user = world.ann().await.profile.id;
    let logins = join_all((0..30).map(|_| world.login("ann", "correct horse"))).await;
    assert!(logins.into_iter().all(|login| login.is_ok()));
    assert_eq!(world.accounts.logins(&user).await.unwrap().len(), 31);
}

#[tokio::test]
async fn a_name_that_looks_like_a_taken_one_is_taken_until_its_account_is_erased() {
    let world = World::new();
    let grant = world.register(registration("a@example.org", "modern", "correct horse"));
    let grant = grant.await.unwrap();
    for name in ["modem", "M0DERN", "rnodern", "m0dem"] {
        let alike = world.register(registration("b@example.org", name, "correct horse"));
        let error = alike.await.unwrap_err();
        let message = "the username looks like one that is taken";
        assert_eq!(error, AccountError::Taken(FieldError { field: "username", message }), "{name}");
    }
    world.store.begin_erasure(&grant.profile.id).await.unwrap();
    world.register(registration("b@example.org", "m0dem", "correct horse")).await.unwrap();
}
