//! Invitation links: whoever holds the token comes in, as often and as long as it was made for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{collections::BTreeSet, sync::Arc};

use chat_core::{
    limits::LINKS_PER_ROOM_MAX,
    store::Maintenance,
    testing::{Loss, ManualClock, TestClient},
};
use common::{Nodes, builder, engine, engine_and_store, two_nodes};
use serde_json::{Value, json};

async fn private_room(client: &mut TestClient) -> Value {
    let ack = client.ack(json!({"type": "create_room", "name": "Attic", "private": true})).await;
    ack["room"]["id"].clone()
}

fn link(room: &Value) -> Value {
    json!({"type": "create_invite_link", "roomId": room})
}

fn join(token: &Value) -> Value {
    json!({"type": "join_by_link", "token": token})
}

/// An answer without its id.
async fn answer(client: &mut TestClient, command: Value) -> String {
    let mut answer = client.ask(command).await;
    answer.as_object_mut().unwrap().remove("id");
    answer.to_string()
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_a_token_comes_in_and_members_use_nothing_up() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = private_room(&mut alice).await;
    let mut command = link(&room);
    command["maxUses"] = json!(2);
    let made = alice.ack(command).await;
    assert_eq!((&made["maxUses"], made["token"].as_str().unwrap().len()), (&json!(2), 40));
    assert!(made["expiresAt"].is_string() && made["linkId"].is_string(), "{made}");
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let mut dave = TestClient::connect(&engine, "dave").await;
    assert_eq!(bob.ack(join(&made["token"])).await["room"]["lastSeq"], 3);
    assert_eq!(bob.ack(join(&made["token"])).await["room"]["id"], room);
    assert_eq!(bob.expect("user_joined").await["seq"], 3);
    carol.ack(join(&made["token"])).await;
    assert_eq!(dave.refused(join(&made["token"])).await, "not_found");
    carol.ack(join(&made["token"])).await;
    let listed = alice.ask(json!({"type": "list_invite_links", "roomId": room})).await;
    assert_eq!(listed["type"], "invite_links");
    let shown = ["linkId", "maxUses", "uses", "createdBy"].map(|field| listed["items"][0][field].clone());
    assert_eq!(shown, [made["linkId"].clone(), json!(2), json!(2), json!("alice")]);
    assert!(!listed.to_string().contains(made["token"].as_str().unwrap()), "tokens are told once");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_good_for_nothing_is_answered_alike_whatever_the_reason() {
    let clock = Arc::new(ManualClock::at_millis(1_790_000_000_000));
    let engine = builder().clock(clock.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = private_room(&mut alice).await;
    let with = |field: &str, value: u64| {
        let mut command = link(&room);
        command[field] = json!(value);
        command
    };
    let expired = alice.ack(with("expiresInSeconds", 60)).await;
    let used_up = alice.ack(with("maxUses", 1)).await;
    let by_token = alice.ack(link(&room)).await;
    let by_name = alice.ack(link(&room)).await;
    let good = alice.ack(link(&room)).await;
    TestClient::connect(&engine, "carol").await.ack(join(&used_up["token"])).await;
    alice.ack(json!({"type": "revoke_invite_link", "roomId": room, "token": by_token["token"]})).await;
    alice.ack(json!({"type": "revoke_invite_link", "roomId": room, "linkId": by_name["linkId"]})).await;
    clock.advance_millis(60_000);
    let mut answers = BTreeSet::new();
    for token in [
        &expired["token"],
        &used_up["token"],
        &by_token["token"],
        &by_name["token"],
        &json!("0".repeat(40)),
        &json!(""),
        &good["linkId"],
    ] {
        answers.insert(answer(&mut bob, join(token)).await);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().contains("not_found"), "{answers:?}");
    bob.ack(join(&good["token"])).await;
}

#[tokio::test(start_paused = true)]
async fn of_many_who_come_by_one_link_at_once_exactly_as_many_come_in_as_may() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = private_room(&mut alice).await;
    let mut command = link(&room);
    command["maxUses"] = json!(3);
    let token = alice.ack(command).await["token"].clone();
    let mut clients = Vec::new();
    for number in 0..64 {
        let mut client = TestClient::connect(&engine, &format!("user{number}")).await;
        let id = client.start(join(&token)).await;
        clients.push((client, id));
    }
    let mut came = 0;
    for (client, id) in &mut clients {
        match client.answer(*id).await {
            answer if answer["type"] == "ack" => came += 1,
            answer => assert_eq!(answer["code"], "not_found", "{answer}"),
        }
    }
    assert_eq!(came, 3);
    let listed = alice.ask(json!({"type": "list_invite_links", "roomId": room})).await;
    assert_eq!(listed["items"][0]["uses"], 3);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_count_of_uses_is_exact_over_nodes() {
    let Nodes { a, b, store, .. } = two_nodes(Loss::NONE).await;
    let nodes = [a, b];
    let mut alice = TestClient::connect(&nodes[0], "alice").await;
    let room = private_room(&mut alice).await;
    let mut command = link(&room);
    command["maxUses"] = json!(1);
    let token = alice.ack(command).await["token"].clone();
    let mut clients = Vec::new();
    for number in 0..16 {
        let mut client = TestClient::connect(&nodes[number % 2], &format!("user{number}")).await;
        let id = client.start(join(&token)).await;
        clients.push((client, id));
    }
    let mut came = 0;
    for (client, id) in &mut clients {
        came += usize::from(client.answer(*id).await["type"] == "ack");
    }
    assert_eq!(came, 1);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn links_are_made_and_revoked_by_moderators_and_above_only() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let room = private_room(&mut alice).await;
    let made = alice.ack(link(&room)).await;
    bob.ack(join(&made["token"])).await;
    let revoke = json!({"type": "revoke_invite_link", "roomId": room, "linkId": made["linkId"]});
    let list = json!({"type": "list_invite_links", "roomId": room});
    for command in [link(&room), revoke.clone(), list.clone()] {
        assert_eq!(bob.refused(command.clone()).await, "forbidden", "{command}");
        let mut nowhere = command.clone();
        nowhere["roomId"] = json!("0190b5a2-7a39-7c3e-8f00-000000000001");
        let hidden = answer(&mut carol, command).await;
        assert_eq!(hidden, answer(&mut carol, nowhere).await);
        assert!(hidden.contains("not_found"), "{hidden}");
    }
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "moderator"})).await;
    bob.ack(revoke.clone()).await;
    assert_eq!(bob.refused(revoke).await, "not_found");
    let audit = alice.ask(json!({"type": "fetch_audit", "roomId": room})).await;
    let acts: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|record| record["act"].clone()).collect();
    assert!(acts.contains(&json!("revoke_invite_link")), "{audit}");
    let other = json!(bob.create_room("Lobby").await);
    let made = alice.ack(link(&room)).await;
    let elsewhere = json!({"type": "revoke_invite_link", "roomId": other, "linkId": made["linkId"]});
    assert_eq!(bob.refused(elsewhere).await, "not_found", "another room's link");
    let direct =
        alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "x"})).await["roomId"].clone();
    assert_eq!(alice.refused(link(&direct)).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn who_is_banned_does_not_come_back_by_a_link() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = private_room(&mut alice).await;
    let mut command = link(&room);
    command["maxUses"] = json!(2);
    let token = alice.ack(command).await["token"].clone();
    bob.ack(join(&token)).await;
    alice.ack(json!({"type": "ban", "roomId": room, "userId": "bob"})).await;
    assert_eq!(bob.refused(join(&token)).await, "forbidden");
    let listed = alice.ask(json!({"type": "list_invite_links", "roomId": room})).await;
    assert_eq!(listed["items"][0]["uses"], 1, "a refusal uses nothing up");
}

