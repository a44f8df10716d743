//! Messages held for review, and reports, over the layout.

mod check;
mod place;
mod rows;

use async_trait::async_trait;

use self::{
    place::{
        OPEN, RESOLVED, count_key, file_key, held_by_author, held_by_key, held_row, part, report_by_author,
        report_by_reporter, report_row, text_prefix,
    },
    rows::{decode_held, decode_report, encode_held, encode_report},
};
use super::{
    KvStore, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    read,
    request::{Refusal, Request},
    values::{self, v1},
    view::Visible,
};
use crate::{
    domain::{Attachments, AuditNote, HeldMessage, Report, Resolution, Snapshot},
    id::{ClientMessageId, HeldId, ReportId, RoomId, Seq, UserId},
    limits::{
        ATTACHMENTS_MAX, HELD_PER_AUTHOR_MAX, HELD_PER_ROOM_MAX, REPORTS_PER_REPORTER_MAX,
        REPORTS_PER_ROOM_MAX, STORE_NAMES_SCANNED_MAX,
    },
    store::{Keeping, Page, PageRequest, ReviewStore, StoreError},
};

pub(super) use self::{
    check::differences,
    place::{
        files_of_held, held_of_author, held_of_author16, held_row16, reports_by_reporters,
        reports_of_author16, reports_of_reporter, reports_of_reporter16,
    },
    rows::{held_listed, report_listed},
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

/// The open reports of all rooms that are there.
pub(super) fn open_reports<K: OrderedKv>(
    rows: &Visible<K>,
    page: &PageRequest,
) -> Result<Page<Report>, StoreError> {
    let view = rows.view();
    let prefix = keys::key(table::REPORT, &[&[part::ROW]]);
    read::paged(&view, &prefix, page, STORE_NAMES_SCANNED_MAX, |key, row| {
        let room16 = keys::id_at(key, 2).ok_or_else(|| values::corrupt("a key of a report"))?;
        let is_open = key.get(18).is_some_and(|state| *state != RESOLVED);
        match view.room(&room16)?.filter(|room| is_open && !room.deleted) {
            Some(room) => decode_report(&view, &room.id, row).map(Some),
            None => Ok(None),
        }
    })
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

#[cfg(test)]
mod tests;
