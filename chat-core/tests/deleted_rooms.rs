//! A room that was deleted: everybody hears of its end, and then it is as if it had never been.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use chat_core::{
    auth::Identity,
    domain::{ErrorCode, RoomSpec},
    engine::Engine,
    id::{RoomId, Seq, UserId},
    limits::DELETED_ROOM_GRACE_MS,
    store::{AuditStore, LogStore, Maintenance, PageRequest, RoomStore},
    testing::{Loss, TestClient},
    time::{Clock, SystemClock},
};
use common::{Nodes, builder, engine_and_store, two_nodes};
use serde_json::{Value, json};

fn delete(room: &str) -> Value {
    json!({"type": "delete_room", "roomId": room})
}

async fn sweep(store: &common::WatchedStore, later_ms: i64) -> usize {
    let mut steps = 1;
    while store.sweep(SystemClock.now().plus_millis(later_ms)).await.unwrap() {
        steps += 1;
        assert!(steps < 10_000, "sweeping comes to no end");
    }
    steps
}

#[tokio::test(start_paused = true)]
async fn its_end_is_everybodys_last_frame_and_then_it_is_not_there() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    bob.send(&room, "canary").await;
    bob.expect_text("canary").await;
    assert_eq!(bob.refused(delete(&room)).await, "forbidden");
    alice.ack(json!({"type": "set_role", "roomId": room, "userId": "bob", "role": "admin"})).await;
    bob.expect("member_updated").await;
    assert_eq!(bob.refused(delete(&room)).await, "forbidden");
    let ack = alice.ack(delete(&room)).await;
    assert_eq!((&ack["room"]["id"], &ack["room"]["lastSeq"]), (&json!(room), &json!(6)));
    assert_eq!(bob.event().await, json!({"type": "room_deleted", "roomId": room, "seq": 6}));
    bob.expect_silence().await;
    let nowhere = "0190b5a2-7a39-7c3e-8f00-000000000001";
    for client in [&mut alice, &mut bob] {
        for command in [
            delete("ROOM"),
            json!({"type": "send_message", "roomId": "ROOM", "content": "x"}),
            json!({"type": "fetch_history", "roomId": "ROOM"}),
            json!({"type": "list_members", "roomId": "ROOM"}),
            json!({"type": "get_room", "roomId": "ROOM"}),
            json!({"type": "mark_read", "roomId": "ROOM", "seq": 1}),
            json!({"type": "join_room", "roomId": "ROOM"}),
            json!({"type": "leave_room", "roomId": "ROOM"}),
            json!({"type": "subscribe", "roomId": "ROOM"}),
            json!({"type": "update_room", "roomId": "ROOM", "name": "x"}),
            json!({"type": "kick", "roomId": "ROOM", "userId": "bob"}),
            json!({"type": "fetch_audit", "roomId": "ROOM"}),
        ] {
            let mut answers = Vec::new();
            for room in [&room, nowhere] {
                let text = command.to_string().replace("ROOM", room);
                let mut answer = client.ask(serde_json::from_str(&text).unwrap()).await;
                answer.as_object_mut().unwrap().remove("id");
                answers.push(answer.to_string());
            }
            assert_eq!(answers[0], answers[1], "{command}");
            assert!(answers[0].contains("not_found"), "{}", answers[0]);
        }
        let mine = client.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
        assert_eq!(mine["items"], json!([]));
    }
    let resume = json!({"resume": [{"roomId": room, "after": 3}]});
    let mut again = TestClient::connect_with(&engine, "bob", resume).await;
    assert_eq!(again.expect("resume_failed").await["roomId"], json!(room));
    again.expect_silence().await;
    bob.create_room("Lobby").await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_behind_its_end_is_refused() {
    let (engine, _) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    let delete = alice.start(delete(&room)).await;
    let send = bob.start(json!({"type": "send_message", "roomId": room, "content": "x"})).await;
    assert_eq!(alice.answer(delete).await["type"], "ack");
    assert_eq!(bob.answer(send).await["code"], "not_found");
}

