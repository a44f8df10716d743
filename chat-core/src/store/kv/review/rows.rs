//! The rows of held messages and reports, written and read.

use std::ops::ControlFlow;

use super::place::{OPEN, RESOLVED, file_key, part, report_row, text_prefix};
use crate::{
    domain::{Attachments, Content, Draft, HeldMessage, Report, ReportReason, Resolution, Snapshot},
    id::{ClientMessageId, HeldId, ReportId, RoomId, Seq},
    store::{
        StoreError,
        kv::{
            OrderedKv,
            keys::{self, table},
            values::{self, v1},
            view::View,
        },
    },
    time::Timestamp,
};

pub(super) fn encode_held(held: &HeldMessage, text: &str, continued: usize) -> Result<Vec<u8>, StoreError> {
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

pub(super) fn decode_held<K: OrderedKv>(
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

pub(super) fn encode_report(report: &Report, text: &str, continued: usize) -> Result<Vec<u8>, StoreError> {
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

pub(super) fn decode_report<K: OrderedKv>(
    view: &View<'_, K>,
    room: &RoomId,
    row: &[u8],
) -> Result<Report, StoreError> {
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
pub(super) fn files<K: OrderedKv>(
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
pub(super) fn whole<K: OrderedKv>(
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

/// The held message of a key of that list.
pub(in super::super) fn held_listed<K: OrderedKv>(
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

/// The report of a row of that list.
pub(in super::super) fn report_listed<K: OrderedKv>(
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
