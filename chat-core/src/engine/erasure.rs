//! Erasing a user: shut out at once, gone bit by bit, whatever breaks off in between.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    Engine,
    cell::{Cell, Pending, Reply},
    error::Error,
    shared::Shared,
    writer,
};
use crate::{
    bus::Hint,
    close::CloseReason,
    domain::{Actor, Command, Erasing, Member, Outcome, Rejection, Request, Role, Room, Username},
    id::{RoomId, UserId},
    limits::{ERASED_AT_ONCE, ERASURE_STEPS_PER_ROUND, PAGE_ITEMS_MAX, SUCCESSORS_SCANNED_MAX},
    store::{Erasure, ErasureStage, Page, PageRequest, StoreError},
};

/// What an erasure has done, as counts. What an earlier try had done is not counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Memberships that ended.
    pub memberships: u64,
    /// Rooms that were deleted, because nobody was left to own them.
    pub rooms: u64,
    /// Messages that were deleted.
    pub messages: u64,
    /// Reactions that were taken back.
    pub reactions: u64,
}

/// How often a room is asked again whose owner-to-be went as well.
const SUCCESSORS_TRIED: usize = 5;

/// Users whose erasure one round of the upkeep goes on with.
const RESUMED_AT_ONCE: usize = 16;

/// Erasures that are read at once of those on other nodes.
const FOLLOWED_AT_ONCE: usize = 500;

impl Engine {
    /// Erases a user, for good: all they wrote, gave, said and were called. When this returns `Ok`, it is done; when
    /// it fails or is dropped, what is left is done by the upkeep of any node on the store, within a minute or so of
    /// its being able to.
    ///
    /// * From the first moment on they are shut out: their sessions close with [`CloseReason::Banned`] on every node
    ///   (a lost hint makes that two seconds), they are let in nowhere, whatever the authenticator says, and the store
    ///   saves nothing more of them or about them, not even what was under way. Their name is free again. A
    ///   [`super::Caller`] of theirs that somebody holds can do nothing any more, and read what is public.
    /// * Every membership ends by an entry with the reason `erased`, recorded in the room's audit log. A room that
    ///   they alone owned gets a new owner: of the highest rank, and among those who joined first. One in which there
    ///   is nobody else is deleted. A direct room stays for the other one.
    /// * Every message becomes a tombstone, every reaction is taken back, by entries that everybody hears of.
    /// * What stands in no log is deleted: reports by them and about what they wrote, held messages, markers,
    ///   invitations and links, blocks, what stood against them, keys of what they sent, presence, account, logins.
    ///
    /// What stays is their id, where others' rows name it: in entries of logs and of audit logs, as the author of
    /// tombstones, as who created a room, in counts of mentions, in others' blocks and texts.
    ///
    /// # Errors
    /// `not_found` for an unknown user, and when the store fails.
    pub async fn erase_user(&self, user: &UserId) -> Result<Erased, Error> {
        let shared = &self.shared;
        if !shared.store.begin_erasure(user).await? {
            return Err(Rejection::NO_USER.into());
        }
        shut_out(shared, user).await;
        let mut work = Work { shared: shared.clone(), user: user.clone(), done: Erased::default() };
        while work.step().await? {}
        Ok(work.done)
    }
}

/// Goes on with erasures that broke off, a bounded amount. Several nodes may be at the same one: each step finds done
/// what another has done.
pub(crate) async fn resume(shared: &Arc<Shared>) {
    let users = match shared.store.erasures(PageRequest::first(RESUMED_AT_ONCE)).await {
        Ok(page) => page.items,
        Err(error) => return tracing::warn!(%error, "can't look for erasures that broke off"),
    };
    let mut steps = ERASURE_STEPS_PER_ROUND;
    for user in users {
        let mut work = Work { shared: shared.clone(), user, done: Erased::default() };
        loop {
            if steps == 0 {
                return;
            }
            steps -= 1;
            match work.step().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "an erasure can't go on yet");
                    break;
                }
            }
        }
    }
}

/// Follows a hint that the sessions of a user are closed: for who is erased there is more to do.
pub(crate) async fn follow_erasure(
    shared: &Shared,
    user: &UserId,
    reason: CloseReason,
) -> Result<(), StoreError> {
    if reason == CloseReason::Banned && shared.store.erasure(user).await?.is_some() {
        forget(shared, user);
    }
    Ok(())
}

/// Finds users whose erasure began elsewhere since the one of that number, in case the hint was lost.
pub(crate) async fn follow_erasures(shared: &Shared, number: &mut u64) -> Result<(), StoreError> {
    loop {
        let erased = shared.store.erased_after(*number, FOLLOWED_AT_ONCE).await?;
        for (begun, user) in &erased {
            shared.users.close(user, CloseReason::Banned);
            forget(shared, user);
            *number = *begun;
        }
        if erased.len() < FOLLOWED_AT_ONCE {
            return Ok(());
        }
    }
}

/// Closes the sessions of a user everywhere, and forgets what they were called.
async fn shut_out(shared: &Shared, user: &UserId) {
    shared.users.close(user, CloseReason::Banned);
    forget(shared, user);
    if shared.bus.has_other_nodes() {
        let (from, user) = (shared.node.clone(), user.clone());
        shared.bus.publish(Hint::Disconnect { from, user, login: None, reason: CloseReason::Banned }).await;
    }
}

/// Forgets what a user was called, in what is remembered here and in what is about to be told.
fn forget(shared: &Shared, user: &UserId) {
    shared.profiles.forget(user);
    let name = Username::erased();
    shared.rooms.all().iter().for_each(|cell| cell.rename(user, &name));
}

