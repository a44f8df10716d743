//! The data folder: private to whoever runs the server.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chat_core::auth::Secret;

use crate::owners::Known;

/// Where things are kept.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// The data folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the data folder {} can't be used: {what}: {error}", .path.display())]
pub(crate) struct DataError {
    path: PathBuf,
    what: &'static str,
    error: io::Error,
}

/// Longest key file that is read.
const KEY_BYTES_MAX: u64 = 4 * 1024;

/// Longest file of owners that is read: thousands of them.
const OWNERS_BYTES_MAX: u64 = 1024 * 1024;

impl DataDir {
    /// Opens the folder and creates it where there is none, readable by its owner alone.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let dir = Self { path: path.to_owned() };
        let created = !path.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| dir.error("creating it", error))?;
        if created && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent).map_err(|error| dir.error("saving its name", error))?;
        }
        warn_if_readable_by_others(path);
        Ok(dir)
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Where uploads lie.
    pub(crate) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// The key that tokens are made of. The first time it is drawn at random and saved; losing the file ends
    /// every login.
    pub(crate) fn signing_key(&self) -> Result<Secret, DataError> {
        let path = self.path.join("signing.key");
        match read_key(&path) {
            Ok(key) => {
                warn_if_readable_by_others(&path);
                Ok(key)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_key(&path).map_err(|error| self.error("creating the signing key", error))
            }
            Err(error) => Err(self.error("reading the signing key", error)),
        }
    }

    fn create_key(&self, path: &Path) -> io::Result<Secret> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write(path, &text)?;
        Ok(Secret::new(text))
    }

    /// Whose the names of owners were; nobody's while nothing was remembered.
    pub(crate) fn known_owners(&self) -> Result<Known, DataError> {
        match read_known(&self.owners()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            known => known.map_err(|error| self.error("reading room_owners.json", error)),
        }
    }

    /// Remembers whose the names of owners were.
    pub(crate) fn remember_owners(&self, known: &Known) -> Result<(), DataError> {
        let written = serde_json::to_string_pretty(known)
            .map_err(io::Error::other)
            .and_then(|text| self.write(&self.owners(), &text));
        written.map_err(|error| self.error("writing room_owners.json", error))
    }

    fn owners(&self) -> PathBuf {
        self.path.join("room_owners.json")
    }

    /// Written beside and then named, so that a crash leaves no half of it.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let beside = path.with_added_extension("new");
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        sync_folder(&self.path)
    }

    fn error(&self, what: &'static str, error: io::Error) -> DataError {
        DataError { path: self.path.clone(), what, error }
    }
}

fn read_key(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
    let key = text.trim();
    if key.len() < 32 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "signing.key has fewer than 32 characters"));
    }
    Ok(Secret::new(key))
}

fn read_known(path: &Path) -> io::Result<Known> {
    let mut text = String::new();
    File::open(path)?.take(OWNERS_BYTES_MAX).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
}

/// A new name in a folder is durable once the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn warn_if_readable_by_others(path: &Path) {
    let mode = std::fs::metadata(path).map(|data| data.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & 0o077 != 0
    {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "other users of this machine can get at the data; restrict its mode");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_and_the_key_belong_to_their_owner_alone_and_the_key_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let key = DataDir::open(&path).unwrap().signing_key().unwrap();
        assert_eq!((mode(&path), mode(&path.join("signing.key"))), (0o700, 0o600));
        assert_eq!(key.expose().len(), 64);
        assert!(DataDir::open(&path).unwrap().signing_key().unwrap() == key);
        let other = DataDir::open(&temporary.path().join("c")).unwrap().signing_key().unwrap();
        assert!(other != key, "keys are random");
    }

    #[test]
    fn a_damaged_key_is_an_error_and_is_not_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("signing.key"), "short").unwrap();
        let error = DataDir::open(temporary.path()).unwrap().signing_key().unwrap_err();
        assert!(
            error.to_string().ends_with("reading the signing key: signing.key has fewer than 32 characters")
        );
        assert_eq!(std::fs::read(temporary.path().join("signing.key")).unwrap(), b"short");
    }

    #[test]
    fn whose_names_were_is_remembered_and_what_is_damaged_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        let data = DataDir::open(temporary.path()).unwrap();
        assert_eq!(data.known_owners().unwrap(), Known::default());
        let known: Known = serde_json::from_str(r#"{"ann":"user-1","nobody_yet":null}"#).unwrap();
        data.remember_owners(&known).unwrap();
        assert_eq!(data.known_owners().unwrap(), known);
        let path = temporary.path().join("room_owners.json");
        assert_eq!(mode(&path), 0o600);
        std::fs::write(&path, "{").unwrap();
        let error = data.known_owners().unwrap_err();
        assert!(error.to_string().ends_with("reading room_owners.json: it is damaged"), "{error}");
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(DataDir::open(&path).is_err());
    }
}
