//! What users do, in a form that shrinks well: small numbers that pick from what is there.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::model::{Model, ROLES, USERS, User, picked};

/// One step of a sequence: who does it, on which of their devices, and what.
#[derive(Debug, Clone)]
pub struct Step {
    pub who: User,
    pub device: usize,
    pub act: Act,
}

/// What is done. Rooms, messages and users are picked by number, modulo how many there are; [`NONE`] picks one
/// that is not there.
#[derive(Debug, Clone)]
pub enum Act {
    Create {
        name: usize,
        private: bool,
    },
    Group {
        users: Vec<u8>,
    },
    Join {
        room: u8,
    },
    Leave {
        room: u8,
    },
    Send {
        room: u8,
        text: usize,
        key: Option<u8>,
        reply: Option<u8>,
        thread: Option<u8>,
    },
    Direct {
        user: u8,
        text: usize,
        key: Option<u8>,
    },
    Edit {
        room: u8,
        message: u8,
        text: usize,
    },
    Delete {
        room: u8,
        message: u8,
    },
    React {
        room: u8,
        message: u8,
        emoji: usize,
        adds: bool,
    },
    Pin {
        room: u8,
        message: u8,
        pins: bool,
    },
    Edits {
        room: u8,
        message: u8,
    },
    Thread {
        room: u8,
        message: u8,
        limit: usize,
    },
    Pins {
        room: u8,
    },
    History {
        room: u8,
        place: Place,
        seq: u64,
        limit: usize,
    },
    Members {
        room: u8,
    },
    GetRoom {
        room: u8,
    },
    Rooms {
        mine: bool,
    },
    MarkRead {
        room: u8,
        seq: u64,
    },
    SetRole {
        room: u8,
        user: u8,
        role: usize,
    },
    Moderate {
        room: u8,
        user: u8,
        measure: Measure,
    },
    Block {
        user: u8,
        blocks: bool,
    },
    Blocks,
    MarkDelivered {
        room: u8,
        seq: u64,
    },
    Records {
        room: u8,
    },
    Update {
        room: u8,
        change: Change,
    },
    DeleteRoom {
        room: u8,
    },
    Invite {
        room: u8,
        user: u8,
    },
    Answer {
        invite: u8,
        accepts: bool,
    },
    Invites,
    CreateLink {
        room: u8,
        seconds: i64,
        most: u64,
    },
    RevokeLink {
        room: u8,
        link: u8,
    },
    JoinByLink {
        link: u8,
    },
    /// The device loses its connection.
    Cut,
    /// The device connects, or comes back to where it stopped.
    Connect,
    /// Time passes.
    Wait {
        ms: i64,
    },
    /// The engine ends without a farewell, and another one starts on what is stored.
    Crash {
        power: bool,
    },
    /// The same, while a message is on its way; it is sent again under its key.
    CrashAmid {
        room: u8,
        key: u8,
        yields: u8,
    },
    /// Everybody's view is compared with the model.
    Check,
}

#[derive(Debug, Clone, Copy)]
pub enum Place {
    Latest,
    Before,
    After,
    Around,
}

/// What is changed of a room.
#[derive(Debug, Clone)]
pub enum Change {
    Name(usize),
    Private(bool),
    Archived(bool),
    Slow(i64),
    SinceJoin(bool),
}

#[derive(Debug, Clone, Copy)]
pub enum Measure {
    Kick,
    Ban(Option<i64>),
    Unban,
    Mute(Option<i64>),
    Unmute,
}

impl Measure {
    /// The command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kick => "kick",
            Self::Ban(_) => "ban",
            Self::Unban => "unban",
            Self::Mute(_) => "mute",
            Self::Unmute => "unmute",
        }
    }
}

/// Picks what is not there.
pub const NONE: u8 = 255;

pub const NAMES: [&str; 7] = ["Tea", "tea", "Hall", "Den", "Attic", "Gärten", " "];
pub const TEXTS: [&str; 8] =
    ["hello", "is there tea?", "@ada look", "@eve and @bea", "@room all of you", "later", "e\u{301}", " "];

/// The last one is none.
pub const EMOJI: [&str; 4] = ["👍", "❤", "🎉", "no"];

