//! The bytes of every stored struct, as they stand in files that are out there. A test that fails here has found
//! a change of the format: make a new version instead.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        Attachment, Change, Content, Deleted, Edited, Emoji, Entry, InThread, Invite, InviteLink,
        KeptPresence, LeaveReason, LinkId, MemberUpdate, Mentions, Message, MessageType, PresenceMode,
        Reaction, Replies, StatusText, ThreadLeft,
    },
    id::{ClientMessageId, InviteId},
    store::{
        Block, FormerText,
        kv::{
            invites::{decode_invite, decode_link, encode_invite, encode_link},
            people::{decode_block, encode_block},
            presence::{decode_presence, encode_presence},
        },
    },
};

const UUID: &str = "0190b5a2-7a39-7c3e-8f00-000000000001";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room() -> Room {
    Room {
        id: RoomId::parse("lobby").unwrap(),
        kind: RoomKind::Public,
        name: RoomName::from_stored("Lobby"),
        description: Description::from_stored("ü"),
        created_by: user(UUID),
        created_at: Timestamp::from_millis(1_790_000_000_000),
        history: History::SinceJoin,
        slow_mode_seconds: 300,
        archived: true,
        deleted: false,
        head: Seq::new(300),
        messages: 290,
        members: 3,
        owners: 1,
        peer: None,
        retention: Retention { days: Some(30), messages: Some(1_000) },
        first: Seq::new(200),
        trimmed: 190,
    }
}

fn direct_room() -> Room {
    let at = Timestamp::from_millis(1_790_000_000_000);
    Room::direct(RoomId::parse(UUID).unwrap(), user("alice"), user("bob"), at)
}

fn invite() -> Invite {
    let (id, room) = (InviteId::parse(UUID).unwrap(), RoomId::parse("lobby").unwrap());
    Invite { id, room, user: user("bob"), by: user("alice"), at: Timestamp::from_millis(64) }
}

fn link() -> InviteLink {
    InviteLink {
        id: LinkId::from_bytes([7; 16]),
        room: RoomId::parse("lobby").unwrap(),
        by: user("alice"),
        at: Timestamp::from_millis(64),
        expires_at: Timestamp::from_millis(65),
        max_uses: Some(3),
        uses: 2,
    }
}

fn block() -> Block {
    Block { by: user("alice"), user: user(UUID), at: Timestamp::from_millis(64) }
}

fn entry(change: Change) -> Entry {
    Entry { room: room().id, seq: Seq::new(9), at: Timestamp::from_millis(-1), actor: user("alice"), change }
}

fn message() -> Message {
    let client_message_id = Some(ClientMessageId::parse("k-1").unwrap());
    Message { client_message_id, ..Message::new(7, Content::from_stored("hello")) }
}

/// A message to which everything was done, but its reactions, which have rows of their own.
fn reworked() -> Message {
    Message {
        reply_to: Some(Seq::new(5)),
        edited: Some(Edited { seq: Seq::new(10), at: Timestamp::from_millis(2) }),
        deleted: Some(Deleted { seq: Seq::new(11), at: Timestamp::from_millis(3), by: user("bob") }),
        pinned: Some(Seq::new(12)),
        message_type: MessageType::Voice,
        thread: Some(InThread { root: Seq::new(6), count: 3 }),
        replies: Replies { count: 2, last_at: Some(Timestamp::from_millis(4)) },
        mentions: Mentions { users: vec![user(UUID), user("bob")], room: true },
        ..message()
    }
}

fn attachment() -> Attachment {
    Attachment {
        file_id: "f".to_owned(),
        name: "n".to_owned(),
        mime: "a/b".to_owned(),
        size: 300,
        url: "/u".to_owned(),
        width: Some(2),
        height: None,
    }
}

fn rework() -> [Change; 7] {
    let (target, emoji) = (Seq::new(7), Emoji::parse("👍").unwrap());
    [
        Change::Edit { target, content: Content::from_stored(""), mentions: Mentions::default() },
        Change::Delete { target, thread: None },
        Change::Delete { target, thread: Some(ThreadLeft { root: target, replies: reworked().replies }) },
        Change::React { target, emoji: emoji.clone(), count: 2 },
        Change::Unreact { target, emoji, count: 1 },
        Change::Pin { target },
        Change::Unpin { target },
    ]
}

