//! Operations on messages that stand in the log.

use super::{page_limit, room_id};
use crate::{
    domain::{Attachment, Attachments, Content, Emoji, Entry, Needs, Rejection, Username},
    engine::{
        caller::{Caller, Changed, Messages, Thread},
        error::Error,
    },
    files::FileReference,
    id::{ClientMessageId, MessageId, RoomId, Seq},
    limits::ATTACHMENTS_MAX,
    store::Place,
    wire::{
        Answer, AttachmentFields, EditMessage, EditView, FetchThread, ListPins, MessageRef, MessageView,
        ReactionFields,
    },
};

impl Caller {
    pub(super) async fn perform_edit(&self, fields: &EditMessage) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let content = Content::parse(&fields.content, self.shared().limits.text())?;
        self.edit(&room, target_in(&room, &fields.message_id), content).await.map(answer)
    }

    pub(super) async fn perform_delete(&self, fields: &MessageRef) -> Result<Answer, Error> {
        let (room, target) = place(fields)?;
        self.delete(&room, target).await.map(answer)
    }

    pub(super) async fn perform_react(&self, fields: &ReactionFields, adds: bool) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let emoji = Emoji::parse(&fields.emoji)?;
        let target = target_in(&room, &fields.message_id);
        match adds {
            true => self.react(&room, target, emoji).await.map(answer),
            false => self.unreact(&room, target, emoji).await.map(answer),
        }
    }

    pub(super) async fn perform_pin(&self, fields: &MessageRef, pins: bool) -> Result<Answer, Error> {
        let (room, target) = place(fields)?;
        match pins {
            true => self.pin(&room, target).await.map(answer),
            false => self.unpin(&room, target).await.map(answer),
        }
    }

    pub(super) async fn perform_thread(&self, fields: &FetchThread) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let target = target_in(&room, &fields.message_id);
        let place = match (fields.before, fields.after) {
            (None, None) => Place::Latest,
            (Some(seq), None) => Place::Before(Seq::new(seq)),
            (None, Some(seq)) => Place::After(Seq::new(seq)),
            _ => return Err(Rejection::BadRequest("give one of before and after").into()),
        };
        let limit = page_limit(fields.limit)?;
        let Thread { root, page } = self.thread(&room, target, place, limit).await?;
        Ok(Answer::Thread {
            room_id: fields.room_id.clone(),
            message_id: MessageId::of(&room, root).to_string(),
            messages: self.views(&page.items),
            has_more_before: page.more_before,
            has_more_after: page.more_after,
        })
    }

    pub(super) async fn perform_edits(&self, fields: &MessageRef) -> Result<Answer, Error> {
        let (room, target) = place(fields)?;
        let edits = self.edits(&room, target).await?;
        Ok(Answer::Edits {
            room_id: fields.room_id.clone(),
            message_id: fields.message_id.clone(),
            items: edits.items.iter().map(EditView::of).collect(),
            has_more_before: edits.more_before,
        })
    }

    pub(super) async fn perform_pins(&self, fields: &ListPins) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let before = fields.before.map(Seq::new);
        let Messages { items, more_before, .. } = self.pins(&room, before).await?;
        let messages = self.views(&items);
        Ok(Answer::Pins { room_id: fields.room_id.clone(), messages, has_more_before: more_before })
    }

    /// The files that a message of the caller is to refer to: those that are known are as they are known, others as
    /// they were written.
    pub(super) async fn attachments(
        &self,
        fields: Option<Vec<AttachmentFields>>,
    ) -> Result<Attachments, Error> {
        let files: Vec<_> = fields.unwrap_or_default().into_iter().map(reference).collect();
        if files.is_empty() {
            return Ok(Attachments::default());
        }
        // Before anybody looks for them.
        if files.len() > ATTACHMENTS_MAX {
            return Err(Rejection::BadRequest("a message has at most 10 attachments").into());
        }
        let attachments = match &self.shared().files {
            Some(known) => known.resolve(self.user(), files).await?,
            None => as_written(files)?,
        };
        Ok(Attachments::parse(attachments)?)
    }

    /// Whether something was sent to a room under this key.
    pub(super) async fn was_sent(&self, room: &RoomId, key: &ClientMessageId) -> Result<bool, Error> {
        let needs = Needs { sent: vec![(self.user().clone(), key.clone())], ..Needs::default() };
        Ok(self.shared().store.gather(room, &needs).await?.sent(self.user(), key).is_some())
    }

    /// A message as this caller sees it, if it is pinned.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room, `not_found` for a message that is not there or not
    /// pinned.
    pub async fn pinned(&self, message: MessageRef) -> Result<MessageView, Error> {
        let (room, target) = place(&message)?;
        let before = Some(target.next());
        let mut page = self.pins(&room, before).await?;
        let it = page.items.pop().filter(|(entry, _)| entry.seq == target);
        let mut views = self.views(&it.into_iter().collect::<Vec<_>>());
        views.pop().ok_or_else(|| Rejection::NotFound("pinned message").into())
    }

    /// Messages as this caller sees them.
    pub(super) fn views(&self, items: &[(Entry, Username)]) -> Vec<MessageView> {
        let view = |(entry, name): &(Entry, Username)| {
            MessageView::of(entry, name.as_str(), entry.actor == *self.user())
        };
        items.iter().filter_map(view).collect()
    }
}

/// A reference to a file, as a client gave it.
fn reference(fields: AttachmentFields) -> FileReference {
    let AttachmentFields { file_id, name, mime, size, url, width, height } = fields;
    FileReference { file_id, name, mime, size, url, width, height }
}

/// Attachments just as they were written.
fn as_written(files: Vec<FileReference>) -> Result<Vec<Attachment>, Error> {
    let written: Option<_> = files.into_iter().map(FileReference::as_written).collect();
    Ok(written.ok_or(Rejection::BadRequest("an attachment has a fileId, name, mime, size and url"))?)
}

fn place(fields: &MessageRef) -> Result<(RoomId, Seq), Error> {
    let room = room_id(&fields.room_id)?;
    let target = target_in(&room, &fields.message_id);
    Ok((room, target))
}

/// Where a message stands in the room by the id that a client gave. An id of another room, or one that was never
/// handed out, is that of no message: it is refused only after whether the caller may know of the room.
pub(super) fn target_in(room: &RoomId, id: &str) -> Seq {
    MessageId::parse(id).ok().and_then(|id| id.seq_in(room)).unwrap_or(Seq::ZERO)
}

fn answer(changed: Changed) -> Answer {
    match changed {
        Changed::Now(seq) => Answer::Seq { seq: seq.get() },
        Changed::Before(seq) => Answer::Unchanged { seq: seq.map(Seq::get) },
    }
}
