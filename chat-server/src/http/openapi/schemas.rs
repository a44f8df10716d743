//! What bodies look like (JSON Schema 2020-12). Answers are described as they are; requests no wider than what is
//! accepted, but for rules that a schema can't say, such as which names are taken.

use chat_core::{
    domain::{LINK_SECONDS_MAX, LINK_USES_MAX},
    limits::{RETENTION_DAYS_MAX, RETENTION_MESSAGES_MAX, SANCTION_SECONDS_MAX, SLOW_MODE_SECONDS_MAX},
};
use serde_json::{Map, Value, json};

/// All of them by name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for (name, schema) in requests()
        .into_iter()
        .chain(accounts())
        .chain(people())
        .chain(rooms())
        .chain(messages())
        .chain(reviewed())
    {
        all.insert(name.to_owned(), schema);
    }
    all.insert("Problem".to_owned(), problem());
    all.into()
}

/// A part of a path.
pub(super) fn of_path(name: &str) -> Value {
    match name {
        "room" | "user" => id(),
        "name" => {
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9._-]+$" })
        }
        "emoji" => json!({ "type": "string", "pattern": "^[\u{1f300}-\u{1f5ff}\u{1f600}-\u{1f64f}]$" }),
        _ => json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._:@|-]+$" }),
    }
}

type Schemas = Vec<(&'static str, Value)>;

fn requests() -> Schemas {
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

fn accounts() -> Schemas {
    let password = || json!({ "type": "string", "minLength": 8, "maxLength": 128 });
    let cookie = || nullable(flag());
    vec![
        (
            "Register",
            object([
                ("email", email()),
                ("username", username()),
                ("password", password()),
                ("cookie?", cookie()),
            ]),
        ),
        ("Login", object([("login", text()), ("password", text()), ("cookie?", cookie())])),
        ("Refresh", object([("refreshToken?", nullable(text()))])),
        (
            "Granted",
            object([
                ("user", reference("OwnUser")),
                ("accessToken", text()),
                ("expiresAt", time()),
                ("refreshToken?", text()),
            ]),
        ),
        (
            "Sessions",
            page_of(object([
                ("id", opaque()),
                ("device", text()),
                ("createdAt", time()),
                ("lastUsedAt", time()),
                ("current", flag()),
            ])),
        ),
        ("ChangePassword", object([("currentPassword", text()), ("newPassword", password())])),
        ("ForgotPassword", object([("email", email())])),
        ("ResetPassword", object([("token", text()), ("password", password())])),
    ]
}

fn people() -> Schemas {
    let user = || {
        vec![
            ("id", id()),
            ("username", text()),
            ("displayName", nullable(text())),
            ("avatarUrl", nullable(text())),
            ("status", choice(&["online", "away", "dnd", "invisible", "offline"])),
            ("statusText", nullable(text())),
            ("lastSeenAt", nullable(time())),
        ]
    };
    let own =
        [("email", nullable(text())), ("createdAt", time()), ("serverRole", choice(&["user", "admin"]))];
    let presence = object([
        ("userId", id()),
        ("username", text()),
        ("status", choice(&["online", "away", "dnd", "invisible", "offline"])),
        ("statusText", nullable(text())),
        ("lastSeenAt", nullable(time())),
    ]);
    let block = object([("userId", id()), ("username", text()), ("createdAt", time())]);
    vec![
        ("User", object(user())),
        ("OwnUser", object(user().into_iter().chain(own))),
        ("UserPage", page_of(reference("User"))),
        ("AdminUser", admin_user()),
        ("AdminUserPage", page_of(reference("AdminUser"))),
        ("ServerRole", object([("role", choice(&["user", "admin"]))])),
        (
            "Stats",
            object([
                ("connections", count()),
                ("usersOnline", count()),
                ("roomsLive", count()),
                ("uptimeSeconds", count()),
                ("version", text()),
            ]),
        ),
        ("BlockPage", page_of(block)),
        ("Presences", object([("items", list(presence))])),
    ]
}

/// A user as the operator sees them.
fn admin_user() -> Value {
    object([
        ("id", id()),
        ("username", text()),
        ("displayName", nullable(text())),
        ("avatarUrl", nullable(text())),
        ("email", nullable(text())),
        ("createdAt", time()),
        ("serverRole", choice(&["user", "admin"])),
        ("external", flag()),
        ("disabled", flag()),
    ])
}

fn rooms() -> Schemas {
    let room = || {
        vec![
            ("id", id()),
            ("kind", choice(&["public", "private", "direct", "group"])),
            ("name", text()),
            ("description", text()),
            ("createdBy", nullable(id())),
            ("createdAt", time()),
            ("memberCount", count()),
            ("lastSeq", seq()),
            ("slowModeSeconds", count()),
            ("history", choice(&["all", "since_join"])),
            ("archived", flag()),
            ("retentionDays?", count()),
            ("retentionMessages?", count()),
            ("firstSeq?", seq()),
            ("role?", role()),
            ("unread?", count()),
            ("mentions?", count()),
            ("lastReadSeq?", seq()),
            ("lastMessage?", nullable(reference("Message"))),
        ]
    };
    let other = ("user", object([("id", id()), ("username", text())]));
    let member = object([
        ("userId", id()),
        ("username", text()),
        ("role", role()),
        ("status", choice(&["online", "away", "dnd", "invisible", "offline"])),
        ("lastSeenAt", nullable(time())),
        ("joinedAt", time()),
    ]);
    let invite = object([
        ("inviteId", opaque()),
        ("room", reference("Room")),
        ("invitedBy", id()),
        ("createdAt", time()),
    ]);
    let link = object([
        ("linkId", opaque()),
        ("createdBy", id()),
        ("createdAt", time()),
        ("expiresAt", time()),
        ("maxUses", nullable(count())),
        ("uses", count()),
    ]);
    vec![
        ("Room", object(room())),
        ("RoomAnswer", object([("room", reference("Room"))])),
        ("RoomPage", page_of(reference("Room"))),
        ("DirectRoomPage", page_of(object(room().into_iter().chain([other])))),
        ("MemberPage", page_in_room(member)),
        ("Unread", object([("unread", count()), ("mentions", count())])),
        ("Changed", object([("seq?", seq())])),
        ("Invited", object([("inviteId?", opaque())])),
        ("Invites", object([("items", list(invite))])),
        ("InviteLinks", object([("roomId", id()), ("items", list(link))])),
        (
            "InviteLinkAnswer",
            object([
                ("token", opaque()),
                ("linkId", opaque()),
                ("expiresAt", time()),
                ("maxUses", nullable(count())),
            ]),
        ),
    ]
}

fn messages() -> Schemas {
    let pages = || [("messages", list(reference("Message"))), ("hasMoreBefore", flag())];
    let edit = object([("content", text()), ("createdAt", time()), ("replacedAt", time())]);
    vec![
        ("Message", message()),
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
            ]),
        ),
    ]
}

