//! The second encoding of the values that needed one. Frozen, as [`super::v1`] is.

use serde::{Deserialize, Serialize};

use super::v1::{self, Id};

/// `10`: a user of whom there is more to say. Others are still written as [`v1::User`].
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct User<'a> {
    #[serde(borrow)]
    pub(in super::super) plain: v1::User<'a>,
    pub(in super::super) display_name: Option<&'a str>,
    pub(in super::super) avatar_url: Option<&'a str>,
    pub(in super::super) disabled: bool,
}

impl<'a> From<v1::User<'a>> for User<'a> {
    fn from(plain: v1::User<'a>) -> Self {
        Self { plain, display_name: None, avatar_url: None, disabled: false }
    }
}

/// `30`: a message to which something was done. One to which nothing was is still written as [`v1::Message`].
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Message<'a> {
    pub(in super::super) at: i64,
    #[serde(borrow)]
    pub(in super::super) actor: Id<'a>,
    pub(in super::super) ordinal: u64,
    pub(in super::super) message_type: u8,
    #[serde(borrow)]
    pub(in super::super) client_message_id: Option<Id<'a>>,
    pub(in super::super) text: &'a str,
    /// Bytes of the text that stand in `39`.
    pub(in super::super) continued: u32,
    /// How many files it refers to, which stand in `3D`, and how many bytes of text they hold.
    pub(in super::super) attachments: u8,
    pub(in super::super) attached: u32,
    /// The message that it answers; 0 for none.
    pub(in super::super) reply_to: u64,
    pub(in super::super) edited: Option<Edited>,
    #[serde(borrow)]
    pub(in super::super) deleted: Option<Deleted<'a>>,
    /// The entry that pinned it; 0 while it is not.
    pub(in super::super) pinned: u64,
    /// The root of the thread that it is a reply in, 0 for none, and how many replies there were with it.
    pub(in super::super) thread: u64,
    pub(in super::super) thread_count: u32,
    /// How many replies its own thread has that are not deleted, and when the last of them was sent.
    pub(in super::super) replies: u32,
    pub(in super::super) last_reply: Option<i64>,
    #[serde(borrow)]
    pub(in super::super) mentions: Vec<Id<'a>>,
    pub(in super::super) mentions_room: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct Edited {
    pub(in super::super) seq: u64,
    pub(in super::super) at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Deleted<'a> {
    pub(in super::super) seq: u64,
    pub(in super::super) at: i64,
    #[serde(borrow)]
    pub(in super::super) by: Id<'a>,
}

impl<'a> From<v1::Message<'a>> for Message<'a> {
    fn from(row: v1::Message<'a>) -> Self {
        let v1::Message { at, actor, ordinal, message_type, client_message_id, text, continued } = row;
        let (reply_to, edited, deleted, pinned) = (0, None, None, 0);
        let (mentions, mentions_room) = (Vec::new(), false);
        Self {
            at,
            actor,
            ordinal,
            message_type,
            client_message_id,
            text,
            continued,
            attachments: 0,
            attached: 0,
            reply_to,
            edited,
            deleted,
            pinned,
            thread: 0,
            thread_count: 0,
            replies: 0,
            last_reply: None,
            mentions,
            mentions_room,
        }
    }
}

impl<'a> Message<'a> {
    /// The row as version 1, if that can say it all.
    pub(super) fn as_v1(&self) -> Option<v1::Message<'a>> {
        let plain = self.attachments == 0
            && self.reply_to == 0
            && self.edited.is_none()
            && self.deleted.is_none()
            && self.pinned == 0
            && self.thread == 0
            && self.last_reply.is_none()
            && self.mentions.is_empty()
            && !self.mentions_room;
        plain.then_some(v1::Message {
            at: self.at,
            actor: self.actor,
            ordinal: self.ordinal,
            message_type: self.message_type,
            client_message_id: self.client_message_id,
            text: self.text,
            continued: self.continued,
        })
    }
}
