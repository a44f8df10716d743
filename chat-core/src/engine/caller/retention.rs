//! Letting go of what a room's retention lets go: the operator's own act, which nobody asks for.

use super::Caller;
use crate::{
    domain::{Command, Cut},
    engine::error::Error,
    id::RoomId,
};

impl Caller {
    /// Cuts a room's log. What was cut already, by another node for example, stays as it is.
    pub(crate) async fn trim(&self, room: &RoomId, cut: Cut) -> Result<(), Error> {
        let cell = self.shared().open(room).await?;
        self.ask(&cell, Command::Trim(cut)).await.map(drop)
    }
}
