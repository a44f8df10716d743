//! What becomes of the room itself.

use super::{Caller, room_at};
use crate::{
    domain::{Command, ErrorCode, Room, RoomChange},
    engine::error::Error,
    id::RoomId,
};

impl Caller {
    /// Changes a room: its name, description, pace, and who may see it. For admins and above. What is already so is
    /// accepted and changes nothing. Returns the room; where something was changed, its head is the entry that says
    /// so.
    ///
    /// # Errors
    /// `forbidden` for want of rank and in direct rooms, `conflict` when another public room has the name,
    /// `bad_request` for a pause over its bound.
    pub async fn update_room(&self, room: &RoomId, change: RoomChange) -> Result<Room, Error> {
        let cell = self.shared().open(room).await?;
        let outcome = self.ask(&cell, Command::Update(change)).await;
        self.note_refusal(room, &outcome);
        Ok(room_at(&cell, &outcome?))
    }

    /// Deletes a room, for owners. When this returns it answers everybody as a room that does not exist, its name is
    /// free, and its followers are told of its end and of nothing later. Its id is never used again. What it held is
    /// deleted from the store within some hours; its audit log stays. Returns the room as it was, with the entry of
    /// its end as its head.
    ///
    /// # Errors
    /// `forbidden` for want of rank and in direct rooms.
    pub async fn delete_room(&self, room: &RoomId) -> Result<Room, Error> {
        let cell = self.shared().open(room).await?;
        let before = cell.room();
        let outcome = self.ask(&cell, Command::DeleteRoom).await;
        self.note_refusal(room, &outcome);
        let head = room_at(&cell, &outcome?).head;
        Ok(Room { head, ..before })
    }

    fn note_refusal<T>(&self, room: &RoomId, outcome: &Result<T, Error>) {
        if outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::Forbidden) {
            tracing::warn!(%room, actor = %self.user(), "a privileged act was refused");
        }
    }
}
