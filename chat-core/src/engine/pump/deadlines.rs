//! All that waits for the one timer of a connection.

use std::{task::Context, time::Duration};

use tokio::time::Instant;

use super::{Phase, Pump};
use crate::{
    close::CloseReason,
    time::Timestamp,
    transport::{Connection, SendQueue},
    wire::{Heartbeat, Notice},
};

impl<C: Connection> Pump<C> {
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut fired = false;
        while self.timer.poll(cx, now) {
            fired = true;
            self.deadlines();
            let next = self.next_deadline();
            self.timer.reset(next);
        }
        fired
    }

    /// Does what is due.
    pub(super) fn deadlines(&mut self) {
        let now = Instant::now();
        match &self.phase {
            Phase::Greeting(until) if now >= *until => self.close(CloseReason::TimedOut),
            Phase::Live(_) if now >= self.alive_at + self.shared.timing.silence => {
                // A peer that takes nothing can't be told why either.
                self.queue = SendQueue::default();
                self.close(CloseReason::TimedOut);
            }
            Phase::Live(_) if self.is_expired() => self.close(CloseReason::Unauthenticated),
            Phase::Live(_) if now >= self.ping_at => {
                self.ping_at = now + self.shared.timing.heartbeat;
                match self.heartbeat {
                    Heartbeat::Control => self.connection.ping(),
                    Heartbeat::Message if self.queue.is_empty() => self.push(&Notice::Ping.frame()),
                    // Frames that are on their way ask for as much.
                    Heartbeat::Message => {}
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| self.shared.now() >= at)
    }

    pub(super) fn next_deadline(&self) -> Instant {
        match &self.phase {
            Phase::Greeting(until) | Phase::Closing(_, until) => *until,
            Phase::Live(_) => {
                let silent = self.alive_at + self.shared.timing.silence;
                let next = self.ping_at.min(silent).max(Instant::now() + Duration::from_millis(1));
                let left = |at: Timestamp| {
                    Instant::now() + Duration::from_millis(at.millis_since(self.shared.now()))
                };
                self.expires_at.map_or(next, |at| next.min(left(at)))
            }
        }
    }
}
