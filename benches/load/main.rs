//! `chat-load`: loads a chat server, checks what comes back, and tells what it costs.
//!
//! ```sh
//! cargo build --release -p chat-server -p chat-benches
//! target/release/chat-load fanout
//! target/release/chat-load idle --connections 10000 --json
//! ```
//!
//! Three programs in one, each a process of its own: the **coordinator** that a user starts; **workers** with the
//! connections, on one thread each; and the **floor**, the least that any server can do, beside which deliveries are
//! measured. The server is the real `chat-server`, on a store on disk. What a process uses is read from `/proc`, so
//! this is for Linux alone.
//!
//! * [`options`], [`limits`]: what is asked for, and its bounds;
//! * [`modes`]: what is measured, on a [`site`] with a [`server`] and a [`crew`]; [`report`]: what came out;
//! * [`client`], [`people`], [`photo`]: who uses the HTTP API, which one process does alone; [`welch`] and [`dice`]:
//!   whether times differ;
//! * [`orders`]: what coordinator and workers say to each other;
//! * [`worker`], its [`user`]s, their [`link`]s, how it sends ([`flow`]) and what it counts ([`tally`]);
//! * [`frames`], [`scanner`], [`stamp`], [`follow`]: what is on the wire, and whether it is right;
//! * [`floor`]: the floor; [`process`], [`cpu`]: what a process uses; [`machine`]: what it may use.

#[path = "../benches/support/load.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "a benchmark of stores, which may panic")]
mod bare_store;
mod client;
mod cpu;
mod crew;
mod dice;
mod floor;
mod flow;
mod follow;
mod frames;
mod limits;
mod link;
mod machine;
mod modes;
mod options;
mod orders;
mod people;
mod photo;
#[path = "../benches/common/process.rs"]
mod process;
mod report;
mod scanner;
mod server;
mod site;
mod stamp;
mod tally;
mod user;
mod welch;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use options::Options;
use report::Report;

/// What can go wrong: it ends the program.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("worker") => worker::run().map(|()| true),
        Some("floor") => floor::run(&arguments).map(|()| true),
        _ => coordinate(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("chat-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports. Tells whether nothing was lost, repeated or out of order, and nothing failed.
fn coordinate() -> Result<bool, Failure> {
    let options = Options::parse();
    let mut report = Report::default();
    modes::measure(&options, &mut report)?;
    report.print(&options)?;
    Ok(report.checks.clean() && report.failed == 0)
}
