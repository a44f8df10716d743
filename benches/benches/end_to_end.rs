//! A message and its ack, all the way: WebSocket on loopback, engine, sled, and back.
//!
//! Measures one sender with one message in flight, in the same process as the engine: the client is a plain
//! socket that makes its frames by hand, so its share is one write and one read. `fsync` waits for the disk at
//! every message, as by default; `none` does not, and is what everything but the disk costs.
//!
//! How to read it: `time` is what a lone user waits for an ack. Its reciprocal is not the throughput: with many
//! senders one sync acks them all (`report` measures that). The store lies in cargo's target directory; on a
//! file system in memory `fsync` means nothing.
//!
//! ```sh
//! cargo bench -p chat-benches --bench end_to_end
//! ```
#![allow(clippy::expect_used, reason = "a benchmark whose setting fails ends there")]

mod common;

use std::{net::SocketAddr, time::Duration};

use chat_core::{engine::Engine, store::Durability};
use chat_transport_ws::WsTransport;
use common::{
    service::{self, Failure},
    wire::{BlockingLink, Kind, Messages},
};
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for (name, durability) in [("fsync", Durability::Fsync), ("none", Durability::None)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let (engine, address) = runtime.block_on(serve(dir.path(), durability)).expect("a service");
        let mut link = BlockingLink::open(address, &service::user(0), "none").expect("a connection");
        let mut messages = Messages::new(service::room(0).as_str(), &service::user(0));
        let mut frame = Vec::new();
        criterion.bench_function(&format!("end_to_end/{name}"), |bencher| {
            bencher.iter(|| {
                frame.clear();
                messages.put_next(&mut frame);
                link.ask(&frame, Kind::Ack).expect("an ack");
            });
        });
        drop(link);
        runtime.block_on(engine.shutdown(Duration::from_secs(10))).expect("everything is saved");
    }
    criterion.final_summary();
}

async fn serve(dir: &std::path::Path, durability: Durability) -> Result<(Engine, SocketAddr), Failure> {
    let engine = service::builder().store(service::store(dir, durability)?).build().await?;
    service::fill(&engine, 1, 1).await?;
    let transport = WsTransport::bind_with("127.0.0.1:0", service::websockets()).await?;
    let address = transport.local_addr();
    tokio::spawn(engine.serve(transport).into_future());
    Ok((engine, address))
}
