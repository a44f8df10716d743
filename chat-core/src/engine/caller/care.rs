//! What is held back, reported and reviewed.

use std::sync::Arc;

use super::{Caller, KeptBack, NOT_ACCEPTED, sent};
use crate::{
    domain::{
        Action, AuditAct, AuditNote, Command, Content, Draft, Entry, HeldMessage, Needs, Outcome, Plan,
        Rejection, Release, Report, ReportReason, Request, Resolution, RoomKind, Sent, Snapshot, Username,
    },
    engine::{
        cell::Cell,
        deadline::within,
        error::Error,
        shared::{Readable, Shared},
        writer,
    },
    hooks::{Admission, Verdict},
    id::{HeldId, MessageId, ReportId, RoomId, Seq, UserId},
    limits::{PAGE_ITEMS_MAX, REVIEW_RETRY_MS},
    store::{Keeping, MessageQuery, Page, PageRequest, Place, StoreError},
};

/// What became of a message that was to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// It stands in the log.
    Sent(Sent),
    /// A hook holds it for review.
    Held {
        /// What it is called until a moderator has decided.
        id: HeldId,
        /// Whether this is the answer to a repeat.
        duplicate: bool,
    },
}

impl Caller {
    /// Sends a message, or learns that it waits for review. With a `clientMessageId`, a repeat gets the first
    /// answer and sends and holds nothing; a repeat after its release gets its place in the log.
    ///
    /// # Errors
    /// As [`Caller::send`].
    pub async fn offer(&self, room: &RoomId, draft: Draft) -> Result<Offered, Error> {
        offered(&self.submitted(room, draft).await?)
    }

    /// The messages that a room holds for review, with the names of their authors: for moderators and above.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not review.
    pub async fn held(
        &self,
        room: &RoomId,
        cursor: Option<String>,
    ) -> Result<Page<(HeldMessage, Username)>, Error> {
        self.reviewing(room).await?;
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let page = self.shared().store.held_in(room, page).await?;
        let authors: Vec<_> = page.items.iter().map(|held| held.author.clone()).collect();
        let names = self.shared().profiles.names(&authors).await?;
        Ok(Page { items: page.items.into_iter().zip(names).collect(), next: page.next })
    }

    /// Sends a held message now, as its author's. Of several who release it at once, one does.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not review, `forbidden` when the author may not send there any more,
    /// `not_found` when the message is not held (any more).
    pub async fn release(&self, room: &RoomId, id: &HeldId) -> Result<Sent, Error> {
        let cell = self.reviewing(room).await?;
        let shared = self.shared();
        let held = shared.store.held(room, id).await?.ok_or(Rejection::NO_HELD)?;
        let mut names = shared.profiles.names(std::slice::from_ref(&held.author)).await?;
        let author_name = names.pop().ok_or(Rejection::NO_HELD)?;
        let author = held.author.clone();
        let sent = sent(&self.ask(&cell, Command::Release(Box::new(Release { held, author_name }))).await?)?;
        if sent.duplicate {
            // Its author has sent it since under the same key.
            shared.store.discard_held(room, id, self.discarding(id, author)).await?;
        }
        Ok(sent)
    }

    /// Forgets a held message. Its author is not told.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not review, `not_found` when the message is not held (any more).
    pub async fn discard(&self, room: &RoomId, id: &HeldId) -> Result<(), Error> {
        self.reviewing(room).await?;
        let store = &self.shared().store;
        let held = store.held(room, id).await?.ok_or(Rejection::NO_HELD)?;
        match store.discard_held(room, id, self.discarding(id, held.author)).await? {
            true => Ok(()),
            false => Err(Rejection::NO_HELD.into()),
        }
    }

    /// Tells the moderators of a room that a message should not be there; what it says now is kept for them. Once
    /// for each message: a repeat changes nothing.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not see the message, `rate_limited` and `unavailable` when there are
    /// too many reports.
    pub async fn report(
        &self,
        room: &RoomId,
        message: MessageId,
        reason: ReportReason,
    ) -> Result<ReportId, Error> {
        let snapshot = self.snapshot(room, message).await?;
        let shared = self.shared();
        let now = shared.now();
        let id = shared.ids.report(now);
        let (room, reporter) = (room.clone(), self.user().clone());
        let report = Report { id: id.clone(), room, reporter, at: now, reason, snapshot, resolved: None };
        match shared.store.report(report).await? {
            Keeping::Kept => Ok(id),
            Keeping::Repeat(first) => Ok(first),
            Keeping::AuthorFull => Err(Rejection::RateLimited { retry_after_ms: REVIEW_RETRY_MS }.into()),
            Keeping::RoomFull => Err(Error::Unavailable),
        }
    }

