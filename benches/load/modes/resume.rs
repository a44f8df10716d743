//! From coming back to having caught up with what was missed.

use super::plan;
use crate::{
    Failure,
    options::{Durability, Options},
    orders::{Flow, Order, Pace, Target, Who},
    report::{Goal, Report},
    site::{Site, flow},
};

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    // More than a server replays is answered with a request to reload.
    let missed = options.pick(options.missed, 300, 50).clamp(1, 900);
    let times = options.pick(options.times, 500, 20).clamp(1, 1_000_000);
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let mut site = Site::prepare(options, plan(options, 1, 1, 1), durability)?;
    site.connect(Who::Speakers)?;
    site.begin(Target::Server, Flow { most: missed, ..flow(Who::Speakers, Pace::Acked, 600.0) })?;
    let sent = site.wait_sent(Target::Server)?;
    site.order(&Order::From { heads: sent.heads.clone() })?;
    site.tally(false, report)?;
    eprintln!("{times} times {missed} entries");
    let (connected, caught_up) = site.open(&Order::Return { missed, times })?;
    site.reach(Target::Server, &sent)?;
    site.tally(false, report)?;
    site.close()?;
    report.add("entries", missed as f64, "");
    let p99 = caught_up.percentile(99.0) / 1e3;
    report.add_with_goal("caught up, p99 in ms", p99, "ms", Goal::Most(20.0));
    report.add_times("connected and authenticated", &connected, &[50.0, 99.0]);
    report.add_times("caught up, since authenticate", &caught_up, &[50.0, 99.0]);
    Ok(())
}
