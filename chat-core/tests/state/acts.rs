//! What users do, in a form that shrinks well: small numbers that pick from what is there.

use std::fmt;

use proptest::{prelude::*, sample::select, strategy::Union};
use serde_json::{Map, Value, json};

use super::{
    model::{Model, Room},
    wire::{ROLES, USERS, with},
};

/// One step of a sequence: who does it, on which of their devices, and what.
#[derive(Clone)]
pub struct Step {
    pub who: usize,
    pub device: usize,
    pub act: Act,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, device, act } = self;
        match act {
            Act::Do(command) => write!(f, "{who}.{device} {command}"),
            Act::Burst(commands) => write!(f, "{who}.{device} {}", json!(commands)),
            Act::CrashAmid { send, yields } => write!(f, "{who}.{device} {send}, crash after {yields}"),
            act => write!(f, "{who}.{device} {act:?}"),
        }
    }
}

/// What is done. In place of ids commands have numbers, which pick from what is there, modulo how many there are;
/// [`NONE`] picks what is not there.
#[derive(Debug, Clone)]
pub enum Act {
    /// A command.
    Do(Value),
    /// Messages in one go, none of which waits for the answer to the one before.
    Burst(Vec<Value>),
    /// The device loses its connection.
    Cut,
    /// The device connects, or comes back to where it stopped.
    Connect,
    /// Time passes.
    Wait { ms: i64 },
    /// The engine ends, and another one starts on what is stored.
    Reopen(End),
    /// The same, while a message is on its way; it is sent again under its key.
    CrashAmid { send: Value, yields: u8 },
    /// Hours pass, and the server does what it does now and then.
    KeepUp { hours: i64 },
    /// The user is erased.
    Erase,
    /// Everybody's view is compared with the model.
    Check,
}

/// How an engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With a farewell.
    Graceful,
    /// Without one.
    Crash,
    /// The same, and the disk loses what was not synced.
    PowerCut,
}

/// Picks what is not there.
const NONE: u8 = 255;

const NAMES: [&str; 7] = ["Tea", "tea", "Hall", "Den", "Attic", "Gärten", " "];
const TEXTS: [&str; 9] = [
    "hello",
    "is there tea?",
    "@ada look",
    "@eve and @bea",
    "@room all of you",
    "later",
    "e\u{301}",
    "please hold",
    " ",
];

/// The last one is none.
const EMOJI: [&str; 4] = ["👍", "❤", "🎉", "no"];

/// A user's command with ids instead of numbers.
pub fn resolved(who: &str, command: &Value, model: &Model) -> Value {
    let own = picked(&command["roomId"], &model.rooms);
    let empty = Room::default();
    let room = own.unwrap_or(&empty);
    // Ids of messages that are not there are those of another room, if there is one.
    let message = |pick: &Value| {
        let foreign = || model.rooms.iter().find(|it| it.shown["id"] != room.shown["id"])?.messages.first();
        id_of(picked(pick, &room.messages).or_else(foreign), "id")
    };
    let all = |list: fn(&Room) -> &Vec<Value>| -> Vec<Value> {
        model.rooms.iter().flat_map(|room| list(room).iter().cloned()).collect()
    };
    // Mostly what may be good for something: invitations of the user, links into the room.
    let invites = all(|room| &room.invites);
    let (own_invites, links): (Vec<_>, _) =
        (invites.iter().filter(|it| it["userId"] == *who).cloned().collect(), all(|room| &room.links));
    let mut resolved = command.clone();
    for (field, value) in resolved.as_object_mut().into_iter().flatten() {
        *value = match field.as_str() {
            "roomId" => own.map_or("nowhere", |room| id(room)).into(),
            "userId" | "recipientId" => user(value),
            "userIds" => value.as_array().into_iter().flatten().map(user).collect(),
            "messageId" | "replyTo" | "threadId" => message(value),
            "retentionDays" | "retentionMessages" if *value == 0 => Value::Null,
            "inviteId" => id_of(picked(value, &own_invites).or_else(|| picked(value, &invites)), "inviteId"),
            "linkId" => id_of(picked(value, &room.links).or_else(|| picked(value, &links)), "linkId"),
            "token" => id_of(picked(value, &links), "token"),
            "heldId" => id_of(picked(value, &room.held), "heldId"),
            "reportId" => id_of(picked(value, &room.reports), "reportId"),
            _ => continue,
        };
    }
    resolved
}

/// The id of a room, also of one that was deleted.
fn id(room: &Room) -> &str {
    room.shown["id"].as_str().or(room.shown["gone"].as_str()).unwrap_or_default()
}

fn user(pick: &Value) -> Value {
    picked(pick, &USERS).map_or("nobody-here", |user| user).into()
}

