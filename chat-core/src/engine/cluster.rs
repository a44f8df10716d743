//! Hearing of other nodes: hints from the bus, and a look at the store for those that were lost.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{cell::Cell, erasure, shared::Shared};
use crate::{
    bus::{Hint, Inbox},
    domain::Rejection,
    id::{RoomId, Seq, UserId},
    limits::PAGE_ITEMS_MAX,
    store::{PageRequest, StoreError},
};

/// How often heads are compared with the store: the last lost hint of a room leaves no hole for longer.
const COMPARE_EVERY: Duration = Duration::from_secs(2);

/// Rooms or users that are compared in one question to the store.
const COMPARE_BATCH: usize = 500;

/// Follows hints until the engine or the bus has ended.
pub(crate) async fn listen(shared: Weak<Shared>, mut inbox: Box<dyn Inbox>) {
    while let Some(hint) = inbox.next().await {
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = follow(&shared, hint).await {
            tracing::warn!(%error, "can't follow a hint; the next comparison of heads will");
        }
    }
}

/// Compares heads and memberships with the store for ever.
pub(crate) async fn compare(shared: Weak<Shared>) {
    let mut versions = std::collections::HashMap::new();
    let mut erased = 0;
    loop {
        tokio::time::sleep(COMPARE_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        for outcome in [
            compare_heads(&shared).await,
            compare_memberships(&shared, &mut versions).await,
            erasure::follow_erasures(&shared, &mut erased).await,
        ] {
            if let Err(error) = outcome {
                tracing::warn!(%error, "can't compare what is known here with the store");
            }
        }
    }
}

async fn follow(shared: &Shared, hint: Hint) -> Result<(), StoreError> {
    match hint {
        Hint::Grown { room, head, joined } => follow_log(shared, &room, head, &joined).await,
        // The sessions of the node that it came from were told at once.
        Hint::Signal { from, .. } if from == shared.node => Ok(()),
        Hint::Presence { from, .. } if from == shared.node => Ok(()),
        Hint::Disconnect { from, .. } if from == shared.node => Ok(()),
        Hint::Profile { user, .. } => {
            shared.profiles.forget(&user);
            Ok(())
        }
        Hint::Disconnect { user, login: Some(login), reason, .. } => {
            shared.users.close_login(&user, &login, reason);
            Ok(())
        }
        Hint::Disconnect { user, login: None, reason, .. } => {
            shared.users.close(&user, reason);
            erasure::follow_erasure(shared, &user, reason).await
        }
        Hint::Presence { from, people } => {
            shared.presences.attend(&from, &people, shared.now());
            Ok(())
        }
        Hint::Signal { to, notice, .. } => {
            shared.tell_here(&to, notice);
            Ok(())
        }
    }
}

async fn follow_log(shared: &Shared, room: &RoomId, head: Seq, joined: &[UserId]) -> Result<(), StoreError> {
    let wanted = joined.iter().any(|user| shared.users.has(user));
    let cell = match shared.rooms.get(room) {
        Some(cell) => cell,
        // Nobody here follows the room; somebody here is to.
        None if wanted => match shared.store.room(room).await? {
            Some(room) => shared.rooms.open(room),
            None => return Ok(()),
        },
        None => return Ok(()),
    };
    if cell.head() < head {
        shared.catch_up(&cell).await?;
    }
    if wanted {
        for user in joined {
            tell_joined(shared, &cell, user).await?;
        }
    }
    Ok(())
}

/// Tells a user's sessions of a room that they have joined elsewhere.
async fn tell_joined(shared: &Shared, cell: &Arc<Cell>, user: &UserId) -> Result<(), StoreError> {
    if !shared.users.has(user) {
        return Ok(());
    }
    match shared.readable(cell, user).await {
        Ok(readable) => {
            if let Some(member) = readable.member {
                shared.users.joined(user, cell, readable.room.live_from(user, member.joined));
            }
            Ok(())
        }
        Err(super::Error::Rejected(Rejection::NotFound(_) | Rejection::Forbidden(_))) => Ok(()),
        Err(super::Error::Store(error)) => Err(error),
        Err(_) => Ok(()),
    }
}

async fn compare_heads(shared: &Shared) -> Result<(), StoreError> {
    let followed: Vec<_> = shared.rooms.all().into_iter().filter(|cell| cell.followers() > 0).collect();
    for cells in followed.chunks(COMPARE_BATCH) {
        let ids: Vec<_> = cells.iter().map(|cell| cell.id().clone()).collect();
        let heads: Vec<Seq> = shared.store.heads(&ids).await?;
        for (cell, head) in cells.iter().zip(heads) {
            if head > cell.head()
                && let Err(error) = shared.catch_up(cell).await
            {
                tracing::warn!(room = %cell.id(), %error, "can't read what other nodes have written");
            }
        }
    }
    Ok(())
}

/// Finds users who joined a room through another node while the hint was lost.
async fn compare_memberships(
    shared: &Shared,
    versions: &mut std::collections::HashMap<UserId, u64>,
) -> Result<(), StoreError> {
    let present = shared.users.present();
    versions.retain(|user, _| shared.users.has(user));
    for users in present.chunks(COMPARE_BATCH) {
        let newest = shared.store.membership_versions(users).await?;
        for (user, version) in users.iter().zip(newest) {
            if versions.get(user) == Some(&version) {
                continue;
            }
            match tell_all_rooms(shared, user).await {
                Ok(()) => drop(versions.insert(user.clone(), version)),
                Err(error) => tracing::warn!(%error, "can't look up which rooms somebody has joined"),
            }
        }
    }
    Ok(())
}

async fn tell_all_rooms(shared: &Shared, user: &UserId) -> Result<(), StoreError> {
    let mut cursor = None;
    loop {
        let page = shared.store.rooms_of(user, PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?;
        for (room, member) in page.items {
            let first = room.live_from(user, member.joined);
            let cell = shared.rooms.open(room);
            shared.users.joined(user, &cell, first);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
