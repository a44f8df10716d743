//! Messages over many rooms, or between many pairs, by their members in turn.

use super::plan;
use crate::{
    Failure,
    options::{Durability, Options},
    orders::{Pace, Plan, Target, Who},
    report::{Goal, Report},
    site::{Site, flow},
};

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let members = options.pick(options.connections, 10_000, 100).max(1);
    let rooms = options.rooms.unwrap_or(members.div_ceil(10));
    let rate = options.pick(options.rate, 1_000.0, 200.0);
    let seconds = options.seconds(600.0);
    run(options, plan(options, members, 0, rooms), rate, seconds, report)
}

/// Pairs who write to each other directly.
pub(super) fn measure_direct(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let members = options.pick(options.connections, 2_000, 100).max(2) & !1;
    let rate = options.pick(options.rate, 500.0, 200.0);
    let pairs = Plan { direct: true, rooms: 0, ..plan(options, members, 0, 1) };
    run(options, pairs, rate, options.seconds(30.0), report)
}

fn run(options: &Options, plan: Plan, rate: f64, seconds: f64, report: &mut Report) -> Result<(), Failure> {
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let (members, rooms) = (plan.members, plan.rooms);
    let mut site = Site::prepare(options, plan, durability)?;
    eprintln!("connecting");
    site.connect(Who::Members)?;
    eprintln!("sending for {seconds} s");
    let window = site.window(Target::Server, None, flow(Who::Members, Pace::Rate(rate), seconds), report)?;
    site.close()?;
    report.add("members", members as f64, "");
    report.add("rooms", if rooms == 0 { members / 2 } else { rooms } as f64, "");
    report.add("messages", window.messages as f64, "");
    report.add("messages a second", window.messages as f64 / window.sending, "/s");
    report.add_with_goal(
        "latency, p99 in ms",
        window.total.latency.percentile(99.0) / 1e3,
        "ms",
        Goal::Most(10.0),
    );
    report.add_times("latency", &window.total.latency, &[50.0, 90.0, 99.0, 99.9]);
    report.add_times("ack", &window.total.acks, &[50.0, 99.0]);
    report.add("CPU a message", window.cpu_per_message(), "us");
    report.add("CPU a delivery", window.cpu_per_delivery(), "us");
    report.add("load's own CPU, of one core", window.load_percent(), "%");
    Ok(())
}
