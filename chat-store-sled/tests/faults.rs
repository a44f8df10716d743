//! What goes wrong below a store, and what becomes of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_core::{
    domain::{
        Actor, Command as Do, Commit, Content, Draft, MembersOnly, Plan, Request, Room, RoomSpec, Rows,
        TextRules,
    },
    id::{RoomId, Seq, UserId},
    store::{
        CommitError, Durability, LogStore, Maintenance, MessagePage, MessageQuery, Place, RoomStore,
        StoreError,
    },
    time::Timestamp,
};
use chat_store_sled::{Faults, OpenError, SledOptions, SledStore};
use support::{
    child::{self, Orders},
    options, recording,
};

/// A room that one user talks to themselves in.
struct Talk {
    room: Room,
    rows: Rows,
    alice: Actor,
}

impl Talk {
    fn new(name: &str) -> Self {
        let room = Room::unborn(RoomId::parse(name).unwrap());
        Self { room, rows: Rows::default(), alice: Actor::new(UserId::parse("alice").unwrap()) }
    }

    fn plan(&self, command: Do) -> Commit {
        let mut plan = Plan::on(&self.room, self.rows.clone(), &MembersOnly, TextRules::default());
        let request = Request { actor: self.alice.clone(), at: Timestamp::from_millis(1), command };
        plan.decide(&request).unwrap();
        plan.into_commit().unwrap()
    }

    fn send(&self, text: &str) -> Commit {
        let content = Content::parse(text, TextRules::default()).unwrap();
        self.plan(Do::Send(Draft::new(content)))
    }

    /// The commit is stored.
    fn apply(&mut self, commit: &Commit) {
        for entry in &commit.entries {
            self.rows.members.entry(self.alice.user.clone()).or_default();
            self.room.apply(entry);
            self.rows.apply(entry);
        }
    }

    async fn begin(store: &SledStore, name: &str) -> Self {
        let mut talk = Self::new(name);
        let commit = talk.plan(Do::Create(RoomSpec::public(name).unwrap()));
        store.commit(commit.clone()).await.unwrap();
        talk.apply(&commit);
        talk
    }

    async fn say(&mut self, store: &SledStore, text: &str) -> Result<Seq, CommitError> {
        let commit = self.send(text);
        store.commit(commit.clone()).await?;
        self.apply(&commit);
        Ok(self.room.head)
    }

    async fn texts(&self, store: &SledStore) -> Vec<String> {
        let page = latest(store, &self.room.id).await.unwrap();
        page.messages.iter().map(|entry| entry.message().unwrap().content.as_str().to_owned()).collect()
    }
}

async fn latest(store: &SledStore, room: &RoomId) -> Result<MessagePage, StoreError> {
    let query =
        MessageQuery { place: Place::Latest, limit: 50, hidden_until: Seq::ZERO, max_bytes: usize::MAX };
    store.messages(room, query).await
}

