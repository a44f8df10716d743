//! Invitations: who is asked in, and by whom.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use chat_core::{
    auth::Identity,
    engine::Engine,
    id::UserId,
    limits::{INVITES_PER_ROOM_MAX, INVITES_PER_USER_MAX, Limits},
    store::Maintenance,
    testing::{Loss, TestClient},
};
use common::{Nodes, builder, engine, engine_and_store, no_rates, two_nodes};
use serde_json::{Value, json};

const NOWHERE: &str = "0190b5a2-7a39-7c3e-8f00-000000000001";

fn invite(room: &Value, user: &str) -> Value {
    json!({"type": "invite", "roomId": room, "userId": user})
}

fn by_id(kind: &str, invite: &Value) -> Value {
    json!({"type": kind, "inviteId": invite})
}

async fn private_room(client: &mut TestClient) -> Value {
    let ack = client.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await;
    client.expect("room_updated").await;
    client.expect("user_joined").await;
    ack["room"]["id"].clone()
}

/// Profiles without connections.
async fn people(engine: &Engine, prefix: &str, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("{prefix}{number}");
        engine.caller(Identity::new(UserId::parse(&name).unwrap(), name.as_str())).await.unwrap();
        names.push(name);
    }
    names
}

/// An answer without its id.
async fn answer(client: &mut TestClient, command: Value) -> String {
    let mut answer = client.ask(command).await;
    answer.as_object_mut().unwrap().remove("id");
    answer.to_string()
}

