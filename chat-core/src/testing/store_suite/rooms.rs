//! Obligations of [`crate::store::RoomStore`]: rooms, their members and names, as they are read.
#![allow(missing_docs, reason = "the names are the sentences")]

use super::{
    Random, at, commits::commit_of, done, draft, key, log, public_room, request, room_id, send, user,
    verifies,
};
use crate::{
    domain::{Command, Needs, Outcome, Role, Room, RoomSpec, Sent},
    id::Seq,
    store::{Page, PageRequest, Store},
};

pub async fn rows_are_gathered_as_they_are_at_the_head<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("bob", 5, Command::Join)).await.unwrap();
    let needs = Needs {
        members: vec![user("bob"), user("carol")],
        sent: vec![(user("bob"), key("nothing"))],
        ..Needs::default()
    };
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!(rows.at, Seq::new(3));
    assert_eq!(rows.members.len(), 2);
    let bob = rows.member(&user("bob")).unwrap();
    assert_eq!((bob.role, bob.joined, bob.joined_at), (Role::Member, Seq::new(3), at(5)));
    assert_eq!(rows.member(&user("carol")), None);
    assert!(rows.sent.is_empty());

    done(&store, &room, &request("bob", 6, Command::Leave)).await.unwrap();
    let rows = store.gather(&room, &needs).await.unwrap();
    assert_eq!((rows.at, rows.member(&user("bob"))), (Seq::new(4), None));

    let nowhere = store.gather(&room_id("nowhere"), &needs).await.unwrap();
    assert_eq!((nowhere.at, nowhere.member(&user("bob"))), (Seq::ZERO, None));
}

pub async fn what_was_sent_under_a_key_is_found_by_user_room_and_key<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let lobby = public_room(&store, "lobby", "alice").await;
    let attic = public_room(&store, "attic", "alice").await;
    done(&store, &lobby, &request("bob", 0, Command::Join)).await.unwrap();
    let first = done(&store, &lobby, &request("alice", 7, draft("first", Some("k")))).await.unwrap();
    let Outcome::Sent(first) = first else { panic!("{first:?}") };

    let again = done(&store, &lobby, &request("alice", 9, draft("other text", Some("k")))).await.unwrap();
    assert_eq!(again, Outcome::Sent(Sent { duplicate: true, ..first }));
    for (room, author, client) in [(&lobby, "bob", "k"), (&attic, "alice", "k"), (&lobby, "alice", "K")] {
        let other = done(&store, room, &request(author, 9, draft("x", Some(client)))).await.unwrap();
        assert!(matches!(other, Outcome::Sent(Sent { duplicate: false, .. })), "{author} {client}");
    }
    verifies(&store).await;
}

pub async fn keys_of_any_length_and_alphabet_are_kept_apart<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    let longest = "\u{1F980}".repeat(63);
    let uuid = "0190b5a2-7a39-7c3e-8f00-000000000001";
    let keys: Vec<String> = ["x".to_owned(), "x ".to_owned(), "ä".to_owned(), "a\u{308}".to_owned()]
        .into_iter()
        .chain(["a", "b", "\u{1F980}"].map(|end| format!("{longest}{end}")))
        .chain(["a", "b"].map(|end| format!("{}{end}", "k".repeat(63))))
        .chain([uuid.to_owned(), uuid.to_uppercase(), uuid.replace('-', "")])
        .collect();
    let mut sent = Vec::new();
    for client in &keys {
        sent.push(done(&store, &room, &request("alice", 1, draft(client, Some(client)))).await.unwrap());
    }
    for (client, first) in keys.iter().zip(sent) {
        let Outcome::Sent(first) = first else { panic!("{first:?}") };
        let needs = Needs { members: vec![], sent: vec![(user("alice"), key(client))], ..Needs::default() };
        let rows = store.gather(&room, &needs).await.unwrap();
        assert_eq!(rows.sent.get(&(user("alice"), key(client))), Some(&first), "{client}");
    }
    verifies(&store).await;
}

/// All items of a list that comes in pages of `limit`.
async fn all_pages<T>(limit: usize, read: impl AsyncFn(PageRequest) -> Page<T>) -> Vec<T> {
    let (mut items, mut request) = (Vec::new(), PageRequest::first(limit));
    loop {
        let page = read(request).await;
        assert!(page.items.len() <= limit);
        items.extend(page.items);
        match page.next {
            Some(cursor) => request = PageRequest { cursor: Some(cursor), limit },
            None => return items,
        }
    }
}

