//! Telling who is there, in rounds with budgets: thousands who come at once take some rounds, and none of them
//! holds anybody up.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use super::{ATTENDANCE_EVERY, Turn};
use crate::{
    bus::Hint,
    domain::PresenceNews,
    engine::{cell::Cell, shared::Shared, signal::Signal},
    id::UserId,
    limits::{
        PAGE_ITEMS_MAX, PRESENCE_AUDIENCE_MAX, PRESENCE_CHANGES_PER_ROUND, PRESENCE_EVENTS_PER_ROUND,
        PRESENCE_ROOM_MEMBERS_MAX, PRESENCES_SAVED_AT_ONCE,
    },
    store::{PageRequest, StoreError},
    wire::{Notice, PresenceView},
};

/// The rest between two rounds.
const REST: Duration = Duration::from_millis(100);

/// After how many people other tasks get their turn.
const PEOPLE_IN_A_ROW: usize = 16;

/// Runs rounds until the engine has ended; none while nothing changes.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut attended = Instant::now();
    let Some(changed) = shared.upgrade().map(|shared| shared.presences.changed.clone()) else { return };
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let others = strong.bus.has_other_nodes();
        if others && attended.elapsed() >= ATTENDANCE_EVERY {
            attended = Instant::now();
            strong.presences.expire(strong.now());
            strong.presences.announce_all();
        }
        round(&strong).await;
        let next = strong.presences.next_due();
        drop(strong);
        sleep(REST).await;
        let next_attendance = others.then(|| attended + ATTENDANCE_EVERY);
        match next.into_iter().chain(next_attendance).min() {
            Some(next) => {
                tokio::select! {
                    () = changed.notified() => {}
                    () = sleep_until(next) => {}
                }
            }
            None => changed.notified().await,
        }
    }
}

/// Saves and announces what is left to be, when everything ends.
pub(crate) async fn flush(shared: &Shared) {
    announce(shared).await;
    let kept = shared.presences.kept_at_the_end(shared.now());
    for kept in kept.chunks(PRESENCES_SAVED_AT_ONCE) {
        if let Err(error) = shared.store.save_presences(kept.to_vec()).await {
            return tracing::warn!(%error, "can't save when people were last there");
        }
    }
}

async fn round(shared: &Shared) {
    let (mut events, mut unsaved) = (0, Vec::new());
    for number in 1..=PRESENCE_CHANGES_PER_ROUND {
        if events >= PRESENCE_EVENTS_PER_ROUND || unsaved.len() >= PRESENCES_SAVED_AT_ONCE {
            break;
        }
        let Some(Turn { user, news, before, unsaved: kept }) = shared.presences.take_turn() else { break };
        unsaved.extend(kept.map(|kept| (user.clone(), kept)));
        if let Some(news) = news {
            match tell(shared, &user, &news).await {
                Ok(told) => events += told,
                Err(error) => {
                    tracing::warn!(%error, "can't tell of a presence yet");
                    shared.presences.untell(&user, before);
                }
            }
        }
        if number % PEOPLE_IN_A_ROW == 0 {
            tokio::task::yield_now().await;
        }
    }
    announce(shared).await;
    if !unsaved.is_empty()
        && let Err(error) = shared.store.save_presences(unsaved.clone()).await
    {
        tracing::warn!(%error, "can't save presences yet");
        shared.presences.unsave(unsaved);
    }
}

/// Tells this node's sessions. Gives how many of others were told.
async fn tell(shared: &Shared, user: &UserId, news: &PresenceNews) -> Result<usize, StoreError> {
    let names = shared.profiles.names(std::slice::from_ref(user)).await?;
    let name = names.first().map_or("", |name| name.as_str());
    let signal = |presence| Signal::new(Notice::Presence(PresenceView::of(user, name, presence)));
    if let Some(own) = &news.own {
        shared.users.signal(user, &signal(own), None);
    }
    let Some(others) = &news.others else { return Ok(0) };
    let signal = signal(others);
    let mut told = HashSet::new();
    for cell in rooms_to_tell(shared, user).await? {
        cell.signal_to(&signal, cell.head(), |mark| {
            mark.user() != user && told.len() < PRESENCE_AUDIENCE_MAX && told.insert(mark.session_key())
        });
    }
    Ok(told.len())
}

/// The user's rooms that somebody follows here and that are not too large.
async fn rooms_to_tell(shared: &Shared, user: &UserId) -> Result<Vec<Arc<Cell>>, StoreError> {
    let (mut cells, mut cursor) = (Vec::new(), None);
    loop {
        let page = shared.store.rooms_of(user, PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?;
        let small = page.items.iter().filter(|(room, _)| room.members <= PRESENCE_ROOM_MEMBERS_MAX);
        cells.extend(small.filter_map(|(room, _)| shared.rooms.get(&room.id)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(cells);
        }
    }
}

/// Tells the other nodes of changes here, which they tell to their sessions themselves.
async fn announce(shared: &Shared) {
    for _ in 0..PRESENCE_CHANGES_PER_ROUND / PRESENCES_SAVED_AT_ONCE + 1 {
        let people = shared.presences.take_unannounced(PRESENCES_SAVED_AT_ONCE);
        if people.is_empty() {
            return;
        }
        shared.bus.publish(Hint::Presence { from: shared.node.clone(), people }).await;
    }
}
