//! The one writer.
//!
//! Requests become groups, a group becomes one batch and one sync, and only then are its requests answered and
//! its rows shown to readers. One writer makes that serial without any lock on rows.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::{
    KvBatch, KvError, KvOptions, OrderedKv,
    group::{Answer, Evaluated, evaluate},
    keys, read,
    request::{Refusal, Request},
    values::{self, v1},
    view::Visible,
};
use crate::{
    limits::{
        STORE_GROUP_BYTES_MAX, STORE_GROUP_OPS_MAX, STORE_GROUP_REQUESTS_MAX, STORE_QUEUE_BYTES_MAX,
        STORE_QUEUE_MAX,
    },
    store::{Durability, StoreError},
};

/// How often the disk is told under [`Durability::Interval`] and [`Durability::None`].
const SYNC_EVERY: Duration = Duration::from_millis(500);

/// What the writer and the readers share.
#[derive(Debug)]
pub(super) struct Shared<K> {
    pub(super) rows: Visible<K>,
    /// The weeks that hold sent keys; two, unless nobody sweeps or a clock was far off.
    pub(super) weeks: RwLock<Vec<u16>>,
    pub(super) epoch: String,
    durability: Durability,
    poisoned: AtomicBool,
    /// Whether the store is open. Held for reading while somebody reads, so that closing waits for them.
    open: RwLock<bool>,
}

impl<K: OrderedKv> Shared<K> {
    /// Begins a run on what `kv` holds.
    pub(super) fn open(kv: K, options: KvOptions) -> Result<Self, StoreError> {
        let KvOptions { durability, may_have_lost } = options;
        let epoch = begin_run(&kv, durability, may_have_lost)?;
        Ok(Self {
            weeks: RwLock::new(read::weeks_of_sent(&kv)?),
            rows: Visible::new(kv),
            epoch,
            durability,
            poisoned: AtomicBool::new(false),
            open: RwLock::new(true),
        })
    }

    /// Reads, unless the store is closed. A panic below is an error and refuses later writes.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.open.read();
        if !*open {
            return Err(StoreError::Closed);
        }
        catch_unwind(AssertUnwindSafe(|| read(self))).unwrap_or_else(|_| {
            self.poison();
            Err(StoreError::Backend("reading broke off".to_owned()))
        })
    }

    /// What a write would be answered with, if not with its outcome.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        if !*self.open.read() {
            return Err(StoreError::Closed);
        }
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        if !self.rows.raw().has_space() {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Writes a group and answers each of its requests.
    fn write(&self, requests: &[&Request]) -> Vec<Answer> {
        let all = |error: StoreError| vec![Err(Refusal::Store(error)); requests.len()];
        if let Err(error) = self.writable() {
            return all(error);
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.write_group(requests)));
        written
            .unwrap_or_else(|_| {
                self.poison();
                Ok(all(StoreError::Unknown))
            })
            .unwrap_or_else(all)
    }

    /// `Err` when nothing was saved.
    fn write_group(&self, requests: &[&Request]) -> Result<Vec<Answer>, StoreError> {
        let kv = self.rows.raw();
        let Evaluated { batch, undo, mut answers, weeks, swept } =
            evaluate(kv, self.weeks.read().clone(), requests.iter().copied())?;
        let must_last = requests.iter().any(|request| request.must_last());
        if batch.changes.is_empty() {
            self.forget_weeks(swept);
            // What such an answer tells of may be as young as that.
            if must_last && self.durability != Durability::Fsync && kv.sync().is_err() {
                self.lost(&mut answers);
            }
            return Ok(answers);
        }
        self.remember_weeks(weeks);
        self.rows.hide(undo);
        let saved = match (kv.apply(batch), self.durability) {
            (Err(error @ KvError::Unknown(_)), _) => Err(error),
            (Err(error), _) => {
                self.rows.publish();
                return Err(error.into());
            }
            (Ok(()), Durability::Fsync) => kv.sync(),
            (Ok(()), _) if must_last => kv.sync(),
            (Ok(()), Durability::Interval) => kv.flush(),
            (Ok(()), Durability::None) => Ok(()),
        };
        if saved.is_err() {
            // What is applied stays hidden: readers go on with what is known to be durable.
            self.lost(&mut answers);
            return Ok(answers);
        }
        self.rows.publish();
        self.forget_weeks(swept);
        Ok(answers)
    }

    /// Nobody knows what of it survives.
    fn lost(&self, answers: &mut [Answer]) {
        self.poison();
        for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
            *answer = Err(Refusal::Store(StoreError::Unknown));
        }
    }

    fn remember_weeks(&self, new: Vec<u16>) {
        if new.iter().all(|week| self.weeks.read().contains(week)) {
            return;
        }
        let mut weeks = self.weeks.write();
        weeks.extend(new);
        weeks.sort_unstable();
        weeks.dedup();
    }

    fn forget_weeks(&self, before: Option<u16>) {
        if let Some(before) = before {
            self.weeks.write().retain(|week| *week >= before);
        }
    }

    /// Tells the disk what was acked without telling it.
    fn sync(&self) {
        if self.poisoned.load(Ordering::Acquire) {
            return;
        }
        let synced = catch_unwind(AssertUnwindSafe(|| self.rows.raw().sync()));
        if !matches!(synced, Ok(Ok(()))) {
            self.poison();
        }
    }

    /// Refuses everything from here on, notes that all is saved, and lets go of what is below.
    fn close(&self) -> Result<(), StoreError> {
        let mut open = self.open.write();
        if !std::mem::replace(&mut *open, false) {
            return Ok(());
        }
        let kv = self.rows.raw();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let saved = if self.poisoned.load(Ordering::Acquire) {
                Err(StoreError::Poisoned)
            } else {
                kv.sync().map_err(StoreError::from).and_then(|()| note_run(kv, self.durability, true))
            };
            saved.and(kv.close().map_err(StoreError::from))
        }));
        ended.unwrap_or(Err(StoreError::Unknown))
    }
}

