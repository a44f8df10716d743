//! Bytes in an S3-compatible store, of which a small one runs here.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_core::auth::Secret;
use chat_files::{Files, Part, S3, UploadError};
use common::{World, encoded, picture};
use futures::TryStreamExt;
use image::ImageFormat;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A bucket: `PUT`, `GET` with ranges, `DeleteObjects`, and the list of all (the second version of that call).
#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    is_down: AtomicBool,
}

impl Bucket {
    /// Serves on a port of its own; its URL.
    async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bucket = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bucket = Arc::clone(&bucket);
                tokio::spawn(async move { bucket.talk(stream).await });
            }
        });
        url
    }

    async fn talk(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut head, mut line) = (Vec::new(), String::new());
            loop {
                line.clear();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let header = |name: &str| {
                let find = |line: &String| {
                    let (known, value) = line.split_once(':')?;
                    known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                };
                head.iter().find_map(find)
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let mut words = head[0].split(' ');
            let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            assert!(
                header("authorization").is_some_and(|proof| proof.contains("Credential=me/")),
                "{head:?}"
            );
            let answer = self.answer(&method, &path, header("range"), body);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, path: &str, range: Option<String>, body: Vec<u8>) -> Vec<u8> {
        let respond = |status: &str, headers: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        if self.is_down.load(Ordering::SeqCst) {
            return respond("403 Forbidden", "", b"");
        }
        let about = "ETag: \"e\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
        let mut objects = self.objects.lock().unwrap();
        let (key, query) = path.split_once('?').unwrap_or((path, ""));
        match method {
            "PUT" => {
                objects.insert(key.to_owned(), body);
                respond("200 OK", about, b"")
            }
            // Several at once.
            "POST" if query.starts_with("delete") => {
                let text = String::from_utf8(body).unwrap();
                let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
                let gone: String = keys
                    .map(|(key, _)| {
                        objects.remove(&format!("/bucket/{key}"));
                        format!("<Deleted><Key>{key}</Key></Deleted>")
                    })
                    .collect();
                respond("200 OK", "", format!("<DeleteResult>{gone}</DeleteResult>").as_bytes())
            }
            "GET" if query.contains("list-type=2") => {
                let item = |(key, bytes): (&String, &Vec<u8>)| {
                    let key = key.trim_start_matches("/bucket/");
                    let size = bytes.len();
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag><Size>{size}</Size></Contents>"
                    )
                };
                let prefix =
                    query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
                let beginning = format!("/bucket/{}", prefix.replace("%2F", "/"));
                let listed = objects.iter().filter(|(key, _)| key.starts_with(&beginning));
                let items: String = listed.map(item).collect();
                respond("200 OK", "", format!("<ListBucketResult>{items}</ListBucketResult>").as_bytes())
            }
            "GET" => match (objects.get(key), range) {
                (None, _) => respond("404 Not Found", "", b""),
                (Some(bytes), None) => respond("200 OK", about, bytes),
                (Some(bytes), Some(range)) => {
                    let (first, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    let part = format!("{about}Content-Range: bytes {first}-{last}/{}\r\n", bytes.len());
                    respond("206 Partial Content", &part, &bytes[first..=last])
                }
            },
            _ => respond("501 Not Implemented", "", b""),
        }
    }

    fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn s3(endpoint: String) -> S3 {
    S3 {
        bucket: "bucket".into(),
        region: "us-east-1".into(),
        endpoint: Some(endpoint),
        access_key_id: "me".into(),
        secret_access_key: Secret::new("swordfish"),
        prefix: "chat/files".into(),
    }
}

#[tokio::test]
async fn files_are_kept_given_out_in_parts_and_let_go_there_as_they_are_in_a_folder() {
    let bucket = Arc::new(Bucket::default());
    let store = s3(bucket.serve().await).open().unwrap();
    let world = World::with(|builder| builder.object_store(store));
    let file = world.receive("a.png", &encoded(&picture(40, 40), ImageFormat::Png)).await.unwrap();
    let id = file.id.to_string();
    let place = format!("/bucket/chat/files/{}/{id}", &id[34..]);
    assert_eq!(bucket.keys(), [place.clone(), format!("{place}.thumbnail")]);
    assert_eq!(world.lying(), 0, "nothing is left here");
    let whole = world.bytes(file.id, Part::Whole).await;
    assert_eq!(image::load_from_memory(&whole).unwrap(), picture(40, 40));
    let opened = world.files.open(file.id, Part::Whole, Some(10..30)).await.unwrap().unwrap();
    assert_eq!((opened.size, opened.range.clone()), (whole.len() as u64, 10..30));
    assert_eq!(opened.pieces.try_collect::<Vec<_>>().await.unwrap().concat(), whole[10..30]);
    world.clock.set(1_790_000_000_000 + 24 * 3_600_000);
    world.files.collect().await.unwrap();
    assert_eq!(bucket.keys(), Vec::<String>::new());
    assert!(world.files.open(file.id, Part::Whole, None).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_store_that_is_down_does_not_take_is_not_kept_and_what_it_does_not_delete_is_deleted_later() {
    let bucket = Arc::new(Bucket::default());
    let store = s3(bucket.serve().await).open().unwrap();
    let world = World::with(|builder| builder.object_store(store));
    world.receive("a.txt", b"hello").await.unwrap();
    bucket.is_down.store(true, Ordering::SeqCst);
    assert_eq!(world.receive("b.txt", b"hello").await, Err(UploadError::Unavailable));
    world.clock.set(1_790_000_000_000 + 24 * 3_600_000);
    assert!(!world.files.collect().await.unwrap());
    bucket.is_down.store(false, Ordering::SeqCst);
    assert_eq!(bucket.keys().len(), 1);
    world.files.collect().await.unwrap();
    assert_eq!(bucket.keys().len(), 0);
}

const STRAY: &str = "01900000-0000-7000-8000-000000000000";

impl Bucket {
    fn insert(&self, key: &str) {
        self.objects.lock().unwrap().insert(format!("/bucket/{key}"), b"x".to_vec());
    }

    fn has(&self, key: &str) -> bool {
        self.objects.lock().unwrap().contains_key(&format!("/bucket/{key}"))
    }
}

#[tokio::test]
async fn bytes_of_which_nothing_is_remembered_are_found_there_too() {
    let bucket = Arc::new(Bucket::default());
    let store = s3(bucket.serve().await).open().unwrap();
    let world = World::with(|builder| builder.object_store(store));
    let kept = world.receive("a.txt", b"hello").await.unwrap();
    bucket.insert(&format!("chat/files/00/{STRAY}"));
    bucket.insert(&format!("chat/files/00/{STRAY}.thumbnail"));
    assert_eq!(world.files.collect_orphans().await, Ok(2));
    assert!(!bucket.keys().iter().any(|key| key.contains(STRAY)), "{:?}", bucket.keys());
    assert_eq!(world.bytes(kept.id, Part::Whole).await, b"hello");
}

#[tokio::test]
async fn what_others_keep_in_the_same_bucket_is_left_there() {
    let bucket = Arc::new(Bucket::default());
    let store = S3 { prefix: String::new(), ..s3(bucket.serve().await) }.open().unwrap();
    let world = World::with(|builder| builder.object_store(store));
    let of_others = [
        STRAY.to_owned(),
        format!("photos/{STRAY}"),
        format!("photos/{STRAY}.jpg"),
        format!("photos/00/{STRAY}"),
        format!("00/{STRAY}.jpg"),
        format!("00/{STRAY}.thumbnail.jpg"),
        format!("01/{STRAY}"),
        "readme.txt".to_owned(),
    ];
    of_others.iter().for_each(|key| bucket.insert(key));
    bucket.insert(&format!("00/{STRAY}"));
    assert_eq!(world.files.collect_orphans().await, Ok(1));
    for key in of_others {
        assert!(bucket.has(&key), "{key}");
    }
}

#[tokio::test]
async fn of_two_servers_that_share_a_bucket_neither_deletes_what_the_other_remembers() {
    let bucket = Arc::new(Bucket::default());
    let url = bucket.serve().await;
    let [one, other] =
        [(); 2].map(|()| World::with(|builder| builder.object_store(s3(url.clone()).open().unwrap())));
    let of_one = one.receive("a.txt", b"one").await.unwrap();
    assert_eq!(one.files.collect_orphans().await, Ok(0));
    assert_eq!(other.files.collect_orphans().await, Ok(0));
    let of_other = other.receive("a.txt", b"other").await.unwrap();
    bucket.insert(&format!("chat/files/00/{STRAY}"));
    for world in [&one, &other] {
        assert_eq!(world.files.collect_orphans().await, Ok(0));
    }
    assert_eq!(one.bytes(of_one.id, Part::Whole).await, b"one");
    assert_eq!(other.bytes(of_other.id, Part::Whole).await, b"other");
    // A name lasts, so that a new start is no other server.
    let mut names = bucket.keys();
    names.retain(|key| key.starts_with("/bucket/chat/files/chat-files.owners/"));
    assert_eq!(names.len(), 2);
    let again = Files::builder(one.store.clone(), one.folder.path()).object_store(s3(url).open().unwrap());
    assert_eq!(again.clock(one.clock.clone()).build().unwrap().collect_orphans().await, Ok(0));
    bucket.objects.lock().unwrap().retain(|key, _| !names.contains(key));
    assert_eq!(one.files.collect_orphans().await, Ok(2), "the other one's and nobody's");
}

#[test]
fn a_key_never_shows_in_debug_output() {
    assert!(!format!("{:?}", s3("http://localhost".into())).contains("swordfish"));
}