#[tokio::test(start_paused = true)]
async fn who_is_invited_is_told_on_all_connections_and_comes_in_by_accepting() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let room = private_room(&mut alice).await;
    let ack = alice.ack(invite(&room, "bob")).await;
    let id = ack["inviteId"].clone();
    assert!(id.is_string(), "{ack}");
    for client in [&mut bob, &mut phone] {
        let told = client.expect("room_invite").await;
        assert_eq!((&told["inviteId"], &told["invitedBy"]), (&id, &json!("alice")));
        assert_eq!((&told["room"]["id"], &told["room"]["name"]), (&room, &json!("Attic")));
    }
    let listed = bob.ask(json!({"type": "list_invites"})).await;
    assert_eq!(listed["type"], "invites");
    let item = listed["items"][0].clone();
    assert_eq!((&item["inviteId"], &item["invitedBy"], &item["room"]["id"]), (&id, &json!("alice"), &room));
    assert!(item["createdAt"].is_string() && listed["items"].as_array().unwrap().len() == 1, "{listed}");
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": room})).await, "not_found", "still private");

    assert_eq!(alice.ack(invite(&room, "bob")).await["inviteId"], id, "the same invitation");
    bob.expect_silence().await;
    let accepted = bob.ack(by_id("accept_invite", &id)).await;
    assert_eq!((&accepted["room"]["id"], &accepted["room"]["lastSeq"]), (&room, &json!(3)));
    for client in [&mut alice, &mut bob, &mut phone] {
        let joined = client.expect("user_joined").await;
        assert_eq!((&joined["user"]["id"], &joined["seq"]), (&json!("bob"), &json!(3)));
        client.expect_silence().await;
    }
    carol.expect_silence().await;
    assert_eq!(bob.ask(json!({"type": "list_invites"})).await["items"], json!([]));
    assert_eq!(bob.refused(by_id("accept_invite", &id)).await, "not_found", "it ended with that");
    assert_eq!(alice.ack(invite(&room, "bob")).await.get("inviteId"), None, "a member needs none");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_invitation_ends_when_it_is_declined_or_not_needed_any_more() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = private_room(&mut alice).await;
    let first = alice.ack(invite(&room, "bob")).await["inviteId"].clone();
    bob.ack(by_id("decline_invite", &first)).await;
    for kind in ["decline_invite", "accept_invite"] {
        assert_eq!(bob.refused(by_id(kind, &first)).await, "not_found");
    }
    let second = alice.ack(invite(&room, "bob")).await["inviteId"].clone();
    assert_ne!(first, second);

    alice.ack(json!({"type": "ban", "roomId": room, "userId": "bob"})).await;
    assert_eq!(bob.refused(by_id("accept_invite", &second)).await, "not_found");
    assert_eq!(alice.refused(invite(&room, "bob")).await, "forbidden");
    alice.ack(json!({"type": "unban", "roomId": room, "userId": "bob"})).await;
    assert_eq!(bob.refused(by_id("accept_invite", &second)).await, "not_found", "the ban has ended it");

    let fourth = alice.ack(invite(&room, "bob")).await["inviteId"].clone();
    let link = alice.ack(json!({"type": "create_invite_link", "roomId": room})).await["token"].clone();
    alice.ack(json!({"type": "delete_room", "roomId": room})).await;
    assert_eq!(bob.refused(by_id("accept_invite", &fourth)).await, "not_found");
    assert_eq!(bob.refused(json!({"type": "join_by_link", "token": link})).await, "not_found");
    assert_eq!(bob.ask(json!({"type": "list_invites"})).await["items"], json!([]));
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());

    let public = json!(alice.create_room("Lobby").await);
    let third = alice.ack(invite(&public, "bob")).await["inviteId"].clone();
    bob.join(public.as_str().unwrap()).await;
    assert_eq!(bob.ask(json!({"type": "list_invites"})).await["items"], json!([]));
    bob.ack(json!({"type": "leave_room", "roomId": public})).await;
    assert_eq!(bob.refused(by_id("accept_invite", &third)).await, "not_found");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn members_invite_to_public_rooms_and_moderators_to_private_ones() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    people(&engine, "dave", 1).await;
    let public = json!(alice.create_room("Lobby").await);
    assert_eq!(bob.refused(invite(&public, "dave0")).await, "forbidden", "join first");
    bob.join(public.as_str().unwrap()).await;
    bob.ack(invite(&public, "dave0")).await;
    let private =
        alice.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await["room"]["id"]
            .clone();
    let id = alice.ack(invite(&private, "bob")).await["inviteId"].clone();
    bob.ack(by_id("accept_invite", &id)).await;
    assert_eq!(bob.refused(invite(&private, "dave0")).await, "forbidden");
    alice.ack(json!({"type": "set_role", "roomId": private, "userId": "bob", "role": "moderator"})).await;
    bob.ack(invite(&private, "dave0")).await;

    let direct =
        alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "x"})).await["roomId"].clone();
    assert_eq!(alice.refused(invite(&direct, "carol")).await, "forbidden");
    assert_eq!(alice.refused(invite(&private, "nobody")).await, "not_found");
    assert_eq!(alice.refused(invite(&private, "no id!")).await, "not_found");
    assert_eq!(carol.refused(invite(&private, "dave0")).await, "not_found");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_learns_nothing_by_inviting_or_by_somebody_elses_invitation() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    people(&engine, "bob", 1).await;
    let room = private_room(&mut alice).await;
    for user in ["bob0", "nobody", "no id!"] {
        let hidden = answer(&mut carol, invite(&room, user)).await;
        assert_eq!(hidden, answer(&mut carol, invite(&json!(NOWHERE), user)).await, "{user}");
        assert!(hidden.contains("not_found") && hidden.contains("room"), "{hidden}");
    }
    let id = alice.ack(invite(&room, "bob0")).await["inviteId"].clone();
    for kind in ["accept_invite", "decline_invite"] {
        let somebody_elses = answer(&mut carol, by_id(kind, &id)).await;
        assert_eq!(somebody_elses, answer(&mut carol, by_id(kind, &json!(NOWHERE))).await);
        assert_eq!(somebody_elses, answer(&mut carol, by_id(kind, &json!("no id!"))).await);
        assert!(somebody_elses.contains("not_found"), "{somebody_elses}");
    }
    let mut bob = TestClient::connect(&engine, "bob0").await;
    bob.ack(by_id("accept_invite", &id)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_invited_by_somebody_with_whom_one_has_blocked_the_other() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = json!(alice.create_room("Lobby").await);
    bob.ack(json!({"type": "block_user", "userId": "alice"})).await;
    let blocked = answer(&mut alice, invite(&room, "bob")).await;
    assert!(blocked.contains("forbidden"), "{blocked}");
    bob.expect_silence().await;
    bob.ack(json!({"type": "unblock_user", "userId": "alice"})).await;
    alice.ack(json!({"type": "ban", "roomId": room, "userId": "bob"})).await;
    assert_eq!(answer(&mut alice, invite(&room, "bob")).await, blocked, "as for who is banned");
}

