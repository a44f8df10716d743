//! Who may have a file: whoever may read, now, a message that refers to it.

use super::Caller;
use crate::{
    domain::Action,
    engine::{error::Error, shared::Readable},
    files::{FileId, Posting},
    id::{RoomId, Seq},
    store::{MessageQuery, Place},
};

impl Caller {
    /// Whether the caller may have a file because of where it is posted: they may read one of those messages as of
    /// now, or review it where it is held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sees_file(&self, file: FileId, postings: &[Posting]) -> Result<bool, Error> {
        for posting in postings {
            let seen = match posting {
                Posting::Message { room, seq } => self.sees_posted(file, room, *seq).await,
                Posting::Held { room } => self.may_review(room).await.map(|()| true),
            };
            match seen {
                Ok(true) => return Ok(true),
                Ok(false) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    async fn sees_posted(&self, file: FileId, room: &RoomId, seq: Seq) -> Result<bool, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        if seq <= hidden_until {
            return Ok(false);
        }
        let query = MessageQuery { place: Place::Around(seq), limit: 1, hidden_until, max_bytes: usize::MAX };
        let page = shared.store.messages(&room.id, query).await?;
        self.still_reads(&cell, at).await?;
        let name = file.to_string();
        let message = page.messages.iter().find(|entry| entry.seq == seq).and_then(|entry| entry.message());
        // The index may be ahead of what is durable; what counts is the message.
        Ok(message.is_some_and(|message| {
            message.deleted.is_none() && message.attachments.iter().any(|one| one.file_id == name)
        }))
    }

    async fn may_review(&self, room: &RoomId) -> Result<(), Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let readable = shared.permitted(&cell, self.user(), Action::Review).await?;
        // One policy may permit the one and not the other.
        let actor = shared.actor(self.user());
        let Readable { room, member, .. } = &readable;
        Ok(shared.policy.decide(&actor, Action::Read, room, member.as_ref()).into_result()?)
    }
}
