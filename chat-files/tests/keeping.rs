//! What is kept, for how long, and what is said of it.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod common;

use std::{io, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    domain::{Attachment, Rejection},
    engine::{Engine, Error},
    files::{FileReference, FileResolver, FileStore, FileUsage, Quota},
    id::UserId,
    time::{Clock, SystemClock},
};
use chat_files::{Files, Part, Scanner, UploadError, UploadLimits, Verdict};
use common::{World, ann, encoded, picture, pieces};
use futures::{StreamExt, TryStreamExt, stream};
use image::ImageFormat;

const DAY: i64 = 24 * 3_600_000;

#[tokio::test]
async fn an_upload_is_counted_as_it_comes_and_the_first_byte_too_many_ends_it() {
    let world =
        World::with(|builder| builder.limits(UploadLimits { bytes: 2_500, ..UploadLimits::default() }));
    assert_eq!(world.receive("a", &[b'x'; 2_500]).await.unwrap().size, 2_500);
    let read = std::cell::Cell::new(0);
    let endless = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 1_000])))
        .inspect(|_| read.set(read.get() + 1));
    let endless: Vec<_> = endless.take(100).collect().await;
    read.set(0);
    let counted = stream::iter(endless);
    assert_eq!(world.files.receive(&ann(), "a", counted).await, Err(UploadError::TooLarge));
    let broken = pieces(b"hello").chain(stream::iter([Err(io::Error::other("gone"))]));
    assert_eq!(world.files.receive(&ann(), "a", broken).await, Err(UploadError::CutOff));
    assert_eq!(world.lying(), 1);
}