pub async fn members_come_in_pages_each_once<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "user-0").await;
    let another = public_room(&store, "attic", "somebody").await;
    for number in 1..23 {
        let join = request(&format!("user-{number}"), 1, Command::Join);
        done(&store, &room, &join).await.unwrap();
    }
    let whole = store.members(&room, PageRequest::first(200)).await.unwrap();
    assert_eq!(whole.next, None);
    let mut names: Vec<_> = whole.items.iter().map(|member| member.user.clone()).collect();
    names.sort_by_key(|name| name.as_str()["user-".len()..].parse::<u32>().unwrap());
    assert_eq!(names, (0..23).map(|number| user(&format!("user-{number}"))).collect::<Vec<_>>());
    for limit in [1, 2, 22, 23, 24] {
        let paged = all_pages(limit, async |page| store.members(&room, page).await.unwrap()).await;
        assert_eq!(paged, whole.items, "pages of {limit}");
    }
    let others = store.members(&another, PageRequest::first(200)).await.unwrap().items;
    assert_eq!(others.into_iter().map(|member| member.user).collect::<Vec<_>>(), [user("somebody")]);
    let nobody = store.members(&room_id("nowhere"), PageRequest::first(200)).await.unwrap();
    assert_eq!((nobody.items, nobody.next), (vec![], None));
}

pub async fn rooms_of_a_user_come_in_pages_each_once<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for number in 0..13 {
        let room = public_room(&store, &format!("room-{number}"), "alice").await;
        if number % 2 == 0 {
            done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
        }
    }
    let whole = store.rooms_of(&user("bob"), PageRequest::first(200)).await.unwrap();
    assert_eq!((whole.items.len(), whole.next), (7, None));
    for (room, member) in &whole.items {
        assert_eq!(store.room(&room.id).await.unwrap().as_ref(), Some(room));
        assert_eq!((member.user.clone(), member.role, member.joined), (user("bob"), Role::Member, room.head));
    }
    for limit in [1, 3, 6, 7, 8] {
        let paged = all_pages(limit, async |page| store.rooms_of(&user("bob"), page).await.unwrap()).await;
        assert_eq!(paged, whole.items, "pages of {limit}");
    }
}

fn names(rooms: &[Room]) -> Vec<&str> {
    rooms.iter().map(|room| room.name.as_str()).collect()
}

async fn named_rooms<S: Store>(store: &S, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        let create = Command::Create(RoomSpec::public(name).unwrap());
        done(store, &room_id(&format!("room-{number}")), &request("alice", 0, create)).await.unwrap();
    }
}

pub async fn public_rooms_come_by_name_in_pages<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    named_rooms(&store, &["delta", "Alpha", "charlie", "Bravo", "echo", "älpha"]).await;
    let secret = Command::Create(RoomSpec::private("aardvark").unwrap());
    done(&store, &room_id("secret"), &request("alice", 0, secret)).await.unwrap();
    for limit in [1, 2, 5, 6, 7] {
        let rooms = all_pages(limit, async |page| store.public_rooms(None, page).await.unwrap()).await;
        assert_eq!(
            names(&rooms),
            ["Alpha", "Bravo", "charlie", "delta", "echo", "älpha"],
            "pages of {limit}"
        );
    }
}

pub async fn public_rooms_are_searched_without_regard_to_case<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let long = "\u{fdfa}".repeat(100);
    named_rooms(&store, &["Rust beginners", "Cooking", "TRUST", "Ünicode", "100%", &long]).await;
    let found = async |query: &str| {
        let rooms = all_pages(1, async |page| store.public_rooms(Some(query), page).await.unwrap()).await;
        rooms.iter().map(|room| room.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("rust").await, ["Rust beginners", "TRUST"]);
    assert_eq!(found("üNI").await, ["Ünicode"]);
    assert_eq!(found("%").await, ["100%"]);
    assert_eq!(found("\u{fdfa}").await, [long]);
    assert_eq!(found("haskell").await, Vec::<String>::new());
    assert_eq!(found("").await.len(), 6);
}

pub async fn a_cursor_that_was_never_handed_out_starts_from_the_beginning<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    for cursor in ["", "never handed out", "ü", "€x"] {
        let page = PageRequest { cursor: Some(cursor.to_owned()), limit: 10 };
        assert_eq!(store.members(&room, page.clone()).await.unwrap().items.len(), 1, "{cursor}");
        assert_eq!(store.public_rooms(None, page).await.unwrap().items.len(), 1, "{cursor}");
    }
}

pub async fn membership_versions_grow_with_every_joining_and_leaving<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let users = [user("bob"), user("nobody-knows"), user("alice")];
    let room = public_room(&store, "lobby", "alice").await;
    let mut last = store.membership_versions(&users).await.unwrap()[0];
    for (millis, command) in [(1, Command::Join), (2, Command::Leave), (3, Command::Join)] {
        done(&store, &room, &request("bob", millis, command)).await.unwrap();
        let versions = store.membership_versions(&users).await.unwrap();
        assert!(versions[0] > last, "{versions:?} after {last}");
        assert_eq!(versions[1], 0);
        last = versions[0];
    }
    send(&store, &room, "bob", "no change").await;
    assert_eq!(store.membership_versions(&users).await.unwrap()[0], last);
}

