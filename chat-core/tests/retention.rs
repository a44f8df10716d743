//! A room that is kept for a while only: what goes is gone for everybody, and everything else is as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    domain::{Change, Entry},
    engine::Engine,
    id::{RoomId, Seq},
    store::{LogStore, Maintenance, RoomStore},
    testing::{Loss, TestClient},
};
use common::{Nodes, builder, engine_and_store, message_id, standing_clock, two_nodes};
use serde_json::{Value, json};

/// Longer than a round of upkeep.
const ROUND: Duration = Duration::from_secs(31);

const HOUR: i64 = 60 * 60 * 1_000;

fn retain(room: &str, mut fields: Value) -> Value {
    fields["type"] = json!("update_room");
    fields["roomId"] = json!(room);
    fields
}

/// The texts of the newest page of history.
async fn history(client: &mut TestClient, room: &str) -> Vec<String> {
    let page = client.ask(json!({"type": "fetch_history", "roomId": room, "limit": 200})).await;
    assert_eq!(page["hasMoreBefore"], false, "{page}");
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

async fn room_of(client: &mut TestClient, room: &str) -> Value {
    client.ask(json!({"type": "get_room", "roomId": room})).await["room"].clone()
}

async fn verify(store: &common::WatchedStore) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn by_count_the_newest_messages_stay_and_everybody_is_told() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    for number in 1..=5 {
        alice.send(&room, &number.to_string()).await;
    }
    let ack = alice.ack(retain(&room, json!({"retentionMessages": 3}))).await;
    assert_eq!((&ack["room"]["retentionMessages"], &ack["room"]["firstSeq"]), (&json!(3), &Value::Null));
    assert_eq!(ack["room"].get("retentionDays"), None);
    assert_eq!(history(&mut bob, &room).await, ["1", "2", "3", "4", "5"], "until the next round");
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut bob, &room).await, ["3", "4", "5"]);
    let events = bob.settle().await;
    let cut = events.last().unwrap();
    assert_eq!((&cut["type"], &cut["seq"]), (&json!("room_updated"), &json!(10)));
    assert_eq!((&cut["room"]["firstSeq"], &cut["room"]["lastSeq"]), (&json!(6), &json!(10)));
    assert_eq!(events.len(), 8, "one joining, five messages, the setting and the cut");
    assert_eq!(room_of(&mut bob, &room).await["firstSeq"], 6);
    verify(&store).await;

    // Nothing more goes while nothing is sent; then the next one does, a deleted one as well as any.
    tokio::time::sleep(ROUND).await;
    alice.settle().await;
    bob.expect_silence().await;
    let deleted = json!({"type": "delete_message", "roomId": room, "messageId": message_id(&room, 7)});
    alice.ack(deleted).await;
    alice.send(&room, "6").await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await, ["", "5", "6"]);
    alice.settle().await;
    alice.send(&room, "7").await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await, ["5", "6", "7"]);
    alice.ack(retain(&room, json!({"retentionMessages": null}))).await;
    for _ in 0..5 {
        alice.send(&room, "more").await;
    }
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await.len(), 8);
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn by_age_messages_go_at_the_full_hour_after_their_days() {
    let clock = standing_clock();
    let store = Arc::new(common::watched());
    let engine = builder().shared_store(store.clone()).clock(clock.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    alice.ack(retain(&room, json!({"retentionDays": 2}))).await;
    for number in 1..=4 {
        alice.send(&room, &number.to_string()).await;
        clock.advance_millis(HOUR / 2);
    }
    // Sent at 0:00, 0:30, 1:00 and 1:30; now it is 2:00.
    let mut left = async || {
        tokio::time::sleep(ROUND).await;
        let left = history(&mut alice, &room).await;
        alice.settle().await;
        left
    };
    clock.advance_millis(46 * HOUR);
    assert_eq!(left().await.len(), 4);
    clock.advance_millis(HOUR - 1);
    assert_eq!(left().await.len(), 4);
    clock.advance_millis(1);
    assert_eq!(left().await, ["3", "4"]);
    clock.advance_millis(HOUR - 1);
    assert_eq!(left().await, ["3", "4"]);
    clock.advance_millis(1);
    assert_eq!(left().await, Vec::<String>::new());
    verify(&store).await;
    alice.send(&room, "afresh").await;
    alice.ack(retain(&room, json!({"retentionMessages": 1, "retentionDays": null}))).await;
    alice.send(&room, "and again").await;
    clock.advance_millis(400 * 24 * HOUR);
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await, ["and again"]);
    alice.settle().await;
    alice.ack(retain(&room, json!({"retentionDays": 1}))).await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await, Vec::<String>::new(), "whichever lets more go");
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn who_may_change_a_room_sets_it_within_its_bounds_and_it_is_recorded() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    assert_eq!(bob.refused(retain(&room, json!({"retentionDays": 7}))).await, "forbidden");
    for bad in [json!(0), json!(36_501), json!(5_000_000_000_u64), json!(-1), json!("7"), json!(1.5)] {
        assert_eq!(alice.refused(retain(&room, json!({"retentionDays": bad}))).await, "bad_request", "{bad}");
    }
    for bad in [json!(0), json!(100_000_001), json!([])] {
        let refused = alice.refused(retain(&room, json!({"retentionMessages": bad}))).await;
        assert_eq!(refused, "bad_request", "{bad}");
    }
    let set = async |alice: &mut TestClient, fields: Value| {
        let room = alice.ack(retain(&room, fields)).await["room"].clone();
        (
            room["retentionDays"].as_u64(),
            room["retentionMessages"].as_u64(),
            room["lastSeq"].as_u64().unwrap(),
        )
    };
    assert_eq!(set(&mut alice, json!({"retentionDays": 7})).await, (Some(7), None, 4));
    assert_eq!(set(&mut alice, json!({"retentionDays": 7})).await, (Some(7), None, 4));
    assert_eq!(set(&mut alice, json!({"retentionMessages": 9, "name": "Hall"})).await, (Some(7), Some(9), 5));
    assert_eq!(set(&mut alice, json!({"retentionDays": null})).await, (None, Some(9), 6));
    assert_eq!(set(&mut alice, json!({"retentionMessages": null})).await, (None, None, 7));
    assert_eq!(set(&mut alice, json!({"retentionMessages": null})).await, (None, None, 7));
    let audit = alice.ask(json!({"type": "fetch_audit", "roomId": room})).await;
    let records: Vec<_> = audit["items"].as_array().unwrap().iter().collect();
    let told: Vec<_> = records.iter().map(|record| (&record["act"], &record["details"])).collect();
    let of = |days: &str, messages: &str| json!({"retentionDays": days, "retentionMessages": messages});
    let (set, update) = (json!("set_retention"), json!("update_room"));
    assert_eq!(
        told,
        [
            (&set, &of("none", "none")),
            (&set, &of("none", "9")),
            (&set, &of("7", "9")),
            (&update, &json!({"name": "Hall"})),
            (&set, &of("7", "none")),
        ]
    );
    let ack = alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "hi"})).await;
    let direct = ack["roomId"].as_str().unwrap();
    assert_eq!(alice.refused(retain(direct, json!({"retentionDays": 7}))).await, "forbidden");
    verify(&store).await;
}

