//! sled as an [`OrderedKv`]: everything that touches a tree.
//!
//! One tree, one place that writes. [`chat_core::store::kv::KvStore`] calls `apply`, `sync` and `flush` from its
//! writer thread only; `get` and `scan` from any.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{PoisonError, RwLock, RwLockReadGuard, mpsc},
    thread,
};

use chat_core::store::kv::{Direction, KvBatch, KvError, OrderedKv};
use sled::{Batch, Db, IVec, Mode, Tree};

use crate::{
    OpenError,
    error::is_full,
    limits::{BACKGROUND_FLUSH_MS, BATCH_CHANGES_MAX, CLOSE_WAIT, KEY_BYTES_MAX, VALUE_BYTES_MAX},
    lock::DirectoryLock,
    mark::{self, Mark},
    options::Faults,
    space::SpaceGuard,
};

/// The one tree. The default tree stays empty: it is lost when data moves to another version of sled.
const TREE: &str = "chat";

/// An open sled database behind its fences.
#[derive(Debug)]
pub struct SledKv {
    opened: RwLock<Option<Opened>>,
    space: SpaceGuard,
    mark: Mark,
    faults: Faults,
}

/// What is held while the store is open.
#[derive(Debug)]
struct Opened {
    tree: Tree,
    db: Db,
    /// Our own descriptor of the file that holds all data. A sync concerns the file, whoever wrote to it; and an
    /// error of writing back that sled's own thread came across and only logged is reported here again.
    data: File,
    lock: DirectoryLock,
}

/// Why sled did not open.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What it found contradicts itself, or it panicked over it.
    Damaged(String),
    /// Anything else.
    Other(KvError),
}

/// Opens the database in `dir`. Panics of sled become errors.
pub(crate) fn open_database(dir: &Path, cache_bytes: u64) -> Result<(Db, Tree), Refusal> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(cache_bytes)
        .mode(Mode::LowSpace)
        .use_compression(false)
        .flush_every_ms(Some(BACKGROUND_FLUSH_MS));
    let open = || -> Result<_, sled::Error> {
        let db = config.open()?;
        let tree = db.open_tree(TREE)?;
        Ok((db, tree))
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error @ sled::Error::Corruption { .. })) => Err(Refusal::Damaged(error.to_string())),
        Ok(Err(error)) => Err(Refusal::Other(translate(error))),
        Err(_) => Err(Refusal::Damaged("sled panicked while opening".to_owned())),
    }
}

impl SledKv {
    /// Takes over an opened database.
    pub(crate) fn new(
        dir: &Path,
        (db, tree): (Db, Tree),
        lock: DirectoryLock,
        space: SpaceGuard,
        faults: Faults,
    ) -> Result<Self, OpenError> {
        let path = dir.join("db");
        let data = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(OpenError::io(&path, "open the data file"))?;
        let last = guarded(|| tree.get(mark::KEY)).map_err(OpenError::kv(dir))?;
        let last = last.and_then(|bytes| <[u8; 8]>::try_from(&*bytes).ok()).map_or(0, u64::from_be_bytes);
        let mark = Mark::open(dir, last)?;
        let opened = RwLock::new(Some(Opened { tree, db, data, lock }));
        Ok(Self { opened, space, mark, faults })
    }

    /// Whether nothing is stored.
    pub(crate) fn is_empty(&self) -> Result<bool, KvError> {
        let mut empty = true;
        self.scan(&[], &[u8::MAX; KEY_BYTES_MAX], Direction::Ascending, &mut |_, _| {
            empty = false;
            ControlFlow::Break(())
        })?;
        Ok(empty)
    }

    /// How many batches were on the disk once and are not found any more.
    pub(crate) fn missing(&self) -> u64 {
        self.mark.missing()
    }

