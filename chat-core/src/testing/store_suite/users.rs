//! Obligations of [`crate::store::UserStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{all_at_once, at, profile, user, verifies};
use crate::{
    domain::{DisplayName, KeptPresence, PresenceMode, StatusText, Username},
    limits::PRESENCES_SAVED_AT_ONCE,
    store::{
        CreateUserError, Page, PageRequest, ProfileChange, Store, StoreError, UpdateUserError, UserProfile,
    },
};

fn named(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub async fn a_profile_is_found_by_id_and_by_name_without_regard_to_case<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let alice = profile("auth0|alice", "Alice_1");
    let bob = UserProfile { external: true, ..profile("0190b5a2-7a39-7c3e-8f00-000000000001", "bob") };
    store.create_user(alice.clone()).await.unwrap();
    store.create_user(bob.clone()).await.unwrap();
    let asked = [bob.id.clone(), user("unknown"), alice.id.clone()];
    assert_eq!(store.users(&asked).await.unwrap(), [Some(bob.clone()), None, Some(alice.clone())]);
    for name in ["Alice_1", "alice_1", "ALICE_1"] {
        assert_eq!(store.user_named(&named(name)).await.unwrap(), Some(alice.id.clone()), "{name}");
    }
    assert_eq!(store.user_named(&named("BOB")).await.unwrap(), Some(bob.id));
    assert_eq!(store.user_named(&named("alice")).await.unwrap(), None);
    verifies(&store).await;
}

pub async fn of_users_racing_for_one_name_exactly_one_is_created<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let results = all_at_once(&store, 100, |store, number| async move {
        let name = if number % 2 == 0 { "same_name" } else { "SAME_NAME" };
        store.create_user(profile(&format!("user-{number}"), name)).await
    })
    .await;
    let created: Vec<_> = (0..100).filter(|number| results[*number].is_ok()).collect();
    assert_eq!(created.len(), 1);
    let refused = results.iter().filter(|result| matches!(result, Err(CreateUserError::NameTaken))).count();
    assert_eq!(refused, 99);
    let holder = store.user_named(&named("same_name")).await.unwrap();
    assert_eq!(holder, Some(user(&format!("user-{}", created[0]))));
    verifies(&*store).await;
}

pub async fn of_users_racing_for_one_id_exactly_one_is_created<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    let results = all_at_once(&store, 100, |store, number| async move {
        store.create_user(profile("same-id", &format!("name_{number}"))).await
    })
    .await;
    let refused = results.iter().filter(|result| matches!(result, Err(CreateUserError::IdTaken))).count();
    assert_eq!((results.iter().filter(|result| result.is_ok()).count(), refused), (1, 99));
    verifies(&*store).await;
}

pub async fn a_refused_user_leaves_nothing_behind<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    store.create_user(profile("alice", "alice")).await.unwrap();
    let id_taken = store.create_user(profile("alice", "other")).await;
    assert!(matches!(id_taken, Err(CreateUserError::IdTaken)), "{id_taken:?}");
    let name_taken = store.create_user(profile("other", "ALICE")).await;
    assert!(matches!(name_taken, Err(CreateUserError::NameTaken)), "{name_taken:?}");
    store.create_user(profile("other", "other")).await.unwrap();
    assert_eq!(store.users(&[user("alice")]).await.unwrap(), [Some(profile("alice", "alice"))]);
    verifies(&store).await;
}

fn renamed(name: &str) -> ProfileChange {
    ProfileChange { username: Some(named(name)), ..ProfileChange::default() }
}

pub async fn a_changed_profile_is_read_as_it_was_changed<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let mut alice = UserProfile { external: true, ..profile("alice", "alice") };
    store.create_user(alice.clone()).await.unwrap();
    let changes = [
        ProfileChange {
            display_name: Some(Some(DisplayName::parse("Alice \u{1f642} Liddell").unwrap())),
            ..ProfileChange::default()
        },
        ProfileChange { avatar_url: Some(Some("/api/files/1/a.png".into())), ..ProfileChange::default() },
        ProfileChange { disabled: Some(true), ..ProfileChange::default() },
        ProfileChange::default(),
        renamed("Alice_2"),
        ProfileChange {
            username: Some(named("alice_3")),
            display_name: Some(None),
            avatar_url: Some(None),
            disabled: Some(false),
        },
    ];
    for change in changes {
        store.update_user(&alice.id, change.clone()).await.unwrap();
        alice = alice.changed(&change);
        assert_eq!(store.users(&[alice.id.clone()]).await.unwrap(), [Some(alice.clone())], "{change:?}");
    }
    assert_eq!(alice, UserProfile { external: true, ..profile("alice", "alice_3") });
    assert_eq!(store.update_user(&user("bob"), renamed("bob")).await, Err(UpdateUserError::NoUser));
    verifies(&store).await;
}

pub async fn another_name_frees_the_old_one_and_can_be_nobody_elses<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    store.create_user(profile("alice", "alice")).await.unwrap();
    store.create_user(profile("bob", "bob")).await.unwrap();
    let whole =
        ProfileChange { display_name: Some(Some(DisplayName::parse("Bob").unwrap())), ..renamed("ALICE") };
    assert_eq!(store.update_user(&user("bob"), whole).await, Err(UpdateUserError::NameTaken));
    assert_eq!(store.users(&[user("bob")]).await.unwrap(), [Some(profile("bob", "bob"))]);
    // One's own name in other letters is one's own name.
    store.update_user(&user("alice"), renamed("ALICE")).await.unwrap();
    store.update_user(&user("alice"), renamed("carol")).await.unwrap();
    store.update_user(&user("bob"), renamed("alice")).await.unwrap();
    let holders = [named("alice"), named("bob"), named("carol")];
    let mut held = Vec::new();
    for name in &holders {
        held.push(store.user_named(name).await.unwrap());
    }
    assert_eq!(held, [Some(user("bob")), None, Some(user("alice"))]);
    verifies(&store).await;
}

