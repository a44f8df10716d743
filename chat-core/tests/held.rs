//! Messages that a hook holds for review.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::Draft,
    engine::{Engine, Offered},
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    testing::TestClient,
};
use common::builder;
use serde_json::{Value, json};

/// Holds what has "maybe" in it, and refuses what has "never".
struct Careful;

#[async_trait::async_trait]
impl Hooks for Careful {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        match draft.content.as_str() {
            text if text.contains("maybe") => Verdict::Hold,
            text if text.contains("never") => Verdict::Refuse("never say never"),
            _ => Verdict::Allow,
        }
    }
}

async fn careful() -> Engine {
    builder().hooks(Careful).build().await.unwrap()
}

fn message(room: &str, text: &str, key: &str) -> Value {
    json!({"type": "send_message", "roomId": room, "content": text, "clientMessageId": key})
}

async fn held(client: &mut TestClient, room: &str) -> Vec<Value> {
    let answer = client.ask(json!({"type": "list_held", "roomId": room})).await;
    assert_eq!((&answer["type"], &answer["roomId"]), (&json!("held"), &json!(room)), "{answer}");
    assert_eq!(answer["nextCursor"], Value::Null);
    answer["items"].as_array().unwrap().clone()
}

fn release(room: &str, id: &str) -> Value {
    json!({"type": "release_held", "roomId": room, "heldId": id})
}

fn discard(room: &str, id: &str) -> Value {
    json!({"type": "discard_held", "roomId": room, "heldId": id})
}

#[tokio::test]
async fn a_held_message_stays_outside_the_log_until_it_is_released_as_its_authors() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    let ack = bob.ack(message(&room, "maybe so", "k")).await;
    let id = ack["heldId"].as_str().unwrap().to_owned();
    assert_eq!(
        ack,
        json!({"type": "ack", "id": ack["id"], "held": true, "heldId": id, "roomId": room, "duplicate": false})
    );
    let repeat = bob.ack(message(&room, "maybe so", "k")).await;
    assert_eq!((&repeat["heldId"], &repeat["duplicate"]), (&json!(id), &json!(true)));
    bob.expect_silence().await;

    let waiting = held(&mut alice, &room).await;
    let expected = json!([{"heldId": id, "userId": "bob", "username": "bob", "content": "maybe so",
        "messageType": "text", "attachments": [], "createdAt": waiting[0]["createdAt"]}]);
    assert_eq!(json!(waiting), expected);
    let sent = alice.ack(release(&room, &id)).await;
    assert_eq!((&sent["seq"], &sent["duplicate"], &sent["roomId"]), (&json!(4), &json!(false), &json!(room)));
    let told = bob.expect("new_message").await;
    let message_of = |event: &Value| {
        let message = &event["message"];
        json!([message["id"], message["userId"], message["username"], message["content"], message["seq"]])
    };
    assert_eq!(message_of(&told), json!([sent["messageId"], "bob", "bob", "maybe so", 4]));
    assert_eq!(told["message"]["clientMessageId"], "k");
    for _ in 0..3 {
        alice.event().await;
    }
    let told = alice.expect("new_message").await;
    assert_eq!(message_of(&told), json!([sent["messageId"], "bob", "bob", "maybe so", 4]));
    assert_eq!(told["message"]["clientMessageId"], Value::Null);

    let repeat = bob.ack(message(&room, "maybe so", "k")).await;
    assert_eq!((&repeat["messageId"], &repeat["duplicate"]), (&sent["messageId"], &json!(true)));
    assert_eq!(held(&mut alice, &room).await, Vec::<Value>::new());
    assert_eq!(alice.refused(release(&room, &id)).await, "not_found");
    assert_eq!(alice.refused(discard(&room, &id)).await, "not_found");
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn of_many_who_release_at_once_one_sends_the_message() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let room_id = RoomId::parse(&room).unwrap();
    for round in 0..10_u64 {
        let ack = alice.ack(message(&room, &format!("maybe {round}"), &format!("k{round}"))).await;
        let id = chat_core::id::HeldId::parse(ack["heldId"].as_str().unwrap()).unwrap();
        let releases = (0..8).map(|_| {
            let (engine, room_id, id) = (engine.clone(), room_id.clone(), id.clone());
            tokio::spawn(async move {
                let identity = chat_core::auth::Identity::new(UserId::parse("alice").unwrap(), "alice");
                let caller = engine.caller(identity).await.unwrap();
                caller.release(&room_id, &id).await.is_ok_and(|sent| !sent.duplicate)
            })
        });
        let mut sent = 0;
        for release in releases.collect::<Vec<_>>() {
            sent += u64::from(release.await.unwrap());
        }
        assert_eq!(sent, 1);
        let room = engine.store().room(&room_id).await.unwrap().unwrap();
        assert_eq!((room.messages, room.head.get()), (round + 1, round + 3));
    }
}

