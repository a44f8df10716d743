//! Obligations of [`crate::store::ErasureStore`].
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    Trouble, at, done, draft, key, page, planned, profile, public_room, request, room_id, send, texts, user,
    verifies,
};
use crate::{
    domain::{
        Attachments, AuditAct, AuditNote, Command, Content, Draft, Emoji, Erasing, GroupSpec, Guard,
        HeldMessage, KeptPresence, LinkId, LinkSpec, MessageType, Moderation, Needs, Outcome, PresenceMode,
        Rejection, Report, ReportReason, Resolution, Role, RoomChange, RoomSpec, Snapshot, StatusText,
        Username,
    },
    id::{HeldId, InviteId, ReportId, RoomId, Seq},
    limits::DELETED_ROOM_GRACE_MS,
    store::{Block, CommitError, CreateUserError, Erasure, ErasureStage, Keeping, PageRequest, Place, Store},
    time::Timestamp,
};

/// A room of Alice's with Bob in it; both and Carol have profiles.
pub(crate) async fn before<S: Store>(store: &S) -> RoomId {
    for name in ["alice", "bob", "carol"] {
        store.create_user(profile(name, name)).await.unwrap();
    }
    let room = public_room(store, "lobby", "alice").await;
    done(store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    room
}

/// Does what is left to erase Bob, whose only room this is.
pub(crate) async fn finished<S: Store>(store: S, room: &RoomId) -> S {
    erased(&store, room, "bob").await;
    store
}

/// Erases a user out of one room and out of the store; who is its last owner leaves it to Bob.
async fn erased<S: Store>(store: &S, room: &RoomId, name: &str) {
    let id = user(name);
    assert_eq!(store.begin_erasure(&id).await, Ok(true));
    let erase = |erasing| request(name, 100, Command::Erase(erasing));
    done(store, room, &erase(Erasing::Membership { successor: Some(user("bob")) })).await.unwrap();
    for entry in store.authored(&id, PageRequest::first(200)).await.unwrap().items {
        // Nothing can be done in a room that was deleted.
        match done(store, &entry.room, &erase(Erasing::Message(entry.seq))).await {
            Ok(_) | Err(Trouble::Rejected(Rejection::NO_ROOM)) => {}
            Err(trouble) => panic!("deleting came to {trouble:?}"),
        }
    }
    for given in store.reactions_by(&id, PageRequest::first(200)).await.unwrap().items {
        done(store, &given.room, &erase(Erasing::Reaction(given.target, given.emoji))).await.unwrap();
    }
    let mut cursor = None;
    loop {
        cursor = store.erase_rows(&id, cursor).await.unwrap();
        verifies(store).await;
        if cursor.is_none() {
            break;
        }
    }
    store.advance_erasure(&id, Erasure::at(ErasureStage::Done)).await.unwrap();
}

/// That a command is not saved, because Bob is erased.
pub(crate) async fn is_refused<S: Store>(store: &S, room: &RoomId, actor: &str, command: Command) {
    match done(store, room, &request(actor, 9, command.clone())).await {
        Err(Trouble::Commit(CommitError::Guard(Guard::NotErased(erased)))) if erased == user("bob") => {}
        other => panic!("{command:?} of {actor} came to {other:?}"),
    }
}

fn emoji() -> Emoji {
    Emoji::parse("👍").unwrap()
}

fn held(room: &RoomId, number: usize, author: &str) -> HeldMessage {
    let id = HeldId::parse(&format!("0190b5a2-7a39-7c3e-8f00-{number:012x}")).unwrap();
    let draft = Draft::text("held").unwrap().keyed(key(&format!("held {number}")));
    HeldMessage { id, room: room.clone(), author: user(author), at: at(1), draft }
}

fn report(room: &RoomId, number: usize, reporter: &str, author: &str) -> Report {
    Report {
        id: ReportId::parse(&format!("0190b5a2-7a39-7c3e-8f01-{number:012x}")).unwrap(),
        room: room.clone(),
        reporter: user(reporter),
        at: at(2),
        reason: ReportReason::parse("rude").unwrap(),
        snapshot: Snapshot {
            seq: Seq::new(number as u64 + 1),
            author: user(author),
            at: at(1),
            content: Content::from_stored(&"reported ".repeat(999)),
            message_type: MessageType::Text,
            attachments: Attachments::default(),
        },
        resolved: None,
    }
}

fn block(by: &str, other: &str) -> Block {
    Block { by: user(by), user: user(other), at: at(1) }
}

fn presence() -> KeptPresence {
    KeptPresence { mode: PresenceMode::Dnd, text: StatusText::parse("busy").unwrap(), last_seen: Some(at(1)) }
}

async fn room_of<S: Store>(store: &S, id: &str, owner: &str) -> RoomId {
    let room = room_id(id);
    let spec = RoomSpec::private(id).unwrap();
    done(store, &room, &request(owner, 0, Command::Create(spec))).await.unwrap();
    room
}

pub async fn nothing_new_is_saved_of_a_user_who_is_erased<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = before(&store).await;
    let theirs = send(&store, &room, "alice", "text").await;
    let own = send(&store, &room, "bob", "own").await;
    let direct = RoomId::direct(&user("bob"), &user("alice"));
    let to = |name: &str, text: &str| Command::SendDirect(user(name), Draft::text(text).unwrap());
    done(&store, &direct, &request("bob", 2, to("alice", "hello"))).await.unwrap();
    let private = room_of(&store, "attic", "bob").await;
    let invite = |name: &str| Command::Invite(user(name), InviteId::parse("invite").unwrap());
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    let before = (store.room(&room).await.unwrap(), store.room(&direct).await.unwrap());
    let content = Content::from_stored("other");
    let spec = LinkSpec::new(None, None).unwrap();
    let of_bob = [
        draft("text", None),
        draft("text", Some("key")),
        Command::Edit { target: own, content },
        Command::React { target: theirs, emoji: emoji() },
        Command::Leave,
    ];
    for command in of_bob {
        is_refused(&store, &room, "bob", command).await;
    }
    for command in [
        Command::CreateLink(LinkId::from_bytes([1; 16]), spec),
        invite("alice"),
        Command::Update(RoomChange { archived: Some(true), ..RoomChange::default() }),
        Command::DeleteRoom,
    ] {
        is_refused(&store, &private, "bob", command).await;
    }
    is_refused(&store, &room_id("new"), "bob", Command::Create(RoomSpec::public("New").unwrap())).await;
    is_refused(&store, &RoomId::direct(&user("bob"), &user("carol")), "bob", to("carol", "hi")).await;
    is_refused(&store, &direct, "bob", to("alice", "again")).await;
    // About them.
    is_refused(&store, &direct, "alice", to("bob", "are you there?")).await;
    is_refused(&store, &direct, "alice", draft("are you there?", None)).await;
    is_refused(&store, &RoomId::direct(&user("bob"), &user("carol")), "carol", to("bob", "hi")).await;
    let group = GroupSpec::new(&user("alice"), &[user("bob"), user("carol")], None).unwrap();
    is_refused(&store, &room_id("group"), "alice", Command::CreateGroup(group)).await;
    for moderation in [
        Moderation::ban(user("bob"), None),
        Moderation::mute(user("bob"), None),
        Moderation::kick(user("bob")),
        Moderation::set_role(user("bob"), Role::Admin),
    ] {
        is_refused(&store, &room, "alice", Command::Moderate(moderation)).await;
    }
    // Nobody can be invited who has no profile any more; a plan from before would say so.
    let needs = Needs { profiles: vec![user("bob")], ..Needs::default() };
    assert!(store.gather(&room, &needs).await.unwrap().profiles.is_empty());
    assert_eq!((store.room(&room).await.unwrap(), store.room(&direct).await.unwrap()), before);

    assert_eq!(store.hold(held(&room, 1, "bob")).await, Ok(Keeping::AuthorFull));
    assert_eq!(store.report(report(&room, 1, "bob", "alice")).await, Ok(Keeping::AuthorFull));
    assert_eq!(store.report(report(&room, 2, "alice", "bob")).await, Ok(Keeping::AuthorFull));
    assert_eq!(store.hold(held(&room, 3, "alice")).await, Ok(Keeping::Kept));
    let note = AuditNote {
        at: at(3),
        actor: user("bob"),
        act: AuditAct::DiscardMessage,
        target: None,
        details: vec![],
    };
    assert_eq!(store.discard_held(&room, &held(&room, 3, "alice").id, note).await, Ok(false));
    assert_eq!(store.report(report(&room, 4, "alice", "carol")).await, Ok(Keeping::Kept));
    let resolution = Resolution { by: user("bob"), at: at(4) };
    assert_eq!(
        store.resolve_report(&room, &report(&room, 4, "alice", "carol").id, resolution).await,
        Ok(false)
    );
    assert_eq!(store.block(block("bob", "alice")).await, Ok(false));
    assert_eq!(store.block(block("carol", "bob")).await, Ok(false));
    store.save_presences(vec![(user("alice"), presence()), (user("bob"), presence())]).await.unwrap();
    let saved = store.presences(&[user("alice"), user("bob")]).await.unwrap();
    assert_eq!(saved, [Some(presence()), None]);
    assert!(matches!(store.create_user(profile("bob", "bobby")).await, Err(CreateUserError::IdTaken)));
    verifies(&store).await;
}

