//! The table of operations: each command of the protocol and what it does, for every door alike.

mod care;
mod invites;
mod messages;
mod moderation;
mod people;
mod presence;
mod reading;
mod settings;

use messages::target_in;

use super::{
    caller::{Caller, Messages, Offered, offered},
    cell::Reply,
    error::Error,
};
use crate::{
    domain::{
        Attachments, Content, Description, Draft, History, Measure, MessageType, Rejection, RoomKind,
        RoomName, RoomSpec, Sent,
    },
    id::{ClientMessageId, MessageId, RoomId, Seq, UserId},
    limits::PAGE_MESSAGES_MAX,
    store::Place,
    wire::{
        Answer, ClientCommand, CreateRoom, FetchHistory, ListMembers, ListRooms, MemberView, RoomView, Scope,
        SendMessage,
    },
};

/// Messages on a page when the client names no number.
const PAGE_MESSAGES_DEFAULT: u64 = 50;

impl Caller {
    /// Carries out a command of the protocol that needs no session: the same checks and the same answers for
    /// WebSocket, HTTP and in-process callers.
    ///
    /// # Errors
    /// [`Error`], with the code that the client is told. `bad_request` for commands that only make sense on a
    /// live connection.
    pub async fn perform(&self, command: ClientCommand) -> Result<Answer, Error> {
        match command {
            ClientCommand::CreateRoom(fields) => self.perform_create(fields).await,
            ClientCommand::ListRooms(fields) => self.perform_list_rooms(fields).await,
            ClientCommand::JoinRoom(room) => {
                Ok(Answer::Room { room: RoomView::of(&self.join(&room_id(&room)?).await?) })
            }
            ClientCommand::LeaveRoom(room) => self.leave(&room_id(&room)?).await.map(|()| Answer::Done {}),
            ClientCommand::ListMembers(fields) => self.perform_list_members(fields).await,
            ClientCommand::SendMessage(fields) => {
                let (room, draft) = self.draft(fields).await?;
                Ok(offered_answer(&room, &self.offer(&room, draft).await?))
            }
            ClientCommand::GetRoom(room) => self.perform_get_room(&room).await,
            ClientCommand::MarkRead(fields) => self.perform_mark_read(&fields).await,
            ClientCommand::MarkDelivered(fields) => self.perform_mark_delivered(&fields).await,
            ClientCommand::TypingStart(room) => {
                self.start_typing(&room_id(&room)?).await.map(|()| Answer::Done {})
            }
            ClientCommand::TypingStop(room) => {
                self.stop_typing(&room_id(&room)?).await.map(|()| Answer::Done {})
            }
            ClientCommand::SendDm(fields) => self.perform_dm(fields).await,
            ClientCommand::CreateGroup(fields) => self.perform_create_group(fields).await,
            ClientCommand::BlockUser(user) => self.block(&user_id(&user)?).await.map(|()| Answer::Done {}),
            ClientCommand::UnblockUser(user) => {
                self.unblock(&user_id(&user)?).await.map(|()| Answer::Done {})
            }
            ClientCommand::ListBlocks(fields) => self.perform_list_blocks(fields).await,
            ClientCommand::SetPresence(fields) => self.perform_set_presence(fields),
            ClientCommand::GetPresence(fields) => self.perform_get_presence(&fields).await,
            ClientCommand::Invite(fields) => self.perform_invite(&fields).await,
            ClientCommand::ListInvites => self.perform_list_invites().await,
            ClientCommand::AcceptInvite(id) => self.perform_accept(&id).await,
            ClientCommand::DeclineInvite(id) => self.perform_decline(&id).await,
            ClientCommand::CreateInviteLink(fields) => self.perform_create_link(&fields).await,
            ClientCommand::ListInviteLinks(room) => self.perform_list_links(room).await,
            ClientCommand::RevokeInviteLink(fields) => self.perform_revoke_link(&fields).await,
            ClientCommand::JoinByLink(token) => self.perform_join_by_link(&token).await,
            ClientCommand::FetchHistory(fields) => self.perform_history(&fields).await,
            ClientCommand::EditMessage(fields) => self.perform_edit(&fields).await,
            ClientCommand::DeleteMessage(fields) => self.perform_delete(&fields).await,
            ClientCommand::AddReaction(fields) => self.perform_react(&fields, true).await,
            ClientCommand::RemoveReaction(fields) => self.perform_react(&fields, false).await,
            ClientCommand::PinMessage(fields) => self.perform_pin(&fields, true).await,
            ClientCommand::UnpinMessage(fields) => self.perform_pin(&fields, false).await,
            ClientCommand::FetchThread(fields) => self.perform_thread(&fields).await,
            ClientCommand::FetchEdits(fields) => self.perform_edits(&fields).await,
            ClientCommand::ListPins(fields) => self.perform_pins(&fields).await,
            ClientCommand::SetRole(fields) => self.perform_set_role(fields).await,
            ClientCommand::Kick(fields) => self.perform_moderate(fields, |_| Measure::Kick).await,
            ClientCommand::Ban(fields) => self.perform_moderate(fields, Measure::Ban).await,
            ClientCommand::Unban(fields) => self.perform_moderate(fields, |_| Measure::Unban).await,
            ClientCommand::Mute(fields) => self.perform_moderate(fields, Measure::Mute).await,
            ClientCommand::Unmute(fields) => self.perform_moderate(fields, |_| Measure::Unmute).await,
            ClientCommand::FetchAudit(fields) => self.perform_audit(fields).await,
            ClientCommand::Care(command) => self.perform_care(command).await,
            ClientCommand::UpdateRoom(fields) => self.perform_update_room(fields).await,
            ClientCommand::DeleteRoom(room) => self.perform_delete_room(&room).await,
            ClientCommand::Ping => Ok(Answer::Pong { server_time: self.shared().now() }),
            ClientCommand::Authenticate(_)
            | ClientCommand::Subscribe(_)
            | ClientCommand::Unsubscribe(_)
            | ClientCommand::Pong => Err(Rejection::BadRequest("only on a live connection").into()),
        }
    }

