//! A connection that comes back goes on where the last one stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    auth::Identity,
    domain::{History, RoomSpec},
    id::{RoomId, UserId},
    limits::Limits,
    testing::TestClient,
};
use common::{builder, engine, no_rates};
use serde_json::{Value, json};

async fn seqs(client: &mut TestClient, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    for _ in 0..count {
        let event = client.event().await;
        let message = event["message"]["seq"].as_u64();
        seqs.push(message.or(event["seq"].as_u64()).unwrap_or_else(|| panic!("{event}")));
    }
    seqs
}

fn resume(room: &str, after: u64) -> Value {
    json!({"resume": [{"roomId": room, "after": after}]})
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_told_in_order_and_then_caught_up() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for i in 0..10 {
        alice.send(&room, &i.to_string()).await;
    }
    let mut again = TestClient::connect_with(&engine, "alice", resume(&room, 5)).await;
    assert_eq!(seqs(&mut again, 7).await, [6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(again.event().await, json!({"type": "caught_up", "roomId": room, "seq": 12}));
    alice.send(&room, "live").await;
    assert_eq!(again.expect_text("live").await, 13);
}

#[tokio::test(start_paused = true)]
async fn nothing_missed_is_caught_up_at_once() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut again = TestClient::connect_with(&engine, "alice", resume(&room, 2)).await;
    assert_eq!(again.event().await, json!({"type": "caught_up", "roomId": room, "seq": 2}));
    again.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_resumed_view_equals_a_stayed_view_far_beyond_the_ring() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for i in 0..700 {
        alice.send(&room, &format!("message {i} {}", "x".repeat(i))).await;
    }
    let mut stayed = Vec::new();
    for _ in 0..702 {
        stayed.push(alice.event().await);
    }
    let mut again = TestClient::connect_with(&engine, "alice", resume(&room, 0)).await;
    let mut resumed = Vec::new();
    for _ in 0..702 {
        resumed.push(again.event().await);
    }
    assert_eq!(resumed, stayed);
    assert_eq!(again.event().await["type"], "caught_up");
}

#[tokio::test(start_paused = true)]
async fn too_much_missed_asks_for_a_resync() {
    let engine = builder().limits(Limits { resume_entries: 5, ..no_rates() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for _ in 0..6 {
        alice.send(&room, "x").await;
    }
    let mut again = TestClient::connect_with(&engine, "alice", resume(&room, 2)).await;
    assert_eq!(again.event().await, json!({"type": "resync_required", "roomId": room, "seq": 8}));
    alice.send(&room, "live").await;
    assert_eq!(again.expect_text("live").await, 9);
    let mut enough = TestClient::connect_with(&engine, "alice", resume(&room, 4)).await;
    assert_eq!(seqs(&mut enough, 5).await, [5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_beyond_the_head_or_of_another_epoch_asks_for_a_resync() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let resync = json!({"type": "resync_required", "roomId": room, "seq": 2});
    let mut beyond = TestClient::connect_with(&engine, "alice", resume(&room, 3)).await;
    assert_eq!(beyond.event().await, resync);
    let mut fields = resume(&room, 1);
    fields["epoch"] = json!("another");
    let mut other = TestClient::connect_with(&engine, "alice", fields.clone()).await;
    assert_eq!(other.event().await, resync);
    fields["epoch"] = json!(engine.store().epoch());
    let mut same = TestClient::connect_with(&engine, "alice", fields).await;
    assert_eq!(seqs(&mut same, 1).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_not_open_to_the_user_fails_alone() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "secret", "private": true})).await;
    let secret = ack["room"]["id"].as_str().unwrap().to_owned();
    let mut bob = TestClient::connect(&engine, "bob").await;
    let open = bob.create_room("Open").await;
    let resume = json!({"resume": [
        {"roomId": secret, "after": 0}, {"roomId": "no such room!", "after": 0}, {"roomId": open, "after": 1},
    ]});
    let mut again = TestClient::connect_with(&engine, "bob", resume).await;
    for room in [secret.as_str(), "no such room!"] {
        assert_eq!(
            again.event().await,
            json!({"type": "resume_failed", "roomId": room, "code": "not_found"})
        );
    }
    assert_eq!(seqs(&mut again, 1).await, [2]);
    assert_eq!(again.event().await, json!({"type": "caught_up", "roomId": open, "seq": 2}));
}

#[tokio::test(start_paused = true)]
async fn live_entries_never_overtake_a_replay() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    for _ in 0..400 {
        alice.send(&room, "old").await;
    }
    let mut again = TestClient::connect_with(&engine, "alice", resume(&room, 0)).await;
    let mut seen = seqs(&mut again, 3).await;
    for _ in 0..20 {
        alice.send(&room, "new").await;
    }
    while seen.len() < 422 {
        let event = again.event().await;
        if event["type"] != "caught_up" {
            seen.push(event["message"]["seq"].as_u64().or(event["seq"].as_u64()).unwrap());
        }
    }
    assert_eq!(seen, (1..=422).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn subscribing_with_a_cursor_replays_like_a_resume() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    alice.send(&room, "x").await;
    let mut quiet = TestClient::connect_with(&engine, "alice", json!({"subscribe": "none"})).await;
    let ack = quiet.ack(json!({"type": "subscribe", "roomId": room, "after": 1})).await;
    assert_eq!(ack["seq"], 3);
    assert_eq!(seqs(&mut quiet, 2).await, [2, 3]);
    assert_eq!(quiet.event().await, json!({"type": "caught_up", "roomId": room, "seq": 3}));
}

#[tokio::test(start_paused = true)]
async fn history_since_joining_cuts_the_replay_and_the_pages() {
    let engine = engine().await;
    let owner = engine.caller(Identity::new(UserId::parse("alice").unwrap(), "alice")).await.unwrap();
    let room = RoomId::parse("attic").unwrap();
    let spec = RoomSpec { history: History::SinceJoin, ..RoomSpec::public("Attic").unwrap() };
    owner.create_room_as(room.clone(), spec).await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    alice.send("attic", "before bob").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join("attic").await;
    alice.send("attic", "with bob").await;
    let page = bob.ask(json!({"type": "fetch_history", "roomId": "attic"})).await;
    let texts: Vec<_> = page["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!((texts, page["hasMoreBefore"].clone()), (vec![json!("with bob")], json!(false)));
    let mut again = TestClient::connect_with(&engine, "bob", resume("attic", 0)).await;
    assert_eq!(seqs(&mut again, 2).await, [4, 5]);
    assert_eq!(again.event().await["type"], "caught_up");
}

#[tokio::test(start_paused = true)]
async fn who_left_and_came_back_meanwhile_sees_only_what_happened_while_they_were_in() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    alice.send(&room, "in").await;
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    alice.send(&room, "out").await;
    bob.join(&room).await;
    alice.send(&room, "in again").await;
    let mut again = TestClient::connect_with(&engine, "bob", resume(&room, 3)).await;
    assert_eq!(seqs(&mut again, 4).await, [4, 5, 7, 8]);
}