/// Notes how this run writes, and returns the epoch: a new one when the run before may have lost what it acked.
fn begin_run<K: OrderedKv>(
    kv: &K,
    durability: Durability,
    may_have_lost: bool,
) -> Result<String, StoreError> {
    let run = kv.get(&keys::meta(RUN))?.map(|row| values::decode::<v1::Run>(&row)).transpose()?;
    let may_have_lost = may_have_lost
        || run.is_some_and(|run| run.durability != durability_byte(Durability::Fsync) && !run.clean);
    let epoch = match kv.get(&keys::meta(EPOCH))? {
        Some(row) if !may_have_lost => values::decode::<v1::Epoch<'_>>(&row)?.epoch.to_owned(),
        _ => {
            let epoch = random_epoch()?;
            let row = values::encode(&v1::Epoch { epoch: &epoch })?;
            kv.apply(KvBatch { changes: vec![(keys::meta(EPOCH), Some(row))] })?;
            epoch
        }
    };
    note_run(kv, durability, false)?;
    Ok(epoch)
}

const RUN: &str = "run";
const EPOCH: &str = "epoch";

fn note_run<K: OrderedKv>(kv: &K, durability: Durability, clean: bool) -> Result<(), StoreError> {
    let run = v1::Run { durability: durability_byte(durability), clean };
    kv.apply(KvBatch { changes: vec![(keys::meta(RUN), Some(values::encode(&run)?))] })?;
    Ok(kv.sync()?)
}

const fn durability_byte(durability: Durability) -> u8 {
    match durability {
        Durability::Fsync => 0,
        Durability::Interval => 1,
        Durability::None => 2,
    }
}

fn random_epoch() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| StoreError::Backend("the system has no randomness".to_owned()))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// How requests get to the writer.
pub(super) enum Writer<K> {
    /// The caller writes, and every other caller waits for its end.
    Inline(Arc<Shared<K>>, Mutex<()>),
    /// A thread of its own writes what is queued.
    Thread(Thread),
}

impl<K: OrderedKv> Writer<K> {
    pub(super) fn inline(shared: Arc<Shared<K>>) -> Self {
        Self::Inline(shared, Mutex::new(()))
    }

    pub(super) fn threaded(shared: Arc<Shared<K>>) -> Result<Self, StoreError> {
        Thread::start(shared).map(Self::Thread)
    }

    pub(super) async fn write(&self, request: Request) -> Answer {
        match self {
            Self::Inline(shared, turn) => {
                let _turn = turn.lock();
                shared.write(&[&request]).pop().unwrap_or(Err(Refusal::Store(StoreError::Closed)))
            }
            Self::Thread(thread) => thread.write(request).await,
        }
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Inline(shared, turn) => {
                let _turn = turn.lock();
                shared.close()
            }
            Self::Thread(thread) => thread.close().await,
        }
    }
}

