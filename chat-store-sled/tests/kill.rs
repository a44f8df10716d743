//! A process that is killed loses nothing that it acked, and leaves a store that opens.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{path::Path, time::Duration};

use chat_core::store::{Durability, Maintenance};
use chat_store_sled::SledStore;
use support::{
    child::{self, Orders},
    kills, options,
    random::Random,
    seed,
    senders::{Acks, send_for_ever},
};

/// Kills in a row, on one store.
const KILLS: u64 = 10;

#[test]
#[ignore = "another process, which the tests here start and kill"]
fn sender_process() {
    let orders = Orders::read();
    let durability = match &*orders.orders {
        "interval" => Durability::Interval,
        "none" => Durability::None,
        _ => Durability::Fsync,
    };
    let store = options().durability(durability).open(&orders.store).unwrap();
    send_for_ever(orders, store);
}

#[test]
#[ignore = "another process, which the tests here start and kill"]
fn opener_process() {
    let orders = Orders::read();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    loop {
        let store = options().open(&orders.store).unwrap();
        orders.ack("opened");
        runtime.block_on(store.close()).unwrap();
    }
}

/// Opens the store and compares it with the acks.
async fn check(store: &Path, acks: &Acks) {
    let store = options().open(store).unwrap();
    assert_eq!(acks.check(&store).await, [""; 0]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn every_acked_message_survives_kills_while_sixteen_senders_write() {
    let mut random = Random::seeded(seed(6));
    let work = tempfile::tempdir().unwrap();
    let (store, acks, errors) =
        (work.path().join("store"), work.path().join("acks"), work.path().join("errors"));
    for kill in 1..=kills(KILLS) {
        let known = std::fs::read_to_string(&acks).map_or(0, |acks| acks.lines().count());
        let mut process = child::start(child::prepare("sender_process", "", &store, &acks), &errors);
        process.wait_for_acks(&acks, known + 1);
        std::thread::sleep(Duration::from_millis(random.between(150, 1_200)));
        process.kill();
        let acks = Acks::read(&acks);
        println!("kill {kill}: {} acked so far", acks.count());
        check(&store, &acks).await;
    }
}

#[tokio::test]
async fn a_store_opens_whole_after_kills_while_it_was_being_opened() {
    let mut random = Random::seeded(seed(7));
    let work = tempfile::tempdir().unwrap();
    let (store, acks, errors) =
        (work.path().join("store"), work.path().join("acks"), work.path().join("errors"));
    let mut process = child::start(child::prepare("sender_process", "", &store, &acks), &errors);
    process.wait_for_acks(&acks, 3_000);
    process.kill();
    let acks = Acks::read(&acks);

    let opened = work.path().join("opened");
    for _ in 0..kills(KILLS) {
        let process = child::start(child::prepare("opener_process", "", &store, &opened), &errors);
        std::thread::sleep(Duration::from_micros(random.between(5_000, 150_000)));
        process.kill();
        check(&store, &acks).await;
    }
    println!(
        "{} acked, {} kills, opened {} times",
        acks.count(),
        kills(KILLS),
        std::fs::read_to_string(&opened).unwrap().lines().count()
    );
}

/// Lets senders write under a durability, kills them, and opens what is left. Returns it with its epoch before and
/// with the acks.
async fn kill_under(durability: &str, work: &Path) -> (SledStore, String, Acks) {
    let (store, acks, errors) = (work.join("store"), work.join("acks"), work.join("errors"));
    let new = options().open(&store).unwrap();
    let epoch = new.epoch();
    new.close().await.unwrap();
    let mut process = child::start(child::prepare("sender_process", durability, &store, &acks), &errors);
    process.wait_for_acks(&acks, 2_000);
    process.kill();
    (options().open(&store).unwrap(), epoch, Acks::read(&acks))
}

#[tokio::test]
async fn under_interval_a_kill_loses_nothing_and_the_epoch_says_that_power_might_have() {
    let work = tempfile::tempdir().unwrap();
    let (store, epoch, acks) = kill_under("interval", work.path()).await;
    assert_eq!(acks.check(&store).await, [""; 0]);
    assert_ne!(store.epoch(), epoch);
}

#[tokio::test]
async fn without_durability_a_kill_leaves_a_whole_store_of_another_epoch() {
    let work = tempfile::tempdir().unwrap();
    let (store, epoch, acks) = kill_under("none", work.path()).await;
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    assert_ne!(store.epoch(), epoch);
    println!("{} acked; {:?}", acks.count(), acks.check(&store).await);
}

#[tokio::test]
async fn with_fsync_a_kill_leaves_the_epoch_as_it_was() {
    let work = tempfile::tempdir().unwrap();
    let (store, epoch, acks) = kill_under("fsync", work.path()).await;
    assert_eq!(acks.check(&store).await, [""; 0]);
    assert_eq!(store.epoch(), epoch);
}
