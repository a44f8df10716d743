//! Roles, kicks, bans and mutes: who may do what to whom, and that it is in force at once and everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::{ErrorCode, RoomSpec},
    engine::Engine,
    id::{RoomId, UserId},
    store::Maintenance,
    testing::{Loss, TestClient},
};
use common::{Nodes, builder, engine, engine_and_store, standing_clock, two_nodes};
use serde_json::{Value, json};

fn on(kind: &str, room: &str, user: &str) -> Value {
    json!({"type": kind, "roomId": room, "userId": user})
}

fn role(room: &str, user: &str, role: &str) -> Value {
    json!({"type": "set_role", "roomId": room, "userId": user, "role": role})
}

fn send(room: &str, text: &str) -> Value {
    json!({"type": "send_message", "roomId": room, "content": text})
}

/// Alice's room with these members; everybody has seen everything so far.
async fn room_of(engine: &Engine, members: &[&str]) -> (TestClient, Vec<TestClient>, String) {
    let mut alice = TestClient::connect(engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut clients = Vec::new();
    for name in members {
        let mut client = TestClient::connect(engine, name).await;
        client.join(&room).await;
        clients.push(client);
    }
    for number in 0..2 + members.len() {
        alice.expect(if number == 0 { "room_updated" } else { "user_joined" }).await;
    }
    for (place, client) in clients.iter_mut().enumerate() {
        for _ in place..members.len() {
            client.expect("user_joined").await;
        }
    }
    (alice, clients, room)
}

#[tokio::test(start_paused = true)]
async fn a_kick_is_one_entry_and_the_last_that_the_kicked_are_told_on_any_device() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, mut others, room) = room_of(&engine, &["bob"]).await;
    let mut phone = TestClient::connect(&engine, "bob").await;
    let ack = alice.ack(on("kick", &room, "bob")).await;
    assert_eq!(ack["seq"], 4);
    alice.send(&room, "canary").await;
    let left = json!({
        "type": "user_left", "roomId": room, "userId": "bob", "memberCount": 1, "reason": "kicked", "seq": 4,
    });
    for client in [&mut alice, &mut others[0], &mut phone] {
        assert_eq!(client.event().await, left);
    }
    for client in [&mut others[0], &mut phone] {
        client.expect_silence().await;
        for command in [send(&room, "x"), json!({"type": "fetch_history", "roomId": room})] {
            assert_eq!(client.refused(command).await, "forbidden");
        }
        let mine = client.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
        assert_eq!(mine["items"], json!([]));
    }
    let resume = json!({"resume": [{"roomId": room, "after": 3}]});
    let mut again = TestClient::connect_with(&engine, "bob", resume).await;
    let failed = json!({"type": "resume_failed", "roomId": room, "code": "not_found"});
    assert_eq!(again.event().await, failed);
    again.expect_silence().await;
    assert_eq!(alice.refused(on("kick", &room, "bob")).await, "not_found");
    again.join(&room).await;
    assert_eq!(again.expect("user_joined").await["seq"], 6);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_behind_a_kick_is_refused() {
    let engine = engine().await;
    let (mut alice, mut others, room) = room_of(&engine, &["bob"]).await;
    // Both wait for one writer, which has not begun.
    let kick = alice.start(on("kick", &room, "bob")).await;
    let sends = [others[0].start(send(&room, "a")).await, others[0].start(send(&room, "b")).await];
    assert_eq!(alice.answer(kick).await["type"], "ack");
    for id in sends {
        assert_eq!(others[0].answer(id).await["code"], "forbidden");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_who_is_kicked_gets_what_came_before_and_nothing_after() {
    let engine = engine().await;
    let (mut alice, mut others, room) = room_of(&engine, &["bob"]).await;
    for number in 0..600 {
        alice.send(&room, &format!("before {number}")).await;
    }
    alice.ack(on("kick", &room, "bob")).await;
    for number in 0..600 {
        alice.send(&room, &format!("canary {number}")).await;
    }
    for number in 0..600 {
        others[0].expect_text(&format!("before {number}")).await;
    }
    assert_eq!(others[0].expect("user_left").await["seq"], 604);
    others[0].expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_banned_are_removed_and_cant_come_back_until_the_ban_ends() {
    let clock = standing_clock();
    let engine = builder().clock(clock.clone()).build().await.unwrap();
    let (mut alice, mut others, room) = room_of(&engine, &["bob"]).await;
    let mut ban = on("ban", &room, "bob");
    ban["seconds"] = json!(60);
    ban["reason"] = json!("spam");
    alice.ack(ban).await;
    let left = json!({
        "type": "user_left", "roomId": room, "userId": "bob", "memberCount": 1, "reason": "banned", "seq": 4,
    });
    assert_eq!(others[0].event().await, left);
    let join = json!({"type": "join_room", "roomId": room});
    clock.advance_millis(59_999);
    assert_eq!(others[0].refused(join.clone()).await, "forbidden");
    clock.advance_millis(1);
    others[0].ack(join.clone()).await;
    assert_eq!(others[0].expect("user_joined").await["seq"], 5);

    alice.ack(on("ban", &room, "bob")).await;
    clock.advance_millis(1_000_000_000_000);
    assert_eq!(others[0].refused(join.clone()).await, "forbidden");
    let ack = alice.ack(on("unban", &room, "bob")).await;
    assert_eq!(alice.ack(on("unban", &room, "bob")).await["seq"], ack["seq"], "a repeat changes nothing");
    others[0].ack(join).await;
}

#[tokio::test(start_paused = true)]
async fn banning_somebody_who_is_no_member_is_a_member_update_and_so_is_unbanning() {
    let engine = engine().await;
    let (mut alice, _, room) = room_of(&engine, &[]).await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    alice.ack(on("ban", &room, "bob")).await;
    let update = |banned: bool, seq: u64| {
        json!({
            "type": "member_updated", "roomId": room, "userId": "bob", "role": null, "mutedUntil": null,
            "banned": banned, "seq": seq,
        })
    };
    assert_eq!(alice.event().await, update(true, 3));
    assert_eq!(alice.ack(on("ban", &room, "bob")).await["seq"], 3, "a repeat changes nothing");
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": room})).await, "forbidden");
    alice.ack(on("unban", &room, "bob")).await;
    assert_eq!(alice.event().await, update(false, 4));
    bob.join(&room).await;
    for kind in ["ban", "unban", "kick", "mute", "unmute"] {
        assert_eq!(alice.refused(on(kind, &room, "nobody-here")).await, "not_found", "{kind}");
        assert_eq!(alice.refused(on(kind, &room, "no such id!")).await, "not_found", "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_muted_read_and_do_not_write_until_the_mute_ends_even_if_they_leave_and_come_back() {
    let clock = standing_clock();
    let engine = builder().clock(clock.clone()).build().await.unwrap();
    let (mut alice, mut others, room) = room_of(&engine, &["bob"]).await;
    let bob = &mut others[0];
    let mut keyed = send(&room, "once");
    keyed["clientMessageId"] = json!("k");
    let first = bob.ack(keyed.clone()).await;
    let mut mute = on("mute", &room, "bob");
    mute["seconds"] = json!(60);
    alice.ack(mute).await;
    bob.expect_text("once").await;
    let update = bob.expect("member_updated").await;
    assert_eq!(
        update,
        json!({
            "type": "member_updated", "roomId": room, "userId": "bob", "role": "member",
            "mutedUntil": "2026-09-21T14:01:00.000Z", "seq": 5,
        })
    );
    assert_eq!(bob.refused(send(&room, "x")).await, "forbidden");
    let repeat = bob.ack(keyed).await;
    assert_eq!((&repeat["seq"], &repeat["duplicate"]), (&first["seq"], &json!(true)));
    alice.send(&room, "hear me").await;
    bob.expect_text("hear me").await;

    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    bob.join(&room).await;
    assert_eq!(bob.refused(send(&room, "x")).await, "forbidden");
    clock.advance_millis(60_000);
    bob.send(&room, "again").await;

    let forever = alice.ack(on("mute", &room, "bob")).await;
    assert_eq!(alice.ack(on("mute", &room, "bob")).await["seq"], forever["seq"]);
    clock.advance_millis(1_000_000_000_000);
    assert_eq!(bob.refused(send(&room, "x")).await, "forbidden");
    let ended = alice.ack(on("unmute", &room, "bob")).await;
    assert_eq!(alice.ack(on("unmute", &room, "bob")).await["seq"], ended["seq"]);
    bob.send(&room, "at last").await;
}

#[tokio::test(start_paused = true)]
async fn roles_are_given_below_ones_own_and_an_owner_makes_owners() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, mut others, room) = room_of(&engine, &["bob", "carol"]).await;
    alice.ack(role(&room, "bob", "admin")).await;
    let update = json!({
        "type": "member_updated", "roomId": room, "userId": "bob", "role": "admin", "mutedUntil": null, "seq": 5,
    });
    assert_eq!(others[1].event().await, update);
    assert_eq!(alice.ack(role(&room, "bob", "admin")).await["seq"], 5, "a repeat changes nothing");
    let bob = &mut others[0];
    bob.ack(role(&room, "carol", "moderator")).await;
    for command in [
        role(&room, "carol", "admin"),
        role(&room, "alice", "member"),
        role(&room, "bob", "owner"),
        on("kick", &room, "alice"),
        on("mute", &room, "alice"),
    ] {
        assert_eq!(bob.refused(command.clone()).await, "forbidden", "{command}");
    }
    assert_eq!(bob.refused(role(&room, "dave", "member")).await, "not_found");
    assert_eq!(bob.refused(role(&room, "carol", "king")).await, "bad_request");
    for kind in ["kick", "ban", "mute", "unmute", "unban"] {
        assert_eq!(bob.refused(on(kind, &room, "bob")).await, "forbidden", "{kind}");
    }
    let mut zero = on("ban", &room, "carol");
    for seconds in [json!(0), json!(400_000_000), json!(-1), json!("x")] {
        zero["seconds"] = seconds;
        assert_eq!(bob.refused(zero.clone()).await, "bad_request");
    }
    assert_eq!(alice.refused(role(&room, "alice", "admin")).await, "conflict");
    alice.ack(role(&room, "bob", "owner")).await;
    assert_eq!(alice.refused(on("kick", &room, "bob")).await, "forbidden");
    alice.ack(role(&room, "alice", "admin")).await;
    assert_eq!(others[0].refused(role(&room, "bob", "member")).await, "conflict");
    alice.ack(json!({"type": "leave_room", "roomId": room})).await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn to_a_stranger_a_private_room_answers_as_one_that_does_not_exist() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "secret", "private": true})).await;
    let secret = ack["room"]["id"].as_str().unwrap().to_owned();
    let mut bob = TestClient::connect(&engine, "bob").await;
    let commands = ["kick", "ban", "unban", "mute", "unmute"]
        .map(|kind| ["alice", "bob", "nobody-here"].map(|user| on(kind, "ROOM", user)));
    let more = [role("ROOM", "alice", "member"), json!({"type": "fetch_audit", "roomId": "ROOM"})];
    for command in commands.into_iter().flatten().chain(more) {
        let mut answers = Vec::new();
        for room in [&secret, "0190b5a2-7a39-7c3e-8f00-000000000001"] {
            let text = command.to_string().replace("ROOM", room);
            let mut answer = bob.ask(serde_json::from_str(&text).unwrap()).await;
            answer.as_object_mut().unwrap().remove("id");
            answers.push(answer.to_string());
        }
        assert_eq!(answers[0], answers[1], "{command}");
        assert!(answers[0].contains("not_found"), "{}", answers[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kick_on_one_node_ends_the_membership_on_the_other() {
    let Nodes { a, b, .. } = two_nodes(Loss::NONE).await;
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut bob = TestClient::connect(&b, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    bob.expect("user_joined").await;
    bob.send(&room, "still here").await;
    bob.expect_text("still here").await;
    alice.ack(on("ban", &room, "bob")).await;
    // His node may not have heard of it yet: the store has.
    assert_eq!(bob.refused(send(&room, "x")).await, "forbidden");
    assert_eq!(bob.refused(json!({"type": "fetch_history", "roomId": room})).await, "forbidden");
    alice.send(&room, "canary").await;
    assert_eq!(bob.expect("user_left").await["reason"], "banned");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    bob.expect_silence().await;
    assert_eq!(bob.refused(json!({"type": "join_room", "roomId": room})).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn the_operator_makes_anybody_owner_whatever_they_were_before() {
    let engine = engine().await;
    let lobby = RoomId::parse("lobby").unwrap();
    engine.ensure_room(lobby.clone(), RoomSpec::public("lobby").unwrap()).await.unwrap();
    let user = |name: &str| UserId::parse(name).unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join("lobby").await;
    bob.expect("user_joined").await;
    for _ in 0..2 {
        engine.appoint_owner(&lobby, &user("alice")).await.unwrap();
    }
    engine.appoint_owner(&lobby, &user("bob")).await.unwrap();
    assert_eq!(bob.expect("user_joined").await["user"], json!({"id": "alice", "username": "alice"}));
    let update = bob.expect("member_updated").await;
    assert_eq!(
        (&update["userId"], &update["role"], &update["seq"]),
        (&json!("bob"), &json!("owner"), &json!(4))
    );
    bob.expect_silence().await;
    let members = alice.ask(json!({"type": "list_members", "roomId": "lobby"})).await;
    assert!(members["items"].as_array().unwrap().iter().all(|member| member["role"] == "owner"), "{members}");

    let nowhere = RoomId::parse("nowhere").unwrap();
    let direct = alice.ack(json!({"type": "send_dm", "recipientId": "bob", "content": "hi"})).await;
    let direct = RoomId::parse(direct["roomId"].as_str().unwrap()).unwrap();
    for (room, name, code) in [
        (&lobby, "stranger", ErrorCode::NotFound),
        (&nowhere, "bob", ErrorCode::NotFound),
        (&direct, "bob", ErrorCode::Forbidden),
    ] {
        let refused = engine.appoint_owner(room, &user(name)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{name}");
    }
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}
