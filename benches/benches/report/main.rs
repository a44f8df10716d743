//! The figures by which the engine is judged, measured in one run on one machine.
//!
//! A server (this program once more, as a child process) with a store on disk serves real sockets on loopback;
//! the load comes from this process. Measured are:
//!
//! - **acked messages a second** and the wait for an ack, for 1, 16, 64 and 256 senders in one room, each with one
//!   message in flight, with an fsync before each ack and without any;
//! - **CPU a delivery** to 1,000 subscribers of one room, user and system time of the server: at 10 messages a
//!   second, where every delivery is a wake-up and a write of its own, and saturated, where they coalesce; both
//!   without fsync, so that the disk is not waited for;
//! - **memory an idle connection**: by how much the server's anonymous memory grows with 5,000 authenticated
//!   connections, each of a user of their own who is a member of one room; socket buffers in the kernel are not
//!   in it;
//! - **the newest page** of 50 messages, as the engine answers it from a room's tail ring, in process.
//!
//! ```sh
//! cargo bench -p chat-benches --bench report                    # two minutes; needs 10,000 file descriptors
//! cargo bench -p chat-benches --bench report -- --quick         # some seconds: shows that it works, no more
//! cargo bench -p chat-benches --bench report -- --json          # for machines
//! cargo bench -p chat-benches --bench report -- --only memory   # senders, deliveries, memory or page
//! cargo bench -p chat-benches --bench report -- --rooms 16      # spreads the senders
//! ```
//!
//! How to read it: server and load share the machine's cores, so the figures are those of a machine that does
//! both. The load makes its frames by hand and decodes nothing; `load` says what share of one core it took, and
//! near 100 % it is the load that was measured. `fsync` is as good as the disk below cargo's target directory, or
//! below `--dir`. Linux only.

#[path = "../common/mod.rs"]
mod common;
mod deliveries;
mod link;
mod memory;
mod options;
mod page;
mod senders;
mod server;
mod table;

use chat_core::store::Durability;
use common::service::Failure;
use options::{Options, Part};
use table::Table;
use tokio::{runtime, task::LocalSet};

fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if server::is_child(&args) {
        return server::run_child(&args);
    }
    let Some(options) = Options::parse(&args)? else { return Ok(()) };
    // One thread: the load must leave the cores to the server, and its share is to be seen.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let table = LocalSet::new().block_on(&runtime, measure(&options))?;
    if options.json {
        table.print_json()
    } else {
        table.print()
    }
    Ok(())
}

async fn measure(options: &Options) -> Result<Table, Failure> {
    let mut table = Table::default();
    if options.wants(Part::Senders) {
        for (name, durability) in [("fsync", Durability::Fsync), ("none", Durability::None)] {
            for senders in options.senders {
                eprintln!("acked messages, {name}, {senders} senders");
                table.add(senders::measure(options, name, durability, senders).await?);
            }
        }
    }
    if options.wants(Part::Deliveries) {
        eprintln!("deliveries to {} subscribers", options.subscribers);
        for row in deliveries::measure(options).await? {
            table.add(row);
        }
    }
    if options.wants(Part::Memory) {
        eprintln!("memory of {} idle connections", options.connections);
        table.add(memory::measure(options).await?);
    }
    if options.wants(Part::Page) {
        eprintln!("newest page");
        table.add(page::measure(options).await?);
    }
    Ok(table)
}
