//! What is measured: one file a mode.

mod durable;
mod fanout;
mod http;
mod idle;
mod many_rooms;
mod resume;
mod rtt;
mod slow;
mod storm;
mod timing;

use crate::{
    Failure,
    dice::Dice,
    options::{Mode, Options},
    orders::Plan,
    report::Report,
};

/// Does what the options ask for.
///
/// # Errors
/// When a process fails or a connection breaks. What was lost or repeated is told in the report.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    match options.mode {
        Mode::Idle => idle::measure(options, report),
        Mode::Fanout => fanout::measure(options, report),
        Mode::Rtt => rtt::measure(options, report),
        Mode::ManyRooms => many_rooms::measure(options, report),
        Mode::Dm => many_rooms::measure_direct(options, report),
        Mode::Durable => durable::measure(options, report),
        Mode::ReconnectStorm => storm::measure(options, report),
        Mode::SlowReaders => slow::measure(options, report),
        Mode::Resume => resume::measure(options, report),
        Mode::Http => http::measure(options, report),
        Mode::Timing => timing::measure(options, report),
    }
}

/// Members of rooms, and speakers who follow nothing.
fn plan(options: &Options, members: usize, speakers: usize, rooms: usize) -> Plan {
    Plan {
        members,
        speakers,
        rooms: rooms.max(1),
        rooms_per_user: options.rooms_per_user.max(1),
        direct: false,
        bytes: options.bytes(),
        prefix: "load".to_owned(),
    }
}

/// Begins names that nobody has yet, also on a server that knows users of former runs.
fn fresh_prefix() -> Result<String, Failure> {
    let (_, number) = Dice::fresh()?;
    Ok(format!("u{:08x}_", number >> 32))
}

/// Round by round, since a machine drifts.
fn ratios(server: &[f64], floor: &[f64]) -> Vec<f64> {
    let pairs = server.iter().zip(floor).filter(|(_, floor)| **floor > 0.0);
    pairs.map(|(server, floor)| server / floor).collect()
}
