//! Several nodes in one process.

use async_trait::async_trait;
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

use super::{Bus, Hint, Inbox};
use crate::limits::BUS_HINTS_WAITING_MAX;

/// Carries hints among engines of one process that share a store; clones are the same bus.
///
/// Each inbox holds a bounded number of hints. One that is read too slowly loses the oldest, which is harmless:
/// the engine compares heads besides. A node hears its own hints, too.
///
/// ```
/// use chat_core::bus::{Bus, Hint, Inbox, MemoryBus};
/// use chat_core::id::{RoomId, Seq};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let bus = MemoryBus::new();
/// let mut inbox = bus.subscribe().await;
/// let hint = Hint::Grown { room: RoomId::parse("lobby").unwrap(), head: Seq::new(7), joined: Vec::new() };
/// bus.clone().publish(hint.clone()).await;
/// assert_eq!(inbox.next().await, Some(hint));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryBus {
    hints: Sender<Hint>,
}

impl MemoryBus {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self { hints: channel(BUS_HINTS_WAITING_MAX).0 }
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, hint: Hint) {
        // It fails when nobody listens, which is nobody's concern.
        let _ = self.hints.send(hint);
    }

    async fn subscribe(&self) -> Box<dyn Inbox> {
        Box::new(MemoryInbox(self.hints.subscribe()))
    }

    fn has_other_nodes(&self) -> bool {
        true
    }
}

struct MemoryInbox(Receiver<Hint>);

#[async_trait]
impl Inbox for MemoryInbox {
    async fn next(&mut self) -> Option<Hint> {
        loop {
            match self.0.recv().await {
                Ok(hint) => return Some(hint),
                // Too slow: some are lost, the newer ones follow.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
