//! The least that any server can do: a bare TCP program that writes a ready frame to each subscriber.
//!
//! It knows no protocol but this: who connects sends one byte, [`SUBSCRIBER`] or [`PUBLISHER`], and is welcomed with
//! an empty pong frame. What the publisher sends are whole frames as a server would send them; they go to all
//! subscribers as they are. Subscribers are spread over a few threads ([`lane`]), each of which writes either every
//! frame to every subscriber, or with `--coalesce` in one write all that lies after a subscriber's cursor.

mod lane;

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::{Parser, ValueEnum};

use crate::{Failure, machine, scanner};
use lane::Lane;

/// Says that a connection wants to have everything.
pub(crate) const SUBSCRIBER: u8 = b's';

/// Says that a connection sends what the others get.
pub(crate) const PUBLISHER: u8 = b'p';

/// An empty pong frame.
const WELCOME: [u8; 2] = [0x8a, 0];

/// How long somebody who connects may take to say who they are.
const HELLO: Duration = Duration::from_secs(5);

/// How often a fault happens: at every so many-th frame.
const FAULT_EVERY: u64 = 10;

/// What is read from the publisher at once.
const READ_BYTES: usize = 64 * 1024;

/// Serves as a floor until standard input ends, and first says where.
#[derive(Debug, Parser)]
#[command(name = "chat-load floor")]
struct Options {
    /// One write of everything after a subscriber's cursor, instead of one for each frame
    #[arg(long)]
    coalesce: bool,
    /// Threads that write
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Does something wrong now and then, to show that it is noticed
    #[arg(long, hide = true)]
    fault: Option<Fault>,
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// A frame is left out.
    Drop,
    /// A frame is sent twice.
    Double,
    /// A frame changes places with the next.
    Swap,
}

/// Runs the program `floor`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::parse_from(arguments);
    machine::raise_descriptors();
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    println!("floor on {}", listener.local_addr()?);
    let lanes: Vec<_> = (0..options.threads.clamp(1, 64)).map(|_| Lane::start(options.coalesce)).collect();
    thread::spawn(move || accept(&listener, &lanes, options.fault));
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn accept(listener: &TcpListener, lanes: &[Arc<Lane>], fault: Option<Fault>) {
    let mut subscribers = 0;
    loop {
        // A connection that fails while it is accepted or welcomed is nobody's but the caller's trouble.
        let Ok((stream, _)) = listener.accept() else { continue };
        match welcome(&stream) {
            Ok(PUBLISHER) => {
                let lanes = lanes.to_vec();
                thread::spawn(move || publish(stream, &lanes, fault));
            }
            Ok(SUBSCRIBER) if stream.set_nonblocking(true).is_ok() => {
                lanes[subscribers % lanes.len()].join(stream);
                subscribers += 1;
            }
            _ => {}
        }
    }
}

fn welcome(mut stream: &TcpStream) -> io::Result<u8> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HELLO))?;
    let mut hello = [0];
    stream.read_exact(&mut hello)?;
    stream.set_read_timeout(None)?;
    stream.write_all(&WELCOME)?;
    Ok(hello[0])
}

/// Gives every frame of the publisher to all lanes, until the publisher leaves.
fn publish(mut stream: TcpStream, lanes: &[Arc<Lane>], fault: Option<Fault>) {
    let (mut begun, mut buffer, mut kept) = (Vec::new(), vec![0; READ_BYTES], Vec::new());
    let mut number = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        begun.extend_from_slice(&buffer[..read]);
        let mut done = 0;
        while let Ok(Some((_, end))) = scanner::extent(&begun[done..])
            && begun.len() >= done + end
        {
            let frame = &begun[done..done + end];
            number += 1;
            let faulty = number % FAULT_EVERY == 0;
            let give = |frame: &[u8]| lanes.iter().for_each(|lane| lane.give(frame));
            match fault.filter(|_| faulty) {
                Some(Fault::Drop) => {}
                Some(Fault::Double) => {
                    give(frame);
                    give(frame);
                }
                Some(Fault::Swap) => kept = frame.to_vec(),
                None => {
                    give(frame);
                    if !kept.is_empty() {
                        give(&std::mem::take(&mut kept));
                    }
                }
            }
            done += end;
        }
        begun.drain(..done);
    }
}
