//! Taking files in, giving them out, and letting go of what is nobody's.

use std::{
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use chat_core::{
    files::{DueFile, FileId, FileRecord, FileStore, Purpose, Thumbnail},
    id::UserId,
    store::StoreError,
    time::{Clock, Timestamp},
};
use futures::{Stream, StreamExt};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncWriteExt, BufWriter},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    blobs::{Blobs, Opened, Part},
    error::UploadError,
    images::{self, Made},
    kind::{Kind, TextCheck, detect},
    limits::{COLLECTED_AT_ONCE, ORPHAN_AGE_MS, PIECE_BYTES, UploadLimits},
    name,
    scanner::{Scanner, Verdict},
    workshop::Workshop,
};

/// Where the server serves files.
pub(crate) const SERVED_AT: &str = "/api/files/";

/// Takes files in, gives them out, and lets go of what is nobody's. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn FileStore>,
    pub(crate) blobs: Blobs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: UploadLimits,
    pub(crate) scanner: Option<Arc<dyn Scanner>>,
    /// Whether a file is kept of which the scanner says nothing.
    pub(crate) keeps_unscanned: bool,
    /// Where uploads lie while they come.
    pub(crate) incoming: PathBuf,
    pub(crate) workshop: Workshop,
    pub(crate) places: Arc<Semaphore>,
}

/// One of the places for uploads that are taken in at once.
#[derive(Debug)]
pub struct Place {
    files: Files,
    _permit: OwnedSemaphorePermit,
}

/// A file that has come in, before it is known what it is.
struct Arrived {
    file: NamedTempFile,
    size: u64,
    is_text: bool,
}

impl Place {
    /// Takes a file in: writes it down as it comes, finds out what it is, makes it harmless, and keeps it. What its
    /// sender says of it is its name, and even that is made harmless.
    ///
    /// When the future is dropped, the file is not kept, or it is kept and goes as what was never posted does; bytes
    /// without a record are left to [`Files::collect_orphans`].
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn receive<E>(
        self,
        owner: &UserId,
        declared_name: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<FileRecord, UploadError> {
        let Self { files, .. } = &self;
        let inner = &files.inner;
        inner.check_quota(owner).await?;
        let (arrived, kind) = inner.arrive(body).await?;
        let plain = FileRecord {
            id: files.new_id()?,
            owner: owner.clone(),
            name: name::harmless(declared_name, kind),
            mime: kind.mime().to_owned(),
            size: arrived.size,
            width: None,
            height: None,
            thumbnail: None,
            purpose: Purpose::Attachment,
            created_at: inner.clock.now(),
        };
        if !kind.is_image() {
            return inner.keep(plain, arrived.file.path(), None).await;
        }
        let limits = inner.limits;
        let remake = move |path: &Path, folder: &Path| images::remake(path, kind, folder, &limits);
        let made = inner.made(arrived, kind, remake).await?;
        inner.keep_image(plain, declared_name, made).await
    }

    /// Takes an image in that is to stand for its owner: the square in its middle. It is kept for a day, and from then
    /// on while its owner's profile refers to it; the change that replaces it there drops it.
    ///
    /// # Errors
    /// [`UploadError`]; [`UploadError::UnsupportedType`] for what is no image.
    pub async fn receive_avatar<E>(
        self,
        owner: &UserId,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<FileRecord, UploadError> {
        let Self { files, .. } = &self;
        let inner = &files.inner;
        inner.check_quota(owner).await?;
        let (arrived, kind) = inner.arrive(body).await?;
        if !kind.is_image() {
            return Err(UploadError::UnsupportedType);
        }
        let remake = move |path: &Path, folder: &Path| images::remake_square(path, kind, folder);
        let made = inner.made(arrived, kind, remake).await?;
        let record = FileRecord {
            id: files.new_id()?,
            owner: owner.clone(),
            name: String::new(),
            mime: String::new(),
            size: 0,
            width: None,
            height: None,
            thumbnail: None,
            purpose: Purpose::Avatar,
            created_at: inner.clock.now(),
        };
        inner.keep_image(record, "avatar", made).await
    }
}

impl Files {
    /// A place among those that upload at once, before anything is read of an upload. It is free again once the upload
    /// is taken in, or the place is dropped.
    ///
    /// # Errors
    /// [`UploadError::Busy`] when there is none.
    pub fn place(&self) -> Result<Place, UploadError> {
        let permit = self.inner.places.clone().try_acquire_owned().map_err(|_| UploadError::Busy)?;
        Ok(Place { files: self.clone(), _permit: permit })
    }

    /// Takes a file in, as [`Place::receive`] does.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn receive<E>(
        &self,
        owner: &UserId,
        declared_name: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<FileRecord, UploadError> {
        self.place()?.receive(owner, declared_name, body).await
    }

    /// What is remembered of a file.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record(&self, id: FileId) -> Result<Option<FileRecord>, StoreError> {
        self.inner.store.file(id).await
    }

    /// The store of the records.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn FileStore> {
        &self.inner.store
    }