/// The writer's thread, and the queue before it. Dropped, it writes what is queued and ends.
pub(super) struct Thread {
    queue: Option<SyncSender<Job>>,
    queued_bytes: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Write { request: Request, bytes: usize, answer: oneshot::Sender<Answer> },
    Close(oneshot::Sender<Result<(), StoreError>>),
}

impl Thread {
    fn start<K: OrderedKv>(shared: Arc<Shared<K>>) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(STORE_QUEUE_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let work = Work { shared, jobs, queued_bytes: queued_bytes.clone(), next: None, unsynced: None };
        let thread = std::thread::Builder::new()
            .name("chat-store-writer".to_owned())
            .spawn(move || work.run())
            .map_err(|error| StoreError::Backend(format!("no thread to write: {}", error.kind())))?;
        Ok(Self { queue: Some(queue), queued_bytes, thread: Some(thread) })
    }

    async fn write(&self, request: Request) -> Answer {
        let (_, bytes) = request.cost();
        let (answer, answered) = oneshot::channel();
        if self.queued_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > STORE_QUEUE_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(Refusal::Store(StoreError::Overloaded));
        }
        if let Err(error) = self.send(Job::Write { request, bytes, answer }) {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(Refusal::Store(error));
        }
        // A thread that ended without an answer had been closed before it came to this request.
        answered.await.unwrap_or(Err(Refusal::Store(StoreError::Closed)))
    }

    async fn close(&self) -> Result<(), StoreError> {
        let (done, ended) = oneshot::channel();
        match self.send(Job::Close(done)) {
            Ok(()) => ended.await.unwrap_or(Ok(())),
            Err(StoreError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let Some(queue) = &self.queue else { return Err(StoreError::Closed) };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught inside; there is nobody left to tell about another.
            let _ = thread.join();
        }
    }
}

/// What the thread does.
struct Work<K> {
    shared: Arc<Shared<K>>,
    jobs: Receiver<Job>,
    queued_bytes: Arc<AtomicUsize>,
    /// A request that did not fit into the group before.
    next: Option<Job>,
    /// When the first group was acked that the disk was not told of.
    unsynced: Option<Instant>,
}

impl<K: OrderedKv> Work<K> {
    fn run(mut self) {
        loop {
            match self.receive() {
                Ok(Job::Write { request, bytes, answer }) => self.group(request, bytes, answer),
                Ok(Job::Close(done)) => {
                    // The other side may have stopped waiting.
                    let _ = done.send(self.shared.close());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => {
                    // Dropped without being closed: nobody waits for the outcome.
                    let _ = self.shared.close();
                    return;
                }
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= SYNC_EVERY) {
                self.sync();
            }
        }
    }

    fn receive(&mut self) -> Result<Job, RecvTimeoutError> {
        match (self.next.take(), self.unsynced) {
            (Some(job), _) => Ok(job),
            (None, None) => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (None, Some(since)) => self.jobs.recv_timeout(SYNC_EVERY.saturating_sub(since.elapsed())),
        }
    }

    /// Writes a request and those that wait behind it, up to the bounds of a group.
    fn group(&mut self, request: Request, bytes: usize, answer: oneshot::Sender<Answer>) {
        let (mut ops, mut total) = (request.cost().0, bytes);
        let (mut requests, mut waiting) = (vec![request], vec![answer]);
        while requests.len() < STORE_GROUP_REQUESTS_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Write { request, bytes, answer }) => {
                    let more = request.cost().0;
                    if ops + more > STORE_GROUP_OPS_MAX || total + bytes > STORE_GROUP_BYTES_MAX {
                        self.next = Some(Job::Write { request, bytes, answer });
                        break;
                    }
                    ops += more;
                    total += bytes;
                    requests.push(request);
                    waiting.push(answer);
                }
                Ok(close) => {
                    self.next = Some(close);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.queued_bytes.fetch_sub(total, Ordering::AcqRel);
        let answers = self.shared.write(&requests.iter().collect::<Vec<_>>());
        if self.shared.durability != Durability::Fsync {
            self.unsynced.get_or_insert_with(Instant::now);
        }
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // Who stopped waiting does not undo it.
            let _ = waiting.send(answer);
        }
    }

    fn sync(&mut self) {
        self.unsynced = None;
        self.shared.sync();
    }
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Full => Self::Full,
            KvError::Corrupt(what) => Self::Corrupt(what),
            KvError::Unknown(_) => Self::Unknown,
            KvError::Io(what) => Self::Backend(what),
        }
    }
}
