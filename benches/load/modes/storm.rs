//! Everybody is cut off at once and comes back at once, while messages flow.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::plan;
use crate::{
    Failure,
    limits::OPENING_IN_STORM,
    options::{Durability, Options},
    orders::{Order, Pace, Target, Who},
    report::{Goal, Report},
    server::Watched,
    site::{Site, flow},
};

/// Users who speak throughout, and are not cut off.
const SPEAKERS: usize = 16;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let members = options.pick(options.connections, 10_000, 100).max(1);
    let rooms = options.rooms.unwrap_or(members.div_ceil(10));
    let rate = options.pick(options.rate, 200.0, 100.0);
    let seconds = options.pick(options.seconds, 30.0, 2.0).clamp(1.0, 3_600.0);
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let mut site = Site::prepare(options, plan(options, members, SPEAKERS, rooms), durability)?;
    eprintln!("connecting");
    site.connect(Who::Members)?;
    site.connect(Who::Speakers)?;
    site.tally(false, report)?;
    site.begin(Target::Server, flow(Who::Speakers, Pace::Rate(rate), seconds))?;
    thread::sleep(Duration::from_secs_f64(seconds / 4.0));
    eprintln!("cutting");
    let (begun, before) = (Instant::now(), site.server.cpu()?);
    site.cut(Target::Server, Who::Members)?;
    let (authenticated, caught_up) = site.open(&Order::Resume { opening: OPENING_IN_STORM })?;
    let (back, cpu) = (begun.elapsed(), site.server.cpu()?.since(&before));
    eprintln!("all are back");
    let sent = site.finish(Target::Server)?;
    site.tally(false, report)?;
    site.close()?;
    report.add("members", members as f64, "");
    report.add("rooms", rooms as f64, "");
    report.add("messages meanwhile", sent.messages as f64, "");
    report.add_with_goal("all back and caught up", back.as_secs_f64(), "s", Goal::Most(20.0));
    report.add("all authenticated", authenticated.max() / 1e6, "s");
    report.add_times("authenticated, since the cut", &authenticated, &[50.0, 99.0]);
    report.add_times("caught up, since the cut", &caught_up, &[50.0, 99.0]);
    report.add("CPU a client", cpu * 1e6 / members as f64, "us");
    Ok(())
}
