//! Cuts what a server sends into frames and finds in them what a measurement needs, without decoding JSON.
//!
//! A frame is known by its first bytes, its fields by their names: the server writes fields in a fixed order and
//! without spaces, and a quote in somebody's text is always escaped, so no text can look like a field.

use memchr::memmem::Finder;

use crate::{Failure, limits::FRAME_BYTES_MAX, stamp};

/// What a frame is, as far as a measurement cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `authenticated`
    Welcome,
    /// `ack` and the named replies that are asked for here.
    Answer,
    /// `new_message` or `new_dm`
    Message,
    /// Another entry of a log.
    Entry,
    /// `caught_up`
    CaughtUp,
    /// A ping of the transport, to be answered with its payload.
    Ping,
    /// A pong of the transport: what a floor says to who is new.
    Pong,
    /// Something else that is no trouble.
    Other,
    /// An error, a replay that was refused, or a close frame: nothing that is measured should get one.
    Trouble,
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// What it holds.
    pub(crate) payload: &'a [u8],
}

/// Finds fields in frames.
#[derive(Debug)]
pub(crate) struct Fields {
    room: Finder<'static>,
    seq: Finder<'static>,
    id: Finder<'static>,
    marker: Finder<'static>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            room: Finder::new(br#""roomId":""#),
            seq: Finder::new(br#""seq":"#),
            id: Finder::new(br#""id":"#),
            marker: Finder::new(stamp::MARKER),
        }
    }
}

impl Fields {
    /// The room and the place in its log that an entry, or the ack of one, tells.
    pub(crate) fn place<'a>(&self, payload: &'a [u8]) -> Option<(&'a [u8], u64)> {
        let room = after(&self.room, payload)?;
        let end = memchr::memchr(b'"', room)?;
        Some((&room[..end], number(after(&self.seq, room)?)?))
    }

    /// The number by which a command was told apart.
    pub(crate) fn id(&self, payload: &[u8]) -> Option<u64> {
        number(after(&self.id, payload)?)
    }

    /// When a message was sent.
    pub(crate) fn stamp(&self, payload: &[u8]) -> Option<u64> {
        stamp::read(after(&self.marker, payload)?)
    }
}

fn after<'a>(finder: &Finder<'_>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    finder.find(bytes).map(|at| &bytes[at + finder.needle().len()..])
}

fn number(digits: &[u8]) -> Option<u64> {
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// What a frame's first bytes say of it.
fn kind(opcode: u8, payload: &[u8]) -> Kind {
    const TYPE: &[u8] = br#"{"type":""#;
    match opcode {
        0x1 => {}
        0x8 => return Kind::Trouble,
        0x9 => return Kind::Ping,
        0xa => return Kind::Pong,
        _ => return Kind::Other,
    }
    let Some(rest) = payload.strip_prefix(TYPE) else { return Kind::Other };
    let name = &rest[..memchr::memchr(b'"', rest).unwrap_or(0)];
    match name {
        b"new_message" | b"new_dm" => Kind::Message,
        b"ack" | b"room" => Kind::Answer,
        b"user_joined" | b"user_left" | b"room_updated" | b"member_updated" => Kind::Entry,
        b"authenticated" => Kind::Welcome,
        b"caught_up" => Kind::CaughtUp,
        b"error" | b"auth_error" | b"resync_required" | b"resume_failed" | b"server_draining" => {
            Kind::Trouble
        }
        _ => Kind::Other,
    }
}

/// Where a frame's payload begins and ends, once enough of its header is there.
pub(crate) fn extent(bytes: &[u8]) -> Result<Option<(usize, usize)>, Failure> {
    let Some((_, &length)) = bytes.first().zip(bytes.get(1)) else { return Ok(None) };
    let extended = match length & 0x7f {
        126 => 2,
        127 => 8,
        short => return Ok(Some((2, 2 + usize::from(short)))),
    };
    let Some(digits) = bytes.get(2..2 + extended) else { return Ok(None) };
    let length = digits.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    match usize::try_from(length) {
        Ok(length) if length <= FRAME_BYTES_MAX => Ok(Some((2 + extended, 2 + extended + length))),
        _ => Err(format!("a frame of {length} bytes").into()),
    }
}

/// Cuts a stream, however it is torn into reads. What is whole is looked at where it lies; only a frame that a
/// read ends within is kept.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    begun: Vec<u8>,
}

