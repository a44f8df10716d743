//! Direct messages, groups and blocks.

use tokio::sync::oneshot;

use super::{Caller, Judged, Prepared, room_at, sent};
use crate::{
    domain::{Command, Draft, GroupSpec, Rejection, Room, RoomName, Sent, Username},
    engine::{cell::Reply, error::Error},
    id::{RoomId, UserId},
    limits::PAGE_ITEMS_MAX,
    store::{Block, Page, PageRequest, PeopleError},
};

impl Caller {
    /// Sends a message to one user, in the direct room of both; the first message makes that room. Gives the room
    /// and the place of the message in it.
    ///
    /// # Errors
    /// `not_found` when there is no such user, `forbidden` to oneself and while one of both has blocked
    /// the other, which is not told, and as [`Caller::send`].
    pub async fn send_dm(&self, to: &UserId, draft: Draft) -> Result<(RoomId, Sent), Error> {
        let (tell, told) = oneshot::channel();
        // A receiver that is gone is a caller that does not wait any more.
        self.submit_direct(to, draft, Reply::new(move |outcome| drop(tell.send(outcome)))).await;
        match told.await {
            Ok(outcome) => Ok((RoomId::direct(self.user(), to), sent(&outcome?)?)),
            Err(_) => Err(Error::Unavailable),
        }
    }

    /// Creates a group of the caller and these users, who are members at once. The caller is its owner.
    ///
    /// # Errors
    /// `bad_request` when they are not two to ten people, `not_found` when one of them is not there, `forbidden`
    /// when one of them and the caller have blocked each other or one belongs to too many rooms, which is not told.
    pub async fn create_group(&self, others: &[UserId], name: Option<RoomName>) -> Result<Room, Error> {
        let spec = GroupSpec::new(self.user(), others, name)?;
        let shared = self.shared();
        if !shared.profiles.are_known(spec.others()).await? {
            return Err(Rejection::NO_USER.into());
        }
        let cell = shared.rooms.open(Room::unborn(shared.ids.room(shared.now())));
        let outcome = self.ask(&cell, Command::CreateGroup(spec)).await?;
        Ok(room_at(&cell, &outcome))
    }

    /// Wants nothing to do with a user any more: no direct message goes either way, neither draws the other into a
    /// group or invites them. Rooms that both belong to stay as they are. A user who is blocked stays blocked.
    ///
    /// # Errors
    /// `not_found` when there is no such user, `forbidden` for oneself and when
    /// [`crate::limits::BLOCKS_PER_USER_MAX`] others are blocked.
    pub async fn block(&self, user: &UserId) -> Result<(), Error> {
        let shared = self.shared();
        if user == self.user() {
            return Err(Rejection::Forbidden("nobody blocks themselves").into());
        }
        if !shared.profiles.are_known(std::slice::from_ref(user)).await? {
            return Err(Rejection::NO_USER.into());
        }
        let block = Block { by: self.user().clone(), user: user.clone(), at: shared.now() };
        match shared.store.block(block).await {
            Ok(_) => Ok(()),
            Err(PeopleError::TooMany) => Err(Rejection::Forbidden("you have blocked too many users").into()),
            Err(PeopleError::Store(error)) => Err(error.into()),
        }
    }

    /// Takes a block back. A user who is not blocked stays so.
    ///
    /// # Errors
    /// `not_found` when there is no such user.
    pub async fn unblock(&self, user: &UserId) -> Result<(), Error> {
        let shared = self.shared();
        let was = shared.store.unblock(self.user(), user).await?;
        if !was && !shared.profiles.are_known(std::slice::from_ref(user)).await? {
            return Err(Rejection::NO_USER.into());
        }
        Ok(())
    }

    /// Whom the caller has blocked, with their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn blocks(&self, cursor: Option<String>) -> Result<Page<(Block, Username)>, Error> {
        let shared = self.shared();
        let page = shared.store.blocks(self.user(), PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?;
        let users: Vec<_> = page.items.iter().map(|block| block.user.clone()).collect();
        let names = shared.profiles.names(&users).await?;
        Ok(Page { items: page.items.into_iter().zip(names).collect(), next: page.next })
    }

    /// Puts a direct message through everything that comes before planning, and queues it; see
    /// [`Caller::submit`].
    pub(crate) async fn submit_direct(&self, to: &UserId, draft: Draft, reply: Reply) {
        match self.prepare_direct(to, draft).await {
            Ok(Prepared { cell, draft, verdict: Judged::Passes }) => {
                self.queue(&cell, Command::SendDirect(to.clone(), draft), reply)
            }
            // Only a repeat is answered: as the first was.
            Ok(Prepared { cell, draft, verdict: Judged::Stays(why) }) => {
                reply.tell(match self.keep_back(&cell, draft, why).await {
                    Err(Error::Rejected(Rejection::NotFound(_))) => Err(why.refusal().into()),
                    outcome => outcome,
                });
            }
            Err(error) => reply.tell(Err(error)),
        }
    }

    async fn prepare_direct(&self, to: &UserId, draft: Draft) -> Result<Prepared, Error> {
        let shared = self.shared();
        if to == self.user() {
            return Err(Rejection::Forbidden("a direct message goes to somebody else").into());
        }
        if !shared.profiles.are_known(std::slice::from_ref(to)).await? {
            return Err(Rejection::NO_USER.into());
        }
        let room = RoomId::direct(self.user(), to);
        let (draft, verdict) = self.look_over(&room, draft).await?;
        let cell = match shared.open(&room).await {
            Ok(cell) => cell,
            Err(Error::Rejected(Rejection::NotFound(_))) => shared.rooms.open(Room::unborn(room)),
            Err(error) => return Err(error),
        };
        Ok(Prepared { cell, draft, verdict })
    }
}
