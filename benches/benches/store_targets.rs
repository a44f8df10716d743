//! The table of the store's targets, and what is measured here and now.
//!
//! What it measures: see each row; times are those of the async traits, so they include the way to the writer's
//! thread and to the threads that read. Throughputs and their latencies are the median of three runs. Clients write
//! messages of 200 bytes into 20 rooms, each the next when the last is acked; what waits in a room becomes one
//! commit, as in the engine. A message changes three keys, a commit the room's counters and its authors' markers.
//!
//! How to read it: the targets were set for two cores and a disk whose sync takes 0.1 ms; a slower disk shows in
//! P-1 to P-3, and P-4 shows how group commit makes up for it. P-7 is the business of the engine's tail ring and
//! stands in the engine's benchmark. The page cache is warm in P-11: dropping it needs privileges. The second half
//! of P-12, the size under half an hour of load, takes half an hour and has a run of its own: 100,000 rows of 300
//! bytes of which 100 at a time are written anew and synced, twenty times a second, so that what lives stays the
//! same and the files grow only by what is not reclaimed.
//!
//! `cargo bench -p chat-benches --bench store_targets` (some four minutes; `-- --messages 100000` for less,
//! `-- --minutes 30` for the second half of P-12 alone)
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "support/load.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod load;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chat_core::{
    id::{RoomId, Seq},
    store::{
        Durability, LogStore, Maintenance, MemoryStore, MessageQuery, Place, RoomStore, Store,
        kv::{Direction, KvBatch, KvOptions, KvStore, OrderedKv},
    },
    testing::{FaultyKv, Random},
};
use chat_store_sled::{Faults, SledOptions, SledStore};

/// How long one run writes.
const RUN: Duration = Duration::from_secs(3);

/// Rooms that are written to, and over which the large store is spread.
const ROOMS: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().skip_while(|given| *given != name).nth(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(path) = after("--open") {
        return runtime.block_on(open_and_read(Path::new(path)));
    }
    if let Some(minutes) = after("--minutes") {
        return rewrite(minutes.parse().unwrap());
    }
    let messages = after("--messages").map_or(1_000_000, |count| count.parse().unwrap());
    println!("| id | figure | target | sled | memory |");
    println!("| --- | --- | --- | --- | --- |");
    runtime.block_on(writes());
    runtime.block_on(large(messages));
    runtime.block_on(memory());
}

fn row(id: &str, figure: &str, target: &str, sled: &str, memory: &str) {
    println!("| {id} | {figure} | {target} | {sled} | {memory} |");
}

fn options() -> SledOptions {
    SledStore::builder().ballast_bytes(0)
}

/// Throughput, and how long a commit took.
#[derive(Clone, Copy)]
struct Rate {
    /// How many were written, by all runs together.
    messages: usize,
    per_second: f64,
    p50: f64,
    p99: f64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", self.per_second, self.p50, self.p99)
    }
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

async fn rate<S: Store>(store: &Arc<S>, clients: usize, run: usize) -> Rate {
    let name = format!("{clients}-{run}");
    let mut took = load::write_until(store, &name, clients, ROOMS, RUN).await;
    let per_second = took.len() as f64 / RUN.as_secs_f64();
    took.sort_unstable();
    Rate { messages: took.len(), per_second, p50: percentile(&took, 0.5), p99: percentile(&took, 0.99) }
}

/// The run in the middle of three.
async fn median<S: Store>(store: &Arc<S>, clients: usize) -> Rate {
    let mut rates = Vec::new();
    for run in 0..3 {
        rates.push(rate(store, clients, run).await);
    }
    let messages = rates.iter().map(|rate| rate.messages).sum();
    rates.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    Rate { messages, ..rates[1] }
}

