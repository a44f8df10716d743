//! Appending to a store.
//!
//! What it measures: the time from handing a commit with one message of 200 bytes to a store until it is acked,
//! under so many writers at once, each in a room of its own. A commit changes five keys: the message, the index
//! of its author, the client's key, the room's counters and the author's marker.
//!
//! How to read it: criterion prints the mean time per message over all writers, so messages per second are its
//! inverse, and a writer waits for the number of writers times that. `memory` shows what planning, encoding and
//! evaluating cost; `memory/64 a commit` the same when a busy room commits many at once; `sled` adds the disk:
//! with one writer each message pays for a sync, with many the sync is shared. The time of a sync differs
//! between disks by a factor of a hundred, so compare runs on one machine only.
//!
//! `cargo bench -p chat-benches --bench store_append`
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "support/load.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod load;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_core::store::{Durability, MemoryStore, RoomStore, Store};
use chat_store_sled::SledStore;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// The time that `writers` take to append `messages` between them.
async fn append<S: Store>(
    store: &Arc<S>,
    authors: &[load::Author],
    messages: u64,
) -> (Duration, Vec<load::Author>) {
    let each = messages.div_ceil(authors.len() as u64);
    let start = Instant::now();
    let writers: Vec<_> = authors
        .iter()
        .cloned()
        .map(|mut author| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    store.commit(author.next(1)).await.unwrap();
                }
                author
            })
        })
        .collect();
    let mut authors = Vec::new();
    for writer in writers {
        authors.push(writer.await.unwrap());
    }
    let share = messages as f64 / (each * authors.len() as u64) as f64;
    (start.elapsed().mul_f64(share), authors)
}

fn measure<S: Store>(c: &mut Criterion, name: &str, store: S, writers: &[usize]) {
    let runtime = Runtime::new().unwrap();
    let store = Arc::new(store);
    let mut group = c.benchmark_group("store_append");
    group.throughput(Throughput::Elements(1));
    for count in writers {
        let mut authors = runtime.block_on(load::authors(&*store, &format!("{count}"), *count));
        group.bench_function(BenchmarkId::new(name, format!("{count} writers")), |b| {
            b.iter_custom(|messages| {
                let (took, moved) = runtime.block_on(append(&store, &authors, messages));
                authors = moved;
                took
            });
        });
    }
    group.finish();
}

fn in_memory(c: &mut Criterion) {
    measure(c, "memory", MemoryStore::new(), &[1, 64]);
    let runtime = Runtime::new().unwrap();
    let store = MemoryStore::new();
    let mut author = runtime.block_on(load::Author::enter(&store, "busy", 1));
    let mut group = c.benchmark_group("store_append");
    group.throughput(Throughput::Elements(64));
    group.bench_function("memory/64 a commit", |b| {
        b.iter_custom(|commits| {
            let start = Instant::now();
            for _ in 0..commits {
                runtime.block_on(store.commit(author.next(64))).unwrap();
            }
            start.elapsed()
        });
    });
    group.finish();
}

fn on_sled(c: &mut Criterion) {
    for (name, durability) in [("sled, fsync", Durability::Fsync), ("sled, interval", Durability::Interval)] {
        let directory = tempfile::tempdir().unwrap();
        let options = SledStore::builder().durability(durability).ballast_bytes(0);
        measure(c, name, options.open(directory.path().join("db")).unwrap(), &[1, 64, 512]);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(4));
    targets = in_memory, on_sled
}
criterion_main!(benches);
