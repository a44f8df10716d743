//! Putting it together: where records and bytes lie, what is taken in, who scans it.

use std::{
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use chat_core::{
    files::FileStore,
    time::{Clock, SystemClock},
};
use object_store::{ObjectStore, local::LocalFileSystem};
use tokio::sync::Semaphore;

use crate::{
    Files, UploadLimits, blobs::Blobs, claim::Claim, limits::UPLOADS_AT_ONCE, scanner::Scanner,
    service::Inner, workshop::Workshop,
};

/// How files are to be kept.
pub struct FilesBuilder {
    store: Arc<dyn FileStore>,
    folder: PathBuf,
    elsewhere: Option<Arc<dyn ObjectStore>>,
    name: Option<String>,
    clock: Arc<dyn Clock>,
    limits: UploadLimits,
    scanner: Option<Arc<dyn Scanner>>,
    keeps_unscanned: bool,
}

impl Files {
    /// Starts putting one together: what is remembered stands in `store`, bytes lie in `folder`, which is this one's
    /// alone.
    pub fn builder(store: Arc<dyn FileStore>, folder: impl Into<PathBuf>) -> FilesBuilder {
        FilesBuilder {
            store,
            folder: folder.into(),
            elsewhere: None,
            name: None,
            clock: Arc::new(SystemClock),
            limits: UploadLimits::default(),
            scanner: None,
            keeps_unscanned: false,
        }
    }
}

impl FilesBuilder {
    /// Where bytes lie instead of the folder, in which only what is just coming lies then.
    ///
    /// It may hold other things, but the blobs of one [`FileStore`] alone. Where [`Files::collect_orphans`] finds the
    /// name of another one there, it deletes nothing.
    #[must_use]
    pub fn object_store(self, elsewhere: Arc<dyn ObjectStore>) -> Self {
        Self { elsewhere: Some(elsewhere), ..self }
    }

    /// The name by which this one is told from others with blobs in the same object store. Several over one
    /// [`FileStore`] have the same; unless told it is random, and kept in the folder.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What is taken in.
    #[must_use]
    pub fn limits(self, limits: UploadLimits) -> Self {
        Self { limits, ..self }
    }

    /// Who looks at each upload first. Without one, nobody does.
    #[must_use]
    pub fn scanner(self, scanner: impl Scanner) -> Self {
        Self { scanner: Some(Arc::new(scanner)), ..self }
    }

    /// Whether a file is kept although the scanner did not answer. Unless told it is refused.
    #[must_use]
    pub fn keep_unscanned(self, keeps_unscanned: bool) -> Self {
        Self { keeps_unscanned, ..self }
    }

    /// What time it is.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Makes the folder ready, and clears it of what was coming when it was last used. Blocks for a moment.
    ///
    /// # Errors
    /// When the folder can't be used.
    pub fn build(self) -> io::Result<Files> {
        let incoming = self.folder.join("incoming");
        create_private(&incoming)?;
        clear(&incoming, |_| true)?;
        let blobs = match self.elsewhere {
            Some(elsewhere) => {
                let name = self.folder.join("name");
                Blobs::remote(elsewhere, self.name.map_or(Claim::KeptAt(name), Claim::Named))
            }
            None => Blobs::local(Arc::new(open_folder(&self.folder.join("blobs"))?)),
        };
        let inner = Inner {
            store: self.store,
            blobs,
            clock: self.clock,
            limits: self.limits,
            scanner: self.scanner,
            keeps_unscanned: self.keeps_unscanned,
            incoming,
            workshop: Workshop::new(self.limits.pixels),
            places: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
        };
        Ok(Files { inner: Arc::new(inner) })
    }
}

/// A store over a folder. A crash may leave files that were being written, under names that end with `#` and a number:
/// the store never lists those, so they go here.
fn open_folder(folder: &Path) -> io::Result<LocalFileSystem> {
    create_private(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            clear(&entry.path(), |name| name.contains('#'))?;
        }
    }
    // Folders that become empty stay: they are few, and one that goes while a file is put there would fail that.
    Ok(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))
}

fn create_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn clear(folder: &Path, goes: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(&goes) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl fmt::Debug for FilesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
