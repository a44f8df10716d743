//! The table of live rooms.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};

use parking_lot::Mutex;

use super::cell::Cell;
use crate::{domain::Room, id::RoomId};

/// Live rooms by id, in shards so that opening one does not wait for another.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    shards: [Mutex<HashMap<RoomId, Arc<Cell>>>; SHARDS],
}

const SHARDS: usize = 16;

impl Rooms {
    /// The room, if it is live.
    pub(crate) fn get(&self, id: &RoomId) -> Option<Arc<Cell>> {
        self.shard(id).lock().get(id).cloned()
    }

    /// The live room, made so from its stored state if it is not.
    pub(crate) fn open(&self, room: Room) -> Arc<Cell> {
        let mut shard = self.shard(&room.id).lock();
        shard.entry(room.id.clone()).or_insert_with(|| Arc::new(Cell::new(room))).clone()
    }

    /// All live rooms, in an order that does not depend on chance, so that a simulation can be repeated.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// How many rooms are live.
    pub(crate) fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Lets go of rooms that nobody holds or follows.
    pub(crate) fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            // The table's own reference is the only one: nobody can be about to use it, since getting one
            // needs the shard's lock.
            shard.retain(|_, cell| Arc::strong_count(cell) > 1 || !cell.is_idle());
            shard.shrink_to_fit();
        }
    }

    fn shard(&self, id: &RoomId) -> &Mutex<HashMap<RoomId, Arc<Cell>>> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        &self.shards[hasher.finish() as usize % SHARDS]
    }
}