    /// The bounds of uploads.
    #[must_use]
    pub fn limits(&self) -> &UploadLimits {
        &self.inner.limits
    }

    /// Opens a file, or a range that lies within it. Who may have it was asked before. `None` when its bytes are gone.
    ///
    /// # Errors
    /// When the bytes can't be read.
    pub async fn open(
        &self,
        id: FileId,
        part: Part,
        range: Option<Range<u64>>,
    ) -> io::Result<Option<Opened>> {
        self.inner.blobs.open(id, part, range).await
    }

    /// Where a file is served: a path on the same server.
    #[must_use]
    pub fn url_of(&self, file: &FileRecord) -> String {
        format!("{SERVED_AT}{}/{}", file.id, name::in_url(&file.name))
    }

    /// Lets go of files that are nobody's, a bounded number. Whether more may be due. Several nodes may do it at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn collect(&self) -> Result<bool, StoreError> {
        let Inner { store, blobs, clock, .. } = &*self.inner;
        let due = store.due_files(clock.now(), COLLECTED_AT_ONCE).await?;
        let mut failed = false;
        for one in &due {
            if !store.settle_file(*one).await? {
                continue;
            }
            match blobs.delete(one.file).await {
                Ok(()) => store.forget_file(*one).await?,
                // It stays due.
                Err(error) => {
                    tracing::warn!(%error, file = %one.file, "a file can't be deleted yet");
                    failed = true;
                }
            }
        }
        Ok(due.len() == COLLECTED_AT_ONCE && !failed)
    }

    /// Deletes bytes of which nothing is remembered, as a crash leaves them: looks at everything there is, so rarely is
    /// enough. Returns how many there were.
    ///
    /// Of an object store elsewhere it first asks whose it is: it leaves its name there, and deletes nothing where
    /// another one has left theirs. So call it at each start, before a file can be a day old.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn collect_orphans(&self) -> Result<u64, StoreError> {
        let Inner { store, blobs, clock, .. } = &*self.inner;
        match blobs.are_all_ours().await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("others keep files in the same bucket: what nobody remembers is left there");
                return Ok(0);
            }
            Err(error) => {
                tracing::warn!(%error, "whose blobs there are can't be found out");
                return Ok(0);
            }
        }
        let old = clock.now().plus_millis(-ORPHAN_AGE_MS);
        let (mut deleted, mut found) = (0, blobs.list());
        while let Some(one) = found.next().await {
            let deleting = async {
                let one = one?;
                if Timestamp::from_millis(one.modified_ms) >= old {
                    return Ok(false);
                }
                // What has a record goes its own way.
                if store.file(one.file).await.map_err(io::Error::other)?.is_some() {
                    return Ok(false);
                }
                // It may have lost it just now: by this it is known to be gone for good.
                let due = DueFile { at: Timestamp::from_millis(0), file: one.file };
                if !store.settle_file(due).await.map_err(io::Error::other)? {
                    return Ok(false);
                }
                blobs.delete_found(&one).await.map(|()| true)
            };
            match deleting.await {
                Ok(gone) => deleted += u64::from(gone),
                Err(error) => tracing::warn!(%error, "a blob can't be looked at"),
            }
        }
        Ok(deleted)
    }

    fn new_id(&self) -> Result<FileId, UploadError> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|_| UploadError::Unavailable)?;
        Ok(FileId::new(self.inner.clock.now(), random))
    }
}

impl Inner {
    /// Who has no room for a byte more need not send one.
    async fn check_quota(&self, owner: &UserId) -> Result<(), UploadError> {
        match self.store.file_usage(owner).await?.with(1).is_within(self.limits.quota) {
            true => Ok(()),
            false => Err(UploadError::OverQuota),
        }
    }