/// Holds the disk up while it is closed.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    waiting: AtomicBool,
    moved: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut closed = self.closed.lock().unwrap();
        while *closed {
            self.waiting.store(true, Ordering::SeqCst);
            self.moved.notify_all();
            closed = self.moved.wait(closed).unwrap();
        }
    }

    fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.moved.notify_all();
    }

    fn wait_for_somebody(&self) {
        let mut closed = self.closed.lock().unwrap();
        while !self.waiting.load(Ordering::SeqCst) {
            closed = self.moved.wait(closed).unwrap();
        }
        drop(closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_shows_a_message_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let hold = gate.clone();
    let before_sync: Arc<dyn Fn() -> io::Result<()> + Send + Sync> = Arc::new(move || {
        hold.pass();
        Ok(())
    });
    let faults = Faults { before_sync: Some(before_sync), ..Faults::default() };
    let store = Arc::new(options().faults(faults).open(dir.path()).unwrap());
    let mut talk = Talk::begin(&store, "room").await;
    talk.say(&store, "durable").await.unwrap();
    let (room, head) = (talk.room.id.clone(), talk.room.head);

    gate.close();
    let commit = talk.send("not yet durable");
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    let watch = gate.clone();
    tokio::task::spawn_blocking(move || watch.wait_for_somebody()).await.unwrap();

    assert_eq!(talk.texts(&store).await, ["durable"]);
    assert_eq!(store.heads(std::slice::from_ref(&room)).await.unwrap(), [head]);
    assert_eq!(store.room(&room).await.unwrap().unwrap().head, head);
    assert_eq!(store.entries(&room, head, 10, usize::MAX).await.unwrap(), []);
    assert!(!writing.is_finished());

    gate.open();
    writing.await.unwrap().unwrap();
    assert_eq!(talk.texts(&store).await, ["durable", "not yet durable"]);
}

#[tokio::test]
async fn a_failed_sync_refuses_all_writes_until_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = broken.clone();
    let before_sync: Arc<dyn Fn() -> io::Result<()> + Send + Sync> =
        Arc::new(move || match breaks.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the disk is gone")),
            false => Ok(()),
        });
    let faults = Faults { before_sync: Some(before_sync), ..Faults::default() };
    let store = options().faults(faults).open(dir.path()).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    talk.say(&store, "before").await.unwrap();

    broken.store(true, Ordering::SeqCst);
    assert_eq!(talk.say(&store, "unknown").await, Err(StoreError::Unknown.into()));
    broken.store(false, Ordering::SeqCst);
    assert_eq!(talk.say(&store, "after").await, Err(StoreError::Poisoned.into()), "it is never tried again");
    assert_eq!(store.writable(), Err(StoreError::Poisoned));
    assert_eq!(talk.texts(&store).await, ["before"]);
    drop(store);

    let store = options().open(dir.path()).unwrap();
    store.writable().unwrap();
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    assert_eq!(talk.texts(&store).await.first().map(String::as_str), Some("before"));
}

/// Writes until the disk says that it is broken, and tells how that ended.
#[test]
#[ignore = "another process, which a test here starts"]
fn writer_on_a_breaking_disk() {
    let orders = Orders::read();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = options().open(&orders.store).unwrap();
        let mut talk = Talk::begin(&store, "room").await;
        loop {
            match talk.say(&store, "hello").await {
                Ok(seq) => orders.ack(&seq.to_string()),
                Err(error) => {
                    orders.ack(&format!("{error:?}, {:?}", talk.say(&store, "again").await));
                    break;
                }
            }
        }
    });
}

#[test]
fn an_error_of_the_disk_itself_ends_writing_and_loses_nothing() {
    let work = tempfile::tempdir().unwrap();
    let shim = recording::build_shim(work.path());
    let file = |name: &str| work.path().join(name);
    let (store, acks, fail) = (file("store"), file("acks"), file("fail"));
    fs::create_dir(&store).unwrap();
    let mut command = child::prepare("writer_on_a_breaking_disk", "", &store, &acks);
    recording::record(&mut command, &shim, &store, &acks, &file("log"));
    command.env("RECORD_FAIL", &fail);
    let mut process = child::start(command, &file("errors"));
    process.wait_for_acks(&acks, 20);
    fs::write(&fail, "").unwrap();
    let (status, errors) = process.wait();
    assert!(status.success(), "{errors}");

    let told = fs::read_to_string(&acks).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(*told.last().unwrap(), "Store(Unknown), Err(Store(Poisoned))");
    let acked = told.len() - 1;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = options().open(&store).unwrap();
        assert_eq!(store.verify().await.unwrap(), [""; 0]);
        let room = store.room(&RoomId::parse("room").unwrap()).await.unwrap().unwrap();
        assert!(room.messages >= acked as u64, "{acked} acked, {} there", room.messages);
    });
}

#[tokio::test]
async fn a_second_process_is_refused_with_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let (acks, errors) = (dir.path().join("acks"), dir.path().join("errors"));
    let store_path = dir.path().join("store");
    let store = options().open(&store_path).unwrap();
    let process = child::start(child::prepare("writer_on_a_breaking_disk", "", &store_path, &acks), &errors);
    let (status, errors) = process.wait();
    assert!(!status.success());
    assert!(errors.contains("InUse"), "{errors}");
    Talk::begin(&store, "room").await.say(&store, "undisturbed").await.unwrap();
}

