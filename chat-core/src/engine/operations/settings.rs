//! What admins ask for.

use super::room_id;
use crate::{
    domain::{Description, History, Rejection, RoomChange, RoomName},
    engine::{caller::Caller, error::Error},
    wire::{Answer, RoomView, UpdateRoom},
};

impl Caller {
    pub(super) async fn perform_update_room(&self, fields: UpdateRoom) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let history = match fields.history.as_deref() {
            None => None,
            Some(text) => {
                let history = History::parse(text);
                Some(history.ok_or(Rejection::BadRequest("history is all or since_join"))?)
            }
        };
        let change = RoomChange {
            name: fields.name.map(|name| RoomName::parse(&name)).transpose()?,
            description: fields.description.map(|text| Description::parse(&text)).transpose()?,
            archived: fields.archived,
            // What does not fit is over the bound.
            slow_mode_seconds: fields
                .slow_mode_seconds
                .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            history,
            private: fields.private,
            retention_days: fields.retention_days.map(bound),
            retention_messages: fields.retention_messages.map(bound),
        };
        Ok(Answer::Room { room: RoomView::of(&self.update_room(&room, change).await?) })
    }

    pub(super) async fn perform_delete_room(&self, room: &str) -> Result<Answer, Error> {
        let room = self.delete_room(&room_id(room)?).await?;
        Ok(Answer::Room { room: RoomView::of(&room) })
    }
}

/// What does not fit is over the bound's own bound.
fn bound(bound: Option<u64>) -> Option<u32> {
    bound.map(|bound| u32::try_from(bound).unwrap_or(u32::MAX))
}
