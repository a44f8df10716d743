//! Memory that an idle connection costs the server.

use std::time::Duration;

use chat_core::store::Durability;
use futures::future::try_join_all;
use serde_json::json;
use tokio::time::sleep;

use super::{link::Link, options::Options, server::Server, table::Row};
use crate::common::service::{self, Failure};

/// Members of each room.
const MEMBERS: usize = 100;

/// Connections that are opened at the same time.
const OPENING: usize = 64;

/// Pause before memory is looked at: what connecting has begun is over by then.
const SETTLING: Duration = Duration::from_secs(2);

/// Connects users who then say nothing.
pub(crate) async fn measure(options: &Options) -> Result<Row, Failure> {
    let connections = options.connections;
    let rooms = connections.div_ceil(MEMBERS);
    let server = Server::start(&options.dir, Durability::Fsync, rooms, connections)?;
    let open = |number| {
        let address = server.address();
        async move { Link::open(address, number, &service::user(number), "all").await }
    };
    // What the first connection of all costs is not of the others' making.
    drop(open(0).await?);
    sleep(SETTLING).await;
    let before = server.anonymous_memory()?;
    let mut links = Vec::with_capacity(connections);
    for first in (0..connections).step_by(OPENING) {
        links.extend(try_join_all((first..connections.min(first + OPENING)).map(open)).await?);
    }
    sleep(SETTLING).await;
    let grown = server.anonymous_memory()?.saturating_sub(before);
    drop(links);
    server.stop()?;
    let kib = grown as f64 / 1024.0 / connections as f64;
    Ok(Row {
        what: format!("memory an idle connection, {connections} connections"),
        target: "<= 6 KiB".into(),
        measured: format!("{kib:.2} KiB"),
        figures: json!({
            "connections": connections, "rooms": rooms, "before": before, "grown": grown,
            "bytesAConnection": kib * 1024.0,
        }),
    })
}
