//! A WebSocket client that costs next to nothing: frames made by hand, answers recognised by their first bytes.
//! What it says is what any client says; what it hears it does not decode.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::service::{Failure, TEXT_BYTES};

/// The request for the upgrade. The key is that of RFC 6455: nothing here depends on it.
pub(crate) fn upgrade_request(address: SocketAddr) -> Vec<u8> {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// How long the head of the answer is, once all of it has come.
///
/// # Errors
/// When it is no 101.
pub(crate) fn upgraded(head: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    if head.starts_with(b"HTTP/1.1 101") {
        Ok(Some(end + 4))
    } else {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(io::Error::other(format!("no upgrade: {}", String::from_utf8_lossy(line))))
    }
}

/// Appends a text frame. Its masking key is zero, which masks by changing nothing.
pub(crate) fn put_frame(into: &mut Vec<u8>, json: &str) {
    into.push(0x81);
    match json.len() {
        length @ 0..=125 => into.push(0x80 | length as u8),
        length => {
            into.push(0x80 | 126);
            // Nothing that is sent here comes near to 64 KiB.
            into.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(json.as_bytes());
}

/// The first command of a connection. `subscribe` is `all` or `none`.
pub(crate) fn authenticate(user: &str, subscribe: &str) -> String {
    format!(r#"{{"type":"authenticate","id":0,"token":"{user}","subscribe":"{subscribe}"}}"#)
}

/// Makes messages that differ, each under a key of its own as a careful client sends them.
pub(crate) struct Messages {
    before_key: String,
    after_key: String,
    sent: u64,
    json: String,
}

impl Messages {
    /// Of one user to one room. The user's name keeps keys of different senders apart where logs are read.
    pub(crate) fn new(room: &str, user: &str) -> Self {
        let text = "x".repeat(TEXT_BYTES);
        Self {
            before_key: format!(
                r#"{{"type":"send_message","roomId":"{room}","content":"{text}","clientMessageId":"{user}-"#
            ),
            after_key: r#"","id":"#.to_owned(),
            sent: 0,
            json: String::new(),
        }
    }

    /// Appends the frame of the next message.
    pub(crate) fn put_next(&mut self, into: &mut Vec<u8>) {
        self.sent += 1;
        self.json.clear();
        // Writing to a String can't fail.
        let _ = write!(self.json, "{}{}{}{}}}", self.before_key, self.sent, self.after_key, self.sent);
        put_frame(into, &self.json);
    }
}

/// What a frame is, as far as a measurement cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `authenticated`
    Welcome,
    /// `ack`
    Ack,
    /// `new_message`
    Message,
    /// Something else that is no trouble.
    Other,
    /// `error` or `auth_error`, or a close frame: nothing that is measured here should get one.
    Trouble,
}

/// First bytes of a frame's payload that are kept: enough for its type, and for an error to be understood.
const START_BYTES: usize = 160;

/// Cuts a stream of the server's frames, however it is torn into reads, and tells the kind of each.
pub(crate) struct Scanner {
    header: [u8; 10],
    header_len: usize,
    left: u64,
    start: [u8; START_BYTES],
    start_len: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { header: [0; 10], header_len: 0, left: 0, start: [0; START_BYTES], start_len: 0 }
    }
}

impl Scanner {
    /// Goes on with what has been read; `each` hears of every frame that is complete with it.
    ///
    /// # Errors
    /// What the server says, when a frame tells of [`Kind::Trouble`].
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Kind)) -> Result<(), Failure> {
        while let Some(&byte) = bytes.first() {
            if self.header_len < self.header_wanted() {
                self.header[self.header_len] = byte;
                self.header_len += 1;
                bytes = &bytes[1..];
                if self.header_len < self.header_wanted() {
                    continue;
                }
                self.left = self.payload_len();
            } else {
                let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let kept = taken.min(START_BYTES - self.start_len);
                self.start[self.start_len..self.start_len + kept].copy_from_slice(&bytes[..kept]);
                self.start_len += kept;
                self.left -= taken as u64;
                bytes = &bytes[taken..];
            }
            if self.left == 0 {
                let kind = self.kind();
                if kind == Kind::Trouble {
                    let start = String::from_utf8_lossy(&self.start[..self.start_len]);
                    return Err(format!("the server says: {start}").into());
                }
                (self.header_len, self.start_len) = (0, 0);
                each(kind);
            }
        }
        Ok(())
    }

    /// How long this frame's header is, as far as is known.
    fn header_wanted(&self) -> usize {
        match (self.header_len, self.header[1] & 0x7f) {
            (0 | 1, _) => 2,
            (_, 126) => 4,
            (_, 127) => 10,
            _ => 2,
        }
    }

    fn payload_len(&self) -> u64 {
        let extended = &self.header[2..self.header_wanted()];
        match extended.is_empty() {
            true => u64::from(self.header[1] & 0x7f),
            false => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        }
    }

    fn kind(&self) -> Kind {
        const TYPES: [(&[u8], Kind); 5] = [
            (br#"{"type":"new_message""#, Kind::Message),
            (br#"{"type":"ack""#, Kind::Ack),
            (br#"{"type":"authenticated""#, Kind::Welcome),
            (br#"{"type":"error""#, Kind::Trouble),
            (br#"{"type":"auth_error""#, Kind::Trouble),
        ];
        match self.header[0] & 0x0f {
            0x8 => Kind::Trouble,
            0x1 => {
                let start = &self.start[..self.start_len];
                let known = TYPES.iter().find(|(prefix, _)| start.starts_with(prefix));
                known.map_or(Kind::Other, |(_, kind)| *kind)
            }
            _ => Kind::Other,
        }
    }
}

/// A client that waits: for one request at a time.
pub(crate) struct BlockingLink {
    stream: TcpStream,
    scanner: Scanner,
    buffer: Vec<u8>,
}

impl BlockingLink {
    /// An authenticated connection.
    pub(crate) fn open(address: SocketAddr, user: &str, subscribe: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(&upgrade_request(address))?;
        let (mut head, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        while upgraded(&head)?.is_none() {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Err("the server hung up".into());
            }
            head.extend_from_slice(&buffer[..read]);
        }
        let mut link = Self { stream, scanner: Scanner::default(), buffer };
        let mut frame = Vec::new();
        put_frame(&mut frame, &authenticate(user, subscribe));
        link.ask(&frame, Kind::Welcome)?;
        Ok(link)
    }

    /// Sends and waits for a frame of that kind.
    pub(crate) fn ask(&mut self, frame: &[u8], kind: Kind) -> Result<(), Failure> {
        self.stream.write_all(frame)?;
        let mut seen = false;
        while !seen {
            let read = self.stream.read(&mut self.buffer)?;
            if read == 0 {
                return Err("the server hung up".into());
            }
            self.scanner.feed(&self.buffer[..read], |found| seen |= found == kind)?;
        }
        Ok(())
    }
}