    /// The reports of a room, with the names of reporter and author: for moderators and above. First those that
    /// are open.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not review.
    pub async fn reports(
        &self,
        room: &RoomId,
        cursor: Option<String>,
    ) -> Result<Page<(Report, [Username; 2])>, Error> {
        self.reviewing(room).await?;
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let page = self.shared().store.reports_in(room, page).await?;
        Ok(with_names(self.shared(), page).await?)
    }

    /// Notes that a report was seen to.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not review, `not_found` when there is no such report.
    pub async fn resolve_report(&self, room: &RoomId, id: &ReportId) -> Result<(), Error> {
        self.reviewing(room).await?;
        let shared = self.shared();
        let resolution = Resolution { by: self.user().clone(), at: shared.now() };
        match shared.store.resolve_report(room, id, resolution).await? {
            true => Ok(()),
            false => Err(Rejection::NotFound("report").into()),
        }
    }

    fn discarding(&self, id: &HeldId, author: UserId) -> AuditNote {
        let (at, actor) = (self.shared().now(), self.user().clone());
        let details = vec![("heldId", id.as_str().to_owned())];
        AuditNote { at, actor, act: AuditAct::DiscardMessage, target: Some(author), details }
    }

    /// The room, if the caller may review there.
    async fn reviewing(&self, room: &RoomId) -> Result<Arc<Cell>, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let actor = self.actor();
        if !actor.overrides {
            let Readable { room, member, .. } = shared.readable(&cell, self.user()).await?;
            shared.policy.decide(&actor, Action::Review, &room, member.as_ref()).into_result()?;
        }
        Ok(cell)
    }

    /// A message that the caller may see, as it stands.
    async fn snapshot(&self, room: &RoomId, message: MessageId) -> Result<Snapshot, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, .. } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        let seq = message.seq_in(&room.id).filter(|seq| *seq > hidden_until).ok_or(NO_MESSAGE)?;
        let query = MessageQuery { place: Place::Around(seq), limit: 1, hidden_until, max_bytes: usize::MAX };
        let page = shared.store.messages(&room.id, query).await?;
        let entry = page.messages.into_iter().find(|entry| entry.seq == seq).ok_or(NO_MESSAGE)?;
        let message = entry.message().filter(|message| message.deleted.is_none()).ok_or(NO_MESSAGE)?;
        Ok(Snapshot {
            seq,
            author: entry.actor.clone(),
            at: entry.at,
            content: message.content.clone(),
            message_type: message.message_type,
            attachments: message.attachments.clone(),
        })
    }

    /// Answers a message that is not to be sent: a repeat as the first was; what could be sent now is held for review
    /// or refused, as the hooks say.
    pub(super) async fn keep_back(
        &self,
        cell: &Arc<Cell>,
        draft: Draft,
        why: KeptBack,
    ) -> Result<Outcome, Error> {
        let shared = self.shared();
        let at = shared.now();
        let request = Request { actor: shared.actor(self.user()), at, command: Command::Send(draft.clone()) };
        let mut needs = Needs::default();
        needs.add(&request);
        let (room, rows) = writer::gather(shared, cell, &needs).await?;
        let mut plan = Plan::on(&room, rows, &*shared.policy, shared.limits.text());
        if let outcome @ Outcome::Sent(Sent { duplicate: true, .. }) = plan.decide(&request)? {
            return Ok(outcome);
        }
        if why != KeptBack::Held || room.kind == RoomKind::Direct {
            return Err(why.refusal().into());
        }
        let id = shared.ids.held(at);
        let held = HeldMessage { id: id.clone(), room: room.id, author: self.user().clone(), at, draft };
        match shared.store.hold(held).await? {
            Keeping::Kept => Ok(Outcome::Held { id, duplicate: false }),
            Keeping::Repeat(id) => Ok(Outcome::Held { id, duplicate: true }),
            Keeping::AuthorFull => Err(Rejection::RateLimited { retry_after_ms: REVIEW_RETRY_MS }.into()),
            Keeping::RoomFull => Err(Error::Unavailable),
        }
    }

    /// The text that the hooks let a message have, of an edit that could be made now.
    pub(super) async fn judged_edit(
        &self,
        room: &RoomId,
        target: Seq,
        content: Content,
    ) -> Result<Content, Error> {
        let shared = self.shared();
        if !shared.hooks.active() {
            return Ok(content);
        }
        let cell = shared.open(room).await?;
        let command = Command::Edit { target, content: content.clone() };
        let request = Request { actor: shared.actor(self.user()), at: shared.now(), command };
        let mut needs = Needs::default();
        needs.add(&request);
        let (room, rows) = writer::gather(shared, &cell, &needs).await?;
        let before = rows.target(target).and_then(Entry::message).cloned();
        let mut plan = Plan::on(&room, rows, &*shared.policy, shared.limits.text());
        let (Outcome::Changed(_), Some(message)) = (plan.decide(&request)?, before) else {
            return Ok(content);
        };
        let draft = Draft {
            content,
            message_type: message.message_type,
            attachments: message.attachments,
            client_message_id: message.client_message_id,
            reply_to: message.reply_to,
            thread: message.thread.map(|thread| thread.root),
        };
        match within(shared.hooks.before_edit(&room.id, self.user(), target, &draft)).await {
            Some(Verdict::Allow) => Ok(draft.content),
            Some(Verdict::Rewrite(content)) => Ok(content),
            Some(Verdict::Refuse(reason)) => Err(Rejection::Forbidden(reason).into()),
            // The message stands in the log with its former text: there is nothing to wait outside it.
            Some(Verdict::Hold) => Err(NOT_ACCEPTED.into()),
            None => {
                tracing::warn!("before_edit broke off or missed its deadline");
                Err(Error::Unavailable)
            }
        }
    }

    /// Whether the embedder lets the caller join by this command. Asked only about who may join and is no member yet.
    pub(in crate::engine) async fn admitted(&self, cell: &Arc<Cell>, command: Command) -> Result<(), Error> {
        let shared = self.shared();
        if !shared.hooks.active() {
            return Ok(());
        }
        let request = Request { actor: shared.actor(self.user()), at: shared.now(), command };
        let mut needs = Needs::default();
        needs.add(&request);
        let (room, rows) = writer::gather(shared, cell, &needs).await?;
        let mut plan = Plan::on(&room, rows, &*shared.policy, shared.limits.text());
        if plan.decide(&request)? == Outcome::AlreadyJoined {
            return Ok(());
        }
        match within(shared.hooks.on_join(cell.id(), self.user())).await {
            Some(Admission::Allow) => Ok(()),
            Some(Admission::Refuse(reason)) => Err(Rejection::Forbidden(reason).into()),
            None => {
                tracing::warn!("on_join broke off or missed its deadline");
                Err(Error::Unavailable)
            }
        }
    }
}

/// Reports with the names of reporter and author.
pub(in crate::engine) async fn with_names(
    shared: &Shared,
    page: Page<Report>,
) -> Result<Page<(Report, [Username; 2])>, StoreError> {
    let people = |report: &Report| [report.reporter.clone(), report.snapshot.author.clone()];
    let users: Vec<UserId> = page.items.iter().flat_map(people).collect();
    let mut names = shared.profiles.names(&users).await?.into_iter();
    let mut items = Vec::with_capacity(page.items.len());
    for report in page.items {
        if let (Some(reporter), Some(author)) = (names.next(), names.next()) {
            items.push((report, [reporter, author]));
        }
    }
    Ok(Page { items, next: page.next })
}

const NO_MESSAGE: Rejection = Rejection::NotFound("message");

/// The outcome of a message that was to be sent.
pub(in crate::engine) fn offered(outcome: &Outcome) -> Result<Offered, Error> {
    match outcome {
        Outcome::Held { id, duplicate } => Ok(Offered::Held { id: id.clone(), duplicate: *duplicate }),
        outcome => sent(outcome).map(Offered::Sent),
    }
}
