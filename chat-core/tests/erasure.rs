//! Erasing a user: what is left, who hears of it, and what happens when it breaks off.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "erasure/canaries.rs"]
mod canaries;
mod common;

use std::{sync::Arc, time::Duration};

use canaries::{BOB, CANARY, EMOJI, LOG_TABLE, REACTION_TABLES, TABLES, own_rows, tables_with};
use chat_core::{
    auth::{AuthError, Identity},
    bus::MemoryBus,
    close::CloseReason,
    domain::{Draft, Rejection, RoomSpec, Username},
    engine::{Engine, Erased, Error},
    id::{RoomId, UserId},
    limits::DELETED_ROOM_GRACE_MS,
    store::{
        Erasure, ErasureStage, ErasureStore, Maintenance, MemoryStore, PageRequest, PersonalStore, RoomStore,
        StoreError, UserStore,
        kv::{KvStore, MemKv},
    },
    testing::{FaultyStore, Loss, SlowStore, TestClient, WriteFault},
    time::{Clock, SystemClock},
};
use common::{Nodes, builder, engine_and_store, two_nodes};
use serde_json::{Value, json};

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

async fn verifies(store: &impl Maintenance) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

/// What a failing store is asked before it fails.
fn memory() -> (MemKv, Arc<MemoryStore>) {
    let kv = MemKv::new();
    (kv.clone(), Arc::new(KvStore::inline(kv).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn no_row_and_no_frame_holds_anything_of_who_was_erased() {
    let (kv, store) = memory();
    let engine = canaries::engine(store.clone()).await;
    canaries::release(&engine, &*store).await;
    assert_eq!(tables_with(&kv, CANARY), TABLES.into(), "they are found while they are there");
    assert_eq!(tables_with(&kv, EMOJI), REACTION_TABLES.into());
    assert_eq!(own_rows(&kv), [1, 1, 1, 1, 1, 2]);
    assert!(canaries::told(&engine).await.contains(CANARY));
    let erased = engine.erase_user(&canaries::bob()).await.unwrap();
    let expected = Erased { memberships: 4, rooms: 2, messages: 12, reactions: 1 };
    assert_eq!(erased, expected);
    assert_eq!(tables_with(&kv, CANARY), [].into());
    assert_eq!(tables_with(&kv, EMOJI), LOG_TABLE.into());
    assert_eq!(own_rows(&kv), [0; 6]);
    let told = canaries::told(&engine).await;
    assert!(!told.to_lowercase().contains(CANARY), "{told}");
    assert!(told.contains("erased-user"));
    verifies(&*store).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(tables_with(&kv, CANARY), [].into(), "nor is anything saved later");
    verifies(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_of_the_operator_outlasts_its_only_owner() {
    let (engine, store) = engine_and_store().await;
    let lobby = RoomId::parse("lobby").unwrap();
    engine.ensure_room(lobby.clone(), RoomSpec::public("lobby").unwrap()).await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    alice.join("lobby").await;
    let user = UserId::parse("alice").unwrap();
    engine.appoint_owner(&lobby, &user).await.unwrap();
    let erased = engine.erase_user(&user).await.unwrap();
    assert_eq!((erased.memberships, erased.rooms), (1, 0));
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join("lobby").await;
    engine.appoint_owner(&lobby, &UserId::parse("bob").unwrap()).await.unwrap();
    verifies(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn others_hear_of_it_as_it_happens_and_see_the_same_afterwards() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    let theirs = alice.send(&room, "from alice").await;
    let own = bob.send(&room, "from bob").await;
    let id = |seq: u64| {
        json!(
            chat_core::id::MessageId::of(&RoomId::parse(&room).unwrap(), chat_core::id::Seq::new(seq))
                .to_string()
        )
    };
    bob.ack(json!({"type": "add_reaction", "roomId": room, "messageId": id(theirs), "emoji": "👍"})).await;
    alice.settle().await;
    assert_eq!(
        engine.erase_user(&user("bob")).await,
        Ok(Erased { memberships: 1, rooms: 0, messages: 1, reactions: 1 })
    );
    let heard = alice.settle().await;
    let kinds: Vec<_> = heard.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user_left", "message_deleted", "reaction_removed"], "{heard:?}");
    assert_eq!(
        (&heard[0]["userId"], &heard[0]["reason"], &heard[0]["memberCount"]),
        (&json!("bob"), &json!("erased"), &json!(1))
    );
    assert_eq!((&heard[1]["messageId"], &heard[1]["deletedBy"]), (&id(own), &json!("bob")));
    assert_eq!((&heard[2]["messageId"], &heard[2]["count"]), (&id(theirs), &json!(0)));
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages[0]["reactions"], json!([]));
    assert_eq!(
        (
            &messages[1]["content"],
            &messages[1]["username"],
            &messages[1]["userId"],
            &messages[1]["deletedBy"]
        ),
        (&json!(""), &json!("erased-user"), &json!("bob"), &json!("bob"))
    );
    let members = alice.ask(json!({"type": "list_members", "roomId": room})).await;
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    let audit = alice.ask(json!({"type": "fetch_audit", "roomId": room})).await;
    let newest = &audit["items"][0];
    assert_eq!((&newest["act"], &newest["targetId"]), (&json!("erase_user"), &json!("bob")), "{audit}");
    let mine = alice.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    assert_eq!((&mine["items"][0]["unread"], &mine["items"][0]["memberCount"]), (&json!(0), &json!(1)));
    verifies(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_erased_is_shut_out_everywhere_whatever_the_bus_does() {
    for loss in [Loss::NONE, Loss::TOTAL] {
        let Nodes { a, b, store, .. } = two_nodes(loss).await;
        let mut alice = TestClient::connect(&b, "alice").await;
        let mut here = TestClient::connect(&a, "bob").await;
        let mut there = TestClient::connect(&b, "bob").await;
        let mut within = b.connect(Identity::new(user("bob"), "bob")).await.unwrap();
        let caller = b.caller(Identity::new(user("bob"), "bob")).await.unwrap();
        let room = alice.create_room("Lobby").await;
        there.join(&room).await;
        there.send(&room, "text").await;
        a.erase_user(&user("bob")).await.unwrap();
        assert_eq!(here.closed().await, Some(CloseReason::Banned));
        assert_eq!(there.closed().await, Some(CloseReason::Banned));
        while within.recv().await.is_some() {}
        for node in [&a, &b] {
            let mut again = TestClient::dial(node);
            let answer = again.ask(json!({"type": "authenticate", "token": "bob"})).await;
            assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!("forbidden")));
            assert_eq!(again.closed().await, Some(CloseReason::Banned));
            let entered = node.caller(Identity::new(user("bob"), "bob")).await;
            assert!(matches!(entered, Err(Error::Auth(AuthError::Erased))));
        }
        // Somebody who was let in before can do nothing either.
        let room = RoomId::parse(&room).unwrap();
        assert!(caller.join(&room).await.is_err());
        assert!(caller.create_room(RoomSpec::public("Mine").unwrap()).await.is_err());
        assert!(caller.send_dm(&user("alice"), Draft::text("hi").unwrap()).await.is_err());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut fresh =
            TestClient::connect_with(&b, "alice", json!({"resume": [{"roomId": room.as_str(), "after": 0}]}))
                .await;
        loop {
            let event = fresh.event().await;
            assert_ne!(event["message"]["username"], "bob", "{event}");
            if event["type"] == "caught_up" {
                break;
            }
        }
        verifies(&*store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_gets_another_owner_of_the_highest_rank_who_joined_first() {
    let (engine, store) = engine_and_store().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = bob.create_room("Lobby").await;
    for name in ["dora", "carol", "alice", "eve"] {
        TestClient::connect(&engine, name).await.join(&room).await;
    }
    let set =
        |name: &str, role: &str| json!({"type": "set_role", "roomId": room, "userId": name, "role": role});
    for (name, role) in [("dora", "moderator"), ("alice", "admin"), ("carol", "admin")] {
        bob.ack(set(name, role)).await;
    }
    engine.erase_user(&user("bob")).await.unwrap();
    let id = RoomId::parse(&room).unwrap();
    let owner = async || {
        let members = store.members(&id, PageRequest::first(99)).await.unwrap().items;
        let owners: Vec<_> = members
            .into_iter()
            .filter(|member| member.role == chat_core::domain::Role::Owner)
            .map(|member| member.user)
            .collect();
        assert_eq!(owners.len(), 1, "{owners:?}");
        owners[0].as_str().to_owned()
    };
    // One by one, down to the last, with whom the room goes.
    for (next, rooms) in [("carol", 0), ("alice", 0), ("dora", 0), ("eve", 1)] {
        assert_eq!(owner().await, next);
        assert_eq!(engine.erase_user(&user(next)).await.unwrap().rooms, rooms);
        verifies(&*store).await;
    }
    assert!(store.room(&id).await.unwrap().unwrap().deleted);
    let page = store.public_rooms(None, PageRequest::first(9)).await.unwrap();
    assert_eq!(page.items, []);
}

#[tokio::test(start_paused = true)]
async fn a_direct_room_stays_with_tombstones_and_nobody_can_be_written_to_there() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let dm = |to: &str| json!({"type": "send_dm", "recipientId": to, "content": "text"});
    let room = alice.ack(dm("bob")).await["roomId"].as_str().unwrap().to_owned();
    bob.ack(dm("alice")).await;
    let unknown = alice.ask(dm("nobody")).await;
    engine.erase_user(&user("bob")).await.unwrap();
    let mut history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    let messages = history["messages"].take();
    assert_eq!((&messages[0]["content"], &messages[1]["content"]), (&json!("text"), &json!("")));
    assert_eq!(messages[1]["senderUsername"], "erased-user", "{messages}");
    let mut refused = alice.ask(dm("bob")).await;
    refused["id"] = unknown["id"].clone();
    assert_eq!(refused, unknown, "as if there had never been such a user");
    let say = json!({"type": "send_message", "roomId": room, "content": "are you there?"});
    assert_eq!(alice.refused(say).await, "not_found");
    for command in
        [json!({"type": "block_user", "userId": "bob"}), json!({"type": "create_group", "userIds": ["bob"]})]
    {
        assert_eq!(alice.refused(command).await, "not_found");
    }
    verifies(&*store).await;
    engine.erase_user(&user("alice")).await.unwrap();
    verifies(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_answered_as_the_first_was_beside_messages_to_somebody_who_was_erased() {
    let (engine, _store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let dm = json!({"type": "send_dm", "recipientId": "bob", "content": "text", "clientMessageId": "k"});
    let first = alice.ack(dm).await;
    engine.erase_user(&user("bob")).await.unwrap();
    let again = |key: &str| {
        let (kind, room) = ("send_message", &first["roomId"]);
        json!({"type": kind, "roomId": room, "content": "text", "clientMessageId": key})
    };
    // All of them on their way at once, so that they are stored together or not at all.
    let mut sent = Vec::new();
    for key in ["new", "k", "newer"] {
        sent.push(alice.start(again(key)).await);
    }
    let mut answers = Vec::new();
    for id in sent {
        answers.push(alice.answer(id).await);
    }
    let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_str()).collect();
    assert_eq!(codes, [Some("not_found"), None, Some("not_found")], "{answers:?}");
    assert_eq!((&answers[1]["messageId"], &answers[1]["duplicate"]), (&first["messageId"], &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn erasing_twice_is_the_same_and_nobody_is_erased_who_is_not_there() {
    let (engine, store) = engine_and_store().await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = bob.create_room("Lobby").await;
    bob.send(&room, "text").await;
    let nobody = engine.erase_user(&user("nobody")).await;
    assert!(matches!(nobody, Err(Error::Rejected(Rejection::NotFound("user")))));
    let (one, two) = (engine.clone(), engine.clone());
    let bob = user("bob");
    let (one, two) = tokio::join!(one.erase_user(&bob), two.erase_user(&bob));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.memberships + two.memberships, one.rooms + two.rooms), (1, 1));
    assert_eq!(engine.erase_user(&bob).await, Ok(Erased::default()));
    assert_eq!(store.erasure(&bob).await, Ok(Some(Erasure::at(ErasureStage::Done))));
    verifies(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn the_name_can_be_taken_again_at_once() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.send(&room, "text").await;
    engine.erase_user(&user("bob")).await.unwrap();
    let other = engine.caller(Identity::new(user("other"), "bob")).await.unwrap();
    assert_eq!(other.username().as_str(), "bob");
    let bob = Username::parse("bob").unwrap();
    assert_eq!(store.user_named(&bob).await, Ok(Some(user("other"))));
    other.join(&RoomId::parse(&room).unwrap()).await.unwrap();
    let mention = alice.ack(json!({"type": "send_message", "roomId": room, "content": "@bob"})).await;
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    let newest = history["messages"].as_array().unwrap().last().unwrap();
    assert_eq!((&newest["id"], &newest["mentions"]), (&mention["messageId"], &json!(["other"])));
    verifies(&*store).await;
}

/// Whatever is under way when it begins: it is refused, or was saved before and goes with the rest.
#[tokio::test(start_paused = true)]
async fn nothing_that_was_under_way_comes_through_afterwards() {
    let (mut refused, mut sent) = (0, 0);
    for seed in 0..20 {
        let (kv, store) = memory();
        let (least, most) = (Duration::from_millis(1), Duration::from_millis(30));
        let slow = SlowStore::new(KvStore::inline(kv.clone()).unwrap(), seed, least, most);
        let engine = builder().store(slow).build().await.unwrap();
        let alice = engine.caller(Identity::new(user("alice"), "alice")).await.unwrap();
        let bob = engine.caller(Identity::new(user("bob"), "bob")).await.unwrap();
        let room = alice.create_room(RoomSpec::public("Lobby").unwrap()).await.unwrap().id;
        bob.join(&room).await.unwrap();
        let draft = |text: String| Draft::text(&text).unwrap();
        let mut tasks = Vec::new();
        for number in 0..30 {
            let (alice, bob, room) = (alice.clone(), bob.clone(), room.clone());
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 5)).await;
                let text = format!("canary {number}");
                match number % 6 {
                    0 => bob.send_dm(&user("alice"), draft(text)).await.map(drop),
                    1 => alice.send_dm(&user("bob"), draft("to bob".to_owned())).await.map(drop),
                    2 => bob.create_room(RoomSpec::private(&text).unwrap()).await.map(drop),
                    3 => alice.block(&user("bob")).await,
                    _ => bob.send(&room, draft(text)).await.map(drop),
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(40 + seed)).await;
        engine.erase_user(&user("bob")).await.unwrap();
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => sent += 1,
                Err(_) => refused += 1,
            }
        }
        let standing: Vec<_> = store.authored(&user("bob"), PageRequest::first(200)).await.unwrap().items;
        assert!(standing.iter().all(|entry| entry.message().unwrap().deleted.is_some()), "seed {seed}");
        assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(9)).await.unwrap().items, []);
        // What a room was called that went with its only member goes with its log, an hour later.
        assert!(tables_with(&kv, CANARY).is_subset(&LOG_TABLE.into()), "seed {seed}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        let later = SystemClock.now().plus_millis(2 * DELETED_ROOM_GRACE_MS);
        while store.sweep(later).await.unwrap() {}
        assert_eq!(tables_with(&kv, CANARY), [].into(), "seed {seed}");
        verifies(&*store).await;
    }
    assert!(sent > 50 && refused > 50, "{sent} came through before, {refused} were refused");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_opens_as_it_begins_is_refused_or_closed() {
    let (mut refused, mut closed) = (0, 0);
    for seed in 0..20 {
        let (least, most) = (Duration::from_millis(1), Duration::from_millis(30));
        let slow = SlowStore::new(common::watched(), seed, least, most);
        let engine = builder().store(slow).build().await.unwrap();
        let bob = Identity::new(user("bob"), "bob");
        engine.caller(bob.clone()).await.unwrap();
        let open = |number: u64| {
            let (engine, bob) = (engine.clone(), bob.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 5)).await;
                let Ok(mut session) = engine.connect(bob).await else { return false };
                while session.recv().await.is_some() {}
                true
            })
        };
        let sessions: Vec<_> = (0..20).map(open).collect();
        tokio::time::sleep(Duration::from_millis(50 + seed)).await;
        engine.erase_user(&user("bob")).await.unwrap();
        for session in sessions {
            let ended = tokio::time::timeout(Duration::from_secs(60), session).await;
            let was_open =
                ended.unwrap_or_else(|_| panic!("a session slipped through, seed {seed}")).unwrap();
            closed += usize::from(was_open);
            refused += usize::from(!was_open);
        }
        assert!(!engine.has_session(&user("bob")));
    }
    assert!(closed > 50 && refused > 50, "{closed} were closed, {refused} refused");
}

/// A store that fails at one write, in this way; then the power goes, and another engine opens the disk.
async fn cut_at(nth: u64, fault: WriteFault) -> bool {
    let (kv, store) = memory();
    let first = canaries::engine(store.clone()).await;
    canaries::release(&first, &*store).await;
    first.crash();
    let faulty = Arc::new(FaultyStore::new(KvStore::inline(kv.clone()).unwrap()));
    let engine = canaries::engine(faulty.clone()).await;
    faulty.fail_write(nth, fault);
    let cut = engine.erase_user(&canaries::bob()).await;
    engine.crash();
    drop(engine);
    let again = canaries::engine(Arc::new(KvStore::inline(kv.clone()).unwrap())).await;
    let begun = store.erasure(&canaries::bob()).await.unwrap().is_some();
    if begun {
        let mut refused = TestClient::dial(&again);
        refused.ask(json!({"type": "authenticate", "token": BOB})).await;
        assert_eq!(refused.closed().await, Some(CloseReason::Banned));
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    if !begun {
        assert!(cut.is_err());
        again.erase_user(&canaries::bob()).await.unwrap();
    }
    assert_eq!(
        store.erasure(&canaries::bob()).await,
        Ok(Some(Erasure::at(ErasureStage::Done))),
        "write {nth}"
    );
    assert_eq!(tables_with(&kv, CANARY), [].into(), "write {nth}");
    assert_eq!(tables_with(&kv, EMOJI), LOG_TABLE.into(), "write {nth}");
    assert!(!canaries::told(&again).await.to_lowercase().contains(CANARY));
    verifies(&KvStore::inline(kv).unwrap()).await;
    cut.is_err()
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_breaks_off_anywhere_is_brought_to_its_end() {
    let mut cuts = 0;
    for nth in 1.. {
        let mut cut = cut_at(nth, WriteFault::Before(StoreError::Full)).await;
        cut |= cut_at(nth, WriteFault::After).await;
        if !cut {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "an erasure is many writes, not {cuts}");
}

#[tokio::test(start_paused = true)]
async fn a_large_erasure_goes_on_in_rounds_and_several_nodes_do_no_harm() {
    let store = Arc::new(common::watched());
    let engine = builder().shared_store(store.clone()).build().await.unwrap();
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut rooms: Vec<Value> = Vec::new();
    for number in 0..50 {
        let room = alice.create_room(&format!("Room {number}")).await;
        bob.join(&room).await;
        for text in ["one", "two", "three"] {
            bob.send(&room, text).await;
        }
        rooms.push(room.into());
    }
    engine.crash();
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    let nodes: Vec<Engine> = {
        let bus = MemoryBus::new();
        let node = async || builder().shared_store(store.clone()).bus(bus.clone()).build().await.unwrap();
        vec![node().await, node().await]
    };
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(store.erasure(&user("bob")).await, Ok(Some(Erasure::at(ErasureStage::Done))));
    let mut alice = TestClient::connect(&nodes[1], "alice").await;
    for room in rooms {
        let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
        let messages = history["messages"].as_array().unwrap();
        assert!(messages.iter().all(|message| message["content"] == ""), "{history}");
    }
    verifies(&*store).await;
}