pub async fn a_commit_planned_before_an_erasure_is_not_saved_after_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = before(&store).await;
    let invite = Command::Invite(user("carol"), InviteId::parse("invite").unwrap());
    done(&store, &room, &request("alice", 2, invite)).await.unwrap();
    let commit = |actor: &'static str, command: Command| {
        let (store, room) = (&store, &room);
        async move { planned(store, room, &[request(actor, 3, command)]).await.unwrap().1.unwrap() }
    };
    let commits = [
        commit("bob", draft("text", None)).await,
        commit("carol", Command::Join).await,
        commit("carol", Command::AcceptInvite(InviteId::parse("invite").unwrap())).await,
        commit("alice", Command::Moderate(Moderation::ban(user("carol"), None))).await,
    ];
    for name in ["bob", "carol"] {
        assert_eq!(store.begin_erasure(&user(name)).await, Ok(true));
    }
    let before = store.room(&room).await.unwrap();
    for (commit, erased) in commits.into_iter().zip(["bob", "carol", "carol", "carol"]) {
        let guard = Guard::NotErased(user(erased));
        assert_eq!(store.commit(commit).await, Err(CommitError::Guard(guard)));
    }
    assert_eq!(store.room(&room).await.unwrap(), before);
    verifies(&store).await;
}

