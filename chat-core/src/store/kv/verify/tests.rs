//! Every kind of damage is noticed.

use super::*;
use crate::{
    domain::{
        Actor, Attachment, Attachments, Command, Content, Cut, Draft, Emoji, KeptPresence, LinkId, LinkSpec,
        MembersOnly, MessageType, Moderation, Needs, Plan, Request, Retention, RoomChange, RoomSpec, Rows,
        TextRules, Username,
    },
    id::{ClientMessageId, InviteId, UserId},
    store::{
        Block, Maintenance, PeopleStore, RoomStore, UserProfile, UserStore,
        kv::{KvBatch, KvStore, MemKv},
    },
    time::Timestamp,
};

/// A store with one row, at least, in every table.
async fn filled() -> MemKv {
    let kv = MemKv::new();
    let store = KvStore::inline(kv.clone()).unwrap();
    let alice = UserId::parse("alice").unwrap();
    let username = Username::parse("alice").unwrap();
    let at = Timestamp::from_millis(1_790_000_000_000);
    store.create_user(UserProfile::new(alice.clone(), username, at)).await.unwrap();
    store.save_presences(vec![(alice.clone(), KeptPresence::default())]).await.unwrap();
    let unborn = Room::unborn(RoomId::parse("lobby").unwrap());
    let rules = TextRules { content_chars: 20_000 };
    let bob = UserId::parse("bob").unwrap();
    let rows = Rows {
        members: HashMap::from([(bob.clone(), None)]),
        profiles: [bob.clone()].into(),
        targets: [3, 4].map(|seq| (Seq::new(seq), None)).into(),
        pins: Some(0),
        ..Rows::default()
    };
    let mut plan = Plan::on(&unborn, rows, &MembersOnly, rules);
    let text = |text: &str, key: Option<&str>| {
        Command::Send(Draft {
            client_message_id: key.map(|key| ClientMessageId::parse(key).unwrap()),
            ..Draft::new(Content::parse(text, rules).unwrap())
        })
    };
    let files = Attachments::from_stored(vec![Attachment {
        file_id: "f".to_owned(),
        name: "n".to_owned(),
        mime: "a/b".to_owned(),
        size: 1,
        url: "/u".to_owned(),
        width: None,
        height: None,
    }]);
    let commands = [
        Command::Create(RoomSpec::public("Lobby").unwrap()),
        text("short", Some("k")),
        text(&"long".repeat(4_000), None),
        Command::Edit {
            target: Seq::new(4),
            content: Content::parse(&"longer".repeat(3_000), rules).unwrap(),
        },
        Command::Send(Draft::text("reply").unwrap().in_thread(Seq::new(3)).with(MessageType::File, files)),
        Command::React { target: Seq::new(3), emoji: Emoji::parse("👍").unwrap() },
        Command::Pin { target: Seq::new(3) },
        Command::Moderate(Moderation::ban(bob.clone(), None)),
    ];
    for command in commands {
        plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
    }
    store.commit(plan.into_commit().unwrap()).await.unwrap();
    let bob = UserId::parse("bob").unwrap();
    let unborn = Room::unborn(RoomId::direct(&alice, &bob));
    let mut plan = Plan::on(&unborn, Rows::default(), &MembersOnly, rules);
    let command = Command::SendDirect(bob.clone(), Draft::text("to you").unwrap());
    plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
    store.commit(plan.into_commit().unwrap()).await.unwrap();
    store.block(Block { by: alice.clone(), user: bob, at }).await.unwrap();
    let carol = UserId::parse("carol").unwrap();
    let lobby = store.room(&RoomId::parse("lobby").unwrap()).await.unwrap().unwrap();
    let username = Username::parse("carol").unwrap();
    let profile = UserProfile::new(carol.clone(), username, at);
    store.create_user(profile).await.unwrap();
    let needs = Needs {
        members: vec![alice.clone(), carol.clone()],
        profiles: vec![carol.clone()],
        ..Needs::default()
    };
    let rows = store.gather(&lobby.id, &needs).await.unwrap();
    let mut plan = Plan::on(&lobby, rows, &MembersOnly, rules);
    let spec = LinkSpec::new(None, Some(2)).unwrap();
    for command in [
        Command::Invite(carol, InviteId::parse("invite").unwrap()),
        Command::CreateLink(LinkId::from_bytes([7; 16]), spec),
    ] {
        plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
    }
    store.commit(plan.into_commit().unwrap()).await.unwrap();
    let dan = Actor::new(UserId::parse("dan").unwrap());
    let mut plan =
        Plan::on(&Room::unborn(RoomId::parse("short").unwrap()), Rows::default(), &MembersOnly, rules);
    let spec = RoomSpec::private("Short").unwrap();
    let change = RoomChange { retention_messages: Some(Some(1)), ..RoomChange::default() };
    let retention = Retention { days: None, messages: Some(1) };
    let cut = Cut { retention, first: Seq::new(4), trimmed: 1 };
    for command in [
        Command::Create(spec),
        text("cut", None),
        text("kept", None),
        Command::Update(change),
        Command::Trim(cut),
    ] {
        plan.decide(&Request { actor: dan.clone(), at, command }).unwrap();
    }
    store.commit(plan.into_commit().unwrap()).await.unwrap();
    while store.sweep(at).await.unwrap() {}
    kv
}

