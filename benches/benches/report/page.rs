//! The newest page of a room's history, from its tail ring.

use std::time::Instant;

use chat_core::{domain::Draft, store::Place};
use serde_json::json;

use super::{
    options::Options,
    table::{Row, percentile},
};
use crate::common::service::{self, Failure, TEXT_BYTES};

/// Messages on a page.
const PAGE: usize = 50;

/// Messages in the room: some more than a page, fewer than the ring holds.
const MESSAGES: usize = 200;

/// Asks for the newest page again and again.
pub(crate) async fn measure(options: &Options) -> Result<Row, Failure> {
    let engine = service::builder().build().await?;
    service::fill(&engine, 1, 1).await?;
    let (caller, room) = (engine.caller(service::identity(0)).await?, service::room(0));
    for _ in 0..MESSAGES {
        caller.send(&room, Draft::text(&"x".repeat(TEXT_BYTES))?).await?;
    }
    let mut waits = Vec::with_capacity(options.pages);
    for _ in 0..options.pages {
        let begun = Instant::now();
        let page = caller.messages(&room, Place::Latest, PAGE).await?;
        waits.push(begun.elapsed());
        if page.items.len() != PAGE || !page.more_before || page.more_after {
            return Err("that is not the newest page".into());
        }
    }
    engine.shutdown(super::options::PATIENCE).await?;
    waits.sort_unstable();
    let micros = |percent| percentile(&waits, percent).as_secs_f64() * 1e6;
    let (p50, p99) = (micros(50), micros(99));
    Ok(Row {
        what: format!("newest {PAGE} messages from the tail ring (P-7)"),
        target: "p99 <= 50 us".into(),
        measured: format!("p50 {p50:.1} us, p99 {p99:.1} us"),
        figures: json!({ "pages": options.pages, "p50Us": p50, "p99Us": p99 }),
    })
}
