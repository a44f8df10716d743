//! What all parts of one engine share, and the steps that several of them take.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::{
    cell::{Cell, posted},
    error::Error,
    ids::Ids,
    outbox::{Order, Outbox},
    presence::Presences,
    profiles::Profiles,
    rate_table::RateTable,
    rooms::Rooms,
    tail::PostedEntry,
    typing::Typists,
    users::Users,
};
use crate::{
    auth::Authenticator,
    bus::Bus,
    domain::{Action, Actor, Entry, Member, Needs, Policy, Rejection, Room},
    files::FileResolver,
    hooks::Hooks,
    id::{NodeId, RoomId, Seq, UserId},
    limits::{CATCH_UP_ENTRIES, Limits, PAGE_BYTES_MAX, TAIL_ENTRIES_MAX},
    store::{GivenReaction, Page, PageRequest, Store, StoreError},
    time::{Clock, Timestamp},
};

/// One engine's parts.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) files: Option<Arc<dyn FileResolver>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) ids: Ids,
    pub(crate) node: NodeId,
    pub(crate) rooms: Rooms,
    pub(crate) users: Users,
    pub(crate) profiles: Profiles,
    pub(crate) message_rates: RateTable<UserId>,
    pub(crate) typists: Typists,
    pub(crate) presences: Presences,
    /// Messages for [`Hooks::after_send`], bounded by [`crate::limits::AFTER_SEND_MAX`].
    pub(crate) sent: Option<mpsc::Sender<Entry>>,
    pub(crate) connections: Connections,
    /// Held by who looks through all reactions.
    pub(crate) searching: tokio::sync::Mutex<()>,
    #[cfg(feature = "testing")]
    pub(crate) sabotage: super::sabotage::Sabotage,
}

