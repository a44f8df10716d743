//! Who is there: told to those who share a room, late enough to be true and never to strangers.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    auth::Identity,
    domain::{Availability, RoomSpec, Status, StatusText},
    engine::{Engine, Event},
    id::{RoomId, UserId},
    limits::{PRESENCE_ROOM_MEMBERS_MAX, PRESENCES_ASKED_MAX},
    store::{
        Store, UserStore,
        kv::{KvStore, MemKv},
    },
    testing::{Loss, TestClient},
    wire::Notice,
};
use common::{Nodes, builder, engine, two_nodes};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

async fn connect(engine: &Engine, name: &str) -> TestClient {
    TestClient::connect(engine, name).await.heeding_presence()
}

fn identity(name: &str) -> Identity {
    Identity::new(UserId::parse(name).unwrap(), name)
}

/// A room of these people, none of whom is there.
async fn room_of(engine: &Engine, names: &[&str]) -> String {
    let room = RoomId::parse("lobby").unwrap();
    let spec = RoomSpec { owned: false, ..RoomSpec::public("Lobby").unwrap() };
    engine.ensure_room(room.clone(), spec).await.unwrap();
    for name in names {
        engine.caller(identity(name)).await.unwrap().join(&room).await.unwrap();
    }
    room.as_str().to_owned()
}

async fn set(client: &mut TestClient, status: &str) {
    client.ack(json!({"type": "set_presence", "status": status})).await;
}

/// The next event must be a presence: of whom, and how they look.
async fn expect(client: &mut TestClient) -> (String, String) {
    let event = client.expect("presence").await;
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    (text("userId"), text("status"))
}

fn looks(user: &str, status: &str) -> (String, String) {
    (user.to_owned(), status.to_owned())
}

async fn ask(client: &mut TestClient, users: &[&str]) -> Vec<Value> {
    let answer = client.ask(json!({"type": "get_presence", "userIds": users})).await;
    assert_eq!(answer["type"], "presences", "{answer}");
    answer["items"].as_array().unwrap().clone()
}

async fn status_of(client: &mut TestClient, user: &str) -> String {
    let items = ask(client, &[user]).await;
    assert_eq!((items.len(), &items[0]["userId"]), (1, &json!(user)));
    items[0]["status"].as_str().unwrap().to_owned()
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn coming_is_told_at_once_and_going_after_the_grace() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut alice = connect(&engine, "alice").await;
    seconds(2).await;
    let bob = connect(&engine, "bob").await;
    let event = alice.event().await;
    let expected = json!({"type": "presence", "userId": "bob", "username": "bob", "status": "online",
        "statusText": null, "lastSeenAt": null});
    assert_eq!(event, expected);
    seconds(3).await;
    let begun = Instant::now();
    drop(bob);
    let event = alice.event().await;
    assert_eq!((&event["status"], begun.elapsed().as_secs()), (&json!("offline"), 5));
    assert!(event["lastSeenAt"].is_string());
    assert_eq!(ask(&mut alice, &["bob"]).await[0]["lastSeenAt"], event["lastSeenAt"]);
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_not_told() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut alice = connect(&engine, "alice").await;
    let mut bob = connect(&engine, "bob").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    for _ in 0..3 {
        drop(bob);
        seconds(4).await;
        bob = connect(&engine, "bob").await;
        seconds(3).await;
    }
    seconds(10).await;
    alice.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn somebody_is_there_while_any_of_their_sessions_is() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut alice = connect(&engine, "alice").await;
    let phone = connect(&engine, "bob").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    let mut laptop = connect(&engine, "bob").await;
    drop(phone);
    seconds(10).await;
    alice.expect_silence().await;
    let phone = connect(&engine, "bob").await;
    set(&mut laptop, "away").await;
    seconds(2).await;
    alice.expect_silence().await;
    drop(phone);
    assert_eq!(expect(&mut alice).await, looks("bob", "away"));
    let _bot = engine.connect(identity("bob")).await.unwrap();
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_at_most_once_a_second_and_the_last_one_is_true() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut alice = connect(&engine, "alice").await;
    let mut bob = connect(&engine, "bob").await;
    let begun = Instant::now();
    for turn in 0..100 {
        set(&mut bob, ["away", "dnd", "online"][turn % 3]).await;
        sleep(Duration::from_millis(50)).await;
    }
    set(&mut bob, "dnd").await;
    let mut last = Value::Null;
    let mut count = 0;
    while last["status"] != "dnd" || begun.elapsed() < Duration::from_secs(7) {
        tokio::select! {
            event = alice.event() => {
                last = event;
                count += 1;
            }
            () = seconds(3) => break,
        }
    }
    assert_eq!(last["status"], "dnd");
    assert!((2..=7).contains(&count), "{count} events in six seconds");
}

