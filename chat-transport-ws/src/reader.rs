//! Bytes from a client become messages: the receiving half of RFC 6455, without I/O.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// Takes bytes as they come and gives out what they mean. Between messages it owns no memory; within one it
/// owns what has come of it, never more than the bound.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Bytes not looked at yet: at most one read.
    unread: Vec<u8>,
    /// How many of them are done with.
    at: usize,
    /// The frame whose payload is arriving.
    frame: Option<Arriving>,
    /// The message whose fragments are arriving.
    kind: Option<Kind>,
    /// What has come of it; stays empty for messages that are skipped.
    message: Vec<u8>,
    /// How much has come of it, kept or not.
    message_bytes: usize,
    /// Payload of the control frame that is arriving.
    control: Vec<u8>,
    bound: usize,
    /// Nothing is kept any more; only the peer's goodbye is waited for.
    skipping: bool,
}

#[derive(Debug)]
struct Arriving {
    opcode: OpCode,
    last: bool,
    mask: [u8; 4],
    /// Where in the mask the next byte stands.
    phase: usize,
    left: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Text(Vec<u8>),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// Why nothing more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The message is over the bound. What follows can still be skipped.
    TooLarge,
    /// RFC 6455 is broken; the place in the stream is lost.
    Malformed,
}

/// Longest payload of a control frame (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

impl Reader {
    /// A reader that permits messages of `bound` bytes, and the bytes that have come already.
    pub(crate) fn new(bound: usize, come: Vec<u8>) -> Self {
        Self {
            unread: come,
            at: 0,
            frame: None,
            kind: None,
            message: Vec::new(),
            message_bytes: 0,
            control: Vec::new(),
            bound,
            skipping: false,
        }
    }