#[tokio::test(start_paused = true)]
async fn its_id_is_never_used_again() {
    let (engine, store) = engine_and_store().await;
    let id = RoomId::parse("order:4711").unwrap();
    let caller = async |engine: &Engine| {
        engine.caller(Identity::new(UserId::parse("alice").unwrap(), "alice")).await.unwrap()
    };
    let alice = caller(&engine).await;
    alice.create_room_as(id.clone(), RoomSpec::public("Order").unwrap()).await.unwrap();
    alice.delete_room(&id).await.unwrap();
    let again = async |engine: &Engine| {
        let spec = RoomSpec::public("Order again").unwrap();
        caller(engine).await.create_room_as(id.clone(), spec).await.unwrap_err().code()
    };
    assert_eq!(again(&engine).await, ErrorCode::Conflict);
    sweep(&store, DELETED_ROOM_GRACE_MS).await;
    let other = builder().shared_store(store.clone()).build().await.unwrap();
    assert_eq!(again(&other).await, ErrorCode::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_comes_to_its_end_before_and_after_its_rows_are_gone() {
    for swept in [false, true] {
        let (engine, store) = engine_and_store().await;
        let mut alice = TestClient::connect(&engine, "alice").await;
        let mut bob = TestClient::connect(&engine, "bob").await;
        let room = alice.create_room("Lobby").await;
        bob.join(&room).await;
        for number in 0..600 {
            alice.send(&room, &number.to_string()).await;
        }
        alice.ack(delete(&room)).await;
        if swept {
            sweep(&store, 0).await;
            sweep(&store, DELETED_ROOM_GRACE_MS).await;
        }
        bob.expect("user_joined").await;
        let mut expected = 4;
        loop {
            let event = bob.event().await;
            if event["type"] == "room_deleted" {
                assert_eq!(event["seq"], 604);
                break;
            }
            assert_eq!(event["message"]["seq"], expected);
            expected += 1;
        }
        assert!(swept || expected == 604, "nothing is left out while it is there");
        bob.expect_silence().await;
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_deleted_on_one_node_ends_on_the_other() {
    let Nodes { a, b, .. } = two_nodes(Loss::NONE).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    alice.ack(delete(&room)).await;
    let send = json!({"type": "send_message", "roomId": room, "content": "x"});
    assert_eq!(bob.refused(send).await, "not_found");
    assert_eq!(bob.expect("room_deleted").await["seq"], 4);
    tokio::time::sleep(Duration::from_secs(5)).await;
    bob.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn its_rows_go_in_bounded_steps_and_its_audit_log_stays() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let other = alice.create_room("Other").await;
    let id = RoomId::parse(&room).unwrap();
    let mut members = Vec::new();
    for number in 0..300 {
        let name = format!("user{number}");
        let caller = engine.caller(Identity::new(UserId::parse(&name).unwrap(), name)).await.unwrap();
        caller.join(&id).await.unwrap();
        members.push(caller);
    }
    for text in ["short".to_owned(), "long ".repeat(900)] {
        alice.send(&room, &text).await;
        alice.send(&other, &text).await;
    }
    alice.ack(json!({"type": "ban", "roomId": room, "userId": "user7"})).await;
    alice.ack(delete(&room)).await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    assert!(members[0].rooms(None).await.unwrap().items.is_empty());

    assert!(store.sweep(SystemClock.now()).await.unwrap(), "one step is not all");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    sweep(&store, 0).await;
    let left = store.members(&id, PageRequest::first(10)).await.unwrap();
    assert!(left.items.is_empty(), "memberships go at once");
    assert_eq!(store.entries(&id, Seq::new(2), 10, 10_000).await.unwrap().len(), 10, "the log stays a while");
    sweep(&store, DELETED_ROOM_GRACE_MS / 2).await;
    assert_eq!(store.entries(&id, Seq::new(2), 10, 10_000).await.unwrap().len(), 10);
    assert!(sweep(&store, DELETED_ROOM_GRACE_MS).await > 1);
    let left = store.entries(&id, Seq::new(2), 10, 10_000).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), [306]);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());

    let records = store.audit(&id, PageRequest::first(10)).await.unwrap().items;
    let acts: Vec<_> = records.iter().map(|record| record.act.as_str()).collect();
    assert_eq!(acts, ["delete_room", "ban"]);
    let history = alice.ask(json!({"type": "fetch_history", "roomId": other})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
}
