//! Direct messages: one room for two, made by the first message.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use chat_core::{
    domain::Draft,
    id::UserId,
    limits::Limits,
    store::Maintenance,
    testing::{Loss, TestClient},
};
use common::{Nodes, builder, engine, engine_and_store, no_rates, two_nodes};
use serde_json::{Value, json};
use tokio::time::Instant;

fn dm(to: &str, text: &str) -> Value {
    json!({"type": "send_dm", "recipientId": to, "content": text})
}

async fn expect_dm(client: &mut TestClient, text: &str) -> Value {
    let event = client.expect("new_dm").await;
    assert_eq!(event["message"]["content"], text, "{event}");
    event["message"].clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_direct_message_makes_the_room_and_reaches_both_on_all_connections() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let mut first = dm("bob", "hi");
    first["clientMessageId"] = json!("k1");
    let ack = alice.ack(first.clone()).await;
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(1), &json!(false)));
    let room = ack["roomId"].as_str().unwrap().to_owned();
    let expected = json!({"type": "new_dm", "message": {
        "id": ack["messageId"], "roomId": room, "seq": 1, "userId": "alice", "username": "alice", "content": "hi",
        "messageType": "text", "createdAt": ack["createdAt"], "editedAt": null, "deletedAt": null, "replyTo": null,
        "threadId": null, "threadCount": 0, "lastReplyAt": null, "attachments": [], "mentions": [], "reactions": [], "pinned": false,
        "senderId": "alice", "senderUsername": "alice", "recipientId": "bob",
    }});
    assert_eq!(bob.event().await, expected);
    assert_eq!(phone.event().await, expected);
    let mut own = expected.clone();
    own["message"]["clientMessageId"] = json!("k1");
    assert_eq!(alice.event().await, own);

    let again = alice.ack(first).await;
    assert_eq!(
        (&again["seq"], &again["messageId"], &again["duplicate"]),
        (&json!(1), &ack["messageId"], &json!(true))
    );
    let reply = bob.ack(dm("alice", "hello")).await;
    assert_eq!((&reply["seq"], &reply["roomId"]), (&json!(2), &json!(room)));
    for client in [&mut alice, &mut bob, &mut phone] {
        let message = expect_dm(client, "hello").await;
        assert_eq!((&message["senderId"], &message["recipientId"]), (&json!("bob"), &json!("alice")));
    }
    assert_eq!(phone.expect("unread").await["unread"], 0, "who answers has read");
    for client in [&mut alice, &mut bob, &mut phone] {
        client.expect_silence().await;
    }
    carol.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_direct_message_mentions_as_every_later_one_does() {
    let engine = engine().await;
    let (mut alice, mut bob) =
        (TestClient::connect(&engine, "alice").await, TestClient::connect(&engine, "bob").await);
    for text in ["@bob: @room", "again, @bob and @room"] {
        alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": text})).await;
        let message = expect_dm(&mut bob, text).await;
        assert_eq!((&message["mentions"], &message["mentionsRoom"]), (&json!(["bob"]), &json!(true)));
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_of_a_direct_room_travels_as_a_direct_one_whichever_way_it_is_sent_or_read() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.ack(dm("bob", "one")).await["roomId"].as_str().unwrap().to_owned();
    assert_eq!(bob.send(&room, "two").await, 2);
    expect_dm(&mut alice, "one").await;
    let live = expect_dm(&mut alice, "two").await;
    assert_eq!((&live["senderId"], &live["recipientId"]), (&json!("bob"), &json!("alice")));
    let resume = json!({"resume": [{"roomId": room, "after": 0}]});
    let mut late = TestClient::connect_with(&engine, "alice", resume).await;
    expect_dm(&mut late, "one").await;
    assert_eq!(expect_dm(&mut late, "two").await, live);
    assert_eq!(late.expect("caught_up").await["seq"], 2);
    for place in [json!({}), json!({"after": 0}), json!({"around": 2})] {
        let mut fetch = json!({"type": "fetch_history", "roomId": room});
        fetch.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let page = alice.ask(fetch).await;
        assert_eq!(page["messages"][1], live, "{page}");
    }
    let rooms = alice.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    let listed = &rooms["items"][0];
    let shown = ["id", "kind", "name", "memberCount", "lastSeq", "role"].map(|field| listed[field].clone());
    assert_eq!(shown, [json!(room), json!("direct"), json!(""), json!(2), json!(2), json!("member")]);
    let members = bob.ask(json!({"type": "list_members", "roomId": room})).await;
    let mut shown: Vec<_> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["userId"].to_string(), m["role"].clone()))
        .collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(shown, [("\"alice\"".to_owned(), json!("member")), ("\"bob\"".to_owned(), json!("member"))]);
}

