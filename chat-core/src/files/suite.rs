//! The conformance suite of [`FileStore`]: one case for each obligation.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a suite of tests: its inputs are its own"
)]

use std::sync::Arc;

use super::{
    CreateFileError, DueFile, FileId, FileRecord, FileStore, FileUsage, Posting, Purpose, Quota, Thumbnail,
};
use crate::{
    domain::{
        Attachment, Attachments, AuditAct, AuditNote, Command, Draft, Erasing, HeldMessage, MessageType,
        Outcome, Release, RoomSpec, Username,
    },
    id::{HeldId, RoomId, Seq},
    limits::{DELETED_ROOM_GRACE_MS, FILE_UNCLAIMED_MS},
    store::{Keeping, PageRequest, ProfileChange, Store},
    testing::store_suite::{
        all_at_once, at, done, profile, public_room, request,
        retention::{cut, retain, swept},
        room_id, send, user, verifies,
    },
};

/// Runs every case against a fresh store: `file_store_conformance!(async { (MyStore::open(&dir), dir) });`
///
/// The block is evaluated once a case; it gives the store, and what has to outlive it (`()` for nothing). The
/// calling crate needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! file_store_conformance {
    (async $open:block) => {
        $crate::file_store_conformance! { @cases (async || $open):
            a_record_comes_back_as_it_was_and_is_listed_as_its_owners
            however_many_are_created_at_once_the_quota_holds
            a_file_is_posted_from_its_message_to_its_deletion
            a_file_that_was_posted_twice_stands_until_the_last_is_gone
            a_file_of_a_held_message_stands_while_it_is_held_and_when_it_is_released
            a_file_of_a_message_that_was_cut_is_nobodys
            a_file_of_a_deleted_room_is_nobodys_once_its_log_is_gone
            an_upload_that_nothing_refers_to_is_due_after_a_day
            an_avatar_stands_while_its_owners_profile_refers_to_it
            of_avatars_that_are_changed_at_once_the_one_that_is_shown_stands
            what_is_settled_as_gone_stays_due_until_its_bytes_are_forgotten
            an_id_of_no_file_of_ours_is_posted_nowhere
            an_erased_user_has_no_files_and_gets_none
        }
    };
    (@cases ($open:expr): $($case:ident)*) => {
        mod file_store {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (store, _outlives_it) = ($open)().await;
                    $crate::files::suite::$case(store).await;
                }
            )*
        }
    };
}

/// Enough for every case that is not about it.
const PLENTY: Quota = Quota { files: 1_000, bytes: 1 << 40 };

fn id(number: u8) -> FileId {
    FileId::new(at(i64::from(number)), [number; 10])
}

fn record(number: u8, owner: &str) -> FileRecord {
    FileRecord {
        id: id(number),
        owner: user(owner),
        name: "Größe \u{1f600}.png".into(),
        mime: "image/png".into(),
        size: 1_000 + u64::from(number),
        width: Some(640),
        height: Some(480),
        thumbnail: Some(Thumbnail { mime: "image/png".into(), width: 320, height: 240 }),
        purpose: Purpose::Attachment,
        created_at: at(i64::from(number)),
    }
}

async fn create<S: FileStore>(store: &S, number: u8, owner: &str) -> FileId {
    store.create_file(record(number, owner), PLENTY).await.unwrap();
    id(number)
}

fn draft(files: &[FileId]) -> Draft {
    let attachment = |file: &FileId| Attachment {
        file_id: file.to_string(),
        name: "n".into(),
        mime: "image/png".into(),
        size: 1,
        url: "/api/files/n".into(),
        width: None,
        height: None,
    };
    let files = Attachments::from_stored(files.iter().map(attachment).collect());
    Draft::text("see").unwrap().with(MessageType::Image, files)
}

async fn post<S: Store>(store: &S, room: &RoomId, author: &str, files: &[FileId]) -> Seq {
    match done(store, room, &request(author, 1, Command::Send(draft(files)))).await.unwrap() {
        Outcome::Sent(sent) => sent.seq,
        other => panic!("sending came to {other:?}"),
    }
}

