//! Files over the memory store: the contract of the store, and how messages refer to them.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chat_core::{
    domain::{Attachment, Rejection},
    engine::Error,
    file_store_conformance,
    files::{DueFile, FileId, FileRecord, FileReference, FileResolver, FileStore, Purpose, Quota},
    id::UserId,
    store::{
        Durability, Maintenance, MemoryStore,
        kv::{KvOptions, KvStore, MemKv},
    },
    testing::TestClient,
    time::Timestamp,
};
use serde_json::{Value, json};

file_store_conformance!(async { (MemoryStore::new(), ()) });

fn upload(id: FileId) -> FileRecord {
    FileRecord {
        id,
        owner: UserId::parse("alice").unwrap(),
        name: "a.txt".into(),
        mime: "text/plain".into(),
        size: 1,
        width: None,
        height: None,
        thumbnail: None,
        purpose: Purpose::Attachment,
        created_at: Timestamp::from_millis(0),
    }
}

#[tokio::test]
async fn a_file_whose_bytes_may_be_deleted_comes_back_by_no_crash_whatever_an_ack_promises() {
    let disk = MemKv::crashable();
    let open = |durability| {
        KvStore::threaded(disk.clone(), KvOptions { durability, ..KvOptions::default() }).unwrap()
    };
    let [unclaimed, dropped] = [1, 2].map(|byte| FileId::new(Timestamp::from_millis(0), [byte; 10]));
    let plenty = Quota { files: 9, bytes: 9 };
    let careful = open(Durability::Fsync);
    for id in [unclaimed, dropped] {
        careful.create_file(upload(id), plenty).await.unwrap();
    }
    careful.close().await.unwrap();
    for (id, is_dropped) in [(unclaimed, false), (dropped, true)] {
        let careless = open(Durability::None);
        if is_dropped {
            careless.drop_file(id).await.unwrap();
        }
        let due = DueFile { at: Timestamp::from_millis(0), file: id };
        assert_eq!(careless.settle_file(due).await, Ok(true));
        disk.crash();
        assert_eq!(careless.file(id).await, Ok(None));
    }
}

/// Alice has uploaded `mine`, until it is gone or posted as often as it may be; what else is said is believed when it is
/// whole.
#[derive(Clone, Default)]
struct Cabinet {
    is_gone: Arc<AtomicBool>,
    is_worn: Arc<AtomicBool>,
}

#[async_trait]
impl FileResolver for Cabinet {
    async fn resolve(&self, user: &UserId, files: Vec<FileReference>) -> Result<Vec<Attachment>, Error> {
        let known = |file: FileReference| match file.file_id.as_str() {
            "mine" if self.is_worn.load(Ordering::SeqCst) => {
                Err(Rejection::Conflict("posted too often").into())
            }
            "mine" if user.as_str() == "alice" && !self.is_gone.load(Ordering::SeqCst) => Ok(Attachment {
                file_id: file.file_id,
                name: "photo.png".into(),
                mime: "image/png".into(),
                size: 7,
                url: "/api/files/mine/photo.png".into(),
                width: Some(1),
                height: Some(2),
            }),
            "mine" => Err(Rejection::NO_FILE.into()),
            _ => Ok(file.as_written().ok_or(Rejection::BadRequest("incomplete"))?),
        };
        files.into_iter().map(known).collect()
    }
}

fn message(room: &str, attachments: &Value) -> Value {
    json!({"type": "send_message", "roomId": room, "content": "see", "clientMessageId": "k", "attachments": attachments})
}

#[tokio::test]
async fn a_message_says_of_an_uploaded_file_what_is_known_and_not_what_the_client_wrote() {
    let engine = common::builder().files(Cabinet::default()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let lie = json!({"fileId": "mine", "name": "x.exe", "mime": "text/html", "size": 1, "url": "https://evil.example"});
    let other =
        json!({"fileId": "f", "name": "n", "mime": "text/plain", "size": 1, "url": "https://e.example/f"});
    let sent = alice.ask(message(&room, &json!([lie, other]))).await;
    assert_eq!(sent["type"], "ack", "{sent}");
    let shown = alice.ask(json!({"type": "fetch_history", "roomId": room})).await;
    let mut expected = other.clone();
    let mine = json!({"fileId": "mine", "name": "photo.png", "mime": "image/png", "size": 7,
        "url": "/api/files/mine/photo.png", "width": 1, "height": 2});
    expected["fileId"] = json!("f");
    assert_eq!(shown["messages"][0]["attachments"], json!([mine, expected]));
}

#[tokio::test]
async fn a_file_of_somebody_else_is_one_that_is_not_there() {
    let engine = common::builder().files(Cabinet::default()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut bob = TestClient::connect(&engine, "bob").await;
    bob.join(&room).await;
    let refused = bob.ask(message(&room, &json!([{"fileId": "mine"}]))).await;
    assert_eq!((&refused["code"], &refused["type"]), (&json!("not_found"), &json!("error")));
    let direct = json!({"type": "send_dm", "recipientId": "alice", "content": "", "attachments": [{"fileId": "mine"}]});
    assert_eq!(bob.ask(direct).await["code"], "not_found");
}

#[tokio::test]
async fn without_files_of_ones_own_an_attachment_says_everything_itself() {
    let engine = common::engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let refused = alice.ask(message(&room, &json!([{"fileId": "mine"}]))).await;
    assert_eq!(refused["code"], "bad_request");
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_was_also_when_its_file_is_gone() {
    let cabinet = Cabinet::default();
    let engine = common::builder().files(cabinet.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let send = message(&room, &json!([{"fileId": "mine"}]));
    let first = alice.ask(send.clone()).await;
    cabinet.is_gone.store(true, Ordering::SeqCst);
    let second = alice.ask(send.clone()).await;
    assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)), "{second}");
    let mut other = send;
    other["clientMessageId"] = json!("another");
    assert_eq!(alice.ask(other).await["code"], "not_found");
}

#[tokio::test]
async fn a_repeat_without_words_is_answered_as_the_first_was_when_its_message_and_its_file_are_gone() {
    let cabinet = Cabinet::default();
    let engine = common::builder().files(cabinet.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut send = message(&room, &json!([{"fileId": "mine"}]));
    send["content"] = json!("");
    let first = alice.ask(send.clone()).await;
    assert_eq!(first["type"], "ack", "{first}");
    let delete = json!({"type": "delete_message", "roomId": room, "messageId": first["messageId"]});
    assert_eq!(alice.ask(delete).await["type"], "ack");
    cabinet.is_gone.store(true, Ordering::SeqCst);
    let second = alice.ask(send.clone()).await;
    assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)), "{second}");
    send["clientMessageId"] = json!("another");
    assert_eq!(alice.ask(send).await["code"], "not_found");
}

#[tokio::test]
async fn the_repeat_of_the_last_posting_that_a_file_may_have_is_answered_as_the_first_was() {
    let cabinet = Cabinet::default();
    let engine = common::builder().files(cabinet.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    let room = alice.create_room("Lobby").await;
    let mut send = message(&room, &json!([{"fileId": "mine"}]));
    let first = alice.ask(send.clone()).await;
    cabinet.is_worn.store(true, Ordering::SeqCst);
    let second = alice.ask(send.clone()).await;
    assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)), "{second}");
    send["clientMessageId"] = json!("another");
    assert_eq!(alice.ask(send).await["code"], "conflict");
}
