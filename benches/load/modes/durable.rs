//! Senders who wait for their acks: how many messages a second are on the disk, and how long an ack takes; beside
//! the bare store, and in a room with an audience.

use std::{sync::Arc, time::Duration};

use chat_store_sled::SledStore;

use super::plan;
use crate::{
    Failure, bare_store,
    options::{Durability, Options},
    orders::{Flow, Pace, Target, Who},
    report::{Goal, Report},
    server::store_dir,
    site::{Site, flow},
};

/// Rooms that senders are spread over, unless told otherwise.
const ROOMS: usize = 20;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    if !options.audience.is_empty() {
        return options.audience.iter().try_for_each(|members| with_audience(options, *members, report));
    }
    let full = if options.senders.is_empty() { vec![64, 512] } else { options.senders.clone() };
    let senders = if options.quick && options.senders.is_empty() { vec![8] } else { full };
    senders.iter().try_for_each(|senders| with_senders(options, (*senders).max(1), report))
}

fn with_senders(options: &Options, senders: usize, report: &mut Report) -> Result<(), Failure> {
    let (rooms, seconds) = (options.rooms.unwrap_or(ROOMS), options.seconds(8.0));
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let mut site = Site::prepare(options, plan(options, 0, senders, rooms), durability)?;
    site.connect(Who::Speakers)?;
    eprintln!("{senders} senders for {seconds} s");
    let sending = flow(Who::Speakers, Pace::Acked, seconds);
    let warm_up = Flow { seconds: if options.quick { 0.2 } else { 2.0 }, ..sending };
    site.window(Target::Server, None, warm_up, report)?;
    let window = site.window(Target::Server, None, sending, report)?;
    site.close()?;
    let name = |what: &str| format!("{senders} senders: {what}");
    let rate = window.messages as f64 / window.sending;
    report.add(&name("acked a second"), rate, "/s");
    report.add_times(&name("ack"), &window.total.acks, &[50.0, 99.0]);
    report.add(&name("CPU an ack"), window.cpu_per_message(), "us");
    report.add(&name("load's own CPU, of one core"), window.load_percent(), "%");
    if options.store {
        eprintln!("{senders} clients of the bare store for {seconds} s");
        let bare = bare_rate(options, durability, senders, rooms, seconds)?;
        report.add(&name("bare store, committed a second"), bare, "/s");
        let share = rate / bare.max(1.0) * 100.0;
        report.add_with_goal(&name("of the bare store"), share, "%", Goal::Least(80.0));
    }
    Ok(())
}

/// What the store does without an engine and a network, under as many clients that wait for their commits.
fn bare_rate(
    options: &Options,
    durability: Durability,
    clients: usize,
    rooms: usize,
    seconds: f64,
) -> Result<f64, Failure> {
    let dir = tempfile::tempdir_in(match &options.dir {
        Some(dir) => dir.clone(),
        None => store_dir()?,
    })?;
    let durability = match durability {
        Durability::Fsync => chat_core::store::Durability::Fsync,
        Durability::Interval => chat_core::store::Durability::Interval,
        Durability::None => chat_core::store::Durability::None,
    };
    let store =
        SledStore::builder().durability(durability).ballast_bytes(0).open(dir.path().join("store"))?;
    let store = Arc::new(store);
    let run = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let times = runtime.block_on(bare_store::write_until(&store, "bare", clients, rooms, run));
    Ok(times.len() as f64 / seconds)
}

fn with_audience(options: &Options, members: usize, report: &mut Report) -> Result<(), Failure> {
    let seconds = options.seconds(20.0);
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let mut site = Site::prepare(options, plan(options, members.max(1), 1, 1), durability)?;
    site.connect(Who::Members)?;
    site.connect(Who::Speakers)?;
    let rate = options.rate.unwrap_or(10.0);
    eprintln!("{rate} messages a second to {members} for {seconds} s");
    let sending = flow(Who::Speakers, Pace::Rate(rate), seconds);
    let window = site.window(Target::Server, None, sending, report)?;
    site.close()?;
    let name = |what: &str| format!("audience of {members}: {what}");
    let p99 = window.total.acks.percentile(99.0) / 1e3;
    report.add_with_goal(&name("ack, p99 in ms"), p99, "ms", Goal::Most(15.0));
    report.add_times(&name("ack"), &window.total.acks, &[50.0, 99.0]);
    report.add_times(&name("latency"), &window.total.latency, &[50.0, 99.0]);
    report.add(&name("CPU a delivery"), window.cpu_per_delivery(), "us");
    Ok(())
}