fn posting(room: &RoomId, seq: Seq) -> Posting {
    Posting::Message { room: room.clone(), seq }
}

/// When nothing waits for its day any more.
const LATER: i64 = FILE_UNCLAIMED_MS + 1_000;

/// What is due at once, whatever waits for its day.
async fn due_now<S: FileStore>(store: &S) -> Vec<FileId> {
    store.due_files(at(500), 100).await.unwrap().into_iter().map(|due| due.file).collect()
}

/// Settles everything that is due by then; returns what is gone.
async fn collected<S: FileStore>(store: &S, millis: i64) -> Vec<FileId> {
    let mut gone = Vec::new();
    for due in store.due_files(at(millis), 1_000).await.unwrap() {
        if store.settle_file(due).await.unwrap() {
            assert_eq!(store.file(due.file).await, Ok(None));
            store.forget_file(due).await.unwrap();
            // It may be due twice: for its day, and for what referred to it.
            if !gone.contains(&due.file) {
                gone.push(due.file);
            }
        }
    }
    assert_eq!(store.due_files(at(millis), 1).await, Ok(Vec::new()));
    gone
}

/// 1.
pub async fn a_record_comes_back_as_it_was_and_is_listed_as_its_owners<S: FileStore + Store>(store: S) {
    let plain = FileRecord { width: None, height: None, thumbnail: None, ..record(2, "ann") };
    let avatar = FileRecord { purpose: Purpose::Avatar, ..record(3, "ann") };
    for file in [record(1, "ann"), plain.clone(), avatar.clone(), record(4, "bob")] {
        store.create_file(file.clone(), PLENTY).await.unwrap();
        assert_eq!(store.file(file.id).await, Ok(Some(file)));
    }
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.files_of(&user("ann"), PageRequest { cursor, limit: 2 }).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(all, [record(1, "ann"), plain, avatar]);
    assert_eq!(store.file_usage(&user("ann")).await, Ok(FileUsage { files: 3, bytes: 3_006 }));
    assert_eq!(store.file_usage(&user("carol")).await, Ok(FileUsage::default()));
    assert_eq!(store.file(id(9)).await, Ok(None));
    verifies(&store).await;
}

