//! Reading: markers, and rooms as their members see them in a list.

use super::Caller;
use crate::{
    domain::{Entry, Rejection, Room, Username},
    engine::{Error, shared::Readable},
    id::{RoomId, Seq},
    limits::{PAGE_ITEMS_MAX, RECEIPTS_MEMBERS_MAX},
    store::{Page, PageRequest, Reading, RoomOverview, StoreError},
    wire::Notice,
};

/// One of the caller's own rooms, as it stands in their list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRoom {
    /// The room, the caller's membership and how far they have read.
    pub overview: RoomOverview,
    /// The name of the author of the newest message, if there is one.
    pub author: Option<Username>,
}

/// A room that the caller may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownRoom {
    /// They are a member.
    Own(Box<OwnRoom>),
    /// They are none.
    Other(Box<Room>),
}

impl Caller {
    /// The caller's rooms with their role, what they have not read, and the newest message. What it costs
    /// depends on the number of rooms on the page, not on their size.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn overview(&self, cursor: Option<String>) -> Result<Page<OwnRoom>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let page = self.shared().store.overview(self.user(), page).await?;
        Ok(Page { items: self.with_authors(page.items).await?, next: page.next })
    }

    /// One room. Who is no member sees of a public room what the list of public rooms shows.
    ///
    /// # Errors
    /// `not_found` for a room that the caller may not know of.
    pub async fn room(&self, room: &RoomId) -> Result<KnownRoom, Error> {
        let shared = self.shared();
        if let Some(overview) = shared.store.overview_of(self.user(), room).await? {
            let own = self.with_authors(vec![overview]).await?.pop();
            return own.map(|own| KnownRoom::Own(Box::new(own))).ok_or(Error::Unavailable);
        }
        let cell = shared.open(room).await?;
        match shared.readable(&cell, self.user()).await {
            Ok(Readable { room, .. }) => Ok(KnownRoom::Other(Box::new(room))),
            // What may not be read without joining may be known of.
            Err(Error::Rejected(Rejection::Forbidden(_))) => Ok(KnownRoom::Other(Box::new(cell.room()))),
            Err(error) => Err(error),
        }
    }

    /// Has read a room up to `seq`, or up to its head if that comes first. A marker never moves back. The
    /// caller's other sessions are told what is left unread, and the others in a room of at most
    /// [`RECEIPTS_MEMBERS_MAX`] members how far the caller has read. Returns where the caller stands now.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who is no member.
    pub async fn mark_read(&self, room: &RoomId, seq: Seq) -> Result<Reading, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, .. } = shared.readable(&cell, self.user()).await?;
        let Some(marked) = shared.store.mark_read(self.user(), &room.id, seq).await? else {
            return Err(NO_MEMBER.into());
        };
        let reading = marked.reading;
        if reading.unread == 0 && shared.users.has_besides(self.user(), None) {
            cell.readers().note(self.user(), reading.seq);
        }
        if marked.moved {
            shared.tell_user(self.user(), self.session(), Notice::Unread(room.id.clone(), reading)).await;
            if room.members <= RECEIPTS_MEMBERS_MAX {
                let (user, at) = (self.user().clone(), shared.now());
                let receipt = Notice::ReadReceipt(room.id.clone(), user, reading.seq, at);
                shared.tell_room(&room.id, Some(self.user()), receipt).await;
            }
        }
        Ok(reading)
    }

    /// A device of the caller has received a room up to `seq`. Of consequence in direct rooms only, where the
    /// other side is told.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who is no member.
    pub async fn mark_delivered(&self, room: &RoomId, seq: Seq) -> Result<(), Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, .. } = shared.readable(&cell, self.user()).await?;
        if member.is_none() {
            return Err(NO_MEMBER.into());
        }
        if room.kind.tells_delivery()
            && let Some(seq) = shared.store.mark_delivered(self.user(), &room.id, seq).await?
        {
            let delivered = Notice::Delivered(room.id.clone(), self.user().clone(), seq, shared.now());
            shared.tell_room(&room.id, Some(self.user()), delivered).await;
        }
        Ok(())
    }

    async fn with_authors(&self, overviews: Vec<RoomOverview>) -> Result<Vec<OwnRoom>, StoreError> {
        let last: Vec<Entry> = overviews.iter().filter_map(|overview| overview.last.clone()).collect();
        let mut named = self.shared().profiles.name(last).await?.into_iter();
        let with_author = |overview: RoomOverview| {
            let author = overview.last.as_ref().and_then(|_| named.next()).map(|(_, author)| author);
            OwnRoom { overview, author }
        };
        Ok(overviews.into_iter().map(with_author).collect())
    }
}

/// Said to who may read a room without being a member, and has no marker there.
const NO_MEMBER: Rejection = Rejection::Forbidden("join the room first");
