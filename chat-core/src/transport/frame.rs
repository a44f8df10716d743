//! One JSON object on its way out, put on the wire once for all its receivers.

use std::{
    fmt,
    io::IoSlice,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use smallvec::SmallVec;

/// One JSON object, encoded once and shared by all who receive it.
#[derive(Clone)]
pub struct Frame(Arc<Shared>);

struct Shared {
    json: Bytes,
    /// What the first transport made of it. One transport is the rule; others frame it anew each time.
    framed: OnceLock<(Framing, Bytes)>,
}

/// How a transport puts a JSON object on its wire, for instance behind a WebSocket frame header. The result
/// must depend on nothing but the object, since it is shared between connections.
#[derive(Clone, Copy)]
pub struct Framing {
    /// Names the wire format; two framings of one name give the same bytes.
    pub name: &'static str,
    /// The bytes on the wire.
    pub encode: fn(&Bytes) -> Bytes,
}

impl Framing {
    /// The object itself: for transports that keep frames apart by other means.
    pub const PLAIN: Self = Self { name: "plain", encode: Bytes::clone };
}

impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framing({})", self.name)
    }
}

impl Frame {
    /// Adopts an encoded JSON object.
    #[must_use]
    pub fn new(json: impl Into<Bytes>) -> Self {
        Self(Arc::new(Shared { json: json.into(), framed: OnceLock::new() }))
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.0.json
    }

    /// The bytes on a transport's wire.
    #[must_use]
    pub fn framed(&self, framing: Framing) -> Bytes {
        let (by, bytes) = self.0.framed.get_or_init(|| (framing, (framing.encode)(&self.0.json)));
        if by.name == framing.name { bytes.clone() } else { (framing.encode)(&self.0.json) }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.0.json.len())
    }
}

/// Wire bytes that a connection has still to write; remembers how far into the first it has come.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// Those that are written stay, empty, for a while: a connection that keeps up has one frame at a time, which
    /// needs no memory of its own.
    frames: SmallVec<[Bytes; 1]>,
    /// How many of them are written.
    written: usize,
    bytes: usize,
}

/// Frames that are written and not yet let go of, unless as many are still to be written.
const WRITTEN_KEPT: usize = 32;

impl SendQueue {
    /// Adds a frame's wire bytes at the end.
    pub fn push(&mut self, wire: Bytes) {
        self.bytes += wire.len();
        self.frames.push(wire);
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.len() == self.written
    }

    /// Bytes still to write.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames still to write, the first perhaps in part.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len() - self.written
    }

    /// The next bytes to write, as vectors for one `writev`.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, most: usize) {
        slices.extend(self.frames[self.written..].iter().take(most).map(|bytes| IoSlice::new(bytes)));
    }

    /// What is still to write of the first frame.
    #[must_use]
    pub fn first(&self) -> Option<&Bytes> {
        self.frames.get(self.written)
    }

    /// What is still to write, if that is of one frame: it needs no vectors.
    #[must_use]
    pub fn only(&self) -> Option<&Bytes> {
        if self.frames() == 1 { self.first() } else { None }
    }

    /// Takes the next whole frame; for transports that do not write bytes.
    pub fn pop(&mut self) -> Option<Bytes> {
        let frame = std::mem::take(self.frames.get_mut(self.written)?);
        self.bytes -= frame.len();
        self.step();
        Some(frame)
    }

    /// Notes that the next `written` bytes are written. Once empty, the queue owns no memory.
    pub fn advance(&mut self, mut written: usize) {
        written = written.min(self.bytes);
        self.bytes -= written;
        while let Some(first) = self.frames.get_mut(self.written) {
            if written < first.len() {
                *first = first.slice(written..);
                return;
            }
            written -= first.len();
            *first = Bytes::new();
            self.step();
        }
    }

    fn step(&mut self) {
        self.written += 1;
        if self.is_empty() {
            (self.frames, self.written) = (SmallVec::new(), 0);
        } else if self.written >= WRITTEN_KEPT && self.written * 2 >= self.frames.len() {
            // One that is never quite empty must not grow either. Each frame moves once on average.
            self.frames.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_put_on_the_wire_once_for_all_receivers_of_one_transport() {
        let frame = Frame::new("{}");
        let upper = Framing { name: "upper", encode: |json| json.to_ascii_uppercase().into() };
        assert_eq!(frame.framed(upper).as_ptr(), frame.clone().framed(upper).as_ptr());
        assert_eq!(frame.framed(Framing::PLAIN), "{}", "another transport gets its own");
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut queue = SendQueue::default();
        queue.push("0".into());
        for number in 1..10_000 {
            queue.push(number.to_string().into());
            assert_eq!(queue.pop(), Some((number - 1).to_string().into()));
            assert_eq!(queue.frames(), 1);
        }
        assert!(queue.frames.len() <= 2 * WRITTEN_KEPT, "{} kept", queue.frames.len());
    }

    #[test]
    fn a_queue_goes_on_in_the_middle_of_a_frame() {
        let mut queue = SendQueue::default();
        queue.push("abc".into());
        queue.push("def".into());
        queue.advance(4);
        let mut slices = Vec::new();
        queue.slices(&mut slices, 8);
        assert_eq!(slices.iter().map(|s| s.to_vec()).collect::<Vec<_>>(), [b"ef".to_vec()]);
        assert_eq!((queue.bytes(), queue.frames()), (2, 1));
        queue.advance(2);
        assert!(queue.is_empty());
    }
}