fn reaction() -> Reaction {
    Reaction { emoji: Emoji::parse("👍").unwrap(), count: 2, users: vec![user("bob"), user(UUID)] }
}

fn gone(_: Seq) -> Result<(Content, Mentions), StoreError> {
    Ok((Content::gone(), Mentions::default()))
}

fn member() -> Member {
    let joined_at = Timestamp::from_millis(5);
    Member { user: user("bob"), role: Role::Moderator, joined: Seq::new(128), joined_at }
}

fn profile() -> UserProfile {
    let created_at = Timestamp::from_millis(64);
    UserProfile {
        external: true,
        ..UserProfile::new(user(UUID), Username::parse("Alice").unwrap(), created_at)
    }
}

fn whole_profile() -> UserProfile {
    let display_name = Some(DisplayName::from_stored("A."));
    UserProfile { display_name, avatar_url: Some("/a".into()), disabled: true, ..profile() }
}

fn kept() -> KeptPresence {
    let last_seen = Some(Timestamp::from_millis(64));
    KeptPresence { mode: PresenceMode::Invisible, text: StatusText::from_stored("ü"), last_seen }
}

fn join() -> Entry {
    entry(Change::Join { user: user("bob"), role: Role::Owner, member_count: 200 })
}

fn leave() -> Entry {
    let reason = LeaveReason::Left;
    entry(Change::Leave { user: user("bob"), role: Role::Admin, reason, member_count: 1 })
}

fn banned() -> Entry {
    let reason = LeaveReason::Banned(Timestamp::from_millis(64));
    entry(Change::Leave { user: user("bob"), role: Role::Member, reason, member_count: 1 })
}

fn erased() -> Entry {
    let reason = LeaveReason::Erased;
    entry(Change::Leave { user: user("bob"), role: Role::Member, reason, member_count: 1 })
}

fn update() -> Entry {
    entry(Change::UpdateMember(MemberUpdate {
        user: user("bob"),
        was: Some(Role::Member),
        role: Some(Role::Owner),
        muted_until: Some(Timestamp::from_millis(64)),
        banned_until: None,
    }))
}

fn sanction() -> Sanction {
    Sanction { banned_until: Some(Timestamp::from_millis(64)), muted_until: None }
}

fn audit() -> AuditRecord {
    let note = crate::domain::AuditNote {
        at: Timestamp::from_millis(5),
        actor: user("alice"),
        act: crate::domain::AuditAct::Ban,
        target: Some(user("bob")),
        details: vec![("seconds", "60".to_owned())],
    };
    AuditRecord::following(2, AuditHash([7; 32]), &room().id, &note)
}

fn no_rest() -> Result<String, StoreError> {
    panic!("a short text has no continuation")
}