/// A room that somebody may read.
#[derive(Debug)]
pub(crate) struct Readable {
    pub(crate) room: Room,
    pub(crate) member: Option<Member>,
    /// The head at which the membership was so; no older than the call that asked.
    pub(crate) at: Seq,
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) handshake: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) silence: Duration,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A user as rules see them.
    pub(crate) fn actor(&self, user: &UserId) -> Actor {
        let rooms_max = (self.limits.rooms_per_user > 0).then_some(self.limits.rooms_per_user);
        Actor { user: user.clone(), rooms_max, overrides: false }
    }

    /// The live room.
    pub(crate) async fn open(&self, room: &RoomId) -> Result<Arc<Cell>, Error> {
        let cell = match self.rooms.get(room) {
            Some(cell) => cell,
            None => self.rooms.open(self.store.room(room).await?.ok_or(Rejection::NO_ROOM)?),
        };
        // A room that was deleted is one that is not there.
        if cell.is_deleted() { Err(Rejection::NO_ROOM.into()) } else { Ok(cell) }
    }

    /// The room and the user's membership as of now, if the policy lets them read it.
    pub(crate) async fn readable(&self, cell: &Arc<Cell>, user: &UserId) -> Result<Readable, Error> {
        self.permitted(cell, user, Action::Read).await
    }

    /// The room and the user's membership as of now, if the policy lets them do this there.
    pub(crate) async fn permitted(
        &self,
        cell: &Arc<Cell>,
        user: &UserId,
        action: Action,
    ) -> Result<Readable, Error> {
        let readable = self.membership(cell, user).await?;
        let Readable { room, member, .. } = &readable;
        if !room.exists() {
            return Err(Rejection::NO_ROOM.into());
        }
        let decided = self.policy.decide(&self.actor(user), action, room, member.as_ref()).into_result();
        if let Err(Rejection::NotFound(_)) = decided {
            // Asked of a room that is not there, the store would have been read: nobody is to tell by the time.
            self.store.room(cell.id()).await?;
        }
        decided?;
        Ok(readable)
    }

    pub(crate) async fn membership(&self, cell: &Arc<Cell>, user: &UserId) -> Result<Readable, Error> {
        // Alone on the store, what the cell knows is the newest there is.
        if !self.bus.has_other_nodes()
            && let (room, Some(member)) = cell.room_and_member(user)
        {
            return Ok(Readable { at: room.head, room, member });
        }
        let needs = Needs { members: vec![user.clone()], ..Needs::default() };
        let rows = self.store.gather(cell.id(), &needs).await?;
        if rows.at > cell.head() {
            self.catch_up(cell).await?;
        }
        let member = rows.member(user).cloned();
        cell.remember(&rows);
        Ok(Readable { room: cell.room(), member, at: rows.at })
    }

    /// A page of the reactions that a user gave. There is no index of them: each page looks at many that are others',
    /// and one is read at a time, so that most readers of the store and the threads stay everybody's.
    pub(crate) async fn reactions_by(
        &self,
        user: &UserId,
        page: PageRequest,
    ) -> Result<Page<GivenReaction>, StoreError> {
        tokio::task::yield_now().await;
        let _turn = self.searching.lock().await;
        self.store.reactions_by(user, page).await
    }

    /// Reads what other nodes have written to a room since its head here, and takes it in.
    pub(crate) async fn catch_up(&self, cell: &Arc<Cell>) -> Result<(), StoreError> {
        let head =
            self.store.heads(std::slice::from_ref(cell.id())).await?.first().copied().unwrap_or_default();
        if head.since(cell.head()) > TAIL_ENTRIES_MAX as u64 {
            // More than the ring would keep: followers read the store themselves, each at its own pace.
            if let Some(room) = self.store.room(cell.id()).await? {
                cell.jump(room);
            }
        }
        loop {
            let entries =
                self.store.entries(cell.id(), cell.head(), CATCH_UP_ENTRIES, PAGE_BYTES_MAX).await?;
            let Some(first) = entries.first() else { return Ok(()) };
            if first.seq > cell.head().next() {
                // The entries between were cut, or are gone with a deleted room.
                if let Some(room) = self.store.room(cell.id()).await? {
                    cell.jump(room);
                }
                continue;
            }
            let posted = self.named(entries).await?;
            self.take_in(cell, posted.clone());
            cell.wake_followers();
            let entries: Vec<_> = posted.iter().map(|posted| posted.entry()).collect();
            self.tell_senders_elsewhere(cell, &entries).await?;
        }
    }

    /// Encodes entries read from the store.
    pub(crate) async fn named(&self, entries: Vec<Entry>) -> Result<Vec<Arc<PostedEntry>>, StoreError> {
        let named = self.profiles.name(entries).await?;
        Ok(named.into_iter().map(|(entry, username)| posted(entry, username)).collect())
    }

    /// Takes stored entries into a room. Its followers are still to be woken.
    pub(crate) fn take_in(&self, cell: &Arc<Cell>, posted: Vec<Arc<PostedEntry>>) {
        posted.iter().for_each(|posted| self.typists.note(posted.entry()));
        for (user, seq) in cell.absorb(posted) {
            self.users.joined(&user, cell, seq);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The connections of this engine, authenticated or not.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// In the order of their coming, so that a simulation can be repeated.
    open: Mutex<BTreeMap<u64, Arc<Outbox>>>,
    next: AtomicU64,
    draining: AtomicBool,
    pub(crate) all_gone: Notify,
}

impl Connections {
    fn remove(&self, key: u64) {
        let mut open = self.open.lock();
        open.remove(&key);
        if open.is_empty() {
            self.all_gone.notify_waiters();
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.open.lock().len()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Orders every connection, and every one to come, to drain.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.open.lock().values().for_each(|outbox| outbox.order(Order::Drain));
    }

    /// Orders every connection to close.
    pub(crate) fn close(&self, reason: crate::close::CloseReason) {
        self.open.lock().values().for_each(|outbox| outbox.order(Order::Close(reason)));
    }
}

/// Keeps a connection on the engine's list for as long as it lives.
#[derive(Debug)]
pub(crate) struct Registration {
    shared: Arc<Shared>,
    key: u64,
}

impl Registration {
    /// Registers a connection; it is ordered to drain at once when the engine is draining.
    pub(crate) fn new(shared: &Arc<Shared>, outbox: &Arc<Outbox>) -> Self {
        let connections = &shared.connections;
        let key = connections.next.fetch_add(1, Ordering::Relaxed);
        connections.open.lock().insert(key, outbox.clone());
        if connections.is_draining() {
            outbox.order(Order::Drain);
        }
        Self { shared: shared.clone(), key }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.connections.remove(self.key);
    }
}
