//! Messages held for review, and reports, over the layout.

use std::{collections::BTreeSet, ops::ControlFlow};

use async_trait::async_trait;

use super::{
    Direction, KvStore, OrderedKv,
    group::{Group, Refusal, Request},
    keys::{self, Id16, table},
    read,
    values::{self, v1},
    view::View,
};
use crate::{
    domain::{
        Attachments, AuditNote, Content, Draft, HeldMessage, Report, ReportReason, Resolution, Snapshot,
    },
    id::{ClientMessageId, HeldId, ReportId, RoomId, Seq, UserId},
    limits::{
        ATTACHMENTS_MAX, HELD_PER_AUTHOR_MAX, HELD_PER_ROOM_MAX, REPORTS_PER_REPORTER_MAX,
        REPORTS_PER_ROOM_MAX,
    },
    store::{Keeping, Page, PageRequest, ReviewStore, StoreError},
    time::Timestamp,
};

/// Something to be written that waits for moderators.
#[derive(Debug)]
pub(super) enum ReviewRequest {
    Hold(HeldMessage),
    Discard(RoomId, HeldId, AuditNote),
    Report(Report),
    Resolve(RoomId, ReportId, Resolution),
}

/// Why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReviewRefusal {
    /// There is one already; its id.
    Repeat(String),
    RoomFull,
    AuthorFull,
    Missing,
}

impl ReviewRequest {
    pub(super) fn cost(&self) -> (usize, usize) {
        let text = match self {
            Self::Hold(held) => held.draft.content.as_str().len() + held.draft.attachments.bytes(),
            Self::Report(report) => {
                let Snapshot { content, attachments, .. } = &report.snapshot;
                content.as_str().len() + attachments.bytes() + report.reason.as_str().len()
            }
            Self::Discard(..) | Self::Resolve(..) => 0,
        };
        (10 + ATTACHMENTS_MAX + text / values::TEXT_INLINE_BYTES, text + 1_024)
    }
}

impl ReviewRequest {
    /// Of whom something new would be known by it.
    fn concerned(&self) -> impl Iterator<Item = &UserId> {
        let (own, other) = match self {
            Self::Hold(held) => (&held.author, None),
            Self::Discard(_, _, note) => (&note.actor, None),
            Self::Report(report) => (&report.reporter, Some(&report.snapshot.author)),
            Self::Resolve(_, _, resolution) => (&resolution.by, None),
        };
        std::iter::once(own).chain(other)
    }
}

/// The second byte of keys of the tables `62` and `63`.
mod part {
    pub(super) const ROW: u8 = 0;
    pub(super) const COUNT: u8 = 1;
    /// By reporter in `62`, by author and client's key in `63`.
    pub(super) const REPEAT: u8 = 2;
    pub(super) const BY_AUTHOR: u8 = 3;
    pub(super) const TEXT: u8 = 4;
    pub(super) const FILE: u8 = 5;
}

/// The byte before the report in keys of `62 00`.
const OPEN: u8 = 0;
const RESOLVED: u8 = 1;

fn held_row(room16: &Id16, id: &HeldId) -> Vec<u8> {
    held_row16(room16, &keys::id16(id.as_str()))
}

pub(super) fn held_row16(room16: &Id16, id16: &Id16) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::ROW], room16, id16])
}

fn held_by_key(author16: &Id16, room16: &Id16, client: &ClientMessageId) -> Vec<u8> {
    let hash = blake3::hash(client.as_str().as_bytes());
    keys::key(table::HELD, &[&[part::REPEAT], author16, room16, &hash.as_bytes()[..16]])
}

fn held_by_author(author16: &Id16, room16: &Id16, id: &HeldId) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::BY_AUTHOR], author16, room16, &keys::id16(id.as_str())])
}

fn report_row(room16: &Id16, state: u8, id: &ReportId) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::ROW], room16, &[state], &keys::id16(id.as_str())])
}

fn report_by_reporter(reporter16: &Id16, room16: &Id16, seq: Seq) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::REPEAT], reporter16, room16, &seq.get().to_be_bytes()])
}

fn report_by_author(author16: &Id16, room16: &Id16, id: &ReportId) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::BY_AUTHOR], author16, room16, &keys::id16(id.as_str())])
}

