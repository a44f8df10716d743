//! What has to be done now and then: letting go of idle rooms and rates, cutting logs, deleting what is out of date,
//! bringing erasures to their end that broke off.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{caller::Caller, erasure, error::Error, shared::Shared};
use crate::{
    id::RoomId,
    limits::{PAGE_ITEMS_MAX, RETENTION_ROOMS_PER_ROUND_MAX},
    store::PageRequest,
};

/// How often that is done. A sweep of a store in which nothing is out of date writes nothing.
const EVERY: Duration = Duration::from_secs(30);

/// Steps that one sweep of the store takes at most; what is left waits for the next.
const STORE_STEPS_MAX: usize = 1_000;

/// Runs until the engine has ended.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut retained = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        retained = round(&shared, retained).await;
    }
}

/// Does it all once, cutting rooms from the cursor `retained` on. Where to go on with them next time.
pub(crate) async fn round(shared: &Arc<Shared>, retained: Option<String>) -> Option<String> {
    shared.rooms.sweep();
    shared.message_rates.sweep(shared.now());
    shared.typists.sweep(shared.now());
    let retained = cut_rooms(shared, retained).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "can't find out what rooms let go");
        None
    });
    sweep_store(shared).await;
    erasure::resume(shared).await;
    retained
}

/// Cuts the logs of rooms that have a retention, a bounded number of them from `cursor` on. Where to go on next time.
/// Every node does so; of two that cut a room at once, the log lets one be first and the other find nothing to do.
async fn cut_rooms(shared: &Arc<Shared>, mut cursor: Option<String>) -> Result<Option<String>, Error> {
    let operator = Caller::operator(shared.clone());
    let mut looked_at = 0;
    while looked_at < RETENTION_ROOMS_PER_ROUND_MAX {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let page = shared.store.retained_rooms(page).await?;
        looked_at += PAGE_ITEMS_MAX;
        for room in page.items {
            if let Err(error) = cut_room(&operator, &room).await {
                tracing::warn!(%room, %error, "can't let go of what is out of date");
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(cursor)
}

async fn cut_room(operator: &Caller, room: &RoomId) -> Result<(), Error> {
    let shared = operator.shared();
    match shared.store.due_cut(room, shared.now()).await? {
        Some(cut) => operator.trim(room, cut).await,
        None => Ok(()),
    }
}

async fn sweep_store(shared: &Shared) {
    for _ in 0..STORE_STEPS_MAX {
        match shared.store.sweep(shared.now()).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "can't sweep the store"),
        }
    }
}
