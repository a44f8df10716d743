//! Erasing a user, as far as one room goes.

use super::Emoji;
use crate::id::{Seq, UserId};

/// A step by which somebody who is erased goes from a room; the actor of the request is who is erased.
///
/// No policy is asked: the steps are the engine's own, and they hold in rooms that were left or archived as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasing {
    /// Their membership ends. A room that they alone own gets another owner by the same commit; with nobody else in
    /// it, it is deleted, unless it is the operator's: that stays, without an owner.
    Membership {
        /// Who becomes the owner, if there has to be one.
        successor: Option<UserId>,
    },
    /// A message of theirs is deleted.
    Message(Seq),
    /// A reaction of theirs is taken back.
    Reaction(Seq, Emoji),
}