/// A file that a held message refers to, or that a reported one referred to.
fn file_key(table: u8, room16: &Id16, id: &str, number: u8) -> Vec<u8> {
    keys::key(table, &[&[part::FILE], room16, &keys::id16(id), &[number]])
}

fn count_key(table: u8, room16: &Id16) -> Vec<u8> {
    keys::key(table, &[&[part::COUNT], room16])
}

fn text_prefix(table: u8, room16: &Id16, id16: &Id16) -> Vec<u8> {
    keys::key(table, &[&[part::TEXT], room16, id16])
}

impl<K: OrderedKv> Group<'_, K> {
    pub(super) fn review(&mut self, request: &ReviewRequest) -> Result<(), Refusal> {
        for user in request.concerned() {
            if self.is_erased(user)? {
                return Err(Refusal::Review(match request {
                    ReviewRequest::Hold(_) | ReviewRequest::Report(_) => ReviewRefusal::AuthorFull,
                    ReviewRequest::Discard(..) | ReviewRequest::Resolve(..) => ReviewRefusal::Missing,
                }));
            }
        }
        match request {
            ReviewRequest::Hold(held) => self.hold(held),
            ReviewRequest::Discard(room, id, note) => {
                if !self.remove_held(&keys::room16(room), id)? {
                    return Err(Refusal::Review(ReviewRefusal::Missing));
                }
                Ok(self.audit(room, note)?)
            }
            ReviewRequest::Report(report) => self.report(report),
            ReviewRequest::Resolve(room, id, resolution) => self.resolve(room, id, resolution),
        }
    }

    fn hold(&mut self, held: &HeldMessage) -> Result<(), Refusal> {
        let (room16, author16) = (keys::room16(&held.room), keys::user16(&held.author));
        let by_key = held.draft.client_message_id.as_ref().map(|key| held_by_key(&author16, &room16, key));
        if let Some(key) = &by_key
            && let Some(row) = self.get(key)?
        {
            return Err(repeat(&row)?);
        }
        if self.counted(table::HELD, &room16)? >= HELD_PER_ROOM_MAX {
            return Err(Refusal::Review(ReviewRefusal::RoomFull));
        }
        let of_author = keys::key(table::HELD, &[&[part::BY_AUTHOR], &author16, &room16]);
        if self.keys_under(&of_author, HELD_PER_AUTHOR_MAX)?.len() >= HELD_PER_AUTHOR_MAX {
            return Err(Refusal::Review(ReviewRefusal::AuthorFull));
        }
        let (text, continued) =
            self.put_text(table::HELD, &room16, held.id.as_str(), held.draft.content.as_str())?;
        self.put_files(table::HELD, &room16, held.id.as_str(), &held.draft.attachments)?;
        self.put(held_row(&room16, &held.id), encode_held(held, text, continued)?)?;
        if let Some(key) = by_key {
            self.put(key, values::encode_named(held.id.as_str())?)?;
        }
        self.put(held_by_author(&author16, &room16, &held.id), values::PRESENT.to_vec())?;
        Ok(self.recount(table::HELD, &room16, |count| count + 1)?)
    }

    pub(super) fn is_held(&mut self, room16: &Id16, id: &HeldId) -> Result<bool, StoreError> {
        Ok(self.get(&held_row(room16, id))?.is_some())
    }

    /// Returns whether the message was held.
    pub(super) fn remove_held(&mut self, room16: &Id16, id: &HeldId) -> Result<bool, StoreError> {
        let key = held_row(room16, id);
        let Some(row) = self.get(&key)? else { return Ok(false) };
        let row: v1::Held<'_> = values::decode(&row)?;
        let author16 = keys::user16(&row.author.user()?);
        if let Some(client) = &row.client_message_id {
            self.remove(held_by_key(&author16, room16, &client.parse(ClientMessageId::parse)?));
        }
        self.remove(held_by_author(&author16, room16, id));
        self.remove_files(table::HELD, room16, id.as_str(), row.attachments);
        self.remove_text(table::HELD, room16, id.as_str())?;
        self.remove(key);
        self.recount(table::HELD, room16, |count| count.saturating_sub(1))?;
        Ok(true)
    }

    /// Removes what was held and reported in a room, at most so many of each. Returns whether that is all.
    pub(super) fn drop_reviewed(&mut self, room16: &Id16, most: usize) -> Result<bool, StoreError> {
        let held = self.keys_under(&keys::key(table::HELD, &[&[part::ROW], room16]), most)?;
        for key in &held {
            let Some(row) = self.get(key)? else { continue };
            let id = values::decode::<v1::Held<'_>>(&row)?.id.parse(HeldId::parse)?;
            self.remove_held(room16, &id)?;
        }
        let reports = self.keys_under(&keys::key(table::REPORT, &[&[part::ROW], room16]), most)?;
        for key in &reports {
            self.remove_report(room16, key)?;
        }
        Ok(held.len() < most && reports.len() < most)
    }

    /// Removes a report, open or resolved, if it is there.
    pub(super) fn remove_report_of(&mut self, room16: &Id16, id16: &Id16) -> Result<(), StoreError> {
        for state in [OPEN, RESOLVED] {
            self.remove_report(room16, &keys::key(table::REPORT, &[&[part::ROW], room16, &[state], id16]))?;
        }
        Ok(())
    }

    fn report(&mut self, new: &Report) -> Result<(), Refusal> {
        let (room16, reporter16) = (keys::room16(&new.room), keys::user16(&new.reporter));
        let by_reporter = report_by_reporter(&reporter16, &room16, new.snapshot.seq);
        if let Some(row) = self.get(&by_reporter)? {
            return Err(repeat(&row)?);
        }
        let of_reporter = keys::key(table::REPORT, &[&[part::REPEAT], &reporter16, &room16]);
        if self.keys_under(&of_reporter, REPORTS_PER_REPORTER_MAX)?.len() >= REPORTS_PER_REPORTER_MAX {
            return Err(Refusal::Review(ReviewRefusal::AuthorFull));
        }
        if self.counted(table::REPORT, &room16)? >= REPORTS_PER_ROOM_MAX {
            let resolved = keys::key(table::REPORT, &[&[part::ROW], &room16, &[RESOLVED]]);
            match self.keys_under(&resolved, 1)?.pop() {
                Some(oldest) => self.remove_report(&room16, &oldest)?,
                None => return Err(Refusal::Review(ReviewRefusal::RoomFull)),
            }
        }
        let (text, continued) =
            self.put_text(table::REPORT, &room16, new.id.as_str(), new.snapshot.content.as_str())?;
        self.put_files(table::REPORT, &room16, new.id.as_str(), &new.snapshot.attachments)?;
        let row = encode_report(new, text, continued)?;
        self.put(report_row(&room16, OPEN, &new.id), row)?;
        self.put(by_reporter, values::encode_named(new.id.as_str())?)?;
        let author16 = keys::user16(&new.snapshot.author);
        self.put(report_by_author(&author16, &room16, &new.id), values::PRESENT.to_vec())?;
        Ok(self.recount(table::REPORT, &room16, |count| count + 1)?)
    }

    fn resolve(&mut self, room: &RoomId, id: &ReportId, resolution: &Resolution) -> Result<(), Refusal> {
        let room16 = keys::room16(room);
        let open = report_row(&room16, OPEN, id);
        let resolved = report_row(&room16, RESOLVED, id);
        if self.get(&resolved)?.is_some() {
            return Ok(());
        }
        let Some(row) = self.get(&open)? else { return Err(Refusal::Review(ReviewRefusal::Missing)) };
        let row: v1::Report<'_> = values::decode(&row)?;
        let by = (v1::Id::of(resolution.by.as_str()), resolution.at.as_millis());
        self.put(resolved, values::encode(&v1::Report { resolved: Some(by), ..row })?)?;
        self.remove(open);
        Ok(())
    }

    fn remove_report(&mut self, room16: &Id16, key: &[u8]) -> Result<(), StoreError> {
        let Some(row) = self.get(key)? else { return Ok(()) };
        let row: v1::Report<'_> = values::decode(&row)?;
        let id: ReportId = row.id.parse(ReportId::parse)?;
        let reporter16 = keys::user16(&row.reporter.user()?);
        self.remove(report_by_reporter(&reporter16, room16, Seq::new(row.seq)));
        self.remove(report_by_author(&keys::user16(&row.author.user()?), room16, &id));
        self.remove_files(table::REPORT, room16, id.as_str(), row.attachments);
        self.remove_text(table::REPORT, room16, id.as_str())?;
        self.remove(key.to_vec());
        self.recount(table::REPORT, room16, |count| count.saturating_sub(1))
    }

    /// Puts what does not stand in the row itself; returns what does, and how many bytes do not.
    fn put_text<'t>(
        &mut self,
        table: u8,
        room16: &Id16,
        id: &str,
        text: &'t str,
    ) -> Result<(&'t str, usize), StoreError> {
        // A reason of 500 characters stands beside it.
        let inline = &text[..text.floor_char_boundary(values::TEXT_INLINE_BYTES - 2_048)];
        let prefix = text_prefix(table, room16, &keys::id16(id));
        let mut rest = &text[inline.len()..];
        for number in 0_u16.. {
            if rest.is_empty() {
                break;
            }
            let (part, left) = rest.split_at(rest.floor_char_boundary(values::TEXT_PART_BYTES));
            self.put([prefix.as_slice(), &number.to_be_bytes()].concat(), part.as_bytes().to_vec())?;
            rest = left;
        }
        Ok((inline, text.len() - inline.len()))
    }

    fn put_files(
        &mut self,
        table: u8,
        room16: &Id16,
        id: &str,
        files: &Attachments,
    ) -> Result<(), StoreError> {
        for (number, file) in (0..).zip(files.iter()) {
            self.put(file_key(table, room16, id, number), values::encode_attachment(file)?)?;
        }
        Ok(())
    }

    fn remove_files(&mut self, table: u8, room16: &Id16, id: &str, count: u8) {
        (0..count).for_each(|number| self.remove(file_key(table, room16, id, number)));
    }

    fn remove_text(&mut self, table: u8, room16: &Id16, id: &str) -> Result<(), StoreError> {
        for key in self.keys_under(&text_prefix(table, room16, &keys::id16(id)), usize::MAX)? {
            self.remove(key);
        }
        Ok(())
    }

    fn counted(&mut self, table: u8, room16: &Id16) -> Result<u32, StoreError> {
        match self.get(&count_key(table, room16))? {
            Some(row) => values::decode::<v1::Count>(&row).map(|row| row.count),
            None => Ok(0),
        }
    }

    fn recount(&mut self, table: u8, room16: &Id16, change: impl Fn(u32) -> u32) -> Result<(), StoreError> {
        let count = change(self.counted(table, room16)?);
        let key = count_key(table, room16);
        if count == 0 {
            self.remove(key);
            return Ok(());
        }
        self.put(key, values::encode(&v1::Count { count })?)
    }
}

