//! What requests bring.

use chat_core::{
    domain::{LINK_SECONDS_MAX, LINK_USES_MAX},
    limits::{RETENTION_DAYS_MAX, RETENTION_MESSAGES_MAX, SANCTION_SECONDS_MAX, SLOW_MODE_SECONDS_MAX},
};
use serde_json::{Value, json};

use super::{
    Schemas,
    kinds::{
        LINE, LINES, choice, content, description, flag, id, message_type, nullable, number, object, one_of,
        opaque, reason, role, room_name, seq, time, username,
    },
};

pub(super) fn requests() -> Schemas {
    let seconds = || number(1, SANCTION_SECONDS_MAX);
    vec![
        (
            "CreateRoom",
            object([
                ("name", room_name()),
                ("description?", nullable(description())),
                ("private?", nullable(flag())),
            ]),
        ),
        (
            "CreateGroup",
            object([
                ("userIds", json!({ "type": "array", "items": id(), "minItems": 2, "maxItems": 9 })),
                ("name?", nullable(room_name())),
            ]),
        ),
        (
            "UpdateRoom",
            object([
                ("name?", nullable(room_name())),
                ("description?", nullable(description())),
                ("topic?", nullable(description())),
                ("private?", nullable(flag())),
                ("slowModeSeconds?", nullable(number(0, SLOW_MODE_SECONDS_MAX.into()))),
                ("history?", nullable(choice(&["all", "since_join"]))),
                ("retentionDays?", nullable(number(1, RETENTION_DAYS_MAX.into()))),
                ("retentionMessages?", nullable(number(1, RETENTION_MESSAGES_MAX.into()))),
                ("archived?", nullable(flag())),
            ]),
        ),
        (
            "Upload",
            object([("file", json!({ "type": "string", "contentMediaType": "application/octet-stream" }))]),
        ),
        ("Mark", object([("seq", seq())])),
        ("SendMessage", send_message()),
        ("EditMessage", object([("content", content())])),
        (
            "UpdateMember",
            one_of(
                &["role", "mutedUntil", "muteSeconds"],
                object([
                    ("role?", role()),
                    ("mutedUntil?", nullable(time())),
                    ("muteSeconds?", seconds()),
                    ("reason?", nullable(reason())),
                ]),
            ),
        ),
        ("Ban", object([("seconds?", nullable(seconds())), ("reason?", nullable(reason()))])),
        ("Report", object([("reason?", nullable(reason()))])),
        ("Invite", object([("userId", id())])),
        (
            "CreateInviteLink",
            object([
                ("expiresInSeconds?", nullable(number(1, LINK_SECONDS_MAX))),
                ("maxUses?", nullable(number(1, LINK_USES_MAX.into()))),
            ]),
        ),
        (
            "RevokeInviteLink",
            one_of(&["linkId", "token"], object([("linkId?", opaque()), ("token?", opaque())])),
        ),
        ("JoinByLink", object([("token", opaque())])),
        (
            "UpdateMe",
            object([
                ("username?", nullable(username())),
                ("displayName?", nullable(json!({ "type": "string", "maxLength": 50, "pattern": LINE }))),
                ("statusText?", nullable(json!({ "type": "string", "maxLength": 100, "pattern": LINE }))),
            ]),
        ),
    ]
}

fn send_message() -> Value {
    let mut message = object([
        ("content?", nullable(json!({ "type": "string", "maxLength": 5_000, "pattern": LINES }))),
        ("messageType?", nullable(message_type())),
        (
            "clientMessageId?",
            nullable(json!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": LINE })),
        ),
        ("replyTo?", nullable(opaque())),
        ("threadId?", nullable(opaque())),
        ("attachments?", nullable(json!({ "type": "array", "maxItems": 10, "items": attachment_sent() }))),
    ]);
    // With files, the text may be left out.
    message["anyOf"] = json!([
        { "required": ["content"], "properties": { "content": content() } },
        { "required": ["attachments"], "properties": { "attachments": { "type": "array", "minItems": 1 } } },
    ]);
    message
}

/// A reference to a file, as a sender gives it.
fn attachment_sent() -> Value {
    let visible =
        |chars: u64| json!({ "type": "string", "minLength": 1, "maxLength": chars, "pattern": "^[!-~]+$" });
    object([
        ("fileId", visible(64)),
        ("name", json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": LINE })),
        ("mime", json!({ "type": "string", "maxLength": 100, "pattern": "^[a-z0-9.+-]+/[a-z0-9.+-]+$" })),
        ("size", seq()),
        (
            "url",
            json!({ "type": "string", "maxLength": 1_000, "pattern": "^/[A-Za-z0-9._~-][A-Za-z0-9._~/-]*$" }),
        ),
        ("width?", nullable(number(0, u64::from(u32::MAX)))),
        ("height?", nullable(number(0, u64::from(u32::MAX)))),
    ])
}