#[tokio::test(start_paused = true)]
async fn invisible_is_offline_to_others_and_invisible_to_oneself() {
    let engine = engine().await;
    let room = room_of(&engine, &["alice", "bob"]).await;
    let mut alice = connect(&engine, "alice").await;
    seconds(1).await;
    let mut bob = connect(&engine, "bob").await;
    let mut tablet = connect(&engine, "bob").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    seconds(2).await;
    let begun = Instant::now();
    set(&mut bob, "invisible").await;
    for own in [&mut bob, &mut tablet] {
        assert_eq!(expect(own).await, looks("bob", "invisible"));
    }
    assert_eq!(begun.elapsed().as_secs(), 0);
    assert_eq!(expect(&mut alice).await, looks("bob", "offline"));
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(status_of(&mut alice, "bob").await, "offline");
    assert_eq!(status_of(&mut bob, "bob").await, "invisible");
    let members = alice.ask(json!({"type": "list_members", "roomId": room})).await;
    let bobs =
        members["items"].as_array().unwrap().iter().find(|item| item["userId"] == "bob").unwrap().clone();
    assert_eq!(bobs["status"], "offline");
    drop((bob, tablet));
    seconds(20).await;
    let mut back = connect(&engine, "bob").await;
    seconds(2).await;
    alice.expect_silence().await;
    set(&mut back, "online").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
}

