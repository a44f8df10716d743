//! One WebSocket as the engine drives it.

use std::{
    fmt,
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chat_core::{
    close::CloseReason,
    transport::{Connection, Framing, Gone, Received, SendQueue},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use crate::{
    Admission, WsConfig,
    limits::{GATHER_BYTES_MAX, LINGER, READ_BYTES, WRITE_VECTORS_MAX},
    reader::{Came, Fault, Reader},
};

/// A WebSocket over any stream. An idle one owns no buffers.
///
/// It must live on a tokio runtime with time: the wait after the goodbye is measured.
pub struct WsConnection<S> {
    stream: S,
    reader: Reader,
    /// Control frames on their way out, complete frames in sequence.
    control: Vec<u8>,
    /// How much of them is written.
    control_at: usize,
    /// The answer owed to the latest ping; it stands for all before it (RFC 6455 section 5.5.3).
    pong: Option<Vec<u8>>,
    ping: bool,
    /// The rest of a frame of which a part is written: nothing else may be written before it.
    rest: Bytes,
    /// Written, but perhaps not yet on its way.
    unflushed: bool,
    /// The peer has said goodbye.
    peer_closed: bool,
    /// Our own goodbye is written or stands in `control`.
    said_goodbye: bool,
    /// The stream makes no more sense to the reader.
    lost: bool,
    closing: Option<Pin<Box<Sleep>>>,
    /// The place at the gate, if it came through one.
    admission: Option<Admission>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsConnection<S> {
    /// Takes over a stream behind a 101, and what has been read of it beyond the request.
    #[must_use]
    pub fn adopt(stream: S, leftover: Vec<u8>, config: &WsConfig) -> Self {
        Self {
            stream,
            reader: Reader::new(config.frame_bytes, leftover),
            control: Vec::new(),
            control_at: 0,
            pong: None,
            ping: false,
            rest: Bytes::new(),
            unflushed: false,
            peer_closed: false,
            said_goodbye: false,
            lost: false,
            closing: None,
            admission: None,
        }
    }

    /// Keeps the place at a gate for as long as the connection lives.
    #[must_use]
    pub fn holding(mut self, admission: Admission) -> Self {
        self.admission = Some(admission);
        self
    }

    /// Writes the control frames that are due, unless a frame is only written in part.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            return Poll::Pending;
        }
        loop {
            while self.control_at < self.control.len() {
                let bytes = &self.control[self.control_at..];
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.control_at += written;
                self.unflushed = true;
            }
            (self.control, self.control_at) = (Vec::new(), 0);
            if !self.gather_control() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Makes frames of what is due. After a goodbye nothing is.
    fn gather_control(&mut self) -> bool {
        let (pong, ping) = (self.pong.take(), std::mem::take(&mut self.ping));
        if self.said_goodbye {
            return false;
        }
        if let Some(payload) = pong {
            put_frame(&mut self.control, OpCode::Control(Control::Pong), &payload);
        }
        if ping {
            put_frame(&mut self.control, OpCode::Control(Control::Ping), b"");
        }
        !self.control.is_empty()
    }

    fn control_is_due(&self) -> bool {
        self.ping || self.pong.is_some() || self.control_at < self.control.len()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// One write of as much of the queue as the stream takes.
    fn poll_write_queue(&mut self, cx: &mut Context<'_>, queue: &mut SendQueue) -> Poll<io::Result<()>> {
        if let Some(frame) = queue.only() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, frame))?;
            let at_edge = written == frame.len();
            return Poll::Ready(self.note_written(queue, written, at_edge));
        }
        // With a frame half out and control frames due, only that frame goes out before them.
        let most = if !self.rest.is_empty() && self.control_is_due() { 1 } else { WRITE_VECTORS_MAX };
        let mut slices = Vec::with_capacity(queue.frames().min(most));
        queue.slices(&mut slices, most);
        let stream = Pin::new(&mut self.stream);
        let written = if slices.len() > 1 && !stream.is_write_vectored() {
            let mut gathered = Vec::with_capacity(queue.bytes().min(GATHER_BYTES_MAX));
            for slice in &slices {
                let room = GATHER_BYTES_MAX - gathered.len();
                gathered.extend_from_slice(&slice[..room.min(slice.len())]);
            }
            ready!(stream.poll_write(cx, &gathered))?
        } else {
            ready!(stream.poll_write_vectored(cx, &slices))?
        };
        let mut edge = 0;
        let at_edge = slices.iter().any(|slice| {
            edge += slice.len();
            edge == written
        });
        Poll::Ready(self.note_written(queue, written, at_edge))
    }

    /// Remembers how far a write has come: whether to the end of a frame.
    fn note_written(&mut self, queue: &mut SendQueue, written: usize, at_edge: bool) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        queue.advance(written);
        self.rest = if at_edge { Bytes::new() } else { queue.first().cloned().unwrap_or_default() };
        self.unflushed = true;
        Ok(())
    }

    /// Reads once. `Ok(0)` is the end.
    fn poll_read_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if !self.lost {
            self.reader.push(buffer.filled());
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Answers the peer's goodbye with the same, as far as the stream takes it at once.
    fn answer_goodbye(&mut self, cx: &mut Context<'_>) {
        self.peer_closed = true;
        if !self.said_goodbye && self.closing.is_none() {
            self.say_goodbye(CloseReason::Normal);
            if self.rest.is_empty() {
                // Best effort: if the peer is gone or stuck, `poll_close` or the drop ends it.
                drop(self.poll_control(cx));
                drop(self.poll_flush(cx));
            }
        }
    }

    fn say_goodbye(&mut self, reason: CloseReason) {
        if std::mem::replace(&mut self.said_goodbye, true) {
            return;
        }
        let mut payload = reason.code().to_be_bytes().to_vec();
        payload.extend_from_slice(reason.text().as_bytes());
        put_frame(&mut self.control, OpCode::Control(Control::Close), &payload);
    }

    /// Goodbye, the peer's goodbye, end of the stream; as far as it goes before the deadline.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(self.rest.split_to(written));
            self.unflushed = true;
        }
        ready!(self.poll_control(cx))?;
        ready!(self.poll_flush(cx))?;
        while !self.peer_closed {
            while !self.lost && !self.peer_closed {
                match self.reader.next() {
                    Ok(Some(Came::Close)) => self.peer_closed = true,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => self.lost = true,
                }
            }
            if !self.peer_closed && ready!(self.poll_read_some(cx))? == 0 {
                self.peer_closed = true;
            }
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for WsConnection<S> {
    fn framing(&self) -> Framing {
        FRAMING
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            if self.peer_closed || self.lost {
                return Poll::Ready(Received::Closed);
            }
            match self.reader.next() {
                Ok(Some(Came::Text(text))) => return Poll::Ready(Received::Text(text)),
                Ok(Some(Came::Binary)) => return Poll::Ready(Received::NotText),
                Ok(Some(Came::Pong)) => return Poll::Ready(Received::Alive),
                Ok(Some(Came::Ping(payload))) => {
                    self.pong = Some(payload);
                    return Poll::Ready(Received::Alive);
                }
                Ok(Some(Came::Close)) => {
                    self.answer_goodbye(cx);
                    return Poll::Ready(Received::Closed);
                }
                Ok(None) => {}
                Err(fault) => {
                    self.reader.skip();
                    self.lost = fault == Fault::Malformed;
                    return Poll::Ready(match fault {
                        Fault::TooLarge => Received::TooLarge,
                        Fault::Malformed => Received::Malformed,
                    });
                }
            }
            if self.control_is_due() && self.rest.is_empty() {
                // Whether the stream takes it now or wakes us later, reading goes on; errors show there too.
                if let Poll::Ready(Ok(())) = self.poll_control(cx) {
                    drop(self.poll_flush(cx));
                }
            }
            match ready!(self.poll_read_some(cx)) {
                Ok(0) | Err(_) => self.peer_closed = true,
                Ok(_) => {}
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, queue: &mut SendQueue) -> Poll<Result<(), Gone>> {
        if self.said_goodbye {
            return Poll::Ready(Err(Gone));
        }
        loop {
            if self.rest.is_empty() {
                ready!(self.poll_control(cx)).map_err(|_| Gone)?;
            }
            if queue.is_empty() {
                break;
            }
            ready!(self.poll_write_queue(cx, queue)).map_err(|_| Gone)?;
        }
        self.poll_flush(cx).map_err(|_| Gone)
    }

    fn ping(&mut self) {
        self.ping = true;
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<()> {
        if self.closing.is_none() {
            self.closing = Some(Box::pin(sleep_until(Instant::now() + LINGER)));
            // What was due before the goodbye goes before it.
            self.gather_control();
            self.say_goodbye(reason);
            self.reader.skip();
        }
        if self.poll_goodbye(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut self.closing {
            Some(deadline) => deadline.as_mut().poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<S> fmt::Debug for WsConnection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsConnection")
            .field("peer_closed", &self.peer_closed)
            .field("said_goodbye", &self.said_goodbye)
            .finish_non_exhaustive()
    }
}

/// A text frame of a server. It carries no mask, so that its bytes are the same for every receiver.
pub const FRAMING: Framing = Framing {
    name: "ws-text",
    encode: |json| {
        let mut bytes = Vec::with_capacity(json.len() + SERVER_HEADER_MAX);
        put_frame(&mut bytes, OpCode::Data(Data::Text), json);
        bytes.into()
    },
};

/// Longest header without a mask (RFC 6455 section 5.2).
const SERVER_HEADER_MAX: usize = 10;

fn put_frame(bytes: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let written = header.format(payload.len() as u64, bytes);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    bytes.extend_from_slice(payload);
}
