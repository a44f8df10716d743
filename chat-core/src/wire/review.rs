//! Held messages and reports on the wire.

use serde::Serialize;

use super::{
    message::AttachmentView,
    view::{rfc3339, time},
};
use crate::{
    domain::{HeldMessage, Report},
    id::MessageId,
    time::Timestamp,
};

/// A message held for review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldView {
    held_id: String,
    user_id: String,
    username: String,
    content: String,
    message_type: &'static str,
    attachments: Vec<AttachmentView>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl HeldView {
    /// The message of an author of this name.
    #[must_use]
    pub fn of(held: &HeldMessage, username: &str) -> Self {
        Self {
            held_id: held.id.as_str().to_owned(),
            user_id: held.author.as_str().to_owned(),
            username: username.to_owned(),
            content: held.draft.content.as_str().to_owned(),
            message_type: held.draft.message_type.as_str(),
            attachments: held.draft.attachments.iter().map(AttachmentView::of).collect(),
            created_at: held.at,
        }
    }
}

/// A report, with the message as it was when it was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportView {
    report_id: String,
    reported_by: PersonView,
    #[serde(serialize_with = "time")]
    reported_at: Timestamp,
    reason: String,
    resolved_by: Option<String>,
    resolved_at: Option<String>,
    message: SnapshotView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct PersonView {
    id: String,
    username: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotView {
    id: String,
    seq: u64,
    user_id: String,
    username: String,
    content: String,
    message_type: &'static str,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    attachments: Vec<AttachmentView>,
}

impl ReportView {
    /// The report under these names of its reporter and of the message's author.
    #[must_use]
    pub fn of(report: &Report, reporter: &str, author: &str) -> Self {
        let Report { snapshot, resolved, .. } = report;
        Self {
            report_id: report.id.as_str().to_owned(),
            reported_by: PersonView {
                id: report.reporter.as_str().to_owned(),
                username: reporter.to_owned(),
            },
            reported_at: report.at,
            reason: report.reason.as_str().to_owned(),
            resolved_by: resolved.as_ref().map(|resolved| resolved.by.as_str().to_owned()),
            resolved_at: resolved.as_ref().map(|resolved| rfc3339(resolved.at)),
            message: SnapshotView {
                id: MessageId::of(&report.room, snapshot.seq).to_string(),
                seq: snapshot.seq.get(),
                user_id: snapshot.author.as_str().to_owned(),
                username: author.to_owned(),
                content: snapshot.content.as_str().to_owned(),
                message_type: snapshot.message_type.as_str(),
                created_at: snapshot.at,
                attachments: snapshot.attachments.iter().map(AttachmentView::of).collect(),
            },
        }
    }
}
