//! May you? The embedder's say on top of the rules that always hold.

use super::{Actor, Member, Rejection, Role, Room, RoomKind};

/// Decides whether a user may do something in a room. Called while planning and before reading, with rows
/// that are true at that moment, so it must be quick and must not block.
///
/// A policy can widen or narrow who may do what; it cannot break the log: ranks, the last owner, text rules
/// and limits hold whatever it says.
///
/// ```
/// use chat_core::domain::{Action, Actor, Decision, Member, MembersOnly, Policy, Room};
///
/// /// Nobody but staff creates rooms.
/// struct StaffCreates;
/// impl Policy for StaffCreates {
///     fn decide(&self, actor: &Actor, action: Action, room: &Room, member: Option<&Member>) -> Decision {
///         match action {
///             Action::Create if !actor.user.as_str().starts_with("staff-") => Decision::Forbid("staff only"),
///             _ => MembersOnly.decide(actor, action, room, member),
///         }
///     }
/// }
/// ```
pub trait Policy: Send + Sync + 'static {
    /// The verdict. `room` does not exist yet for [`Action::Create`]; `member` is the actor's membership.
    fn decide(&self, actor: &Actor, action: Action, room: &Room, member: Option<&Member>) -> Decision;
}

/// What somebody is about to do with a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create it.
    Create,
    /// Become a member of it.
    Join,
    /// Read its entries, live or from history, and its list of members.
    Read,
    /// Send a message to it.
    Send,
    /// Edit one's own message there.
    Edit,
    /// Delete one's own message there.
    Delete,
    /// Delete somebody else's message; that they have a lower rank holds whatever a policy says.
    DeleteOthers,
    /// Put an emoji under a message, or take one back.
    React,
    /// Pin or unpin a message.
    Pin,
    /// Mention all who are in it at once; where that is refused, `@room` is plain text.
    MentionRoom,
    /// Do something to somebody there: the ranks and the last owner hold whatever a policy says.
    Moderate,
    /// Send somebody the first direct message, which makes the room.
    SendDirect,
    /// See, release and discard what is held for review; see and resolve reports.
    Review,
    /// Change or delete the room itself: the ranks hold whatever a policy says.
    Manage,
    /// Invite somebody to it.
    Invite,
    /// Make and revoke links into it, and see them.
    ManageLinks,
    /// Become a member of it by an invitation or a link that is good.
    Accept,
}

impl Action {
    /// Whether it is done to others or to the room, by who keeps order there; so it is the operator's, too.
    pub(super) const fn is_authority(self) -> bool {
        matches!(self, Self::Moderate | Self::Manage | Self::Delete | Self::DeleteOthers | Self::Review)
    }
}

/// A policy's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// Refuse, for this reason.
    Forbid(&'static str),
    /// Refuse as if the room did not exist.
    Hide,
}

impl Decision {
    /// The verdict as a result.
    ///
    /// # Errors
    /// The rejection that the verdict stands for.
    pub fn into_result(self) -> Result<(), Rejection> {
        match self {
            Self::Allow => Ok(()),
            Self::Forbid(reason) => Err(Rejection::Forbidden(reason)),
            Self::Hide => Err(Rejection::NO_ROOM),
        }
    }
}

/// The default: members read, write and react, moderators and above delete what others wrote, pin and mention all
/// the room, anybody joins public rooms and creates rooms.
#[derive(Debug, Clone, Copy, Default)]
pub struct MembersOnly;

impl Policy for MembersOnly {
    fn decide(&self, _actor: &Actor, action: Action, room: &Room, member: Option<&Member>) -> Decision {
        let keeps_order = member.is_some_and(|member| member.role >= Role::Moderator);
        match (action, member, room.kind) {
            (Action::Accept, ..) => Decision::Allow,
            (Action::Invite, Some(_), RoomKind::Private | RoomKind::Group)
            | (Action::ManageLinks, Some(_), _)
                if !keeps_order =>
            {
                Decision::Forbid("only moderators and above may do this")
            }
            (Action::Pin, Some(_), RoomKind::Direct)
            | (Action::MentionRoom, Some(_), RoomKind::Direct | RoomKind::Group) => Decision::Allow,
            (Action::DeleteOthers | Action::Pin | Action::Review | Action::MentionRoom, Some(_), _)
                if !keeps_order =>
            {
                Decision::Forbid("only moderators and above may do this")
            }
            (Action::Create | Action::SendDirect, ..)
            | (_, Some(_), _)
            | (Action::Join, None, RoomKind::Public) => Decision::Allow,
            (_, None, RoomKind::Public) => Decision::Forbid("join the room first"),
            (_, None, RoomKind::Private | RoomKind::Direct | RoomKind::Group) => Decision::Hide,
        }
    }
}
