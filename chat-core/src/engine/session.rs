//! The engine's side of one authenticated connection: its subscriptions, and what to tell it next.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{
    caller::Caller,
    error::Error,
    following::{Followed, Prepared, Read, may_have_joined, read_entries},
    operations::room_id,
    outbox::Outbox,
    shared::Registration,
    signal::{Hearing, Signal},
    subscription::Subscription,
    tail::{After, PostedEntry},
};
use crate::{
    auth::AuthError,
    domain::{Draft, Rejection, Sent},
    id::{RoomId, Seq, SessionId, UserId},
    limits::{
        PAGE_ITEMS_MAX, PULL_BYTES_MAX, PULL_FRAMES_MAX, PULL_SIGNALS_MAX, RESUME_ROOMS_MAX,
        UNFOLLOWED_ROOMS_MAX,
    },
    store::PageRequest,
    transport::Frame,
    wire::{Notice, ResumeFrom, SubscribeTo},
};

/// A live connection of an authenticated user, in process. Give it up by dropping it.
///
/// ```no_run
/// # async fn example(engine: chat_core::engine::Engine) -> Result<(), Box<dyn std::error::Error>> {
/// use chat_core::{auth::Identity, domain::Draft, engine::Event, id::{RoomId, UserId}};
///
/// let mut bot = engine.connect(Identity::new(UserId::parse("bot")?, "bot")).await?;
/// let lobby = RoomId::parse("lobby")?;
/// bot.caller().join(&lobby).await?;
/// bot.send(&lobby, Draft::text("at your service")?).await?;
/// while let Some(event) = bot.recv().await {
///     if let Event::Entry(posted) = event {
///         println!("{} at {}", posted.username().as_str(), posted.entry().seq);
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Session {
    id: SessionId,
    caller: Caller,
    outbox: Arc<Outbox>,
    /// Whether rooms joined later are followed by themselves.
    follows_joined: bool,
    subscriptions: Vec<Option<Subscription>>,
    /// Heads at which rooms ceased to be followed: being told again of a joining up to there is old news. Bounded
    /// by [`UNFOLLOWED_ROOMS_MAX`].
    unfollowed: BTreeMap<RoomId, Seq>,
    /// Rooms to look at, in turn, so that a busy one does not starve the others.
    turns: VecDeque<u32>,
    notices: VecDeque<Notice>,
    /// A read of the store for a cursor that is behind the ring; one at a time.
    reading: Option<Box<Reading>>,
    /// Events taken for `recv`.
    events: VecDeque<Event>,
    /// What keeps a session in process on the list of connections; that of others is held by their pump.
    pub(crate) registration: Option<Registration>,
}

struct Reading {
    slot: u32,
    room: RoomId,
    /// Where it reads on.
    cursor: Seq,
    /// The head when it began to read: what came since may have changed what it read.
    began_at: Seq,
    read: Pin<Box<dyn Future<Output = Read> + Send>>,
}

/// What a session is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// An entry of a room that it follows; in `seq` order, without holes or repeats.
    Entry(Arc<PostedEntry>),
    /// Something that stands in no log: about this session, or a signal, of which the newest wins.
    Notice(Notice),
}

/// What a connection is to write next.
pub(crate) enum Outgoing {
    Answer(Bytes),
    Event(Event),
    Signal(Arc<Signal>),
}

impl Outgoing {
    /// As a frame for a session of this user.
    pub(crate) fn frame(self, user: &UserId) -> Frame {
        match self {
            Self::Answer(json) => Frame::new(json),
            Self::Event(Event::Entry(posted)) => posted.frame_for(user).clone(),
            Self::Event(Event::Notice(notice)) => Frame::new(notice.frame()),
            Self::Signal(signal) => signal.frame().clone(),
        }
    }
}

