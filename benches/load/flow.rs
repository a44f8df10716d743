//! How a worker sends: at a rate, as much as is taken, or one message after the other.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures::future::try_join_all;
use tokio::time::{Instant, interval, timeout};

use crate::{
    Failure, frames,
    limits::PATIENCE,
    orders::{Flow, Pace, Sent, Target},
    user::{Shared, User},
};

/// A sender and one place to which it sends.
pub(crate) struct Lane {
    /// Who sends.
    pub(crate) user: Rc<User>,
    /// What.
    pub(crate) messages: Messages,
}

/// What is sent.
pub(crate) enum Messages {
    /// Commands to a server, which acks each.
    Commands(frames::Messages),
    /// Frames for a floor, which acks none.
    Ready(frames::Ready),
}

impl Messages {
    fn put_next(&mut self, into: &mut Vec<u8>, stamp: u64) {
        match self {
            Self::Commands(messages) => messages.put_next(into, stamp),
            Self::Ready(messages) => messages.put_next(into, stamp),
        }
    }

    /// The newest entry, where it is made here.
    fn seq(&self) -> Option<u64> {
        match self {
            Self::Commands(_) => None,
            Self::Ready(messages) => Some(messages.seq()),
        }
    }
}

/// A flow that runs.
pub(crate) struct Stream {
    shared: Rc<Shared>,
    target: Target,
    lanes: Vec<RefCell<Lane>>,
    /// Members of this worker who get every message.
    members: u64,
    flow: Flow,
    acked_before: u64,
    sent: Cell<u64>,
    frame: RefCell<Vec<u8>>,
}

impl Stream {
    /// Nothing sent yet.
    pub(crate) fn new(
        shared: Rc<Shared>,
        target: Target,
        lanes: Vec<Lane>,
        members: u64,
        flow: Flow,
    ) -> Self {
        let acked_before = shared.acked.get();
        let lanes = lanes.into_iter().map(RefCell::new).collect();
        Self {
            shared,
            target,
            lanes,
            members,
            flow,
            acked_before,
            sent: Cell::new(0),
            frame: RefCell::default(),
        }
    }

    /// Sends until the time is over and every message was acked.
    ///
    /// # Errors
    /// When a connection breaks, or acks do not come.
    pub(crate) async fn run(self) -> Result<Sent, Failure> {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(self.flow.seconds);
        if !self.lanes.is_empty() {
            match self.flow.pace {
                // The share of this worker was worked out before.
                Pace::Rate(rate) => self.at_rate(rate, until).await?,
                Pace::Behind(most) => self.behind(most, until).await?,
                Pace::Received => self.behind(1, until).await?,
                Pace::Acked => {
                    try_join_all((0..self.lanes.len()).map(|lane| self.one_by_one(lane, until))).await?;
                }
            }
        }
        let mut heads = Vec::new();
        if self.target == Target::Floor {
            heads.extend(self.lanes.first().and_then(|lane| lane.borrow().messages.seq()));
        } else {
            let acked = self.acked_before + self.sent.get();
            if timeout(PATIENCE, self.shared.wait_for(0, acked)).await.is_err() {
                return Err("not every message was acked".into());
            }
            heads.clone_from(&self.shared.heads.borrow());
        }
        Ok(Sent { messages: self.sent.get(), seconds: begun.elapsed().as_secs_f64(), heads })
    }

    fn over(&self, until: Instant) -> bool {
        Instant::now() >= until || self.sent.get() >= self.flow.most
    }

    fn send(&self, lane: usize) -> Result<(), Failure> {
        let (mut frame, mut lane) = (self.frame.borrow_mut(), self.lanes[lane].borrow_mut());
        frame.clear();
        lane.messages.put_next(&mut frame, self.shared.stamp());
        self.sent.set(self.sent.get() + 1);
        lane.user.put(&frame)
    }

    /// Senders take turns. What could not be sent in time is sent as soon as possible.
    async fn at_rate(&self, rate: f64, until: Instant) -> Result<(), Failure> {
        if rate <= 0.0 {
            return Ok(());
        }
        let mut pace = interval(Duration::from_secs_f64(1.0 / rate).max(Duration::from_nanos(1)));
        for lane in (0..self.lanes.len()).cycle() {
            if self.over(until) {
                break;
            }
            pace.tick().await;
            self.send(lane)?;
        }
        Ok(())
    }

    /// One sender, ahead of this worker's members by so many messages.
    async fn behind(&self, most: u64, until: Instant) -> Result<(), Failure> {
        if self.members == 0 {
            return Err("nobody follows whom the sender could wait for".into());
        }
        let before = self.shared.tally.borrow().delivered;
        while !self.over(until) {
            let due = (self.sent.get() + 1).saturating_sub(most) * self.members;
            if timeout(PATIENCE, self.shared.wait_for(before + due, 0)).await.is_err() {
                return Err("members do not get what is sent".into());
            }
            self.send(0)?;
        }
        Ok(())
    }

    /// One sender among others, each with one message in flight.
    async fn one_by_one(&self, lane: usize, until: Instant) -> Result<(), Failure> {
        let user = self.lanes[lane].borrow().user.clone();
        while !self.over(until) {
            let answers = user.answers.get() + 1;
            self.send(lane)?;
            if timeout(PATIENCE, user.until_answered(answers)).await.is_err() {
                return Err("a message is not acked".into());
            }
        }
        Ok(())
    }
}