    /// Runs `use_it` on the open database.
    fn with<T>(&self, use_it: impl FnOnce(&Opened) -> Result<T, KvError>) -> Result<T, KvError> {
        match &*self.read() {
            Some(opened) => use_it(opened),
            None => Err(KvError::Io("closed".to_owned())),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        // Nothing that runs under the write lock can leave the value half changed.
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrderedKv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.with(|opened| Ok(guarded(|| opened.tree.get(key))?.map(|value| value.to_vec())))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError> {
        if from >= to {
            return Ok(());
        }
        self.with(|opened| {
            let mut items = guarded(|| Ok(opened.tree.range(from..to)))?;
            // After an error a sled iterator yields the same error for ever: the `?` is what ends this loop.
            while let Some((key, value)) = guarded(|| step(&mut items, direction))? {
                if visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn apply(&self, batch: KvBatch) -> Result<(), KvError> {
        check_sizes(&batch)?;
        let mut changes = Batch::default();
        for (key, value) in batch.changes {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        let number = self.mark.next();
        changes.insert(mark::KEY, &number.to_be_bytes());
        // Once sled has failed in the middle of a batch, only opening it again tells what became of it.
        self.with(|opened| {
            guarded(|| opened.tree.apply_batch(changes)).map_err(|error| KvError::Unknown(error.to_string()))
        })?;
        self.mark.set_applied(number);
        Ok(())
    }

    /// `flush` alone is `sync_file_range` on Linux, which by its own manual promises nothing. The sync through our
    /// own descriptor is what reaches the disk.
    fn sync(&self) -> Result<(), KvError> {
        if self.faults.skip_sync {
            return self.flush();
        }
        let applied = self.mark.applied();
        self.with(|opened| {
            guarded(|| opened.tree.flush())?;
            if let Some(before_sync) = &self.faults.before_sync {
                before_sync().map_err(|error| translate(sled::Error::Io(error)))?;
            }
            opened.data.sync_data().map_err(|error| translate(sled::Error::Io(error)))
        })?;
        if let Err(error) = self.mark.note(applied) {
            tracing::warn!(%error, "what was synced could not be noted");
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), KvError> {
        self.with(|opened| guarded(|| opened.tree.flush()).map(drop))
    }

    fn has_space(&self) -> bool {
        self.space.lay_ballast();
        self.space.has_room()
    }

    fn close(&self) -> Result<(), KvError> {
        let opened = self.opened.write().unwrap_or_else(PoisonError::into_inner).take();
        match opened {
            Some(opened) => release(opened),
            None => Ok(()),
        }
    }
}

impl Drop for SledKv {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close in order");
        }
    }
}

/// Lets go of sled and waits until all of it is gone.
fn release(opened: Opened) -> Result<(), KvError> {
    let Opened { tree, db, data, lock } = opened;
    let release = move || {
        // A panic here means that a last sync failed; what was acked was synced before.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop((tree, db))));
        wait_until_unlocked(&data)?;
        drop(lock);
        dropped.map_err(|_| KvError::Io("sled panicked while closing".to_owned()))
    };
    within_close_wait(release)
}

/// Waits until sled has let go of the data file in `dir` after an open that failed.
pub(crate) fn wait_until_released(dir: &Path) -> Result<(), KvError> {
    let path = dir.join("db");
    within_close_wait(move || match File::open(path) {
        Ok(data) => wait_until_unlocked(&data),
        Err(_) => Ok(()),
    })
}

/// The threads that sled keeps for all databases of the process hold the file a little longer than the database
/// lives. Its lock tells when they are done; until then it cannot be opened again.
fn wait_until_unlocked(data: &File) -> Result<(), KvError> {
    data.lock().map_err(|error| KvError::Io(describe(&error)))
}

/// Runs `task` on a thread of its own, for one of sled's threads that died leaves others waiting for ever.
fn within_close_wait(task: impl FnOnce() -> Result<(), KvError> + Send + 'static) -> Result<(), KvError> {
    let (done, ended) = mpsc::sync_channel(1);
    let run = move || {
        // Nobody listens any more when it took too long.
        let _ = done.send(task());
    };
    let named = thread::Builder::new().name("chat-store-close".to_owned());
    named.spawn(run).map_err(|error| KvError::Io(describe(&error)))?;
    ended.recv_timeout(CLOSE_WAIT).unwrap_or_else(|_| Err(KvError::Io("sled does not close".to_owned())))
}

/// The next item in the given direction.
fn step(items: &mut sled::Iter, direction: Direction) -> Result<Option<(IVec, IVec)>, sled::Error> {
    match direction {
        Direction::Ascending => items.next(),
        Direction::Descending => items.next_back(),
    }
    .transpose()
}

/// Bounds that keep every page inside the one file that is synced.
fn check_sizes(batch: &KvBatch) -> Result<(), KvError> {
    let refuse = |what: &str, found: usize, most: usize| {
        Err(KvError::Io(format!("{what} of {found} is above the {most} that this engine takes")))
    };
    if batch.changes.len() > BATCH_CHANGES_MAX {
        return refuse("a number of changes", batch.changes.len(), BATCH_CHANGES_MAX);
    }
    for (key, value) in &batch.changes {
        if key.len() > KEY_BYTES_MAX {
            return refuse("a key size", key.len(), KEY_BYTES_MAX);
        }
        if let Some(value) = value
            && value.len() > VALUE_BYTES_MAX
        {
            return refuse("a value size", value.len(), VALUE_BYTES_MAX);
        }
    }
    Ok(())
}

/// Calls sled. It panics over some damage; that becomes an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, KvError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(translate),
        Err(_) => Err(KvError::Corrupt("sled panicked".to_owned())),
    }
}

/// sled's error without what could be a path or a piece of data; the log has the rest.
fn translate(error: sled::Error) -> KvError {
    tracing::error!(%error, "sled failed");
    match error {
        sled::Error::Io(error) if is_full(&error) => KvError::Full,
        sled::Error::Io(error) => KvError::Io(describe(&error)),
        sled::Error::Corruption { .. } => KvError::Corrupt("a checksum does not match".to_owned()),
        sled::Error::Unsupported(_) => KvError::Io("sled refuses the use".to_owned()),
        sled::Error::ReportableBug(_) => KvError::Corrupt("sled found a contradiction".to_owned()),
        sled::Error::CollectionNotFound(_) => KvError::Corrupt("the tree is gone".to_owned()),
    }
}

fn describe(error: &io::Error) -> String {
    error.kind().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Reserve;

    fn kv(dir: &Path) -> SledKv {
        let lock = DirectoryLock::acquire(dir).unwrap();
        let space =
            SpaceGuard::new(dir, Reserve { bytes: Some(0), percent: Some(0), ballast_bytes: Some(0) });
        let database = open_database(dir, 1 << 20).unwrap();
        SledKv::new(dir, database, lock, space, Faults::default()).unwrap()
    }

    fn put(key: &[u8], value: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        (key.to_vec(), Some(value.to_vec()))
    }

    fn keys(kv: &SledKv, from: &[u8], to: &[u8], direction: Direction) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        kv.scan(from, to, direction, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        keys
    }

    #[test]
    fn a_batch_is_read_in_key_order_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let kv = kv(dir.path());
        assert!(kv.is_empty().unwrap());
        kv.apply(KvBatch { changes: vec![put(b"b", b"2"), put(b"a", b"1"), put(b"c", b"3")] }).unwrap();
        kv.apply(KvBatch { changes: vec![(b"b".to_vec(), None), put(b"d", b"4")] }).unwrap();
        assert!(!kv.is_empty().unwrap());
        assert_eq!(kv.get(b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(kv.get(b"b").unwrap(), None);
        assert_eq!(keys(&kv, b"a", b"d", Direction::Ascending), [b"a", b"c"]);
        assert_eq!(keys(&kv, b"b", b"z", Direction::Descending), [b"d", b"c"]);
        assert!(keys(&kv, b"z", b"a", Direction::Ascending).is_empty());
    }

    #[test]
    fn a_scan_ends_where_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let kv = kv(dir.path());
        kv.apply(KvBatch { changes: (0..100).map(|n| put(&[n], b"")).collect() }).unwrap();
        let mut seen = 0;
        kv.scan(&[0], &[100], Direction::Ascending, &mut |_, _| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(seen, 3);
    }

    #[test]
    fn what_is_too_large_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kv = kv(dir.path());
        let largest = put(&[1; KEY_BYTES_MAX], &[2; VALUE_BYTES_MAX]);
        kv.apply(KvBatch { changes: vec![largest.clone()] }).unwrap();
        assert_eq!(kv.get(&largest.0).unwrap(), largest.1);
        for too_large in [
            vec![put(b"small", b""), put(&[1; KEY_BYTES_MAX + 1], b"")],
            vec![put(b"small", b""), put(b"a", &[2; VALUE_BYTES_MAX + 1])],
            vec![put(b"small", b""); BATCH_CHANGES_MAX + 1],
        ] {
            assert!(matches!(kv.apply(KvBatch { changes: too_large }), Err(KvError::Io(_))));
            assert_eq!(kv.get(b"small").unwrap(), None);
        }
    }

    #[test]
    fn the_largest_values_stay_in_the_synced_file() {
        let dir = tempfile::tempdir().unwrap();
        let kv = kv(dir.path());
        for n in 0..=u8::MAX {
            kv.apply(KvBatch { changes: vec![put(&[n; KEY_BYTES_MAX], &[n; VALUE_BYTES_MAX])] }).unwrap();
        }
        kv.sync().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    }

    #[test]
    fn closing_releases_the_directory_and_refuses_what_comes_after() {
        let dir = tempfile::tempdir().unwrap();
        let first = kv(dir.path());
        first.apply(KvBatch { changes: vec![put(b"a", b"1")] }).unwrap();
        first.sync().unwrap();
        first.close().unwrap();
        assert_eq!(first.get(b"a"), Err(KvError::Io("closed".to_owned())));
        assert_eq!(first.sync(), Err(KvError::Io("closed".to_owned())));
        assert_eq!(kv(dir.path()).get(b"a").unwrap(), Some(b"1".to_vec()));
    }

    #[test]
    fn a_failing_sync_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut kv = kv(dir.path());
        kv.faults.before_sync = Some(std::sync::Arc::new(|| Err(io::Error::other("the disk is gone"))));
        kv.apply(KvBatch { changes: vec![put(b"a", b"1")] }).unwrap();
        assert!(matches!(kv.sync(), Err(KvError::Io(_))));
        kv.flush().unwrap();
    }
}