#[tokio::test]
async fn a_flipped_byte_is_an_error_or_is_found_by_verify_and_never_a_panic_or_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = options().open(dir.path()).unwrap();
        let mut talk = Talk::begin(&store, "room").await;
        for number in 0..600 {
            talk.say(&store, &format!("{number} {}", "text ".repeat(number % 200))).await.unwrap();
        }
        store.close().await.unwrap();
    }
    let data = fs::read(dir.path().join("db")).unwrap();
    let (mut refused, mut unread, mut found, mut harmless) = (0, 0, 0, 0);
    let places = 40;
    for place in 0..places {
        let copy = tempfile::tempdir().unwrap();
        recording::copy(dir.path(), copy.path());
        // Without the snapshots, sled has to read everything; with them, only what came later.
        if place % 2 == 0 {
            for entry in fs::read_dir(copy.path()).unwrap().map(Result::unwrap) {
                if entry.file_name().to_string_lossy().starts_with("snap.") {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        }
        let at = data.len() / places * place + 97;
        let mut flipped = data.clone();
        flipped[at] ^= 0x20;
        fs::write(copy.path().join("db"), flipped).unwrap();
        let Ok(store) = options().open(copy.path()) else {
            refused += 1;
            continue;
        };
        match store.verify().await {
            Err(_) => unread += 1,
            Ok(wrong) if !wrong.is_empty() => found += 1,
            Ok(_) => {
                let room = store.room(&RoomId::parse("room").unwrap()).await.unwrap();
                assert_eq!(room.map(|room| room.messages), Some(600), "byte {at}: silently lost");
                harmless += 1;
            }
        }
    }
    println!(
        "{places} flipped bytes: {refused} refused, {unread} unreadable, {found} found, {harmless} harmless"
    );
    assert!(refused + unread + found > 0);
}

#[tokio::test]
async fn a_loss_is_opened_only_when_it_is_accepted_and_then_under_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    talk.say(&store, "kept").await.unwrap();
    let epoch = store.epoch();
    store.close().await.unwrap();
    recording::copy(dir.path(), old.path());

    let store = options().open(dir.path()).unwrap();
    assert_eq!(store.epoch(), epoch, "nothing was lost in between");
    talk.say(&store, "lost").await.unwrap();
    store.close().await.unwrap();
    fs::copy(dir.path().join("SYNCED"), old.path().join("SYNCED")).unwrap();

    let refused = options().open(old.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Lost { .. }), "{refused}");
    let store = options().accept_loss(true).open(old.path()).unwrap();
    assert_ne!(store.epoch(), epoch);
    assert_eq!(talk.texts(&store).await, ["kept"]);
    let epoch = store.epoch();
    store.close().await.unwrap();
    assert_eq!(options().open(old.path()).unwrap().epoch(), epoch, "it is accepted once");
}

#[tokio::test]
async fn each_durability_keeps_what_it_promises_over_an_orderly_end() {
    for durability in [Durability::Fsync, Durability::Interval, Durability::None] {
        let dir = tempfile::tempdir().unwrap();
        let store = options().durability(durability).open(dir.path()).unwrap();
        let mut talk = Talk::begin(&store, "room").await;
        talk.say(&store, "hello").await.unwrap();
        let epoch = store.epoch();
        store.close().await.unwrap();
        let store = options().durability(durability).open(dir.path()).unwrap();
        assert_eq!(talk.texts(&store).await, ["hello"], "{durability:?}");
        assert_eq!(store.epoch(), epoch, "{durability:?}");
    }
}

/// A filesystem of 40 MB in memory, for as long as this lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        as_root(&["mount", "-t", "tmpfs", "-o", "size=40m,mode=1777", "tmpfs", path]).unwrap_or_else(|error| {
            panic!("this test mounts a small filesystem, for which it has to be root or allowed to sudo: {error}")
        });
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves only so many bytes free.
    fn fill_up_to(&self, left: u64) -> PathBuf {
        let path = self.path().join("filler");
        let found = rustix::fs::statvfs(self.path()).unwrap();
        let bytes = (found.f_bavail * found.f_frsize).saturating_sub(left);
        fs::write(&path, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What stays mounted is in the way of deleting the directory, which is reported nowhere either.
        let _ = as_root(&["umount", "--lazy", self.path().to_str().unwrap()]);
    }
}