fn repeat(row: &[u8]) -> Result<Refusal, StoreError> {
    let id: HeldId = values::decode::<v1::Named<'_>>(row)?.id.parse(HeldId::parse)?;
    Ok(Refusal::Review(ReviewRefusal::Repeat(id.as_str().to_owned())))
}

#[async_trait]
impl<K: OrderedKv> ReviewStore for KvStore<K> {
    async fn hold(&self, held: HeldMessage) -> Result<Keeping<HeldId>, StoreError> {
        let answer = self.write(Request::Review(Box::new(ReviewRequest::Hold(held)))).await;
        keeping(answer, |id| HeldId::from_trusted(&id))
    }

    async fn held(&self, room: &RoomId, id: &HeldId) -> Result<Option<HeldMessage>, StoreError> {
        let (room, key) = (room.clone(), held_row(&keys::room16(room), id));
        self.read(move |shared| {
            let view = shared.rows.view();
            view.get(&key)?.map(|row| decode_held(&view, &room, &row)).transpose()
        })
        .await
    }

    async fn held_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        let room = room.clone();
        let prefix = keys::key(table::HELD, &[&[part::ROW], &keys::room16(&room)]);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |_, row| decode_held(&view, &room, row).map(Some))
        })
        .await
    }

    async fn discard_held(&self, room: &RoomId, id: &HeldId, note: AuditNote) -> Result<bool, StoreError> {
        let discard = ReviewRequest::Discard(room.clone(), id.clone(), note);
        was_there(self.write(Request::Review(Box::new(discard))).await)
    }

    async fn report(&self, report: Report) -> Result<Keeping<ReportId>, StoreError> {
        let answer = self.write(Request::Review(Box::new(ReviewRequest::Report(report)))).await;
        keeping(answer, |id| ReportId::from_trusted(&id))
    }

    async fn reports_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        let room = room.clone();
        let prefix = keys::key(table::REPORT, &[&[part::ROW], &keys::room16(&room)]);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |_, row| {
                decode_report(&view, &room, row).map(Some)
            })
        })
        .await
    }

    async fn resolve_report(
        &self,
        room: &RoomId,
        id: &ReportId,
        resolution: Resolution,
    ) -> Result<bool, StoreError> {
        let resolve = ReviewRequest::Resolve(room.clone(), id.clone(), resolution);
        was_there(self.write(Request::Review(Box::new(resolve))).await)
    }
}

