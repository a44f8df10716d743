//! A user with a canary in everything that is theirs, and looking for canaries in every row of a store.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use chat_core::{
    accounts::{
        Account, AccountStore, Device, Email, Family, FamilyId, NewAccount, PasswordHash, PasswordReset,
    },
    auth::ServerRole,
    auth::{AuthError, Hello, Identity},
    domain::{Draft, KeptPresence, PresenceMode, StatusText, Username},
    engine::Engine,
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    limits::Limits,
    store::{
        Store, UserProfile,
        kv::{Direction, OrderedKv},
    },
    testing::TestClient,
    time::Timestamp,
};
use serde_json::{Value, json};

/// Who is erased. An id says nothing of a person.
pub const BOB: &str = "0190b5a2-7a39-7c3e-8f00-000000000b0b";

/// What stands in everything of theirs.
pub const CANARY: &str = "canary";

/// The reaction that is theirs alone.
pub const EMOJI: &str = "🦤";

/// The tables in which the canary stands while they are there: profile, name, account, presence, messages,
/// former texts, long texts, files, keys of what was sent, reports, held messages.
pub const TABLES: [u8; 13] = [0x10, 0x12, 0x15, 0x16, 0x17, 0x19, 0x30, 0x32, 0x39, 0x3d, 0x50, 0x62, 0x63];

/// Tables of which all rows are theirs: addresses (which are hashed), accounts, logins, links.
pub const OWN_TABLES: [u8; 6] = [0x11, 0x13, 0x15, 0x16, 0x18, 0x2a];

/// Those in which their reaction does: who reacted, the count, and the log.
pub const REACTION_TABLES: [u8; 3] = [0x33, 0x34, 0x3a];

/// The log says for ever that an id reacted and took it back: who was away needs to hear of it.
pub const LOG_TABLE: [u8; 1] = [0x3a];

/// Holds what has "maybe" in it.
struct Careful;

#[async_trait::async_trait]
impl Hooks for Careful {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        if draft.content.as_str().contains("maybe") { Verdict::Hold } else { Verdict::Allow }
    }
}

/// An engine that lets everybody in by their id.
pub async fn engine(store: Arc<dyn Store>) -> Engine {
    let limits =
        Limits { messages_per_minute: 0, commands_per_second: 0, typing_per_second: 0, ..Limits::default() };
    let authenticator = async |hello: Hello| {
        let token = hello.token.ok_or(AuthError::Missing)?;
        let user = UserId::parse(token.expose()).map_err(|_| AuthError::Invalid)?;
        Ok(Identity::new(user, token.expose()))
    };
    Engine::builder()
        .shared_store(store)
        .authenticator(authenticator)
        .hooks(Careful)
        .limits(limits)
        .build()
        .await
        .unwrap()
}

pub fn bob() -> UserId {
    UserId::parse(BOB).unwrap()
}