fn reviewed() -> Schemas {
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
        ("Attachment", attachment()),
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

fn send_message() -> Value {
    object([
        ("content", content()),
        ("messageType?", nullable(message_type())),
        (
            "clientMessageId?",
            nullable(json!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": LINE })),
        ),
        ("replyTo?", nullable(opaque())),
        ("threadId?", nullable(opaque())),
        ("attachments?", nullable(json!({ "type": "array", "maxItems": 10, "items": attachment_sent() }))),
    ])
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

fn problem() -> Value {
    let invalid = object([("field", text()), ("message", text())]);
    object([
        ("code", text()),
        ("title", text()),
        ("status", number(400, 599)),
        ("detail", text()),
        ("errors?", list(invalid)),
    ])
}

/// An object of these fields; those whose name ends with a question mark may be left out.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        match name.strip_suffix('?') {
            Some(optional) => drop(properties.insert(optional.to_owned(), schema)),
            None => {
                required.push(name);
                properties.insert(name.to_owned(), schema);
            }
        }
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// An object of which exactly one of these fields is given.
fn one_of(fields: &[&str], mut object: Value) -> Value {
    object["oneOf"] = fields.iter().map(|field| json!({ "required": [field] })).collect();
    object
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn list(item: Value) -> Value {
    let mut list = json!({ "type": "array" });
    list["items"] = item;
    list
}

fn page_of(item: Value) -> Value {
    object([("items", list(item)), ("nextCursor", nullable(text()))])
}

fn page_in_room(item: Value) -> Value {
    object([("roomId", id()), ("items", list(item)), ("nextCursor", nullable(text()))])
}

fn nullable(schema: Value) -> Value {
    Value::Object(
        [("anyOf".to_owned(), Value::Array(vec![schema, json!({ "type": "null" })]))].into_iter().collect(),
    )
}

fn id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._:@|-]{1,64}$" })
}

/// Something that only the server can read.
fn opaque() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._:@|-]+$" })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn number(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn seq() -> Value {
    number(0, super::super::messages::SEQ_MAX)
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?(Z|[+-]\\d\\d:\\d\\d)$" })
}

fn choice(choices: &[&str]) -> Value {
    json!({ "type": "string", "enum": choices })
}

fn role() -> Value {
    choice(&["owner", "admin", "moderator", "member"])
}

fn message_type() -> Value {
    choice(&["text", "image", "file", "voice"])
}

fn email() -> Value {
    json!({ "type": "string", "format": "email", "minLength": 3, "maxLength": 254 })
}

fn username() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_]{3,50}$" })
}

/// One line, without control characters.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// One line, not only of white space.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00-\x1f\x7f-\x9f]*$";

/// Lines, without other control characters.
const LINES: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Lines, not only of white space.
const TEXT: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

fn room_name() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 100, "pattern": NAME })
}

fn description() -> Value {
    json!({ "type": "string", "maxLength": 1_000, "pattern": LINES })
}

fn reason() -> Value {
    json!({ "type": "string", "maxLength": 500, "pattern": LINES })
}

fn content() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 5_000, "pattern": TEXT })
}
