//! Everything that is one user's, to hand out to them.

use std::{collections::VecDeque, fmt, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    error::Error,
    shared::{Readable, Shared},
};
use crate::{
    domain::{Change, DisplayName, Entry, Rejection, Replies, Report},
    id::{MessageId, RoomId, Seq, UserId},
    limits::EXPORT_PAGE_ITEMS,
    store::{Block, GivenReaction, Page, PageRequest, RoomOverview, UserProfile},
    wire::{EditView, HeldView, MessageView, RoomView, rfc3339},
};

/// The export of a user, read line by line, each a JSON object with a `type`:
///
/// | `type` | what | how many |
/// |---|---|---|
/// | `profile` | `userId username createdAt external statusText lastSeenAt` | one |
/// | `membership` | `room role joinedAt lastReadSeq unread mentions` | one for each room |
/// | `message` | `message`, as on the wire, and `edits`, all kept texts that it had before | one for each message, also in rooms that were left |
/// | `reaction` | `roomId messageId emoji` | one for each reaction given |
/// | `block` | `userId createdAt` | one for each user blocked |
/// | `held` | `roomId` and `held`, a message that waits for review | one for each |
/// | `report` | `reportId roomId messageId reason reportedAt resolvedAt` | one for each report made |
/// | `end` | | one; without it the export broke off |
///
/// Of what stands where the user may not read any more, or not that far back, their own deed is told and nothing that
/// came of it: a message without reactions, replies, pin and deletion by others (its text is gone then all the same), a
/// report without whether it was resolved.
///
/// Holds one page at a time, however much it is, and of the texts that messages had before those of one message. It is no snapshot: what changes meanwhile may be told as it was or
/// as it is. The private half of an own account (its address) is the business of who keeps accounts.
///
/// ```no_run
/// # async fn example(engine: chat_core::engine::Engine, user: chat_core::id::UserId) -> Result<(), Box<dyn std::error::Error>> {
/// let mut export = engine.export_user(&user).await?;
/// while let Some(line) = export.next().await? {
///     println!("{line}");
/// }
/// # Ok(()) }
/// ```
pub struct Export {
    shared: Arc<Shared>,
    profile: UserProfile,
    stage: Stage,
    cursor: Option<String>,
    /// Messages of the page that was read, which are told one by one.
    entries: VecDeque<Entry>,
    lines: VecDeque<String>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Profile,
    Memberships,
    Messages,
    Reactions,
    Blocks,
    Held,
    Reports,
    End,
    Over,
}

impl Stage {
    const fn next(self) -> Self {
        match self {
            Self::Profile => Self::Memberships,
            Self::Memberships => Self::Messages,
            Self::Messages => Self::Reactions,
            Self::Reactions => Self::Blocks,
            Self::Blocks => Self::Held,
            Self::Held => Self::Reports,
            Self::Reports => Self::End,
            Self::End | Self::Over => Self::Over,
        }
    }
}

impl Export {
    pub(crate) async fn of(shared: Arc<Shared>, user: UserId) -> Result<Self, Error> {
        let profile = shared.store.users(&[user]).await?.pop().flatten().ok_or(Rejection::NO_USER)?;
        let (entries, lines) = (VecDeque::new(), VecDeque::new());
        Ok(Self { shared, profile, stage: Stage::Profile, cursor: None, entries, lines })
    }

