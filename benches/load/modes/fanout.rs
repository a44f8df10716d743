//! One sender and one room: what a delivery costs, and how long it takes until the last member has a message;
//! beside a floor of the same run, since the ratio to it is what says something on another machine, too.

use super::{plan, ratios};
use crate::{
    Failure,
    limits::BEHIND_MAX,
    options::{Durability, Options},
    orders::{Flow, Pace, Target, Who},
    report::{Goal, Report, median},
    server::Floor,
    site::{Site, Window, flow},
    tally::Times,
};

/// What one program came to in all rounds.
#[derive(Default)]
struct Rounds {
    cpu: Vec<f64>,
    per_second: Vec<f64>,
    last: Vec<f64>,
    load: Vec<f64>,
    latency: Times,
    until_last: Times,
}

impl Rounds {
    fn add(&mut self, window: &Window, members: u64) {
        let last = window.total.until_last(members);
        self.cpu.push(window.cpu_per_delivery());
        self.per_second.push(window.deliveries_per_second());
        self.last.push(last.percentile(50.0));
        self.load.push(window.load_percent());
        self.latency.add(&window.total.latency.recorded());
        self.until_last.add(&last.recorded());
    }

    fn report(&self, name: &str, report: &mut Report) {
        report.add_rounds(&format!("{name}: CPU a delivery"), &self.cpu, "us", Goal::None);
        report.add(&format!("{name}: deliveries a second"), median(&self.per_second), "/s");
        report.add_times(&format!("{name}: latency"), &self.latency, &[50.0, 90.0, 99.0, 99.9]);
        report.add_times(&format!("{name}: last member"), &self.until_last, &[50.0, 99.0]);
        report.add(&format!("{name}: load's own CPU, of one core"), median(&self.load), "%");
    }
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let members = options.pick(options.connections, 1_000, 100).max(1);
    let rounds = options.pick(options.rounds, 3, 1).clamp(1, 100);
    // The disk is not what is measured, and must not be what is waited for.
    let durability = options.durability.unwrap_or(Durability::None);
    let mut site = Site::prepare(options, plan(options, members, 1, 1), durability)?;
    site.connect(Who::Members)?;
    site.connect(Who::Speakers)?;
    let (pace, floors): (_, &[bool]) = if options.saturate {
        (Pace::Behind(BEHIND_MAX), &[true])
    } else {
        (Pace::Rate(options.rate.unwrap_or(10.0)), &[false, true])
    };
    let floors = if options.no_floor { &[] } else { floors };
    let seconds = options.seconds(if options.saturate { 8.0 } else { 10.0 });
    let sending = flow(Who::Speakers, pace, seconds);

    let mut server = Rounds::default();
    let mut floor_rounds: Vec<_> = floors.iter().map(|_| Rounds::default()).collect();
    // What only the first message costs is not of the others' making.
    let warm_up = Flow { seconds: if options.quick { 0.2 } else { 1.0 }, ..sending };
    site.window(Target::Server, None, warm_up, report)?;
    for round in 1..=rounds {
        eprintln!("round {round}: server");
        let window = site.window(Target::Server, None, sending, report)?;
        server.add(&window, members as u64);
        for (coalesce, rounds) in floors.iter().zip(&mut floor_rounds) {
            eprintln!("round {round}: {}", floor_name(*coalesce));
            let floor = Floor::start(options, *coalesce)?;
            site.connect_to_floor(floor.address())?;
            let window = site.window(Target::Floor, Some(&floor), sending, report)?;
            rounds.add(&window, members as u64);
            site.cut(Target::Floor, Who::Members)?;
            site.cut(Target::Floor, Who::Speakers)?;
        }
    }
    site.close()?;

    report.add("members", members as f64, "");
    for (coalesce, floor) in floors.iter().zip(&floor_rounds) {
        let name = floor_name(*coalesce);
        let goal = |most| if options.saturate || *coalesce { Goal::None } else { Goal::Most(most) };
        report.add_rounds(
            &format!("CPU a delivery, ratio to {name}"),
            &ratios(&server.cpu, &floor.cpu),
            "x",
            goal(1.2),
        );
        if !options.saturate {
            let ratios = ratios(&server.last, &floor.last);
            report.add_rounds(&format!("last member, ratio to {name}"), &ratios, "x", goal(1.2));
        }
    }
    if options.saturate {
        let goal = Goal::Most(1.0);
        report.add_with_goal("CPU a delivery at full load", median(&server.cpu), "us", goal);
    }
    server.report("server", report);
    for (coalesce, floor) in floors.iter().zip(&floor_rounds) {
        floor.report(floor_name(*coalesce), report);
    }
    Ok(())
}

fn floor_name(coalesce: bool) -> &'static str {
    if coalesce { "coalescing floor" } else { "floor" }
}