fn picked<'a, T>(pick: &Value, from: &'a [T]) -> Option<&'a T> {
    let pick = pick.as_u64().filter(|pick| *pick != u64::from(NONE) && !from.is_empty())?;
    from.get(usize::try_from(pick).ok()? % from.len())
}

fn id_of(thing: Option<&Value>, field: &str) -> Value {
    // What was never told can't be named.
    let id = thing.map(|thing| &thing[field]).filter(|id| **id != "");
    id.cloned().unwrap_or("nothing".into())
}

/// Sequences of `steps` steps. They shrink by losing steps, below that number too.
pub fn sequences(steps: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Option<Step>>> {
    prop::collection::vec(prop::option::weighted(0.9999, step()), steps)
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        94 => command().prop_map(Act::Do),
        1 => burst().prop_map(Act::Burst),
        2 => Just(Act::Cut),
        2 => Just(Act::Connect),
        3 => (1..3_000_i64).prop_map(|ms| Act::Wait { ms }),
        1 => select(&[End::Graceful, End::Crash, End::PowerCut][..]).prop_map(Act::Reopen),
        1 => (crashing(), 0..4_u8).prop_map(|(send, yields)| Act::CrashAmid { send, yields }),
        1 => prop_oneof![2 => Just(0), 1 => Just(25)].prop_map(|hours| Act::KeepUp { hours }),
        3 => Just(Act::Check),
    ];
    let act = prop_oneof![400 => act, 1 => Just(Act::Erase)];
    // The first user owns the first room.
    (prop_oneof![1 => Just(0), 3 => 0..USERS.len()], prop_oneof![4 => Just(0_usize), 1 => Just(1)], act)
        .prop_map(|(who, device, act)| Step { who, device, act })
}

/// A field and what it may be; a null is left out.
type Field = (&'static str, BoxedStrategy<Value>);

fn field<T: Into<Value> + std::fmt::Debug + 'static>(
    name: &'static str,
    values: impl Strategy<Value = T> + 'static,
) -> Field {
    (name, values.prop_map(Into::into).boxed())
}

fn perhaps((name, values): Field, chance: f64) -> Field {
    (name, prop::option::weighted(chance, values).prop_map(Option::unwrap_or_default).boxed())
}

fn pick(name: &'static str, usual: u8, most: u8) -> Field {
    field(name, prop_oneof![20 => 0..usual, 20 => 0..most, 1 => Just(NONE)])
}

fn object(fields: Vec<Field>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let object = move |values: Vec<Value>| {
        let fields = names.iter().zip(values).filter(|(_, value)| !value.is_null());
        fields.map(|(name, value)| ((*name).to_owned(), value)).collect::<Map<_, _>>().into()
    };
    values.prop_map(object).boxed()
}

fn room() -> Field {
    pick("roomId", 2, 8)
}

fn content(from: &'static [&'static str]) -> Field {
    field("content", select(from))
}

fn key() -> Field {
    let key = (0..4_u8).prop_map(|key| format!("key-{key}"));
    perhaps(field("clientMessageId", key), 0.3)
}

/// Nothing that is held: that is not decided in the order of sending.
fn burst() -> impl Strategy<Value = Vec<Value>> {
    let texts = prop::collection::vec(object(vec![content(&TEXTS[..7]), key()]), 2..6);
    (object(vec![field("type", Just("send_message")), room()]), texts)
        .prop_map(|(room, texts)| texts.into_iter().map(|text| with(room.clone(), text)).collect())
}

fn crashing() -> BoxedStrategy<Value> {
    let key = (100..104_u8).prop_map(|key| format!("key-{key}"));
    object(vec![
        field("type", Just("send_message")),
        room(),
        content(&TEXTS[..1]),
        field("clientMessageId", key),
    ])
}

