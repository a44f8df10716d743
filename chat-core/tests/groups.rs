//! Groups: a few people, all members at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use chat_core::{limits::Limits, store::Maintenance, testing::TestClient};
use common::{builder, engine, engine_and_store, no_rates};
use serde_json::{Value, json};

fn group(users: &[&str]) -> Value {
    json!({"type": "create_group", "userIds": users})
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_new_group_is_a_member_at_once() {
    let (engine, store) = engine_and_store().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    let mut command = group(&["bob", "carol", "bob", "alice"]);
    command["name"] = json!("Trip");
    let ack = alice.ack(command).await;
    let shown =
        ["kind", "name", "memberCount", "lastSeq", "createdBy"].map(|field| ack["room"][field].clone());
    assert_eq!(shown, [json!("group"), json!("Trip"), json!(3), json!(4), json!("alice")]);
    let room = ack["room"]["id"].as_str().unwrap().to_owned();
    assert_eq!(alice.expect("room_updated").await["seq"], 1);
    for (seq, user) in [(2, "alice"), (3, "bob"), (4, "carol")] {
        let joined = alice.expect("user_joined").await;
        assert_eq!(joined["user"], json!({"id": user, "username": user}));
        assert_eq!((&joined["seq"], &joined["memberCount"]), (&json!(seq), &json!(seq - 1)));
    }
    assert_eq!(bob.expect("user_joined").await["seq"], 3);
    assert_eq!(bob.expect("user_joined").await["seq"], 4);
    assert_eq!(carol.expect("user_joined").await["seq"], 4);
    assert_eq!(carol.send(&room, "hello").await, 5);
    for client in [&mut alice, &mut bob, &mut carol] {
        client.expect_text("hello").await;
        client.expect_silence().await;
    }
    let members = bob.ask(json!({"type": "list_members", "roomId": room})).await;
    let mut roles: Vec<_> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{} {}", m["userId"], m["role"]))
        .collect();
    roles.sort_unstable();
    assert_eq!(roles, [r#""alice" "owner""#, r#""bob" "member""#, r#""carol" "member""#]);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_group_has_two_to_ten_people_who_are_there() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut names = Vec::new();
    let mut others = Vec::new();
    for number in 0..10 {
        names.push(format!("user{number}"));
        others.push(TestClient::connect(&engine, &names[number]).await);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(alice.refused(group(&[])).await, "bad_request");
    assert_eq!(alice.refused(group(&["alice"])).await, "forbidden");
    assert_eq!(alice.refused(group(&names)).await, "bad_request");
    assert_eq!(alice.refused(group(&["user0", "nobody"])).await, "not_found");
    assert_eq!(alice.refused(group(&["user0", "no id!"])).await, "not_found");
    assert_eq!(alice.refused(json!({"type": "create_group"})).await, "bad_request");
    let mut named = group(&["user0"]);
    named["name"] = json!("x".repeat(101));
    assert_eq!(alice.refused(named).await, "bad_request");
    let ack = alice.ack(group(&names[..9])).await;
    assert_eq!((&ack["room"]["memberCount"], &ack["room"]["name"]), (&json!(10), &json!("")));
    for other in &mut others[..9] {
        assert_eq!(other.expect("user_joined").await["roomId"], ack["room"]["id"]);
    }
    others[9].expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn to_others_a_group_looks_like_a_room_that_does_not_exist() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let _bob = TestClient::connect(&engine, "bob").await;
    let room = alice.ack(group(&["bob"])).await["room"]["id"].as_str().unwrap().to_owned();
    let mut carol = TestClient::connect(&engine, "carol").await;
    for kind in ["join_room", "leave_room", "fetch_history", "list_members", "subscribe"] {
        let mut answers = Vec::new();
        for room in [room.as_str(), "0190b5a2-7a39-7c3e-8f00-000000000001"] {
            let mut answer = carol.ask(json!({"type": kind, "roomId": room})).await;
            answer.as_object_mut().unwrap().remove("id");
            answers.push(answer.to_string());
        }
        assert_eq!(answers[0], answers[1], "{kind}");
        assert!(answers[0].contains("not_found"), "{}", answers[0]);
    }
    let listed = carol.ask(json!({"type": "list_rooms"})).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_group_counts_among_the_rooms_of_all_its_members() {
    let engine = builder().limits(Limits { rooms_per_user: 1, ..no_rates() }).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    bob.create_room("Lobby").await;
    assert_eq!(alice.refused(group(&["bob", "carol"])).await, "forbidden");
    alice.ack(group(&["carol"])).await;
    assert_eq!(carol.refused(json!({"type": "create_room", "name": "Other"})).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_a_group_does_not_come_back_by_themselves() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    let room = alice.ack(group(&["bob"])).await["room"]["id"].clone();
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": room})).await, "not_found");
}
