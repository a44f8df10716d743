//! A connection on which one request follows another.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    http::Answer,
    multipart::{PNG, content_type, end, part},
};

pub struct Line {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    used: Instant,
}

/// What is asked on a [`Line`].
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub token: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// Far longer than any answer takes; only so that a hanging server fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long the server may be about to hang up.
const STALE: Duration = Duration::from_secs(5);

impl Ask {
    pub fn new(method: &str, path: &str, token: Option<&str>) -> Self {
        let token = token.map(str::to_owned);
        Self { method: method.to_uppercase(), path: path.to_owned(), token, ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        Self { body: Some(body.to_string().into_bytes()), ..self.header("Content-Type", "application/json") }
    }

    /// With a small picture.
    pub fn file(self) -> Self {
        let body = [part("file", Some("a.png"), PNG), end()].concat();
        Self { body: Some(body), ..self.header("Content-Type", &content_type()) }
    }
}

impl Line {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, used: Instant::now() }
    }

    /// Asks and reads the answer; of a stream of events only the head.
    pub fn ask(&mut self, ask: &Ask) -> Answer {
        let Ask { method, path, token, headers, body } = ask;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(token) = token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = body.as_deref().unwrap_or_default();
        let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        let mut stream = self.stream.take().filter(|_| self.used.elapsed() < STALE).unwrap_or_else(|| {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            BufReader::new(stream)
        });
        stream.get_mut().write_all(&bytes).unwrap();
        let (answer, is_whole) = read(&mut stream, method);
        self.used = Instant::now();
        self.stream =
            Some(stream).filter(|_| is_whole && answer.header("connection").is_none_or(|it| it != "close"));
        answer
    }
}

fn read(stream: &mut BufReader<TcpStream>, method: &str) -> (Answer, bool) {
    let status = line(stream).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line(stream);
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut answer = Answer { status, headers, body: String::new(), bytes: Vec::new() };
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return (answer, false);
    }
    let mut body = Vec::new();
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let size = usize::from_str_radix(&line(stream), 16).unwrap();
            take(stream, size, &mut body);
            line(stream);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = answer.header("content-length").filter(|_| method != "HEAD") {
        take(stream, length.parse().unwrap(), &mut body);
    }
    answer.body = String::from_utf8_lossy(&body).into_owned();
    answer.bytes = body;
    (answer, true)
}

fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.ends_with("\r\n"), "it broke off: {line:?}");
    line.trim_end().to_owned()
}

fn take(stream: &mut BufReader<TcpStream>, size: usize, body: &mut Vec<u8>) {
    let begin = body.len();
    body.resize(begin + size, 0);
    stream.read_exact(&mut body[begin..]).unwrap();
}