/// One user's erasure.
struct Work {
    shared: Arc<Shared>,
    user: UserId,
    done: Erased,
}

impl Work {
    /// Does a part of what is to be done, and notes that. Whether more is to be done.
    async fn step(&mut self) -> Result<bool, Error> {
        let store = self.shared.store.clone();
        let Some(Erasure { stage, cursor }) = store.erasure(&self.user).await? else { return Ok(false) };
        let page = |limit| PageRequest { cursor: cursor.clone(), limit };
        let next = match stage {
            ErasureStage::Memberships => {
                let Page { items, next } = store.rooms_of(&self.user, page(ERASED_AT_ONCE)).await?;
                for (room, member) in items {
                    self.end_membership(&room, &member).await?;
                }
                next
            }
            ErasureStage::Messages => {
                let Page { items, next } = store.authored(&self.user, page(ERASED_AT_ONCE)).await?;
                let standing = items
                    .iter()
                    .filter(|entry| entry.message().is_some_and(|message| message.deleted.is_none()));
                let erasing = standing.map(|entry| (&entry.room, Erasing::Message(entry.seq)));
                self.done.messages += self.erase(erasing).await?;
                next
            }
            ErasureStage::Reactions => {
                let page = self.shared.reactions_by(&self.user, page(ERASED_AT_ONCE)).await?;
                let Page { items, next } = page;
                let erasing = items
                    .iter()
                    .map(|given| (&given.room, Erasing::Reaction(given.target, given.emoji.clone())));
                self.done.reactions += self.erase(erasing).await?;
                next
            }
            ErasureStage::Rows => store.erase_rows(&self.user, cursor).await?,
            ErasureStage::Done => return Ok(false),
        };
        let to = match next {
            Some(cursor) => Erasure { stage, cursor: Some(cursor) },
            None => Erasure::at(stage.next()),
        };
        if to.stage == ErasureStage::Done {
            // Once more: what was encoded while it began may have found its way into a ring since.
            shut_out(&self.shared, &self.user).await;
        }
        store.advance_erasure(&self.user, to).await?;
        Ok(true)
    }

    async fn end_membership(&mut self, room: &Room, member: &Member) -> Result<(), Error> {
        let Some(cell) = self.open(&room.id).await? else { return Ok(()) };
        let mut is_last_owner = member.role == Role::Owner && room.owners == 1;
        for _ in 0..SUCCESSORS_TRIED {
            let successor = if is_last_owner { self.successor(&room.id).await? } else { None };
            let told = self.ask(&cell, Erasing::Membership { successor });
            match told.await.unwrap_or(Err(Error::Unavailable)) {
                Ok(Outcome::Left(_)) => self.done.memberships += 1,
                Ok(Outcome::Changed(_)) => {
                    self.done.memberships += 1;
                    self.done.rooms += 1;
                }
                Ok(_) | Err(Error::Rejected(Rejection::NotFound(_))) => {}
                Err(Error::Rejected(Rejection::Conflict(_))) => {
                    is_last_owner = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        Err(Error::Unavailable)
    }

    /// Who is to own a room after the user: of those looked at the highest in rank, among them who joined first.
    async fn successor(&self, room: &RoomId) -> Result<Option<UserId>, Error> {
        let (mut members, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
            let page = self.shared.store.members(room, page).await?;
            members.extend(page.items.into_iter().filter(|member| member.user != self.user));
            cursor = page.next;
            if cursor.is_none() || members.len() >= SUCCESSORS_SCANNED_MAX {
                break;
            }
        }
        members.sort_by_key(|member| (std::cmp::Reverse(member.role), member.joined));
        for some in members.chunks(PAGE_ITEMS_MAX) {
            let users: Vec<_> = some.iter().map(|member| member.user.clone()).collect();
            let profiles = self.shared.store.users(&users).await?;
            // Somebody else who is being erased is about to go as well.
            let stays = profiles
                .iter()
                .position(|profile| profile.as_ref().is_none_or(|profile| !profile.is_erased()));
            if let Some(place) = stays {
                return Ok(users.get(place).cloned());
            }
        }
        Ok(None)
    }

    /// Has the rooms delete and take back, all of it at once, and counts what they did. What is not there any more
    /// needs nothing.
    async fn erase(&self, erasing: impl Iterator<Item = (&RoomId, Erasing)>) -> Result<u64, Error> {
        let mut told = Vec::new();
        for (room, erasing) in erasing {
            if let Some(cell) = self.open(room).await? {
                told.push(self.ask(&cell, erasing));
            }
        }
        let mut done = 0;
        for told in told {
            match told.await.unwrap_or(Err(Error::Unavailable)) {
                Ok(Outcome::Changed(_)) => done += 1,
                Ok(_) | Err(Error::Rejected(Rejection::NotFound(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// The live room, unless it was deleted.
    async fn open(&self, room: &RoomId) -> Result<Option<Arc<Cell>>, Error> {
        match self.shared.open(room).await {
            Ok(cell) => Ok(Some(cell)),
            Err(Error::Rejected(Rejection::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, cell: &Arc<Cell>, erasing: Erasing) -> oneshot::Receiver<Result<Outcome, Error>> {
        let (tell, told) = oneshot::channel();
        // A receiver that is gone is an erasure that broke off.
        let reply = Reply::new(move |outcome| drop(tell.send(outcome)));
        let actor = Actor::new(self.user.clone());
        let request = Request { actor, at: self.shared.now(), command: Command::Erase(erasing) };
        let pending = Pending { request, username: Username::erased(), session: None, reply };
        writer::submit(&self.shared, cell, pending);
        told
    }
}
