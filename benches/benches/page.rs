//! The newest page of a room's history, as the engine answers it from the room's tail ring.
//!
//! Measures an engine in memory, in process: 50 of 200 messages of a room in which somebody has just written. The
//! target is 50 µs at the 99th percentile (P-7); `time` is the mean, with the bounds of its confidence.
//!
//! ```sh
//! cargo bench -p chat-benches --bench page
//! ```
#![allow(clippy::expect_used, reason = "a benchmark whose setting fails ends there")]

mod common;

use std::time::Duration;

use chat_core::{
    domain::Draft,
    engine::{Caller, Engine},
    store::Place,
};
use common::service::{self, Failure};
use criterion::Criterion;

/// Messages on a page.
const PAGE: usize = 50;

/// Messages in the room: some more than a page, fewer than the ring holds.
const MESSAGES: usize = 200;

/// Characters of a message: a line or two.
const TEXT_BYTES: usize = 100;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (engine, reader) = runtime.block_on(talk()).expect("an engine in memory");
    let room = service::room(0);
    criterion.bench_function("page/newest", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let page = reader.messages(&room, Place::Latest, PAGE).await.expect("a page");
            assert!(page.items.len() == PAGE && page.more_before && !page.more_after);
        });
    });
    runtime.block_on(engine.shutdown(Duration::from_secs(10))).expect("nothing is left to save");
    criterion.final_summary();
}

async fn talk() -> Result<(Engine, Caller), Failure> {
    let engine = service::builder().build().await?;
    service::fill(&engine, 1, 1).await?;
    let caller = engine.caller(service::identity(0)).await?;
    for _ in 0..MESSAGES {
        caller.send(&service::room(0), Draft::text(&"x".repeat(TEXT_BYTES))?).await?;
    }
    Ok((engine, caller))
}
