//! The newest entries of a live room, ready encoded: what cursors read first.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

use smallvec::SmallVec;

use super::profiles::subject;
use crate::{
    domain::{Entry, Username},
    id::{Seq, UserId},
    limits::{TAIL_BYTES_MAX, TAIL_ENTRIES_MAX},
    transport::Frame,
    wire::entry_frame,
};

/// An entry of a room's log as sessions are told of it: once encoded, shared by all.
pub struct PostedEntry {
    entry: Entry,
    username: Username,
    frame: Frame,
    /// What the author's own sessions get instead; made when the first of them asks.
    own: OnceLock<Frame>,
    /// Of the author, where their sessions get something else.
    author_tag: Option<UserTag>,
}

/// Tells most users apart without a look at their ids, which lie anywhere in memory: of a thousand sessions that are
/// told of an entry, nearly none is its author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserTag(u64);

impl UserTag {
    pub(crate) fn of(user: &UserId) -> Self {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Whether a session is of the author of an entry who gets a frame of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorship {
    Own,
    Others,
}

impl PostedEntry {
    pub(crate) fn new(entry: Entry, username: Username) -> Self {
        let frame = Frame::new(entry_frame(&entry, username.as_str(), false));
        let keyed = entry.message().is_some_and(|message| message.client_message_id.is_some());
        let author_tag = keyed.then(|| UserTag::of(&entry.actor));
        Self { entry, username, frame, own: OnceLock::new(), author_tag }
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The name of the user whom the entry is about.
    #[must_use]
    pub fn username(&self) -> &Username {
        &self.username
    }

    /// The frame for a session of this user.
    #[must_use]
    pub fn frame_for(&self, user: &UserId) -> &Frame {
        self.frame(self.authorship(user, UserTag::of(user)))
    }

    pub(crate) fn authorship(&self, user: &UserId, tag: UserTag) -> Authorship {
        let is_own = self.author_tag == Some(tag) && self.entry.actor == *user;
        if is_own { Authorship::Own } else { Authorship::Others }
    }

    pub(crate) fn frame(&self, authorship: Authorship) -> &Frame {
        match authorship {
            Authorship::Own => {
                self.own.get_or_init(|| Frame::new(entry_frame(&self.entry, self.username.as_str(), true)))
            }
            Authorship::Others => &self.frame,
        }
    }

    /// The same entry as it is to be told after a later one of the room, if that makes a difference.
    pub(crate) fn with(&self, later: &Entry) -> Option<Self> {
        let mut entry = self.entry.is_told_anew_after(later).then(|| self.entry.clone())?;
        entry.take_in(later).then(|| Self::new(entry, self.username.clone()))
    }

    /// The same entry under another name, if it is about this user.
    fn renamed(&self, user: &UserId, name: &Username) -> Option<Self> {
        let differs = subject(&self.entry) == user && self.username != *name;
        differs.then(|| Self::new(self.entry.clone(), name.clone()))
    }

    fn bytes(&self) -> usize {
        self.frame.json().len()
    }
}

impl fmt::Debug for PostedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostedEntry").field(&self.entry).finish()
    }
}

/// A ring over the newest entries of one room: dense, up to the head, bounded by count and bytes.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    head: Seq,
    entries: VecDeque<Arc<PostedEntry>>,
    bytes: usize,
    /// See [`super::Sabotage::KeepTexts`].
    #[cfg(feature = "testing")]
    pub(super) keeps_texts: bool,
}

/// What lies after a cursor.
#[derive(Debug)]
pub(crate) enum After {
    /// Nothing: the cursor is at the head.
    Nothing,
    /// These, the first of them right after the cursor.
    Entries {
        /// Nearly always one or two: they need no memory of their own.
        entries: SmallVec<[Arc<PostedEntry>; 4]>,
        /// Whether there are no more.
        all: bool,
    },
    /// More than the ring holds: ask the store.
    Older,
}

impl Tail {
    /// An empty ring at the end of a log.
    pub(crate) fn at(head: Seq) -> Self {
        Self { head, ..Self::default() }
    }

    pub(crate) fn head(&self) -> Seq {
        self.head
    }

