//! What is done to messages: edits, deletions, reactions, pins; what they answer and carry.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::{Actor, Command, MembersOnly, Plan, Policy, Request, Role, Room},
    id::{RoomId, Seq},
    testing::TestClient,
};
use common::{about, engine, engine_and_store, message_id, two_in_a_room};
use serde_json::{Value, json};

fn edit(room: &str, seq: u64, content: &str) -> Value {
    json!({"type": "edit_message", "roomId": room, "messageId": message_id(room, seq), "content": content})
}

fn react(kind: &str, room: &str, seq: u64, emoji: &str) -> Value {
    json!({"type": kind, "roomId": room, "messageId": message_id(room, seq), "emoji": emoji})
}

async fn newest(client: &mut TestClient, room: &str) -> Value {
    let page = client.ask(json!({"type": "fetch_history", "roomId": room})).await;
    page["messages"].as_array().unwrap().last().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_done_to_a_message_is_told_as_the_protocol_says() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let seq = bob.send(&room, "one").await;
    let message = message_id(&room, seq);
    alice.expect_text("one").await;

    assert_eq!(bob.ack(edit(&room, seq, "two")).await["seq"], seq + 1);
    let mut event = alice.expect("message_edited").await;
    let edited_at = event["editedAt"].take();
    let expected = json!({"type": "message_edited", "roomId": room, "messageId": message, "content": "two",
        "mentions": [], "editedAt": null, "seq": seq + 1});
    assert_eq!(event, expected);

    assert_eq!(alice.ack(react("add_reaction", &room, seq, "👍")).await["seq"], seq + 2);
    let expected = json!({"type": "reaction_added", "roomId": room, "messageId": message, "userId": "alice",
        "emoji": "👍", "count": 1, "seq": seq + 2});
    assert_eq!(alice.expect("reaction_added").await, expected);
    bob.ack(react("add_reaction", &room, seq, "👍")).await;
    assert_eq!(alice.expect("reaction_added").await["count"], 2);
    bob.ack(react("remove_reaction", &room, seq, "👍")).await;
    let expected = json!({"type": "reaction_removed", "roomId": room, "messageId": message, "userId": "bob",
        "emoji": "👍", "count": 1, "seq": seq + 4});
    assert_eq!(alice.expect("reaction_removed").await, expected);

    assert_eq!(alice.ack(about("pin_message", &room, seq)).await["seq"], seq + 5);
    let expected = json!({"type": "message_pinned", "roomId": room, "messageId": message, "userId": "alice",
        "seq": seq + 5});
    assert_eq!(alice.expect("message_pinned").await, expected);
    let stands = newest(&mut bob, &room).await;
    assert_eq!(
        (
            &stands["content"],
            &stands["pinned"],
            &stands["reactions"],
            &stands["editedAt"],
            &stands["deletedAt"]
        ),
        (
            &json!("two"),
            &json!(true),
            &json!([{"emoji": "👍", "count": 1, "userIds": ["alice"]}]),
            &edited_at,
            &Value::Null
        )
    );
    let pins = bob.ask(json!({"type": "list_pins", "roomId": room})).await;
    assert_eq!((&pins["type"], &pins["messages"][0]["id"]), (&json!("pins"), &json!(message)));
    alice.ack(about("unpin_message", &room, seq)).await;
    let expected = json!({"type": "message_unpinned", "roomId": room, "messageId": message, "userId": "alice",
        "seq": seq + 6});
    assert_eq!(alice.expect("message_unpinned").await, expected);
    assert_eq!(bob.ask(json!({"type": "list_pins", "roomId": room})).await["messages"], json!([]));

    assert_eq!(alice.ack(about("delete_message", &room, seq)).await["seq"], seq + 7);
    let mut event = alice.expect("message_deleted").await;
    let deleted_at = event["deletedAt"].take();
    let expected = json!({"type": "message_deleted", "roomId": room, "messageId": message, "deletedBy": "alice",
        "deletedAt": null, "seq": seq + 7});
    assert_eq!(event, expected);
    let stands = newest(&mut bob, &room).await;
    for (field, expected) in [
        ("content", json!("")),
        ("attachments", json!([])),
        ("reactions", json!([])),
        ("pinned", json!(false)),
        ("deletedAt", deleted_at),
        ("deletedBy", json!("alice")),
    ] {
        assert_eq!(stands[field], expected, "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn former_texts_are_listed_until_the_message_is_deleted() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let seq = bob.send(&room, "one").await;
    for text in ["two", "three"] {
        bob.ack(edit(&room, seq, text)).await;
    }
    let edits = alice.ask(about("fetch_edits", &room, seq)).await;
    assert_eq!((&edits["type"], &edits["messageId"]), (&json!("edits"), &json!(message_id(&room, seq))));
    let texts = |edits: &Value| -> Vec<Value> {
        edits["items"].as_array().unwrap().iter().map(|item| item["content"].clone()).collect()
    };
    assert_eq!(texts(&edits), ["one", "two"]);
    bob.ack(about("delete_message", &room, seq)).await;
    assert_eq!(alice.ask(about("fetch_edits", &room, seq)).await["items"], json!([]));
    assert_eq!(
        alice.refused(about("fetch_edits", &room, seq + 1)).await,
        "not_found",
        "an edit is no message"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_acked_and_changes_nothing() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let seq = bob.send(&room, "one").await;
    assert_eq!(bob.ack(edit(&room, seq, "one")).await["seq"], seq);
    bob.ack(edit(&room, seq, "two")).await;
    assert_eq!(bob.ack(edit(&room, seq, "two")).await["seq"], seq + 1);
    alice.ack(react("add_reaction", &room, seq, "👍")).await;
    assert_eq!(alice.ack(react("add_reaction", &room, seq, "👍")).await["seq"], Value::Null);
    bob.ack(react("remove_reaction", &room, seq, "👍")).await;
    alice.ack(about("pin_message", &room, seq)).await;
    assert_eq!(alice.ack(about("pin_message", &room, seq)).await["seq"], seq + 3);
    alice.ack(about("unpin_message", &room, seq)).await;
    alice.ack(about("unpin_message", &room, seq)).await;
    bob.ack(about("delete_message", &room, seq)).await;
    assert_eq!(bob.ack(about("delete_message", &room, seq)).await["seq"], seq + 5);
    assert_eq!(alice.send(&room, "next").await, seq + 6, "repeats made no entries");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_to_a_message_that_is_deleted_or_not_there() {
    let engine = engine().await;
    let (mut alice, _bob, room) = two_in_a_room(&engine, &engine).await;
    let attic = alice.create_room("Attic").await;
    let deleted = alice.send(&room, "gone").await;
    let elsewhere = alice.send(&attic, "there").await;
    alice.ack(about("delete_message", &room, deleted)).await;
    let in_attic = message_id(&attic, elsewhere);
    let ids = [
        message_id(&room, deleted),
        message_id(&room, 1),
        message_id(&room, 900),
        in_attic,
        "nonsense".to_owned(),
        String::new(),
    ];
    for (index, message) in ids.iter().enumerate() {
        for mut command in [
            edit(&room, 1, "x"),
            react("add_reaction", &room, 1, "👍"),
            react("remove_reaction", &room, 1, "👍"),
            about("pin_message", &room, 1),
            about("unpin_message", &room, 1),
            about("delete_message", &room, 1),
            about("fetch_edits", &room, 1),
        ] {
            command["messageId"] = json!(message);
            let repeats =
                index == 0 && matches!(command["type"].as_str(), Some("delete_message" | "fetch_edits"));
            if !repeats {
                assert_eq!(alice.refused(command.clone()).await, "not_found", "{command}");
            }
        }
        let reply = json!({"type": "send_message", "roomId": room, "content": "x", "replyTo": message});
        assert_eq!(alice.refused(reply).await, "not_found", "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_names_the_message_that_it_answers() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let seq = alice.send(&room, "question").await;
    alice.expect_text("question").await;
    let reply = json!({"type": "send_message", "roomId": room, "content": "answer", "replyTo": message_id(&room, seq)});
    bob.ack(reply).await;
    let event = alice.expect("new_message").await;
    assert_eq!(event["message"]["replyTo"], message_id(&room, seq));
    alice.ack(about("delete_message", &room, seq)).await;
    assert_eq!(
        newest(&mut bob, &room).await["replyTo"],
        message_id(&room, seq),
        "the tombstone stays to be pointed at"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_author_edits_and_only_a_higher_rank_deletes() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let mut carol = TestClient::connect(&engine, "carol").await;
    carol.join(&room).await;
    let by_alice = alice.send(&room, "a").await;
    let by_bob = bob.send(&room, "b").await;
    assert_eq!(alice.refused(edit(&room, by_bob, "x")).await, "forbidden");
    for seq in [by_alice, by_bob] {
        assert_eq!(carol.refused(about("delete_message", &room, seq)).await, "forbidden");
        assert_eq!(carol.refused(about("pin_message", &room, seq)).await, "forbidden");
        carol.ack(react("add_reaction", &room, seq, "👍")).await;
    }
    bob.ack(json!({"type": "leave_room", "roomId": room})).await;
    for command in [
        edit(&room, by_bob, "x"),
        about("delete_message", &room, by_bob),
        react("add_reaction", &room, by_bob, "👍"),
        about("pin_message", &room, by_bob),
        about("fetch_edits", &room, by_bob),
        json!({"type": "list_pins", "roomId": room}),
    ] {
        assert_eq!(bob.refused(command.clone()).await, "forbidden", "{command}");
    }
    alice.ack(about("delete_message", &room, by_bob)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_learns_nothing_of_a_private_room() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let ack = alice.ack(json!({"type": "create_room", "name": "Secret", "private": true})).await;
    let room = ack["room"]["id"].as_str().unwrap().to_owned();
    let seq = alice.send(&room, "canary").await;
    let mut eve = TestClient::connect(&engine, "eve").await;
    let none = "0190b5a2-7a39-7c3e-8f00-00000000dead";
    for command in [
        edit("ROOM", seq, "x"),
        about("delete_message", "ROOM", seq),
        react("add_reaction", "ROOM", seq, "👍"),
        react("remove_reaction", "ROOM", seq, "👍"),
        about("pin_message", "ROOM", seq),
        about("unpin_message", "ROOM", seq),
        about("fetch_edits", "ROOM", seq),
        about("fetch_thread", "ROOM", seq),
        json!({"type": "send_message", "roomId": "ROOM", "content": "x", "threadId": "ID"}),
        json!({"type": "list_pins", "roomId": "ROOM"}),
        json!({"type": "send_message", "roomId": "ROOM", "content": "x", "replyTo": "ID"}),
    ] {
        let mut answers = Vec::new();
        for (room, message) in
            [(&*room, message_id(&room, seq)), (&*room, "x".to_owned()), (none, message_id(none, seq))]
        {
            let mut command = command.clone();
            command["roomId"] = json!(room);
            for field in ["messageId", "replyTo", "threadId"] {
                if !command[field].is_null() {
                    command[field] = json!(message);
                }
            }
            let mut answer = eve.ask(command).await;
            answer["id"].take();
            answers.push(answer);
        }
        assert!(answers.iter().all(|answer| *answer == answers[2]), "{command}: {answers:?}");
        assert_eq!(answers[2]["code"], "not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_twenty_different_emoji_and_a_room_fifty_pins() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let seq = alice.send(&room, "x").await;
    let emoji: Vec<_> = ('\u{1f600}'..='\u{1f614}').map(String::from).collect();
    for emoji in &emoji[..20] {
        alice.ack(react("add_reaction", &room, seq, emoji)).await;
    }
    assert_eq!(alice.refused(react("add_reaction", &room, seq, &emoji[20])).await, "conflict");
    bob.ack(react("add_reaction", &room, seq, &emoji[19])).await;
    alice.ack(react("remove_reaction", &room, seq, &emoji[0])).await;
    bob.ack(react("add_reaction", &room, seq, &emoji[20])).await;
    for text in ["", "ok", "👍👍", "👍 "] {
        assert_eq!(alice.refused(react("add_reaction", &room, seq, text)).await, "bad_request");
    }
    let mut last = seq;
    for _ in 0..50 {
        last = alice.send(&room, "x").await;
        alice.ack(about("pin_message", &room, last)).await;
    }
    assert_eq!(alice.refused(about("pin_message", &room, seq)).await, "conflict");
    alice.ack(about("delete_message", &room, last)).await;
    alice.ack(about("pin_message", &room, seq)).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_gets_the_first_answer_also_after_the_message_is_deleted() {
    let engine = engine().await;
    let (mut alice, _bob, room) = two_in_a_room(&engine, &engine).await;
    let send = json!({"type": "send_message", "roomId": room, "content": "x", "clientMessageId": "k"});
    let mut first = alice.ack(send.clone()).await;
    let message = json!({"type": "delete_message", "roomId": room, "messageId": first["messageId"]});
    alice.ack(message).await;
    let mut again = alice.ack(send).await;
    assert_eq!((first["duplicate"].take(), again["duplicate"].take()), (json!(false), json!(true)));
    first["id"].take();
    again["id"].take();
    assert_eq!(first, again);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_no_text_that_is_gone() {
    let (engine, store) = engine_and_store().await;
    let (mut alice, _bob, room) = two_in_a_room(&engine, &engine).await;
    let mut seqs = Vec::new();
    for _ in 0..4 {
        seqs.push(alice.send(&room, "canary").await);
    }
    alice.ack(edit(&room, seqs[0], "clean")).await;
    alice.ack(edit(&room, seqs[1], "canary again")).await;
    alice.ack(edit(&room, seqs[1], "clean")).await;
    alice.ack(about("delete_message", &room, seqs[2])).await;
    alice.ack(edit(&room, seqs[3], "canary once more")).await;
    alice.ack(about("delete_message", &room, seqs[3])).await;
    let missed = json!({"resume": [{"roomId": room, "after": seqs[0] - 1}], "subscribe": "none"});
    // From the ring, then from the store: enough follows to push everything off the ring.
    for filler in [0, 300] {
        for _ in 0..filler {
            alice.send(&room, "filler").await;
        }
        let mut back = TestClient::connect_with(&engine, "bob", missed.clone()).await;
        let mut count = 0;
        loop {
            let event = back.event().await;
            if event["type"] == "caught_up" {
                break;
            }
            count += 1;
            assert!(!event.to_string().contains("canary"), "{event}");
        }
        assert_eq!(count, 10 + filler);
        let page = back.ask(json!({"type": "fetch_history", "roomId": room, "limit": 200})).await;
        assert!(!page.to_string().contains("canary"));
    }
    use chat_core::store::Maintenance as _;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn moderators_pin_and_delete_what_members_wrote_but_not_what_their_equals_wrote() {
    let room = RoomId::parse("r").unwrap();
    let mut state = Room::unborn(room);
    state.head = Seq::new(9);
    let member = |role| chat_core::domain::Member {
        user: chat_core::id::UserId::parse("m").unwrap(),
        role,
        joined: Seq::new(2),
        joined_at: chat_core::time::Timestamp::from_millis(0),
    };
    let actor = Actor::new(chat_core::id::UserId::parse("m").unwrap());
    use chat_core::domain::{Action, Decision};
    for (role, allowed) in
        [(Role::Member, false), (Role::Moderator, true), (Role::Admin, true), (Role::Owner, true)]
    {
        for action in [Action::Pin, Action::DeleteOthers] {
            let decision = MembersOnly.decide(&actor, action, &state, Some(&member(role)));
            assert_eq!(decision == Decision::Allow, allowed, "{role:?} {action:?}");
        }
    }
    // The rank rule holds whatever the policy says.
    struct Anything;
    impl Policy for Anything {
        fn decide(&self, _: &Actor, _: Action, _: &Room, _: Option<&chat_core::domain::Member>) -> Decision {
            Decision::Allow
        }
    }
    let message = |author: &str| chat_core::domain::Entry {
        room: state.id.clone(),
        seq: Seq::new(5),
        at: chat_core::time::Timestamp::from_millis(0),
        actor: chat_core::id::UserId::parse(author).unwrap(),
        change: chat_core::domain::Change::Send(chat_core::domain::Message::new(
            1,
            chat_core::domain::Content::from_stored("x"),
        )),
    };
    for mine in [Role::Member, Role::Moderator, Role::Admin, Role::Owner] {
        for theirs in [None, Some(Role::Member), Some(Role::Moderator), Some(Role::Admin), Some(Role::Owner)]
        {
            let author = chat_core::id::UserId::parse("a").unwrap();
            let rows = chat_core::domain::Rows {
                at: state.head,
                members: [(actor.user.clone(), Some(member(mine))), (author, theirs.map(member))].into(),
                targets: [(Seq::new(5), Some(message("a")))].into(),
                ..chat_core::domain::Rows::default()
            };
            let mut plan = Plan::on(&state, rows, &Anything, chat_core::domain::TextRules::default());
            let command = Command::Delete { target: Seq::new(5) };
            let at = chat_core::time::Timestamp::from_millis(1);
            let outcome = plan.decide(&Request { actor: actor.clone(), at, command });
            assert_eq!(outcome.is_ok(), theirs.is_none_or(|theirs| mine > theirs), "{mine:?} {theirs:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_carries_files_until_it_is_deleted() {
    let engine = engine().await;
    let (mut alice, mut bob, room) = two_in_a_room(&engine, &engine).await;
    let file = json!({"fileId": "f1", "name": "a.png", "mime": "image/png", "size": 12, "url": "/files/f1/a.png",
        "width": 3, "height": 4});
    let link =
        json!({"fileId": "f2", "name": "b", "mime": "audio/ogg", "size": 0, "url": "https://a.example/b"});
    for (kind, content, files) in
        [("image", "", json!([file])), ("voice", "look", json!([file, link])), ("file", "none", json!([]))]
    {
        let send = json!({"type": "send_message", "roomId": room, "content": content, "messageType": kind,
            "attachments": files});
        let seq = bob.ack(send).await["seq"].as_u64().unwrap();
        let message = alice.expect("new_message").await["message"].clone();
        assert_eq!(
            (&message["messageType"], &message["content"], &message["attachments"]),
            (&json!(kind), &json!(content), &files)
        );
        bob.ack(about("delete_message", &room, seq)).await;
        alice.expect("message_deleted").await;
        assert_eq!(newest(&mut alice, &room).await["attachments"], json!([]));
    }
    let empty = json!({"type": "send_message", "roomId": room, "content": " ", "messageType": "image"});
    assert_eq!(bob.refused(empty).await, "bad_request");
    for (field, value) in [
        ("fileId", json!(null)),
        ("name", json!("")),
        ("mime", json!("png")),
        ("size", json!(-1)),
        ("url", json!("javascript:alert(1)")),
        ("width", json!("3")),
    ] {
        let mut file = file.clone();
        file[field] = value;
        let send = json!({"type": "send_message", "roomId": room, "content": "x", "attachments": [file]});
        assert_eq!(bob.refused(send).await, "bad_request", "{field}");
    }
    let send = json!({"type": "send_message", "roomId": room, "content": "x", "attachments": vec![file; 11]});
    assert_eq!(bob.refused(send).await, "bad_request");
}