/// P-1 to P-5, and P-14.
async fn writes() {
    let directory = tempfile::tempdir().unwrap();
    let sled = Arc::new(options().open(directory.path().join("append")).unwrap());
    let memory = Arc::new(MemoryStore::new());
    let written = bytes_written();
    let p1 = median(&sled, 64).await;
    let per_message = (bytes_written() - written) as f64 / p1.messages as f64 / 1_000.0;
    let target = ">= 8,000/s, p50 <= 8 ms, p99 <= 40 ms";
    row("P-1", "durable append, 64 clients", target, &p1.to_string(), &median(&memory, 64).await.to_string());
    let p2 = median(&sled, 512).await.to_string();
    let memory_512 = median(&memory, 512).await.to_string();
    row("P-2", "durable append, 512 clients", ">= 11,000/s, p99 <= 150 ms", &p2, &memory_512);
    let p3 = median(&sled, 1).await.to_string();
    row(
        "P-3",
        "durable append, 1 client",
        "p50 <= 0.6 ms, p99 <= 2 ms",
        &p3,
        &median(&memory, 1).await.to_string(),
    );
    drop(sled);

    let before_sync: Arc<dyn Fn() -> std::io::Result<()> + Send + Sync> = Arc::new(|| {
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    });
    let faults = Faults { before_sync: Some(before_sync), ..Faults::default() };
    let slow = Arc::new(options().faults(faults).open(directory.path().join("slow")).unwrap());
    let p4 = median(&slow, 64).await.to_string();
    row("P-4", "P-1 with 5 ms added to each sync", ">= 3,000/s, p50 <= 20 ms", &p4, "");
    drop(slow);
    row("P-5", "written per message at P-1", "<= 4.5 KB", &format!("{per_message:.1} KB"), "");

    let (kv, seen) = FaultyKv::new(options().open_kv(directory.path().join("counted")).unwrap());
    let store = Arc::new(KvStore::threaded(kv, KvOptions::default()).unwrap());
    let reads = Probe::start(&store, RoomId::parse("room-512-0-0").unwrap(), false);
    rate(&store, 512, 0).await;
    let reads = reads.stop().await;
    let stall = format!("{} keys; {:.1} ms", seen.largest_batch(), percentile(&reads.times, 1.0));
    row("P-14", "largest group; longest read of heads under P-2", "<= 1,000 keys; <= 30 ms", &stall, "");
}

/// Bytes that this process has caused to be written; 0 where the system does not tell.
fn bytes_written() -> u64 {
    status_number("/proc/self/io", "write_bytes:")
}

/// Resident memory in MB.
fn resident() -> u64 {
    status_number("/proc/self/status", "VmRSS:") / 1_024
}