    /// Adds the next entry; the oldest make room. Entries here that are told with what it changes (the message
    /// that it is about, earlier edits of that) are replaced, and those that it cuts go: a text that is gone is gone
    /// from the ring.
    pub(crate) fn push(&mut self, posted: Arc<PostedEntry>) {
        self.head = posted.entry.seq;
        if let Some(first) = posted.entry.cuts() {
            while let Some(cut) = self.entries.pop_front_if(|oldest| oldest.entry.seq < first) {
                self.bytes -= cut.bytes();
            }
        }
        if self.replaces_after(&posted.entry) {
            for held in &mut self.entries {
                if let Some(newer) = held.with(&posted.entry) {
                    self.bytes = self.bytes - held.bytes() + newer.bytes();
                    *held = Arc::new(newer);
                }
            }
        }
        self.bytes += posted.bytes();
        self.entries.push_back(posted);
        while self.entries.len() > TAIL_ENTRIES_MAX || (self.bytes > TAIL_BYTES_MAX && self.entries.len() > 1)
        {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// Tells entries about a user under another name from here on.
    pub(crate) fn rename(&mut self, user: &UserId, name: &Username) {
        for held in &mut self.entries {
            if let Some(renamed) = held.renamed(user, name) {
                self.bytes = self.bytes - held.bytes() + renamed.bytes();
                *held = Arc::new(renamed);
            }
        }
    }

    fn replaces_after(&self, later: &Entry) -> bool {
        #[cfg(feature = "testing")]
        if self.keeps_texts {
            return false;
        }
        later.changes_earlier()
    }

    /// Entries right after `cursor`, at most `most` of them, and no more once their frames pass `bytes`.
    pub(crate) fn after(&self, cursor: Seq, most: usize, bytes: usize) -> After {
        if cursor >= self.head {
            return After::Nothing;
        }
        let missing = self.head.since(cursor);
        let held = self.entries.len() as u64;
        if missing > held {
            return After::Older;
        }
        let start = (held - missing) as usize;
        let mut budget = bytes;
        let taken = self.entries.iter().skip(start).take(most).take_while(|posted| {
            let fits = budget > 0;
            budget = budget.saturating_sub(posted.bytes());
            fits
        });
        let entries: SmallVec<_> = taken.cloned().collect();
        let all = start + entries.len() == self.entries.len();
        After::Entries { entries, all }
    }

    /// The newest `limit` messages, if the ring is sure to hold them all.
    pub(crate) fn newest_messages(&self, limit: usize) -> Option<Vec<Arc<PostedEntry>>> {
        let is_message = |posted: &&Arc<PostedEntry>| posted.entry.message().is_some();
        // One more than asked for tells whether there are older ones.
        let mut newest: Vec<_> =
            self.entries.iter().rev().filter(is_message).take(limit + 1).cloned().collect();
        newest.reverse();
        (newest.len() > limit).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Change, Content, Mentions, Message, Room},
        id::{ClientMessageId, RoomId},
        time::Timestamp,
    };

    fn posted(seq: u64, text: &str) -> Arc<PostedEntry> {
        let client_message_id = Some(ClientMessageId::parse("key").unwrap());
        let message = Message { client_message_id, ..Message::new(seq, Content::from_stored(text)) };
        let entry = Entry {
            room: RoomId::parse("r").unwrap(),
            seq: Seq::new(seq),
            at: Timestamp::default(),
            actor: UserId::parse("alice").unwrap(),
            change: Change::Send(message),
        };
        Arc::new(PostedEntry::new(entry, Username::parse("alice").unwrap()))
    }

    fn seqs(tail: &Tail, cursor: u64, most: usize, bytes: usize) -> Option<Vec<u64>> {
        match tail.after(Seq::new(cursor), most, bytes) {
            After::Nothing => Some(Vec::new()),
            After::Entries { entries, all } => {
                let last = entries.last().map(|posted| posted.entry.seq.get());
                assert_eq!(all, last == Some(tail.head.get()), "whether there is more");
                Some(entries.iter().map(|posted| posted.entry.seq.get()).collect())
            }
            After::Older => None,
        }
    }

    #[test]
    fn a_cursor_gets_everything_after_it_or_is_sent_to_the_store() {
        let mut tail = Tail::at(Seq::new(10));
        for seq in 11..=14 {
            tail.push(posted(seq, "x"));
        }
        let from = |cursor| seqs(&tail, cursor, 100, usize::MAX);
        assert_eq!(from(9), None);
        assert_eq!(from(10), Some(vec![11, 12, 13, 14]));
        assert_eq!(from(13), Some(vec![14]));
        assert_eq!(from(14), Some(vec![]));
        assert_eq!(from(99), Some(vec![]));
        assert_eq!(seqs(&tail, 10, 2, usize::MAX), Some(vec![11, 12]));
        assert_eq!(seqs(&tail, 10, 100, 1), Some(vec![11]), "never nothing for want of bytes");
    }

    #[test]
    fn the_ring_is_bounded_by_count_and_by_bytes() {
        let mut tail = Tail::default();
        for seq in 1..=TAIL_ENTRIES_MAX as u64 + 10 {
            tail.push(posted(seq, "x"));
        }
        assert_eq!(tail.entries.len(), TAIL_ENTRIES_MAX);
        let large = "x".repeat(TAIL_BYTES_MAX / 4);
        for seq in 1..=10 {
            tail.push(posted(TAIL_ENTRIES_MAX as u64 + 10 + seq, &large));
        }
        assert!(tail.bytes <= TAIL_BYTES_MAX);
        assert_eq!(tail.bytes, tail.entries.iter().map(|posted| posted.bytes()).sum::<usize>());
    }

    #[test]
    fn what_is_done_to_a_message_moves_it_and_its_edits_in_the_ring() {
        let mut tail = Tail::default();
        tail.push(posted(1, "canary"));
        tail.push(posted(2, "other"));
        let later = |seq, change| {
            Arc::new(PostedEntry::new(
                Entry { seq: Seq::new(seq), change, ..posted(1, "").entry.clone() },
                Username::from_stored("alice"),
            ))
        };
        let target = Seq::new(1);
        let told = |tail: &Tail| {
            let text = |posted: &Arc<PostedEntry>| String::from_utf8(posted.frame.json().to_vec()).unwrap();
            tail.entries.iter().map(text).collect::<Vec<_>>()
        };
        let edit = |text| {
            let (content, mentions) = (Content::from_stored(text), Mentions::default());
            Change::Edit { target, content, mentions }
        };
        tail.push(later(3, edit("canary 2")));
        assert!(told(&tail)[0].contains("canary 2"));
        tail.push(later(4, edit("canary 3")));
        assert!(told(&tail)[..3].iter().all(|frame| !frame.contains("canary 2")));
        assert!(told(&tail)[2].contains("canary 3"));
        tail.push(later(5, Change::Delete { target, thread: None }));
        assert!(told(&tail).iter().all(|frame| !frame.contains("canary")));
        assert!(told(&tail)[1].contains("other"));
        assert_eq!(tail.bytes, tail.entries.iter().map(|posted| posted.bytes()).sum::<usize>());
    }

    #[test]
    fn what_is_cut_leaves_the_ring_and_with_it_the_texts_of_later_edits() {
        let mut tail = Tail::at(Seq::new(10));
        tail.push(posted(11, "canary"));
        tail.push(posted(12, "kept"));
        let later = |seq, change| {
            let entry = Entry { seq: Seq::new(seq), change, ..posted(1, "").entry.clone() };
            Arc::new(PostedEntry::new(entry, Username::from_stored("alice")))
        };
        let edit = |target, text| Change::Edit {
            target: Seq::new(target),
            content: Content::from_stored(text),
            mentions: Mentions::default(),
        };
        tail.push(later(13, edit(11, "canary again")));
        tail.push(later(14, edit(12, "kept as well")));
        let room = Room { first: Seq::new(12), ..Room::unborn(RoomId::parse("r").unwrap()) };
        tail.push(later(15, Change::Describe(Box::new(room))));
        let text = |posted: &Arc<PostedEntry>| String::from_utf8(posted.frame.json().to_vec()).unwrap();
        let told: Vec<_> = tail.entries.iter().map(text).collect();
        assert!(told.iter().all(|frame| !frame.contains("canary")), "{told:?}");
        assert!(told[0].contains("kept as well") && told[2].contains("kept as well"));
        assert_eq!(seqs(&tail, 10, 100, usize::MAX), None);
        assert_eq!(seqs(&tail, 11, 100, usize::MAX), Some(vec![12, 13, 14, 15]));
        assert_eq!(tail.bytes, tail.entries.iter().map(|posted| posted.bytes()).sum::<usize>());
        let room = Room { first: Seq::new(16), ..Room::unborn(RoomId::parse("r").unwrap()) };
        tail.push(later(16, Change::Describe(Box::new(room))));
        assert_eq!(seqs(&tail, 15, 100, usize::MAX), Some(vec![16]));
        assert_eq!(seqs(&tail, 14, 100, usize::MAX), None);
        assert_eq!(tail.bytes, tail.entries[0].bytes());
    }

    #[test]
    fn only_its_author_gets_the_frame_with_the_key() {
        let posted = posted(1, "x");
        let text = |user: &str| {
            let frame = posted.frame_for(&UserId::parse(user).unwrap());
            String::from_utf8(frame.json().to_vec()).unwrap()
        };
        assert!(text("alice").contains(r#""clientMessageId":"key""#));
        assert!(!text("bob").contains("clientMessageId"));
    }
}
