//! The engine's side of one authenticated connection: its subscriptions, and what to tell it next.

mod pulling;
mod turns;

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use smallvec::SmallVec;

pub(crate) use self::pulling::Pulled;
use self::turns::Turns;
use super::{
    caller::Caller,
    error::Error,
    following::{Followed, Prepared, Read},
    operations::room_id,
    outbox::{Order, Outbox},
    shared::Registration,
    signal::Signal,
    subscription::Subscription,
    tail::{Authorship, PostedEntry, UserTag},
};
use crate::{
    auth::AuthError,
    close::CloseReason,
    domain::{Draft, Rejection, Sent},
    id::{RoomId, Seq, SessionId},
    limits::{PAGE_ITEMS_MAX, RESUME_ROOMS_MAX, UNFOLLOWED_ROOMS_MAX},
    store::PageRequest,
    transport::Framing,
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
    /// Of the caller's user.
    user_tag: UserTag,
    outbox: Arc<Outbox>,
    /// Whether rooms joined later are followed by themselves.
    follows_joined: bool,
    /// By place. The first stands inside: where sessions are very many, they tend to follow few rooms each.
    subscriptions: SmallVec<[Option<Subscription>; 1]>,
    /// Heads at which rooms ceased to be followed: being told again of a joining up to there is old news. Bounded
    /// by [`UNFOLLOWED_ROOMS_MAX`].
    unfollowed: BTreeMap<RoomId, Seq>,
    /// Rooms to look at, in turn, so that a busy one does not starve the others.
    turns: Turns,
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
    /// An entry, and whether the session is its author's.
    Entry(Arc<PostedEntry>, Authorship),
    Notice(Notice),
    Signal(Arc<Signal>),
}

impl Outgoing {
    /// As it stands on a wire.
    pub(crate) fn framed(&self, framing: Framing) -> Bytes {
        match self {
            Self::Answer(json) => (framing.encode)(json),
            Self::Entry(posted, authorship) => posted.frame(*authorship).framed(framing),
            Self::Notice(notice) => (framing.encode)(&notice.frame()),
            Self::Signal(signal) => signal.frame().framed(framing),
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
            user_tag: UserTag::of(caller.user()),
            caller: caller.in_session(&id),
            id,
            outbox,
            follows_joined: subscribe == SubscribeTo::All,
            subscriptions: SmallVec::new(),
            unfollowed: BTreeMap::new(),
            turns: Turns::default(),
            notices: VecDeque::new(),
            reading: None,
            events: VecDeque::new(),
            registration: None,
        };
        // Looked at once registered: whoever shuts the user out later finds the session and closes it.
        shared.profiles.admits(session.caller.user()).await?;
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

    /// Whether a room is followed. It no longer is once its user's leaving, or its deletion, was passed and nothing came
    /// after it.
    #[must_use]
    pub fn follows(&self, room: &RoomId) -> bool {
        self.slot_of(room).is_some()
    }

    /// Why the engine has ended the session; `None` while it lives.
    #[must_use]
    pub fn ended(&self) -> Option<CloseReason> {
        self.outbox.ordered().map(|order| match order {
            Order::Drain => CloseReason::Draining,
            Order::Close(reason) => reason,
        })
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
                let pulled = self.poll_pull(cx, &mut |outgoing| match outgoing {
                    Outgoing::Answer(_) => {}
                    Outgoing::Entry(posted, _) => taken.push_back(Event::Entry(posted)),
                    Outgoing::Notice(notice) => taken.push_back(Event::Notice(notice)),
                    Outgoing::Signal(signal) => taken.push_back(Event::Notice(signal.notice().clone())),
                });
                if pulled == Pulled::Nothing {
                    return Poll::Pending;
                }
                self.events = taken;
            }
        })
        .await
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
        self.turns.add(slot);
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
                self.turns.add(slot);
            }
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