#[test]
fn every_stored_struct_has_the_bytes_of_version_1() {
    let sent = Sent { seq: Seq::new(300), at: Timestamp::from_millis(1), duplicate: true };
    let marker = Marker { seq: Seq::new(300), ordinal: 290 };
    let event = |change| encode_event(&entry(change)).unwrap().unwrap();
    let rows = [
        ("profile", encode_user(&profile()).unwrap()),
        ("whole profile", encode_user(&whole_profile()).unwrap()),
        ("named", encode_named("lobby").unwrap()),
        ("user count", encode(&v1::UserCount { rooms: 2, version: 129 }).unwrap()),
        ("presence", encode_presence(&user(UUID), &kept()).unwrap()),
        ("room", encode_room(&room()).unwrap()),
        ("direct room", encode_room(&direct_room()).unwrap()),
        ("invite", encode_invite(&invite()).unwrap()),
        ("link", encode_link(&link()).unwrap()),
        ("block", encode_block(&block()).unwrap()),
        ("room count", encode_room_count(&room()).unwrap()),
        ("member", encode_member(&member()).unwrap()),
        ("message", encode_message(&entry(Change::Send(message())), &message(), "hello", 200).unwrap()),
        ("describe", event(Change::Describe(Box::new(room())))),
        ("delete room", event(Change::DeleteRoom)),
        ("dropped", encode(&v1::Dropped { room: v1::Id::of("lobby"), head: 300 }).unwrap()),
        ("join", encode_event(&join()).unwrap().unwrap()),
        ("leave", encode_event(&leave()).unwrap().unwrap()),
        ("banned", encode_event(&banned()).unwrap().unwrap()),
        ("erased", encode_event(&erased()).unwrap().unwrap()),
        ("update member", encode_event(&update()).unwrap().unwrap()),
        ("sanction", encode_sanction(&user("bob"), sanction()).unwrap()),
        ("audit", encode_audit(&audit()).unwrap()),
        ("audit head", encode(&v1::AuditHead { count: 300, hash: [7; 32] }).unwrap()),
        ("marker", encode_marker(marker).unwrap()),
        ("tally", encode(&v1::Tally { counts: vec![(3, 1), (255, 256)] }).unwrap()),
        ("sent", encode_sent(sent).unwrap()),
        ("run", encode(&v1::Run { durability: 1, clean: true }).unwrap()),
        ("epoch", encode(&v1::Epoch { epoch: "e" }).unwrap()),
        ("present", PRESENT.to_vec()),
    ];
    let reworked = encode_message(&entry(Change::Send(reworked())), &reworked(), "hello", 200).unwrap();
    let beside = [
        ("reworked", reworked),
        ("attachment", encode_attachment(&attachment()).unwrap()),
        ("former", encode_former(2, Timestamp::from_millis(3), "hello", 200).unwrap()),
        ("reacted", encode_reacted(&user("bob"), Seq::new(9)).unwrap()),
        ("reaction", encode_reaction(&reaction(), Seq::new(9)).unwrap()),
    ];
    let rows = rows.into_iter().chain(rework().map(|change| ("rework", event(change)))).chain(beside);
    let rows: Vec<_> = rows.collect();
    let found: Vec<_> = rows.iter().map(|(name, bytes)| format!("{name} {}", hex(bytes))).collect();
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [&str; 42] = [
    "profile 01000190b5a27a397c3e8f0000000000000105416c696365800101",
    "whole profile 02000190b5a27a397c3e8f0000000000000105416c6963658001010102412e01022f6101",
    "named 0101056c6f626279",
    "user count 01028101",
    "presence 01000190b5a27a397c3e8f000000000000010202c3bc018001",
    "room 0101056c6f62627900054c6f62627902c3bc000190b5a27a397c3e8f0000000000000180b083c598680100ac020100011e01e807c801be01",
    "direct room 01000190b5a27a397c3e8f000000000000010200000105616c69636580b083c5986800010103626f6200000000000100",
    "invite 01000190b5a27a397c3e8f0000000000000101056c6f6262790103626f620105616c6963658001",
    "link 0101056c6f6262790105616c69636580018201010302",
    "block 010105616c696365000190b5a27a397c3e8f000000000000018001",
    "room count 01ac02a2020301",
    "member 010103626f620180010a",
    "message 01010105616c69636507000101036b2d310568656c6c6fc801",
    "describe 01010105616c6963650001056c6f62627900054c6f62627902c3bc000190b5a27a397c3e8f0000000000000180b083c598680100ac020100011e01e807c801be01ac02a2020301",
    "delete room 01010105616c6963650a",
    "dropped 0101056c6f626279ac02",
    "join 01010105616c696365010103626f6203c801",
    "leave 01010105616c696365020103626f62020001",
    "banned 01010105616c696365020103626f620002800101",
    "erased 01010105616c696365020103626f62000301",
    "update member 01010105616c696365030103626f620100010301800100",
    "sanction 010103626f6201800100",
    "audit 0101056c6f6262790a0105616c6963650362616e010103626f6201077365636f6e64730236300707070707070707070707070707070707070707070707070707070707070707bf69b97c3da35a32cc4093fedcdfaebd6f3d68d96cdad44737a89b49081c5c4d",
    "audit head 01ac020707070707070707070707070707070707070707070707070707070707070707",
    "marker 01ac02a202",
    "tally 01020301ff8002",
    "sent 01ac0202",
    "run 010101",
    "epoch 010165",
    "present 01",
    "rework 01010105616c6963650407",
    "rework 01010105616c696365050700",
    "rework 01010105616c69636505070107020108",
    "rework 01010105616c696365060704f09f918d02",
    "rework 01010105616c696365070704f09f918d01",
    "rework 01010105616c6963650807",
    "rework 01010105616c6963650907",
    "reworked 02010105616c69636507030101036b2d310568656c6c6fc801000005010a04010b060103626f620c060302010802000190b5a27a397c3e8f000000000000010103626f6201",
    "attachment 010166016e03612f62ac02022f75010200",
    "former 0104060568656c6c6fc801",
    "reacted 010103626f6209",
    "reaction 010902020103626f62000190b5a27a397c3e8f00000000000001",
];

#[test]
fn every_stored_struct_comes_back_as_it_was() {
    for user in [profile(), whole_profile()] {
        assert_eq!(decode_user(&encode_user(&user).unwrap()), Ok(user));
    }
    let (row, count) = (encode_room(&room()).unwrap(), encode_room_count(&room()).unwrap());
    assert_eq!(decode_room(&row, &count), Ok(room()));
    assert_eq!(decode_head(&count), Ok(Seq::new(300)));
    let direct = direct_room();
    let (row, count) = (encode_room(&direct).unwrap(), encode_room_count(&direct).unwrap());
    assert_eq!(decode_room(&row, &count), Ok(direct));
    assert_eq!(decode_invite(&encode_invite(&invite()).unwrap()), Ok(invite()));
    assert_eq!(decode_link(link().id, &encode_link(&link()).unwrap()), Ok(link()));
    assert_eq!(decode_block(&user("alice"), &encode_block(&block()).unwrap()), Ok(block()));
    assert_eq!(decode_member(&encode_member(&member()).unwrap()), Ok(member()));
    assert_eq!(
        decode_sanction(&encode_sanction(&user("bob"), sanction()).unwrap()),
        Ok((user("bob"), sanction()))
    );
    assert_eq!(decode_audit(3, &encode_audit(&audit()).unwrap()), Ok(audit()));
    let presence = encode_presence(&user(UUID), &kept()).unwrap();
    assert_eq!(decode_presence(&presence), Ok((user(UUID), kept())));
    let others = [join(), leave(), banned(), erased(), update(), entry(Change::Describe(Box::new(room())))];
    for entry in others.into_iter().chain(rework().map(entry)) {
        let row = encode_event(&entry).unwrap().unwrap();
        assert_eq!(decode_event(&entry.room, entry.seq, &row, gone), Ok(entry));
    }
    for message in [message(), reworked()] {
        let sent = entry(Change::Send(message.clone()));
        let row = encode_message(&sent, &message, "hello", 0).unwrap();
        assert_eq!(decode_message(&sent.room, sent.seq, &row, no_rest), Ok(sent));
    }
    let row = encode_reaction(&reaction(), Seq::new(9)).unwrap();
    assert_eq!(decode_reaction("👍", &row), Ok((reaction(), Seq::new(9))));
    assert_eq!(decode_attachment(&encode_attachment(&attachment()).unwrap()), Ok(attachment()));
    let row = encode_former(2, Timestamp::from_millis(3), "hello", 0).unwrap();
    let (written_at, replaced_at) = (Timestamp::from_millis(2), Timestamp::from_millis(3));
    let former = FormerText { content: Content::from_stored("hello"), written_at, replaced_at };
    assert_eq!(decode_former(&row, no_rest), Ok(former));
}

#[test]
fn a_newer_version_is_named_and_damage_is_an_error() {
    let mut row = encode_member(&member()).unwrap();
    row[0] = 9;
    assert_eq!(decode_member(&row), Err(StoreError::TooNew { found: 9 }));
    row[0] = 0;
    assert!(matches!(decode_member(&row), Err(StoreError::Corrupt(_))));
    let row = encode_member(&member()).unwrap();
    for cut in 0..row.len() {
        assert!(matches!(decode_member(&row[..cut]), Err(StoreError::Corrupt(_))), "{cut}");
    }
    assert!(matches!(decode_member(&[&row[..], &[0]].concat()), Err(StoreError::Corrupt(_))));
}

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9._:@|-]{1,64}",
        any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string()),
        any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string().to_uppercase()),
    ]
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Moderator), Just(Role::Admin), Just(Role::Owner)]
}