pub async fn of_users_taking_one_name_at_most_one_gets_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    for number in 0..50 {
        store.create_user(profile(&format!("user-{number}"), &format!("name_{number}"))).await.unwrap();
    }
    let results = all_at_once(&store, 50, |store, number| async move {
        store.update_user(&user(&format!("user-{number}")), renamed("wanted")).await
    })
    .await;
    let got: Vec<_> = (0..50).filter(|number| results[*number].is_ok()).collect();
    let refused = results.iter().filter(|result| **result == Err(UpdateUserError::NameTaken)).count();
    assert_eq!((got.len(), refused), (1, 49));
    assert_eq!(store.user_named(&named("wanted")).await.unwrap(), Some(user(&format!("user-{}", got[0]))));
    verifies(&*store).await;
}

pub async fn the_profile_of_who_was_erased_changes_no_more<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    store.create_user(profile("alice", "alice")).await.unwrap();
    assert!(store.begin_erasure(&user("alice")).await.unwrap());
    let erased = store.users(&[user("alice")]).await.unwrap();
    assert_eq!(store.update_user(&user("alice"), renamed("alice")).await, Err(UpdateUserError::NoUser));
    assert_eq!(store.users(&[user("alice")]).await.unwrap(), erased);
    verifies(&store).await;
}

pub async fn users_are_found_by_how_their_name_begins<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for (id, name) in [("1", "anna"), ("2", "ANN_1"), ("3", "ann"), ("4", "bob"), ("5", "annex")] {
        store.create_user(profile(id, name)).await.unwrap();
    }
    assert!(store.begin_erasure(&user("5")).await.unwrap());
    let mut found = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let Page { items, next } = store.users_like("aNN", page).await.unwrap();
        assert!(items.len() <= 2);
        found.extend(items.into_iter().map(|profile| profile.username.as_str().to_owned()));
        let Some(cursor) = next else { break };
        page = PageRequest { cursor: Some(cursor), limit: 2 };
    }
    assert_eq!(found, ["ann", "ANN_1", "anna"]);
    let all = store.users_like("", PageRequest::first(10)).await.unwrap();
    assert_eq!((all.items.len(), all.next), (4, None));
    assert_eq!(store.users_like("\u{0}", PageRequest::first(10)).await.unwrap().items, []);
}

/// Presences of three users, unlike each other.
pub(crate) fn presences() -> Vec<(crate::id::UserId, KeptPresence)> {
    let text = StatusText::parse("à la plage 🏖").unwrap();
    vec![
        (user("alice"), KeptPresence { mode: PresenceMode::Invisible, text, last_seen: Some(at(7)) }),
        (user("bob"), KeptPresence { mode: PresenceMode::Dnd, ..KeptPresence::default() }),
        (user("0190b5a2-7a39-7c3e-8f00-000000000001"), KeptPresence::default()),
    ]
}

/// Profiles for those of [`presences`].
pub(crate) async fn create_present<S: Store>(store: &S) {
    for (number, (user, _)) in presences().iter().enumerate() {
        store.create_user(profile(user.as_str(), &format!("name_{number}"))).await.unwrap();
    }
}

pub async fn a_presence_comes_back_as_it_was_saved_last<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    create_present(&store).await;
    let saved = presences();
    let users: Vec<_> = saved.iter().map(|(user, _)| user.clone()).chain([user("nobody")]).collect();
    assert_eq!(store.presences(&users).await.unwrap(), [None, None, None, None]);
    store.save_presences(saved.clone()).await.unwrap();
    let mut expected: Vec<_> = saved.into_iter().map(|(_, kept)| Some(kept)).chain([None]).collect();
    assert_eq!(store.presences(&users).await.unwrap(), expected);
    let later = KeptPresence { last_seen: Some(at(9)), ..KeptPresence::default() };
    store.save_presences(vec![(users[0].clone(), later.clone())]).await.unwrap();
    expected[0] = Some(later);
    assert_eq!(store.presences(&users).await.unwrap(), expected);
    store.save_presences(Vec::new()).await.unwrap();
    verifies(&store).await;
}

pub async fn a_save_of_too_many_presences_saves_nothing<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let users: Vec<_> = (0..=PRESENCES_SAVED_AT_ONCE).map(|number| user(&format!("user-{number}"))).collect();
    for (number, user) in users.iter().enumerate() {
        store.create_user(profile(user.as_str(), &format!("name_{number}"))).await.unwrap();
    }
    let all: Vec<_> = users.iter().map(|user| (user.clone(), KeptPresence::default())).collect();
    assert_eq!(store.save_presences(all.clone()).await, Err(StoreError::TooLarge));
    assert_eq!(store.presences(&users[..1]).await.unwrap(), [None]);
    store.save_presences(all[1..].to_vec()).await.unwrap();
    assert_eq!(store.presences(&users[..2]).await.unwrap(), [None, Some(KeptPresence::default())]);
    verifies(&store).await;
}