#[tokio::test]
async fn only_moderators_review_and_a_stranger_learns_nothing() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Secret", "private": true})).await;
    let private = ack["room"]["id"].as_str().unwrap().to_owned();
    let public = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&public).await;
    for (command, more) in [
        ("list_held", json!({})),
        ("release_held", json!({"heldId": "x"})),
        ("discard_held", json!({"heldId": "x"})),
    ] {
        let ask = |room: &str| {
            let mut ask = json!({"type": command, "roomId": room});
            ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ask
        };
        assert_eq!(bob.refused(ask(&public)).await, "forbidden", "{command}");
        let mut there = bob.ask(ask(&private)).await;
        let mut nowhere = bob.ask(ask("0190b5a2-7a39-7c3e-8f00-000000000001")).await;
        there["id"] = Value::Null;
        nowhere["id"] = Value::Null;
        assert_eq!(there, nowhere, "{command}");
        assert_eq!(there["code"], "not_found", "{command}");
    }
}

#[tokio::test]
async fn who_may_not_send_is_told_so_whatever_the_hook_says_of_the_text() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    assert_eq!(bob.refused(message(&room, "maybe", "k")).await, "forbidden");
    assert_eq!(bob.refused(message("nowhere", "maybe", "k")).await, "not_found");
    assert_eq!(held(&mut alice, &room).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_an_author_who_has_left_wrote_can_only_be_discarded() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let id = bob.ack(message(&room, "maybe", "k")).await["heldId"].as_str().unwrap().to_owned();
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    assert_eq!(alice.refused(release(&room, &id)).await, "forbidden");
    alice.ack(discard(&room, &id)).await;
    assert_eq!(held(&mut alice, &room).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_message_sent_under_its_key_meanwhile_is_not_sent_again_by_releasing() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let id = alice.ack(message(&room, "maybe", "k")).await["heldId"].as_str().unwrap().to_owned();
    let sent = alice.ack(message(&room, "surely", "k")).await;
    let released = alice.ack(release(&room, &id)).await;
    assert_eq!((&released["messageId"], &released["duplicate"]), (&sent["messageId"], &json!(true)));
    assert_eq!(held(&mut alice, &room).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_call_in_process_tells_a_held_message_from_a_sent_one() {
    let engine = careful().await;
    let identity = chat_core::auth::Identity::new(UserId::parse("alice").unwrap(), "alice");
    let alice = engine.caller(identity).await.unwrap();
    let room = alice.create_room(chat_core::domain::RoomSpec::public("Lobby").unwrap()).await.unwrap().id;
    let offered = alice.offer(&room, Draft::text("maybe").unwrap()).await.unwrap();
    let Offered::Held { id, duplicate: false } = offered else { panic!("{offered:?}") };
    assert!(matches!(
        alice.send(&room, Draft::text("maybe").unwrap()).await,
        Err(chat_core::engine::Error::Held(other)) if other != id
    ));
    assert!(matches!(alice.offer(&room, Draft::text("surely").unwrap()).await, Ok(Offered::Sent(_))));
}

/// What the caller has not read of a room, and up to where they have.
async fn left_to_read(client: &mut TestClient, room: &str) -> Value {
    let room = client.ask(json!({"type": "get_room", "roomId": room})).await["room"].clone();
    json!([room["unread"], room["mentions"], room["lastReadSeq"]])
}

#[tokio::test]
async fn a_release_reads_nothing_in_the_place_of_the_author() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let mut phone = TestClient::connect_with(&engine, "bob", json!({"subscribe": "none"})).await;
    let id =
        bob.ack(message(&room, "maybe @bob or @alice", "k")).await["heldId"].as_str().unwrap().to_owned();
    alice.send(&room, "one").await;
    alice.send(&room, "@bob two").await;
    let sent = alice.ack(release(&room, &id)).await;
    alice.send(&room, "three").await;
    assert_eq!(left_to_read(&mut bob, &room).await, json!([3, 1, 3]));
    assert_eq!(left_to_read(&mut alice, &room).await, json!([0, 0, 7]));
    phone.expect_silence().await;

    // Nor do edits and deletions make it count.
    let edit =
        json!({"type": "edit_message", "roomId": room, "messageId": sent["messageId"], "content": "@alice"});
    bob.ack(edit).await;
    assert_eq!(left_to_read(&mut bob, &room).await, json!([3, 1, 3]));
    let ack = bob.ack(json!({"type": "mark_read", "roomId": room, "seq": 5})).await;
    assert_eq!((&ack["unread"], &ack["mentions"]), (&json!(1), &json!(0)));
    bob.ack(json!({"type": "delete_message", "roomId": room, "messageId": sent["messageId"]})).await;
    assert_eq!(left_to_read(&mut bob, &room).await, json!([1, 0, 5]));
    bob.send(&room, "surely").await;
    assert_eq!(left_to_read(&mut bob, &room).await, json!([0, 0, 10]));
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_direct_message_that_was_sent_is_answered_again_though_its_text_would_be_held_by_now() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let direct = |text: &str| json!({"type": "send_dm", "recipientId": "bob", "content": text, "clientMessageId": "k"});
    assert_eq!(alice.refused(direct("maybe")).await, "forbidden", "before there is a room");
    let first = alice.ack(direct("certainly")).await;
    let again = alice.ack(direct("maybe")).await;
    assert_eq!((&again["messageId"], &again["duplicate"]), (&first["messageId"], &json!(true)));
    let other =
        json!({"type": "send_dm", "recipientId": "bob", "content": "maybe", "clientMessageId": "other"});
    assert_eq!(alice.refused(other).await, "forbidden");
}

#[tokio::test]
async fn a_message_that_was_sent_is_answered_again_though_its_text_would_be_refused_by_now() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    let direct = |text: &str| json!({"type": "send_dm", "recipientId": "bob", "content": text, "clientMessageId": "k"});
    for send in [&direct as &dyn Fn(&str) -> Value, &|text: &str| message(&room, text, "k")] {
        let refused = alice.ask(send("never")).await;
        assert_eq!((&refused["code"], &refused["message"]), (&json!("forbidden"), &json!("never say never")));
        let first = alice.ack(send("certainly")).await;
        let again = alice.ack(send("never")).await;
        assert_eq!((&again["messageId"], &again["duplicate"]), (&first["messageId"], &json!(true)));
    }
}

#[tokio::test]
async fn a_held_message_is_released_though_its_author_has_to_wait_in_slow_mode() {
    let engine = careful().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let held = bob.ack(message(&room, "maybe", "k")).await;
    alice.ack(json!({"type": "update_room", "roomId": room, "slowModeSeconds": 600})).await;
    bob.ack(message(&room, "certainly", "l")).await;
    assert_eq!(bob.refused(message(&room, "again", "m")).await, "rate_limited");
    alice.ack(release(&room, held["heldId"].as_str().unwrap())).await;
}