    /// Carries out `send_message` up to its place in the room's queue; `reply` hears of the rest.
    pub(crate) async fn perform_send(
        &self,
        fields: SendMessage,
        reply: impl FnOnce(Result<Answer, Error>) + Send + 'static,
    ) {
        match self.draft(fields).await {
            Ok((room, draft)) => {
                let place = room.clone();
                let tell = move |outcome: Result<_, Error>| {
                    reply(outcome.and_then(|outcome| Ok(offered_answer(&place, &offered(&outcome)?))));
                };
                self.submit(&room, draft, Reply::new(tell)).await;
            }
            Err(error) => reply(Err(error)),
        }
    }

    /// Reads the fields of a message.
    async fn draft(&self, fields: SendMessage) -> Result<(RoomId, Draft), Error> {
        let room = room_id(&fields.room_id)?;
        let message_type = match fields.message_type.as_deref().map(MessageType::named) {
            Some(None) => {
                return Err(Rejection::BadRequest("a messageType is text, image, file or voice").into());
            }
            kind => kind.flatten().unwrap_or_default(),
        };
        let client_message_id = match fields.client_message_id.as_deref().map(ClientMessageId::parse) {
            Some(Err(_)) => return Err(Rejection::BadRequest(BAD_KEY).into()),
            key => key.and_then(Result::ok),
        };
        let rules = self.shared().limits.text();
        let (content, attachments) = match (self.attachments(fields.attachments).await, &client_message_id) {
            // A repeat is answered as the first was, also when its files are gone meanwhile, or were posted as often as
            // they may be.
            (Err(Error::Rejected(refused)), Some(key)) => {
                if !self.was_sent(&room, key).await? {
                    return Err(refused.into());
                }
                (Content::parse_caption(&fields.content, rules)?, Attachments::default())
            }
            (attachments, _) => match attachments? {
                none if none.is_empty() => (Content::parse(&fields.content, rules)?, none),
                some => (Content::parse_caption(&fields.content, rules)?, some),
            },
        };
        let reply_to = fields.reply_to.map(|id| target_in(&room, &id));
        let thread = fields.thread_id.map(|id| target_in(&room, &id));
        Ok((
            room,
            Draft {
                client_message_id,
                reply_to,
                thread,
                ..Draft::new(content).with(message_type, attachments)
            },
        ))
    }

