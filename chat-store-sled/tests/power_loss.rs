//! What was acked survives the loss of power: a model of it, and the proof that the model would notice.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use chat_core::store::kv::{Direction, KvBatch, OrderedKv};
use chat_store_sled::{Faults, SledKv};
use support::{
    child::{self, Orders},
    options,
    random::Random,
    recording::{self, Event, Recording},
    senders::{Acks, send_for_ever},
};

/// Slots that are written over and over, five keys each.
const SLOTS: u64 = 400;
const KEYS: u64 = 5;

/// Writes rings for ever: each turn gives some slots a new number, in one batch.
#[test]
#[ignore = "another process, which the tests here start and kill"]
fn ring_writer() {
    let orders = Orders::read();
    let faults = Faults { skip_sync: orders.orders == "without sync", ..Faults::default() };
    let kv = options().faults(faults).open_kv(&orders.store).unwrap();
    let mut number = ring(&kv).unwrap().values().copied().max().unwrap_or(0);
    let mut random = Random::seeded(number);
    loop {
        let mut batch = KvBatch::default();
        for _ in 0..random.between(1, 16) {
            number += 1;
            let text = vec![number.to_le_bytes()[0]; usize::try_from(random.between(50, 600)).unwrap()];
            for key in 0..KEYS {
                let value = [&number.to_be_bytes()[..], &text].concat();
                batch.changes.push((ring_key(number % SLOTS, key), Some(value)));
            }
        }
        kv.apply(batch).unwrap();
        kv.sync().unwrap();
        orders.ack(&number.to_string());
    }
}

fn ring_key(slot: u64, key: u64) -> Vec<u8> {
    // Neighbouring slots lie apart, so that a batch touches many pages.
    [&[1], &(slot.wrapping_mul(0x9E37) & 0xFFFF).to_be_bytes()[..], &slot.to_be_bytes(), &key.to_be_bytes()]
        .concat()
}

