//! What is done every half a minute goes on, whatever fails in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use chat_core::{
    id::RoomId,
    store::{MemoryStore, PageRequest, RetentionStore, kv::MemKv},
    testing::TestClient,
};
use common::{builder, spoil};
use serde_json::json;

/// Longer than a round of upkeep.
const ROUND: Duration = Duration::from_secs(31);

#[tokio::test(start_paused = true)]
async fn a_room_that_can_not_be_looked_at_keeps_no_other_from_being_cut() {
    let rows = MemKv::new();
    let store = Arc::new(MemoryStore::inline(rows.clone()).unwrap());
    let engine = builder().shared_store(store.clone()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice").await;
    for name in ["first", "second", "third"] {
        let room = alice.create_room(name).await;
        for text in ["old", "new"] {
            alice.send(&room, &format!("{text} in {room}")).await;
        }
        alice.ack(json!({"type": "update_room", "roomId": room, "retentionMessages": 1})).await;
    }
    let page = store.retained_rooms(PageRequest::first(10)).await.unwrap();
    let [bad, good @ ..] = &page.items[..] else { panic!("{page:?}") };
    spoil(&rows, &format!("old in {bad}"));
    tokio::time::sleep(ROUND).await;
    let first = async |room: &RoomId| {
        let ask = json!({"type": "get_room", "roomId": room.as_str()});
        let mut asker = TestClient::connect(&engine, "alice").await;
        asker.ask(ask).await["room"]["firstSeq"].as_u64()
    };
    assert_eq!(first(bad).await, None);
    for room in good {
        assert_eq!(first(room).await, Some(4), "{room}");
    }
}
