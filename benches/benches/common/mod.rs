//! What several benchmarks share: an engine without limits, and a look at what a process uses.
#![allow(dead_code, reason = "each benchmark uses a part of this")]

pub(crate) mod process;
pub(crate) mod service;
