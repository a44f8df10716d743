//! What happened, in order: the tail for a reader, a hash of all of it for comparing two runs.

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    hash::Hasher,
};

use tokio::time::Instant;

/// Lines that are kept for a reader: those of a whole simulation, unless it never ends.
const LINES_MAX: usize = 50_000;

pub(super) struct Trace {
    begun: Instant,
    lines: VecDeque<String>,
    // Its keys are constants, so that two processes agree.
    hash: DefaultHasher,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), lines: VecDeque::new(), hash: DefaultHasher::new() }
    }

    pub(super) fn note(&mut self, line: &str) {
        let line = format!("{:>7} ms  {line}", self.begun.elapsed().as_millis());
        self.hash.write(line.as_bytes());
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// What is too long for a line still counts.
    pub(super) fn count(&mut self, bytes: &[u8]) {
        self.hash.write(bytes);
    }

    pub(super) fn into_parts(self) -> (Vec<String>, u64) {
        (self.lines.into(), self.hash.finish())
    }
}
