//! Connections that do nothing: what they cost in memory, when they come, and while they are there.

use std::{thread, time::Duration};

use super::plan;
use crate::{
    Failure,
    options::{Durability, Options},
    orders::{Target, Who},
    report::{Goal, Report},
    server::Watched,
    site::{Site, settle},
};

/// Members of each room, unless told otherwise.
const MEMBERS: usize = 10;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let connections = options.pick(options.connections, 10_000, 200).max(1);
    let rooms = options.rooms.unwrap_or(connections.div_ceil(MEMBERS));
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let mut site = Site::prepare(options, plan(options, connections, 0, rooms), durability)?;
    site.restart_server()?;
    // What the first connection of all costs is not of the others' making.
    site.connect(Who::First)?;
    site.cut(Target::Server, Who::First)?;
    settle(options);
    let (anonymous, proportional) = (site.server.anonymous_memory()?, site.server.proportional_memory()?);
    eprintln!("connecting");
    let connected = site.connect(Who::Members)?;
    settle(options);
    let grown = |after: u64, before: u64| after.saturating_sub(before) as f64 / 1024.0 / connections as f64;
    let memory = grown(site.server.anonymous_memory()?, anonymous);
    let share = grown(site.server.proportional_memory()?, proportional);

    // Presence of those who came last is still being told.
    settle(options);
    site.tally(false, report)?;
    let seconds = options.seconds(60.0);
    eprintln!("idle for {seconds} s");
    let before = site.server.cpu()?;
    thread::sleep(Duration::from_secs_f64(seconds));
    let cpu = site.server.cpu()?.since(&before);
    let total = site.tally(false, report)?;
    let later = grown(site.server.anonymous_memory()?, anonymous);
    site.close()?;

    let each = 1e6 / connections as f64;
    report.add("connections", connections as f64, "");
    report.add("rooms", rooms as f64, "");
    report.add_with_goal("memory a connection", memory, "KiB", Goal::Most(6.0));
    report.add("memory a connection, after being idle", later, "KiB");
    report.add("share of all memory a connection (Pss)", share, "KiB");
    report.add_with_goal("CPU a connect", connected.cpu * each, "us", Goal::Most(150.0));
    report.add("connects a second", connections as f64 / connected.seconds, "/s");
    report.add_times("connecting", &connected.times, &[50.0, 99.0]);
    report.add_with_goal("CPU a second and connection", cpu * each / seconds, "us", Goal::Most(1.2));
    report.add("pings a connection", total.pings as f64 / connections as f64, "");
    report.add("other frames", (total.others + total.delivered) as f64, "");
    Ok(())
}