fn status_number(file: &str, name: &str) -> u64 {
    let status = fs::read_to_string(file).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Reads again and again beside the writers, and notes how late a timer of 5 ms is.
struct Probe {
    over: Arc<AtomicBool>,
    reader: tokio::task::JoinHandle<Vec<Duration>>,
    timer: tokio::task::JoinHandle<Vec<Duration>>,
}

/// What a probe saw, sorted.
struct Probed {
    times: Vec<Duration>,
    lags: Vec<Duration>,
}

impl Probe {
    /// Reads the head of a room, or with `pages` its newest 50 messages.
    fn start<S: Store>(store: &Arc<S>, room: RoomId, pages: bool) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (store, reader_over, timer_over) = (store.clone(), over.clone(), over.clone());
        let reader = tokio::spawn(async move {
            let mut times = Vec::new();
            while !reader_over.load(Ordering::Acquire) {
                let start = Instant::now();
                if pages {
                    page(&*store, &room).await;
                } else {
                    store.heads(std::slice::from_ref(&room)).await.unwrap();
                }
                times.push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times
        });
        let timer = tokio::spawn(async move {
            let mut lags = Vec::new();
            while !timer_over.load(Ordering::Acquire) {
                let start = Instant::now();
                tokio::time::sleep(Duration::from_millis(5)).await;
                lags.push(start.elapsed().saturating_sub(Duration::from_millis(5)));
            }
            lags
        });
        Self { over, reader, timer }
    }

    async fn stop(self) -> Probed {
        self.over.store(true, Ordering::Release);
        let (mut times, mut lags) = (self.reader.await.unwrap(), self.timer.await.unwrap());
        times.sort_unstable();
        lags.sort_unstable();
        Probed { times, lags }
    }
}

/// The newest 50 messages.
async fn page<S: Store>(store: &S, room: &RoomId) {
    let query =
        MessageQuery { place: Place::Latest, limit: 50, hidden_until: Seq::ZERO, max_bytes: 256 * 1_024 };
    assert_eq!(store.messages(room, query).await.unwrap().messages.len(), 50);
}

/// How long a page takes, and reading after the newest entry.
async fn idle_reads<S: Store>(store: &S, rooms: &[(RoomId, Seq)]) -> (String, String) {
    let (mut random, mut pages, mut tails) = (Random::seeded(1), Vec::new(), Vec::new());
    for _ in 0..5_000 {
        let (room, head) = &rooms[random.below(rooms.len() as u64) as usize];
        let start = Instant::now();
        page(store, room).await;
        pages.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(store.entries(room, *head, 50, 256 * 1_024).await.unwrap().len(), 0);
        tails.push(start.elapsed());
    }
    pages.sort_unstable();
    tails.sort_unstable();
    let both = |times: &[Duration]| {
        format!("p50 {:.3} ms, p99 {:.3} ms", percentile(times, 0.5), percentile(times, 0.99))
    };
    (both(&pages), both(&tails))
}

/// Fills a store with so many messages, spread over rooms, 120 a commit.
async fn fill<S: Store>(store: &S, messages: usize) -> Vec<(RoomId, Seq)> {
    let mut authors = load::authors(store, "large", ROOMS).await;
    for commit in 0..messages / 120 {
        store.commit(authors[commit % ROOMS].next(120)).await.unwrap();
    }
    authors.iter().map(|author| (author.room().clone(), author.head())).collect()
}

/// P-6, P-8, P-9 and P-11 to P-13, with many messages.
async fn large(messages: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    // The way to fill it does not matter, so it need not wait for the disk.
    let filling = options().durability(Durability::None).open(&path).unwrap();
    let rooms = fill(&filling, messages).await;
    filling.close().await.unwrap();
    drop(filling);

    let opened = [open_elsewhere(&path), open_elsewhere(&path)];
    let sled = Arc::new(options().open(&path).unwrap());
    let memory = MemoryStore::new();
    let memory_rooms = fill(&memory, messages.min(100_000)).await;
    let (sled_page, sled_tail) = idle_reads(&*sled, &rooms).await;
    let (memory_page, memory_tail) = idle_reads(&memory, &memory_rooms).await;
    row("P-6", "newest 50 messages, hot, idle", "p50 <= 0.15 ms, p99 <= 1 ms", &sled_page, &memory_page);

    let probe = Probe::start(&sled, rooms[0].0.clone(), true);
    rate(&sled, 64, 0).await;
    let Probed { times, lags } = probe.stop().await;
    let under_load = format!(
        "p50 {:.2} ms, p99 {:.2} ms; lag p99 {:.2} ms",
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        percentile(&lags, 0.99)
    );
    let target = "p50 <= 3 ms, p99 <= 25 ms; lag of a 5 ms timer p99 <= 5 ms";
    row("P-8", "the same while P-1 runs", target, &under_load, "");
    row("P-9", "entries after the newest", "<= 0.2 ms", &sled_tail, &memory_tail);
    sled.close().await.unwrap();
    drop(sled);

    let figure = format!("open with {messages} messages, first and second");
    let times = format!("{} ms, {} ms", opened[0].0, opened[1].0);
    row("P-11", &figure, "<= 5 s, <= 0.5 s", &times, "");
    let (stored, logical) = (size_of(&path), logical_bytes(&path));
    let ratio = format!("{:.1}x ({} MB)", stored as f64 / logical as f64, stored / 1_000_000);
    row("P-12", "on disk / in keys and values", "<= 6x", &ratio, "");
    let resident = format!("{} MB", opened[1].1);
    row("P-13", "resident after 5,000 reads, cache 64 MiB", "<= 256 MB", &resident, "");
}

/// Opens a store in a process of its own: how long that took in ms, and what was resident in MB after reading.
fn open_elsewhere(path: &Path) -> (u64, u64) {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).arg("--open").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

async fn open_and_read(path: &Path) {
    let start = Instant::now();
    let store = options().open(path).unwrap();
    let took = start.elapsed().as_millis();
    let names = (0..ROOMS).map(|number| RoomId::parse(&format!("room-large-{number}")).unwrap());
    let rooms: Vec<RoomId> = names.collect();
    let heads = store.heads(&rooms).await.unwrap();
    let mut random = Random::seeded(2);
    for _ in 0..5_000 {
        let at = random.below(ROOMS as u64) as usize;
        let place = Place::Before(Seq::new(random.below(heads[at].get())));
        let query = MessageQuery { place, limit: 50, hidden_until: Seq::ZERO, max_bytes: 256 * 1_024 };
        store.messages(&rooms[at], query).await.unwrap();
    }
    println!("{took} {}", resident());
    store.close().await.unwrap();
}

/// Bytes of the files below a directory.
fn size_of(directory: &Path) -> u64 {
    let mut total = 0;
    let mut left = vec![PathBuf::from(directory)];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                left.push(entry.path());
            } else {
                total += metadata.len();
            }
        }
    }
    total
}