pub async fn what_erases_a_user_is_saved<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = before(&store).await;
    let theirs = send(&store, &room, "bob", "text").await;
    let root = send(&store, &room, "bob", "root").await;
    let reply = Draft::text("reply").unwrap().in_thread(root);
    done(&store, &room, &request("alice", 2, Command::Send(reply))).await.unwrap();
    done(&store, &room, &request("bob", 2, Command::React { target: root, emoji: emoji() })).await.unwrap();
    let mute = Command::Moderate(Moderation::mute(user("bob"), None));
    done(&store, &room, &request("alice", 3, mute)).await.unwrap();
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    let erase = |erasing| request("bob", 9, Command::Erase(erasing));
    // What was under way goes through as well, as long as it takes something back.
    let unreact = Command::Unreact { target: root, emoji: emoji() };
    done(&store, &room, &request("bob", 4, unreact)).await.unwrap();
    done(&store, &room, &request("alice", 4, Command::Delete { target: theirs })).await.unwrap();
    let gone = done(&store, &room, &erase(Erasing::Membership { successor: None })).await.unwrap();
    assert!(matches!(gone, Outcome::Left(_)));
    for target in [theirs, root] {
        done(&store, &room, &erase(Erasing::Message(target))).await.unwrap();
    }
    let needs = Needs { members: vec![user("bob")], ..Needs::default() };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!((rows.member(&user("bob")), rows.sanctions.len()), (None, 0));
    let audit = store.audit(&room, PageRequest::first(1)).await.unwrap().items.remove(0);
    assert_eq!((audit.act.as_str(), audit.target), ("erase_user", Some(user("bob"))));
    assert_eq!(texts(&page(&store, &room, Place::Latest, 9).await.messages), ["", "", "reply"]);
    verifies(&store).await;
}

pub async fn a_user_who_is_erased_gives_their_name_back_at_once<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    before(&store).await;
    store.save_presences(vec![(user("bob"), presence())]).await.unwrap();
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    let profiles = store.users(&[user("bob")]).await.unwrap();
    let erased = profiles[0].as_ref().unwrap();
    assert_eq!((&erased.username, erased.created_at), (&Username::erased(), Timestamp::default()));
    assert_eq!(store.presences(&[user("bob")]).await.unwrap(), [None]);
    let bob = Username::parse("BOB").unwrap();
    assert_eq!(store.user_named(&bob).await, Ok(None));
    assert_eq!(store.user_named(&Username::erased()).await, Ok(None));
    store.create_user(profile("other", "Bob")).await.unwrap();
    assert_eq!(store.user_named(&bob).await, Ok(Some(user("other"))));
    assert_eq!(store.begin_erasure(&user("carol")).await, Ok(true), "two may be called so");
    verifies(&store).await;
}