#[tokio::test]
async fn a_range_of_a_file_is_read_where_it_lies() {
    let world = World::new();
    let content: Vec<u8> = (0..300_000_u32).map(|at| b'a' + (at % 23) as u8).collect();
    let file = world.receive("a.txt", &content).await.unwrap();
    assert_eq!(world.bytes(file.id, Part::Whole).await, content);
    for range in [0..1, 299_999..300_000, 70_000..200_001] {
        let opened = world.files.open(file.id, Part::Whole, Some(range.clone())).await.unwrap().unwrap();
        assert_eq!((opened.size, &opened.range), (300_000, &range));
        let bytes = opened.pieces.try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!(bytes, content[range.start as usize..range.end as usize]);
    }
    assert!(world.files.open(file.id, Part::Thumbnail, None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_user_has_a_quota_and_gets_room_back_with_what_goes() {
    let quota = Quota { files: 2, bytes: 10 };
    let world = World::with(|builder| builder.limits(UploadLimits { quota, ..UploadLimits::default() }));
    world.receive("a", b"12345678").await.unwrap();
    assert_eq!(world.receive("a", b"123").await, Err(UploadError::OverQuota));
    world.receive("a", b"12").await.unwrap();
    assert_eq!(world.receive("a", b"1").await, Err(UploadError::OverQuota));
    assert_eq!(world.lying(), 2, "what is refused lies nowhere");
    world.clock.set(1_790_000_000_000 + DAY);
    assert!(!world.files.collect().await.unwrap());
    assert_eq!(world.lying(), 0);
    world.receive("a", b"1234567890").await.unwrap();
}

#[tokio::test]
async fn what_nobody_has_posted_after_a_day_is_gone_with_its_bytes() {
    let world = World::new();
    let file = world.receive("a.png", &encoded(&picture(8, 8), ImageFormat::Png)).await.unwrap();
    assert_eq!(world.lying(), 2);
    world.clock.set(1_790_000_000_000 + DAY - 1);
    world.files.collect().await.unwrap();
    assert_eq!(world.lying(), 2);
    world.clock.set(1_790_000_000_000 + DAY);
    world.files.collect().await.unwrap();
    assert_eq!((world.lying(), world.files.record(file.id).await), (0, Ok(None)));
    assert_eq!(world.store.file_usage(&ann()).await, Ok(FileUsage::default()));
    assert!(world.files.open(file.id, Part::Whole, None).await.unwrap().is_none());
}

#[tokio::test]
async fn bytes_that_a_crash_has_left_go_after_a_day_and_what_was_coming_goes_at_once() {
    let world = World::new();
    let kept = world.receive("a", b"kept").await.unwrap();
    let gone = world.receive("a", b"gone").await.unwrap();
    // As if the process had ended before it was remembered.
    world.store.drop_file(gone.id).await.unwrap();
    let due = world.store.due_files(chat_core::time::Timestamp::from_millis(0), 9).await.unwrap();
    world.store.forget_file(due[0]).await.unwrap();
    // Files of the system bear its time.
    let now = SystemClock.now().as_millis();
    world.clock.set(now + DAY / 2);
    assert_eq!(world.files.collect_orphans().await, Ok(0));
    world.clock.set(now + 2 * DAY);
    assert_eq!(world.files.collect_orphans().await, Ok(1));
    assert_eq!(world.bytes(kept.id, Part::Whole).await, b"kept");
    assert_eq!(world.lying(), 1);
    let blobs = world.folder.path().join("blobs");
    let shard = std::fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    std::fs::write(shard.join("something#1"), b"half").unwrap();
    std::fs::write(world.folder.path().join("incoming/half"), b"half").unwrap();
    let files = Files::builder(world.store.clone(), world.folder.path()).build().unwrap();
    assert_eq!(world.lying(), 1);
    assert!(files.open(kept.id, Part::Whole, None).await.unwrap().is_some());
}

/// Finds what holds "EICAR", and is out of order when it holds "oops".
struct Nose;

#[async_trait]
impl Scanner for Nose {
    async fn scan(&self, path: &Path) -> io::Result<Verdict> {
        let content = std::fs::read(path)?;
        let has = |what: &[u8]| content.windows(what.len()).any(|window| window == what);
        match (has(b"oops"), has(b"EICAR")) {
            (true, _) => Err(io::Error::other("out of order")),
            (false, true) => Ok(Verdict::Infected),
            (false, false) => Ok(Verdict::Clean),
        }
    }
}

#[tokio::test]
async fn what_a_scanner_finds_is_refused_and_so_is_what_it_says_nothing_of_unless_told() {
    let world = World::with(|builder| builder.scanner(Nose));
    assert_eq!(world.receive("a", b"hello").await.unwrap().size, 5);
    assert_eq!(world.receive("a", b"an EICAR file").await, Err(UploadError::Infected));
    assert_eq!(world.receive("a", b"oops").await, Err(UploadError::Unavailable));
    let world = World::with(|builder| builder.scanner(Nose).keep_unscanned(true));
    assert_eq!(world.receive("a", b"an EICAR file").await, Err(UploadError::Infected));
    assert_eq!(world.receive("a", b"oops").await.unwrap().size, 4);
}

#[tokio::test]
async fn a_message_refers_to_its_senders_uploads_and_to_what_lies_elsewhere() {
    let world = World::new();
    let file = world.receive("Größe.txt", b"hello").await.unwrap();
    let id = file.id.to_string();
    let url = format!("/api/files/{id}/Gr%C3%B6%C3%9Fe.txt");
    let of = |file_id: &str, url: Option<&str>| FileReference {
        file_id: file_id.to_owned(),
        url: url.map(str::to_owned),
        ..FileReference::default()
    };
    let whole = |reference: FileReference| FileReference {
        name: Some("n".into()),
        mime: Some("text/html".into()),
        size: Some(7),
        ..reference
    };
    let resolve = async |user: &str, reference: FileReference| {
        let user = UserId::parse(user).unwrap();
        world.files.resolve(&user, vec![reference]).await.map(|mut resolved| resolved.remove(0))
    };
    let known = Attachment {
        file_id: id.clone(),
        name: "Größe.txt".into(),
        mime: "text/plain".into(),
        size: 5,
        url: url.clone(),
        width: None,
        height: None,
    };
    for reference in [of(&id, None), whole(of(&id, Some("https://evil.example")))] {
        assert_eq!(resolve("ann", reference.clone()).await.unwrap(), known);
        assert!(matches!(resolve("bob", reference).await, Err(Error::Rejected(Rejection::NotFound("file")))));
    }
    let other = "01900000-0000-7000-8000-000000000000";
    for gone in [of(other, None), whole(of("f", Some(&url))), whole(of(other, Some("/api/files/x/y")))] {
        assert!(matches!(resolve("ann", gone).await, Err(Error::Rejected(Rejection::NotFound("file")))));
    }
    let elsewhere = resolve("bob", whole(of(other, Some("https://example.org/f")))).await.unwrap();
    assert_eq!((elsewhere.mime.as_str(), elsewhere.size), ("text/html", 7));
    for half in [of("f", Some("https://example.org/f")), of("f", None)] {
        assert!(matches!(resolve("ann", half).await, Err(Error::Rejected(Rejection::BadRequest(_)))));
    }
}

#[tokio::test]
async fn the_bytes_of_a_message_that_is_deleted_are_gone_with_the_next_round() {
    use chat_core::{
        auth::Identity,
        domain::{Attachments, Draft, MessageType, RoomSpec},
        id::MessageId,
        wire::{ClientCommand, MessageRef},
    };
    let world = World::new();
    let engine =
        Engine::builder().shared_store(world.store.clone()).files(world.files.clone()).build().await.unwrap();
    let caller = engine.caller(Identity::new(ann(), "ann")).await.unwrap();
    let room = caller.create_room(RoomSpec::public("Lobby").unwrap()).await.unwrap().id;
    let file = world.receive("a.txt", b"hello").await.unwrap();
    let attachments = Attachments::parse(vec![world.files.attachment(file.clone())]).unwrap();
    let draft = Draft::text("see").unwrap().with(MessageType::File, attachments);
    let sent = caller.send(&room, draft).await.unwrap();
    world.clock.set(1_790_000_000_000 + 2 * DAY);
    world.files.collect().await.unwrap();
    assert_eq!(world.bytes(file.id, Part::Whole).await, b"hello", "it is posted");
    let message = MessageRef {
        room_id: room.as_str().to_owned(),
        message_id: MessageId::of(&room, sent.seq).to_string(),
    };
    caller.perform(ClientCommand::DeleteMessage(message)).await.unwrap();
    world.files.collect().await.unwrap();
    assert_eq!((world.lying(), world.files.record(file.id).await), (0, Ok(None)));
}
