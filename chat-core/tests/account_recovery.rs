//! Passwords that are changed, forgotten, replaced, brought along from elsewhere; and what the operator does about
//! accounts.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use chat_core::{
    accounts::{
        Account, AccountError, AccountStore, Accounts, Client, FieldError, Grant, HashingCost, Import, Mail,
        MailError, Mailer, PasswordHash, Registration, TokenKeys,
    },
    auth::{Secret, ServerRole},
    domain::ErrorCode,
    id::UserId,
    store::{Maintenance, MemoryStore},
    time::{Clock, Timestamp},
};
use futures::future::join_all;
use tokio::sync::{Mutex, mpsc};

/// A clock that a test turns.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Where mail arrives.
struct Postbox(mpsc::Sender<Mail>);

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        self.0.send(mail).await.map_err(|_| MailError("nobody is there".into()))
    }
}

struct World {
    accounts: Accounts,
    store: Arc<MemoryStore>,
    clock: Arc<Hands>,
    mails: Mutex<mpsc::Receiver<Mail>>,
}

const PASSWORD: &str = "correct horse";
const OTHER: &str = "another horse";

impl World {
    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()), HashingCost::trivial())
    }

    fn over(store: Arc<MemoryStore>, cost: HashingCost) -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(1_000_000_000_000)));
        let keys = TokenKeys::new(Secret::new("an example of a secret, 32 bytes")).unwrap();
        let (sender, mails) = mpsc::channel(100);
        let url = "https://chat.example.org/reset";
        let mailer = Arc::new(Postbox(sender));
        let accounts = Accounts::with_mailer(store.clone(), keys, cost, clock.clone(), mailer, url).unwrap();
        Self { accounts, store, clock, mails: Mutex::new(mails) }
    }

    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    async fn ann(&self) -> Grant {
        let registration = registration("ann@example.org", "ann", PASSWORD);
        self.accounts.register(registration, &Client::default()).await.unwrap()
    }

    async fn login(&self, login: &str, password: &str) -> Result<Grant, AccountError> {
        self.accounts.login(login, Secret::new(password), &Client::default()).await
    }

    async fn change(&self, grant: &Grant, current: &str, new: &str) -> Result<usize, AccountError> {
        let (current, new) = (Secret::new(current), Secret::new(new));
        let user = &grant.profile.id;
        let ended =
            self.accounts.change_password(user, grant.family, current, new, &Client::default()).await?;
        Ok(ended.len())
    }

    async fn account(&self, user: &UserId) -> Account {
        self.store.account(user).await.unwrap().unwrap()
    }

    /// The token of the next mail.
    async fn token(&self) -> Secret {
        let mail = self.mails.lock().await.recv().await.unwrap();
        assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("ann@example.org", "A new password"));
        let (_, token) = mail.text.split_once("\n\nhttps://chat.example.org/reset#token=").unwrap();
        Secret::new(token.split_once("\n\n").unwrap().0)
    }

    async fn reset(&self, token: &Secret, password: &str) -> Result<usize, AccountError> {
        let (_, ended) = self.accounts.reset_password(token, Secret::new(password)).await?;
        Ok(ended.len())
    }

    async fn verify(&self) {
        assert_eq!(self.store.verify().await.unwrap(), Vec::<String>::new());
    }
}

fn registration(email: &str, username: &str, password: &str) -> Registration {
    Registration { email: email.into(), username: username.into(), password: Secret::new(password) }
}

