//! And what happens around a send, before an edit, and before a joining.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    domain::{Draft, Entry},
    id::{RoomId, Seq, UserId},
};

/// How long a hook may take before what it holds up is answered `unavailable`. A hook that panics is answered so,
/// too: it costs what it was asked about and nothing else.
pub const HOOK_DEADLINE: Duration = Duration::from_secs(2);

/// The embedder's code around sending, editing and joining.
///
/// ```
/// use chat_core::{domain::{Content, Draft, TextRules}, hooks::{Hooks, Verdict}, id::{RoomId, UserId}};
///
/// struct NoShouting;
/// #[async_trait::async_trait]
/// impl Hooks for NoShouting {
///     async fn before_send(&self, _room: &RoomId, _author: &UserId, draft: &Draft) -> Verdict {
///         let calm = draft.content.as_str().to_lowercase();
///         match Content::parse(&calm, TextRules::default()) {
///             Ok(content) => Verdict::Rewrite(content),
///             Err(_) => Verdict::Refuse("please don't shout"),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Hooks: Send + Sync + 'static {
    /// Looks at a message before it is planned. A repeat of a `clientMessageId` passes here again and then gets
    /// the first answer, whatever the verdict makes of its text. Has [`HOOK_DEADLINE`]; holds up only the
    /// connection that sent the message.
    async fn before_send(&self, room: &RoomId, author: &UserId, draft: &Draft) -> Verdict {
        let _ = (room, author, draft);
        Verdict::Allow
    }

    /// Looks at an edit before it is planned; the rules have allowed it so far, and an edit that changes nothing is
    /// not asked about. `target` is the message, `draft` what it would be: its own files, type, key and place with
    /// the new text. [`Verdict::Hold`] refuses an edit: what stands in the log goes on to stand there, and nothing
    /// waits for a moderator. Has [`HOOK_DEADLINE`]; holds up only the connection that edits.
    ///
    /// Unless this is implemented, an edit is judged by [`Hooks::before_send`], so that no text comes in by editing
    /// that could not have been sent.
    async fn before_edit(&self, room: &RoomId, author: &UserId, target: Seq, draft: &Draft) -> Verdict {
        let _ = target;
        self.before_send(room, author, draft).await
    }

    /// Looks at a user who is about to join a room, before the joining is planned; the rules have allowed it so far.
    /// Who is a member already is not asked about. Has [`HOOK_DEADLINE`].
    async fn on_join(&self, room: &RoomId, user: &UserId) -> Admission {
        let _ = (room, user);
        Admission::Allow
    }

    /// Hears of a message that is stored. Runs beside delivery and never delays it. At most once: not called
    /// for a message that was stored just before a crash. Has [`HOOK_DEADLINE`], then the next one is passed on.
    async fn after_send(&self, entry: &Entry) {
        let _ = entry;
    }

    /// Whether any of these does anything; without, the engine skips them.
    fn active(&self) -> bool {
        true
    }
}

/// What is to become of a message, or of an edit.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is sent as it is.
    Allow,
    /// It is sent with this text instead.
    Rewrite(crate::domain::Content),
    /// Its author is told `forbidden`, with this reason.
    Refuse(&'static str),
    /// It waits, outside the log, until a moderator of the room releases or discards it. Its author is told so.
    /// In a direct room, where nobody moderates, it is refused; so is an edit.
    Hold,
}

/// Whether somebody may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// They join.
    Allow,
    /// They are told `forbidden`, with this reason.
    Refuse(&'static str),
}

/// No hooks, the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn active(&self) -> bool {
        false
    }
}
