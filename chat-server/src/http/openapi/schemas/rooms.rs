//! Rooms, their members and the ways in.

use super::{
    Schemas,
    kinds::{
        choice, count, flag, id, list, nullable, object, opaque, page_in_room, page_of, reference, role, seq,
        text, time,
    },
};

pub(super) fn rooms() -> Schemas {
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
