//! Frames made by hand: what a client says, and what a floor is to send on.

use std::{io, net::SocketAddr};

use chat_core::{
    domain::{Change, Content, Entry, Mentions, Message, MessageType, Replies},
    id::{RoomId, Seq, UserId},
    time::Timestamp,
    wire::entry_frame,
};
use serde_json::json;

use crate::{Failure, stamp};

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
    let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else { return Ok(None) };
    if head.starts_with(b"HTTP/1.1 101") {
        Ok(Some(end + 4))
    } else {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(io::Error::other(format!("no upgrade: {}", String::from_utf8_lossy(line))))
    }
}

/// Appends a client's text frame. Its masking key is zero, which masks by changing nothing.
pub(crate) fn put_client_frame(into: &mut Vec<u8>, json: &[u8]) {
    put_head(into, 0x81, 0x80, json.len());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(json);
}

/// Appends the answer to a ping.
pub(crate) fn put_pong(into: &mut Vec<u8>, payload: &[u8]) {
    put_head(into, 0x8a, 0x80, payload.len());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(payload);
}

/// Appends a server's text frame.
pub(crate) fn put_server_frame(into: &mut Vec<u8>, json: &[u8]) {
    put_head(into, 0x81, 0, json.len());
    into.extend_from_slice(json);
}

fn put_head(into: &mut Vec<u8>, first: u8, mask: u8, length: usize) {
    into.push(first);
    match length {
        0..=125 => into.push(mask | length as u8),
        126..=0xffff => {
            into.push(mask | 126);
            into.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            into.push(mask | 127);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A command as a frame.
pub(crate) fn command(fields: &serde_json::Value) -> Vec<u8> {
    let mut frame = Vec::new();
    put_client_frame(&mut frame, fields.to_string().as_bytes());
    frame
}

/// The command that joins a room.
pub(crate) fn join(room: &str) -> Vec<u8> {
    command(&json!({ "type": "join_room", "id": 1, "roomId": room }))
}

/// The text of every message, but for its stamp.
fn padding(bytes: usize) -> String {
    "x".repeat(bytes.saturating_sub(stamp::TEXT_BYTES_MIN))
}

/// Makes the messages of one sender to one room or user.
#[derive(Debug)]
pub(crate) struct Messages {
    before_stamp: Vec<u8>,
    before_id: Vec<u8>,
    json: Vec<u8>,
}

impl Messages {
    /// To a room.
    pub(crate) fn to_room(room: &str, bytes: usize) -> Self {
        Self::new(&format!(r#"{{"type":"send_message","roomId":"{room}""#), bytes)
    }

    /// To a user.
    pub(crate) fn to_user(user: &str, bytes: usize) -> Self {
        Self::new(&format!(r#"{{"type":"send_dm","recipientId":"{user}""#), bytes)
    }

    fn new(head: &str, bytes: usize) -> Self {
        Self {
            before_stamp: format!(r#"{head},"content":"{}{}"#, padding(bytes), stamp::MARKER).into_bytes(),
            before_id: br#"","clientMessageId":""#.to_vec(),
            json: Vec::new(),
        }
    }

    /// Appends the frame of the next message: its key and its id are made of the stamp, too, so stamps of one
    /// sender must differ.
    pub(crate) fn put_next(&mut self, into: &mut Vec<u8>, stamp: u64) {
        self.json.clear();
        self.json.extend_from_slice(&self.before_stamp);
        stamp::put(&mut self.json, stamp);
        self.json.extend_from_slice(&self.before_id);
        stamp::put(&mut self.json, stamp);
        self.json.extend_from_slice(br#"","id":"#);
        self.json.extend_from_slice(stamp.to_string().as_bytes());
        self.json.push(b'}');
        put_client_frame(into, &self.json);
    }
}

/// Makes the frames that a server would send of one room's messages, for a floor to send on.
#[derive(Debug)]
pub(crate) struct Ready {
    before_seq: Vec<u8>,
    before_stamp: Vec<u8>,
    after_stamp: Vec<u8>,
    seq: u64,
    json: Vec<u8>,
}

impl Ready {
    /// As the engine's own wire module writes them.
    ///
    /// # Errors
    /// When that module writes them otherwise than is expected here.
    pub(crate) fn new(room: &str, bytes: usize) -> Result<Self, Failure> {
        let text = format!("{}{}{:016}", padding(bytes), stamp::MARKER, 0);
        let message = Message {
            ordinal: 1,
            content: Content::from_stored(&text),
            message_type: MessageType::Text,
            attachments: Default::default(),
            client_message_id: None,
            recipient: None,
            reply_to: None,
            mentions: Mentions::default(),
            edited: None,
            deleted: None,
            pinned: None,
            reactions: Vec::new(),
            thread: None,
            replies: Replies::default(),
        };
        let entry = Entry {
            room: RoomId::parse(room)?,
            seq: Seq::new(1),
            at: Timestamp::from_millis(1_790_000_000_000),
            actor: UserId::parse("load-0")?,
            change: Change::Send(message),
        };
        let json = entry_frame(&entry, "load-0", false);
        let cut = |needle: &[u8]| memchr::memmem::find(&json, needle).map(|at| at + needle.len());
        let (Some(seq), Some(digits)) = (cut(br#""seq":"#), cut(stamp::MARKER.as_bytes())) else {
            return Err("a message has no seq".into());
        };
        Ok(Self {
            before_seq: json[..seq].to_vec(),
            before_stamp: json[seq + 1..digits].to_vec(),
            after_stamp: json[digits + stamp::DIGITS..].to_vec(),
            seq: 0,
            json: Vec::new(),
        })
    }

    /// Appends the frame of the next message.
    pub(crate) fn put_next(&mut self, into: &mut Vec<u8>, stamp: u64) {
        self.seq += 1;
        self.json.clear();
        self.json.extend_from_slice(&self.before_seq);
        self.json.extend_from_slice(self.seq.to_string().as_bytes());
        self.json.extend_from_slice(&self.before_stamp);
        stamp::put(&mut self.json, stamp);
        self.json.extend_from_slice(&self.after_stamp);
        put_server_frame(into, &self.json);
    }

    /// The newest message's place.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }
}