fn keeping<I>(answer: Result<bool, Refusal>, id: impl FnOnce(String) -> I) -> Result<Keeping<I>, StoreError> {
    match answer {
        Ok(_) => Ok(Keeping::Kept),
        Err(Refusal::Review(ReviewRefusal::Repeat(known))) => Ok(Keeping::Repeat(id(known))),
        Err(Refusal::Review(ReviewRefusal::RoomFull)) => Ok(Keeping::RoomFull),
        Err(Refusal::Review(ReviewRefusal::AuthorFull)) => Ok(Keeping::AuthorFull),
        Err(refusal) => Err(refusal.into_store_error()),
    }
}

fn was_there(answer: Result<bool, Refusal>) -> Result<bool, StoreError> {
    match answer {
        Ok(_) => Ok(true),
        Err(Refusal::Review(ReviewRefusal::Missing)) => Ok(false),
        Err(refusal) => Err(refusal.into_store_error()),
    }
}

fn encode_held(held: &HeldMessage, text: &str, continued: usize) -> Result<Vec<u8>, StoreError> {
    let Draft { message_type, client_message_id, reply_to, thread, attachments, .. } = &held.draft;
    values::encode(&v1::Held {
        id: v1::Id::of(held.id.as_str()),
        author: v1::Id::of(held.author.as_str()),
        at: held.at.as_millis(),
        message_type: values::message_type_byte(*message_type),
        client_message_id: client_message_id.as_ref().map(|key| v1::Id::of(key.as_str())),
        reply_to: reply_to.map_or(0, Seq::get),
        thread: thread.map_or(0, Seq::get),
        attachments: u8::try_from(attachments.len()).map_err(|_| StoreError::TooLarge)?,
        text,
        continued: u32::try_from(continued).map_err(|_| StoreError::TooLarge)?,
    })
}

