//! What clients say of reading, and ask of their rooms.

use super::room_id;
use crate::{
    engine::{Caller, Error, KnownRoom, OwnRoom},
    id::Seq,
    store::Reading,
    wire::{Answer, Mark, MessageView, OwnRoomView, RoomView},
};

impl Caller {
    pub(super) async fn perform_mark_read(&self, fields: &Mark) -> Result<Answer, Error> {
        let Reading { unread, mentions, .. } =
            self.mark_read(&room_id(&fields.room_id)?, Seq::new(fields.seq)).await?;
        Ok(Answer::Read { unread, mentions })
    }

    pub(super) async fn perform_mark_delivered(&self, fields: &Mark) -> Result<Answer, Error> {
        self.mark_delivered(&room_id(&fields.room_id)?, Seq::new(fields.seq)).await?;
        Ok(Answer::Done {})
    }

    pub(super) async fn perform_get_room(&self, room: &str) -> Result<Answer, Error> {
        let room = match self.room(&room_id(room)?).await? {
            KnownRoom::Own(own) => self.own_view(&own),
            KnownRoom::Other(room) => RoomView::of(&room),
        };
        Ok(Answer::KnownRoom { room })
    }

    /// A room as its member sees it in their list.
    pub(super) fn own_view(&self, own: &OwnRoom) -> RoomView {
        let OwnRoom { overview, author } = own;
        let last_message = overview.last.as_ref().zip(author.as_ref()).and_then(|(entry, author)| {
            MessageView::of(entry, author.as_str(), entry.actor == *self.user()).map(Box::new)
        });
        let Reading { seq, unread, mentions } = overview.reading;
        RoomView::of(&overview.room).owned(OwnRoomView {
            role: overview.member.role.as_str(),
            unread,
            mentions,
            last_read_seq: seq.get(),
            last_message,
        })
    }
}