    /// Writes a file down as it comes, has it scanned, and finds out what it is.
    async fn arrive<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(Arrived, Kind), UploadError> {
        let mut arrived = self.write_down(body).await?;
        if arrived.size == 0 {
            return Err(UploadError::Empty);
        }
        self.scan(arrived.file.path()).await?;
        let finding = tokio::task::spawn_blocking(move || {
            let kind = detect(arrived.file.as_file_mut(), arrived.is_text);
            kind.map(|kind| (arrived, kind))
        });
        let (arrived, kind) = finding.await.map_err(|_| UploadError::Unavailable)??;
        Ok((arrived, kind.ok_or(UploadError::UnsupportedType)?))
    }

    async fn write_down<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Arrived, UploadError> {
        let folder = self.incoming.clone();
        let creating = tokio::task::spawn_blocking(move || NamedTempFile::new_in(folder));
        let file = creating.await.map_err(|_| UploadError::Unavailable)??;
        let to = tokio::fs::File::from_std(file.as_file().try_clone()?);
        // Each write goes to another thread and back, whatever its size.
        let mut to = BufWriter::with_capacity(PIECE_BYTES, to);
        let (mut size, mut check) = (0_u64, TextCheck::default());
        let mut body = std::pin::pin!(body);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| UploadError::CutOff)?;
            size += piece.len() as u64;
            if size > self.limits.bytes {
                return Err(UploadError::TooLarge);
            }
            check.look_at(&piece);
            to.write_all(&piece).await?;
        }
        to.flush().await?;
        Ok(Arrived { file, size, is_text: check.is_text() })
    }

    async fn scan(&self, path: &Path) -> Result<(), UploadError> {
        let Some(scanner) = &self.scanner else { return Ok(()) };
        match scanner.scan(path).await {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Infected) => Err(UploadError::Infected),
            Err(error) => {
                tracing::warn!(%error, kept = self.keeps_unscanned, "an upload could not be scanned");
                if self.keeps_unscanned { Ok(()) } else { Err(UploadError::Unavailable) }
            }
        }
    }

    /// Makes an image anew, once it is measured and there is room for that.
    async fn made(
        &self,
        arrived: Arrived,
        kind: Kind,
        remake: impl FnOnce(&Path, &Path) -> Result<Made, images::ImageError> + Send + 'static,
    ) -> Result<Made, UploadError> {
        let limits = self.limits;
        let measuring = self.workshop.work(0, move || {
            let pixels = images::measured(arrived.file.path(), kind, &limits);
            pixels.map(|pixels| (arrived, pixels))
        });
        let (arrived, pixels) = measuring.await??;
        let folder = self.incoming.clone();
        // The upload goes when this ends, also when nobody waits for it any more.
        let working = self.workshop.work(pixels, move || remake(arrived.file.path(), &folder));
        Ok(working.await??)
    }

    async fn keep_image(
        &self,
        plain: FileRecord,
        declared: &str,
        made: Made,
    ) -> Result<FileRecord, UploadError> {
        let Made { kind, width, height, file, thumbnail } = made;
        let small = thumbnail.as_ref();
        let record = FileRecord {
            // It may have become something else.
            name: name::harmless(declared, kind),
            mime: kind.mime().to_owned(),
            size: file.as_file().metadata()?.len(),
            width: Some(width),
            height: Some(height),
            thumbnail: small.map(|small| Thumbnail {
                mime: small.kind.mime().to_owned(),
                width: small.width,
                height: small.height,
            }),
            ..plain
        };
        self.keep(record, file.path(), small.map(|small| small.file.path())).await
    }

    /// Keeps the bytes, then remembers the file. Where it breaks off in between, the bytes are found as nobody's.
    async fn keep(
        &self,
        record: FileRecord,
        file: &Path,
        thumbnail: Option<&Path>,
    ) -> Result<FileRecord, UploadError> {
        let id = record.id;
        let keeping = async {
            if let Some(thumbnail) = thumbnail {
                self.blobs.put(id, Part::Thumbnail, thumbnail).await?;
            }
            self.blobs.put(id, Part::Whole, file).await?;
            self.store.create_file(record.clone(), self.limits.quota).await?;
            Ok(record)
        };
        let kept: Result<_, UploadError> = keeping.await;
        // What may be remembered all the same keeps its bytes: a store that fails may not know.
        if let Err(UploadError::OverQuota | UploadError::Erased) = kept
            && let Err(error) = self.blobs.delete(id).await
        {
            tracing::warn!(%error, "the bytes of a file that is not kept are left for later");
        }
        kept
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