    async fn perform_create(&self, fields: CreateRoom) -> Result<Answer, Error> {
        let spec = RoomSpec {
            name: RoomName::parse(&fields.name)?,
            description: Description::parse(&fields.description.unwrap_or_default())?,
            kind: if fields.private { RoomKind::Private } else { RoomKind::Public },
            history: History::All,
            owned: true,
        };
        Ok(Answer::Room { room: RoomView::of(&self.create_room(spec).await?) })
    }

    async fn perform_list_rooms(&self, fields: ListRooms) -> Result<Answer, Error> {
        let cursor = fields.cursor;
        let (items, next_cursor) = match fields.scope {
            Scope::Mine => {
                let page = self.overview(cursor).await?;
                (page.items.iter().map(|own| self.own_view(own)).collect(), page.next)
            }
            Scope::Public => {
                let page = self.public_rooms(fields.query.as_deref(), cursor).await?;
                (page.items.iter().map(RoomView::of).collect(), page.next)
            }
        };
        Ok(Answer::Rooms { items, next_cursor })
    }

    async fn perform_list_members(&self, fields: ListMembers) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let page = self.members(&room, fields.cursor).await?;
        let users: Vec<_> = page.items.iter().map(|(member, _)| member.user.clone()).collect();
        let looks = self.shared().look(self.user(), &users).await?;
        let view = |((member, name), look): (&(_, crate::domain::Username), _)| {
            MemberView::of(member, name.as_str(), look)
        };
        let items = page.items.iter().zip(&looks).map(view).collect();
        Ok(Answer::Members { room_id: fields.room_id, items, next_cursor: page.next })
    }

    async fn perform_history(&self, fields: &FetchHistory) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let place = match (fields.before, fields.after, fields.around) {
            (None, None, None) => Place::Latest,
            (Some(seq), None, None) => Place::Before(Seq::new(seq)),
            (None, Some(seq), None) => Place::After(Seq::new(seq)),
            (None, None, Some(seq)) => Place::Around(Seq::new(seq)),
            _ => return Err(Rejection::BadRequest("give one of before, after and around").into()),
        };
        let limit = page_limit(fields.limit)?;
        let Messages { items, more_before, more_after } = self.messages(&room, place, limit).await?;
        Ok(Answer::History {
            room_id: fields.room_id.clone(),
            messages: self.views(&items),
            has_more_before: more_before,
            has_more_after: more_after,
        })
    }
}

/// How many messages a client wants on a page.
fn page_limit(limit: Option<u64>) -> Result<usize, Error> {
    match limit.unwrap_or(PAGE_MESSAGES_DEFAULT) {
        0 => Err(Rejection::BadRequest("limit is 1 to 200").into()),
        limit => Ok(usize::try_from(limit).unwrap_or(PAGE_MESSAGES_MAX).min(PAGE_MESSAGES_MAX)),
    }
}

const BAD_KEY: &str = "a clientMessageId has 1 to 64 characters and no control characters";

/// A room's id as a client gave it. One that no room can have names a room that is not there.
pub(crate) fn room_id(text: &str) -> Result<RoomId, Error> {
    RoomId::parse(text).map_err(|_| Rejection::NO_ROOM.into())
}

/// A user's id as a client gave it. One that nobody can have names a user who is not there.
pub(crate) fn user_id(text: &str) -> Result<UserId, Error> {
    UserId::parse(text).map_err(|_| Rejection::NO_USER.into())
}

fn offered_answer(room: &RoomId, offered: &Offered) -> Answer {
    match offered {
        Offered::Sent(sent) => sent_answer(room, *sent),
        Offered::Held { id, duplicate } => Answer::Held {
            held: true,
            held_id: id.as_str().to_owned(),
            room_id: room.as_str().to_owned(),
            duplicate: *duplicate,
        },
    }
}

fn sent_answer(room: &RoomId, sent: Sent) -> Answer {
    Answer::Sent {
        message_id: MessageId::of(room, sent.seq).to_string(),
        room_id: room.as_str().to_owned(),
        seq: sent.seq.get(),
        created_at: sent.at,
        duplicate: sent.duplicate,
    }
}
