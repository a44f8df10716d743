//! What a session tells next: answers, then its rooms in turn, then signals, as much as may be written at once.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{Outgoing, Reading, Session};
use crate::{
    engine::{
        following::{Followed, Read, may_have_joined, read_entries},
        signal::{Hearing, Signal},
        subscription::Subscription,
        tail::{After, PostedEntry},
    },
    limits::{PULL_BYTES_MAX, PULL_FRAMES_MAX, PULL_SIGNALS_MAX},
    wire::Notice,
};

/// What a look at everything that is to be told has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// There was nothing.
    Nothing,
    /// All that there was; who asked is woken when there is more.
    All,
    /// As much as may be told in one go: ask again.
    Part,
}

impl Session {
    /// Takes what is to be told next, a bounded amount. The caller has registered with the outbox before.
    pub(crate) fn poll_pull(&mut self, cx: &mut Context<'_>, tell: &mut dyn FnMut(Outgoing)) -> Pulled {
        let mut budget = Budget { frames: PULL_FRAMES_MAX, bytes: PULL_BYTES_MAX };
        let mut told = false;
        for answer in self.outbox.take_answers() {
            budget.spend(answer.len());
            told = true;
            tell(Outgoing::Answer(answer));
        }
        self.follow_joined();
        self.outbox.take_dirty(|slot| self.turns.add(slot));
        loop {
            while let Some(notice) = self.notices.pop_front() {
                told = true;
                tell(Outgoing::Notice(notice));
            }
            if budget.is_spent() {
                return Pulled::Part;
            }
            if self.poll_reading(cx, &mut budget, &mut told, tell) {
                continue;
            }
            let Some(slot) = self.turns.next() else { break };
            self.take_turn(slot, &mut budget, &mut told, tell);
        }
        let signals = self.take_signals();
        let signals_left = signals.len() == PULL_SIGNALS_MAX;
        for signal in signals {
            told = true;
            tell(Outgoing::Signal(signal));
        }
        match (told, signals_left) {
            (false, _) => Pulled::Nothing,
            (true, false) => Pulled::All,
            (true, true) => Pulled::Part,
        }
    }

    /// Notices that are still to be told.
    pub(crate) fn notices_waiting(&self) -> usize {
        self.notices.len()
    }

    /// Takes signals that may be told now. Entries come first, so that who was removed is not told any more.
    fn take_signals(&self) -> Vec<Arc<Signal>> {
        self.outbox.take_signals(PULL_SIGNALS_MAX, |via| {
            let place = self.subscriptions.get(via.slot as usize).and_then(Option::as_ref);
            let there = place.filter(|subscription| *subscription.cell().id() == via.room);
            there.map_or(Hearing::NoMore, |subscription| subscription.hears(via.at))
        })
    }

    /// Lets one room say what is new, up to its share.
    fn take_turn(&mut self, slot: u32, budget: &mut Budget, told: &mut bool, tell: &mut dyn FnMut(Outgoing)) {
        let Some(subscription) = self.subscriptions.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        match subscription.cell().after(subscription.cursor(), SHARE_ENTRIES, budget.bytes.min(SHARE_BYTES)) {
            After::Nothing => self.settle(slot),
            After::Entries { entries, all } => {
                self.deliver(slot, entries, budget, told, tell);
                if all {
                    self.settle(slot);
                } else {
                    self.turns.add(slot);
                }
            }
            After::Older if self.reading.is_none() => {
                let (room, cursor) = (subscription.cell().id().clone(), subscription.cursor());
                let began_at = subscription.cell().head();
                let (shared, user) = (self.caller.shared().clone(), self.caller.user().clone());
                let read = Box::pin(read_entries(shared, user, room.clone(), cursor));
                self.reading = Some(Box::new(Reading { slot, room, cursor, began_at, read }));
            }
            // Its turn comes again when the read that is under way is done.
            After::Older => self.turns.add(slot),
        }
    }