    /// The next line, without its line break; `None` at the end. After an error it goes on where it was.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            if let Some(entry) = self.entries.front() {
                let line = self.message(entry).await?;
                self.entries.pop_front();
                self.add("message", [line]);
                continue;
            }
            if self.stage == Stage::Over {
                return Ok(None);
            }
            let next = self.read().await?;
            if next.is_none() {
                self.stage = self.stage.next();
            }
            self.cursor = next;
        }
    }

    /// Reads a page, and tells where to go on in this stage.
    async fn read(&mut self) -> Result<Option<String>, Error> {
        let page = PageRequest { cursor: self.cursor.clone(), limit: EXPORT_PAGE_ITEMS };
        let (shared, user) = (self.shared.clone(), self.profile.id.clone());
        let store = &shared.store;
        match self.stage {
            Stage::Profile => {
                let line = self.profile().await?;
                Ok(self.add("profile", [line]))
            }
            Stage::Memberships => {
                Ok(self.add_page("membership", store.overview(&user, page).await?, membership))
            }
            Stage::Messages => {
                let Page { items, next } = store.authored(&user, page).await?;
                self.entries.extend(items);
                Ok(next)
            }
            Stage::Reactions => {
                let page = self.shared.reactions_by(&user, page).await?;
                Ok(self.add_page("reaction", page, reaction))
            }
            Stage::Blocks => Ok(self.add_page("block", store.blocks(&user, page).await?, block)),
            Stage::Held => {
                let name = self.profile.username.clone();
                let page = store.held_of(&user, page).await?;
                Ok(self.add_page("held", page, |held| {
                    json!({"roomId": held.room.as_str(), "held": value(&HeldView::of(held, name.as_str()))})
                }))
            }
            Stage::Reports => {
                let Page { items, next } = store.reports_by(&user, page).await?;
                let mut lines = Vec::with_capacity(items.len());
                for made in items {
                    let resolved = self.may_see(&made.room, made.snapshot.seq).await?;
                    lines.push(report(&made, resolved));
                }
                self.add("report", lines);
                Ok(next)
            }
            Stage::End => Ok(self.add("end", [json!({})])),
            Stage::Over => Ok(None),
        }
    }

    async fn profile(&self) -> Result<Value, Error> {
        let UserProfile { id, username, created_at, external, display_name, avatar_url, disabled: _ } =
            &self.profile;
        let kept = self.shared.store.presences(std::slice::from_ref(id)).await?.pop().flatten();
        Ok(json!({
            "userId": id.as_str(),
            "username": username.as_str(),
            "displayName": display_name.as_ref().map(DisplayName::as_str),
            "avatarUrl": avatar_url.as_deref(),
            "createdAt": rfc3339(*created_at),
            "external": external,
            "statusText": kept.as_ref().and_then(|kept| kept.text.as_str()),
            "lastSeenAt": kept.and_then(|kept| kept.last_seen).map(rfc3339),
        }))
    }

    async fn message(&self, entry: &Entry) -> Result<Value, Error> {
        // No bound but that of how many are kept: the store holds all of them at once as it is.
        let former = self.shared.store.former_texts(&entry.room, entry.seq, usize::MAX).await?;
        let edits: Vec<_> = former.items.iter().map(|text| value(&EditView::of(text))).collect();
        let mut entry = entry.clone();
        if !self.may_see(&entry.room, entry.seq).await? {
            as_written(&mut entry);
        }
        let message = MessageView::of(&entry, self.profile.username.as_str(), true);
        Ok(json!({"message": value(&message), "edits": edits}))
    }

    /// Whether the user may read what stands there, and so also what was done to it.
    async fn may_see(&self, room: &RoomId, seq: Seq) -> Result<bool, Error> {
        let readable = async {
            let cell = self.shared.open(room).await?;
            self.shared.readable(&cell, &self.profile.id).await
        };
        match readable.await {
            Ok(Readable { room, member, .. }) => Ok(seq > room.hidden_from(member.as_ref())),
            Err(Error::Rejected(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn add_page<T>(&mut self, kind: &str, page: Page<T>, line: impl Fn(&T) -> Value) -> Option<String> {
        self.add(kind, page.items.iter().map(line));
        page.next
    }

    fn add(&mut self, kind: &str, lines: impl IntoIterator<Item = Value>) -> Option<String> {
        for mut line in lines {
            if let Some(fields) = line.as_object_mut() {
                fields.insert("type".to_owned(), kind.into());
            }
            self.lines.push_back(line.to_string());
        }
        None
    }
}

fn membership(overview: &RoomOverview) -> Value {
    let RoomOverview { room, member, reading, .. } = overview;
    json!({
        "room": value(&RoomView::of(room)),
        "role": member.role.as_str(),
        "joinedAt": rfc3339(member.joined_at),
        "lastReadSeq": reading.seq.get(),
        "unread": reading.unread,
        "mentions": reading.mentions,
    })
}

fn reaction(given: &GivenReaction) -> Value {
    let GivenReaction { room, target, emoji } = given;
    let message = MessageId::of(room, *target).to_string();
    json!({"roomId": room.as_str(), "messageId": message, "emoji": emoji.as_str()})
}

fn block(block: &Block) -> Value {
    json!({"userId": block.user.as_str(), "createdAt": rfc3339(block.at)})
}

/// Takes from a message what others did to it.
fn as_written(entry: &mut Entry) {
    let author = entry.actor.clone();
    let Change::Send(message) = &mut entry.change else { return };
    message.reactions = Vec::new();
    message.replies = Replies::default();
    message.pinned = None;
    message.deleted = message.deleted.take().filter(|deleted| deleted.by == author);
}

/// The reporter's own words and deed; what the message said is its author's.
fn report(report: &Report, with_outcome: bool) -> Value {
    let resolved = report.resolved.as_ref().filter(|_| with_outcome);
    json!({
        "reportId": report.id.as_str(),
        "roomId": report.room.as_str(),
        "messageId": MessageId::of(&report.room, report.snapshot.seq).to_string(),
        "reason": report.reason.as_str(),
        "reportedAt": rfc3339(report.at),
        "resolvedAt": resolved.map(|resolved| rfc3339(resolved.at)),
    })
}

fn value(view: &impl Serialize) -> Value {
    // Views are made of what JSON has.
    serde_json::to_value(view).unwrap_or_default()
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("user", &self.profile.id)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