/// Bytes of all keys and values.
fn logical_bytes(path: &Path) -> u64 {
    let kv = options().open_kv(path).unwrap();
    let mut total = 0;
    kv.scan(&[0], &[0xff], Direction::Ascending, &mut |key, value| {
        total += (key.len() + value.len()) as u64;
        ControlFlow::Continue(())
    })
    .unwrap();
    kv.close().unwrap();
    total
}

/// The second half of P-12: the size of the files, minute by minute, while what they hold stays as large as it was.
fn rewrite(minutes: u64) {
    const ROWS: u64 = 100_000;
    const AT_ONCE: u64 = 100;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rewritten");
    let kv = options().open_kv(&path).unwrap();
    let row = |number: u64, version: u64| {
        let value = (0..300).map(|at| (at as u64 * 31 + number * 7 + version * 13) as u8).collect();
        (number.to_be_bytes().to_vec(), Some(value))
    };
    let write = |rows: Vec<(Vec<u8>, Option<Vec<u8>>)>| {
        kv.apply(KvBatch { changes: rows }).unwrap();
        kv.sync().unwrap();
    };
    for first in (0..ROWS).step_by(AT_ONCE as usize) {
        write((first..first + AT_ONCE).map(|number| row(number, 0)).collect());
    }
    println!("| minute | rows written | MB on disk |");
    println!("| --- | --- | --- |");
    let mut random = Random::seeded(3);
    let (start, mut version) = (Instant::now(), 0);
    for minute in 0..=minutes {
        println!("| {minute} | {} | {} |", version * AT_ONCE, size_of(&path) / 1_000_000);
        while minute < minutes && start.elapsed() < Duration::from_secs(60 * (minute + 1)) {
            version += 1;
            let mut chosen: Vec<_> = (0..AT_ONCE).map(|_| random.below(ROWS)).collect();
            chosen.sort_unstable();
            chosen.dedup();
            write(chosen.into_iter().map(|number| row(number, version)).collect());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    kv.close().unwrap();
}

/// P-15.
async fn memory() {
    let mut rates = Vec::new();
    for messages in [1, 64] {
        let store = MemoryStore::new();
        let mut author = load::Author::enter(&store, "busy", 1).await;
        let (start, mut sent) = (Instant::now(), 0_usize);
        while start.elapsed() < RUN {
            store.commit(author.next(messages)).await.unwrap();
            sent += messages;
        }
        rates.push(sent as f64 / start.elapsed().as_secs_f64());
    }
    let figures = format!("{:.0}/s one a commit, {:.0}/s 64 a commit", rates[0], rates[1]);
    row("P-15", "append in memory, planning included", ">= 200,000/s", "", &figures);
}