/// The number in each slot; an error when the engine has one, or when the keys of a slot disagree.
fn ring(kv: &SledKv) -> Result<BTreeMap<u64, u64>, String> {
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    kv.scan(&[1], &[2], Direction::Ascending, &mut |key, value| {
        let slot = u64::from_be_bytes(key[9..17].try_into().unwrap());
        found.entry(slot).or_default().push(u64::from_be_bytes(value[..8].try_into().unwrap()));
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())?;
    let whole = |(slot, numbers): (u64, Vec<u64>)| match numbers[..] {
        [first, .., last] if numbers.len() == 5 && first == last && numbers.iter().all(|n| *n == first) => {
            Ok((slot, first))
        }
        _ => Err(format!("slot {slot} is torn: {numbers:?}")),
    };
    found.into_iter().map(whole).collect()
}

/// Opens what the power cut left and looks for everything up to the last ack. Returns what is wrong.
fn check_ring(dir: &Path, acks: &[String]) -> Result<(), String> {
    let kv = options().open_kv(dir).map_err(|error| error.to_string())?;
    let ring = ring(&kv)?;
    let acked: u64 = acks.last().map_or(0, |last| last.parse().unwrap());
    let oldest = acked.saturating_sub(SLOTS - 1).max(1);
    let lost = (oldest..=acked).filter(|n| ring.get(&(n % SLOTS)).is_none_or(|found| found < n)).count();
    if lost > 0 {
        return Err(format!("{lost} of the last {} acked batches are lost", acked + 1 - oldest));
    }
    Ok(())
}

/// Sends for ever.
#[test]
#[ignore = "another process, which the tests here start and kill"]
fn sender_process() {
    let orders = Orders::read();
    let faults = Faults { skip_sync: orders.orders == "without sync", ..Faults::default() };
    let store = options().faults(faults).open(&orders.store).unwrap();
    send_for_ever(orders, store);
}

/// Opens what the power cut left and compares it with the acks. Returns what is wrong.
fn check_messages(dir: &Path, acks: &[String]) -> Result<(), String> {
    let acks = Acks::parse(acks.iter().map(String::as_str));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = options().open(dir).map_err(|error| error.to_string())?;
    match &*runtime.block_on(acks.check(&store)) {
        [] => Ok(()),
        wrong => Err(wrong.join("; ")),
    }
}

/// Something that writes, and how to tell whether everything acked is there.
struct Load {
    writer: &'static str,
    check: fn(&Path, &[String]) -> Result<(), String>,
}

const APPENDS: Load = Load { writer: "sender_process", check: check_messages };
const OVERWRITES: Load = Load { writer: "ring_writer", check: check_ring };

/// A store and what was acked of it.
struct State {
    files: Option<PathBuf>,
    acks: Vec<String>,
}

/// What the rounds of one load came to.
#[derive(Debug, Default)]
struct Outcome {
    rounds: usize,
    acked: usize,
    bad: Vec<String>,
}

/// Cuts the power three times while the load runs, with a different chance for what was not synced: each time
/// on a new store, or on what the time before left, beginning with a store that has been used for a while.
fn cut_power(load: &Load, orders: &str, seed: u64, established: bool) -> Outcome {
    let seed = support::seed(seed);
    let work = tempfile::tempdir().unwrap();
    let shim = recording::build_shim(work.path());
    let mut random = Random::seeded(seed);
    let mut outcome = Outcome::default();
    let mut state = State { files: None, acks: Vec::new() };
    if established {
        state = establish(load, &work.path().join("established"));
    }
    for keep in [0, 50, 90] {
        let round = work.path().join(format!("round-{keep}"));
        let (store, cut) = (round.join("store"), round.join("cut"));
        let (acks, log) = (round.join("acks"), round.join("log"));
        std::fs::create_dir_all(&store).unwrap();
        if let Some(files) = &state.files {
            recording::copy(files, &store);
        }
        std::fs::write(&acks, state.acks.iter().map(|ack| format!("{ack}\n")).collect::<String>()).unwrap();
        let mut command = child::prepare(load.writer, orders, &store, &acks);
        recording::record(&mut command, &shim, &store, &acks, &log);
        let mut process = child::start(command, &round.join("errors"));
        process.wait_for_acks(&acks, state.acks.len() + 1);
        std::thread::sleep(Duration::from_millis(random.between(300, 900)));
        process.kill();

        let recording = Recording::read(&log);
        recording.cut_power(&store, state.files.as_deref(), &cut, keep, &mut random);
        let news = recording.acks();
        outcome.rounds += 1;
        outcome.acked += news.len();
        let acks = [&state.acks[..], &news].concat();
        match (load.check)(&cut, &acks) {
            Ok(()) if established => state = State { files: Some(cut), acks },
            Ok(()) => {}
            Err(error) => outcome.bad.push(format!("keeping {keep} %: {error}")),
        }
    }
    println!("{} {orders}, established: {established}: {outcome:?}", load.writer);
    outcome
}

/// A store that was written to for a while, closed, and opened again.
fn establish(load: &Load, dir: &Path) -> State {
    let (store, acks, errors) = (dir.join("store"), dir.join("acks"), dir.join("errors"));
    std::fs::create_dir_all(&store).unwrap();
    for turn in 1..=2 {
        let mut process = child::start(child::prepare(load.writer, "with sync", &store, &acks), &errors);
        process.wait_for_acks(&acks, turn * 1_500);
        process.kill();
    }
    options().open_kv(&store).unwrap().close().unwrap();
    let acks = std::fs::read_to_string(acks).unwrap();
    let whole = acks.rfind('\n').map_or("", |end| &acks[..end]);
    State { files: Some(store), acks: whole.lines().map(str::to_owned).collect() }
}

#[test]
fn acked_messages_in_a_new_store_survive_the_loss_of_power() {
    assert_eq!(cut_power(&APPENDS, "with sync", 1, false).bad, [""; 0]);
}

#[test]
fn acked_messages_in_an_established_store_survive_the_loss_of_power() {
    assert_eq!(cut_power(&APPENDS, "with sync", 2, true).bad, [""; 0]);
}

#[test]
fn acked_overwrites_in_a_new_store_survive_the_loss_of_power() {
    assert_eq!(cut_power(&OVERWRITES, "with sync", 3, false).bad, [""; 0]);
}

#[test]
fn acked_overwrites_in_an_established_store_survive_the_loss_of_power() {
    assert_eq!(cut_power(&OVERWRITES, "with sync", 4, true).bad, [""; 0]);
}

#[test]
fn a_loss_of_power_while_a_store_is_created_leaves_one_that_opens() {
    let work = tempfile::tempdir().unwrap();
    let shim = recording::build_shim(work.path());
    let mut random = Random::seeded(support::seed(7));
    let mut bad = Vec::new();
    for (number, keep) in [0, 50, 90].into_iter().cycle().take(30).enumerate() {
        let round = work.path().join(format!("round-{number}"));
        let (store, cut) = (round.join("store"), round.join("cut"));
        let (acks, log) = (round.join("acks"), round.join("log"));
        std::fs::create_dir_all(&store).unwrap();
        let mut command = child::prepare("ring_writer", "with sync", &store, &acks);
        recording::record(&mut command, &shim, &store, &acks, &log);
        let process = child::start(command, &round.join("errors"));
        while !store.join("LOCK").exists() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(random.between(0, 12_000)));
        process.kill();
        let recording = Recording::read(&log);
        recording.cut_power(&store, None, &cut, keep, &mut random);
        if let Err(error) = check_ring(&cut, &recording.acks()) {
            bad.push(format!("keeping {keep} %: {error}"));
        }
    }
    assert_eq!(bad, [""; 0]);
}