/// Every command, the more often the more there is to it.
fn command() -> impl Strategy<Value = Value> {
    let user = || pick("userId", 5, 5);
    let message = || pick("messageId", 8, 60);
    let text = || content(&TEXTS);
    let emoji = || field("emoji", prop_oneof![30 => select(&EMOJI[..3]), 1 => Just(EMOJI[3])]);
    let name = || field("name", select(&NAMES));
    let seq = |name| field(name, 0..40_u64);
    let limit = || field("limit", 1..6_u64);
    let flag = |name, chance| field(name, prop::bool::weighted(chance));
    let seconds = || perhaps(field("seconds", prop_oneof![3 => 1..4_u64, 1 => Just(0)]), 0.6);
    let link = || pick("linkId", 8, 8);
    let send =
        || vec![text(), key(), perhaps(pick("replyTo", 8, 60), 0.2), perhaps(pick("threadId", 8, 60), 0.2)];
    let also = |mut fields: Vec<Field>, more: Field| {
        fields.push(more);
        fields
    };
    let users =
        prop::collection::vec(prop_oneof![30 => 0..5_u8, 1 => Just(NONE)], 0..4).prop_map(|all| json!(all));
    let status = || field("status", select(&["online", "away", "dnd", "invisible"][..]));
    let table: Vec<(u32, &'static str, Vec<Field>)> = vec![
        (4, "create_room", vec![name(), flag("private", 0.3)]),
        (2, "create_group", vec![("userIds", users.clone().boxed()), perhaps(name(), 0.3)]),
        (14, "join_room", vec![room()]),
        (4, "leave_room", vec![room()]),
        (30, "send_message", also(send(), room())),
        (8, "send_dm", vec![pick("recipientId", 5, 5), text(), key()]),
        (8, "edit_message", vec![room(), message(), text()]),
        (6, "delete_message", vec![room(), message()]),
        (10, "add_reaction", vec![room(), message(), emoji()]),
        (5, "remove_reaction", vec![room(), message(), emoji()]),
        (5, "pin_message", vec![room(), message()]),
        (2, "unpin_message", vec![room(), message()]),
        (2, "fetch_edits", vec![room(), message()]),
        (3, "fetch_thread", vec![room(), message(), limit()]),
        (2, "list_pins", vec![room()]),
        (
            3,
            "fetch_history",
            vec![
                room(),
                limit(),
                perhaps(seq("before"), 0.3),
                perhaps(seq("after"), 0.3),
                perhaps(seq("around"), 0.3),
            ],
        ),
        (2, "list_members", vec![room()]),
        (2, "get_room", vec![room()]),
        (2, "list_rooms", vec![field("scope", select(&["mine", "public"][..]))]),
        (5, "mark_read", vec![room(), seq("seq")]),
        (1, "mark_delivered", vec![room(), seq("seq")]),
        (8, "set_role", vec![room(), user(), field("role", select(&ROLES[..]))]),
        (2, "kick", vec![room(), user()]),
        (2, "ban", vec![room(), user(), seconds()]),
        (2, "unban", vec![room(), user()]),
        (3, "mute", vec![room(), user(), seconds()]),
        (1, "unmute", vec![room(), user()]),
        (2, "fetch_audit", vec![room()]),
        (
            7,
            "update_room",
            vec![
                room(),
                perhaps(name(), 0.3),
                perhaps(field("description", select(&["", "quiet"][..])), 0.1),
                perhaps(flag("private", 0.5), 0.2),
                perhaps(flag("archived", 0.3), 0.2),
                perhaps(field("slowModeSeconds", 0..3_u64), 0.2),
                perhaps(field("retentionMessages", 0..5_u64), 0.15),
                perhaps(field("retentionDays", 0..2_u64), 0.1),
                perhaps(field("history", select(&["all", "since_join"][..])), 0.2),
            ],
        ),
        (1, "delete_room", vec![room()]),
        (9, "invite", vec![room(), user()]),
        (5, "accept_invite", vec![pick("inviteId", 8, 8)]),
        (3, "decline_invite", vec![pick("inviteId", 8, 8)]),
        (1, "list_invites", vec![]),
        (
            3,
            "create_invite_link",
            vec![room(), field("expiresInSeconds", 1..4_u64), field("maxUses", 1..3_u64)],
        ),
        (1, "list_invite_links", vec![room()]),
        (1, "revoke_invite_link", vec![room(), link()]),
        (4, "join_by_link", vec![pick("token", 8, 8)]),
        (1, "block_user", vec![user()]),
        (2, "unblock_user", vec![user()]),
        (1, "list_blocks", vec![]),
        (2, "report_message", vec![room(), message()]),
        (4, "list_reports", vec![room()]),
        (2, "resolve_report", vec![room(), pick("reportId", 4, 4)]),
        (1, "list_held", vec![room()]),
        (3, "release_held", vec![room(), pick("heldId", 4, 4)]),
        (1, "discard_held", vec![room(), pick("heldId", 4, 4)]),
        (1, "typing_start", vec![room()]),
        (1, "typing_stop", vec![room()]),
        (1, "set_presence", vec![status()]),
        (1, "get_presence", vec![("userIds", users.boxed())]),
        (2, "subscribe", vec![room()]),
        (1, "unsubscribe", vec![room()]),
        (1, "ping", vec![]),
        (1, "pong", vec![]),
        (1, "authenticate", vec![]),
    ];
    Union::new_weighted(
        table
            .into_iter()
            .map(|(weight, kind, fields)| (weight, object(also(fields, field("type", Just(kind))))))
            .collect(),
    )
}
