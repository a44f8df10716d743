//! Whose store this is: the file `FORMAT`.
//!
//! sled 0.34 opens a directory whose data was lost, or was written by another version of sled, as a new empty
//! store, without an error. So the store's name stands in two places: in this file, which is written last when a
//! store is created, and as a record in the data. Where the first is without the second, something is lost.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use chat_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::OpenError;

/// The name of the file.
pub(crate) const FILE: &str = "FORMAT";

/// Where it is written before it gets its name.
pub(crate) const TEMPORARY: &str = "FORMAT.tmp";

/// The engine that wrote the data.
const ENGINE: &str = "sled-0.34";

/// The newest layout of the directory known here. The values inside carry versions of their own.
pub(crate) const LAYOUT: u32 = 1;

/// What the file says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    engine: String,
    layout: u32,
    /// The name of this store, for ever; the data holds it too.
    pub(crate) store_uuid: String,
    /// Milliseconds since the Unix epoch.
    created_at: i64,
}

/// What is understood of any layout, so that a newer one is recognised whatever else it changes.
#[derive(Deserialize)]
struct Header {
    engine: String,
    layout: u32,
}

impl Format {
    /// For a store of this name.
    pub(crate) fn new(store: Uuid, created_at: Timestamp) -> Self {
        Self {
            engine: ENGINE.to_owned(),
            layout: LAYOUT,
            store_uuid: store.to_string(),
            created_at: created_at.as_millis(),
        }
    }

    /// Reads the file; `None` when there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(dir, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::io(path, "read it")(error)),
        }
    }

    fn parse(dir: &Path, bytes: &[u8]) -> Result<Self, OpenError> {
        let wrong = |reason: String| OpenError::Format { path: dir.to_path_buf(), reason };
        let header: Header = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if header.engine != ENGINE {
            return Err(wrong(format!("its engine is {:?}", header.engine)));
        }
        if header.layout > LAYOUT {
            return Err(OpenError::TooNew { path: dir.to_path_buf(), found: header.layout, known: LAYOUT });
        }
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))
    }

    /// Writes the file so that, whenever the power goes, it is there as a whole or not at all.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), OpenError> {
        let (path, temporary) = (dir.join(FILE), dir.join(TEMPORARY));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(self.to_json()?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(OpenError::io(&path, "write it"))
    }

    fn to_json(&self) -> std::io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// Makes the names in `dir` and the files that sled creates once, and never syncs, survive the loss of power.
pub(crate) fn sync_directory(dir: &Path) -> Result<(), OpenError> {
    for name in ["conf", "blobs", "."] {
        let path = dir.join(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(OpenError::io(&path, "sync it"))?;
    }
    Ok(())
}

/// Refuses a directory without `FORMAT` in which there is something that no store leaves behind.
pub(crate) fn refuse_foreign(dir: &Path) -> Result<(), OpenError> {
    const OURS: [&str; 7] = ["LOCK", "CREATING", "SYNCED", TEMPORARY, "ballast", "quarantine", "lost+found"];
    for entry in fs::read_dir(dir).map_err(OpenError::io(dir, "list it"))? {
        let name = entry.map_err(OpenError::io(dir, "list it"))?.file_name();
        let name = name.to_string_lossy();
        let known =
            OURS.contains(&&*name) || ["db", "conf", "blobs"].contains(&&*name) || name.starts_with("snap.");
        if !known {
            return Err(OpenError::Foreign { path: dir.to_path_buf(), example: name.into_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(
        r#"{"engine":"sled-0.34","layout":1,"#,
        r#""store_uuid":"0196a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b","created_at":1767225600000}"#,
        "\n"
    );

    fn golden() -> Format {
        let uuid = Uuid::from_u128(0x0196_a1b2_c3d4_7e5f_8a6b_7c8d_9e0f_1a2b);
        Format::new(uuid, Timestamp::from_millis(1_767_225_600_000))
    }

    #[test]
    fn format_is_written_byte_by_byte_as_ever() {
        let dir = tempfile::tempdir().unwrap();
        golden().write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), GOLDEN);
        assert!(!dir.path().join(TEMPORARY).exists());
        assert_eq!(Format::read(dir.path()).unwrap(), Some(golden()));
    }

    #[test]
    fn a_directory_without_format_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Format::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_newer_layout_is_recognised_whatever_else_it_says() {
        let newer = br#"{"engine":"sled-0.34","layout":2,"shape":"unheard of"}"#;
        let refused = Format::parse(Path::new("chat"), newer);
        assert!(matches!(refused, Err(OpenError::TooNew { found: 2, known: 1, .. })), "{refused:?}");
    }

    #[test]
    fn another_engine_and_broken_json_are_refused() {
        for bytes in
            [&br#"{"engine":"sled-1.0","layout":1}"#[..], b"{}", b"", b"\xFF", &GOLDEN.as_bytes()[..40]]
        {
            let refused = Format::parse(Path::new("chat"), bytes);
            assert!(matches!(refused, Err(OpenError::Format { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_directory_with_other_things_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["LOCK", "db", "conf", "snap.000A", "ballast"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        refuse_foreign(dir.path()).unwrap();
        fs::write(dir.path().join("thesis.odt"), "").unwrap();
        let refused = refuse_foreign(dir.path());
        assert!(
            matches!(&refused, Err(OpenError::Foreign { example, .. }) if example == "thesis.odt"),
            "{refused:?}"
        );
    }
}
