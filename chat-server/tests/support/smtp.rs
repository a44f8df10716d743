//! A relay that takes mail and shows it (RFC 5321, as much as a client needs).

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
};

pub struct Relay {
    pub address: SocketAddr,
    mails: Receiver<String>,
}

impl Relay {
    /// Listens; the mails of one connection after the other are taken.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mails) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    serve(stream.unwrap(), |mail| sender.send(mail).unwrap_or_default())
                });
            }
        });
        Self { address, mails }
    }

    /// The next mail: its envelope and all its lines, undone of what mail does to long ones.
    pub fn next(&self) -> String {
        self.mails.recv_timeout(std::time::Duration::from_secs(60)).unwrap()
    }

    /// That nothing else has come.
    pub fn assert_empty(&self) {
        assert!(self.mails.try_recv().is_err());
    }
}

fn serve(mut stream: TcpStream, took: impl Fn(String)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut say = |line: &str| stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    say("220 relay");
    let mut mail = String::new();
    while let Some(line) = lines.next() {
        match line.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => say("250 AUTH PLAIN"),
            "AUTH" => say("235 welcome"),
            "DATA" => {
                say("354 go on");
                for line in lines.by_ref().take_while(|line| line != ".") {
                    // A dot at the beginning is doubled (RFC 5321, 4.5.2).
                    let line = line.strip_prefix('.').unwrap_or(&line);
                    // Quoted-printable ends a line that goes on with an equals sign.
                    match line.strip_suffix('=') {
                        Some(begun) => mail += begun,
                        None => mail += &format!("{line}\n"),
                    }
                }
                took(std::mem::take(&mut mail).replace("=3D", "="));
                say("250 taken");
            }
            "QUIT" => return say("221 bye"),
            _ => {
                mail += &format!("{line}\n");
                say("250 fine");
            }
        }
    }
}