fn all_rows(kv: &MemKv) -> Vec<KeyValue> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    kv.scan(&[0x02], &[0xff], Direction::Ascending, visit).unwrap();
    rows
}

fn set(kv: &MemKv, key: &[u8], value: Option<Vec<u8>>) {
    kv.apply(KvBatch { changes: vec![(key.to_vec(), value)] }).unwrap();
}

fn is_noticed(kv: &MemKv) -> bool {
    verify(kv).map_or(true, |differences| !differences.is_empty())
}

#[tokio::test]
async fn a_row_that_is_missing_is_noticed_unless_nothing_depends_on_it() {
    let kv = filled().await;
    assert_eq!(verify(&kv), Ok(Vec::new()));
    for (key, value) in all_rows(&kv) {
        set(&kv, &key, None);
        // Presences, blocks and what was sent under keys are kept once: they may go.
        let kept_twice = !matches!(key[0], table::PRESENCE | table::BLOCK | table::SENT);
        assert_eq!(is_noticed(&kv), kept_twice, "table {:02x}", key[0]);
        set(&kv, &key, Some(value));
    }
    assert_eq!(verify(&kv), Ok(Vec::new()));
}

#[tokio::test]
async fn a_row_under_another_key_is_noticed_in_every_table() {
    let kv = filled().await;
    let tables: BTreeSet<u8> = all_rows(&kv).iter().map(|(key, _)| key[0]).collect();
    let expected = [
        table::USER,
        table::USERNAME,
        table::USER_COUNT,
        table::PRESENCE,
        table::ROOM,
        table::ROOM_COUNT,
        table::MEMBER,
        table::ROOM_OF_USER,
        table::ROOM_NAME,
        table::SANCTION,
        table::INVITE,
        table::INVITE_OF_USER,
        table::LINK,
        table::BLOCK,
        table::MESSAGE,
        table::THREAD,
        table::FORMER,
        table::ATTACHMENT,
        table::REACTED,
        table::REACTION,
        table::PIN,
        table::AUTHOR,
        table::TEXT,
        table::EVENT,
        table::MARKER,
        table::SENT,
        table::AUDIT,
        table::AUDIT_HEAD,
        table::RETENTION,
    ];
    assert_eq!(tables, BTreeSet::from(expected));
    // Whoever belongs to direct rooms only counts no rooms, as does whoever has left all of theirs.
    let uncounted = keys::user_count(&keys::id16("bob"));
    for (key, value) in all_rows(&kv).into_iter().filter(|(key, _)| *key != uncounted) {
        let mut other = key.clone();
        // A marker stands under a user, who need not be a member, and a room, which has to be there.
        other[if key[0] == table::MARKER { 20 } else { 3 }] ^= 0x01;
        set(&kv, &other, Some(value));
        assert!(is_noticed(&kv), "table {:02x}", key[0]);
        set(&kv, &other, None);
    }
    assert_eq!(verify(&kv), Ok(Vec::new()));
}

#[tokio::test]
async fn a_wrong_count_and_a_marker_beyond_the_head_are_noticed() {
    let kv = filled().await;
    let room16 = keys::id16("lobby");
    let user16 = keys::id16("alice");
    let wrong = [
        (
            keys::room_count(&room16),
            values::encode(&v1::RoomCount { head: 9, messages: 3, members: 2, owners: 1 }),
        ),
        (
            keys::room_count(&room16),
            values::encode(&v1::RoomCount { head: 9, messages: 2, members: 1, owners: 1 }),
        ),
        (
            keys::room_count(&room16),
            values::encode(&v1::RoomCount { head: 4, messages: 2, members: 1, owners: 1 }),
        ),
        (keys::user_count(&user16), values::encode(&v1::UserCount { rooms: 2, version: 1 })),
        (keys::marker(&user16, &room16), values::encode(&v1::Marker { seq: 10, ordinal: 2 })),
    ];
    for (key, value) in wrong {
        let right = kv.get(&key).unwrap();
        set(&kv, &key, Some(value.unwrap()));
        let differences = verify(&kv).unwrap();
        assert!(!differences.is_empty(), "table {:02x}", key[0]);
        set(&kv, &key, right);
    }
    assert_eq!(verify(&kv), Ok(Vec::new()));
}
