//! Bugs on purpose, so that the simulator can be shown to catch them. Only with the feature `testing`.

use std::sync::Arc;

use super::tail::PostedEntry;
use crate::{
    domain::{Commit, RowChange},
    id::Seq,
};

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
    /// Commands that wait together are carried out in the wrong order.
    ReverseBatch,
    /// A resume begins one entry too late.
    ResumeOffByOne,
    /// What was sent under which key is not stored with the message.
    ForgetKeys,
    /// A room is resumed without asking whether its user still belongs to it.
    SkipMembership,
    /// A conflict is taken for success: what another node was faster with is acked all the same.
    AckConflicts,
    /// Hints and the comparison of heads are ignored.
    IgnoreOtherNodes,
    /// What an edit or a deletion has replaced stays in memory as it was.
    KeepTexts,
}

impl Sabotage {
    pub(crate) fn publishes_before_append(self) -> bool {
        self == Self::PublishBeforeAppend
    }

    pub(crate) fn reverses_batches(self) -> bool {
        self == Self::ReverseBatch
    }

    pub(crate) fn skips_membership(self) -> bool {
        self == Self::SkipMembership
    }

    pub(crate) fn acks_conflicts(self) -> bool {
        self == Self::AckConflicts
    }

    pub(crate) fn keeps_texts(self) -> bool {
        self == Self::KeepTexts
    }

    pub(crate) fn ignores_other_nodes(self) -> bool {
        self == Self::IgnoreOtherNodes
    }

    /// Where a resume really begins.
    pub(crate) fn resume_from(self, after: Seq) -> Seq {
        if self == Self::ResumeOffByOne { after.next() } else { after }
    }

    /// Forgets what is not to be stored.
    pub(crate) fn spoil(self, commit: &mut Commit) {
        if self == Self::ForgetKeys {
            commit.rows.retain(|row| !matches!(row, RowChange::PutSent(..)));
        }
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