pub async fn an_erasure_is_listed_until_it_is_at_its_end_and_known_for_ever<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let bob = user("bob");
    assert_eq!(store.begin_erasure(&bob).await, Ok(false), "there is no such user");
    assert_eq!(store.erasure(&bob).await, Ok(None));
    store.advance_erasure(&bob, Erasure::at(ErasureStage::Done)).await.unwrap();
    assert_eq!(store.erase_rows(&bob, None).await.map(drop), Ok(()));
    let room = before(&store).await;
    assert_eq!(store.erasure(&bob).await, Ok(None));
    assert_eq!(store.begin_erasure(&bob).await, Ok(true));
    let listed = async || store.erasures(PageRequest::first(9)).await.unwrap().items;
    assert_eq!(listed().await, std::slice::from_ref(&bob));
    assert_eq!(store.erasure(&bob).await, Ok(Some(Erasure::at(ErasureStage::Memberships))));
    let on = Erasure { stage: ErasureStage::Reactions, cursor: Some("there".to_owned()) };
    store.advance_erasure(&bob, on.clone()).await.unwrap();
    store.advance_erasure(&bob, Erasure::at(ErasureStage::Messages)).await.unwrap();
    assert_eq!(store.begin_erasure(&bob).await, Ok(true));
    assert_eq!(store.erasure(&bob).await, Ok(Some(on)));
    let store = finished(store, &room).await;
    let listed = async || store.erasures(PageRequest::first(9)).await.unwrap().items;
    assert_eq!(listed().await, []);
    store.advance_erasure(&bob, Erasure::at(ErasureStage::Rows)).await.unwrap();
    assert_eq!(store.begin_erasure(&bob).await, Ok(true));
    assert_eq!(store.erasure(&bob).await, Ok(Some(Erasure::at(ErasureStage::Done))));
    verifies(&store).await;
}

pub async fn erasures_are_told_in_the_order_of_their_beginning<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert_eq!(store.erased_after(0, 9).await, Ok(vec![]));
    before(&store).await;
    for name in ["carol", "alice", "carol", "bob"] {
        assert_eq!(store.begin_erasure(&user(name)).await, Ok(true));
    }
    let all = vec![(1, user("carol")), (2, user("alice")), (3, user("bob"))];
    assert_eq!(store.erased_after(0, 9).await, Ok(all.clone()));
    assert_eq!(store.erased_after(0, 2).await, Ok(all[..2].to_vec()));
    assert_eq!(store.erased_after(1, 9).await, Ok(all[1..].to_vec()));
    assert_eq!(store.erased_after(3, 9).await, Ok(vec![]));
    verifies(&store).await;
}