#[tokio::test(start_paused = true)]
async fn first_messages_from_both_sides_at_once_meet_in_one_room() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let (from_alice, from_bob) = (alice.start(dm("bob", "a")).await, bob.start(dm("alice", "b")).await);
    let (a, b) = (alice.answer(from_alice).await, bob.answer(from_bob).await);
    assert_eq!(a["roomId"], b["roomId"]);
    let mut seqs = [a["seq"].as_u64().unwrap(), b["seq"].as_u64().unwrap()];
    seqs.sort_unstable();
    assert_eq!(seqs, [1, 2]);
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.expect("new_dm").await["message"]["seq"], 1);
        assert_eq!(client.expect("new_dm").await["message"]["seq"], 2);
        client.expect_silence().await;
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn direct_messages_of_one_connection_keep_their_order() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(alice.start(dm("bob", &number.to_string())).await);
    }
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(alice.answer(id).await["seq"], number + 1);
        expect_dm(&mut bob, &number.to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_direct_message_is_refused_and_makes_no_room() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    assert_eq!(alice.refused(dm("alice", "me")).await, "forbidden");
    assert_eq!(alice.refused(dm("nobody", "hi")).await, "not_found");
    assert_eq!(alice.refused(dm("no such id!", "hi")).await, "not_found");
    assert_eq!(alice.refused(dm("bob", " ")).await, "bad_request");
    assert_eq!(alice.refused(dm("bob", &"x".repeat(5_001))).await, "bad_request");
    assert_eq!(alice.refused(json!({"type": "send_dm", "content": "x"})).await, "bad_request");
    assert_eq!(alice.refused(json!({"type": "send_dm", "recipientId": "bob"})).await, "bad_request");
    let rooms = alice.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    assert_eq!(rooms["items"], json!([]));
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn to_a_third_person_a_direct_room_looks_like_one_that_does_not_exist() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let room = alice.ack(dm("bob", "secret")).await["roomId"].as_str().unwrap().to_owned();
    let mut carol = TestClient::connect(&engine, "carol").await;
    let commands = [
        json!({"type": "send_message", "content": "x"}),
        json!({"type": "fetch_history"}),
        json!({"type": "list_members"}),
        json!({"type": "subscribe", "after": 0}),
        json!({"type": "join_room"}),
        json!({"type": "leave_room"}),
    ];
    for command in commands {
        let mut answers = Vec::new();
        for room in [room.as_str(), "0190b5a2-7a39-7c3e-8f00-000000000001"] {
            let mut asked = command.clone();
            asked["roomId"] = json!(room);
            let mut answer = carol.ask(asked).await;
            answer.as_object_mut().unwrap().remove("id");
            answers.push(answer.to_string());
        }
        assert_eq!(answers[0], answers[1], "{command}");
        assert!(answers[0].contains("not_found"), "{}", answers[0]);
    }
    let resume = json!({"resume": [{"roomId": room, "after": 0}]});
    let mut again = TestClient::connect_with(&engine, "carol", resume).await;
    assert_eq!(again.expect("resume_failed").await["code"], "not_found");
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_or_joins_a_direct_room_and_it_does_not_count_among_ones_rooms() {
    let engine = builder().limits(Limits { rooms_per_user: 1, ..no_rates() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let _carol = TestClient::connect(&engine, "carol").await;
    let room = alice.ack(dm("bob", "hi")).await["roomId"].clone();
    alice.ack(dm("carol", "hi")).await;
    assert_eq!(alice.refused(json!({"type": "leave_room", "roomId": room})).await, "forbidden");
    assert_eq!(alice.ack(json!({"type": "join_room", "roomId": room})).await["room"]["kind"], "direct");
    alice.create_room("Lobby").await;
    assert_eq!(alice.refused(json!({"type": "create_room", "name": "Other"})).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn direct_messages_count_against_the_rate_of_messages() {
    let engine = builder().limits(Limits { message_burst: 2, ..Limits::default() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    alice.ack(dm("bob", "1")).await;
    alice.ack(dm("bob", "2")).await;
    let refused = alice.ask(dm("bob", "3")).await;
    assert_eq!(refused["code"], "rate_limited");
    assert!(refused["retryAfterMs"].is_u64(), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_process_sends_direct_messages() {
    let engine = engine().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let bot = chat_core::auth::Identity::new(UserId::parse("bot").unwrap(), "bot");
    let bot = engine.caller(bot).await.unwrap();
    let (room, sent) =
        bot.send_dm(&UserId::parse("bob").unwrap(), Draft::text("beep").unwrap()).await.unwrap();
    assert_eq!(sent.seq.get(), 1);
    assert_eq!(expect_dm(&mut bob, "beep").await["roomId"], room.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_first_direct_message_crosses_nodes() {
    for (loss, within) in [(Loss::NONE, Duration::ZERO), (Loss::TOTAL, Duration::from_secs(4))] {
        let Nodes { a, b, store, .. } = two_nodes(loss).await;
        let mut alice = TestClient::connect(&a, "alice").await;
        let mut tablet = TestClient::connect(&b, "alice").await;
        let mut bob = TestClient::connect(&b, "bob").await;
        let begun = Instant::now();
        alice.ack(dm("bob", "hi")).await;
        expect_dm(&mut bob, "hi").await;
        expect_dm(&mut tablet, "hi").await;
        assert!(begun.elapsed() <= within, "{:?}", begun.elapsed());
        expect_dm(&mut alice, "hi").await;
        bob.ack(dm("alice", "hello")).await;
        for client in [&mut alice, &mut tablet, &mut bob] {
            assert_eq!(expect_dm(client, "hello").await["recipientId"], "alice");
        }
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn first_messages_from_two_nodes_at_once_meet_in_one_room() {
    for loss in [Loss::NONE, Loss::TOTAL] {
        let Nodes { a, b, store, .. } = two_nodes(loss).await;
        let mut alice = TestClient::connect(&a, "alice").await;
        let mut bob = TestClient::connect(&b, "bob").await;
        let (from_alice, from_bob) = (alice.start(dm("bob", "a")).await, bob.start(dm("alice", "b")).await);
        let (a, b) = (alice.answer(from_alice).await, bob.answer(from_bob).await);
        assert_eq!((&a["type"], &b["type"]), (&json!("ack"), &json!("ack")));
        assert_eq!(a["roomId"], b["roomId"]);
        for client in [&mut alice, &mut bob] {
            assert_eq!(client.expect("new_dm").await["message"]["seq"], 1);
            assert_eq!(client.expect("new_dm").await["message"]["seq"], 2);
        }
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    }
}