fn decode_held<K: OrderedKv>(
    view: &View<'_, K>,
    room: &RoomId,
    row: &[u8],
) -> Result<HeldMessage, StoreError> {
    let row: v1::Held<'_> = values::decode(row)?;
    let id = row.id.parse(HeldId::parse)?;
    let content = whole(view, table::HELD, room, id.as_str(), row.text, row.continued)?;
    let client_message_id = row.client_message_id.map(|key| key.parse(ClientMessageId::parse)).transpose()?;
    let attachments = files(view, table::HELD, room, id.as_str(), row.attachments)?;
    Ok(HeldMessage {
        id,
        room: room.clone(),
        author: row.author.user()?,
        at: Timestamp::from_millis(row.at),
        draft: Draft {
            content,
            message_type: values::message_type_of(row.message_type)?,
            attachments,
            client_message_id,
            reply_to: (row.reply_to > 0).then(|| Seq::new(row.reply_to)),
            thread: (row.thread > 0).then(|| Seq::new(row.thread)),
        },
    })
}

fn encode_report(report: &Report, text: &str, continued: usize) -> Result<Vec<u8>, StoreError> {
    let Snapshot { seq, author, at, message_type, attachments, .. } = &report.snapshot;
    let resolved = report.resolved.as_ref();
    values::encode(&v1::Report {
        id: v1::Id::of(report.id.as_str()),
        reporter: v1::Id::of(report.reporter.as_str()),
        at: report.at.as_millis(),
        reason: report.reason.as_str(),
        seq: seq.get(),
        author: v1::Id::of(author.as_str()),
        sent_at: at.as_millis(),
        message_type: values::message_type_byte(*message_type),
        attachments: u8::try_from(attachments.len()).map_err(|_| StoreError::TooLarge)?,
        resolved: resolved.map(|resolved| (v1::Id::of(resolved.by.as_str()), resolved.at.as_millis())),
        text,
        continued: u32::try_from(continued).map_err(|_| StoreError::TooLarge)?,
    })
}

