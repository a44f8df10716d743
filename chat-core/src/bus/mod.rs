//! What other nodes hear.
//!
//! The store is the truth, the bus is a hint: it says that a room's log has grown, not with what. A lost, late,
//! doubled or reordered hint is harmless, since whoever hears one reads the store, and heads are compared with
//! the store every few seconds besides.

mod local;
mod memory;

use async_trait::async_trait;

pub use local::LocalBus;
pub use memory::MemoryBus;

use crate::id::{RoomId, Seq, UserId};

/// Carries hints between the nodes of a cluster.
///
/// # To ensure correctness
///
/// 1. A hint that was published reaches each other subscriber at most a bounded number of times; it may reach
///    nobody. Order is not promised. An echo to the publisher is tolerated.
/// 2. What arrives is what was published, never a mixture.
/// 3. Publishing does not wait for subscribers: a slow one loses hints.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Tells the other nodes, as well as can be. A failure is not the publisher's concern.
    async fn publish(&self, hint: Hint);

    /// Hears what others publish from now on.
    async fn subscribe(&self) -> Box<dyn Inbox>;

    /// Whether there can be other nodes. Without them the engine does not compare heads.
    fn has_other_nodes(&self) -> bool;
}

/// One node's end of the bus.
#[async_trait]
pub trait Inbox: Send + 'static {
    /// The next hint. Cancel-safe. `None` when the bus has ended.
    async fn next(&mut self) -> Option<Hint>;
}

/// A room's log has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Which room.
    pub room: RoomId,
    /// Up to where, at least.
    pub head: Seq,
    /// Who became a member by it: their sessions on other nodes subscribe to the room.
    pub joined: Vec<UserId>,
}
