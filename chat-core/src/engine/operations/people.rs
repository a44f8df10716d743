//! Commands about people: direct messages, groups, blocks.

use super::{sent_answer, user_id};
use crate::{
    domain::{Draft, RoomName},
    engine::OwnRoom,
    engine::{
        caller::{Caller, sent},
        cell::Reply,
        error::Error,
    },
    id::{RoomId, UserId},
    store::{Page, UserProfile},
    wire::{Answer, BlockView, CreateGroup, ListBlocks, RoomView, SendDm, SendMessage},
};

impl Caller {
    /// Carries out `send_dm` up to its place in the room's queue; `reply` hears of the rest.
    pub(crate) async fn perform_send_dm(
        &self,
        fields: SendDm,
        reply: impl FnOnce(Result<Answer, Error>) + Send + 'static,
    ) {
        match self.direct_draft(fields).await {
            Ok((to, room, draft)) => {
                let tell = move |outcome: Result<_, Error>| {
                    reply(outcome.and_then(|outcome| Ok(sent_answer(&room, sent(&outcome)?))));
                };
                self.submit_direct(&to, draft, Reply::new(tell)).await;
            }
            Err(error) => reply(Err(error)),
        }
    }

    pub(super) async fn perform_dm(&self, fields: SendDm) -> Result<Answer, Error> {
        let (to, _, draft) = self.direct_draft(fields).await?;
        let (room, sent) = self.send_dm(&to, draft).await?;
        Ok(sent_answer(&room, sent))
    }

    /// Reads the fields of a direct message.
    async fn direct_draft(&self, fields: SendDm) -> Result<(UserId, RoomId, Draft), Error> {
        let to = user_id(&fields.recipient_id)?;
        let room_id = RoomId::direct(self.user(), &to).as_str().to_owned();
        let (room, draft) = self.draft(SendMessage { room_id, ..fields.message }).await?;
        Ok((to, room, draft))
    }

    pub(super) async fn perform_create_group(&self, fields: CreateGroup) -> Result<Answer, Error> {
        let users = fields.user_ids.iter().map(|user| user_id(user)).collect::<Result<Vec<_>, _>>()?;
        let name =
            fields.name.filter(|name| !name.is_empty()).map(|name| RoomName::parse(&name)).transpose()?;
        Ok(Answer::Room { room: RoomView::of(&self.create_group(&users, name).await?) })
    }

    /// The caller's direct rooms as they stand in their list, each with the other one of its two.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn direct_rooms(&self, cursor: Option<String>) -> Result<Page<(RoomView, UserProfile)>, Error> {
        let mut cursor = cursor;
        loop {
            let page = self.overview(cursor).await?;
            let peer = |own: &OwnRoom| own.overview.room.other(self.user()).cloned();
            let direct: Vec<_> = page.items.iter().filter_map(|own| Some((own, peer(own)?))).collect();
            let peers: Vec<_> = direct.iter().map(|(_, peer)| peer.clone()).collect();
            cursor = page.next;
            // Other rooms may fill a page; its reader is shown one that has something, or the end.
            if peers.is_empty() && cursor.is_some() {
                continue;
            }
            let profiles = self.shared().store.users(&peers).await?;
            let rooms = direct.iter().map(|(own, _)| self.own_view(own));
            let items = rooms.zip(profiles).filter_map(|(room, profile)| Some((room, profile?))).collect();
            return Ok(Page { items, next: cursor });
        }
    }

    pub(super) async fn perform_list_blocks(&self, fields: ListBlocks) -> Result<Answer, Error> {
        let page = self.blocks(fields.cursor).await?;
        let items = page.items.iter().map(|(block, name)| BlockView::of(block, name.as_str())).collect();
        Ok(Answer::Blocks { items, next_cursor: page.next })
    }
}
