//! The embedder's code around a send.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    domain::{Content, Draft, Entry, TextRules},
    hooks::{Admission, Hooks, Verdict},
    id::{RoomId, Seq, UserId},
    testing::TestClient,
};
use common::builder;
use serde_json::json;
use tokio::sync::mpsc;

struct Watch(mpsc::UnboundedSender<u64>);

#[async_trait::async_trait]
impl Hooks for Watch {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        match draft.content.as_str() {
            "darn" => Verdict::Rewrite(Content::parse("d***", TextRules::default()).unwrap()),
            "spam" => Verdict::Refuse("no spam"),
            "hang" => std::future::pending().await,
            _ => Verdict::Allow,
        }
    }

    async fn after_send(&self, entry: &Entry) {
        self.0.send(entry.seq.get()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn before_send_rewrites_and_refuses_and_after_send_hears_what_was_stored() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let engine = builder().hooks(Watch(tell)).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    alice.expect("room_updated").await;
    alice.expect("user_joined").await;
    alice.send(&room, "darn").await;
    assert_eq!(alice.expect_text("d***").await, 3);
    let answer = alice.ask(json!({"type": "send_message", "roomId": room, "content": "spam"})).await;
    assert_eq!((&answer["code"], &answer["message"]), (&json!("forbidden"), &json!("no spam")));
    alice.send(&room, "fine").await;
    assert_eq!((told.recv().await, told.recv().await), (Some(3), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_costs_its_message_and_holds_up_nobody_else() {
    let (tell, _told) = mpsc::unbounded_channel();
    let engine = builder().hooks(Watch(tell)).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let hung = alice.start(json!({"type": "send_message", "roomId": room, "content": "hang"})).await;
    let began = tokio::time::Instant::now();
    bob.send(&room, "meanwhile").await;
    assert_eq!(began.elapsed().as_millis(), 0);
    for _ in 0..3 {
        alice.event().await;
    }
    alice.expect_text("meanwhile").await;
    assert_eq!(alice.answer(hung).await["code"], "unavailable");
    assert_eq!(began.elapsed().as_secs(), 2);
    alice.send(&room, "after").await;
}

/// Judges new messages and edits in the same words, but knows an edit when it sees one.
struct Editor;

#[async_trait::async_trait]
impl Hooks for Editor {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        match draft.content.as_str() {
            "darn" => Verdict::Rewrite(Content::parse("d***", TextRules::default()).unwrap()),
            "spam" => Verdict::Refuse("no spam"),
            "maybe" => Verdict::Hold,
            "hang" => std::future::pending().await,
            "break" => panic!("broken"),
            _ => Verdict::Allow,
        }
    }

    async fn before_edit(&self, room: &RoomId, author: &UserId, target: Seq, draft: &Draft) -> Verdict {
        match draft.content.as_str() {
            "what is it" => {
                let (reply, files) = (draft.reply_to.map_or(0, Seq::get), draft.attachments.len());
                let seen = format!(
                    "{} {author} {target} {reply} {} {files}",
                    room.as_str(),
                    draft.message_type.as_str()
                );
                Verdict::Rewrite(Content::parse(&seen, TextRules::default()).unwrap())
            }
            _ => self.before_send(room, author, draft).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_judged_as_a_message_is() {
    let engine = builder().hooks(Editor).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let ack = alice.ack(json!({"type": "send_message", "roomId": room, "content": "fine"})).await;
    let edit = |text: &str| json!({"type": "edit_message", "roomId": room, "messageId": ack["messageId"], "content": text});
    for (text, code, message) in [
        ("spam", "forbidden", "no spam"),
        ("maybe", "forbidden", "the message was not accepted"),
        ("hang", "unavailable", "the service is unavailable, try again"),
        ("break", "unavailable", "the service is unavailable, try again"),
    ] {
        let answer = alice.ask(edit(text)).await;
        assert_eq!((&answer["code"], &answer["message"]), (&json!(code), &json!(message)), "{text}");
    }
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    assert_eq!(history["messages"][0]["content"], "fine");
    alice.ack(edit("darn")).await;
    for _ in 0..3 {
        alice.event().await;
    }
    assert_eq!(alice.expect("message_edited").await["content"], "d***");
    alice.ack(edit("finer")).await;
    assert_eq!(alice.expect("message_edited").await["content"], "finer");
    let held = alice.ask(json!({"type": "list_held", "roomId": room})).await;
    assert_eq!(held["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_hook_sees_the_message_as_an_edit_would_leave_it_and_only_if_it_may_be_edited() {
    let engine = builder().hooks(Editor).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let first = alice.ack(json!({"type": "send_message", "roomId": room, "content": "fine"})).await;
    let file = json!({"fileId": "f", "name": "a.png", "mime": "image/png", "size": 1, "url": "/f"});
    let answer = json!({"type": "send_message", "roomId": room, "content": "look", "messageType": "image",
        "attachments": [file], "replyTo": first["messageId"]});
    let ack = alice.ack(answer).await;
    let edit = |text: &str| json!({"type": "edit_message", "roomId": room, "messageId": ack["messageId"], "content": text});
    alice.ack(edit("what is it")).await;
    let history = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    assert_eq!(history["messages"][1]["content"], format!("{room} alice 4 3 image 1"));
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let refusal = bob.ask(edit("spam")).await;
    assert_eq!(
        (&refusal["code"], &refusal["message"]),
        (&json!("forbidden"), &json!("only its author may edit a message"))
    );
    let other = json!({"type": "edit_message", "roomId": room, "messageId": "x", "content": "hang"});
    assert_eq!(alice.refused(other).await, "not_found");
}

/// Joins of mallory are refused, of sloth never decided, of fury they break off.
struct Door;

#[async_trait::async_trait]
impl Hooks for Door {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        assert!(draft.content.as_str() != "break", "a hook that breaks off");
        Verdict::Allow
    }

    async fn on_join(&self, _: &RoomId, user: &UserId) -> Admission {
        match user.as_str() {
            "mallory" => Admission::Refuse("not you"),
            "sloth" => std::future::pending().await,
            "fury" => panic!("a hook that breaks off"),
            _ => Admission::Allow,
        }
    }

    async fn after_send(&self, entry: &Entry) {
        if entry.seq.get().is_multiple_of(2) {
            std::future::pending().await
        }
        assert!(entry.seq.get() > 4, "a hook that breaks off");
    }
}

#[tokio::test(start_paused = true)]
async fn on_join_lets_in_and_refuses_and_costs_no_more_than_the_joining() {
    let engine = builder().hooks(Door).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let join = json!({"type": "join_room", "roomId": room});
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    bob.join(&room).await;
    let mut mallory = TestClient::connect(&engine, "mallory").await;
    let answer = mallory.ask(join.clone()).await;
    assert_eq!((&answer["code"], &answer["message"]), (&json!("forbidden"), &json!("not you")));
    for user in ["sloth", "fury"] {
        let mut client = TestClient::connect(&engine, user).await;
        assert_eq!(client.refused(join.clone()).await, "unavailable");
        // The connection goes on, and so does the room.
        let own = client.create_room(user).await;
        client.send(&own, "mine").await;
        bob.send(&room, "here").await;
    }
    let private = alice.ack(json!({"type": "create_room", "name": "Secret", "private": true})).await;
    let private = json!({"type": "join_room", "roomId": private["room"]["id"]});
    assert_eq!(mallory.refused(private).await, "not_found", "the hook is not asked about what is hidden");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_costs_its_message_only() {
    let engine = builder().hooks(Door).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let broken = json!({"type": "send_message", "roomId": room, "content": "break"});
    assert_eq!(alice.refused(broken).await, "unavailable");
    assert_eq!(alice.send(&room, "fine").await, 3);
}
