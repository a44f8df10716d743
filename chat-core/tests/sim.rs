//! Thousands of histories of two nodes and their clients, and not one violation.
//!
//! A seed that fails is run again, with all that happened, by `CHAT_SIM_SEED=… cargo nextest run -p chat-core
//! --all-features --test sim from_the_environment`; with `CHAT_SIM_COUNT=…`, that many from there on.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it did")]

use chat_core::testing::sim::{SimFigures, SimOptions, simulate};

/// Seeds of one test; eight of them make the 2,000 that every change has to pass.
const SEEDS: u64 = 250;

fn options(seed: u64) -> SimOptions {
    // Every fourth history has a short memory, so that resuming clients are told to resync.
    let resume_entries = if seed.is_multiple_of(4) { 15 } else { 1_000 };
    SimOptions { resume_entries, steps: 36, ..SimOptions::default() }
}

fn run(from: u64, count: u64) {
    let mut figures = SimFigures::default();
    for seed in from..from + count {
        let report = simulate(seed, &options(seed));
        assert!(
            report.violations.is_empty(),
            "{report}\nagain with CHAT_SIM_SEED={seed}, see the head of this file"
        );
        figures += report.figures;
    }
    println!("{figures}");
}

macro_rules! batches {
    ($($name:ident: $number:literal),*) => {
        $(
            #[test]
            fn $name() {
                run($number * SEEDS, SEEDS);
            }
        )*
    };
}

mod no_violation_in_batch {
    use super::*;

    batches! { one: 0, two: 1, three: 2, four: 3, five: 4, six: 5, seven: 6, eight: 7 }
}

#[test]
fn no_violation_from_the_environment() {
    let number = |name, default| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (from, count) = (number("CHAT_SIM_SEED", 1_000_000), number("CHAT_SIM_COUNT", 1));
    if count == 1 {
        println!("{:#}", simulate(from, &options(from)));
    }
    run(from, count);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..20 {
        let (first, second) = (simulate(seed, &options(seed)), simulate(seed, &options(seed)));
        assert_eq!(first.trace, second.trace);
        assert_eq!(first, second);
    }
}