fn decode_report<K: OrderedKv>(view: &View<'_, K>, room: &RoomId, row: &[u8]) -> Result<Report, StoreError> {
    let row: v1::Report<'_> = values::decode(row)?;
    let id = row.id.parse(ReportId::parse)?;
    let content = whole(view, table::REPORT, room, id.as_str(), row.text, row.continued)?;
    let attachments = files(view, table::REPORT, room, id.as_str(), row.attachments)?;
    let resolved = match &row.resolved {
        Some((by, at)) => Some(Resolution { by: by.user()?, at: Timestamp::from_millis(*at) }),
        None => None,
    };
    Ok(Report {
        id,
        room: room.clone(),
        reporter: row.reporter.user()?,
        at: Timestamp::from_millis(row.at),
        reason: ReportReason::from_stored(row.reason),
        snapshot: Snapshot {
            seq: Seq::new(row.seq),
            author: row.author.user()?,
            at: Timestamp::from_millis(row.sent_at),
            content,
            message_type: values::message_type_of(row.message_type)?,
            attachments,
        },
        resolved,
    })
}

/// The files that stand beside a row.
fn files<K: OrderedKv>(
    view: &View<'_, K>,
    table: u8,
    room: &RoomId,
    id: &str,
    count: u8,
) -> Result<Attachments, StoreError> {
    let room16 = keys::room16(room);
    let file = |number| {
        let row = view.get(&file_key(table, &room16, id, number))?;
        values::decode_attachment(
            &row.ok_or_else(|| values::corrupt("a file of what is to be reviewed is not there"))?,
        )
    };
    Ok(Attachments::from_stored((0..count).map(file).collect::<Result<_, StoreError>>()?))
}

/// A text with what stands of it beside its row.
fn whole<K: OrderedKv>(
    view: &View<'_, K>,
    table: u8,
    room: &RoomId,
    id: &str,
    inline: &str,
    continued: u32,
) -> Result<Content, StoreError> {
    if continued == 0 {
        return Ok(Content::from_stored(inline));
    }
    let prefix = text_prefix(table, &keys::room16(room), &keys::id16(id));
    let mut text = inline.as_bytes().to_vec();
    view.scan(&prefix, &keys::after_prefix(&prefix), &mut |_, part| {
        text.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    if text.len() != inline.len() + continued as usize {
        return Err(values::corrupt("the continuation of a text"));
    }
    String::from_utf8(text)
        .map(|text| Content::from_stored(&text))
        .map_err(|_| values::corrupt("the continuation of a text"))
}

/// What is kept twice about held messages and reports, compared: each is counted, found by its author, and stands
/// under its own key; nothing else is there.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut expected = BTreeSet::new();
    let mut counts = std::collections::BTreeMap::<(u8, Id16), u32>::new();
    let mut found = BTreeSet::new();
    let mut said = std::collections::BTreeMap::new();
    for table in [table::HELD, table::REPORT] {
        for (key, row) in rows(kv, table)? {
            let room16 =
                keys::id_at(&key, 2).ok_or_else(|| values::corrupt("a key of what is to be reviewed"))?;
            match key[1] {
                part::ROW => {
                    *counts.entry((table, room16)).or_default() += 1;
                    let (own, continued, id16) = match table {
                        table::HELD => expect_held(&room16, &row, &mut expected)?,
                        _ => expect_report(&room16, &row, &mut expected)?,
                    };
                    expected.insert(own);
                    expect_text(kv, table, &room16, &id16, continued, &mut expected)?;
                    found.insert(key);
                }
                part::COUNT => {
                    said.insert((table, room16), values::decode::<v1::Count>(&row)?.count);
                }
                _ => drop(found.insert(key)),
            }
        }
    }
    let mut differences = Vec::new();
    let (missing, extra) = (expected.difference(&found).count(), found.difference(&expected).count());
    if (missing, extra) != (0, 0) {
        differences
            .push(format!("of what is to be reviewed {missing} rows are missing and {extra} left over"));
    }
    if counts != said {
        differences.push("what is to be reviewed is counted wrongly".to_owned());
    }
    Ok(differences)
}

/// Where the held messages of an author are listed.
pub(super) fn held_of_author(author: &UserId) -> Vec<u8> {
    held_of_author16(&keys::user16(author))
}

pub(super) fn held_of_author16(author16: &Id16) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::BY_AUTHOR], author16])
}

