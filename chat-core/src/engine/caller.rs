//! What an authenticated user can ask for, whichever way they come.

pub(super) mod care;
mod files;
mod invites;
mod log;
mod messages;
mod moderation;
mod people;
mod presence;
mod profile;
mod reading;
mod retention;
mod settings;

pub use care::Offered;
pub(super) use care::offered;

use std::{fmt, sync::Arc};

pub use messages::{Changed, Thread};

use tokio::sync::oneshot;

pub(crate) use presence::TOO_MANY;
pub use reading::{KnownRoom, OwnRoom};

use super::{
    cell::{Cell, Pending, Reply},
    deadline::within,
    error::Error,
    shared::{Readable, Shared},
    writer,
};
use crate::{
    auth::Identity,
    domain::{
        Actor, Command, Draft, Entry, Member, Message, Outcome, Rejection, Request, Room, RoomSpec, Sent,
        Username,
    },
    hooks::Verdict,
    id::{RoomId, Seq, SessionId, UserId},
    limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX, PAGE_MESSAGES_MAX},
    store::{MessageQuery, Page, PageRequest, Place},
};

pub use invites::NewLink;
pub use log::LogPage;

/// An authenticated user's hand on the engine: every operation, with every check. Cheap to clone.
#[derive(Clone)]
pub struct Caller(Arc<Parts>);

struct Parts {
    shared: Arc<Shared>,
    identity: Identity,
    username: Username,
    /// Where the user speaks, if it is on a live session.
    session: Option<SessionId>,
    /// Whether they act for the operator.
    overrides: bool,
}

/// Messages with the names of their authors, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// The messages.
    pub items: Vec<(Entry, Username)>,
    /// Whether there are visible ones before the first.
    pub more_before: bool,
    /// Whether there are ones after the last.
    pub more_after: bool,
}

impl Caller {
    /// Takes an identity in: its profile is created at first sight.
    pub(crate) async fn enter(shared: Arc<Shared>, identity: Identity) -> Result<Self, Error> {
        let username = shared.profiles.ensure(&identity, shared.now()).await?;
        Ok(Self(Arc::new(Parts { shared, identity, username, session: None, overrides: false })))
    }

    /// The same user, speaking on a session.
    pub(crate) fn in_session(&self, session: &SessionId) -> Self {
        let Parts { shared, identity, username, .. } = &*self.0;
        let (shared, identity, username) = (shared.clone(), identity.clone(), username.clone());
        let session = Some(session.clone());
        Self(Arc::new(Parts { shared, identity, username, session, overrides: false }))
    }

    /// The same user, acting for the operator: above all ranks in every room, whether they are a member or not. What
    /// they do stands in audit logs under their own name. Messages are still read by members only.
    ///
    /// Who may act so is for whoever calls this to know.
    #[must_use]
    pub fn for_the_operator(&self) -> Self {
        let Parts { shared, identity, username, .. } = &*self.0;
        let (shared, identity, username) = (shared.clone(), identity.clone(), username.clone());
        Self(Arc::new(Parts { shared, identity, username, session: None, overrides: true }))
    }

    /// As which actor rules see them.
    pub(crate) fn actor(&self) -> Actor {
        Actor { overrides: self.0.overrides, ..self.shared().actor(self.user()) }
    }

    /// The operator, who acts as nobody in particular and needs no profile.
    pub(crate) fn operator(shared: Arc<Shared>) -> Self {
        let identity = Identity::new(UserId::nobody(), "operator");
        let username = Username::from_stored("operator");
        Self(Arc::new(Parts { shared, identity, username, session: None, overrides: false }))
    }