/// A room of which messages 3 to 7 are cut and 8 and 9 stay; 10 is the setting and 11 the cut.
async fn cut_room(alice: &mut TestClient) -> String {
    let room = alice.create_room("Lobby").await;
    for number in 1..=7 {
        alice.send(&room, &format!("canary {number}")).await;
    }
    alice.ack(retain(&room, json!({"retentionMessages": 2}))).await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(room_of(alice, &room).await["firstSeq"], 8);
    alice.settle().await;
    room
}

fn resume(room: &str, after: u64) -> Value {
    json!({"resume": [{"roomId": room, "after": after}]})
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_from_before_a_cut_has_to_load_the_room_anew() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = cut_room(&mut alice).await;
    for after in [0, 3, 6] {
        let mut again = TestClient::connect_with(&engine, "alice", resume(&room, after)).await;
        let resync = json!({"type": "resync_required", "roomId": room, "seq": 11});
        assert_eq!(again.event().await, resync, "after {after}");
        again.expect_silence().await;
        let mut none = TestClient::connect_with(&engine, "alice", json!({"subscribe": "none"})).await;
        let subscribe = json!({"type": "subscribe", "roomId": room, "after": after});
        assert_eq!(none.ack(subscribe).await["seq"], 11);
        assert_eq!(none.event().await, resync);
    }
    for after in 7..=11 {
        let mut again = TestClient::connect_with(&engine, "alice", resume(&room, after)).await;
        for seq in after + 1..=11 {
            let event = again.event().await;
            let told = event["message"]["seq"].as_u64().or(event["seq"].as_u64());
            assert_eq!(told, Some(seq), "{event}");
        }
        assert_eq!(again.event().await, json!({"type": "caught_up", "roomId": room, "seq": 11}));
    }
    // To who sees nothing from before their joining it is no hole.
    alice.ack(retain(&room, json!({"history": "since_join"}))).await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let mut again = TestClient::connect_with(&engine, "bob", resume(&room, 1)).await;
    assert_eq!(again.expect("user_joined").await["seq"], 13);
    assert_eq!(again.expect("caught_up").await["seq"], 13);
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_before_a_cut_can_be_acted_on() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = cut_room(&mut alice).await;
    let (gone, kept) = (message_id(&room, 7), message_id(&room, 8));
    let on = |message: &str, mut command: Value| {
        command["roomId"] = json!(room);
        if command.get("messageId").is_none() {
            command["messageId"] = json!(message);
        }
        command
    };
    for command in [
        json!({"type": "edit_message", "content": "x"}),
        json!({"type": "delete_message"}),
        json!({"type": "add_reaction", "emoji": "👍"}),
        json!({"type": "remove_reaction", "emoji": "👍"}),
        json!({"type": "pin_message"}),
        json!({"type": "unpin_message"}),
        json!({"type": "fetch_thread"}),
        json!({"type": "fetch_edits"}),
        json!({"type": "report_message"}),
    ] {
        assert_eq!(alice.refused(on(&gone, command.clone())).await, "not_found", "{command}");
        assert_ne!(alice.ask(on(&kept, command.clone())).await["code"], "bad_request", "{command}");
    }
    for field in ["replyTo", "threadId"] {
        let send = json!({"type": "send_message", "roomId": room, "content": "x", field: gone});
        assert_eq!(alice.refused(send).await, "not_found", "{field}");
    }
    for around in [1, 7] {
        let page = json!({"type": "fetch_history", "roomId": room, "around": around});
        let page = alice.ask(page).await;
        assert!(!page.to_string().contains("canary 5"), "{page}");
    }
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn unread_and_mentions_count_what_is_there() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    for number in 0..10 {
        alice.send(&room, if number % 2 == 0 { "@bob" } else { "x" }).await;
    }
    alice.ack(retain(&room, json!({"retentionMessages": 3}))).await;
    let before = room_of(&mut bob, &room).await;
    assert_eq!((&before["unread"], &before["mentions"]), (&json!(10), &json!(5)));
    tokio::time::sleep(ROUND).await;
    let after = room_of(&mut bob, &room).await;
    assert_eq!((&after["unread"], &after["mentions"]), (&json!(3), &json!(1)));
    let listed = bob.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    assert_eq!(listed["items"][0]["unread"], 3);
    assert_eq!(listed["items"][0]["lastMessage"]["seq"], 13);
    // What is marked before the cut leaves all that is there.
    let read = bob.ack(json!({"type": "mark_read", "roomId": room, "seq": 5})).await;
    assert_eq!((&read["unread"], &read["mentions"]), (&json!(3), &json!(1)));
    let read = bob.ack(json!({"type": "mark_read", "roomId": room, "seq": 12})).await;
    assert_eq!((&read["unread"], &read["mentions"]), (&json!(1), &json!(0)));
    verify(&store).await;
}