/// The held message of a key of that list.
pub(super) fn held_listed<K: OrderedKv>(
    view: &View<'_, K>,
    key: &[u8],
) -> Result<Option<HeldMessage>, StoreError> {
    let (Some(room16), Some(id16)) = (keys::id_at(key, 18), keys::id_at(key, 34)) else {
        return Err(values::corrupt("a key of a held message"));
    };
    let row = view.get(&keys::key(table::HELD, &[&[part::ROW], &room16, &id16]))?;
    match (view.room(&room16)?, row) {
        (Some(room), Some(row)) => decode_held(view, &room.id, &row).map(Some),
        _ => Ok(None),
    }
}

/// Where the reports of a reporter are listed.
pub(super) fn reports_of_reporter(reporter: &UserId) -> Vec<u8> {
    reports_of_reporter16(&keys::user16(reporter))
}

pub(super) fn reports_of_reporter16(reporter16: &Id16) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::REPEAT], reporter16])
}

/// Where the lists of all reporters stand.
pub(super) fn reports_by_reporters() -> [u8; 2] {
    [table::REPORT, part::REPEAT]
}

/// Where the reports of an author's messages are listed.
pub(super) fn reports_of_author16(author16: &Id16) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::BY_AUTHOR], author16])
}

/// The report of a row of that list.
pub(super) fn report_listed<K: OrderedKv>(
    view: &View<'_, K>,
    key: &[u8],
    row: &[u8],
) -> Result<Option<Report>, StoreError> {
    let room16 = keys::id_at(key, 18).ok_or_else(|| values::corrupt("a key of a report"))?;
    let Some(room) = view.room(&room16)? else { return Ok(None) };
    let id: ReportId = values::decode::<v1::Named<'_>>(row)?.id.parse(ReportId::parse)?;
    for state in [OPEN, RESOLVED] {
        if let Some(row) = view.get(&report_row(&room16, state, &id))? {
            return decode_report(view, &room.id, &row).map(Some);
        }
    }
    Ok(None)
}

type Expected = BTreeSet<Vec<u8>>;

fn expect_held(
    room16: &Id16,
    row: &[u8],
    expected: &mut Expected,
) -> Result<(Vec<u8>, u32, Id16), StoreError> {
    let row: v1::Held<'_> = values::decode(row)?;
    let id = row.id.parse(HeldId::parse)?;
    let author16 = keys::user16(&row.author.user()?);
    if let Some(client) = &row.client_message_id {
        expected.insert(held_by_key(&author16, room16, &client.parse(ClientMessageId::parse)?));
    }
    expected.insert(held_by_author(&author16, room16, &id));
    expected.extend((0..row.attachments).map(|number| file_key(table::HELD, room16, id.as_str(), number)));
    Ok((held_row(room16, &id), row.continued, keys::id16(id.as_str())))
}

fn expect_report(
    room16: &Id16,
    row: &[u8],
    expected: &mut Expected,
) -> Result<(Vec<u8>, u32, Id16), StoreError> {
    let row: v1::Report<'_> = values::decode(row)?;
    let id = row.id.parse(ReportId::parse)?;
    expected.insert(report_by_reporter(&keys::user16(&row.reporter.user()?), room16, Seq::new(row.seq)));
    expected.insert(report_by_author(&keys::user16(&row.author.user()?), room16, &id));
    expected.extend((0..row.attachments).map(|number| file_key(table::REPORT, room16, id.as_str(), number)));
    let state = if row.resolved.is_some() { RESOLVED } else { OPEN };
    Ok((report_row(room16, state, &id), row.continued, keys::id16(id.as_str())))
}

fn expect_text<K: OrderedKv>(
    kv: &K,
    table: u8,
    room16: &Id16,
    id16: &Id16,
    continued: u32,
    expected: &mut Expected,
) -> Result<(), StoreError> {
    let prefix = text_prefix(table, room16, id16);
    let (mut bytes, mut number) = (0, 0_u16);
    while bytes < continued as usize {
        let key = [prefix.as_slice(), &number.to_be_bytes()].concat();
        bytes += kv.get(&key)?.map_or(continued as usize, |part| part.len());
        expected.insert(key);
        number += 1;
    }
    Ok(())
}

