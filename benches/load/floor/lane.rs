//! One thread of the floor, and the subscribers that it writes to.

use std::{
    collections::VecDeque,
    io::{self, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};

use crate::limits::{FLOOR_BEHIND_BYTES_MAX, FLOOR_INBOX_BYTES_MAX};

/// Pause when everybody who is behind can't take more.
const BLOCKED: Duration = Duration::from_millis(1);

/// What waits for a lane's thread.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    /// Lengths of the frames in it.
    lengths: Vec<usize>,
    newcomers: Vec<TcpStream>,
}

/// A thread that writes, seen from outside.
#[derive(Debug, Default)]
pub(super) struct Lane {
    inbox: Mutex<Inbox>,
    filled: Condvar,
    emptied: Condvar,
}

/// Somebody who gets everything.
struct Subscriber {
    stream: TcpStream,
    /// Where in the log to go on.
    cursor: usize,
    gone: bool,
}

impl Lane {
    /// Starts the thread.
    pub(super) fn start(coalesce: bool) -> Arc<Self> {
        let lane = Arc::new(Self::default());
        let own = lane.clone();
        thread::spawn(move || if coalesce { own.write_coalesced() } else { own.write_each() });
        lane
    }

    /// Adds a subscriber, who gets what is given from now on.
    pub(super) fn join(&self, stream: TcpStream) {
        self.inbox.lock().newcomers.push(stream);
        self.filled.notify_one();
    }

    /// Adds a frame.
    pub(super) fn give(&self, frame: &[u8]) {
        let mut inbox = self.inbox.lock();
        while inbox.bytes.len() > FLOOR_INBOX_BYTES_MAX {
            self.emptied.wait(&mut inbox);
        }
        inbox.bytes.extend_from_slice(frame);
        inbox.lengths.push(frame.len());
        drop(inbox);
        self.filled.notify_one();
    }

    /// What has come: waits for it, or with a pause only so long.
    fn take(&self, pause: Option<Duration>) -> Inbox {
        let mut inbox = self.inbox.lock();
        while inbox.bytes.is_empty() && inbox.newcomers.is_empty() {
            match pause {
                None => self.filled.wait(&mut inbox),
                Some(pause) => {
                    if self.filled.wait_for(&mut inbox, pause).timed_out() {
                        break;
                    }
                }
            }
        }
        let taken = std::mem::take(&mut *inbox);
        drop(inbox);
        self.emptied.notify_one();
        taken
    }

    /// One write for each frame and subscriber.
    fn write_each(&self) {
        let mut subscribers: Vec<Subscriber> = Vec::new();
        loop {
            let taken = self.take(None);
            let mut rest = taken.bytes.as_slice();
            for length in taken.lengths {
                let (frame, after) = rest.split_at(length);
                rest = after;
                for subscriber in &mut subscribers {
                    subscriber.gone |= write_all(&subscriber.stream, frame).is_err();
                }
            }
            subscribers.retain(|subscriber| !subscriber.gone);
            subscribers.extend(newcomers(taken.newcomers, 0));
        }
    }

    /// One write for everything that lies after a subscriber's cursor.
    fn write_coalesced(&self) {
        let (mut subscribers, mut log): (Vec<Subscriber>, VecDeque<u8>) = Default::default();
        let mut pause = None;
        loop {
            let taken = self.take(pause);
            // Cursors of newcomers lie behind what they missed: it was given before they came.
            log.extend(taken.bytes);
            let (ready, mut advanced) = (log.make_contiguous(), false);
            for subscriber in &mut subscribers {
                advanced |= subscriber.advance(ready);
            }
            subscribers.retain(|subscriber| !subscriber.gone);
            subscribers.extend(newcomers(taken.newcomers, log.len()));
            let slowest = subscribers.iter().map(|subscriber| subscriber.cursor).min().unwrap_or(log.len());
            pause = match (slowest < log.len(), advanced) {
                (false, _) => None,
                (true, true) => Some(Duration::ZERO),
                (true, false) => Some(BLOCKED),
            };
            log.drain(..slowest);
            subscribers.iter_mut().for_each(|subscriber| subscriber.cursor -= slowest);
        }
    }
}

impl Subscriber {
    /// Writes what lies after the cursor. Tells whether anything was taken.
    fn advance(&mut self, log: &[u8]) -> bool {
        let waiting = &log[self.cursor..];
        if waiting.is_empty() {
            return false;
        }
        match (&self.stream).write(waiting) {
            Ok(written) => self.cursor += written,
            Err(error) if blocks(&error) => self.gone = waiting.len() > FLOOR_BEHIND_BYTES_MAX,
            Err(_) => self.gone = true,
        }
        log.len() - self.cursor < waiting.len()
    }
}

fn newcomers(streams: Vec<TcpStream>, cursor: usize) -> impl Iterator<Item = Subscriber> {
    streams.into_iter().map(move |stream| Subscriber { stream, cursor, gone: false })
}

fn write_all(mut stream: &TcpStream, mut frame: &[u8]) -> io::Result<()> {
    while !frame.is_empty() {
        match stream.write(frame) {
            Ok(written) => frame = &frame[written..],
            Err(error) if blocks(&error) => {
                poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn blocks(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
