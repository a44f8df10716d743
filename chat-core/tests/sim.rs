//! Thousands of histories of two nodes and their clients, and not one violation.
//!
//! A seed that fails is run again, with all that happened, by `CHAT_SIM_SEED=… cargo nextest run -p chat-core
//! --all-features --test sim from_the_environment`; with `CHAT_SIM_COUNT=…`, that many from there on.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it did")]

use chat_core::{
    engine::Sabotage,
    testing::sim::{Check, SimFigures, SimOptions, simulate},
};

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

/// A bug on purpose, and the checks by which it is caught: each must find it within so many seeds.
mod is_caught {
    use super::*;

    fn within(seeds: u64, bug: &SimOptions, checks: &[Check]) {
        for check in checks {
            let catches = |seed: &u64| {
                let report = simulate(*seed, &SimOptions { resume_entries: 1_000, steps: 36, ..bug.clone() });
                report.violations.iter().any(|violation| violation.check == *check)
            };
            let caught = (0..seeds).find(catches);
            println!("{:?}, skipping syncs: {}: {check:?} at seed {caught:?}", bug.sabotage, bug.skips_sync);
            assert!(caught.is_some(), "{check:?} does not catch {bug:?} within {seeds} seeds");
        }
    }

    fn planted(sabotage: Sabotage) -> SimOptions {
        SimOptions { sabotage, ..SimOptions::default() }
    }

    /// What was told and then not stored, or stored as something else, is missing in the log.
    #[test]
    fn telling_what_is_not_stored_yet() {
        within(5, &planted(Sabotage::PublishBeforeAppend), &[Check::LiveIsStored]);
    }

    /// What was told at a place is not what the log has there.
    #[test]
    fn telling_neighbours_in_the_wrong_order() {
        within(5, &planted(Sabotage::SwapNeighbours), &[Check::LiveIsStored]);
    }

    /// What one connection has sent first stands later.
    #[test]
    fn carrying_out_commands_in_the_wrong_order() {
        within(5, &planted(Sabotage::ReverseBatch), &[Check::PipelineOrder]);
    }

    /// After the store has lost its power, what was acked is gone, and what was told is not in the log.
    #[test]
    fn not_syncing_before_an_ack() {
        let bug = SimOptions { skips_sync: true, ..SimOptions::default() };
        within(20, &bug, &[Check::AckedIsStored, Check::LiveIsStored]);
    }

    /// A replay misses its first entry.
    #[test]
    fn resuming_one_too_late() {
        within(5, &planted(Sabotage::ResumeOffByOne), &[Check::DenseView]);
    }

    /// A message that is sent again, since its ack was lost, stands twice.
    #[test]
    fn forgetting_what_was_sent_under_a_key() {
        within(5, &planted(Sabotage::ForgetKeys), &[Check::OneMessagePerKey]);
    }

    /// Somebody who has left goes on reading.
    #[test]
    fn resuming_for_one_who_has_left() {
        within(40, &planted(Sabotage::SkipMembership), &[Check::MembersOnly]);
    }

    /// A seq is acked that another node has given to another message.
    #[test]
    fn acking_in_spite_of_a_conflict() {
        within(5, &planted(Sabotage::AckConflicts), &[Check::AckedIsStored]);
    }

    /// A text that is gone is told from memory.
    #[test]
    fn keeping_a_text_that_is_gone() {
        within(20, &planted(Sabotage::KeepTexts), &[Check::GoneIsGone]);
    }

    /// What happens on one node never reaches the clients of the other.
    #[test]
    fn not_hearing_of_other_nodes() {
        within(5, &planted(Sabotage::IgnoreOtherNodes), &[Check::EverybodyCatchesUp]);
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..20 {
        let (first, second) = (simulate(seed, &options(seed)), simulate(seed, &options(seed)));
        assert_eq!(first.trace, second.trace);
        assert_eq!(first, second);
    }
}