impl Act {
    /// The command on the wire; `None` for what is none.
    pub fn command(&self, model: &Model) -> Option<Value> {
        let user = |pick: &u8| model.user(*pick).map_or("nobody-here", |user| USERS[user]);
        let in_room = |kind: &str, pick: &u8, more: Value| {
            let room = model.room(*pick).map_or("nowhere", |room| &model.rooms[room].id);
            Some(with(json!({"type": kind, "roomId": room}), more))
        };
        // Ids of messages that are not there are those of another room, if there is one.
        let message = |room: &u8, pick: &u8| {
            let (own, all) = (model.room(*room), &model.rooms);
            let message = own.and_then(|room| Some(&all[room].messages[picked(*pick, &all[room].messages)?]));
            let other = || all.iter().enumerate().filter(|(room, _)| Some(*room) != own);
            let foreign = || other().find_map(|(_, room)| room.messages.first());
            json!({"messageId": message.or_else(foreign).map_or("nothing", |message| &message.id)})
        };
        let key = |key: &Option<u8>| key.map_or(json!({}), |key| json!({"clientMessageId": key_text(key)}));
        let plain = |kind: &str, fields: Value| Some(with(json!({"type": kind}), fields));
        match self {
            Self::Create { name, private } => {
                plain("create_room", json!({"name": NAMES[*name], "private": private}))
            }
            Self::Group { users } => {
                plain("create_group", json!({"userIds": users.iter().map(user).collect::<Vec<_>>()}))
            }
            Self::Join { room } => in_room("join_room", room, json!({})),
            Self::Leave { room } => in_room("leave_room", room, json!({})),
            Self::Send { room, text, key: own, reply, thread } => {
                let mut more = with(json!({"content": TEXTS[*text]}), key(own));
                if let Some(reply) = reply {
                    more["replyTo"] = message(room, reply)["messageId"].take();
                }
                if let Some(thread) = thread {
                    more["threadId"] = message(room, thread)["messageId"].take();
                }
                in_room("send_message", room, more)
            }
            Self::Direct { user: to, text, key: own } => {
                let more = json!({"recipientId": user(to), "content": TEXTS[*text]});
                plain("send_dm", with(more, key(own)))
            }
            Self::Edit { room, message: pick, text } => {
                in_room("edit_message", room, with(message(room, pick), json!({"content": TEXTS[*text]})))
            }
            Self::Delete { room, message: pick } => in_room("delete_message", room, message(room, pick)),
            Self::React { room, message: pick, emoji, adds } => {
                let kind = if *adds { "add_reaction" } else { "remove_reaction" };
                in_room(kind, room, with(message(room, pick), json!({"emoji": EMOJI[*emoji]})))
            }
            Self::Pin { room, message: pick, pins } => {
                in_room(if *pins { "pin_message" } else { "unpin_message" }, room, message(room, pick))
            }
            Self::Edits { room, message: pick } => in_room("fetch_edits", room, message(room, pick)),
            Self::Thread { room, message: pick, limit } => {
                in_room("fetch_thread", room, with(message(room, pick), json!({"limit": limit})))
            }
            Self::Pins { room } => in_room("list_pins", room, json!({})),
            Self::History { room, place, seq, limit } => {
                let place = match place {
                    Place::Latest => json!({}),
                    Place::Before => json!({"before": seq}),
                    Place::After => json!({"after": seq}),
                    Place::Around => json!({"around": seq}),
                };
                in_room("fetch_history", room, with(place, json!({"limit": limit})))
            }
            Self::Members { room } => in_room("list_members", room, json!({})),
            Self::GetRoom { room } => in_room("get_room", room, json!({})),
            Self::Rooms { mine } => {
                plain("list_rooms", json!({"scope": if *mine { "mine" } else { "public" }}))
            }
            Self::MarkRead { room, seq } => in_room("mark_read", room, json!({"seq": seq})),
            Self::SetRole { room, user: target, role } => {
                in_room("set_role", room, json!({"userId": user(target), "role": ROLES[*role]}))
            }
            Self::Moderate { room, user: target, measure } => {
                let more = match measure {
                    Measure::Ban(Some(seconds)) | Measure::Mute(Some(seconds)) => json!({"seconds": seconds}),
                    _ => json!({}),
                };
                let kind = measure.name();
                in_room(kind, room, with(json!({"userId": user(target)}), more))
            }
            Self::Block { user: target, blocks } => {
                plain(if *blocks { "block_user" } else { "unblock_user" }, json!({"userId": user(target)}))
            }
            Self::Blocks => plain("list_blocks", json!({})),
            Self::MarkDelivered { room, seq } => in_room("mark_delivered", room, json!({"seq": seq})),
            Self::Records { room } => in_room("fetch_audit", room, json!({})),
            Self::Update { room, change } => {
                let change = match change {
                    Change::Name(name) => json!({"name": NAMES[*name]}),
                    Change::Private(private) => json!({"private": private}),
                    Change::Archived(archived) => json!({"archived": archived}),
                    Change::Slow(seconds) => json!({"slowModeSeconds": seconds}),
                    Change::SinceJoin(true) => json!({"history": "since_join"}),
                    Change::SinceJoin(false) => json!({"history": "all"}),
                };
                in_room("update_room", room, change)
            }
            Self::DeleteRoom { room } => in_room("delete_room", room, json!({})),
            Self::Invite { room, user: target } => in_room("invite", room, json!({"userId": user(target)})),
            Self::Answer { invite, accepts } => {
                let kind = if *accepts { "accept_invite" } else { "decline_invite" };
                let invite =
                    picked(*invite, &model.invites).map_or("none", |invite| &model.invites[invite].id);
                plain(kind, json!({"inviteId": invite}))
            }
            Self::Invites => plain("list_invites", json!({})),
            Self::CreateLink { room, seconds, most } => {
                in_room("create_invite_link", room, json!({"expiresInSeconds": seconds, "maxUses": most}))
            }
            Self::RevokeLink { room, link } => {
                let link = picked(*link, &model.links).map_or("none", |link| &model.links[link].id);
                in_room("revoke_invite_link", room, json!({"linkId": link}))
            }
            Self::JoinByLink { link } => {
                let token = picked(*link, &model.links).map_or("none", |link| &model.links[link].token);
                plain("join_by_link", json!({"token": token}))
            }
            Self::Cut | Self::Connect | Self::Wait { .. } | Self::Check => None,
            Self::Crash { .. } | Self::CrashAmid { .. } => None,
        }
    }
}

