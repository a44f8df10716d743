//! What a store that outlives the process owes besides.
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    Random, at, done, draft, erasure, invites, key, log, model, page, people, profile, public_room, request,
    retention, room_id, send, user, users, verifies,
};
use crate::{
    domain::{Needs, Outcome, Sent},
    id::{RoomId, Seq},
    store::{Erasure, ErasureStage, PageRequest, Place, Store},
};

/// Everything that can be asked about the rooms and users of [`model::grow`].
async fn dump<S: Store>(store: &S) -> Vec<String> {
    let mut dump = Vec::new();
    for room in model::ROOMS.map(room_id) {
        dump.push(format!("{:?}", store.room(&room).await.unwrap()));
        dump.push(format!("{:?}", log(store, &room).await));
        dump.push(format!("{:?}", page(store, &room, Place::Latest, 200).await));
        dump.push(format!("{:?}", store.members(&room, PageRequest::first(200)).await.unwrap()));
    }
    for user in model::USERS.map(user) {
        dump.push(format!("{:?}", store.rooms_of(&user, PageRequest::first(200)).await.unwrap()));
    }
    dump.push(format!("{:?}", store.membership_versions(&model::USERS.map(user)).await.unwrap()));
    dump.push(format!("{:?}", store.public_rooms(None, PageRequest::first(200)).await.unwrap()));
    dump.push(format!("{:?}", store.users(&model::USERS.map(user)).await.unwrap()));
    dump
}

pub async fn everything_is_there_after_reopening<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let mut store = open().await;
    store.create_user(profile(model::USERS[0], "first_user")).await.unwrap();
    let mut random = Random::seeded(3);
    for _ in 0..3 {
        model::grow(&store, &mut random, 60).await;
        let before = dump(&store).await;
        store = reopen(store).await;
        assert_eq!(dump(&store).await, before);
        verifies(&store).await;
    }
}

pub async fn a_log_goes_on_where_it_ended<S: Store>(open: impl AsyncFn() -> S, reopen: impl AsyncFn(S) -> S) {
    let mut store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for round in 3..8 {
        assert_eq!(send(&store, &room, "alice", &format!("{round}")).await, Seq::new(round));
        store = reopen(store).await;
    }
    verifies(&store).await;
}

pub async fn keys_of_sent_messages_are_known_after_reopening<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let first = done(&store, &room, &request("alice", 7, draft("once", Some("k")))).await.unwrap();
    let Outcome::Sent(first) = first else { panic!("{first:?}") };
    let store = reopen(store).await;
    let needs = Needs { members: vec![], sent: vec![(user("alice"), key("k"))], ..Needs::default() };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.sent(&user("alice"), &key("k")), Some(Sent { duplicate: true, ..first }));
    while store.sweep(at(0)).await.unwrap() {}
    let again = done(&store, &room, &request("alice", 9, draft("twice", Some("k")))).await.unwrap();
    assert_eq!(again, Outcome::Sent(Sent { duplicate: true, ..first }));
}

pub async fn presences_are_known_after_reopening<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    users::create_present(&store).await;
    let saved = users::presences();
    store.save_presences(saved.clone()).await.unwrap();
    let store = reopen(store).await;
    let (users, kept): (Vec<_>, Vec<_>) = saved.into_iter().map(|(user, kept)| (user, Some(kept))).unzip();
    assert_eq!(store.presences(&users).await.unwrap(), kept);
    verifies(&store).await;
}

pub async fn people_stay_as_they_were_over_reopening<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    assert!(people::reaches(&store, "alice", "bob").await);
    store.block(people::block("bob", "alice")).await.unwrap();
    let room = RoomId::direct(&user("alice"), &user("bob"));
    let lobby = public_room(&store, "lobby", "alice").await;
    let named = invites::people(&store, "carol", 1).await;
    let invited = invites::invite(&store, &lobby, &named[0], 1).await.unwrap();
    invites::link(&store, &lobby, 1, Some(2)).await.unwrap();
    let (invitation, link) = (
        store.invite(&user(&named[0]), &invited).await.unwrap(),
        store.link(invites::link_id(1)).await.unwrap(),
    );
    assert!(invitation.is_some() && link.is_some());
    let (before, entries) = (store.room(&room).await.unwrap(), log(&store, &room).await);
    let store = reopen(store).await;
    assert_eq!(store.room(&room).await.unwrap(), before);
    assert_eq!(log(&store, &room).await, entries);
    assert_eq!(store.invite(&user(&named[0]), &invited).await.unwrap(), invitation);
    assert_eq!(store.link(invites::link_id(1)).await.unwrap(), link);
    assert!(!people::reaches(&store, "alice", "bob").await);
    let blocks = store.blocks(&user("bob"), PageRequest::first(10)).await.unwrap();
    assert_eq!(blocks.items, [people::block("bob", "alice")]);
    verifies(&store).await;
}

pub async fn a_cut_stays_over_reopening_and_its_rows_go_on_going<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    let (room, _, kept) = retention::cut_room(&store).await;
    let before = (store.room(&room).await.unwrap(), log(&store, &room).await);
    let mut store = store;
    for _ in 0..3 {
        store = reopen(store).await;
        assert_eq!((store.room(&room).await.unwrap(), log(&store, &room).await), before);
        assert_eq!(page(&store, &room, Place::Latest, 10).await.messages[0].seq, kept);
        assert_eq!(
            store.retained_rooms(PageRequest::first(10)).await.unwrap().items,
            std::slice::from_ref(&room)
        );
        verifies(&store).await;
        store.sweep(at(6)).await.unwrap();
    }
    retention::swept(&store, 6).await;
    let store = reopen(store).await;
    assert_eq!((store.room(&room).await.unwrap(), log(&store, &room).await), before);
    verifies(&store).await;
}

pub async fn the_epoch_stays_the_same_over_a_clean_close<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    let epoch = store.epoch();
    assert_eq!(reopen(store).await.epoch(), epoch);
}

pub async fn an_audit_log_goes_on_where_it_ended<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let before = super::moderation::some_acts(&store, &room).await;
    let store = reopen(store).await;
    let after = super::moderation::some_acts(&store, &room).await;
    assert_eq!((before.len(), after.len()), (3, 6));
    assert_eq!(after[..3], before);
    verifies(&store).await;
}

pub async fn an_erasure_goes_on_after_reopening<S: Store>(
    open: impl AsyncFn() -> S,
    reopen: impl AsyncFn(S) -> S,
) {
    let store = open().await;
    let room = erasure::before(&store).await;
    let bob = user("bob");
    assert_eq!(store.begin_erasure(&bob).await, Ok(true));
    let half = Erasure { stage: ErasureStage::Messages, cursor: Some("here".to_owned()) };
    store.advance_erasure(&bob, half.clone()).await.unwrap();
    let store = reopen(store).await;
    assert_eq!(store.erasure(&bob).await, Ok(Some(half)));
    let under_way = store.erasures(PageRequest::first(9)).await.unwrap().items;
    assert_eq!(under_way, std::slice::from_ref(&bob));
    erasure::is_refused(&store, &room, "bob", draft("text", None)).await;
    verifies(&store).await;
    let store = reopen(erasure::finished(store, &room).await).await;
    assert_eq!(store.erasure(&bob).await, Ok(Some(Erasure::at(ErasureStage::Done))));
    assert_eq!(store.erased_after(0, 9).await, Ok(vec![(1, bob)]));
    verifies(&store).await;
}
