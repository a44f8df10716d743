//! The bytes of files, in an object store: a folder, or something like S3.

use std::{io, ops::Range, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use chat_core::files::FileId;
use futures::{StreamExt, TryStreamExt, future::ready, stream, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart,
    path::Path,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::Semaphore,
};

use crate::{
    claim::Claim,
    limits::{PIECE_BYTES, REMOTE_PART_BYTES, REMOTE_WRITES_AT_ONCE},
};

/// Which of a file's blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file itself.
    Whole,
    /// The small image that stands for it.
    Thumbnail,
}

/// Where blobs lie.
#[derive(Debug)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Files of up to this size are written in one request, larger ones in parts of it.
    part_bytes: usize,
    writes: Semaphore,
    /// `None` where nobody else can be.
    claim: Option<Claim>,
}

/// A part of a blob, on its way.
pub struct Opened {
    /// Bytes of the whole blob.
    pub size: u64,
    /// Which of them come.
    pub range: Range<u64>,
    /// They.
    pub pieces: BoxStream<'static, io::Result<Bytes>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("size", &self.size).field("range", &self.range).finish_non_exhaustive()
    }
}

/// A blob that lies there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: FileId,
    pub(crate) modified_ms: i64,
    path: Path,
}

impl Blobs {
    /// In a folder of this machine.
    pub(crate) fn local(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, part_bytes: PIECE_BYTES, writes: Semaphore::new(Semaphore::MAX_PERMITS), claim: None }
    }

    /// Elsewhere, where others may have blobs as well.
    pub(crate) fn remote(store: Arc<dyn ObjectStore>, claim: Claim) -> Self {
        let writes = Semaphore::new(REMOTE_WRITES_AT_ONCE);
        Self { store, part_bytes: REMOTE_PART_BYTES, writes, claim: Some(claim) }
    }

    /// Whether nobody else has blobs here.
    pub(crate) async fn are_all_ours(&self) -> io::Result<bool> {
        match &self.claim {
            Some(claim) => claim.is_alone(&*self.store).await,
            None => Ok(true),
        }
    }

    /// Keeps the content of a file, durably, before it returns.
    pub(crate) async fn put(&self, id: FileId, part: Part, from: &FilePath) -> io::Result<()> {
        let _writing = self.writes.acquire().await.map_err(io::Error::other)?;
        let (path, mut file) = (path(id, part), File::open(from).await?);
        if file.metadata().await?.len() <= self.part_bytes as u64 {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole).await?;
            self.store.put(&path, PutPayload::from(whole)).await?;
            return Ok(());
        }
        let upload = self.store.put_multipart(&path).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, self.part_bytes);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            // So many parts may be under way beside the one that is filled.
            writer.wait_for_capacity(1).await?;
            let read = match file.read(&mut piece).await {
                Ok(read) => read,
                Err(error) => {
                    writer.abort().await?;
                    return Err(error);
                }
            };
            if read == 0 {
                break;
            }
            writer.write(&piece[..read]);
        }
        writer.finish().await?;
        Ok(())
    }

    /// Opens a blob, or a range of it that lies within it; `None` when there is none.
    pub(crate) async fn open(
        &self,
        id: FileId,
        part: Part,
        range: Option<Range<u64>>,
    ) -> io::Result<Option<Opened>> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let result = match self.store.get_opts(&path(id, part), options).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (size, range) = (result.meta.size, result.range.clone());
        let pieces = match result.payload {
            GetResultPayload::File(file, _) => file_pieces(File::from_std(file), range.clone()).await?,
            GetResultPayload::Stream(stream) => stream.map_err(io::Error::from).boxed(),
        };
        Ok(Some(Opened { size, range, pieces }))
    }

    /// Deletes the blobs of a file. What is not there is deleted already.
    pub(crate) async fn delete(&self, id: FileId) -> io::Result<()> {
        for part in [Part::Thumbnail, Part::Whole] {
            self.delete_at(&path(id, part)).await?;
        }
        Ok(())
    }

    /// Deletes one thing that was found.
    pub(crate) async fn delete_found(&self, found: &Found) -> io::Result<()> {
        self.delete_at(&found.path).await
    }

    async fn delete_at(&self, path: &Path) -> io::Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All blobs that lie here. What lies at any other place than a blob's own is somebody else's.
    pub(crate) fn list(&self) -> BoxStream<'static, io::Result<Found>> {
        let found = |meta: object_store::ObjectMeta| {
            let file = meta.location.filename().and_then(|name| FileId::parse(name.split('.').next()?));
            let file = file.filter(|id| {
                [Part::Whole, Part::Thumbnail].into_iter().any(|part| path(*id, part) == meta.location)
            })?;
            Some(Found { file, modified_ms: meta.last_modified.timestamp_millis(), path: meta.location })
        };
        let listed = self.store.list(None).map_err(io::Error::from);
        listed.try_filter_map(move |meta| ready(Ok(found(meta)))).boxed()
    }
}

/// Ids begin with the time, so their ends spread them over folders.
fn path(id: FileId, part: Part) -> Path {
    let id = id.to_string();
    let folder = &id[id.len() - 2..];
    match part {
        Part::Whole => Path::from(format!("{folder}/{id}")),
        Part::Thumbnail => Path::from(format!("{folder}/{id}.thumbnail")),
    }
}

async fn file_pieces(mut file: File, range: Range<u64>) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    file.seek(io::SeekFrom::Start(range.start)).await?;
    let left = range.end.saturating_sub(range.start);
    Ok(stream::try_unfold((file, left), async |(mut file, left)| {
        let most = left.min(PIECE_BYTES as u64);
        if most == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(most).unwrap_or(PIECE_BYTES)];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(Some((Bytes::from(piece), (file, left - read as u64))))
    })
    .boxed())
}
