//! One client of the HTTP API: a connection that is kept, and one request at a time on it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure,
    limits::{ANSWER_BYTES_MAX, ANSWER_READ_BYTES, HEAD_BYTES_MAX, PATIENCE, REST},
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The path, with the query.
    pub(crate) path: &'a str,
    /// Who asks: an access token.
    pub(crate) token: Option<&'a str>,
    /// Of what type the body is.
    pub(crate) content_type: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// One without a body.
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, token: None, content_type: "", body: &[] }
    }

    /// One with JSON.
    pub(crate) fn post(path: &'a str, json: &'a str) -> Self {
        let body = json.as_bytes();
        Self { method: "POST", path, token: None, content_type: "application/json", body }
    }

    /// By whoever has this token.
    pub(crate) fn by(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Its line and all headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// From handing the request to the socket until the last byte of the answer was read, in nanoseconds.
    pub(crate) nanos: u64,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// How long the server wants to be left alone before it is asked again, if it does.
    pub(crate) fn put_off(&self) -> Option<Duration> {
        let seconds = self.header("retry-after").filter(|_| matches!(self.status, 429 | 503))?;
        seconds.parse().ok().map(Duration::from_secs)
    }

    /// The answer, if it has this status.
    ///
    /// # Errors
    /// When it has another one.
    pub(crate) fn expect(self, status: u16, what: &str) -> Result<Self, Failure> {
        match self.status == status {
            true => Ok(self),
            false => Err(format!("{what} was answered {}", self.status).into()),
        }
    }
}

/// A connection.
pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    used: Instant,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nothing answers.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let (stream, used) = (dial(address)?, Instant::now());
        Ok(Self { address, stream, used, buffer: vec![0; ANSWER_READ_BYTES] })
    }

    /// Asks, as if from this address: the server takes the client for a proxy.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub(crate) fn ask(&mut self, from: &str, request: &Request<'_>) -> Result<Answer, Failure> {
        if self.used.elapsed() > REST {
            self.stream = dial(self.address)?;
        }
        let Request { method, path, content_type, body, .. } = request;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: chat\r\nX-Forwarded-For: {from}\r\n");
        if let Some(token) = request.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if !content_type.is_empty() {
            head += &format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        let begun = Instant::now();
        self.stream.write_all(&bytes)?;
        let mut answer = self.answer()?;
        answer.nanos = u64::try_from(begun.elapsed().as_nanos())?;
        self.used = Instant::now();
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = dial(self.address)?;
        }
        Ok(answer)
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let mut got = Vec::new();
        let end = loop {
            self.read(&mut got)?;
            if let Some(end) = memchr::memmem::find(&got, b"\r\n\r\n") {
                break end;
            }
            if got.len() > HEAD_BYTES_MAX {
                return Err("the head of an answer is too long".into());
            }
        };
        let body = got.split_off(end + 4);
        got.truncate(end);
        let head = String::from_utf8(got)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or("an answer without a status")?;
        let mut answer = Answer { status, head, body, nanos: 0 };
        let length: usize = match (answer.header("content-length"), status) {
            (Some(length), _) => length.parse()?,
            (None, 204 | 304) => 0,
            (None, _) => return Err("an answer without a length".into()),
        };
        if length > ANSWER_BYTES_MAX {
            return Err("an answer is too long".into());
        }
        while answer.body.len() < length {
            self.read(&mut answer.body)?;
        }
        match answer.body.len() == length {
            true => Ok(answer),
            false => Err("an answer is longer than it says".into()),
        }
    }

    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Failure> {
        match self.stream.read(&mut self.buffer)? {
            0 => Err("the server hung up".into()),
            read => {
                into.extend_from_slice(&self.buffer[..read]);
                Ok(())
            }
        }
    }
}

fn dial(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