    /// Adds bytes. Ask [`Reader::next`] until it has nothing before adding more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.unread.drain(..self.at);
            self.at = 0;
        }
        self.unread.extend_from_slice(bytes);
    }

    /// From now on only the peer's goodbye counts: nothing is kept, and no bound holds.
    pub(crate) fn skip(&mut self) {
        self.skipping = true;
        (self.message, self.control) = (Vec::new(), Vec::new());
    }

    /// What the bytes so far mean, one at a time; `None` when more are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Came>, Fault> {
        loop {
            if self.frame.is_none() && !self.begin()? {
                return Ok(None);
            }
            if !self.take_payload() {
                return Ok(None);
            }
            let Some(frame) = self.frame.take() else { return Ok(None) };
            if let Some(came) = self.finish(&frame)? {
                return Ok(Some(came));
            }
        }
    }

    /// Reads a header. False when it is not whole yet.
    fn begin(&mut self) -> Result<bool, Fault> {
        let mut cursor = Cursor::new(&self.unread[self.at..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Fault::Malformed)?;
        let Some((header, length)) = parsed else {
            if self.at == self.unread.len() {
                (self.unread, self.at) = (Vec::new(), 0);
            }
            return Ok(false);
        };
        self.at += usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Fault::Malformed);
        }
        // A client's frames are masked without exception (section 5.1).
        let mask = header.mask.ok_or(Fault::Malformed)?;
        match header.opcode {
            OpCode::Control(_) => {
                if !header.is_final || length > CONTROL_BYTES_MAX {
                    return Err(Fault::Malformed);
                }
            }
            OpCode::Data(data) => {
                match (data, self.kind) {
                    (Data::Text, None) => self.kind = Some(Kind::Text),
                    (Data::Binary, None) => self.kind = Some(Kind::Binary),
                    (Data::Continue, Some(_)) => {}
                    _ => return Err(Fault::Malformed),
                }
                let room = (self.bound - self.message_bytes.min(self.bound)) as u64;
                if length > room && !self.skipping {
                    self.frame = Some(arriving(&header, mask, length));
                    return Err(Fault::TooLarge);
                }
                self.message_bytes =
                    self.message_bytes.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            }
        }
        self.frame = Some(arriving(&header, mask, length));
        Ok(true)
    }

    /// Takes what has come of the payload. False when it is not whole yet.
    fn take_payload(&mut self) -> bool {
        let Some(frame) = &mut self.frame else { return false };
        let come = &mut self.unread[self.at..];
        let taken = usize::try_from(frame.left).unwrap_or(usize::MAX).min(come.len());
        let payload = &mut come[..taken];
        let kept = match frame.opcode {
            _ if self.skipping => None,
            OpCode::Control(_) => Some(&mut self.control),
            OpCode::Data(_) if self.kind == Some(Kind::Text) => Some(&mut self.message),
            OpCode::Data(_) => None,
        };
        if let Some(kept) = kept {
            frame.unmask(payload);
            kept.extend_from_slice(payload);
        }
        frame.left -= taken as u64;
        self.at += taken;
        let whole = frame.left == 0;
        if self.at == self.unread.len() {
            (self.unread, self.at) = (Vec::new(), 0);
        }
        whole
    }

    fn finish(&mut self, frame: &Arriving) -> Result<Option<Came>, Fault> {
        let control = match frame.opcode {
            OpCode::Control(control) => control,
            OpCode::Data(_) if !frame.last => return Ok(None),
            OpCode::Data(_) => {
                self.message_bytes = 0;
                let message = std::mem::take(&mut self.message);
                return match self.kind.take() {
                    _ if self.skipping => Ok(None),
                    // Section 8.1 lets no other text pass.
                    Some(Kind::Text) if std::str::from_utf8(&message).is_err() => Err(Fault::Malformed),
                    Some(Kind::Text) => Ok(Some(Came::Text(message))),
                    Some(Kind::Binary) => Ok(Some(Came::Binary)),
                    None => Err(Fault::Malformed),
                };
            }
        };
        let payload = std::mem::take(&mut self.control);
        match control {
            // The one-byte body that section 5.5.1 forbids makes no difference to a goodbye.
            Control::Close => Ok(Some(Came::Close)),
            _ if self.skipping => Ok(None),
            Control::Ping => Ok(Some(Came::Ping(payload))),
            Control::Pong => Ok(Some(Came::Pong)),
            Control::Reserved(_) => Err(Fault::Malformed),
        }
    }
}

fn arriving(header: &FrameHeader, mask: [u8; 4], left: u64) -> Arriving {
    Arriving { opcode: header.opcode, last: header.is_final, mask, phase: 0, left }
}