#[tokio::test(start_paused = true)]
async fn invitations_are_bounded_per_user_and_per_room() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    for number in 0..INVITES_PER_USER_MAX {
        let room = json!(alice.create_room(&format!("Room {number}")).await);
        alice.ack(invite(&room, "bob")).await;
    }
    let room = json!(alice.create_room("Lobby").await);
    assert_eq!(alice.refused(invite(&room, "bob")).await, "forbidden");
    let listed = bob.ask(json!({"type": "list_invites"})).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), INVITES_PER_USER_MAX);
    bob.ack(by_id("decline_invite", &listed["items"][0]["inviteId"])).await;
    alice.ack(invite(&room, "bob")).await;
    for name in people(&engine, "user", INVITES_PER_ROOM_MAX - 1).await {
        alice.ack(invite(&room, &name)).await;
    }
    people(&engine, "last", 1).await;
    assert_eq!(alice.refused(invite(&room, "last0")).await, "forbidden");
    alice.ack(invite(&room, "user0")).await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_invitation_lets_nobody_over_the_limit_of_rooms_or_into_a_full_group() {
    let engine = builder().limits(Limits { rooms_per_user: 2, ..no_rates() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = private_room(&mut alice).await;
    let id = alice.ack(invite(&room, "bob")).await["inviteId"].clone();
    let own = [bob.create_room("One").await, bob.create_room("Two").await];
    assert_eq!(bob.refused(by_id("accept_invite", &id)).await, "forbidden");
    bob.ack(json!({"type": "leave_room", "roomId": own[0]})).await;
    bob.ack(by_id("accept_invite", &id)).await;

    let others = people(&engine, "user", 10).await;
    let group =
        alice.ack(json!({"type": "create_group", "userIds": others[..9]})).await["room"]["id"].clone();
    let id = alice.ack(invite(&group, "user9")).await["inviteId"].clone();
    let mut last = TestClient::connect(&engine, "user9").await;
    assert_eq!(last.refused(by_id("accept_invite", &id)).await, "conflict");
    let mut first = TestClient::connect(&engine, "user0").await;
    first.ack(json!({"type": "leave_room", "roomId": group})).await;
    assert_eq!(last.ack(by_id("accept_invite", &id)).await["room"]["memberCount"], 10);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_answer_one_invitation_at_once_one_is_right() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    let room = private_room(&mut alice).await;
    for _ in 0..5 {
        let id = alice.ack(invite(&room, "bob")).await["inviteId"].clone();
        let (yes, no) =
            (bob.start(by_id("accept_invite", &id)).await, phone.start(by_id("decline_invite", &id)).await);
        let (yes, no) = (bob.answer(yes).await, phone.answer(no).await);
        assert!((yes["type"] == "ack") != (no["type"] == "ack"), "{yes} {no}");
        if yes["type"] == "ack" {
            bob.ack(json!({"type": "leave_room", "roomId": room})).await;
        }
        assert_eq!(bob.ask(json!({"type": "list_invites"})).await["items"], json!([]));
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_invitation_crosses_nodes_and_stays_one() {
    let Nodes { a, b, store, .. } = two_nodes(Loss::NONE).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    let room = private_room(&mut alice).await;
    let mut elsewhere = TestClient::connect(&b, "alice").await;
    let (one, other) = (alice.start(invite(&room, "bob")).await, elsewhere.start(invite(&room, "bob")).await);
    let (one, other) = (alice.answer(one).await, elsewhere.answer(other).await);
    assert!(one["inviteId"].is_string(), "{one}");
    assert_eq!(one["inviteId"], other["inviteId"]);
    assert_eq!(bob.expect("room_invite").await["inviteId"], one["inviteId"]);
    bob.ack(by_id("accept_invite", &one["inviteId"])).await;
    assert_eq!(bob.expect("user_joined").await["seq"], 3);
    assert_eq!(alice.expect("user_joined").await["seq"], 3);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}
