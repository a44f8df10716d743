//! Acked messages a second, and how long an ack takes.

use std::{cell::Cell, rc::Rc, time::Duration};

use chat_core::store::Durability;
use serde_json::json;
use tokio::{
    task,
    time::{Instant, sleep_until, timeout},
};

use super::{
    link::Link,
    options::{MESSAGES_MAX, Options, PATIENCE},
    server::Server,
    table::{Row, millis, percentile, thousands},
};
use crate::common::{
    process,
    service::{self, Failure},
    wire::{Kind, Messages},
};

/// When it counts, and how many messages are left.
struct Window {
    from: Instant,
    until: Instant,
    left: Cell<usize>,
}

/// Lets senders send, each the next message when the last was acked.
pub(crate) async fn measure(
    options: &Options,
    name: &str,
    durability: Durability,
    senders: usize,
) -> Result<Row, Failure> {
    let server = Server::start(&options.dir, durability, options.rooms, senders)?;
    let mut links = Vec::new();
    for number in 0..senders {
        // They follow nothing: deliveries are another measurement.
        links.push(Link::open(server.address(), number, &service::user(number), "none").await?);
    }
    let from = Instant::now() + options.warm_up;
    let window = Window { from, until: from + options.sending, left: Cell::new(MESSAGES_MAX) };
    let window = Rc::new(window);
    let tasks: Vec<_> = (links.into_iter().enumerate())
        .map(|(number, link)| {
            let room = service::room(number % options.rooms);
            task::spawn_local(send(
                link,
                Messages::new(room.as_str(), &service::user(number)),
                window.clone(),
            ))
        })
        .collect();
    sleep_until(window.from).await;
    let (server_before, load_before) = (server.cpu_time()?, process::cpu_time(std::process::id())?);
    sleep_until(window.until).await;
    let (server_cpu, load_cpu) =
        (server.cpu_time()? - server_before, process::cpu_time(std::process::id())? - load_before);
    let mut acks = Vec::new();
    for task in tasks {
        acks.extend(timeout(PATIENCE, task).await???);
    }
    server.stop()?;

    let mut waits: Vec<_> = acks.iter().map(|ack| ack.wait).collect();
    waits.sort_unstable();
    let counted = acks.iter().map(|ack| ack.at).max().map_or(options.sending, |last| last - window.from);
    let rate = acks.len() as f64 / counted.as_secs_f64();
    let (p50, p99) = (percentile(&waits, 50), percentile(&waits, 99));
    let cpu_us = server_cpu.as_secs_f64() * 1e6 / acks.len().max(1) as f64;
    let load = load_cpu.as_secs_f64() / options.sending.as_secs_f64() * 100.0;
    Ok(Row {
        what: format!("acked messages, {name}, {senders} sender{}", if senders == 1 { "" } else { "s" }),
        target: "-".into(),
        measured: format!(
            "{}/s, p50 {}, p99 {} (server {cpu_us:.0} us CPU a message, load {load:.0} %)",
            thousands(rate),
            millis(p50),
            millis(p99)
        ),
        figures: json!({
            "durability": name, "senders": senders, "rooms": options.rooms, "messages": acks.len(),
            "perSecond": rate, "ackP50Ms": p50.as_secs_f64() * 1e3, "ackP99Ms": p99.as_secs_f64() * 1e3,
            "serverCpuUs": cpu_us, "loadPercent": load,
        }),
    })
}

/// One ack: how long it took, and when it came.
struct Ack {
    wait: Duration,
    at: Instant,
}

async fn send(mut link: Link, mut messages: Messages, window: Rc<Window>) -> Result<Vec<Ack>, Failure> {
    let (mut acks, mut frame) = (Vec::new(), Vec::new());
    while window.left.get() > 0 {
        window.left.set(window.left.get() - 1);
        frame.clear();
        messages.put_next(&mut frame);
        let begun = Instant::now();
        link.ask(&frame, Kind::Ack).await?;
        let at = Instant::now();
        if at > window.until {
            break;
        }
        if at >= window.from {
            acks.push(Ack { wait: at - begun, at });
        }
    }
    Ok(acks)
}