/// Reads on until nothing comes any more; presence left out.
async fn all(client: &mut TestClient) -> Vec<Value> {
    let mut events = client.settle().await;
    events.retain(|event| event["type"] != "presence");
    events
}

/// Alice, whose room it is, and Bob, who reads nothing of the 700 messages there: `before` and their number.
async fn far_behind(engine: &Engine, before: &str) -> (TestClient, TestClient, String) {
    let mut alice = TestClient::connect(engine, "alice").await;
    let mut slow = TestClient::connect(engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    slow.join(&room).await;
    for number in 0..700 {
        alice.send(&room, &format!("{before}{number}")).await;
    }
    (alice, slow, room)
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_for_a_cut_loads_the_room_anew_and_goes_on() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, mut slow, room) = far_behind(&engine, "canary ").await;
    alice.ack(retain(&room, json!({"retentionMessages": 1}))).await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(history(&mut alice, &room).await, ["canary 699"]);
    alice.send(&room, "after the cut").await;
    let events = all(&mut slow).await;
    let at = events.iter().position(|event| event["type"] == "resync_required").unwrap();
    let told: Vec<_> = events[..at].iter().map(|event| event["message"]["seq"].as_u64()).collect();
    assert!(told.len() < 400, "{}", told.len());
    assert_eq!(told[1..], (4..told.len() as u64 + 3).map(Some).collect::<Vec<_>>());
    let seq = events[at]["seq"].as_u64().unwrap();
    assert!((705..=706).contains(&seq), "{seq}");
    let rest: Vec<_> = events[at + 1..].iter().filter_map(|event| event["message"]["seq"].as_u64()).collect();
    assert_eq!(rest, (seq + 1..=706).collect::<Vec<_>>());
    alice.send(&room, "and live").await;
    assert_eq!(slow.expect_text("and live").await, 707);
    slow.expect_silence().await;
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_whose_removal_was_cut_is_told_nothing_that_came_after_it() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, mut slow, room) = far_behind(&engine, "").await;
    alice.ack(json!({"type": "kick", "roomId": room, "userId": "bob"})).await;
    for number in 0..10 {
        alice.send(&room, &format!("canary {number}")).await;
    }
    alice.ack(retain(&room, json!({"retentionMessages": 1}))).await;
    tokio::time::sleep(ROUND).await;
    alice.send(&room, "canary at last").await;
    let mut events = all(&mut slow).await;
    let end = json!({"type": "resume_failed", "roomId": room, "code": "not_found"});
    assert_eq!(events.pop(), Some(end));
    assert!(!json!(events).to_string().contains("canary"));
    // Who comes in again is told of it.
    slow.join(&room).await;
    alice.send(&room, "welcome").await;
    slow.expect("user_joined").await;
    slow.expect_text("welcome").await;
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_a_room_that_was_cut_and_deleted_comes_to_its_end() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, mut slow, room) = far_behind(&engine, "").await;
    alice.ack(retain(&room, json!({"retentionMessages": 1}))).await;
    tokio::time::sleep(ROUND).await;
    alice.ack(json!({"type": "delete_room", "roomId": room})).await;
    let events = all(&mut slow).await;
    assert_eq!(events.last().unwrap()["type"], "room_deleted");
    verify(&store).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_that_cut_a_room_one_does_and_both_tell_it() {
    for loss in [Loss::NONE, Loss::TOTAL] {
        let Nodes { a, b, store, .. } = two_nodes(loss).await;
        let mut alice = TestClient::connect(&a, "alice").await;
        let mut bob = TestClient::connect(&b, "bob").await;
        let room = alice.create_room("Lobby").await;
        bob.join(&room).await;
        for number in 0..40 {
            alice.send(&room, &number.to_string()).await;
        }
        alice.ack(retain(&room, json!({"retentionMessages": 5}))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        all(&mut alice).await;
        all(&mut bob).await;
        for _ in 0..3 {
            tokio::time::sleep(ROUND).await;
            bob.send(&room, "more").await;
            assert_eq!(history(&mut bob, &room).await.len(), 6);
            for client in [&mut alice, &mut bob] {
                let events = all(client).await;
                assert!(events.iter().all(|event| event["type"] != "resync_required"), "{events:?}");
                let cuts = events.iter().filter(|event| event["room"]["firstSeq"].is_u64()).count();
                assert_eq!(cuts, 1, "{events:?}");
            }
        }
        let id = RoomId::parse(&room).unwrap();
        let stored = store.room(&id).await.unwrap().unwrap();
        let entries = store.entries(&id, Seq::ZERO, 1_000, usize::MAX).await.unwrap();
        assert_eq!(entries[0].seq, stored.first);
        let is_cut = |entry: &Entry| matches!(&entry.change, Change::Describe(room) if room.trimmed > 0);
        assert_eq!(entries.iter().filter(|entry| is_cut(entry)).count(), 3);
        verify(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_late_begins_where_the_log_begins() {
    let Nodes { a, b, store, .. } = two_nodes(Loss::TOTAL).await;
    let begun = tokio::time::Instant::now();
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    all(&mut bob).await;
    all(&mut alice).await;
    // All of this and the cut come between two looks at the store.
    tokio::time::sleep_until(begun + Duration::from_millis(29_500)).await;
    let caller = a.caller(chat_core::auth::Identity::new("alice".parse().unwrap(), "alice")).await.unwrap();
    let id = RoomId::parse(&room).unwrap();
    for number in 0..100 {
        let draft = chat_core::domain::Draft::text(&format!("canary {number}")).unwrap();
        caller.send(&id, draft).await.unwrap();
    }
    let cut = chat_core::domain::RoomChange {
        retention_messages: Some(Some(1)),
        ..chat_core::domain::RoomChange::default()
    };
    caller.update_room(&id, cut).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        tokio::time::sleep(ROUND).await;
        alice.send(&room, "more").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        all(&mut alice).await;
        told.extend(all(&mut bob).await);
    }
    let seqs: Vec<_> = told.iter().map(|it| it["message"]["seq"].as_u64().or(it["seq"].as_u64())).collect();
    assert_eq!(told[0]["type"], "resync_required");
    assert!(seqs.is_sorted(), "{seqs:?}");
    assert_eq!(history(&mut bob, &room).await.last().map(String::as_str), Some("more"));
    let seq = bob.send(&room, "from here").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!([bob.expect_text("from here").await, alice.expect_text("from here").await], [seq; 2]);
    verify(&store).await;
}