impl Session {
    /// Opens a session. When this returns, its subscriptions stand: nothing stored later is missed.
    pub(crate) async fn open(
        caller: Caller,
        outbox: Arc<Outbox>,
        subscribe: SubscribeTo,
        resume: Vec<ResumeFrom>,
        epoch: Option<String>,
    ) -> Result<Self, Error> {
        let shared = caller.shared().clone();
        if resume.len() > RESUME_ROOMS_MAX {
            return Err(Rejection::BadRequest("too many rooms to resume").into());
        }
        // Registered before rooms are listed: a joining in between is told, one before is listed.
        let id = shared.ids.session(shared.now());
        if !shared.users.add(caller.identity(), &id, &outbox, shared.limits.connections_per_user) {
            return Err(AuthError::RateLimited.into());
        }
        let mut session = Self {
            caller: caller.in_session(&id),
            id,
            outbox,
            follows_joined: subscribe == SubscribeTo::All,
            subscriptions: Vec::new(),
            unfollowed: BTreeMap::new(),
            turns: VecDeque::new(),
            notices: VecDeque::new(),
            reading: None,
            events: VecDeque::new(),
            registration: None,
        };
        // Looked at once registered: an erasure that begins later finds the session and closes it.
        if shared.store.erasure(session.caller.user()).await?.is_some() {
            return Err(AuthError::Erased.into());
        }
        let same_epoch = epoch.is_none_or(|epoch| epoch == shared.store.epoch());
        for ResumeFrom { room_id: text, after } in resume {
            match session.resume(&text, after, same_epoch).await {
                Ok(()) => {}
                Err(Error::Rejected(_)) => session.notices.push_back(Notice::ResumeFailed(text)),
                Err(error) => return Err(error),
            }
        }
        if session.follows_joined {
            session.follow_own_rooms().await?;
        }
        let (user, kept) = (session.caller.user(), shared.kept_presence(session.caller.user()).await?);
        shared.presences.connect(user, &session.id, kept, shared.now());
        Ok(session)
    }

    /// Names this session.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The user's hand on the engine, for everything that is no matter of this session alone.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Sends a message; see [`Caller::send`].
    ///
    /// # Errors
    /// As [`Caller::send`].
    pub fn send(&self, room: &RoomId, draft: Draft) -> impl Future<Output = Result<Sent, Error>> + Send {
        // Holds the caller, not the session: a session may be sent to another thread, but not shared with one.
        self.caller.send(room, draft)
    }

    /// Starts following a room; with `after`, what came after it is told first. Following twice changes
    /// nothing. Returns the head from which on everything will be told.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room.
    pub async fn subscribe(&mut self, room: &RoomId, after: Option<Seq>) -> Result<Seq, Error> {
        let prepared = Prepared::new(self.caller.shared().clone(), self.caller.user().clone(), room.clone());
        Ok(self.follow_asked(prepared.check().await?, after))
    }

    /// Stops following a room; membership stays. Returns up to where the room was told, if it was followed.
    pub fn unsubscribe(&mut self, room: &RoomId) -> Option<Seq> {
        // What its user has joined meanwhile would be followed later else.
        self.follow_joined();
        let slot = self.slot_of(room)?;
        let told = self.subscriptions[slot as usize].as_ref().map(Subscription::cursor);
        self.close_slot(slot);
        told
    }

