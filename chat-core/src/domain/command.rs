//! What is asked of a room, and what comes of it.

use super::{
    Addressed, Attachments, Content, Cut, Description, Emoji, Erasing, GroupSpec, History, LinkId, LinkSpec,
    MessageType, Moderation, Release, RoomChange, RoomKind, RoomName, TextError, Username,
};
use crate::{
    id::{ClientMessageId, HeldId, InviteId, Seq, UserId},
    time::Timestamp,
};

/// One command of one user at one time: everything that planning needs from outside.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// When it was accepted for planning.
    pub at: Timestamp,
    /// What is asked.
    pub command: Command,
}

/// Who asks, as far as rules care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: UserId,
    /// The most rooms this user may belong to; `None` for no bound.
    pub rooms_max: Option<u32>,
    /// Whether they act for the operator: in no room of lower rank than anybody, a member or not.
    pub overrides: bool,
}

impl Actor {
    /// A user without a bound on rooms.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self { user, rooms_max: None, overrides: false }
    }
}

/// A command that would be remembered.
#[derive(Debug, Clone)]
pub enum Command {
    /// Create the room; the actor becomes its owner.
    Create(RoomSpec),
    /// Become a member.
    Join,
    /// Cease to be one.
    Leave,
    /// Send a message.
    Send(Draft),
    /// Give one's message another text.
    Edit {
        /// Which message.
        target: Seq,
        /// The new text.
        content: Content,
    },
    /// Delete a message.
    Delete {
        /// Which message.
        target: Seq,
    },
    /// Put an emoji under a message.
    React {
        /// Which message.
        target: Seq,
        /// The emoji.
        emoji: Emoji,
    },
    /// Take an emoji back.
    Unreact {
        /// Which message.
        target: Seq,
        /// The emoji.
        emoji: Emoji,
    },
    /// Pin a message.
    Pin {
        /// Which message.
        target: Seq,
    },
    /// Unpin a message.
    Unpin {
        /// Which message.
        target: Seq,
    },
    /// Do something to somebody.
    Moderate(Moderation),
    /// Make a user owner, a member or not: for the operator alone.
    Appoint(UserId),
    /// Send a message to one user, in the direct room with them; the first one makes that room.
    SendDirect(UserId, Draft),
    /// Create a room for a few people, who all become members at once; the actor becomes its owner.
    CreateGroup(GroupSpec),
    /// Send a message that was held for review, as its author's.
    Release(Box<Release>),
    /// Change what the room is.
    Update(RoomChange),
    /// Delete the room.
    DeleteRoom,
    /// Let go of what the room's retention lets go. The engine's own: nobody can ask for it.
    Trim(Cut),
    /// Invite somebody, under this name if they are not invited yet.
    Invite(UserId, InviteId),
    /// Become a member by one's invitation.
    AcceptInvite(InviteId),
    /// Decline one's invitation.
    DeclineInvite(InviteId),
    /// Make a link into the room.
    CreateLink(LinkId, LinkSpec),
    /// Make a link good for nothing.
    RevokeLink(LinkId),
    /// Become a member by a link.
    JoinByLink(LinkId),
    /// Go from the room, being erased.
    Erase(Erasing),
}

/// What a new room is to be.
#[derive(Debug, Clone)]
pub struct RoomSpec {
    /// Its name; unique among public rooms.
    pub name: RoomName,
    /// What it is about.
    pub description: Description,
    /// Who may find and join it.
    pub kind: RoomKind,
    /// What new members see.
    pub history: History,
    /// Whether the creator becomes its owner. A room that the operator sets up has no owner to begin with.
    pub owned: bool,
}

impl RoomSpec {
    /// A public room of that name, owned by its creator.
    ///
    /// # Errors
    /// [`TextError`] when the name breaks the rules for names.
    pub fn public(name: &str) -> Result<Self, TextError> {
        Ok(Self {
            name: RoomName::parse(name)?,
            description: Description::from_stored(""),
            kind: RoomKind::Public,
            history: History::All,
            owned: true,
        })
    }

    /// A private room of that name, owned by its creator.
    ///
    /// # Errors
    /// [`TextError`] when the name breaks the rules for names.
    pub fn private(name: &str) -> Result<Self, TextError> {
        Ok(Self { kind: RoomKind::Private, ..Self::public(name)? })
    }
}

/// A message before it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its text.
    pub content: Content,
    /// What kind of message it is.
    pub message_type: MessageType,
    /// The files that it refers to. Without any the text may not be empty.
    pub attachments: Attachments,
    /// The author's key that makes a repeat the same send.
    pub client_message_id: Option<ClientMessageId>,
    /// The message of the same room that it answers.
    pub reply_to: Option<Seq>,
    /// The thread that it belongs to: its root, or any reply in it.
    pub thread: Option<Seq>,
}

impl Draft {
    /// A plain text message.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            attachments: Attachments::default(),
            content,
            message_type: MessageType::Text,
            client_message_id: None,
            reply_to: None,
            thread: None,
        }
    }

    /// A plain text message, under the default rules for text.
    ///
    /// # Errors
    /// [`TextError`] when the text breaks a rule.
    pub fn text(text: &str) -> Result<Self, TextError> {
        let content = Content::parse(text, super::TextRules::default())?;
        Ok(Self::new(content))
    }

    /// The same message under a key that makes a repeat the same send.
    #[must_use]
    pub fn keyed(self, key: ClientMessageId) -> Self {
        Self { client_message_id: Some(key), ..self }
    }

    /// The same message with files, shown as that type.
    #[must_use]
    pub fn with(self, message_type: MessageType, attachments: Attachments) -> Self {
        Self { message_type, attachments, ..self }
    }

    /// The same message as an answer to an earlier one of the room.
    #[must_use]
    pub fn replying(self, target: Seq) -> Self {
        Self { reply_to: Some(target), ..self }
    }

    /// The same message as a reply in the thread of an earlier one of the room.
    #[must_use]
    pub fn in_thread(self, of: Seq) -> Self {
        Self { thread: Some(of), ..self }
    }
}