pub async fn what_stands_in_no_log_goes_bit_by_bit_and_nothing_of_others<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = before(&store).await;
    let private = room_of(&store, "attic", "bob").await;
    done(&store, &private, &request("bob", 1, Command::DeleteRoom)).await.unwrap();
    for (name, other) in [("alice", "bob"), ("bob", "alice")] {
        for number in 0..3 {
            let number = number * 2 + usize::from(name == "bob");
            store.hold(held(&room, number, name)).await.unwrap();
            store.report(report(&room, number, name, other)).await.unwrap();
        }
        store.block(block(name, other)).await.unwrap();
        let shared = room_of(&store, &format!("{name}-place"), name).await;
        let more = [
            Command::Invite(user(other), InviteId::parse(&format!("by-{name}")).unwrap()),
            Command::Invite(user("carol"), InviteId::parse(&format!("carol-by-{name}")).unwrap()),
            Command::CreateLink(
                LinkId::from_bytes([u8::from(name == "bob"); 16]),
                LinkSpec::new(None, None).unwrap(),
            ),
            draft("keyed", Some("key")),
        ];
        for command in more {
            // Who has blocked somebody invites them no more.
            let refused = done(&store, &shared, &request(name, 2, command)).await;
            assert!(!matches!(refused, Err(Trouble::Rejected(_))), "{refused:?}");
        }
    }
    let elsewhere = room_of(&store, "elsewhere", "alice").await;
    let ban = |name: &str| Command::Moderate(Moderation::ban(user(name), None));
    for name in ["bob", "carol"] {
        done(&store, &elsewhere, &request("alice", 2, ban(name))).await.unwrap();
    }
    store.mark_delivered(&user("bob"), &room, Seq::new(2)).await.unwrap();
    let own = done(&store, &room, &request("bob", 4, draft("own", Some("own key")))).await.unwrap();
    let Outcome::Sent(own) = own else { panic!("sending came to {own:?}") };
    done(&store, &room, &request("alice", 5, Command::Delete { target: own.seq })).await.unwrap();

    let place = room_id("bob-place");
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    done(&store, &place, &request("bob", 6, Command::Erase(Erasing::Membership { successor: None })))
        .await
        .unwrap();
    erased(&store, &room, "bob").await;
    verifies(&store).await;

    let by_alice = |items: Vec<HeldMessage>| items.into_iter().all(|held| held.author == user("alice"));
    let waiting = store.held_in(&room, PageRequest::first(99)).await.unwrap().items;
    assert_eq!((waiting.len(), by_alice(waiting)), (3, true));
    assert_eq!(store.reports_in(&room, PageRequest::first(99)).await.unwrap().items, []);
    assert_eq!(store.held_of(&user("bob"), PageRequest::first(9)).await.unwrap().items, []);
    assert_eq!(store.reports_by(&user("alice"), PageRequest::first(9)).await.unwrap().items, []);
    assert_eq!(store.blocks(&user("bob"), PageRequest::first(9)).await.unwrap().items, []);
    assert_eq!(store.blocks(&user("alice"), PageRequest::first(9)).await.unwrap().items.len(), 1);
    let invited: Vec<_> = store.invites_of(&user("carol")).await.unwrap();
    assert_eq!(invited.iter().map(|(invite, _)| invite.by.clone()).collect::<Vec<_>>(), [user("alice")]);
    assert_eq!(store.invites_of(&user("bob")).await.unwrap(), []);
    assert_eq!(store.link(LinkId::from_bytes([1; 16])).await, Ok(None));
    assert!(store.link(LinkId::from_bytes([0; 16])).await.unwrap().is_some());
    let members = vec![user("bob"), user("carol")];
    let rows = store.gather(&elsewhere, &Needs { members, ..Needs::default() }).await.unwrap();
    assert_eq!(rows.sanctions.keys().cloned().collect::<Vec<_>>(), [user("carol")]);
    let sent = vec![(user("bob"), key("own key"))];
    assert!(store.gather(&room, &Needs { sent, ..Needs::default() }).await.unwrap().sent.is_empty());
    let sent = vec![(user("alice"), key("key"))];
    let place = room_id("alice-place");
    assert_eq!(store.gather(&place, &Needs { sent, ..Needs::default() }).await.unwrap().sent.len(), 1);
    let tombstone = page(&store, &room, Place::Latest, 9).await.messages.remove(0);
    assert_eq!(tombstone.message().unwrap().client_message_id, None);
    assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(9)).await.unwrap().items, []);
}

pub async fn what_is_left_in_a_deleted_room_goes<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = before(&store).await;
    for text in ["text", &"long ".repeat(4_000)] {
        send(&store, &room, "bob", text).await;
    }
    let target = send(&store, &room, "bob", "before").await;
    let edit = Command::Edit { target, content: Content::from_stored("after") };
    done(&store, &room, &request("bob", 2, edit)).await.unwrap();
    send(&store, &room, "alice", "other").await;
    done(&store, &room, &request("alice", 3, Command::DeleteRoom)).await.unwrap();
    assert_eq!(store.authored(&user("bob"), PageRequest::first(9)).await.unwrap().items.len(), 3);
    let authored = store.authored(&user("bob"), PageRequest::first(9)).await.unwrap().items;
    assert_eq!(store.begin_erasure(&user("bob")).await, Ok(true));
    let mut cursor = None;
    loop {
        cursor = store.erase_rows(&user("bob"), cursor).await.unwrap();
        if cursor.is_none() {
            break;
        }
    }
    store.advance_erasure(&user("bob"), Erasure::at(ErasureStage::Done)).await.unwrap();
    assert_eq!(store.authored(&user("bob"), PageRequest::first(9)).await.unwrap().items, []);
    for entry in authored {
        let former = store.former_texts(&room, entry.seq, usize::MAX).await.unwrap();
        assert_eq!(former.items, []);
    }
    assert_eq!(store.authored(&user("alice"), PageRequest::first(9)).await.unwrap().items.len(), 1);
    verifies(&store).await;
    // The room's own sweep finds the rest.
    let due = at(DELETED_ROOM_GRACE_MS + 10);
    while store.sweep(due).await.unwrap() {}
    verifies(&store).await;
}