#[tokio::test(start_paused = true)]
async fn what_was_set_outlasts_sessions_and_restarts() {
    let store: Arc<dyn Store> = Arc::new(common::watched());
    let node = async || builder().shared_store(store.clone()).build().await.unwrap();
    let before = node().await;
    room_of(&before, &["alice", "bob", "carol"]).await;
    let mut bob = connect(&before, "bob").await;
    bob.ack(json!({"type": "set_presence", "status": "dnd", "statusText": "deep in thought"})).await;
    let mut carol = connect(&before, "carol").await;
    set(&mut carol, "invisible").await;
    seconds(1).await;
    before.crash();
    let after = node().await;
    let mut alice = connect(&after, "alice").await;
    let _bob = connect(&after, "bob").await;
    let mut carol = connect(&after, "carol").await;
    let event = alice.event().await;
    assert_eq!(
        (&event["userId"], &event["status"], &event["statusText"]),
        (&json!("bob"), &json!("dnd"), &json!("deep in thought"))
    );
    assert_eq!(status_of(&mut carol, "carol").await, "invisible");
    seconds(2).await;
    alice.expect_silence().await;
    assert!(store.verify().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_somebody_was_last_there_is_saved_after_the_grace() {
    let store: Arc<dyn Store> = Arc::new(common::watched());
    let engine = builder().shared_store(store.clone()).build().await.unwrap();
    room_of(&engine, &["alice", "bob"]).await;
    let users = [UserId::parse("bob").unwrap()];
    let last_seen = async || store.presences(&users).await.unwrap().remove(0).and_then(|kept| kept.last_seen);
    let bob = connect(&engine, "bob").await;
    seconds(10).await;
    assert_eq!(last_seen().await, None);
    drop(bob);
    seconds(10).await;
    assert!(last_seen().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_saves_when_people_were_last_there() {
    let disk = MemKv::crashable();
    let store = Arc::new(KvStore::inline(disk.clone()).unwrap());
    let engine = builder().shared_store(store).build().await.unwrap();
    room_of(&engine, &["alice"]).await;
    let _alice = connect(&engine, "alice").await;
    seconds(1).await;
    engine.shutdown(Duration::from_secs(5)).await.unwrap();
    let kept = KvStore::inline(disk).unwrap().presences(&[UserId::parse("alice").unwrap()]).await.unwrap();
    assert!(kept[0].as_ref().unwrap().last_seen.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_status_text_stays_until_it_is_changed_and_is_not_too_long() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut bob = connect(&engine, "bob").await;
    bob.ack(json!({"type": "set_presence", "status": "online", "statusText": "lunch"})).await;
    set(&mut bob, "away").await;
    assert_eq!(ask(&mut bob, &["bob"]).await[0]["statusText"], "lunch");
    bob.ack(json!({"type": "set_presence", "status": "away", "statusText": null})).await;
    assert_eq!(ask(&mut bob, &["bob"]).await[0]["statusText"], Value::Null);
    for fields in [
        json!({"type": "set_presence", "status": "offline"}),
        json!({"type": "set_presence", "status": "away", "statusText": "x".repeat(101)}),
        json!({"type": "set_presence"}),
        json!({"type": "get_presence", "userIds": vec!["x"; PRESENCES_ASKED_MAX + 1]}),
    ] {
        assert_eq!(bob.refused(fields).await, "bad_request");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_presence_reaches_who_shares_no_room() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bob"]).await;
    let mut stranger = connect(&engine, "stranger").await;
    let attic = stranger.create_room("Attic").await;
    for _ in 0..2 {
        stranger.event().await;
    }
    let mut alice = connect(&engine, "alice").await;
    alice.ack(json!({"type": "set_presence", "status": "dnd", "statusText": "canary"})).await;
    seconds(2).await;
    assert_eq!(ask(&mut stranger, &["alice", "nobody", "no id!", "stranger"]).await.len(), 1);
    let refused = stranger.refused(json!({"type": "list_members", "roomId": "lobby"})).await;
    assert_eq!(refused, "forbidden");
    stranger.expect_silence().await;
    // Sharing a room begins and ends with membership.
    alice.join(&attic).await;
    stranger.expect("user_joined").await;
    assert_eq!(status_of(&mut stranger, "alice").await, "dnd");
    alice.ack(json!({"type": "leave_room", "roomId": attic})).await;
    stranger.expect("user_left").await;
    set(&mut alice, "online").await;
    drop(alice);
    seconds(10).await;
    assert!(ask(&mut stranger, &["alice"]).await.is_empty());
    stranger.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_large_room_presence_is_asked_for() {
    let engine = engine().await;
    let room = room_of(&engine, &["alice", "bob"]).await;
    for number in 0..PRESENCE_ROOM_MEMBERS_MAX {
        let name = format!("user-{number}");
        engine.caller(identity(&name)).await.unwrap().join(&RoomId::parse(&room).unwrap()).await.unwrap();
    }
    let mut alice = connect(&engine, "alice").await;
    let _bob = connect(&engine, "bob").await;
    seconds(10).await;
    alice.expect_silence().await;
    assert_eq!(status_of(&mut alice, "bob").await, "online");
    let members = alice.ask(json!({"type": "list_members", "roomId": room})).await;
    let items = members["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["lastSeenAt"].is_null()));
    let online = items.iter().filter(|item| item["status"] == "online").count();
    assert!(online <= 2 && items.iter().all(|item| item["status"].is_string()));
}

#[tokio::test(start_paused = true)]
async fn sharing_many_rooms_does_not_multiply_events() {
    let engine = engine().await;
    let mut alice = connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    for number in 0..5 {
        let room = alice.create_room(&format!("Room {number}")).await;
        bob.join(&room).await;
    }
    drop(bob);
    seconds(10).await;
    let _bob = connect(&engine, "bob").await;
    seconds(10).await;
    let mut presences = Vec::new();
    loop {
        tokio::select! {
            event = alice.event() => presences.extend(event.get("status").cloned()),
            () = seconds(3) => break,
        }
    }
    assert_eq!(presences, [json!("online"), json!("offline"), json!("online")]);
}

#[tokio::test(start_paused = true)]
async fn thousands_who_arrive_at_once_are_told_of_in_the_end() {
    let engine = engine().await;
    let room = RoomId::parse(&room_of(&engine, &["alice"]).await).unwrap();
    let mut alice = engine.connect(identity("alice")).await.unwrap();
    let mut sessions = Vec::new();
    for number in 0..900 {
        let session = engine.connect(identity(&format!("user-{number}"))).await.unwrap();
        session.caller().join(&room).await.unwrap();
        sessions.push(session);
    }
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 900 {
        if let Event::Notice(Notice::Presence(view)) = alice.recv().await.unwrap()
            && view.status() == "online"
        {
            assert!(seen.insert(view.user().clone()), "told twice");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_in_process_says_and_asks_how_people_are() {
    let engine = engine().await;
    room_of(&engine, &["alice", "bot"]).await;
    let bot = engine.connect(identity("bot")).await.unwrap();
    let text = StatusText::parse("at your service").unwrap();
    bot.caller().set_presence(Availability::Dnd, Some(text.clone())).unwrap();
    let alice = engine.caller(identity("alice")).await.unwrap();
    let presences = alice.presences(&[UserId::parse("bot").unwrap()]).await.unwrap();
    assert_eq!((presences[0].2.status, &presences[0].2.text), (Status::Dnd, &text));
    assert_eq!(alice.set_presence(Availability::Away, None).unwrap_err().code().as_str(), "bad_request");
}

#[tokio::test(start_paused = true)]
async fn presence_crosses_nodes_and_merges_over_them() {
    let Nodes { a: here, b: there, .. } = two_nodes(Loss::NONE).await;
    room_of(&here, &["alice", "bob"]).await;
    let mut alice = connect(&there, "alice").await;
    let mut phone = connect(&here, "bob").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    let laptop = connect(&there, "bob").await;
    set(&mut phone, "away").await;
    seconds(2).await;
    alice.expect_silence().await;
    drop(laptop);
    assert_eq!(expect(&mut alice).await, looks("bob", "away"));
    phone.ack(json!({"type": "set_presence", "status": "dnd", "statusText": "busy"})).await;
    assert_eq!(expect(&mut alice).await, looks("bob", "dnd"));
    assert_eq!(ask(&mut alice, &["bob"]).await[0]["statusText"], "busy");
    seconds(2).await;
    let begun = Instant::now();
    drop(phone);
    assert_eq!(expect(&mut alice).await, looks("bob", "offline"));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_loses_is_told_again_within_ten_seconds() {
    let Nodes { a: here, b: there, bus, .. } = two_nodes(Loss::NONE).await;
    room_of(&here, &["alice", "bob"]).await;
    let mut alice = connect(&there, "alice").await;
    bus.set(Loss::TOTAL);
    let bob = connect(&here, "bob").await;
    seconds(1).await;
    bus.set(Loss::NONE);
    let begun = Instant::now();
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
    bus.set(Loss::TOTAL);
    drop(bob);
    seconds(1).await;
    bus.set(Loss::NONE);
    assert_eq!(expect(&mut alice).await, looks("bob", "offline"));
}

#[tokio::test(start_paused = true)]
async fn the_users_of_a_node_that_crashes_do_not_stay_online() {
    let Nodes { a: here, b: there, .. } = two_nodes(Loss::NONE).await;
    room_of(&here, &["alice", "bob"]).await;
    let mut alice = connect(&there, "alice").await;
    let bob = connect(&here, "bob").await;
    assert_eq!(expect(&mut alice).await, looks("bob", "online"));
    seconds(25).await;
    let begun = Instant::now();
    here.crash();
    assert_eq!(expect(&mut alice).await, looks("bob", "offline"));
    assert!(begun.elapsed() <= Duration::from_secs(50), "{:?}", begun.elapsed());
    drop(bob);
}