/// What became of a request. Everything but a change of nothing is true only once the plan is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The room was created; its newest entry.
    Created(Seq),
    /// The actor is a member now; the entry that says so.
    Joined(Seq),
    /// The actor was a member before.
    AlreadyJoined,
    /// The actor is no member any more; the entry that says so.
    Left(Seq),
    /// The actor was none before.
    AlreadyLeft,
    /// The message stands in the log.
    Sent(Sent),
    /// It is done; the entry that says so.
    Changed(Seq),
    /// It was so before; the entry since which it is, where that is known.
    Unchanged(Option<Seq>),
    /// The message waits for review, outside the log. `duplicate` when it did so before.
    Held {
        /// What it is called until then.
        id: HeldId,
        /// Whether this is the answer to a repeat.
        duplicate: bool,
    },
    /// The user is invited.
    Invited {
        /// Under which name.
        id: InviteId,
        /// Whether they were not before.
        is_new: bool,
    },
    /// There is a link into the room.
    Linked {
        /// From when on it is good for nothing.
        expires_at: Timestamp,
    },
    /// It is done, and no entry says so.
    Done,
}

/// Where a message stands. What is remembered for a `clientMessageId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its place in the log.
    pub seq: Seq,
    /// When it was accepted.
    pub at: Timestamp,
    /// Whether this is the answer to a repeat.
    pub duplicate: bool,
}

/// The rows that planning a request looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Membership of these users, and what stands against them.
    pub members: Vec<UserId>,
    /// What was sent under these keys.
    pub sent: Vec<(UserId, ClientMessageId)>,
    /// The messages at these places, with the membership of their authors, and the roots of their threads.
    pub targets: Vec<Seq>,
    /// The newest replies of the threads that those of `targets` at these places are replies in.
    pub threads: Vec<Seq>,
    /// Whether these users have put these emoji under these messages.
    pub reacted: Vec<(Seq, Emoji, UserId)>,
    /// How many messages are pinned.
    pub pins: bool,
    /// Whether these users have a profile.
    pub profiles: Vec<UserId>,
    /// When these users sent their last message, where the room is in slow mode.
    pub last_sent: Vec<UserId>,
    /// Whether one of the requests may turn slow mode on.
    pub slow_mode: bool,
    /// The invitations of these users.
    pub invites: Vec<UserId>,
    /// These links.
    pub links: Vec<LinkId>,
    /// Who has these names, and their membership.
    pub names: Vec<Username>,
}

impl Needs {
    /// Adds what planning `request` looks at.
    pub fn add(&mut self, request: &Request) {
        let user = &request.actor.user;
        self.add_member(user);
        match &request.command {
            Command::Create(_)
            | Command::CreateGroup(_)
            | Command::Join
            | Command::Leave
            | Command::DeleteRoom
            | Command::Trim(_) => {}
            Command::Update(change) => self.slow_mode |= change.slow_mode_seconds.is_some(),
            Command::Send(draft) | Command::SendDirect(_, draft) => {
                self.sent.extend(draft.client_message_id.iter().map(|key| (user.clone(), key.clone())));
                draft.reply_to.into_iter().chain(draft.thread).for_each(|target| self.add_target(target));
                self.names.extend(Addressed::by(draft.content.as_str()).names);
                if !self.last_sent.contains(user) {
                    self.last_sent.push(user.clone());
                }
            }
            Command::Edit { target, content } => {
                self.add_target(*target);
                self.names.extend(Addressed::by(content.as_str()).names);
            }
            Command::Delete { target } => {
                self.add_target(*target);
                self.threads.push(*target);
            }
            Command::React { target, emoji } | Command::Unreact { target, emoji } => {
                self.add_target(*target);
                self.reacted.push((*target, emoji.clone(), user.clone()));
            }
            Command::Pin { target } | Command::Unpin { target } => {
                self.add_target(*target);
                self.pins = true;
            }
            Command::Invite(user, _) => {
                self.add_member(user);
                self.profiles.push(user.clone());
                self.invites.push(user.clone());
            }
            Command::AcceptInvite(_) | Command::DeclineInvite(_) => self.invites.push(user.clone()),
            Command::RevokeLink(link) | Command::JoinByLink(link) => self.links.push(*link),
            Command::CreateLink(..) => {}
            Command::Moderate(Moderation { user, .. }) | Command::Appoint(user) => {
                self.add_member(user);
                self.profiles.push(user.clone());
            }
            Command::Release(release) => self.add(&release.as_sent(request.at)),
            Command::Erase(Erasing::Membership { successor }) => {
                successor.iter().for_each(|user| self.add_member(user));
            }
            Command::Erase(Erasing::Message(target)) => {
                self.add_target(*target);
                self.threads.push(*target);
            }
            Command::Erase(Erasing::Reaction(target, emoji)) => {
                self.add_target(*target);
                self.reacted.push((*target, emoji.clone(), user.clone()));
            }
        }
    }

    fn add_target(&mut self, target: Seq) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }

    fn add_member(&mut self, user: &UserId) {
        if !self.members.contains(user) {
            self.members.push(user.clone());
        }
    }
}