prop_compose! {
    fn any_room()(
        (id, created_by) in (any_id(), any_id()),
        (name, description) in (".{1,100}", "(?s).{0,300}"),
        (public, all, archived, deleted) in any::<(bool, bool, bool, bool)>(),
        slow_mode_seconds in any::<u32>(),
        created_at in any::<i64>(),
        (head, messages) in (0..=Seq::MAX.get(), any::<u64>()),
        (members, owners) in any::<(u32, u32)>(),
        peer in prop::option::of(any_id()),
        (days, messages_kept) in any::<(Option<u32>, Option<u32>)>(),
        (first, trimmed) in (0..=Seq::MAX.get(), any::<u64>()),
    ) -> Room {
        Room {
            id: RoomId::parse(&id).unwrap(),
            kind: if public { RoomKind::Public } else { RoomKind::Private },
            name: RoomName::from_stored(&name),
            description: Description::from_stored(&description),
            created_by: user(&created_by),
            created_at: Timestamp::from_millis(created_at),
            history: if all { History::All } else { History::SinceJoin },
            slow_mode_seconds,
            archived,
            deleted,
            head: Seq::new(head),
            messages,
            members,
            owners,
            peer: peer.map(|peer| user(&peer)),
            retention: Retention { days, messages: messages_kept },
            first: Seq::new(first),
            trimmed,
        }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    let left = LeaveReason::Left;
    prop_oneof![
        any_room().prop_map(|room| Change::Describe(Box::new(room))),
        (any_id(), any_role(), any::<u32>()).prop_map(|(id, role, member_count)| Change::Join {
            user: user(&id),
            role,
            member_count
        }),
        (any_id(), any_role(), any::<u32>()).prop_map(move |(id, role, member_count)| {
            Change::Leave { user: user(&id), role, reason: left, member_count }
        }),
    ]
}

proptest! {
    #[test]
    fn any_room_comes_back_as_it_was(room in any_room()) {
        let decoded = decode_room(&encode_room(&room).unwrap(), &encode_room_count(&room).unwrap());
        prop_assert_eq!(decoded, Ok(room));
    }

    #[test]
    fn any_entry_comes_back_as_it_was(
        actor in any_id(), at in any::<i64>(), seq in 1..=Seq::MAX.get(), change in any_change(),
    ) {
        let (at, seq, actor) = (Timestamp::from_millis(at), Seq::new(seq), user(&actor));
        let entry = Entry { room: room().id, seq, at, actor, change };
        let row = encode_event(&entry).unwrap().unwrap();
        prop_assert_eq!(decode_event(&entry.room, seq, &row, gone), Ok(entry));
    }

    #[test]
    fn any_message_comes_back_as_it_was(
        text in "(?s).{1,8000}", key in prop::option::of(prop_oneof!["[a-zäß€🦀 ]{1,64}", any_id()]), ordinal in any::<u64>(), actor in any_id(), plain in any::<bool>(),
    ) {
        let plain = if plain { Message::new(0, Content::gone()) } else { reworked() };
        let message = Message {
            ordinal,
            content: Content::from_stored(&text),
            client_message_id: key.map(|key| ClientMessageId::parse(&key).unwrap()),
            ..plain
        };
        let entry = Entry { actor: user(&actor), ..entry(Change::Send(message.clone())) };
        let (inline, parts) = split_text(&text);
        let row = encode_message(&entry, &message, inline, text.len() - inline.len()).unwrap();
        prop_assert!(row.len() <= crate::limits::STORE_VALUE_BYTES_MAX);
        prop_assert!(parts.iter().all(|part| (1..=TEXT_PART_BYTES).contains(&part.len())));
        prop_assert_eq!(text_bytes(&row), Ok(text.len()));
        prop_assert_eq!(decode_message(&entry.room, entry.seq, &row, || Ok(parts.concat())), Ok(entry));
    }

    #[test]
    fn bytes_of_any_origin_decode_to_an_error_or_a_value_but_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..80), version in VERSION..=MESSAGE_VERSION,
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        let _ = (decode_presence(&bytes), decode_user(&bytes), decode_member(&bytes), decode_marker(&bytes), decode_sent(&bytes));
        let _ = (decode_room(&bytes, &bytes), decode_event(&room().id, Seq::new(1), &bytes, gone));
        let _ = decode_message(&room().id, Seq::new(1), &bytes, || Ok(String::new()));
        let _ = (decode_reaction("👍", &bytes), decode_former(&bytes, || Ok(String::new())), decode_attachment(&bytes));
    }
}
