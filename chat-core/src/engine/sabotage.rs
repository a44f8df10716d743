//! Bugs on purpose, so that the simulator can be shown to catch them. Only with the feature `testing`.

use std::sync::Arc;

use super::tail::PostedEntry;

/// A bug to plant in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
    /// Entries are told to followers before they are stored.
    PublishBeforeAppend,
    /// Neighbouring entries of one commit are told in the wrong order.
    SwapNeighbours,
}

impl Sabotage {
    pub(crate) fn publishes_before_append(self) -> bool {
        self == Self::PublishBeforeAppend
    }

    /// Exchanges what two neighbouring entries say, leaving their places.
    pub(crate) fn disorder(self, posted: &mut [Arc<PostedEntry>]) {
        if self == Self::SwapNeighbours
            && let [first, second, ..] = posted
        {
            let (mut a, mut b) = (first.entry().clone(), second.entry().clone());
            if a.message().is_none() || b.message().is_none() {
                return;
            }
            std::mem::swap(&mut a.change, &mut b.change);
            std::mem::swap(&mut a.actor, &mut b.actor);
            let names = (first.username().clone(), second.username().clone());
            *first = Arc::new(PostedEntry::new(a, names.1));
            *second = Arc::new(PostedEntry::new(b, names.0));
        }
    }
}
