//! What other nodes hear.
//!
//! The store is the truth, the bus is a hint: it says that a room's log has grown, not with what. A lost, late,
//! doubled or reordered hint is harmless, since whoever hears one reads the store, and heads are compared with
//! the store every few seconds besides. Signals (typing and the like) travel on it themselves: they may be lost,
//! and the newest wins.

mod local;
mod memory;

use async_trait::async_trait;

pub use local::LocalBus;
pub use memory::MemoryBus;

use crate::{
    close::CloseReason,
    domain::Attendance,
    id::{NodeId, RoomId, Seq, UserId},
    wire::Notice,
};

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

/// What nodes tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A room's log has grown.
    Grown {
        /// Which room.
        room: RoomId,
        /// Up to where, at least.
        head: Seq,
        /// Who became a member by it: their sessions on other nodes subscribe to the room.
        joined: Vec<UserId>,
    },
    /// Something is to be told that stands in no log.
    Signal {
        /// Who has told its own sessions already.
        from: NodeId,
        /// Whom to tell.
        to: Audience,
        /// What to tell them.
        notice: Notice,
    },
    /// A user's sessions are to end.
    Disconnect {
        /// Who has ended its own sessions of theirs already.
        from: NodeId,
        /// Whose.
        user: UserId,
        /// Those of one login; of all when `None`.
        login: Option<String>,
        /// Why.
        reason: CloseReason,
    },
    /// A user has another name, or is to be looked at anew for another reason.
    Profile {
        /// Who has forgotten the old one already.
        from: NodeId,
        /// Whose.
        user: UserId,
    },
    /// Who is there, as far as one node goes. Each node tells of all its users every few seconds, and of changes at
    /// once; of whom nothing is heard any more, they are gone.
    Presence {
        /// Which node.
        from: NodeId,
        /// Some of its users.
        people: Vec<Attendance>,
    },
}

/// Whom a signal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Who follows a room and has come at least to `at` in its log, so that who was removed before it is not told.
    Room {
        /// Which room.
        room: RoomId,
        /// Its head when the signal was made.
        at: Seq,
        /// Whose sessions are not told.
        except: Option<UserId>,
    },
    /// All sessions of these users.
    Users(Vec<UserId>),
}