/// A row.
type KeyValue = (Vec<u8>, Vec<u8>);

fn rows<K: OrderedKv>(kv: &K, table: u8) -> Result<Vec<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |key, row| {
        rows.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Attachment, MessageType},
        store::kv::{KvBatch, MemKv},
    };

    fn held(text: &str) -> HeldMessage {
        HeldMessage {
            id: HeldId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
            room: RoomId::parse("lobby").unwrap(),
            author: UserId::parse("ann").unwrap(),
            at: Timestamp::from_millis(1_790_000_000_000),
            draft: Draft::text(text)
                .unwrap()
                .replying(Seq::new(7))
                .keyed(ClientMessageId::parse("k").unwrap()),
        }
    }

    fn report(text: &str) -> Report {
        Report {
            id: ReportId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
            room: RoomId::parse("lobby").unwrap(),
            reporter: UserId::parse("bob").unwrap(),
            at: Timestamp::from_millis(1_790_000_000_000),
            reason: ReportReason::parse("rude").unwrap(),
            snapshot: Snapshot {
                seq: Seq::new(300),
                author: UserId::parse("ann").unwrap(),
                at: Timestamp::from_millis(-1),
                content: Content::from_stored(text),
                message_type: MessageType::Text,
                attachments: Attachments::default(),
            },
            resolved: Some(Resolution { by: UserId::parse("cid").unwrap(), at: Timestamp::from_millis(1) }),
        }
    }

    /// The bytes as they stand in files that are out there: a change here needs a new version.
    #[test]
    fn the_stored_bytes_of_held_messages_and_reports_stay_as_they_are() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let held_row = encode_held(&held("hello"), "hello", 0).unwrap();
        let report_row = encode_report(&report("hello"), "hello", 0).unwrap();
        assert_eq!(
            hex(held_row),
            "01000190b5a27a397c3e8f000000000000010103616e6e80b083c59868000101016b0700000568656c6c6f00"
        );
        assert_eq!(
            hex(report_row),
            "01000190b5a27a397c3e8f000000000000010103626f6280b083c598680472756465ac020103616e6e010000010103636964020568656c6c6f00"
        );
        assert_eq!(hex(values::encode(&v1::Count { count: 300 }).unwrap()), "01ac02");
    }

    #[tokio::test]
    async fn a_row_that_is_missing_or_stands_elsewhere_is_noticed() {
        let kv = MemKv::new();
        let store = KvStore::inline(kv.clone()).unwrap();
        let long = "long ".repeat(1_000);
        let file = Attachment {
            file_id: "f".to_owned(),
            name: "picture".to_owned(),
            mime: "image/png".to_owned(),
            size: 1,
            url: "/f".to_owned(),
            width: None,
            height: None,
        };
        let files = Attachments::from_stored(vec![file]);
        let mut held = held(&long);
        held.draft.attachments = files.clone();
        let snapshot = Snapshot { attachments: files, ..report(&long).snapshot };
        let reported = Report { resolved: None, snapshot, ..report(&long) };
        assert_eq!(store.hold(held).await, Ok(Keeping::Kept));
        assert_eq!(store.report(reported).await, Ok(Keeping::Kept));
        let resolution = report("").resolved.unwrap();
        assert_eq!(store.resolve_report(&report("").room, &report("").id, resolution).await, Ok(true));
        let all = [rows(&kv, table::HELD).unwrap(), rows(&kv, table::REPORT).unwrap()].concat();
        assert_eq!(all.len(), 12, "six kinds of rows each");
        assert_eq!(differences(&kv), Ok(Vec::new()));
        let set = |key: &[u8], value| kv.apply(KvBatch { changes: vec![(key.to_vec(), value)] }).unwrap();
        for (key, value) in all {
            set(&key, None);
            assert_ne!(differences(&kv), Ok(Vec::new()), "{key:02x?}");
            let mut other = key.clone();
            other[5] ^= 1;
            set(&other, Some(value.clone()));
            assert_ne!(differences(&kv), Ok(Vec::new()), "{other:02x?}");
            set(&other, None);
            set(&key, Some(value));
        }
        assert_eq!(differences(&kv), Ok(Vec::new()));
    }
}
