//! Two nodes on one store: what happens on one reaches the clients of the other, whatever the bus does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    id::{RoomId, Seq},
    store::{LogStore, Maintenance, MemoryStore, kv::MemKv},
    testing::{Loss, TestClient},
};
use common::{Nodes, two_in_a_room, two_nodes, two_nodes_of};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_message_crosses_nodes_without_delay() {
    let cluster = two_nodes(Loss::NONE).await;
    let (mut alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    let begun = Instant::now();
    assert_eq!(alice.send(&room, "hi").await, 4);
    assert_eq!(bob.expect_text("hi").await, 4);
    assert_eq!(bob.send(&room, "hello").await, 5);
    alice.expect_text("hi").await;
    assert_eq!(alice.expect_text("hello").await, 5);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_crosses_nodes_looks_the_same_on_both() {
    let cluster = two_nodes(Loss::NONE).await;
    let (mut alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    alice.send(&room, "hi").await;
    assert_eq!(alice.event().await, bob.event().await);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_is_healed_within_two_seconds() {
    let cluster = two_nodes(Loss::TOTAL).await;
    let (mut alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    let begun = Instant::now();
    assert_eq!(alice.send(&room, "hi").await, 4);
    assert_eq!(bob.expect_text("hi").await, 4);
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn joining_on_one_node_reaches_the_users_session_on_the_other() {
    for loss in [Loss::NONE, Loss::TOTAL] {
        let cluster = two_nodes(loss).await;
        let mut owner = TestClient::connect(&cluster.a, "owner").await;
        let room = owner.create_room("Lobby").await;
        let mut here = TestClient::connect(&cluster.a, "alice").await;
        let mut there = TestClient::connect(&cluster.b, "alice").await;
        let begun = Instant::now();
        here.join(&room).await;
        assert_eq!(here.expect("user_joined").await, there.expect("user_joined").await);
        here.send(&room, "from here").await;
        there.expect_text("from here").await;
        assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(there.expect("unread").await["unread"], 0);
        there.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_on_one_node_ends_the_users_session_in_the_room_on_the_other() {
    let cluster = two_nodes(Loss::NONE).await;
    let (mut alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    let mut elsewhere = TestClient::connect(&cluster.a, "bob").await;
    elsewhere.ack(json!({"type": "leave_room", "roomId": room})).await;
    alice.send(&room, "is he gone?").await;
    assert_eq!(bob.expect("user_left").await["userId"], "bob");
    tokio::time::sleep(Duration::from_secs(5)).await;
    bob.expect_silence().await;
    assert_eq!(
        bob.refused(json!({"type": "send_message", "roomId": room, "content": "no"})).await,
        "forbidden"
    );
}

#[tokio::test(start_paused = true)]
async fn both_nodes_write_to_one_room_at_once_and_the_log_is_dense() {
    for loss in [Loss::NONE, Loss::HEAVY, Loss::TOTAL] {
        let cluster = two_nodes(loss).await;
        let (mut alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
        for number in 1..=4 {
            let mut asked = Vec::new();
            for client in [&mut alice, &mut bob] {
                let text = format!("{number}");
                asked.push(
                    client.start(json!({"type": "send_message", "roomId": room, "content": text})).await,
                );
            }
            for (client, id) in [&mut alice, &mut bob].into_iter().zip(asked) {
                assert_eq!(client.answer(id).await["type"], "ack");
            }
        }
        let entries =
            cluster.store.entries(&RoomId::parse(&room).unwrap(), Seq::ZERO, 100, usize::MAX).await.unwrap();
        assert!(entries.iter().map(|entry| entry.seq.get()).eq(1..=11), "{entries:?}");
        let mut seen = (Vec::new(), Vec::new());
        for _ in 0..8 {
            seen.0.push(alice.expect("new_message").await["message"]["seq"].clone());
            seen.1.push(bob.expect("new_message").await["message"]["seq"].clone());
        }
        assert_eq!(seen.0, (4..=11).map(|seq| json!(seq)).collect::<Vec<_>>());
        assert_eq!(seen.0, seen.1);
        assert!(cluster.store.verify().await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_sent_on_one_node_is_known_on_the_other() {
    let cluster = two_nodes(Loss::TOTAL).await;
    let (mut alice, _bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    let send = json!({"type": "send_message", "roomId": room, "content": "hi", "clientMessageId": "k"});
    let first = alice.ack(send.clone()).await;
    let mut elsewhere = TestClient::connect(&cluster.b, "alice").await;
    let again = elsewhere.ack(send).await;
    assert_eq!((&first["seq"], &first["duplicate"]), (&again["seq"], &json!(false)));
    assert_eq!(again["duplicate"], true);
}

#[tokio::test(start_paused = true)]
async fn what_is_unsubscribed_stays_so_while_memberships_are_compared() {
    let cluster = two_nodes(Loss::TOTAL).await;
    let (_alice, mut bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    bob.ack(json!({"type": "unsubscribe", "roomId": room})).await;
    let mut elsewhere = TestClient::connect(&cluster.a, "bob").await;
    let other = elsewhere.create_room("Other").await;
    bob.expect("room_updated").await;
    assert_eq!(bob.expect("user_joined").await["roomId"], json!(other));
    elsewhere.send(&room, "not for here").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_resumes_on_the_other_node_without_gap_or_repeat() {
    let cluster = two_nodes(Loss::HEAVY).await;
    let (mut alice, bob, room) = two_in_a_room(&cluster.a, &cluster.b).await;
    drop(bob);
    for text in ["one", "two", "three"] {
        alice.send(&room, text).await;
    }
    let resume = json!({"resume": [{"roomId": room, "after": 4}]});
    let mut bob = TestClient::connect_with(&cluster.a, "bob", resume).await;
    assert_eq!(bob.expect_text("two").await, 5);
    assert_eq!(bob.expect_text("three").await, 6);
    assert_eq!(bob.expect("caught_up").await["seq"], 6);
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_can_not_be_read_holds_up_no_other_when_hints_are_lost() {
    let rows = MemKv::new();
    let store = Arc::new(MemoryStore::inline(rows.clone()).unwrap());
    let Nodes { a, b, .. } = two_nodes_of(Loss::TOTAL, |builder| builder.shared_store(store.clone())).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    let [bad, good, later] =
        [alice.create_room("1").await, alice.create_room("2").await, alice.create_room("3").await];
    for room in [&bad, &good] {
        bob.join(room).await;
        bob.expect("user_joined").await;
    }
    alice.send(&bad, "what is lost").await;
    common::spoil(&rows, "what is lost");
    alice.send(&good, "what is there").await;
    let mut other = TestClient::connect(&a, "bob").await;
    other.join(&later).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut told = bob.settle().await;
    told.retain(|event| event["type"] != "presence");
    let mut kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["new_message", "user_joined"]);
}
