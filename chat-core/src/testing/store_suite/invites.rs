//! Obligations of [`crate::store::PeopleStore`] about invitations and links.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::sync::Arc;

use super::{
    Trouble, all_at_once, at, done, planned, profile, public_room, request, room_id, user, verifies,
};
use crate::{
    domain::{Command, Guard, Invite, LinkId, LinkSpec, Outcome, Rejection, RowChange},
    id::{InviteId, RoomId},
    limits::{INVITES_PER_ROOM_MAX, INVITES_PER_USER_MAX, LINKS_PER_ROOM_MAX},
    store::{CommitError, Store},
};

pub(super) fn invite_id(number: usize) -> InviteId {
    InviteId::parse(&format!("0190b5a2-7a39-7c3e-8f00-{number:012x}")).unwrap()
}

pub(super) fn link_id(number: u8) -> LinkId {
    LinkId::from_bytes([number; 16])
}

/// Users with a profile.
pub(super) async fn people<S: Store>(store: &S, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|number| format!("{prefix}_{number}")).collect();
    for name in &names {
        store.create_user(profile(name, name)).await.unwrap();
    }
    names
}

pub(super) async fn invite<S: Store>(
    store: &S,
    room: &RoomId,
    whom: &str,
    number: usize,
) -> Result<InviteId, Trouble> {
    let command = Command::Invite(user(whom), invite_id(number));
    match done(store, room, &request("alice", 3, command)).await? {
        Outcome::Invited { id, .. } => Ok(id),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn link<S: Store>(
    store: &S,
    room: &RoomId,
    number: u8,
    uses: Option<u64>,
) -> Result<Outcome, Trouble> {
    let spec = LinkSpec::new(Some(60), uses).unwrap();
    done(store, room, &request("alice", 4, Command::CreateLink(link_id(number), spec))).await
}

async fn come<S: Store>(store: &S, room: &RoomId, who: &str, number: u8) -> Result<Outcome, Trouble> {
    done(store, room, &request(who, 5, Command::JoinByLink(link_id(number)))).await
}

fn is_rejected<T>(result: &Result<T, Trouble>, rejection: Rejection) -> bool {
    matches!(result, Err(Trouble::Rejected(found)) if *found == rejection)
}

pub async fn an_invitation_is_found_by_its_user_only_and_ends_with_their_joining<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    people(&store, "bob", 2).await;
    let (lobby, garden) =
        (public_room(&store, "lobby", "alice").await, public_room(&store, "garden", "alice").await);
    let first = invite(&store, &lobby, "bob_0", 1).await.unwrap();
    let second = invite(&store, &garden, "bob_0", 2).await.unwrap();
    assert_eq!(invite(&store, &lobby, "bob_0", 3).await.unwrap(), first, "its name stays the same");
    let expected =
        Invite { id: first.clone(), room: lobby.clone(), user: user("bob_0"), by: user("alice"), at: at(3) };
    assert_eq!(store.invite(&user("bob_0"), &first).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.invite(&user("bob_1"), &first).await.unwrap(), None);
    let listed = store.invites_of(&user("bob_0")).await.unwrap();
    let rooms: Vec<_> = listed.iter().map(|(invite, room)| (&invite.id, &room.id)).collect();
    assert_eq!(rooms, [(&first, &lobby), (&second, &garden)]);
    assert_eq!(listed[0].0, expected);
    verifies(&store).await;

    done(&store, &lobby, &request("bob_0", 4, Command::Join)).await.unwrap();
    assert_eq!(store.invite(&user("bob_0"), &first).await.unwrap(), None);
    done(&store, &garden, &request("bob_0", 4, Command::AcceptInvite(second.clone()))).await.unwrap();
    assert!(store.invites_of(&user("bob_0")).await.unwrap().is_empty());
    done(&store, &garden, &request("bob_0", 5, Command::Leave)).await.unwrap();
    let again = done(&store, &garden, &request("bob_0", 6, Command::AcceptInvite(second))).await;
    assert!(is_rejected(&again, Rejection::NO_INVITE), "{again:?}");
    verifies(&store).await;
}

pub async fn a_second_invitation_of_one_user_to_one_room_is_not_saved<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    people(&store, "bob", 1).await;
    let room = public_room(&store, "lobby", "alice").await;
    let plan = async |number| {
        let command = Command::Invite(user("bob_0"), invite_id(number));
        planned(&store, &room, &[request("alice", 3, command)]).await.unwrap().1.unwrap()
    };
    let (first, second) = (plan(1).await, plan(2).await);
    store.commit(first).await.unwrap();
    let guard = Guard::Uninvited(user("bob_0"));
    assert_eq!(store.commit(second).await, Err(CommitError::Guard(guard)));
    assert_eq!(store.invites_of(&user("bob_0")).await.unwrap().len(), 1);
    verifies(&store).await;
}

pub async fn an_answer_to_an_invitation_that_has_ended_is_not_saved<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    people(&store, "bob", 1).await;
    let room = public_room(&store, "lobby", "alice").await;
    let id = invite(&store, &room, "bob_0", 1).await.unwrap();
    let accept = request("bob_0", 4, Command::AcceptInvite(id.clone()));
    let (_, accept) = planned(&store, &room, &[accept]).await.unwrap();
    done(&store, &room, &request("bob_0", 4, Command::DeclineInvite(id.clone()))).await.unwrap();
    let guard = Guard::Invited(user("bob_0"), id);
    assert_eq!(store.commit(accept.unwrap()).await, Err(CommitError::Guard(guard)));
    assert_eq!(store.room(&room).await.unwrap().unwrap().members, 1);
    verifies(&store).await;
}

