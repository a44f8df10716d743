//! Users, as others, as they themselves and as the operator see them.

use serde_json::Value;

use super::{
    Schemas,
    kinds::{choice, count, flag, id, list, nullable, object, page_of, reference, text, time},
};

pub(super) fn people() -> Schemas {
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