    /// The next event; `None` once the engine has ended the session. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Event> {
        poll_fn(|cx| {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Poll::Ready(Some(event));
                }
                // Registered before looking, so that an order given in between is not missed.
                self.outbox.register(cx.waker());
                if self.outbox.ordered().is_some() {
                    return Poll::Ready(None);
                }
                let mut taken = VecDeque::new();
                ready!(self.poll_pull(cx, &mut |outgoing| match outgoing {
                    Outgoing::Answer(_) => {}
                    Outgoing::Event(event) => taken.push_back(event),
                    Outgoing::Signal(signal) => taken.push_back(Event::Notice(signal.notice().clone())),
                }));
                self.events = taken;
            }
        })
        .await
    }

    /// Takes what is to be told next, a bounded amount. Ready when there was something.
    pub(crate) fn poll_pull(&mut self, cx: &mut Context<'_>, tell: &mut dyn FnMut(Outgoing)) -> Poll<()> {
        self.outbox.register(cx.waker());
        let mut budget = Budget { frames: PULL_FRAMES_MAX, bytes: PULL_BYTES_MAX };
        let mut told = false;
        for answer in self.outbox.take_answers() {
            budget.spend(answer.len());
            told = true;
            tell(Outgoing::Answer(answer));
        }
        self.follow_joined();
        for slot in self.outbox.take_dirty() {
            self.queue(slot);
        }
        loop {
            while let Some(notice) = self.notices.pop_front() {
                told = true;
                tell(Outgoing::Event(Event::Notice(notice)));
            }
            if budget.is_spent() {
                // More may be left: whoever asked will ask again once this is written.
                return Poll::Ready(());
            }
            if self.poll_reading(cx, &mut budget, &mut told, tell) {
                continue;
            }
            let Some(slot) = self.turns.pop_front() else { break };
            self.take_turn(slot, &mut budget, &mut told, tell);
        }
        for signal in self.take_signals() {
            told = true;
            tell(Outgoing::Signal(signal));
        }
        if told { Poll::Ready(()) } else { Poll::Pending }
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
        subscription.queued = false;
        subscription.clear_mark();
        match subscription.cell().after(subscription.cursor(), SHARE_ENTRIES, budget.bytes.min(SHARE_BYTES)) {
            After::Nothing => self.settle(slot),
            After::Entries(entries) => {
                self.deliver(slot, entries, budget, told, tell);
                self.queue(slot);
            }
            After::Older if self.reading.is_none() => {
                let (room, cursor) = (subscription.cell().id().clone(), subscription.cursor());
                let began_at = subscription.cell().head();
                let (shared, user) = (self.caller.shared().clone(), self.caller.user().clone());
                let read = Box::pin(read_entries(shared, user, room.clone(), cursor));
                self.reading = Some(Box::new(Reading { slot, room, cursor, began_at, read }));
            }
            // Its turn comes again when the read that is under way is done.
            After::Older => self.queue(slot),
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
                let subscription = self.subscriptions.get_mut(*slot as usize).and_then(Option::as_mut);
                subscription.is_some_and(|subscription| {
                    let after = subscription.cell().after(subscription.cursor(), 1, 1);
                    let waits = matches!(after, After::Older);
                    subscription.queued = !waits;
                    !waits
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
            self.queue(slot as u32);
        }
        true
    }

    fn deliver(
        &mut self,
        slot: u32,
        entries: Vec<Arc<PostedEntry>>,
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
                budget.spend(posted.frame_for(user).json().len());
                *told = true;
                tell(Outgoing::Event(Event::Entry(posted)));
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

    /// Goes on in a room where an earlier connection stopped.
    async fn resume(&mut self, room: &str, after: u64, same_epoch: bool) -> Result<(), Error> {
        let room = room_id(room)?;
        if self.slot_of(&room).is_some() {
            return Ok(());
        }
        let shared = self.caller.shared().clone();
        let followed = Prepared::new(shared, self.caller.user().clone(), room).check().await?;
        // A cursor of another history means nothing in this one.
        let after = if same_epoch { Seq::new(after) } else { Seq::MAX };
        self.follow(followed, Some(after));
        Ok(())
    }

    /// As [`Session::follow`], for a room that its user asks for. What they have joined meanwhile is followed from
    /// there on, not from here.
    pub(crate) fn follow_asked(&mut self, followed: Followed, after: Option<Seq>) -> Seq {
        self.follow_joined();
        self.follow(followed, after)
    }

    /// Starts following a room that was checked, and replays what came after `after`.
    pub(crate) fn follow(&mut self, followed: Followed, after: Option<Seq>) -> Seq {
        let Followed { cell, allowed_at, hidden_until, first } = followed;
        if let Some(slot) = self.slot_of(cell.id()) {
            let cursor = self.subscriptions[slot as usize].as_ref().map(Subscription::cursor);
            return cursor.unwrap_or(allowed_at);
        }
        let slot = self.free_slot();
        // What came since reading was allowed is passed entry by entry, a leaving included.
        let mut subscription = Subscription::after(&cell, allowed_at, slot, self.caller.user(), &self.outbox);
        if let Some(after) = after {
            let from = after.max(hidden_until);
            let was_cut = from < first.previous();
            if was_cut
                || after > allowed_at
                || allowed_at.since(from) > self.caller.shared().limits.resume_entries
            {
                self.notices.push_back(Notice::ResyncRequired(cell.id().clone(), allowed_at.get()));
            } else {
                #[cfg(feature = "testing")]
                let from = self.caller.shared().sabotage.resume_from(from);
                subscription.replay_from(from.min(allowed_at));
            }
        }
        self.subscriptions[slot as usize] = Some(subscription);
        self.queue(slot);
        allowed_at
    }

    /// Follows every room that the user belongs to.
    async fn follow_own_rooms(&mut self) -> Result<(), Error> {
        let shared = self.caller.shared().clone();
        let mut cursor = None;
        loop {
            let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
            let page = shared.store.rooms_of(self.caller.user(), page).await?;
            for (room, member) in page.items {
                if self.slot_of(&room.id).is_some() {
                    continue;
                }
                let (head, first) = (room.head, room.first);
                let hidden_until = room.hidden_by_history(member.joined);
                let cell = shared.rooms.open(room);
                // What was listed is true at the listed head. The log tells the rest.
                self.follow(Followed { cell, allowed_at: head, hidden_until, first }, None);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Follows rooms that the user has joined meanwhile, from their joining on.
    fn follow_joined(&mut self) {
        for (cell, first) in self.outbox.take_joined() {
            let is_news = self.unfollowed.get(cell.id()).is_none_or(|until| first > *until);
            if self.follows_joined && is_news && self.slot_of(cell.id()).is_none() {
                let slot = self.free_slot();
                let subscription =
                    Subscription::after(&cell, first.previous(), slot, self.caller.user(), &self.outbox);
                self.subscriptions[slot as usize] = Some(subscription);
                self.queue(slot);
            }
        }
    }

    fn queue(&mut self, slot: u32) {
        let subscription = self.subscriptions.get_mut(slot as usize).and_then(Option::as_mut);
        if let Some(subscription) = subscription
            && !std::mem::replace(&mut subscription.queued, true)
        {
            self.turns.push_back(slot);
        }
    }

    fn slot_of(&self, room: &RoomId) -> Option<u32> {
        let is_it = |place: &Option<Subscription>| place.as_ref().is_some_and(|it| it.cell().id() == room);
        self.subscriptions.iter().position(is_it).map(|slot| slot as u32)
    }

    fn free_slot(&mut self) -> u32 {
        if let Some(slot) = self.subscriptions.iter().position(Option::is_none) {
            return slot as u32;
        }
        self.subscriptions.push(None);
        (self.subscriptions.len() - 1) as u32
    }

    fn close_slot(&mut self, slot: u32) {
        let place = self.subscriptions.get_mut(slot as usize).and_then(Option::take);
        if let Some(subscription) = place.filter(|_| self.follows_joined) {
            if self.unfollowed.len() >= UNFOLLOWED_ROOMS_MAX {
                self.unfollowed.clear();
            }
            let until = subscription.cell().head().max(subscription.cursor());
            self.unfollowed.insert(subscription.cell().id().clone(), until);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let shared = self.caller.shared();
        shared.users.remove(self.caller.user(), &self.id);
        shared.typists.disconnect(self.caller.user(), &self.id);
        shared.presences.disconnect(self.caller.user(), &self.id, shared.now());
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("caller", &self.caller).finish_non_exhaustive()
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