#[tokio::test]
async fn another_password_ends_all_logins_but_the_one_it_was_changed_by() {
    let world = World::new();
    let (first, second) = (world.ann().await, world.login("ann", PASSWORD).await.unwrap());
    assert_eq!(world.change(&second, PASSWORD, OTHER).await, Ok(1));
    assert_eq!(world.accounts.refresh(&first.refresh_token).await.unwrap_err(), AccountError::InvalidToken);
    world.accounts.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(world.login("ann", PASSWORD).await.unwrap_err(), AccountError::WrongCredentials);
    world.login("ann", OTHER).await.unwrap();
    world.verify().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_present_password_changes_nothing_and_slows_the_account_down() {
    let world = World::new();
    let grant = world.ann().await;
    for _ in 0..10 {
        let error = world.change(&grant, "wrong horse", OTHER).await.unwrap_err();
        assert_eq!((error.clone(), error.code()), (AccountError::WrongPassword, ErrorCode::Forbidden));
    }
    let before = tokio::time::Instant::now();
    world.login("ann", PASSWORD).await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_common_password_or_ones_own_name_is_refused_wherever_one_is_chosen() {
    let world = World::new();
    let grant = world.ann().await;
    world.accounts.forgot("ann@example.org").unwrap();
    let token = world.token().await;
    for (password, message) in [
        ("Password123", "this password is one of the first that are guessed"),
        ("ANN@example.org", "the password is the name or the address"),
        ("short", "a password has 8 to 128 characters"),
    ] {
        let refused = |field| AccountError::Invalid(vec![FieldError { field, message }]);
        let taken = registration("ann@example.org", "ann", password);
        let registered = world.accounts.register(taken, &Client::default()).await;
        assert_eq!(registered.unwrap_err(), refused("password"));
        assert_eq!(world.change(&grant, PASSWORD, password).await, Err(refused("newPassword")));
        assert_eq!(world.reset(&token, password).await, Err(refused("password")));
    }
    assert_eq!(world.reset(&token, OTHER).await, Ok(1), "the token was not used up by that");
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_once_by_the_token_of_a_mail() {
    let world = World::new();
    let (first, _) = (world.ann().await, world.login("ann", PASSWORD).await.unwrap());
    world.accounts.forgot(" ANN@example.org").unwrap();
    let token = world.token().await;
    assert_eq!(world.reset(&token, OTHER).await, Ok(2));
    assert_eq!(world.reset(&token, PASSWORD).await, Err(AccountError::InvalidReset));
    assert_eq!(AccountError::InvalidReset.code(), ErrorCode::InvalidToken);
    assert_eq!(world.accounts.refresh(&first.refresh_token).await.unwrap_err(), AccountError::InvalidToken);
    assert_eq!(world.login("ann", PASSWORD).await.unwrap_err(), AccountError::WrongCredentials);
    world.login("ann", OTHER).await.unwrap();
    world.verify().await;
}

#[tokio::test]
async fn of_16_resets_with_one_token_exactly_one_takes_effect() {
    let world = World::new();
    world.ann().await;
    world.accounts.forgot("ann@example.org").unwrap();
    let token = world.token().await;
    let resets = join_all((0..16).map(|_| world.reset(&token, OTHER))).await;
    let (done, refused): (Vec<_>, Vec<_>) = resets.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 15));
    assert!(refused.iter().all(|error| *error == Err(AccountError::InvalidReset)));
}

#[tokio::test]
async fn a_token_is_good_for_30_minutes_and_until_another_one_is_asked_for() {
    let world = World::new();
    world.ann().await;
    let next = async || {
        world.accounts.forgot("ann@example.org").unwrap();
        world.token().await
    };
    let (first, second) = (next().await, next().await);
    assert_eq!(world.reset(&first, OTHER).await, Err(AccountError::InvalidReset));
    world.pass(30 * 60_000);
    assert_eq!(world.reset(&second, OTHER).await, Err(AccountError::InvalidReset));
    world.accounts.sweep().await.unwrap();
    assert_eq!(world.store.reset(&world.ann_id().await).await, Ok(None));
    let third = next().await;
    world.pass(30 * 60_000 - 1);
    assert_eq!(world.reset(&third, OTHER).await, Ok(1));
}

impl World {
    async fn ann_id(&self) -> UserId {
        let name = chat_core::domain::Username::parse("ann").unwrap();
        self.accounts.user_named(&name).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_forged_token_is_good_for_nothing() {
    let world = World::new();
    let bob = registration("bob@example.org", "bob", PASSWORD);
    let bob = world.accounts.register(bob, &Client::default()).await.unwrap().profile.id;
    world.ann().await;
    world.accounts.forgot("ann@example.org").unwrap();
    let token = world.token().await.expose().to_owned();
    let (user, secret) = token.split_once('.').unwrap();
    for forged in [
        String::new(),
        ".".into(),
        user.to_owned(),
        secret.to_owned(),
        format!("{user}."),
        format!("{bob}.{secret}"),
        format!("{user}.{}", "0".repeat(64)),
        format!("{user}.{}", &secret[..62]),
        format!("{token}0"),
        format!("{user}.{user}.{secret}"),
    ] {
        let reset = world.reset(&Secret::new(forged.clone()), OTHER).await;
        assert_eq!(reset, Err(AccountError::InvalidReset), "{forged}");
    }
    assert_eq!(world.reset(&Secret::new(token), OTHER).await, Ok(1));
}

#[tokio::test]
async fn nothing_is_sent_to_who_has_no_account_and_nobody_is_told_so() {
    let world = World::new();
    let unknown = world.accounts.forgot("nobody@example.org");
    world.ann().await;
    assert_eq!(unknown, world.accounts.forgot("ann@example.org"));
    world.token().await;
    let too_often = |email: &str| {
        let mut answers = (0..4).map(|_| world.accounts.forgot(email)).collect::<Vec<_>>();
        assert!(matches!(answers.pop(), Some(Err(AccountError::RateLimited(1..)))), "{email}");
    };
    too_often("ann@example.org");
    too_often("nobody@example.org");
    let no_address =
        AccountError::Invalid(vec![FieldError { field: "email", message: "this is no e-mail address" }]);
    assert_eq!(world.accounts.forgot("ann"), Err(no_address));
}

#[tokio::test]
async fn a_login_that_races_a_reset_with_the_former_password_comes_to_nothing() {
    for round in 0..20 {
        let world = World::new();
        world.ann().await;
        world.accounts.forgot("ann@example.org").unwrap();
        let token = world.token().await;
        let logins = join_all((0..4).map(|_| world.login("ann", PASSWORD)));
        let (_, reset) = tokio::join!(logins, world.reset(&token, OTHER));
        assert!(reset.is_ok(), "round {round}: {reset:?}");
        let left = world.accounts.logins(&world.ann_id().await).await.unwrap();
        assert_eq!(left, [], "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_was_made_otherwise_is_replaced_at_the_next_login() {
    let world = World::new();
    let user = world.ann().await.profile.id;
    let before = world.account(&user).await.password;
    let dearer = World::over(world.store.clone(), HashingCost { passes: 2, ..HashingCost::trivial() });
    assert_eq!(dearer.login("ann", "wrong horse").await.unwrap_err(), AccountError::WrongCredentials);
    assert_eq!(world.account(&user).await.password, before);
    let logins = join_all((0..8).map(|_| dearer.login("ann", PASSWORD))).await;
    assert!(logins.iter().all(Result::is_ok));
    let after = world.account(&user).await.password;
    assert!(after.expose().starts_with("$argon2id$v=19$m=8,t=2,p=1$"));
    dearer.login("ann", PASSWORD).await.unwrap();
    assert_eq!(world.account(&user).await.password, after, "once");
}

#[tokio::test]
async fn who_is_brought_along_logs_in_with_their_former_password_and_gets_a_hash_of_today() {
    let world = World::new();
    let import = |id: &str, name: &str, hash: String| Import {
        id: UserId::parse(id).ok(),
        email: format!("{name}@example.org"),
        username: name.into(),
        password: PasswordHash::from_stored(&hash),
        created_at: Some(Timestamp::from_millis(5)),
        role: ServerRole::User,
    };
    // What everybody may know: "correct horse" with a cost of 4.
    let hash = bcrypt::hash_with_salt(PASSWORD, 4, [7; 16]).unwrap().to_string();
    let profile = world.accounts.import(import("legacy-7", "ann", hash.clone())).await.unwrap();
    assert_eq!((profile.id.as_str(), profile.created_at.as_millis()), ("legacy-7", 5));
    assert_eq!(world.accounts.logins(&profile.id).await.unwrap(), []);
    assert_eq!(world.login("ann", OTHER).await.unwrap_err(), AccountError::WrongCredentials);
    world.login("ann@example.org", PASSWORD).await.unwrap();
    assert!(world.account(&profile.id).await.password.expose().starts_with("$argon2id$"));
    world.login("ann", PASSWORD).await.unwrap();

    let again = world.accounts.import(import("legacy-7", "bob", hash)).await.unwrap_err();
    assert!(matches!(again, AccountError::Taken(FieldError { field: "id", .. })));
    let bad = world.accounts.import(import("legacy-8", "no name", "plain text".into())).await.unwrap_err();
    let AccountError::Invalid(errors) = bad else { panic!("{bad:?}") };
    assert_eq!(errors.iter().map(|error| error.field).collect::<Vec<_>>(), ["email", "username", "password"]);
    world.verify().await;
}

#[tokio::test]
async fn another_role_ends_all_logins_and_stands_in_the_tokens_of_the_next() {
    let world = World::new();
    let first = world.ann().await;
    let role =
        |grant: &Grant| world.accounts.authenticator().check(grant.access_token.expose()).unwrap().role;
    assert_eq!((first.role, role(&first)), (ServerRole::User, ServerRole::User));
    let user = &first.profile.id;
    assert_eq!(world.accounts.set_role(user, ServerRole::User).await, Ok(vec![]));
    assert_eq!(world.accounts.set_role(user, ServerRole::Admin).await, Ok(vec![first.family]));
    assert_eq!(world.accounts.refresh(&first.refresh_token).await.unwrap_err(), AccountError::InvalidToken);
    let second = world.login("ann", PASSWORD).await.unwrap();
    assert_eq!((second.role, role(&second)), (ServerRole::Admin, ServerRole::Admin));
    let renewed = world.accounts.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(role(&renewed), ServerRole::Admin);
    assert_eq!(world.accounts.set_role(user, ServerRole::User).await, Ok(vec![second.family]));
    let nobody = UserId::parse("nobody-here").unwrap();
    assert_eq!(world.accounts.set_role(&nobody, ServerRole::Admin).await, Err(AccountError::NoAccount));
}

#[tokio::test]
async fn an_account_of_the_operators_making_has_its_role_and_may_have_a_reserved_name() {
    let world = World::new();
    let reserved = registration("root@example.org", "root", PASSWORD);
    let taken = world.accounts.register(reserved.clone(), &Client::default()).await.unwrap_err();
    assert!(matches!(taken, AccountError::Taken(FieldError { field: "username", .. })));
    let profile = world.accounts.create_with_role(reserved.clone(), ServerRole::Admin).await.unwrap();
    let account = world.accounts.account_of(&profile.id).await.unwrap().unwrap();
    assert_eq!((account.role, account.email.as_str()), (ServerRole::Admin, "root@example.org"));
    assert_eq!(world.login("root", PASSWORD).await.unwrap().role, ServerRole::Admin);
    let again = world.accounts.create_with_role(reserved, ServerRole::Admin).await.unwrap_err();
    assert!(matches!(again, AccountError::Taken(FieldError { field: "username", .. })));
}

#[tokio::test]
async fn the_operator_can_have_a_password_replaced() {
    let world = World::new();
    let user = world.ann().await.profile.id;
    world.accounts.request_reset_for(&user).await.unwrap();
    let token = world.token().await;
    assert_eq!(world.reset(&token, OTHER).await, Ok(1));
    let nobody = UserId::parse("nobody-here").unwrap();
    assert_eq!(world.accounts.request_reset_for(&nobody).await, Err(AccountError::NoAccount));
}

#[tokio::test(start_paused = true)]
async fn failed_logins_slow_their_address_down_whichever_account_they_are_at() {
    let world = World::new();
    world.ann().await;
    let from = |address: &str| Client { address: address.parse().ok(), ..Client::default() };
    let (thief, owner) = (from("192.0.2.1"), from("192.0.2.2"));
    for i in 0..40 {
        let login = world.accounts.login(&format!("guess_{i}"), Secret::new(PASSWORD), &thief).await;
        assert_eq!(login.unwrap_err(), AccountError::WrongCredentials);
    }
    let took = async |client: &Client| {
        let before = tokio::time::Instant::now();
        world.accounts.login("ann", Secret::new(PASSWORD), client).await.unwrap();
        before.elapsed().as_secs()
    };
    assert_eq!(took(&owner).await, 0, "others are not slowed down");
    assert_eq!(took(&thief).await, 5, "nobody is locked out");
    assert_eq!(took(&thief).await, 5, "one right password excuses no guesses at others");
}

#[tokio::test]
async fn a_token_is_good_for_nothing_once_the_password_was_changed() {
    let world = World::new();
    let ann = world.ann().await;
    world.accounts.forgot("ann@example.org").unwrap();
    let token = world.token().await;
    world.change(&ann, PASSWORD, OTHER).await.unwrap();
    assert_eq!(world.reset(&token, "a thief's horse").await, Err(AccountError::InvalidReset));
    world.login("ann", OTHER).await.unwrap();
}
