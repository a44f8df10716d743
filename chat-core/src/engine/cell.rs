//! A live room: its state behind a lock that never leaves this file, its tail ring, and who follows it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::{
    error::Error,
    outbox::{Mark, Outbox},
    readers::Readers,
    signal::Signal,
    tail::{After, PostedEntry, Tail},
    waking::Waking,
};
use crate::{
    domain::{Entry, Member, Needs, Outcome, Request, Room, Rows, Sanction, Username},
    id::{RoomId, Seq, SessionId, UserId},
    limits::{ROOM_MEMBERS_CACHED_MAX, ROOM_PENDING_MAX},
};

/// A room that somebody follows or writes to.
pub(crate) struct Cell {
    id: RoomId,
    /// Guards the room and what waits to change it. Held only inside the closures of this file, never over an
    /// await; the ring's lock is taken inside it, so that entries enter the ring in order.
    state: Mutex<State>,
    tail: RwLock<Tail>,
    /// Apart from the state, so that waking ten thousand sessions does not hold up the writer.
    followers: RwLock<Followers>,
    waking: Waking,
    readers: Mutex<Readers>,
}

struct State {
    room: Room,
    /// Members known at `room.head`; moved along by every entry.
    rows: Rows,
    pending: VecDeque<Pending>,
    writing: bool,
}

#[derive(Default)]
struct Followers {
    marks: Vec<Option<Mark>>,
    free: Vec<u32>,
}

/// A request that waits for the writer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) request: Request,
    /// The actor's name, for the entry's frame.
    pub(crate) username: Username,
    /// Where the actor speaks, if it is on a live session.
    pub(crate) session: Option<SessionId>,
    pub(crate) reply: Reply,
}

/// How a request's caller hears of its outcome: exactly once, whatever happens.
pub(crate) struct Reply(Option<Tell>);

type Tell = Box<dyn FnOnce(Result<Outcome, Error>) + Send>;

