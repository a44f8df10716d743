//! Random sequences of commands, crashes included, against a model: what every command is answered, what every
//! user then sees, and that a client's snapshot with the events since makes the same as a fresh snapshot.
#![allow(unreachable_pub, missing_docs, clippy::unwrap_used, reason = "a test may panic")]

pub mod acts;
pub mod compare;
pub mod device;
pub mod figures;
pub mod model;
pub mod run;
pub mod shown;
pub mod view;
pub mod wire;

use std::{
    sync::Mutex,
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::{
    figures::Figures,
    run::{Disk, run},
};

/// Runs as many sequences as `CHAT_STATE_SEQUENCES` says (else `usual`), from the seed `CHAT_STATE_SEED` (else 1), on
/// two threads. `paused`: time stands still but for steps that wait, for stores without threads.
///
/// Each of `commands` must have been accepted, and refused if it can be.
pub fn hold<D: Disk>(usual: u32, paused: bool, commands: &[String], disk: impl Fn() -> D + Sync) {
    let sequences = from_environment("CHAT_STATE_SEQUENCES").unwrap_or(usual);
    let seed = u64::from(from_environment("CHAT_STATE_SEED").unwrap_or(1));
    println!("{sequences} sequences from seed {seed}");
    let total = Mutex::new(Figures::default());
    let failures = Mutex::new(Vec::new());
    let threads = 2;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (disk, total, failures) = (&disk, &total, &failures);
            let cases = sequences / threads + u32::from(thread < sequences % threads);
            scope.spawn(move || {
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&seed.to_be_bytes());
                bytes[8] = thread.try_into().unwrap_or_default();
                if let Err(failure) = property(cases, &bytes, paused, 3_000, disk, total) {
                    failures.lock().unwrap().push(failure);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total}");
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "seed {seed}\n{}", failures.join("\n\n"));
    println!("nobody was compared: {:?}", total.unseen());
    assert_eq!(
        total.missing(commands),
        Vec::<String>::new(),
        "not both accepted and refused, in {sequences}"
    );
}

/// What gives a planted bug away, within so many sequences.
#[allow(dead_code, reason = "one store shows it for all")]
pub fn caught<D: Disk>(sequences: u32, disk: impl Fn() -> D + Sync) -> Option<String> {
    property(sequences, &[7; 32], true, 0, &disk, &Mutex::default()).err()
}

fn property<D: Disk>(
    cases: u32,
    seed: &[u8; 32],
    paused: bool,
    max_shrink_iters: u32,
    disk: &(impl Fn() -> D + Sync),
    total: &Mutex<Figures>,
) -> Result<(), String> {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters,
        max_shrink_time: 240_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, seed));
    let shrinking = AtomicU32::new(0);
    let outcome = runner.run(&acts::sequences(50..=200), |steps| {
        let steps: Vec<_> = steps.into_iter().flatten().collect();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(paused).build().unwrap();
        match runtime.block_on(run(disk(), &steps, paused)) {
            Ok(figures) => {
                if shrinking.load(Ordering::Relaxed) == 0 {
                    total.lock().unwrap().add(&figures);
                }
                Ok(())
            }
            Err(failure) => {
                shrinking.store(1, Ordering::Relaxed);
                Err(TestCaseError::fail(failure))
            }
        }
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, steps)) => {
            // What comes after the step that failed says nothing.
            let reason = reason.to_string();
            let number = reason.strip_prefix("step ").and_then(|rest| rest.split(',').next()?.parse().ok());
            let steps = steps.iter().flatten().take(number.map_or(usize::MAX, |number: usize| number + 1));
            let lines: Vec<_> = steps.map(|step| format!("    {step:?},")).collect();
            Err(format!("{reason}\n[\n{}\n]", lines.join("\n")))
        }
        Err(TestError::Abort(reason)) => Err(format!("given up: {reason}")),
    }
}

fn from_environment(name: &str) -> Option<u32> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}