impl Scanner {
    /// Goes on with what has been read; `each` gets every frame that is complete with it.
    ///
    /// # Errors
    /// When this is no stream of frames, when a frame tells of [`Kind::Trouble`], or what `each` fails with.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while !self.begun.is_empty() && !bytes.is_empty() {
            let wanted = match extent(&self.begun)? {
                None => self.begun.len() + 1,
                Some((_, end)) => end,
            };
            let (taken, rest) = bytes.split_at((wanted - self.begun.len()).min(bytes.len()));
            self.begun.extend_from_slice(taken);
            bytes = rest;
            if let Some((start, end)) = extent(&self.begun)?
                && self.begun.len() == end
            {
                emit(self.begun[0], &self.begun[start..], &mut each)?;
                // Memory of a large frame is not kept: thousands of connections may have had one.
                self.begun = Vec::new();
            }
        }
        while let Some((start, end)) = extent(bytes)?
            && end <= bytes.len()
        {
            emit(bytes[0], &bytes[start..end], &mut each)?;
            bytes = &bytes[end..];
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }
}

fn emit(
    first: u8,
    payload: &[u8],
    each: &mut impl FnMut(Frame<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match kind(first & 0x0f, payload) {
        Kind::Trouble => {
            let said = &payload[..payload.len().min(300)];
            Err(format!("the server says: {}", String::from_utf8_lossy(said)).into())
        }
        kind => each(Frame { kind, payload }),
    }
}

#[cfg(test)]
mod tests {
    use chat_core::{
        domain::{Change, Entry, LeaveReason, Role},
        id::{RoomId, Seq, UserId},
        time::Timestamp,
        wire::{Answer, Notice, RequestId, entry_frame},
    };

    use super::*;
    use crate::frames;

    fn framed(json: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames::put_server_frame(&mut bytes, json);
        bytes
    }

    fn entry(seq: u64, change: Change) -> Vec<u8> {
        let (room, actor) = (RoomId::parse("room-1").unwrap(), UserId::parse("ada").unwrap());
        let entry = Entry { room, seq: Seq::new(seq), at: Timestamp::from_millis(0), actor, change };
        framed(&entry_frame(&entry, "ada", false))
    }

    /// What the server says in these tests, as it says it.
    fn said() -> Vec<Vec<u8>> {
        let room = RoomId::parse("room-1").unwrap();
        let ada = UserId::parse("ada").unwrap();
        let joined = Change::Join { user: ada.clone(), role: Role::Member, member_count: 3 };
        let left =
            Change::Leave { user: ada, role: Role::Member, reason: LeaveReason::Left, member_count: 2 };
        let sent = Answer::Sent {
            message_id: "m".into(),
            room_id: "room-1".into(),
            seq: 12,
            created_at: Timestamp::from_millis(0),
            duplicate: false,
        };
        let mut ready = frames::Ready::new("room-1", 200).unwrap();
        let mut message = Vec::new();
        ready.put_next(&mut message, 0xfeed);
        vec![
            entry(7, joined),
            entry(8, left),
            message,
            framed(&sent.frame(Some(&RequestId::Number(99)))),
            framed(&Notice::CaughtUp(room, 5).frame()),
            framed(&Notice::Ping.frame()),
            vec![0x89, 0],
        ]
    }

    fn told(kind: Kind, payload: &[u8]) -> (Kind, Option<u64>, Option<u64>, Option<u64>) {
        let fields = Fields::default();
        let place = fields.place(payload);
        if let Some((room, _)) = place {
            assert_eq!(room, b"room-1");
        }
        (kind, place.map(|place| place.1), fields.id(payload), fields.stamp(payload))
    }

    #[test]
    fn what_the_server_says_is_understood_however_it_is_torn() {
        let all: Vec<u8> = said().concat();
        for step in [1, 2, 3, 7, 100, 1_000, all.len()] {
            let (mut scanner, mut seen) = (Scanner::default(), Vec::new());
            for part in all.chunks(step) {
                let each = |frame: Frame<'_>| {
                    seen.push(told(frame.kind, frame.payload));
                    Ok(())
                };
                scanner.feed(part, each).unwrap();
            }
            let expected = [
                (Kind::Entry, Some(7), None, None),
                (Kind::Entry, Some(8), None, None),
                (Kind::Message, Some(1), None, Some(0xfeed)),
                (Kind::Answer, Some(12), Some(99), None),
                (Kind::CaughtUp, Some(5), None, None),
                (Kind::Other, None, None, None),
                (Kind::Ping, None, None, None),
            ];
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }

    #[test]
    fn an_error_and_a_close_frame_are_trouble() {
        let error = framed(br#"{"type":"error","id":1,"code":"forbidden","message":"no"}"#);
        let refused = Scanner::default().feed(&error, |_| Ok(())).unwrap_err().to_string();
        assert!(refused.contains("forbidden"), "{refused}");
        assert!(Scanner::default().feed(&[0x88, 2, 3, 233], |_| Ok(())).is_err());
    }
}
