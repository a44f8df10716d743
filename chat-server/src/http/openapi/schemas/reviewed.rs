//! What moderators look at.

use serde_json::json;

use super::{
    Schemas,
    kinds::{
        count, id, list, message_type, nullable, object, opaque, page_in_room, page_of, reference, seq, text,
        time,
    },
};

pub(super) fn reviewed() -> Schemas {
    let held = object([
        ("heldId", opaque()),
        ("userId", id()),
        ("username", text()),
        ("content", text()),
        ("messageType", message_type()),
        ("attachments", list(reference("Attachment"))),
        ("createdAt", time()),
    ]);
    let snapshot = object([
        ("id", opaque()),
        ("seq", seq()),
        ("userId", id()),
        ("username", text()),
        ("content", text()),
        ("messageType", message_type()),
        ("createdAt", time()),
        ("attachments", list(reference("Attachment"))),
    ]);
    let report = vec![
        ("reportId", opaque()),
        ("reportedBy", object([("id", id()), ("username", text())])),
        ("reportedAt", time()),
        ("reason", text()),
        ("resolvedBy", nullable(id())),
        ("resolvedAt", nullable(time())),
        ("message", snapshot),
    ];
    let record = object([
        ("number", count()),
        ("at", time()),
        ("actorId", id()),
        ("act", text()),
        ("targetId", nullable(id())),
        ("details", json!({ "type": "object", "additionalProperties": text() })),
        ("previous", text()),
        ("hash", text()),
    ]);
    vec![
        (
            "Uploaded",
            object([
                ("fileId", opaque()),
                ("name", text()),
                ("mime", text()),
                ("size", count()),
                ("url", text()),
                ("width?", count()),
                ("height?", count()),
                ("thumbnailUrl?", text()),
            ]),
        ),
        ("HeldPage", page_in_room(held)),
        ("ReportPage", page_in_room(object(report.clone()))),
        ("AllReportPage", page_of(object(report.into_iter().chain([("roomId", id())])))),
        ("ServerAuditPage", page_of(record.clone())),
        ("AuditPage", page_in_room(record)),
    ]
}
