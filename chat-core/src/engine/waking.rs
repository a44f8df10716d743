//! Waking the followers of a room, a few at a time where they are many.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::Poll,
};

use super::cell::Cell;
use crate::limits::WAKE_AT_ONCE;

/// Whether a room's followers are being woken.
#[derive(Debug, Default)]
pub(crate) struct Waking(AtomicU8);

const RESTS: u8 = 0;
const WAKES: u8 = 1;
/// There were news since it began: from the beginning once more.
const WAKES_AGAIN: u8 = 2;

impl Waking {
    /// Whether the caller has to wake; else who does begins once more.
    fn begin(&self) -> bool {
        let next = |state| Some(if state == RESTS { WAKES } else { WAKES_AGAIN });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(RESTS)
    }

    /// Nobody wakes any more: the next news begin anew.
    fn abandon(&self) {
        self.0.store(RESTS, Ordering::Release);
    }

    /// Whether to begin once more.
    fn end(&self) -> bool {
        let next = |state| Some(if state == WAKES_AGAIN { WAKES } else { RESTS });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(WAKES_AGAIN)
    }
}

impl Cell {
    /// Has every follower look at the ring. Those of a small room are woken when this returns, those of a large one by
    /// a task that lets others have their turns in between.
    pub(crate) fn wake_followers(self: &Arc<Self>) {
        if self.followers() <= WAKE_AT_ONCE {
            self.wake_some(0, usize::MAX);
        } else if self.waking().begin() {
            tokio::spawn(wake_all(self.clone()));
        }
    }
}

async fn wake_all(cell: Arc<Cell>) {
    let mut turn = Turn { cell: cell.clone(), finished: false };
    loop {
        let mut first = 0;
        while cell.wake_some(first, WAKE_AT_ONCE) {
            first += WAKE_AT_ONCE;
            after_those_that_are_ready().await;
        }
        if !cell.waking().end() {
            turn.finished = true;
            return;
        }
    }
}

/// If waking is cut short, by the end of the runtime that it runs on, nobody is left asleep with news.
struct Turn {
    cell: Arc<Cell>,
    finished: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.finished {
            self.cell.waking().abandon();
            self.cell.wake_some(0, usize::MAX);
        }
    }
}

/// Goes to the end of the queue. `yield_now` of tokio would come back only after a round of the runtime's driver, which
/// a busy runtime seldom has time for.
async fn after_those_that_are_ready() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::{
        domain::Room,
        engine::outbox::Outbox,
        id::{RoomId, UserId},
    };

    #[test]
    fn one_wakes_and_begins_once_more_for_all_news_meanwhile() {
        let waking = Waking::default();
        assert!(waking.begin());
        assert!(!waking.begin() && !waking.begin());
        assert!(waking.end());
        assert!(!waking.end());
        assert!(waking.begin());
        assert!(!waking.end());
    }

    #[test]
    fn who_is_left_asleep_when_waking_is_cut_short_is_woken() {
        let cell = Arc::new(Cell::new(Room::unborn(RoomId::parse("lobby").unwrap())));
        let user = UserId::parse("alice").unwrap();
        let outboxes: Vec<_> = (0..3 * WAKE_AT_ONCE).map(|_| Arc::new(Outbox::default())).collect();
        for outbox in &outboxes {
            cell.follow(0, &user, outbox);
        }
        assert!(cell.waking().begin());
        let mut task = Box::pin(wake_all(cell.clone()));
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let woken = || {
            let mut woken = 0;
            outboxes.iter().for_each(|outbox| outbox.take_dirty(|_| woken += 1));
            woken
        };
        assert_eq!(woken(), WAKE_AT_ONCE, "some at a time");
        drop(task);
        assert_eq!(woken(), outboxes.len());
        assert!(cell.waking().begin(), "later news wake again");
    }
}
