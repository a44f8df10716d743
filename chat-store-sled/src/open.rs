//! The order in which a store opens; each step is explained in the file that it calls.

use std::{
    fs::{self, File},
    path::Path,
};

use chat_core::{
    store::kv::{KvBatch, OrderedKv},
    time::Clock,
};
use sled::{Db, Tree};
use uuid::Uuid;

use crate::{
    OpenError, SledKv, SledOptions, creation, filesystem, format,
    format::Format,
    kv::{self, Refusal},
    lock::DirectoryLock,
    quarantine,
    space::SpaceGuard,
};

/// Where the data holds the name of the store. No table of the layout begins with this byte.
const NAME_KEY: &[u8] = b"\x00store_uuid";

/// What opening came across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Everything that was ever acked, or nothing at all: a new store.
    Whole,
    /// Less than was acked, which the operator accepts.
    PartlyLost,
}

/// Opens the engine in `dir` with every fence up.
pub(crate) fn open(dir: &Path, options: &SledOptions) -> Result<(SledKv, Found), OpenError> {
    create_directory(dir)?;
    let kind = match options.faults.filesystem {
        Some(kind) => Some(kind),
        None => filesystem::kind(dir)?,
    };
    filesystem::check(dir, kind, options.any_filesystem)?;
    if !dir.join(format::FILE).exists() {
        format::refuse_foreign(dir)?;
    }
    let lock = DirectoryLock::acquire(dir)?;
    let format = Format::read(dir)?;
    match &format {
        Some(format) if !dir.join("db").exists() => return Err(data_missing(dir, format)),
        Some(_) => creation::end(dir)?,
        None => creation::begin(dir)?,
    }
    quarantine::delete_unfinished(dir)?;
    let space = SpaceGuard::new(dir, options.reserve);
    space.make_room()?;
    let database = open_database(dir, options.cache_bytes)?;
    let kv = SledKv::new(dir, database, lock, space, options.faults.clone())?;
    identify(dir, &kv, format.as_ref(), &*options.clock.0)?;
    let batches = kv.missing();
    if batches > 0 && !options.accept_loss {
        return Err(OpenError::Lost { path: dir.to_path_buf(), batches });
    }
    let found = if batches > 0 { Found::PartlyLost } else { Found::Whole };
    if found == Found::PartlyLost {
        tracing::error!(batches, "opened although acked messages are lost, as configured");
    }
    if !kv.has_space() {
        tracing::error!("the disk is nearly full: the store opens for reading, writes are refused");
    }
    tracing::info!(
        cache_mib = options.cache_bytes >> 20,
        "the store is open; expect resident memory of about three times the cache"
    );
    Ok((kv, found))
}

/// Creates the directory of the store so that it is still there after the loss of power.
fn create_directory(dir: &Path) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(OpenError::io(dir, "create the directory"))?;
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // The directories above may not be ours to open; then they were there before.
        if let Ok(parent) = File::open(parent) {
            drop(parent.sync_all());
        }
    }
    Ok(())
}

/// Opens sled; when it stumbles over damage, once more without the snapshots.
fn open_database(dir: &Path, cache_bytes: u64) -> Result<(Db, Tree), OpenError> {
    let reason = match kv::open_database(dir, cache_bytes) {
        Ok(database) => return Ok(database),
        Err(Refusal::Other(error)) => return Err(OpenError::kv(dir)(error)),
        Err(Refusal::Damaged(reason)) => reason,
    };
    kv::wait_until_released(dir).map_err(OpenError::kv(dir))?;
    let moved = quarantine::isolate_snapshots(dir)?;
    tracing::error!(reason, moved, "the store does not open; trying once more without its snapshots");
    match kv::open_database(dir, cache_bytes) {
        Ok(database) => {
            tracing::error!("the store opened without its snapshots; check it before you rely on it");
            Ok(database)
        }
        Err(Refusal::Other(error)) => Err(OpenError::kv(dir)(error)),
        Err(Refusal::Damaged(reason)) => Err(OpenError::Damaged { path: dir.to_path_buf(), reason }),
    }
}

/// Compares the name in `FORMAT` with the one in the data; gives a new store its name.
fn identify(dir: &Path, kv: &SledKv, format: Option<&Format>, clock: &dyn Clock) -> Result<(), OpenError> {
    let stored = kv.get(NAME_KEY).map_err(OpenError::kv(dir))?;
    let stored =
        stored.map(|bytes| Uuid::from_slice(&bytes)).transpose().map_err(|_| OpenError::Damaged {
            path: dir.to_path_buf(),
            reason: "the name of the store is unreadable".to_owned(),
        })?;
    match (format, stored) {
        (Some(format), Some(stored)) if format.store_uuid == stored.to_string() => Ok(()),
        (Some(format), Some(stored)) => Err(OpenError::Mixed {
            path: dir.to_path_buf(),
            format: format.store_uuid.clone(),
            data: stored.to_string(),
        }),
        (Some(format), None) => Err(data_missing(dir, format)),
        // Somebody deleted the file.
        (None, Some(stored)) => announce(dir, kv, stored, clock),
        (None, None) if kv.is_empty().map_err(OpenError::kv(dir))? => {
            let name = Uuid::now_v7();
            let change = (NAME_KEY.to_vec(), Some(name.as_bytes().to_vec()));
            kv.apply(KvBatch { changes: vec![change] }).map_err(OpenError::kv(dir))?;
            announce(dir, kv, name, clock)
        }
        (None, None) => Err(OpenError::Foreign { path: dir.to_path_buf(), example: "db".to_owned() }),
    }
}

/// Writes `FORMAT`, once the name in the data and everything else that a store consists of is on the disk.
fn announce(dir: &Path, kv: &SledKv, name: Uuid, clock: &dyn Clock) -> Result<(), OpenError> {
    kv.sync().map_err(OpenError::kv(dir))?;
    format::sync_directory(dir)?;
    Format::new(name, clock.now()).write(dir)?;
    creation::end(dir)
}

fn data_missing(dir: &Path, format: &Format) -> OpenError {
    OpenError::DataMissing { path: dir.to_path_buf(), uuid: format.store_uuid.clone() }
}