pub async fn leaving_ends_membership_everywhere<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let room = public_room(&store, "lobby", "alice").await;
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    send(&store, &room, "bob", "hello").await;
    done(&store, &room, &request("bob", 2, Command::Leave)).await.unwrap();

    let members = store.members(&room, PageRequest::first(10)).await.unwrap().items;
    assert_eq!(members.into_iter().map(|member| member.user).collect::<Vec<_>>(), [user("alice")]);
    assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(10)).await.unwrap().items, []);
    assert_eq!(store.room(&room).await.unwrap().map(|room| room.members), Some(1));
    verifies(&store).await;

    // In and out within one commit.
    let requests = [request("bob", 3, Command::Join), request("bob", 4, Command::Leave)];
    let commit = commit_of(&store, &room, &requests).await;
    store.commit(commit).await.unwrap();
    assert_eq!(store.rooms_of(&user("bob"), PageRequest::first(10)).await.unwrap().items, []);
    verifies(&store).await;
}

pub async fn users_share_a_room_exactly_while_both_belong_to_it<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let lobby = public_room(&store, "lobby", "alice").await;
    let garden = public_room(&store, "garden", "carol").await;
    let others = ["alice", "bob", "carol", "nobody"].map(user);
    let shared = async |with: &str| store.share_rooms(&user(with), &others).await.unwrap();
    assert_eq!(shared("alice").await, [true, false, false, false]);
    done(&store, &lobby, &request("bob", 1, Command::Join)).await.unwrap();
    done(&store, &garden, &request("bob", 2, Command::Join)).await.unwrap();
    assert_eq!(shared("alice").await, [true, true, false, false]);
    assert_eq!(shared("bob").await, [true, true, true, false]);
    done(&store, &lobby, &request("bob", 3, Command::Leave)).await.unwrap();
    assert_eq!(shared("alice").await, [true, false, false, false]);
    assert_eq!(shared("bob").await, [false, true, true, false]);
    assert_eq!(shared("nobody").await, [false, false, false, false]);
    assert!(store.share_rooms(&user("bob"), &[]).await.unwrap().is_empty());
    // Before anything is swept.
    done(&store, &garden, &request("carol", 4, Command::DeleteRoom)).await.unwrap();
    assert_eq!(shared("bob").await, [false, false, false, false], "bob");
    assert_eq!(shared("carol").await, [false, false, false, false]);
}

pub async fn heads_come_in_the_order_asked_and_are_zero_for_unknown_rooms<S: Store>(
    open: impl AsyncFn() -> S,
) {
    let store = open().await;
    let mut random = Random::seeded(1);
    let mut expected = Vec::new();
    for number in 0..10 {
        let room = public_room(&store, &format!("room-{number}"), "alice").await;
        let sends = random.below(4);
        for _ in 0..sends {
            send(&store, &room, "alice", "x").await;
        }
        expected.push((room, Seq::new(2 + sends)));
        expected.push((room_id(&format!("unknown-{number}")), Seq::ZERO));
    }
    expected.reverse();
    let (rooms, heads): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
    assert_eq!(store.heads(&rooms).await.unwrap(), heads);
    assert_eq!(store.heads(&[]).await.unwrap(), []);
}

pub async fn ids_of_every_form_come_back_as_they_were<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let longest = "x".repeat(64);
    let ids = [
        "0190b5a2-7a39-7c3e-8f00-000000000001",
        "0190B5A2-7A39-7C3E-8F00-000000000001",
        "0190b5a27a397c3e8f00000000000001",
        "0190b5a2-7a39-8c3e-8f00-000000000001",
        "auth0|5f7c",
        "a@b.c",
        "1",
        &longest,
    ];
    for (number, id) in ids.iter().enumerate() {
        let room = room_id(id);
        let create = Command::Create(RoomSpec::public(&format!("Room {number}")).unwrap());
        done(&store, &room, &request(id, 0, create)).await.unwrap();
        send(&store, &room, id, "mine").await;
    }
    for id in ids {
        let stored = store.room(&room_id(id)).await.unwrap().unwrap();
        assert_eq!((stored.id, stored.created_by), (room_id(id), user(id)));
        let mine = store.rooms_of(&user(id), PageRequest::first(10)).await.unwrap().items;
        assert_eq!(
            mine.into_iter().map(|(room, member)| (room.id, member.user)).collect::<Vec<_>>(),
            [(room_id(id), user(id))]
        );
        assert!(log(&store, &room_id(id)).await.iter().all(|entry| entry.actor == user(id)));
    }
    verifies(&store).await;
}