pub async fn invitations_are_bounded_by_user_and_by_room_whatever_one_commit_holds<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let names = people(&store, "bob", INVITES_PER_ROOM_MAX + 1).await;
    let room = public_room(&store, "lobby", "alice").await;
    let requests: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| request("alice", 3, Command::Invite(user(name), invite_id(number))))
        .collect();
    let (_, all) = planned(&store, &room, &requests).await.unwrap();
    let last = Guard::InviteFits(user(&names[INVITES_PER_ROOM_MAX]));
    assert_eq!(store.commit(all.unwrap()).await, Err(CommitError::Guard(last.clone())));
    assert!(store.invites_of(&user(&names[0])).await.unwrap().is_empty(), "whole or not at all");
    let (_, fitting) = planned(&store, &room, &requests[..INVITES_PER_ROOM_MAX]).await.unwrap();
    store.commit(fitting.unwrap()).await.unwrap();
    let over = invite(&store, &room, &names[INVITES_PER_ROOM_MAX], 1_000).await;
    assert!(matches!(&over, Err(Trouble::Commit(CommitError::Guard(guard))) if *guard == last), "{over:?}");

    for number in 1..INVITES_PER_USER_MAX {
        let room = public_room(&store, &format!("room-{number}"), "alice").await;
        invite(&store, &room, &names[0], 2_000 + number).await.unwrap();
    }
    let garden = public_room(&store, "garden", "alice").await;
    let over = invite(&store, &garden, &names[0], 3_000).await;
    assert!(matches!(over, Err(Trouble::Commit(CommitError::Guard(Guard::InviteFits(_))))), "{over:?}");
    verifies(&store).await;
}

pub async fn a_link_is_used_no_more_often_than_it_may_be_however_many_race<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = Arc::new(open().await);
    let room = public_room(&*store, "lobby", "alice").await;
    link(&*store, &room, 1, Some(3)).await.unwrap();
    let results = all_at_once(&store, 24, |store, number| {
        let room = room.clone();
        async move { come(&*store, &room, &format!("user-{number}"), 1).await }
    })
    .await;
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Outcome::Joined(_)))).count(), 3);
    assert_eq!(results.iter().filter(|result| is_rejected(result, Rejection::NO_LINK)).count(), 21);
    assert_eq!(store.link(link_id(1)).await.unwrap().unwrap().uses, 3);
    assert_eq!(store.room(&room).await.unwrap().unwrap().members, 4);
    verifies(&*store).await;
}

pub async fn nobody_comes_by_a_link_that_was_removed_meanwhile<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    link(&store, &room, 1, None).await.unwrap();
    let (_, join) =
        planned(&store, &room, &[request("bob", 5, Command::JoinByLink(link_id(1)))]).await.unwrap();
    done(&store, &room, &request("alice", 6, Command::RevokeLink(link_id(1)))).await.unwrap();
    assert_eq!(store.commit(join.unwrap()).await, Err(CommitError::Guard(Guard::LinkStands(link_id(1)))));
    assert_eq!(store.link(link_id(1)).await.unwrap(), None);
    assert_eq!(store.room(&room).await.unwrap().unwrap().members, 1);
    let come = come(&store, &room, "bob", 1).await;
    assert!(is_rejected(&come, Rejection::NO_LINK), "{come:?}");
    verifies(&store).await;
}

pub async fn links_are_bounded_by_room_and_those_that_are_over_make_room<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let (room, other) =
        (public_room(&store, "lobby", "alice").await, public_room(&store, "garden", "alice").await);
    for number in 0..LINKS_PER_ROOM_MAX as u8 {
        link(&store, &room, number, Some(1)).await.unwrap();
    }
    link(&store, &other, 100, None).await.unwrap();
    let over = link(&store, &room, 101, None).await;
    assert!(matches!(over, Err(Trouble::Commit(CommitError::Guard(Guard::LinkFits)))), "{over:?}");
    come(&store, &room, "bob", 7).await.unwrap();
    link(&store, &room, 101, None).await.unwrap();
    assert_eq!(store.link(link_id(7)).await.unwrap(), None, "it was used up");
    let links = store.links_into(&room).await.unwrap();
    assert_eq!(links.len(), LINKS_PER_ROOM_MAX);
    assert!(links.iter().all(|link| link.room == room && link.id != link_id(7)));
    let elsewhere = come(&store, &other, "carol", 101).await;
    assert!(is_rejected(&elsewhere, Rejection::NO_LINK), "{elsewhere:?}");
    verifies(&store).await;
}

pub async fn a_commit_of_rows_alone_moves_no_head<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    people(&store, "bob", 1).await;
    let room = public_room(&store, "lobby", "alice").await;
    let before = store.room(&room).await.unwrap();
    invite(&store, &room, "bob_0", 1).await.unwrap();
    assert_eq!(store.room(&room).await.unwrap(), before);
    let command = Command::Invite(user("bob_0"), invite_id(2));
    let (_, none) = planned(&store, &room, &[request("alice", 3, command)]).await.unwrap();
    assert_eq!(none, None, "what is so already changes nothing");
    let (_, commit) =
        planned(&store, &room, &[request("bob_0", 3, Command::DeclineInvite(invite_id(1)))]).await.unwrap();
    let mut commit = commit.unwrap();
    assert!(commit.entries.is_empty() && commit.rows.contains(&RowChange::RemoveInvite(user("bob_0"))));
    super::send(&store, &room, "alice", "meanwhile").await;
    assert!(matches!(store.commit(commit.clone()).await, Err(CommitError::Conflict { .. })));
    commit.after = commit.after.next();
    commit.room = store.room(&room).await.unwrap().unwrap();
    store.commit(commit).await.unwrap();
    assert!(store.invites_of(&user("bob_0")).await.unwrap().is_empty());
    assert_eq!(store.room(&room_id("elsewhere")).await.unwrap(), None);
    verifies(&store).await;
}