/// Both objects in one.
fn with(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

pub fn key_text(key: u8) -> String {
    format!("key-{key}")
}

/// Sequences of `steps` steps. They shrink by losing steps, below that number too.
pub fn sequences(steps: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Option<Step>>> {
    prop::collection::vec(prop::option::weighted(0.9999, step()), steps)
}

fn step() -> impl Strategy<Value = Step> {
    // The first user owns the first room.
    (prop_oneof![1 => Just(0), 3 => 0..USERS.len()], prop_oneof![4 => Just(0_usize), 1 => Just(1)], act())
        .prop_map(|(who, device, act)| Step { who, device, act })
}

fn act() -> impl Strategy<Value = Act> {
    let room = || prop_oneof![20 => 0..2_u8, 20 => 0..8_u8, 1 => Just(NONE)];
    let user = || prop_oneof![30 => 0..5_u8, 1 => Just(NONE)];
    let text = || prop_oneof![30 => 0..TEXTS.len() - 1, 1 => Just(TEXTS.len() - 1)];
    let message = || prop_oneof![12 => 0..8_u8, 12 => 0..60_u8, 1 => Just(NONE)];
    let other = || prop::option::weighted(0.2, prop_oneof![12 => 0..8_u8, 12 => 0..60_u8, 1 => Just(NONE)]);
    let emoji = || prop_oneof![30 => 0..EMOJI.len() - 1, 1 => Just(EMOJI.len() - 1)];
    let seq = || 0..40_u64;
    let place = || select(vec![Place::Latest, Place::Before, Place::After, Place::Around]);
    let seconds = || prop_oneof![3 => Just(None), 3 => (1..4_i64).prop_map(Some), 1 => Just(Some(0))];
    let link = || prop_oneof![20 => 0..8_u8, 1 => Just(NONE)];
    let change = prop_oneof![
        3 => (0..NAMES.len()).prop_map(Change::Name),
        2 => any::<bool>().prop_map(Change::Private),
        2 => prop::bool::weighted(0.3).prop_map(Change::Archived),
        2 => (0..3_i64).prop_map(Change::Slow),
        2 => any::<bool>().prop_map(Change::SinceJoin),
    ];
    let measure = prop_oneof![
        3 => Just(Measure::Kick),
        2 => seconds().prop_map(Measure::Ban),
        3 => Just(Measure::Unban),
        2 => seconds().prop_map(Measure::Mute),
        2 => Just(Measure::Unmute),
    ];
    prop_oneof![
        4 => (0..NAMES.len(), prop::bool::weighted(0.3)).prop_map(|(name, private)| Act::Create { name, private }),
        14 => room().prop_map(|room| Act::Join { room }),
        4 => room().prop_map(|room| Act::Leave { room }),
        30 => (room(), text(), prop::option::weighted(0.3, 0..4_u8), other(), other())
            .prop_map(|(room, text, key, reply, thread)| Act::Send { room, text, key, reply, thread }),
        8 => (user(), text(), prop::option::weighted(0.3, 0..4_u8))
            .prop_map(|(user, text, key)| Act::Direct { user, text, key }),
        2 => prop::collection::vec(user(), 0..4).prop_map(|users| Act::Group { users }),
        8 => (room(), message(), text()).prop_map(|(room, message, text)| Act::Edit { room, message, text }),
        6 => (room(), message()).prop_map(|(room, message)| Act::Delete { room, message }),
        14 => (room(), message(), emoji(), prop::bool::weighted(0.7))
            .prop_map(|(room, message, emoji, adds)| Act::React { room, message, emoji, adds }),
        7 => (room(), message(), prop::bool::weighted(0.7))
            .prop_map(|(room, message, pins)| Act::Pin { room, message, pins }),
        2 => (room(), message()).prop_map(|(room, message)| Act::Edits { room, message }),
        3 => (room(), message(), 1..5_usize)
            .prop_map(|(room, message, limit)| Act::Thread { room, message, limit }),
        2 => room().prop_map(|room| Act::Pins { room }),
        3 => (room(), place(), seq(), 1..6_usize)
            .prop_map(|(room, place, seq, limit)| Act::History { room, place, seq, limit }),
        2 => room().prop_map(|room| Act::Members { room }),
        2 => room().prop_map(|room| Act::GetRoom { room }),
        2 => any::<bool>().prop_map(|mine| Act::Rooms { mine }),
        5 => (room(), seq()).prop_map(|(room, seq)| Act::MarkRead { room, seq }),
        8 => (room(), user(), 0..ROLES.len()).prop_map(|(room, user, role)| Act::SetRole { room, user, role }),
        6 => (room(), user(), measure).prop_map(|(room, user, measure)| Act::Moderate { room, user, measure }),
        3 => (user(), prop::bool::weighted(0.4)).prop_map(|(user, blocks)| Act::Block { user, blocks }),
        1 => Just(Act::Blocks),
        1 => (room(), seq()).prop_map(|(room, seq)| Act::MarkDelivered { room, seq }),
        2 => room().prop_map(|room| Act::Records { room }),
        7 => (room(), change).prop_map(|(room, change)| Act::Update { room, change }),
        1 => room().prop_map(|room| Act::DeleteRoom { room }),
        6 => (room(), user()).prop_map(|(room, user)| Act::Invite { room, user }),
        6 => (link(), prop::bool::weighted(0.8)).prop_map(|(invite, accepts)| Act::Answer { invite, accepts }),
        1 => Just(Act::Invites),
        3 => (room(), 1..4_i64, 1..3_u64)
            .prop_map(|(room, seconds, most)| Act::CreateLink { room, seconds, most }),
        1 => (room(), link()).prop_map(|(room, link)| Act::RevokeLink { room, link }),
        4 => link().prop_map(|link| Act::JoinByLink { link }),
        3 => Just(Act::Cut),
        3 => Just(Act::Connect),
        4 => (1..3_000_i64).prop_map(|ms| Act::Wait { ms }),
        1 => any::<bool>().prop_map(|power| Act::Crash { power }),
        1 => (room(), 0..4_u8, 0..4_u8).prop_map(|(room, key, yields)| Act::CrashAmid { room, key, yields }),
        2 => Just(Act::Check),
    ]
}
