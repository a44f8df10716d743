//! However much is asked of a room at once, a store is handed it in portions that it can take.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use chat_core::{
    auth::Identity,
    domain::{Attachment, Attachments, Draft, MENTIONS_MAX, MessageType, RoomSpec},
    engine::{Caller, Engine},
    id::UserId,
    limits::{ATTACHMENTS_MAX, STORE_GROUP_OPS_MAX},
    store::kv::{KvStore, MemKv},
    testing::{FaultyKv, KvFaults},
};
use common::builder;
use futures::future::join_all;

async fn counting() -> (Engine, KvFaults) {
    let (kv, faults) = FaultyKv::new(MemKv::new());
    let store = Arc::new(KvStore::inline(kv).unwrap());
    (builder().shared_store(store).build().await.unwrap(), faults)
}

async fn caller(engine: &Engine, name: &str) -> Caller {
    engine.caller(Identity::new(UserId::parse(name).unwrap(), name)).await.unwrap()
}

fn files() -> Attachments {
    let file = |number: usize| Attachment {
        file_id: format!("file-{number}"),
        name: "picture".to_owned(),
        mime: "image/png".to_owned(),
        size: 1,
        url: "/file".to_owned(),
        width: None,
        height: None,
    };
    Attachments::parse((0..ATTACHMENTS_MAX).map(file).collect()).unwrap()
}

/// As heavy as a message can be: every one mentions others, has all the files it may have, and a text of which
/// each character takes four bytes.
fn heavy(number: usize, members: usize) -> Draft {
    let mentioned = (0..MENTIONS_MAX).map(|place| (number * MENTIONS_MAX + place) % members);
    let mut text: String = mentioned.map(|member| format!("@user_{member} ")).collect();
    text.extend(std::iter::repeat_n('😀', 5_000 - text.len()));
    Draft::text(&text).unwrap().with(MessageType::Image, files())
}

#[tokio::test]
async fn messages_with_many_mentions_and_files_are_stored_in_portions_and_in_order() {
    const MEMBERS: usize = 1_000;
    const MESSAGES: usize = 50;
    let (engine, faults) = counting().await;
    let room =
        caller(&engine, "alice").await.create_room(RoomSpec::public("Lobby").unwrap()).await.unwrap().id;
    for number in 0..MEMBERS {
        caller(&engine, &format!("user_{number}")).await.join(&room).await.unwrap();
    }
    let alice = caller(&engine, "alice").await;
    let sending = (0..MESSAGES).map(|number| alice.send(&room, heavy(number, MEMBERS)));
    let sent = join_all(sending).await;
    let seqs: Vec<_> = sent.into_iter().map(|sent| sent.unwrap().seq.get()).collect();
    let first = 3 + MEMBERS as u64;
    assert_eq!(seqs, (first..first + MESSAGES as u64).collect::<Vec<_>>());
    let largest = faults.largest_batch();
    assert!(largest <= STORE_GROUP_OPS_MAX, "{largest} rows at once");

    // And again by edits and deletions of them.
    let targets: Vec<_> = seqs.into_iter().map(chat_core::id::Seq::new).collect();
    let editing = targets.iter().enumerate().map(|(number, target)| {
        let content = heavy(number + 7, MEMBERS).content;
        alice.edit(&room, *target, content)
    });
    assert!(join_all(editing).await.iter().all(Result::is_ok));
    assert!(
        join_all(targets.iter().map(|target| alice.delete(&room, *target))).await.iter().all(Result::is_ok)
    );
    let largest = faults.largest_batch();
    assert!(largest <= STORE_GROUP_OPS_MAX, "{largest} rows at once");
    assert_eq!(engine.store().verify().await.unwrap(), Vec::<String>::new());
}