/// 2.
pub async fn however_many_are_created_at_once_the_quota_holds<S: FileStore + Store>(store: S) {
    let store = Arc::new(store);
    let files = Quota { files: 5, bytes: 1 << 40 };
    let answers = all_at_once(&store, 16, move |store, number| async move {
        store.create_file(record(u8::try_from(number).unwrap(), "ann"), files).await
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(CreateFileError::OverQuota))));
    let bytes = Quota { files: 100, bytes: 3_500 };
    let answers = all_at_once(&store, 8, move |store, number| async move {
        store.create_file(record(u8::try_from(100 + number).unwrap(), "bob"), bytes).await
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    verifies(&*store).await;
}

/// 3, 4.
pub async fn a_file_is_posted_from_its_message_to_its_deletion<S: FileStore + Store>(store: S) {
    let room = public_room(&store, "lobby", "ann").await;
    let (file, other) = (create(&store, 1, "ann").await, create(&store, 2, "ann").await);
    assert_eq!(store.postings(file).await, Ok(Vec::new()));
    let seq = post(&store, &room, "ann", &[file, other, file]).await;
    assert_eq!(store.postings(file).await, Ok(vec![posting(&room, seq)]));
    assert_eq!(store.postings(other).await, Ok(vec![posting(&room, seq)]));
    verifies(&store).await;
    assert_eq!(due_now(&store).await, []);
    assert_eq!(collected(&store, LATER).await, []);
    done(&store, &room, &request("ann", 2, Command::Delete { target: seq })).await.unwrap();
    assert_eq!(store.postings(file).await, Ok(Vec::new()));
    verifies(&store).await;
    assert_eq!(due_now(&store).await, [file, other]);
    assert_eq!(collected(&store, 500).await, [file, other]);
    assert_eq!(store.file_usage(&user("ann")).await, Ok(FileUsage::default()));
    verifies(&store).await;
}

/// 3, 5.
pub async fn a_file_that_was_posted_twice_stands_until_the_last_is_gone<S: FileStore + Store>(store: S) {
    let (lobby, attic) =
        (public_room(&store, "lobby", "ann").await, public_room(&store, "attic", "ann").await);
    let file = create(&store, 1, "ann").await;
    let (first, second) =
        (post(&store, &lobby, "ann", &[file]).await, post(&store, &attic, "ann", &[file]).await);
    let mut postings = store.postings(file).await.unwrap();
    postings.sort_by_key(|posting| matches!(posting, Posting::Message { room, .. } if *room == attic));
    assert_eq!(postings, [posting(&lobby, first), posting(&attic, second)]);
    done(&store, &lobby, &request("ann", 2, Command::Delete { target: first })).await.unwrap();
    assert_eq!(due_now(&store).await, [file]);
    assert_eq!(collected(&store, 500).await, []);
    assert_eq!(store.postings(file).await, Ok(vec![posting(&attic, second)]));
    done(&store, &attic, &request("ann", 2, Command::Delete { target: second })).await.unwrap();
    assert_eq!(collected(&store, 500).await, [file]);
    verifies(&store).await;
}

fn held(room: &RoomId, number: usize, file: FileId) -> HeldMessage {
    let id = HeldId::parse(&format!("0190b5a2-7a39-7c3e-8f00-{number:012x}")).unwrap();
    HeldMessage { id, room: room.clone(), author: user("ann"), at: at(1), draft: draft(&[file]) }
}

/// 3, 5.
pub async fn a_file_of_a_held_message_stands_while_it_is_held_and_when_it_is_released<
    S: FileStore + Store,
>(
    store: S,
) {
    let room = public_room(&store, "lobby", "ann").await;
    let (sent, discarded) = (create(&store, 1, "ann").await, create(&store, 2, "ann").await);
    let holding = [held(&room, 1, sent), held(&room, 2, discarded)];
    for held in &holding {
        assert_eq!(store.hold(held.clone()).await, Ok(Keeping::Kept));
    }
    assert_eq!(store.postings(sent).await, Ok(vec![Posting::Held { room: room.clone() }]));
    assert_eq!(collected(&store, LATER).await, []);
    verifies(&store).await;
    let [released, held] = holding;
    let author_name = Username::parse("ann").unwrap();
    let release = Command::Release(Box::new(Release { held: released, author_name }));
    let Outcome::Sent(place) = done(&store, &room, &request("ann", 2, release)).await.unwrap() else {
        panic!("it was not sent")
    };
    assert_eq!(store.postings(sent).await, Ok(vec![posting(&room, place.seq)]));
    let note = AuditNote {
        at: at(3),
        actor: user("ann"),
        act: AuditAct::DiscardMessage,
        target: None,
        details: vec![],
    };
    assert_eq!(store.discard_held(&room, &held.id, note).await, Ok(true));
    verifies(&store).await;
    assert_eq!(collected(&store, 500).await, [discarded]);
    verifies(&store).await;
}

/// 3, 4.
pub async fn a_file_of_a_message_that_was_cut_is_nobodys<S: FileStore + Store>(store: S) {
    let room = public_room(&store, "lobby", "alice").await;
    let (gone, kept) = (create(&store, 1, "alice").await, create(&store, 2, "alice").await);
    post(&store, &room, "alice", &[gone]).await;
    let seq = post(&store, &room, "alice", &[kept]).await;
    retain(&store, &room, None, Some(1)).await;
    cut(&store, &room, 6).await.unwrap();
    swept(&store, 6).await;
    verifies(&store).await;
    assert_eq!(collected(&store, LATER).await, [gone]);
    assert_eq!(store.postings(kept).await, Ok(vec![posting(&room, seq)]));
    verifies(&store).await;
}

/// 3, 4.
pub async fn a_file_of_a_deleted_room_is_nobodys_once_its_log_is_gone<S: FileStore + Store>(store: S) {
    let room = room_id("lobby");
    done(&store, &room, &request("ann", 0, Command::Create(RoomSpec::private("lobby").unwrap())))
        .await
        .unwrap();
    let file = create(&store, 1, "ann").await;
    post(&store, &room, "ann", &[file]).await;
    send(&store, &room, "ann", "x").await;
    done(&store, &room, &request("ann", 2, Command::DeleteRoom)).await.unwrap();
    swept(&store, 3).await;
    swept(&store, 10 + DELETED_ROOM_GRACE_MS).await;
    verifies(&store).await;
    assert_eq!(collected(&store, LATER).await, [file]);
    verifies(&store).await;
}

/// 4.
pub async fn an_upload_that_nothing_refers_to_is_due_after_a_day<S: FileStore + Store>(store: S) {
    let file = create(&store, 7, "ann").await;
    let due = DueFile { at: at(7 + FILE_UNCLAIMED_MS), file };
    assert_eq!(store.due_files(at(6 + FILE_UNCLAIMED_MS), 9).await, Ok(Vec::new()));
    assert_eq!(store.due_files(at(7 + FILE_UNCLAIMED_MS), 9).await, Ok(vec![due]));
    create(&store, 8, "ann").await;
    assert_eq!(store.due_files(at(LATER), 1).await, Ok(vec![due]), "the oldest first");
    assert_eq!(collected(&store, LATER).await, [file, id(8)]);
    verifies(&store).await;
}

async fn create_avatar<S: FileStore>(store: &S, number: u8) -> FileId {
    let avatar = FileRecord { purpose: Purpose::Avatar, ..record(number, "ann") };
    store.create_file(avatar, PLENTY).await.unwrap();
    id(number)
}

async fn show<S: Store>(store: &S, avatar: Option<FileId>) {
    let url = avatar.map(|id| format!("/api/files/{id}/avatar.png").into());
    let change = ProfileChange { avatar_url: Some(url), ..ProfileChange::default() };
    store.update_user(&user("ann"), change).await.unwrap();
}

/// 5.
pub async fn an_avatar_stands_while_its_owners_profile_refers_to_it<S: FileStore + Store>(store: S) {
    store.create_user(profile("ann", "ann")).await.unwrap();
    store.create_user(profile("bob", "bob")).await.unwrap();
    let (first, never_shown) = (create_avatar(&store, 1).await, create_avatar(&store, 2).await);
    show(&store, Some(first)).await;
    assert_eq!(due_now(&store).await, []);
    assert_eq!(collected(&store, LATER).await, [never_shown]);
    verifies(&store).await;
    let second = create_avatar(&store, 3).await;
    show(&store, Some(second)).await;
    assert_eq!((store.file(first).await, due_now(&store).await), (Ok(None), vec![first]));
    verifies(&store).await;
    // Neither a change of something else nor a profile of somebody else, nor a file that is no avatar.
    let renamed =
        ProfileChange { username: Some(Username::parse("anna").unwrap()), ..ProfileChange::default() };
    store.update_user(&user("ann"), renamed).await.unwrap();
    let attachment = create(&store, 4, "bob").await;
    for url in [Some(second), Some(attachment), None] {
        let url = url.map(|id| format!("/{id}").into());
        let change = ProfileChange { avatar_url: Some(url), ..ProfileChange::default() };
        store.update_user(&user("bob"), change).await.unwrap();
    }
    assert!(store.file(second).await.unwrap().is_some() && store.file(attachment).await.unwrap().is_some());
    show(&store, None).await;
    assert_eq!(store.file(second).await, Ok(None));
    assert_eq!(collected(&store, 500).await, [first, second]);
    assert_eq!(store.file_usage(&user("ann")).await, Ok(FileUsage::default()));
    verifies(&store).await;
}

/// 5.
pub async fn of_avatars_that_are_changed_at_once_the_one_that_is_shown_stands<S: FileStore + Store>(
    store: S,
) {
    let store = Arc::new(store);
    store.create_user(profile("ann", "ann")).await.unwrap();
    all_at_once(&store, 8, |store, number| async move {
        let avatar = create_avatar(&*store, u8::try_from(number).unwrap() + 1).await;
        show(&*store, Some(avatar)).await;
    })
    .await;
    let ann = store.users(&[user("ann")]).await.unwrap().remove(0).unwrap();
    let left = store.files_of(&user("ann"), PageRequest::first(9)).await.unwrap().items;
    let left: Vec<_> = left.iter().map(|file| format!("/api/files/{}/avatar.png", file.id)).collect();
    assert_eq!(left, [ann.avatar_url.unwrap().to_string()]);
    verifies(&*store).await;
}

/// 4.
pub async fn what_is_settled_as_gone_stays_due_until_its_bytes_are_forgotten<S: FileStore + Store>(store: S) {
    let file = create(&store, 1, "ann").await;
    let due = store.due_files(at(LATER), 9).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.settle_file(due[0]).await, Ok(true));
        assert_eq!(store.due_files(at(LATER), 9).await.as_ref(), Ok(&due));
        assert_eq!(store.file(file).await, Ok(None));
    }
    store.forget_file(due[0]).await.unwrap();
    assert_eq!(store.due_files(at(LATER), 9).await, Ok(Vec::new()));
    verifies(&store).await;
}

