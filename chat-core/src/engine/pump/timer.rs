//! The one timer of a connection.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Waker},
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// A deadline that is looked at by the clock of who asks, and at the runtime's timer only when it is due: a connection
/// is woken for other things thousands of times before.
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
    /// Whom the runtime's timer will wake.
    wakes: Option<Waker>,
}

impl Timer {
    pub(super) fn new(due: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(due)), due, wakes: None }
    }

    pub(super) fn reset(&mut self, due: Instant) {
        self.sleep.as_mut().reset(due);
        (self.due, self.wakes) = (due, None);
    }

    /// Whether it is due. If not, the task is woken when it is.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let waits = now < self.due && self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(cx.waker()));
        if waits {
            return false;
        }
        // One that only waits for its share of the task's budget would have left no waker.
        let ready = pin!(unconstrained(self.sleep.as_mut())).poll(cx).is_ready();
        self.wakes = (!ready).then(|| cx.waker().clone());
        ready
    }
}