#[test]
fn without_the_sync_of_the_data_file_acked_messages_are_lost() {
    let outcome = cut_power(&APPENDS, "without sync", 5, true);
    assert!(!outcome.bad.is_empty(), "the model does not notice that nothing is synced");
}

#[test]
fn without_the_sync_of_the_data_file_acked_overwrites_are_lost() {
    let outcome = cut_power(&OVERWRITES, "without sync", 6, true);
    assert!(!outcome.bad.is_empty(), "the model does not notice that nothing is synced");
}

#[test]
fn each_ack_follows_a_sync_of_the_data_file_that_follows_its_batch() {
    let work = tempfile::tempdir().unwrap();
    let shim = recording::build_shim(work.path());
    let (store, acks, log) = (work.path().join("store"), work.path().join("acks"), work.path().join("log"));
    std::fs::create_dir(&store).unwrap();
    let mut command = child::prepare("ring_writer", "with sync", &store, &acks);
    recording::record(&mut command, &shim, &store, &acks, &log);
    let mut process = child::start(command, &work.path().join("errors"));
    process.wait_for_acks(&acks, 50);
    process.kill();

    let recording = Recording::read(&log);
    let data = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(store.join("db")).unwrap());
    let mut acks = 0;
    let (mut writes, mut covered, mut synced) = (0, BTreeMap::new(), 0);
    let mut at_last_ack = 0;
    for (inode, event) in &recording.events {
        match event {
            Event::Wrote { .. } if *inode == data => writes += 1,
            Event::SyncBegan(number) if *inode == data => drop(covered.insert(*number, writes)),
            Event::SyncEnded(number) if *inode == data => synced = synced.max(covered[number]),
            Event::Acked(text) => {
                acks += 1;
                assert!(writes > at_last_ack, "the ack {text:?} has no batch");
                assert_eq!(synced, writes, "the ack {text:?} is ahead of the sync");
                at_last_ack = writes;
            }
            _ => {}
        }
    }
    println!("{acks} acks, {writes} writes, {} syncs", covered.len());
    assert!(acks >= 50);
}