    /// Who it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.identity.user
    }

    /// What they may do beyond rooms.
    #[must_use]
    pub fn role(&self) -> crate::auth::ServerRole {
        self.0.identity.role
    }

    /// The name under which they appear.
    #[must_use]
    pub fn username(&self) -> &Username {
        &self.0.username
    }

    /// The session on which the user speaks, if it is a live one: signals to their other sessions leave it out.
    pub(crate) fn session(&self) -> Option<&SessionId> {
        self.0.session.as_ref()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Creates a room with an id of the engine's making.
    ///
    /// # Errors
    /// `conflict` when another public room has the name, `forbidden` by policy or over the limit of rooms.
    pub async fn create_room(&self, spec: RoomSpec) -> Result<Room, Error> {
        let shared = self.shared();
        let id = shared.ids.room(shared.now());
        self.create_room_as(id, spec).await
    }

    /// Creates a room under the embedder's own id.
    ///
    /// # Errors
    /// As [`Caller::create_room`], and `conflict` when the room exists.
    pub async fn create_room_as(&self, id: RoomId, spec: RoomSpec) -> Result<Room, Error> {
        let cell = match self.shared().open(&id).await {
            Ok(cell) => cell,
            Err(Error::Rejected(Rejection::NotFound(_))) => self.shared().rooms.open(Room::unborn(id)),
            Err(error) => return Err(error),
        };
        let outcome = self.ask(&cell, Command::Create(spec)).await?;
        Ok(room_at(&cell, &outcome))
    }

    /// Becomes a member of a room; of one joined before, stays one. The head of the room that is returned is
    /// the caller's own joining: a client that resumes from there misses nothing.
    ///
    /// # Errors
    /// `not_found` for a room that the caller may not know of, `forbidden` over the limit of rooms.
    pub async fn join(&self, room: &RoomId) -> Result<Room, Error> {
        let cell = self.shared().open(room).await?;
        self.admitted(&cell, Command::Join).await?;
        let outcome = self.ask(&cell, Command::Join).await?;
        Ok(room_at(&cell, &outcome))
    }

    /// Ceases to be a member of a room.
    ///
    /// # Errors
    /// `conflict` for the last owner of a room that has other members.
    pub async fn leave(&self, room: &RoomId) -> Result<(), Error> {
        let cell = self.shared().open(room).await?;
        self.ask(&cell, Command::Leave).await.map(drop)
    }

    /// Sends a message. With a `clientMessageId`, a repeat gets the first answer and sends nothing.
    ///
    /// # Errors
    /// `forbidden` to who is no member, `rate_limited` over the rate, `unavailable` when it could not be
    /// stored or its storing is uncertain: repeat it with the same `clientMessageId`. [`Error::Held`] when a hook
    /// holds it for review; [`Caller::offer`] tells that as an outcome.
    pub async fn send(&self, room: &RoomId, draft: Draft) -> Result<Sent, Error> {
        sent(&self.submitted(room, draft).await?)
    }

    async fn submitted(&self, room: &RoomId, draft: Draft) -> Result<Outcome, Error> {
        let (tell, told) = oneshot::channel();
        // A receiver that is gone is a caller that does not wait any more.
        self.submit(room, draft, Reply::new(move |outcome| drop(tell.send(outcome)))).await;
        told.await.unwrap_or(Err(Error::Unavailable))
    }

    /// A page of a room's messages.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room.
    pub async fn messages(&self, room: &RoomId, place: Place, limit: usize) -> Result<Messages, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        let limit = limit.clamp(1, PAGE_MESSAGES_MAX);
        if let Some(page) = self.newest_from_ring(&cell, place, limit, hidden_until) {
            self.still_reads(&cell, at).await?;
            return Ok(page);
        }
        let query = MessageQuery { place, limit, hidden_until, max_bytes: PAGE_BYTES_MAX };
        let page = shared.store.messages(&room.id, query).await?;
        self.still_reads(&cell, at).await?;
        let items = shared.profiles.name(page.messages).await?;
        Ok(Messages { items, more_before: page.more_before, more_after: page.more_after })
    }

    /// That what was read may be told, since a head at which the caller was allowed to read: who was removed
    /// meanwhile is told nothing that came after that.
    async fn still_reads(&self, cell: &Arc<Cell>, at: Seq) -> Result<(), Error> {
        let shared = self.shared();
        if shared.bus.has_other_nodes() || cell.head() > at {
            shared.readable(cell, self.user()).await?;
        }
        Ok(())
    }

    /// The newest page, without asking the store: most reads of history are this one.
    fn newest_from_ring(
        &self,
        cell: &Cell,
        place: Place,
        limit: usize,
        hidden_until: Seq,
    ) -> Option<Messages> {
        if place != Place::Latest || self.shared().bus.has_other_nodes() {
            return None;
        }
        let newest = cell.newest_messages(limit)?;
        let mut bytes = 0;
        let mut items: Vec<_> = newest
            .iter()
            .rev()
            .take(limit)
            .take_while(|posted| {
                let fits = bytes <= PAGE_BYTES_MAX && posted.entry().seq > hidden_until;
                bytes += posted.entry().message().map_or(0, Message::bytes);
                fits
            })
            .map(|posted| (posted.entry().clone(), posted.username().clone()))
            .collect();
        items.reverse();
        let before = newest.len() - items.len();
        let more_before = newest[..before].iter().any(|posted| posted.entry().seq > hidden_until);
        Some(Messages { items, more_before, more_after: false })
    }

    /// The caller's rooms, with their membership.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rooms(&self, cursor: Option<String>) -> Result<Page<(Room, Member)>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        Ok(self.shared().store.rooms_of(self.user(), page).await?)
    }

    /// Public rooms, by name; with `query`, those whose name contains it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn public_rooms(
        &self,
        query: Option<&str>,
        cursor: Option<String>,
    ) -> Result<Page<Room>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        Ok(self.shared().store.public_rooms(query, page).await?)
    }

    /// The members of a room, with their names.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room.
    pub async fn members(
        &self,
        room: &RoomId,
        cursor: Option<String>,
    ) -> Result<Page<(Member, Username)>, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        shared.readable(&cell, self.user()).await?;
        let page = shared.store.members(room, PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?;
        let users: Vec<_> = page.items.iter().map(|member| member.user.clone()).collect();
        let names = shared.profiles.names(&users).await?;
        Ok(Page { items: page.items.into_iter().zip(names).collect(), next: page.next })
    }

    /// Puts a message through everything that comes before planning, and queues it. Queued in the order of
    /// calling, as long as each call is awaited before the next.
    pub(crate) async fn submit(&self, room: &RoomId, draft: Draft, reply: Reply) {
        match self.prepare(room, draft).await {
            Ok(Prepared { cell, draft, verdict: Judged::Passes }) => {
                self.queue(&cell, Command::Send(draft), reply)
            }
            Ok(Prepared { cell, draft, verdict: Judged::Stays(why) }) => {
                reply.tell(self.keep_back(&cell, draft, why).await)
            }
            Err(error) => reply.tell(Err(error)),
        }
    }

    async fn prepare(&self, room: &RoomId, draft: Draft) -> Result<Prepared, Error> {
        let (draft, verdict) = self.look_over(room, draft).await?;
        Ok(Prepared { cell: self.shared().open(room).await?, draft, verdict })
    }

    /// Holds a message against the rate of its author, and shows it to the hooks.
    async fn look_over(&self, room: &RoomId, mut draft: Draft) -> Result<(Draft, Judged), Error> {
        let shared = self.shared();
        shared
            .message_rates
            .admit(self.user(), shared.now())
            .map_err(|retry_after_ms| Rejection::RateLimited { retry_after_ms })?;
        let mut verdict = Judged::Passes;
        if shared.hooks.active() {
            match within(shared.hooks.before_send(room, self.user(), &draft)).await {
                Some(Verdict::Allow) => {}
                Some(Verdict::Rewrite(content)) => draft.content = content,
                Some(Verdict::Refuse(reason)) => verdict = Judged::Stays(KeptBack::Refused(reason)),
                Some(Verdict::Hold) => verdict = Judged::Stays(KeptBack::Held),
                None => {
                    tracing::warn!("before_send broke off or missed its deadline");
                    return Err(Error::Unavailable);
                }
            }
        }
        Ok((draft, verdict))
    }

    async fn ask(&self, cell: &Arc<Cell>, command: Command) -> Result<Outcome, Error> {
        let (tell, told) = oneshot::channel();
        self.queue(cell, command, Reply::new(move |outcome| drop(tell.send(outcome))));
        told.await.unwrap_or(Err(Error::Unavailable))
    }

    fn queue(&self, cell: &Arc<Cell>, command: Command, reply: Reply) {
        let shared = self.shared();
        let request = Request { actor: self.actor(), at: shared.now(), command };
        let (username, session) = (self.username().clone(), self.session().cloned());
        writer::submit(shared, cell, Pending { request, username, session, reply });
    }
}

