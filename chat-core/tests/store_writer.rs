//! What the writer of the embedded stores does when the engine below is slow, full, broken or lies.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use chat_core::{
    domain::{
        Actor, Command, Commit, Content, Draft, MembersOnly, Needs, Plan, Request, Room, RoomSpec, Rows,
        TextRules, Username,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    limits::{STORE_GROUP_OPS_MAX, STORE_QUEUE_MAX},
    store::{
        CommitError, Durability, LogStore, Maintenance, MessageQuery, PageRequest, Place, RoomStore,
        StoreError, UserProfile, UserStore,
        kv::{KvError, KvOptions, KvStore, MemKv},
    },
    testing::{FaultyKv, KvFaults},
    time::Timestamp,
};

type Store = Arc<KvStore<FaultyKv<MemKv>>>;

fn open(disk: &MemKv, durability: Durability) -> (Store, KvFaults) {
    let (kv, faults) = FaultyKv::new(disk.clone());
    let store = KvStore::threaded(kv, KvOptions { durability, ..KvOptions::default() }).unwrap();
    (Arc::new(store), faults)
}

fn opened() -> (Store, KvFaults) {
    open(&MemKv::new(), Durability::Fsync)
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn request(actor: &str, command: Command) -> Request {
    Request { actor: Actor::new(user(actor)), at: Timestamp::from_millis(1_790_000_000_000), command }
}

fn text(text: &str, key: Option<&str>) -> Command {
    Command::Send(Draft {
        client_message_id: key.map(|key| ClientMessageId::parse(key).unwrap()),
        ..Draft::new(Content::parse(text, TextRules::default()).unwrap())
    })
}

/// What creating a public room of that id comes to.
fn creating(id: &str, owner: &str) -> Commit {
    let unborn = Room::unborn(room(id));
    let mut plan = Plan::on(&unborn, Rows::default(), &MembersOnly, TextRules::default());
    plan.decide(&request(owner, Command::Create(RoomSpec::public(id).unwrap()))).unwrap();
    plan.into_commit().unwrap()
}

async fn planned(store: &Store, id: &str, requests: &[Request]) -> Commit {
    let mut needs = Needs::default();
    requests.iter().for_each(|request| needs.add(request));
    let stored = store.room(&room(id)).await.unwrap().unwrap();
    let rows = store.gather(&room(id), &needs).await.unwrap();
    let mut plan = Plan::on(&stored, rows, &MembersOnly, TextRules::default());
    for request in requests {
        plan.decide(request).unwrap();
    }
    plan.into_commit().unwrap()
}

async fn send(store: &Store, id: &str, what: &str) -> Result<Seq, CommitError> {
    let commit = planned(store, id, &[request("alice", text(what, None))]).await;
    let head = commit.room.head;
    store.commit(commit).await.map(|()| head)
}

async fn blocked(faults: &KvFaults) {
    let faults = faults.clone();
    tokio::task::spawn_blocking(move || faults.wait_for_blocked_sync()).await.unwrap();
}

fn profile(name: &str) -> UserProfile {
    let username = Username::parse(name).unwrap();
    UserProfile::new(user(name), username, Timestamp::default())
}

/// All that can be read about the room `lobby`, `bob` and the room `attic`.
async fn readable(store: &Store) -> String {
    let (lobby, attic, bob) = (room("lobby"), room("attic"), user("bob"));
    let first = PageRequest::first(100);
    let page =
        MessageQuery { place: Place::Latest, limit: 100, hidden_until: Seq::ZERO, max_bytes: usize::MAX };
    let needs = Needs {
        members: vec![bob.clone(), user("alice")],
        sent: vec![(user("alice"), ClientMessageId::parse("k").unwrap())],
        ..Needs::default()
    };
    let rows = store.gather(&lobby, &needs).await.unwrap();
    format!(
        "{:?}",
        (
            store.entries(&lobby, Seq::ZERO, 100, usize::MAX).await,
            store.messages(&lobby, page).await,
            store.heads(&[lobby.clone(), attic.clone()]).await,
            (store.room(&lobby).await, store.room(&attic).await),
            (rows.at, rows.member(&bob).cloned(), rows.member(&user("alice")).cloned(), rows.sent),
            store.members(&lobby, first.clone()).await,
            store.rooms_of(&bob, first.clone()).await,
            store.public_rooms(None, first).await,
            store.membership_versions(&[bob.clone(), user("alice")]).await,
            (store.users(&[bob]).await, store.user_named(&Username::parse("bob").unwrap()).await),
        )
    )
}

/// Changes everything that [`readable`] shows, as three requests that are answered later.
async fn change_everything(store: &Store) -> Vec<tokio::task::JoinHandle<Result<(), String>>> {
    let requests = [
        request("alice", text("new", Some("k"))),
        request("bob", Command::Join),
        request("alice", text("newer", None)),
    ];
    let change = planned(store, "lobby", &requests).await;
    let create = creating("attic", "bob");
    let commit = |commit: Commit| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(commit).await.map_err(|error| error.to_string()) })
    };
    let mut tasks = vec![commit(change), commit(create)];
    let store = store.clone();
    let user = async move { store.create_user(profile("bob")).await.map_err(|error| error.to_string()) };
    tasks.push(tokio::spawn(user));
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_read_before_it_is_durable() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    let before = readable(&store).await;

    faults.block_sync(true);
    let tasks = change_everything(&store).await;
    blocked(&faults).await;
    assert_eq!(readable(&store).await, before);

    faults.block_sync(false);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    let after = readable(&store).await;
    for new in ["Seq(5)", "attic", "ordinal: 2", "UserProfile"] {
        assert!(after.contains(new) && !before.contains(new), "{new}");
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_can_not_be_read_before_it_is_durable() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    let join = planned(&store, "lobby", &[request("bob", Command::Join)]).await;
    store.commit(join).await.unwrap();
    let before = readable(&store).await;

    faults.block_sync(true);
    let leave = planned(&store, "lobby", &[request("bob", Command::Leave)]).await;
    let task = tokio::spawn({
        let store = store.clone();
        async move { store.commit(leave).await }
    });
    blocked(&faults).await;
    assert_eq!(readable(&store).await, before);
    faults.block_sync(false);
    assert_eq!(task.await.unwrap(), Ok(()));
    assert_ne!(readable(&store).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_leaves_the_outcome_open_and_ends_writing_but_not_reading() {
    let disk = MemKv::new();
    let (store, faults) = open(&disk, Durability::Fsync);
    store.commit(creating("lobby", "alice")).await.unwrap();
    let before = readable(&store).await;

    faults.fail_sync();
    let unknown = StoreError::Unknown.to_string();
    for task in change_everything(&store).await {
        let answer = task.await.unwrap().unwrap_err();
        assert!(answer == unknown || answer == StoreError::Poisoned.to_string(), "{answer}");
    }
    assert_eq!(send(&store, "lobby", "later").await, Err(StoreError::Poisoned.into()));
    assert_eq!(store.writable(), Err(StoreError::Poisoned));
    assert_eq!(store.sweep(Timestamp::default()).await, Err(StoreError::Poisoned));
    assert_eq!(readable(&store).await, before);
    assert_eq!(store.close().await, Err(StoreError::Poisoned));

    // Opened again, the store has what was applied, or has it not: here it has.
    let (store, _) = open(&disk, Durability::Fsync);
    assert_eq!(store.writable(), Ok(()));
    assert!(send(&store, "lobby", "later").await.is_ok());
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_works_again_without_a_restart() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    let before = readable(&store).await;
    faults.fill_disk(true);
    assert_eq!(store.writable(), Err(StoreError::Full));
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Full.into()));
    assert_eq!(readable(&store).await, before);
    faults.fill_disk(false);
    assert_eq!(store.writable(), Ok(()));
    assert_eq!(send(&store, "lobby", "yes").await, Ok(Seq::new(3)));

    // The same when only writing shows it.
    faults.fail_apply(KvError::Full);
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Full.into()));
    assert_eq!(send(&store, "lobby", "yes").await, Ok(Seq::new(4)));
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_changes_nothing_and_later_ones_succeed() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    let before = readable(&store).await;
    faults.fail_apply(KvError::Io("broken".to_owned()));
    let failed = Err(CommitError::Store(StoreError::Backend("broken".to_owned())));
    assert_eq!(send(&store, "lobby", "no").await, failed);
    assert_eq!(readable(&store).await, before);
    assert_eq!(send(&store, "lobby", "yes").await, Ok(Seq::new(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_half_way_ends_writing() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    faults.fail_apply(KvError::Unknown("half".to_owned()));
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Unknown.into()));
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Poisoned.into()));
    assert_eq!(store.heads(&[room("lobby")]).await, Ok(vec![Seq::new(2)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_below_ends_writing_and_reaches_nobody() {
    let (store, faults) = opened();
    store.commit(creating("lobby", "alice")).await.unwrap();
    faults.break_off();
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Unknown.into()));
    assert_eq!(send(&store, "lobby", "no").await, Err(StoreError::Poisoned.into()));
    assert_eq!(store.heads(&[room("lobby")]).await, Ok(vec![Seq::new(2)]));
}

/// Commits one message each to so many rooms, all queued behind a blocked sync, and returns the answers.
async fn pile_up(store: &Store, faults: &KvFaults, rooms: usize) -> Vec<Result<(), CommitError>> {
    let mut commits = Vec::new();
    for number in 0..rooms {
        let id = format!("room-{number}");
        store.commit(creating(&id, "alice")).await.unwrap();
        commits.push(planned(store, &id, &[request("alice", text("x", None))]).await);
    }
    faults.block_sync(true);
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.commit(creating("first", "alice")).await }
    });
    blocked(faults).await;
    let mut waiting = Vec::new();
    for commit in commits {
        let mut saving = Box::pin({
            let store = store.clone();
            async move { store.commit(commit).await }
        });
        // Polled once, it is in the queue.
        assert!(futures::poll!(&mut saving).is_pending());
        waiting.push(saving);
    }
    faults.block_sync(false);
    assert_eq!(first.await.unwrap(), Ok(()));
    futures::future::join_all(waiting).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_waits_shares_one_sync() {
    let (store, faults) = opened();
    let rooms = 100;
    let answers = pile_up(&store, &faults, rooms).await;
    assert_eq!(answers, vec![Ok(()); rooms]);
    // One to open, one for each room and for the first commit; all the rest in one.
    assert_eq!(faults.syncs(), 1 + rooms + 1 + 1);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_group_changes_more_keys_than_its_bound() {
    let (store, faults) = opened();
    let answers = pile_up(&store, &faults, 400).await;
    assert_eq!(answers, vec![Ok(()); 400]);
    let largest = faults.largest_batch();
    assert!(largest <= STORE_GROUP_OPS_MAX && largest > STORE_GROUP_OPS_MAX / 2, "{largest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_queue_holds_is_refused_and_nothing_else_is() {
    let (store, faults) = opened();
    faults.block_sync(true);
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.commit(creating("first", "alice")).await }
    });
    blocked(&faults).await;
    let mut waiting = Vec::new();
    for number in 0..STORE_QUEUE_MAX + 10 {
        let store = store.clone();
        let mut saving = Box::pin(async move { store.create_user(profile(&format!("user_{number}"))).await });
        match futures::poll!(&mut saving) {
            std::task::Poll::Pending => waiting.push(saving),
            std::task::Poll::Ready(refused) => {
                assert_eq!(refused.unwrap_err().to_string(), StoreError::Overloaded.to_string());
            }
        }
    }
    assert_eq!(waiting.len(), STORE_QUEUE_MAX);
    faults.block_sync(false);
    assert_eq!(first.await.unwrap(), Ok(()));
    assert!(futures::future::join_all(waiting).await.iter().all(Result::is_ok));
    assert!(store.create_user(profile("afterwards")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_saved_when_the_store_is_closed_or_dropped() {
    for close in [true, false] {
        let disk = MemKv::crashable();
        let (store, faults) = open(&disk, Durability::Fsync);
        faults.block_sync(true);
        let mut saving = Box::pin({
            let store = store.clone();
            async move { store.commit(creating("lobby", "alice")).await }
        });
        assert!(futures::poll!(&mut saving).is_pending());
        faults.block_sync(false);
        if close {
            let closing = store.close().await;
            assert_eq!((saving.await, closing), (Ok(()), Ok(())));
        } else {
            drop(saving);
            let store = Arc::into_inner(store).unwrap();
            tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
        }
        disk.crash();
        let (store, _) = open(&disk, Durability::Fsync);
        assert_eq!(store.heads(&[room("lobby")]).await, Ok(vec![Seq::new(2)]), "close: {close}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_waits_for_what_its_durability_says() {
    for (durability, syncs, flushes) in
        [(Durability::Fsync, 1, 0), (Durability::Interval, 0, 1), (Durability::None, 0, 0)]
    {
        let (store, faults) = open(&MemKv::new(), durability);
        let (before_syncs, before_flushes) = (faults.syncs(), faults.flushes());
        faults.block_sync(durability == Durability::None);
        store.commit(creating("lobby", "alice")).await.unwrap();
        assert_eq!(faults.flushes() - before_flushes, flushes, "{durability:?}");
        if durability == Durability::Fsync {
            assert_eq!(faults.syncs() - before_syncs, syncs);
        }
        // The disk is told in any case, sooner or later.
        faults.block_sync(false);
        let told = tokio::task::spawn_blocking(move || faults.wait_for_syncs(before_syncs + 1));
        told.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_epoch_changes_exactly_when_acked_data_may_be_lost() {
    for durability in [Durability::Fsync, Durability::Interval, Durability::None] {
        let disk = MemKv::new();
        let (store, _) = open(&disk, durability);
        let first = store.epoch();
        store.close().await.unwrap();
        drop(store);

        let (store, faults) = open(&disk, durability);
        assert_eq!(store.epoch(), first, "{durability:?}, closed");
        // A store whose last sync fails has not noted that all is saved: to the next run it looks like a crash.
        faults.fail_sync();
        assert!(store.close().await.is_err());
        drop(store);

        let (store, _) = open(&disk, durability);
        let same = store.epoch() == first;
        assert_eq!(same, durability == Durability::Fsync, "{durability:?}, crashed");
    }
}

/// Sends until the power is cut, and returns how many messages were acked and how many are there afterwards.
async fn cut_the_power(sync_lies: bool) -> (u64, u64) {
    let disk = MemKv::crashable();
    let (store, faults) = open(&disk, Durability::Fsync);
    store.commit(creating("lobby", "alice")).await.unwrap();
    disk.lie_about_sync(sync_lies);
    let mut acked = 0;
    for _ in 0..20 {
        send(&store, "lobby", "x").await.unwrap();
        acked += 1;
    }
    faults.fail_sync();
    assert_eq!(send(&store, "lobby", "never acked").await, Err(StoreError::Unknown.into()));
    drop(store);
    disk.crash();
    let (store, _) = open(&disk, Durability::Fsync);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    (acked, store.heads(&[room("lobby")]).await.unwrap()[0].get() - 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_of_the_power_loses_nothing_that_was_acked() {
    assert_eq!(cut_the_power(false).await, (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_of_the_power_loses_acked_messages_when_sync_lies() {
    assert_eq!(cut_the_power(true).await, (20, 0));
}
