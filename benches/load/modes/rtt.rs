//! One sender and one receiver: from sending to having it, one message after the other; beside a floor.

use super::plan;
use crate::{
    Failure,
    options::{Durability, Options},
    orders::{Flow, Pace, Target, Who},
    report::{Goal, Report},
    server::Floor,
    site::{Site, flow},
    tally::Times,
};

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let rounds = options.pick(options.rounds, 3, 1).clamp(1, 100);
    let durability = options.durability.unwrap_or(Durability::None);
    let mut site = Site::prepare(options, plan(options, 1, 1, 1), durability)?;
    site.connect(Who::Members)?;
    site.connect(Who::Speakers)?;
    let sending = flow(Who::Speakers, Pace::Received, options.seconds(5.0));
    let mut server = (Times::default(), Vec::new());
    let mut floor = (Times::default(), Vec::new());
    site.window(Target::Server, None, Flow { seconds: 0.2, ..sending }, report)?;
    for round in 1..=rounds {
        eprintln!("round {round}");
        let window = site.window(Target::Server, None, sending, report)?;
        server.0.add(&window.total.latency.recorded());
        server.1.push(window.total.latency.percentile(50.0));
        if !options.no_floor {
            let process = Floor::start(options, false)?;
            site.connect_to_floor(process.address())?;
            let window = site.window(Target::Floor, Some(&process), sending, report)?;
            floor.0.add(&window.total.latency.recorded());
            floor.1.push(window.total.latency.percentile(50.0));
            site.cut(Target::Floor, Who::Members)?;
            site.cut(Target::Floor, Who::Speakers)?;
        }
    }
    site.close()?;
    report.add_with_goal("round trip, p50", server.0.percentile(50.0), "us", Goal::Most(60.0));
    report.add_times("server: round trip", &server.0, &[50.0, 99.0]);
    if !options.no_floor {
        report.add_times("floor: round trip", &floor.0, &[50.0, 99.0]);
        report.add_rounds("p50, ratio to floor", &super::ratios(&server.1, &floor.1), "x", Goal::None);
    }
    Ok(())
}