impl Reply {
    pub(crate) fn new(tell: impl FnOnce(Result<Outcome, Error>) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    pub(crate) fn tell(mut self, outcome: Result<Outcome, Error>) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(Err(Error::Unavailable));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl Cell {
    /// A room as it is stored (or unborn), without news.
    pub(crate) fn new(room: Room) -> Self {
        Self {
            id: room.id.clone(),
            tail: RwLock::new(Tail::at(room.head)),
            state: Mutex::new(State {
                rows: Rows { at: room.head, ..Rows::default() },
                room,
                pending: VecDeque::new(),
                writing: false,
            }),
            followers: RwLock::default(),
            waking: Waking::default(),
            readers: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> &RoomId {
        &self.id
    }

    /// The newest entry that may be told.
    pub(crate) fn head(&self) -> Seq {
        self.tail.read().head()
    }

    /// The room as it stands.
    pub(crate) fn room(&self) -> Room {
        self.state.lock().room.clone()
    }

    /// Whether the room was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.state.lock().room.deleted
    }

    /// The room and the user's membership, if it is known here, both true at one moment.
    pub(crate) fn room_and_member(&self, user: &UserId) -> (Room, Option<Option<Member>>) {
        let state = self.state.lock();
        (state.room.clone(), state.rows.members.get(user).cloned())
    }

    /// Remembers memberships, and what stands against those users, as they were read at a head; they are kept only
    /// if that is still the head.
    pub(crate) fn remember(&self, read: &Rows) {
        let mut state = self.state.lock();
        if state.room.head == read.at {
            for (user, member) in &read.members {
                state.remember(user, member.clone(), read.sanction(user));
            }
            if state.rows.last_sent.len() + read.last_sent.len() > ROOM_MEMBERS_CACHED_MAX {
                state.rows.last_sent = HashMap::new();
            }
            state.rows.last_sent.extend(read.last_sent.iter().map(|(user, at)| (user.clone(), *at)));
        }
    }

    /// Adds a request. Returns whether the caller has to start a writer.
    pub(crate) fn submit(&self, pending: Pending) -> bool {
        let mut state = self.state.lock();
        if state.pending.len() >= ROOM_PENDING_MAX {
            drop(state);
            // Dropped without the lock: its reply says `unavailable`.
            drop(pending);
            return false;
        }
        state.pending.push_back(pending);
        !std::mem::replace(&mut state.writing, true)
    }

    /// Takes what waits, at most `most`. `None` when nothing does: the writer's turn is over.
    pub(crate) fn take_pending(&self, most: usize) -> Option<Vec<Pending>> {
        let mut state = self.state.lock();
        if state.pending.is_empty() {
            state.writing = false;
            return None;
        }
        let count = state.pending.len().min(most);
        Some(state.pending.drain(..count).collect())
    }

    /// Ends a writer's turn that was cut short; what waits is answered `unavailable`.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.writing = false;
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        drop(pending);
    }

    /// The room with those of the needed rows that are known here, and the needs that remain.
    pub(crate) fn known(&self, mut needs: Needs) -> (Room, Rows, Needs) {
        let state = self.state.lock();
        let mut rows = Rows { at: state.room.head, ..Rows::default() };
        let members = std::mem::take(&mut needs.members);
        let senders = std::mem::take(&mut needs.last_sent);
        let is_slow = std::mem::take(&mut needs.slow_mode) || state.room.slow_mode_seconds > 0;
        let mut remaining = needs;
        for user in senders.into_iter().filter(|_| is_slow) {
            match state.rows.last_sent.get(&user) {
                Some(last) => drop(rows.last_sent.insert(user, *last)),
                None => remaining.last_sent.push(user),
            }
        }
        for user in members {
            match state.rows.members.get(&user) {
                Some(member) => {
                    let sanction = state.rows.sanctions.get(&user).map(|sanction| (user.clone(), *sanction));
                    rows.sanctions.extend(sanction);
                    rows.members.insert(user, member.clone());
                }
                None => remaining.members.push(user),
            }
        }
        (state.room.clone(), rows, remaining)
    }

    /// Takes in stored entries, in order; followers are still to be woken. Entries that are known already
    /// change nothing, and one further ahead than the next is not taken: it will be read from the store.
    /// Returns who became a member, and the first entry that they are told.
    pub(crate) fn absorb(&self, posted: Vec<Arc<PostedEntry>>) -> Vec<(UserId, Seq)> {
        let mut joined = Vec::new();
        let mut state = self.state.lock();
        for posted in posted {
            let entry = posted.entry();
            if state.room.apply(entry) {
                state.rows.apply(entry);
                // What was sent under which key, and who has reacted, is asked of the store; only members are kept
                // here.
                state.rows.sent.clear();
                state.rows.reacted.clear();
                let live_from = |user: &UserId| (user.clone(), state.room.live_from(user, entry.seq));
                joined.extend(entry.begins_for().map(live_from));
                self.tail.write().push(posted);
            }
        }
        joined
    }

    /// See [`super::Sabotage::KeepTexts`].
    #[cfg(feature = "testing")]
    pub(crate) fn keep_texts(&self, keep: bool) {
        self.tail.write().keeps_texts = keep;
    }

    /// Jumps to a newer stored state without taking in the entries between: followers read them in the store.
    pub(crate) fn jump(self: &Arc<Self>, room: Room) {
        {
            let mut state = self.state.lock();
            if room.head <= state.room.head {
                return;
            }
            state.rows = Rows { at: room.head, ..Rows::default() };
            *self.tail.write() = Tail::at(room.head);
            state.room = room;
        }
        self.readers().forget();
        self.wake_followers();
    }

    /// Tells entries about a user under another name from here on.
    pub(crate) fn rename(&self, user: &UserId, name: &Username) {
        self.tail.write().rename(user, name);
    }

    /// Who has read all. Not to be held over an await, nor while another lock of the cell is taken.
    pub(crate) fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock()
    }

    /// What lies after a cursor.
    pub(crate) fn after(&self, cursor: Seq, most: usize, bytes: usize) -> After {
        self.tail.read().after(cursor, most, bytes)
    }

    /// Brings entries that were read from the store up to date with what was done to them since `began_at`, a head
    /// before they were read. A reader may have been held up in between, and must not tell a text that is gone.
    /// Returns whether that could be done; if not, they have to be read again.
    pub(crate) fn bring_up_to_date(&self, read: &mut [Arc<PostedEntry>], began_at: Seq) -> bool {
        match self.after(began_at, usize::MAX, usize::MAX) {
            After::Nothing => true,
            After::Entries { entries: since, .. } => {
                for later in since.iter().filter(|later| later.entry().changes_earlier()) {
                    let oldest = read.first().map(|posted| posted.entry().seq);
                    if later.entry().cuts().is_some_and(|first| oldest.is_some_and(|oldest| oldest < first)) {
                        return false;
                    }
                    for posted in read.iter_mut() {
                        if let Some(newer) = posted.with(later.entry()) {
                            *posted = Arc::new(newer);
                        }
                    }
                }
                true
            }
            After::Older => false,
        }
    }

    /// The newest messages, oldest first and one more than asked for, if the ring holds them.
    pub(crate) fn newest_messages(&self, limit: usize) -> Option<Vec<Arc<PostedEntry>>> {
        self.tail.read().newest_messages(limit)
    }

    /// Has a subscription woken by every later entry. Register first, then read the head: news in between
    /// wakes once too often, never too seldom.
    pub(crate) fn follow(&self, slot: u32, user: &UserId, outbox: &Arc<Outbox>) -> u32 {
        let mark = Mark::new(slot, user.clone(), outbox.clone());
        let mut followers = self.followers.write();
        let key = match followers.free.pop() {
            Some(key) => key,
            None => {
                followers.marks.push(None);
                // One connection holds at most one place in a room, so there are far fewer than 2^32.
                (followers.marks.len() - 1) as u32
            }
        };
        followers.marks[key as usize] = Some(mark);
        key
    }

    pub(crate) fn unfollow(&self, key: u32) {
        let mut followers = self.followers.write();
        if followers.marks.get_mut(key as usize).and_then(Option::take).is_some() {
            followers.free.push(key);
        }
        if followers.free.len() == followers.marks.len() {
            *followers = Followers::default();
        }
    }

    pub(crate) fn followers(&self) -> usize {
        let followers = self.followers.read();
        followers.marks.len() - followers.free.len()
    }

    /// Whether nobody follows it and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        !state.writing && state.pending.is_empty() && self.followers() == 0
    }