/// The tables in which a text stands, in keys or values, in whatever case.
pub fn tables_with<K: OrderedKv>(kv: &K, text: &str) -> BTreeSet<u8> {
    let mut tables = BTreeSet::new();
    let found = |bytes: &[u8]| {
        let bytes = bytes.to_ascii_lowercase();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    kv.scan(&[0x02], &[0xff], Direction::Ascending, &mut |key, value| {
        if found(key) || found(value) {
            tables.insert(key[0]);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    tables
}

/// How many rows there are in which of the tables that are theirs alone.
pub fn own_rows<K: OrderedKv>(kv: &K) -> [usize; 6] {
    OWN_TABLES.map(|table| {
        let mut rows = 0;
        kv.scan(&[table], &[table + 1], Direction::Ascending, &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        rows
    })
}

/// Bob's account.
async fn account<S: AccountStore>(store: &S) {
    let at = Timestamp::from_millis(1_790_000_000_000);
    let username = Username::parse("Canary_Bob").unwrap();
    let new = NewAccount {
        profile: UserProfile::new(bob(), username, at),
        account: Account {
            user: bob(),
            email: Email::parse("canary@example.org").unwrap(),
            password: PasswordHash::from_stored("$argon2id$canary"),
            role: ServerRole::User,
        },
        family: Some(Family::begin(FamilyId::new(at, [7; 10]), bob(), Device::new("canary"), at)),
    };
    store.create_account(new).await.unwrap();
    let reset = PasswordReset { user: bob(), hash: [7; 32], expires_at: at };
    store.put_reset(reset).await.unwrap();
    let kept = KeptPresence {
        mode: PresenceMode::Dnd,
        text: StatusText::parse("away to see a canary").unwrap(),
        last_seen: None,
    };
    store.save_presences(vec![(bob(), kept)]).await.unwrap();
}

/// Has Bob leave a canary in everything that is his, Alice being there.
pub async fn release<S: Store + AccountStore>(engine: &Engine, store: &S) {
    account(store).await;
    let mut alice = TestClient::connect(engine, "alice").await;
    let mut bob = TestClient::connect(engine, BOB).await;
    TestClient::connect(engine, "carol").await;
    let room = alice.create_room("Lobby").await;
    let left = alice.create_room("Left").await;
    let gone = alice.create_room("Gone").await;
    let alone = bob.create_room("Alone").await;
    for room in [&room, &left, &gone] {
        bob.join(room).await;
    }
    let say = |room: &str, text: &str| json!({"type": "send_message", "roomId": room, "content": text});
    let on =
        |kind: &str, room: &str, message: &Value| json!({"type": kind, "roomId": room, "messageId": message});
    let files = |room: &str| {
        json!({"type": "send_message", "roomId": room, "content": "see these canaries", "messageType": "file",
            "attachments": [{"fileId": "canary", "name": "canary.png", "mime": "image/png", "size": 1,
                "url": "/files/canary/canary.png"}]})
    };
    let with = |mut command: Value, field: &str, value: &str| {
        command[field] = value.into();
        command
    };
    let theirs = alice.ack(say(&room, "from Alice")).await["messageId"].clone();
    for (number, place) in [&room, &left, &gone, &alone].into_iter().enumerate() {
        let key = format!("canary key {number}");
        let message =
            bob.ack(with(say(place, "a canary"), "clientMessageId", &key)).await["messageId"].clone();
        let long = "ü".repeat(4_990) + " canary";
        bob.ack(say(place, &long)).await;
        let edited =
            bob.ack(say(place, &format!("{} old canary", "ö".repeat(4_000)))).await["messageId"].clone();
        bob.ack(with(on("edit_message", place, &edited), "content", "new canary")).await;
        bob.ack(files(place)).await;
        let deleted = bob.ack(with(say(place, "gone"), "clientMessageId", &format!("{key} deleted"))).await;
        bob.ack(on("delete_message", place, &deleted["messageId"])).await;
        let mut reply = say(place, "canary in a thread");
        reply["threadId"] = message;
        bob.ack(reply).await;
    }
    bob.ack(with(on("add_reaction", &room, &theirs), "emoji", EMOJI)).await;
    let other = with(on("add_reaction", &room, &theirs), "emoji", "🦉");
    bob.ack(other.clone()).await;
    bob.ack(with(other, "type", "remove_reaction")).await;
    bob.ack(with(on("report_message", &room, &theirs), "reason", "eats my canary")).await;
    let own = bob.ack(files(&room)).await["messageId"].clone();
    alice.ack(with(on("report_message", &room, &own), "reason", "birds")).await;
    alice.ack(on("pin_message", &room, &own)).await;
    bob.ack(with(say(&room, "maybe a canary"), "clientMessageId", "canary held")).await;
    bob.ack(json!({"type": "send_dm", "recipientId": "alice", "content": "canary between us"})).await;
    alice.ack(json!({"type": "send_dm", "recipientId": BOB, "content": "I see"})).await;
    bob.ack(json!({"type": "set_presence", "status": "dnd", "statusText": "canary"})).await;
    let place = bob.ack(json!({"type": "create_room", "name": "Place", "private": true})).await;
    let place = place["room"]["id"].as_str().unwrap().to_owned();
    bob.ack(json!({"type": "create_invite_link", "roomId": place})).await;
    bob.ack(json!({"type": "invite", "roomId": place, "userId": "alice"})).await;
    let theirs = alice.ack(json!({"type": "create_room", "name": "Theirs", "private": true})).await;
    alice.ack(json!({"type": "invite", "roomId": theirs["room"]["id"], "userId": BOB})).await;
    bob.ack(json!({"type": "block_user", "userId": "carol"})).await;
    bob.ack(json!({"type": "leave_room", "roomId": left})).await;
    alice.ack(json!({"type": "delete_room", "roomId": gone})).await;
    let ban = json!({"type": "ban", "roomId": theirs["room"]["id"], "userId": BOB});
    alice.ack(ban).await;
}

/// Everything that Alice is told by now: what she has missed from the beginning on, and every page.
pub async fn told(engine: &Engine) -> String {
    let mut told = String::new();
    let mut alice = TestClient::connect(engine, "alice").await;
    let rooms = alice.ask(json!({"type": "list_rooms", "scope": "mine"})).await;
    let mut resume = Vec::new();
    for room in rooms["items"].as_array().unwrap() {
        let room = &room["id"];
        resume.push(json!({"roomId": room, "after": 0}));
        for kind in ["fetch_history", "list_members", "list_held", "list_reports", "fetch_audit", "list_pins"]
        {
            let answer = alice.ask(json!({"type": kind, "roomId": room})).await;
            if kind == "fetch_history" {
                for message in answer["messages"].as_array().unwrap() {
                    for kind in ["fetch_thread", "fetch_edits"] {
                        let fetch = json!({"type": kind, "roomId": room, "messageId": message["id"]});
                        told += &alice.ask(fetch).await.to_string();
                    }
                }
            }
            told += &answer.to_string();
        }
    }
    told += &rooms.to_string();
    told += &alice.ask(json!({"type": "get_presence", "userIds": [BOB]})).await.to_string();
    let count = resume.len();
    let mut alice = TestClient::connect_with(engine, "alice", json!({"resume": resume})).await;
    let mut caught_up = 0;
    while caught_up < count {
        let event = alice.event().await;
        caught_up += usize::from(event["type"] == "caught_up");
        told += &event.to_string();
    }
    told
}
