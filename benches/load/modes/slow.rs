//! Some members stop reading: what the others and the server's memory notice. Then they read on, and get everything.

use super::plan;
use crate::{
    Failure,
    options::{Durability, Options},
    orders::{Order, Pace, Plan, Target, Who},
    report::{Goal, Report},
    site::{Site, flow, settle},
};

/// Characters of a message, at least: so many messages as fit into sockets' buffers are no test.
const BYTES_MIN: usize = 1_000;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let members = options.pick(options.connections, 100, 20).max(2);
    let stalled = options.stalled.unwrap_or(1).clamp(1, members - 1);
    let (rate, seconds) = (options.pick(options.rate, 500.0, 200.0), options.seconds(20.0));
    let durability = options.durability.unwrap_or(Durability::None);
    let plan = plan(options, members, 1, 1);
    let plan = Plan { bytes: plan.bytes.max(BYTES_MIN), ..plan };
    let mut site = Site::prepare(options, plan, durability)?;
    site.connect(Who::Members)?;
    site.connect(Who::Speakers)?;
    let sending = flow(Who::Speakers, Pace::Rate(rate), seconds);
    // The first window fills caches; the second is the measure for the third, in memory as in time.
    eprintln!("all read");
    site.window(Target::Server, None, sending, report)?;
    let first = site.server.anonymous_memory()?;
    let all_read = site.window(Target::Server, None, sending, report)?;
    settle(options);
    let second = site.server.anonymous_memory()?;

    eprintln!("{stalled} do not read");
    site.order(&Order::Stall { members: stalled })?;
    site.tally(false, report)?;
    site.begin(Target::Server, sending)?;
    let sent = site.wait_sent(Target::Server)?;
    settle(options);
    let third = site.server.anonymous_memory()?;
    let some_read = site.tally(false, report)?;
    eprintln!("all read on");
    site.order(&Order::Wake)?;
    site.reach(Target::Server, &sent)?;
    let late = site.tally(false, report)?;
    site.close()?;

    let kib = |after: u64, before: u64| (after as f64 - before as f64) / 1024.0;
    let [before, after] = [&all_read.total, &some_read].map(|total| total.latency.percentile(99.0));
    report.add("members", members as f64, "");
    report.add("stalled", stalled as f64, "");
    report.add_times("latency, all read", &all_read.total.latency, &[50.0, 99.0]);
    report.add_times("latency, others", &some_read.latency, &[50.0, 99.0]);
    let more = (after / before.max(1.0) - 1.0) * 100.0;
    report.add_with_goal("others' p99, more by", more, "%", Goal::Most(10.0));
    report.add("memory grown while all read", kib(second, first), "KiB");
    let each = (kib(third, second) - kib(second, first).max(0.0)) / stalled as f64;
    report.add_with_goal("memory grown a stalled reader, beyond that", each, "KiB", Goal::Most(64.0));
    report.add("messages read late", late.delivered as f64, "");
    Ok(())
}