    /// Has followers look at the ring: of their places those from `first` on, `most` of them. Tells whether there are
    /// more.
    pub(super) fn wake_some(&self, first: usize, most: usize) -> bool {
        let followers = self.followers.read();
        let marks = followers.marks.get(first..).unwrap_or_default();
        marks.iter().take(most).flatten().for_each(Mark::set);
        marks.len() > most
    }

    /// Whether followers are being woken, and are to be woken once more.
    pub(super) fn waking(&self) -> &Waking {
        &self.waking
    }
}

impl Cell {
    /// Gives a signal to the followers who come, or have come, to `at` as members, but for the sessions of
    /// `except`. Who has left before is not told, however far behind their session is.
    pub(crate) fn signal(&self, signal: &Arc<Signal>, at: Seq, except: Option<&UserId>) {
        self.signal_to(signal, at, |mark| Some(mark.user()) != except);
    }

    /// Gives a signal to those followers whom `is_told` picks.
    pub(crate) fn signal_to(&self, signal: &Arc<Signal>, at: Seq, mut is_told: impl FnMut(&Mark) -> bool) {
        for mark in self.followers.read().marks.iter().flatten() {
            if is_told(mark) {
                mark.signal(signal.clone(), &self.id, at);
            }
        }
    }
}

impl State {
    fn remember(&mut self, user: &UserId, member: Option<Member>, sanction: Sanction) {
        if self.rows.members.len() >= ROOM_MEMBERS_CACHED_MAX {
            self.rows.members = HashMap::new();
            self.rows.sanctions = HashMap::new();
        }
        self.rows.members.insert(user.clone(), member);
        if sanction == Sanction::default() {
            self.rows.sanctions.remove(user);
        } else {
            self.rows.sanctions.insert(user.clone(), sanction);
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Encodes an entry for its followers.
pub(crate) fn posted(entry: Entry, username: Username) -> Arc<PostedEntry> {
    Arc::new(PostedEntry::new(entry, username))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Change, Content, Emoji, Message},
        time::Timestamp,
    };

    #[test]
    fn what_entries_say_of_messages_is_not_kept() {
        let room = Room::unborn(RoomId::parse("lobby").unwrap());
        let cell = Cell::new(room.clone());
        let user = UserId::parse("alice").unwrap();
        let name = Username::parse("alice").unwrap();
        let emoji = Emoji::parse("\u{1f44d}").unwrap();
        let changes = [
            Change::Describe(Box::new(room.clone())),
            Change::Send(Message::new(1, Content::from_stored("text"))),
            Change::React { target: Seq::new(2), emoji, count: 1 },
        ];
        for (seq, change) in (1..).map(Seq::new).zip(changes) {
            let (room, at, actor) = (room.id.clone(), Timestamp::default(), user.clone());
            cell.absorb(vec![posted(Entry { room, seq, at, actor, change }, name.clone())]);
        }
        assert_eq!(cell.state.lock().rows, Rows { at: Seq::new(3), ..Rows::default() });
    }
}
