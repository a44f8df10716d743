//! A message as it stands now: what was sent, and what was done to it since.

use super::{Attachments, Change, Content, Emoji, Entry, Mentions};
use crate::{
    id::{ClientMessageId, Seq, UserId},
    time::Timestamp,
};

/// Different emoji that one message takes. One more is `conflict`.
pub const REACTIONS_DISTINCT_MAX: usize = 20;

/// Users who are named with a reaction; the count goes on beyond.
pub const REACTION_USERS_MAX: usize = 20;

/// Messages that one room keeps pinned. One more is `conflict`.
pub const PINS_MAX: u32 = 50;

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number among the room's messages, from 1 without holes; unread counts are differences of these.
    pub ordinal: u64,
    /// Its text; empty once it is deleted.
    pub content: Content,
    /// What kind of message it is.
    pub message_type: MessageType,
    /// The files that it refers to; none once it is deleted.
    pub attachments: Attachments,
    /// The author's own key for it, shown to nobody else.
    pub client_message_id: Option<ClientMessageId>,
    /// Whom it is for, in a direct room.
    pub recipient: Option<UserId>,
    /// The message of the same room that it answers.
    pub reply_to: Option<Seq>,
    /// Whom its text mentions.
    pub mentions: Mentions,
    /// The latest edit.
    pub edited: Option<Edited>,
    /// Its deletion; a deleted message stays as a tombstone.
    pub deleted: Option<Deleted>,
    /// The entry that pinned it.
    pub pinned: Option<Seq>,
    /// Reactions, the emoji that came first first.
    pub reactions: Vec<Reaction>,
    /// The thread that it stands in as a reply.
    pub thread: Option<InThread>,
    /// The replies in the thread that it is the root of.
    pub replies: Replies,
}

/// A reply's place in a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InThread {
    /// The message that began the thread; never a reply itself.
    pub root: Seq,
    /// How many replies the thread had with this one, but for deleted ones.
    pub count: u32,
}

/// What stands in a thread, but for its root and deleted replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replies {
    /// How many replies.
    pub count: u32,
    /// When the last of them was sent.
    pub last_at: Option<Timestamp>,
}

/// When a message got its present text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// The entry that says so.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
}

/// How a message came to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The entry that says so.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: UserId,
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Which.
    pub emoji: Emoji,
    /// How many users have it there.
    pub count: u32,
    /// Some of them, the earliest first: whoever finds fewer than [`REACTION_USERS_MAX`] here is added and stays
    /// until they take their reaction back.
    pub users: Vec<UserId>,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageType {
    /// Plain text.
    #[default]
    Text,
    /// A picture.
    Image,
    /// Any file.
    File,
    /// A recorded voice.
    Voice,
}

impl MessageType {
    /// The type of that name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Image, Self::File, Self::Voice].into_iter().find(|kind| kind.as_str() == name)
    }

    /// The type on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
            Self::Voice => "voice",
        }
    }
}

impl Message {
    /// A text to which nothing was done yet.
    #[must_use]
    pub fn new(ordinal: u64, content: Content) -> Self {
        Self {
            ordinal,
            content,
            message_type: MessageType::Text,
            attachments: Attachments::default(),
            client_message_id: None,
            recipient: None,
            reply_to: None,
            mentions: Mentions::default(),
            edited: None,
            deleted: None,
            pinned: None,
            reactions: Vec::new(),
            thread: None,
            replies: Replies::default(),
        }
    }

    /// Takes in a later entry whose target this message is.
    ///
    /// A message may be newer than the entries that are taken in, since a store tells it as it stands now. Taking
    /// in all entries up to the state that it was read at ends in that state again.
    pub fn take_in(&mut self, entry: &Entry) {
        if self.deleted.is_some() {
            return;
        }
        match &entry.change {
            Change::Edit { content, mentions, .. }
                if self.edited.is_none_or(|edited| edited.seq < entry.seq) =>
            {
                self.content = content.clone();
                self.mentions = mentions.clone();
                self.edited = Some(Edited { seq: entry.seq, at: entry.at });
            }
            Change::Delete { .. } => {
                self.deleted = Some(Deleted { seq: entry.seq, at: entry.at, by: entry.actor.clone() });
                self.content = Content::gone();
                self.attachments = Attachments::default();
                self.mentions = Mentions::default();
                self.pinned = None;
                self.reactions = Vec::new();
            }
            Change::React { emoji, count, .. } => self.reaction(emoji).add(&entry.actor, *count),
            Change::Unreact { emoji, count, .. } => {
                self.reaction(emoji).remove(&entry.actor, *count);
                self.reactions.retain(|reaction| reaction.count > 0);
            }
            Change::Pin { .. } => self.pinned = Some(entry.seq),
            Change::Unpin { .. } => self.pinned = None,
            _ => {}
        }
    }

    /// How many bytes of text it holds, those of its files included: what pages are bounded by.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.content.as_str().len() + self.attachments.bytes()
    }

    /// How many users have this emoji here.
    #[must_use]
    pub fn count(&self, emoji: &Emoji) -> u32 {
        self.reactions.iter().find(|reaction| reaction.emoji == *emoji).map_or(0, |reaction| reaction.count)
    }

    fn reaction(&mut self, emoji: &Emoji) -> &mut Reaction {
        let known = self.reactions.iter().position(|reaction| reaction.emoji == *emoji);
        let index = known.unwrap_or_else(|| {
            self.reactions.push(Reaction::new(emoji.clone()));
            self.reactions.len() - 1
        });
        &mut self.reactions[index]
    }
}

impl Reaction {
    /// An emoji that nobody has put there yet.
    #[must_use]
    pub fn new(emoji: Emoji) -> Self {
        Self { emoji, count: 0, users: Vec::new() }
    }

    /// One more user, and how many it are then.
    pub fn add(&mut self, user: &UserId, count: u32) {
        self.count = count;
        if self.users.len() < REACTION_USERS_MAX && !self.users.contains(user) {
            self.users.push(user.clone());
        }
    }

    /// One user less, and how many are left.
    pub fn remove(&mut self, user: &UserId, count: u32) {
        self.count = count;
        self.users.retain(|known| known != user);
    }
}