/// Runs a command, if need be with the rights of root.
fn as_root(command: &[&str]) -> Result<(), String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let command = if root { command.to_vec() } else { [&["sudo", "-n"], command].concat() };
    let run = Command::new(command[0]).args(&command[1..]).output().map_err(|error| error.to_string())?;
    match run.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}

const MIB: u64 = 1 << 20;

/// The defaults keep 10 MB of 40 free, and 5 MB of ballast.
fn on_a_small_disk() -> SledOptions {
    SledOptions::new().cache_bytes(8 << 20)
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_accepts_them_again_without_a_restart() {
    let disk = SmallDisk::mount();
    let path = disk.path().join("store");
    let store = on_a_small_disk().open(&path).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    talk.say(&store, "while there was room").await.unwrap();

    let filler = disk.fill_up_to(0);
    assert_eq!(store.writable(), Err(StoreError::Full));
    assert_eq!(talk.say(&store, "too much").await, Err(StoreError::Full.into()));
    assert_eq!(talk.texts(&store).await, ["while there was room"], "reads go on");

    fs::remove_file(filler).unwrap();
    store.writable().unwrap();
    talk.say(&store, "room again").await.unwrap();
    assert_eq!(talk.texts(&store).await, ["while there was room", "room again"]);
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_store_fills_its_disk_up_to_the_reserve_and_no_further() {
    let disk = SmallDisk::mount();
    let store = on_a_small_disk().open(disk.path().join("store")).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    let text = "ä".repeat(4_000);
    let refused = loop {
        if let Err(error) = talk.say(&store, &text).await {
            break error;
        }
    };
    assert_eq!(refused, StoreError::Full.into());
    let found = rustix::fs::statvfs(disk.path()).unwrap();
    let free = found.f_bavail * found.f_frsize;
    println!("{} messages of 8 kB, {free} bytes left free", talk.room.messages);
    assert!((8 * MIB..10 * MIB).contains(&free), "{free} bytes left free");
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_store_opens_on_a_disk_that_is_full_to_the_last_byte() {
    let disk = SmallDisk::mount();
    let path = disk.path().join("store");
    let store = on_a_small_disk().open(&path).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    for number in 0..500 {
        talk.say(&store, &format!("{number}")).await.unwrap();
    }
    store.close().await.unwrap();

    let filler = disk.fill_up_to(0);
    assert!(path.join("ballast").exists());
    let store = on_a_small_disk().open(&path).unwrap();
    assert!(!path.join("ballast").exists(), "it gave way");
    assert_eq!(talk.texts(&store).await.len(), 50);
    assert_eq!(talk.say(&store, "no room").await, Err(StoreError::Full.into()));

    fs::remove_file(filler).unwrap();
    talk.say(&store, "room again").await.unwrap();
    assert!(path.join("ballast").exists(), "it is back");
}

#[tokio::test]
async fn a_disk_that_somebody_else_fills_at_once_loses_nothing_that_was_acked() {
    let disk = SmallDisk::mount();
    let path = disk.path().join("store");
    // Without the reserve sled meets the end of the disk itself.
    let careless = || options().ballast_bytes(5 * MIB);
    let store = careless().open(&path).unwrap();
    let mut talk = Talk::begin(&store, "room").await;
    let text = "ä".repeat(4_000);
    let refused = loop {
        if let Err(error) = talk.say(&store, &text).await {
            break error;
        }
    };
    println!("{} messages, then {refused:?}", talk.room.messages);
    let acked = talk.room.messages;
    assert!(matches!(refused, CommitError::Store(StoreError::Full | StoreError::Unknown)), "{refused:?}");
    drop(store);

    let store = on_a_small_disk().open(&path).unwrap();
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    let room = store.room(&talk.room.id).await.unwrap().unwrap();
    assert!(room.messages >= acked, "{acked} acked, {} there", room.messages);
}