/// 3.
pub async fn an_id_of_no_file_of_ours_is_posted_nowhere<S: FileStore + Store>(store: S) {
    let room = public_room(&store, "lobby", "ann").await;
    let seq = post(&store, &room, "ann", &[id(1)]).await;
    assert_eq!(store.postings(id(1)).await, Ok(Vec::new()));
    done(&store, &room, &request("ann", 2, Command::Delete { target: seq })).await.unwrap();
    assert_eq!(store.due_files(at(LATER), 9).await, Ok(Vec::new()));
    verifies(&store).await;
}

/// 6.
pub async fn an_erased_user_has_no_files_and_gets_none<S: FileStore + Store>(store: S) {
    for name in ["ann", "bob"] {
        store.create_user(profile(name, name)).await.unwrap();
    }
    let room = public_room(&store, "lobby", "ann").await;
    done(&store, &room, &request("bob", 1, Command::Join)).await.unwrap();
    let (posted, unclaimed) = (create(&store, 1, "bob").await, create(&store, 2, "bob").await);
    let others = create(&store, 3, "ann").await;
    let avatar = FileRecord { purpose: Purpose::Avatar, ..record(4, "bob") };
    store.create_file(avatar.clone(), PLENTY).await.unwrap();
    let seq = post(&store, &room, "bob", &[posted]).await;
    let bob = user("bob");
    assert_eq!(store.begin_erasure(&bob).await, Ok(true));
    assert_eq!(store.create_file(record(5, "bob"), PLENTY).await, Err(CreateFileError::Erased));
    let erase = |erasing| request("bob", 9, Command::Erase(erasing));
    done(&store, &room, &erase(Erasing::Membership { successor: None })).await.unwrap();
    done(&store, &room, &erase(Erasing::Message(seq))).await.unwrap();
    let mut cursor = None;
    loop {
        cursor = store.erase_rows(&bob, cursor).await.unwrap();
        verifies(&store).await;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(store.files_of(&bob, PageRequest::first(9)).await.unwrap().items, []);
    assert_eq!(store.file_usage(&bob).await, Ok(FileUsage::default()));
    let mut gone = collected(&store, 500).await;
    gone.sort();
    assert_eq!(gone, [posted, unclaimed, avatar.id]);
    assert_eq!(store.file(others).await, Ok(Some(record(3, "ann"))));
    verifies(&store).await;
}