/// A message before planning, and what the hooks say of it.
struct Prepared {
    cell: Arc<Cell>,
    draft: Draft,
    verdict: Judged,
}

/// What becomes of a message.
enum Judged {
    /// It is sent.
    Passes,
    /// It is not, unless it was sent before: then it is answered as it was.
    Stays(KeptBack),
}

/// Why a message is not sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeptBack {
    /// A moderator is to see it first.
    Held,
    /// It is refused for this reason.
    Refused(&'static str),
}

impl KeptBack {
    /// What the author is told where nobody reviews.
    const fn refusal(self) -> Rejection {
        match self {
            Self::Held => NOT_ACCEPTED,
            Self::Refused(reason) => Rejection::Forbidden(reason),
        }
    }
}

/// The room with the head that came of a request: entries that others have added since are still to be told.
fn room_at(cell: &Cell, outcome: &Outcome) -> Room {
    let mut room = cell.room();
    if let Outcome::Created(seq) | Outcome::Joined(seq) | Outcome::Changed(seq) = outcome {
        room.head = *seq;
    }
    room
}

/// Between two there is nobody to review.
const NOT_ACCEPTED: Rejection = Rejection::Forbidden("the message was not accepted");

/// The outcome of a send.
pub(crate) fn sent(outcome: &Outcome) -> Result<Sent, Error> {
    match outcome {
        Outcome::Sent(sent) => Ok(*sent),
        Outcome::Held { id, .. } => Err(Error::Held(id.clone())),
        // The plan answers each command in its own kind.
        _ => Err(Error::Unavailable),
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.0.identity.user).finish()
    }
}