impl Arriving {
    fn unmask(&mut self, payload: &mut [u8]) {
        // Four bytes at a time, the mask turned to where the payload goes on; the compiler makes vectors of it.
        self.mask.rotate_left(self.phase);
        self.phase = 0;
        let mask = u32::from_ne_bytes(self.mask);
        let (words, rest) = payload.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_ne_bytes(*word) ^ mask).to_ne_bytes();
        }
        self.phase = rest.len();
        for (byte, mask) in rest.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
            medium => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// Everything that comes of `bytes` when they arrive `step` at a time.
    fn read(bytes: &[u8], step: usize) -> (Vec<Came>, Option<Fault>) {
        let mut reader = Reader::new(1000, Vec::new());
        let mut came = Vec::new();
        for chunk in bytes.chunks(step) {
            reader.push(chunk);
            loop {
                match reader.next() {
                    Ok(Some(next)) => came.push(next),
                    Ok(None) => break,
                    Err(fault) => return (came, Some(fault)),
                }
            }
        }
        (came, None)
    }

    #[test]
    fn the_example_of_rfc_6455_reads_hello() {
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&bytes, 100), (vec![Came::Text(b"Hello".into())], None));
    }

    #[test]
    fn what_comes_does_not_depend_on_how_the_bytes_are_cut() {
        let long = vec![b'x'; 700];
        let bytes = [
            frame(0x81, b"one"),
            frame(0x01, "fr\u{e4}g".as_bytes()),
            frame(0x89, b"ping within"),
            frame(0x00, b""),
            frame(0x80, b"ments"),
            frame(0x82, b"binary"),
            frame(0x8a, b""),
            frame(0x81, &long),
            frame(0x88, b""),
        ]
        .concat();
        let expected = [
            Came::Text(b"one".into()),
            Came::Ping(b"ping within".into()),
            Came::Text("fr\u{e4}gments".into()),
            Came::Binary,
            Came::Pong,
            Came::Text(long),
            Came::Close,
        ];
        for step in 1..=bytes.len() {
            assert_eq!(read(&bytes, step), (expected.iter().map(copy).collect(), None), "{step} at a time");
        }
    }

    fn copy(came: &Came) -> Came {
        match came {
            Came::Text(text) => Came::Text(text.clone()),
            Came::Ping(payload) => Came::Ping(payload.clone()),
            Came::Binary => Came::Binary,
            Came::Pong => Came::Pong,
            Came::Close => Came::Close,
        }
    }

    #[test]
    fn a_broken_frame_is_malformed() {
        let unmasked = vec![0x81, 0x01, b'a'];
        for (what, bytes) in [
            ("unmasked", unmasked),
            ("reserved bit", frame(0xc1, b"a")),
            ("reserved opcode", frame(0x83, b"a")),
            ("reserved control opcode", frame(0x8b, b"a")),
            ("fragmented ping", frame(0x09, b"a")),
            ("long ping", frame(0x89, &[b'a'; 126])),
            ("continuation of nothing", frame(0x80, b"a")),
            ("text within fragments", [frame(0x01, b"a"), frame(0x81, b"b")].concat()),
            ("no UTF-8", frame(0x81, b"\xff")),
            ("half a character", frame(0x81, b"\xc3")),
            ("a surrogate", frame(0x81, b"\xed\xa0\x80")),
        ] {
            assert_eq!(read(&bytes, 100), (vec![], Some(Fault::Malformed)), "{what}");
        }
    }

    #[test]
    fn a_character_may_be_cut_by_a_fragment() {
        let bytes = [frame(0x01, b"\xc3"), frame(0x80, b"\xa4")].concat();
        assert_eq!(read(&bytes, 100), (vec![Came::Text("\u{e4}".into())], None));
    }

    #[test]
    fn the_bound_holds_for_a_frame_before_its_payload_comes_and_for_fragments_together() {
        let head = &frame(0x81, &[b'x'; 1001])[..8];
        assert_eq!(read(head, 100), (vec![], Some(Fault::TooLarge)));
        let fragments = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat();
        assert_eq!(read(&fragments, 5000), (vec![], Some(Fault::TooLarge)));
        let endless = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        assert_eq!(read(&endless, 100), (vec![], Some(Fault::TooLarge)));
        assert_eq!(read(&frame(0x81, &[b'x'; 1000]), 5000).1, None);
    }

    #[test]
    fn after_too_large_a_frame_the_goodbye_is_still_found() {
        let mut reader = Reader::new(1000, Vec::new());
        reader.push(&frame(0x81, &[b'x'; 60_000]));
        assert_eq!(reader.next(), Err(Fault::TooLarge));
        reader.skip();
        assert_eq!(reader.next(), Ok(None));
        reader.push(&[frame(0x81, &[b'y'; 2000]), frame(0x89, b""), frame(0x88, b"")].concat());
        assert_eq!(reader.next(), Ok(Some(Came::Close)));
    }

    #[test]
    fn between_messages_no_memory_is_owned() {
        let mut reader = Reader::new(1000, Vec::new());
        reader.push(&[frame(0x81, b"one"), frame(0x89, b"two")].concat());
        assert!(reader.next().unwrap().is_some() && reader.next().unwrap().is_some());
        assert_eq!(reader.next(), Ok(None));
        let owned = [&reader.unread, &reader.message, &reader.control].map(Vec::capacity);
        assert_eq!(owned, [0, 0, 0]);
    }
}