#[tokio::test(start_paused = true)]
async fn links_have_bounds_and_dead_ones_make_room() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = private_room(&mut alice).await;
    for (field, value) in
        [("expiresInSeconds", 0), ("expiresInSeconds", 400 * 86_400), ("maxUses", 0), ("maxUses", 1_000_001)]
    {
        let mut command = link(&room);
        command[field] = json!(value);
        assert_eq!(alice.refused(command).await, "bad_request", "{field} {value}");
    }
    for command in [
        json!({"type": "revoke_invite_link", "roomId": room}),
        json!({"type": "revoke_invite_link", "roomId": room, "token": "x", "linkId": "y"}),
        json!({"type": "join_by_link"}),
    ] {
        assert_eq!(alice.refused(command.clone()).await, "bad_request", "{command}");
    }
    let mut once = link(&room);
    once["maxUses"] = json!(1);
    let once = alice.ack(once).await["token"].clone();
    for _ in 1..LINKS_PER_ROOM_MAX {
        alice.ack(link(&room)).await;
    }
    assert_eq!(alice.refused(link(&room)).await, "conflict");
    TestClient::connect(&engine, "bob").await.ack(join(&once)).await;
    alice.ack(link(&room)).await;
    assert_eq!(alice.refused(link(&room)).await, "conflict");
    let listed = alice.ask(json!({"type": "list_invite_links", "roomId": room})).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), LINKS_PER_ROOM_MAX);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}