    /// Goes on with a read of the store. Tells whether it has brought anything.
    fn poll_reading(
        &mut self,
        cx: &mut Context<'_>,
        budget: &mut Budget,
        told: &mut bool,
        tell: &mut dyn FnMut(Outgoing),
    ) -> bool {
        let Some(reading) = &mut self.reading else { return false };
        let Poll::Ready(read) = reading.read.as_mut().poll(cx) else {
            // While it waits, rooms that need no read take their turns; those that do wait for this one.
            self.turns.retain(|slot| {
                let subscription = self.subscriptions.get(slot as usize).and_then(Option::as_ref);
                subscription.is_some_and(|subscription| {
                    let after = subscription.cell().after(subscription.cursor(), 1, 1);
                    !matches!(after, After::Older)
                })
            });
            return false;
        };
        let Reading { slot, cursor, began_at, .. } = **reading;
        let room = reading.room.clone();
        self.reading = None;
        // The place may have been given to another room meanwhile, or to the same one from elsewhere.
        let goes_on = |subscription: &Subscription| subscription.cursor() == cursor;
        let place = self.subscriptions.get(slot as usize).and_then(Option::as_ref);
        if let Some(place) = place.filter(|place| *place.cell().id() == room && goes_on(place)) {
            match read {
                Read::Entries(mut entries) => {
                    if place.cell().bring_up_to_date(&mut entries, began_at) {
                        self.deliver(slot, entries, budget, told, tell);
                    }
                }
                Read::Gap(followed) => self.jump(slot, &followed),
                // They have come back since, which is told nowhere else: it is read again.
                Read::Closed(head) if may_have_joined(place.cell(), self.caller.user(), head) => {}
                Read::Closed(_) => {
                    self.notices.push_back(Notice::ResumeFailed(room.as_str().to_owned()));
                    self.close_slot(slot);
                }
            }
        }
        for slot in 0..self.subscriptions.len() {
            self.turns.add(slot as u32);
        }
        true
    }

    fn deliver(
        &mut self,
        slot: u32,
        entries: impl IntoIterator<Item = Arc<PostedEntry>>,
        budget: &mut Budget,
        told: &mut bool,
        tell: &mut dyn FnMut(Outgoing),
    ) {
        let Some(subscription) = self.subscriptions.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let user = self.caller.user();
        for posted in entries {
            if subscription.pass(&posted, user) {
                let authorship = posted.authorship(user, self.user_tag);
                budget.spend(posted.frame(authorship).json().len());
                *told = true;
                tell(Outgoing::Entry(posted, authorship));
            }
        }
        self.announce_caught_up(slot);
    }

    /// Goes on at the head of a room of which what would have followed was cut.
    fn jump(&mut self, slot: u32, followed: &Followed) {
        let subscription = self.subscriptions.get_mut(slot as usize).and_then(Option::as_mut);
        if let Some(subscription) = subscription {
            subscription.jump_to(followed.allowed_at);
            let (room, seq) = (followed.cell.id().clone(), followed.allowed_at.get());
            self.notices.push_back(Notice::ResyncRequired(room, seq));
        }
    }

    /// A room has nothing new: announces that, if it is awaited, and lets go of a room that was left.
    fn settle(&mut self, slot: u32) {
        self.announce_caught_up(slot);
        let over = |subscription: &Subscription| subscription.is_over();
        if self.subscriptions.get(slot as usize).and_then(Option::as_ref).is_some_and(over) {
            self.close_slot(slot);
        }
    }

    fn announce_caught_up(&mut self, slot: u32) {
        let subscription = self.subscriptions.get_mut(slot as usize).and_then(Option::as_mut);
        if let Some(subscription) = subscription
            && let Some(seq) = subscription.caught_up()
        {
            self.notices.push_back(Notice::CaughtUp(subscription.cell().id().clone(), seq.get()));
        }
    }
}

/// Entries of one room in a row before the next room's turn.
const SHARE_ENTRIES: usize = 64;

/// Bytes of one room in a row before the next room's turn.
const SHARE_BYTES: usize = 16 * 1024;

/// What may still be told in one pull.
struct Budget {
    frames: usize,
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) {
        self.frames = self.frames.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_spent(&self) -> bool {
        self.frames == 0 || self.bytes == 0
    }
}
