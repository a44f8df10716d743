//! Messages, and pages of them.

use serde_json::{Value, json};

use super::{
    Schemas,
    kinds::{count, flag, id, list, message_type, nullable, object, opaque, reference, seq, text, time},
};

pub(super) fn messages() -> Schemas {
    let pages = || [("messages", list(reference("Message"))), ("hasMoreBefore", flag())];
    let edit = object([("content", text()), ("createdAt", time()), ("replacedAt", time())]);
    vec![
        ("Message", message()),
        ("Attachment", attachment()),
        ("MessageAnswer", object([("message", reference("Message"))])),
        (
            "MessagePage",
            object([("roomId", id())].into_iter().chain(pages()).chain([("hasMoreAfter", flag())])),
        ),
        (
            "ThreadPage",
            object(
                [("roomId", id()), ("messageId", opaque())]
                    .into_iter()
                    .chain(pages())
                    .chain([("hasMoreAfter", flag())]),
            ),
        ),
        ("Pins", object([("roomId", id())].into_iter().chain(pages()))),
        (
            "Edits",
            object([
                ("roomId", id()),
                ("messageId", opaque()),
                ("items", list(edit)),
                ("hasMoreBefore", flag()),
            ]),
        ),
        (
            "Sent",
            object([
                ("messageId", opaque()),
                ("roomId", id()),
                ("seq", seq()),
                ("createdAt", time()),
                ("duplicate", flag()),
            ]),
        ),
        ("Held", object([("held", flag()), ("heldId", opaque()), ("roomId", id()), ("duplicate", flag())])),
        (
            "EventPage",
            object([
                ("roomId", id()),
                ("items", list(json!({ "type": "object", "required": ["type"] }))),
                ("nextCursor", nullable(text())),
                ("lastSeq", seq()),
                ("epoch", text()),
            ]),
        ),
    ]
}

fn message() -> Value {
    let reaction = object([("emoji", text()), ("count", count()), ("userIds", list(id()))]);
    object([
        ("id", opaque()),
        ("roomId", id()),
        ("seq", seq()),
        ("userId", id()),
        ("username", text()),
        ("content", text()),
        ("messageType", message_type()),
        ("createdAt", time()),
        ("editedAt", nullable(time())),
        ("deletedAt", nullable(time())),
        ("deletedBy?", id()),
        ("replyTo", nullable(opaque())),
        ("threadId", nullable(opaque())),
        ("threadCount", count()),
        ("lastReplyAt", nullable(time())),
        ("attachments", list(reference("Attachment"))),
        ("mentions", list(id())),
        ("mentionsRoom?", flag()),
        ("reactions", list(reaction)),
        ("pinned", flag()),
        ("senderId?", id()),
        ("senderUsername?", text()),
        ("recipientId?", id()),
        ("clientMessageId?", text()),
    ])
}

fn attachment() -> Value {
    object([
        ("fileId", text()),
        ("name", text()),
        ("mime", text()),
        ("size", count()),
        ("url", text()),
        ("width?", count()),
        ("height?", count()),
    ])
}
