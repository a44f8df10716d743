//! The body of an upload: `multipart/form-data` (RFC 7578) of exactly one part, read as it comes.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use chat_core::domain::ErrorCode;
use chat_files::{Place, UploadError};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::timeout;

use crate::{
    http::{
        App,
        problem::{Invalid, Problem},
    },
    limits::{UPLOAD_FRAME_BYTES, UPLOAD_HEAD_BYTES, UPLOAD_PIECE_TIMEOUT},
};

/// The one part that an upload has.
const FIELD: &str = "file";

/// An upload that has begun to come, and has its place among those that come at once.
pub(in crate::http) struct Upload {
    place: Place,
    coming: Coming,
}

struct Coming {
    multipart: Multipart<'static>,
    field: Field<'static>,
    head: HeadLeft,
    fault: Fault,
}

/// How many bytes may still come before the content of the file begins, or after its end. While it comes there is no
/// such bound.
#[derive(Clone)]
struct HeadLeft(Arc<AtomicU64>);

/// The body in steps: the parser takes all that is ready, and looks at it only then; and as long as it finds no header
/// and no boundary, it keeps everything and looks through all of it again. So it is given one piece, then made to look,
/// and but so many bytes in which it finds nothing.
struct Stepped {
    body: BodyDataStream,
    head: HeadLeft,
    is_to_look: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("neither a header nor a boundary ends")]
struct HeadTooLong;

/// What was wrong with the body, found while it was read.
#[derive(Clone, Default)]
struct Fault(Arc<OnceLock<Wrong>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Malformed,
    TooLarge,
    TooSlow,
    NotAlone,
}

/// It goes no further.
pub(in crate::http) struct Stopped;

impl Upload {
    /// What its sender calls the file.
    pub(in crate::http) fn name(&self) -> &str {
        self.coming.field.file_name().unwrap_or_default()
    }

    /// Hands its place and its bytes to `take`, as they come. They end well only when the body does.
    pub(in crate::http) async fn taken<T, F>(
        self,
        take: impl FnOnce(Place, Pieces) -> F,
    ) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, UploadError>>,
    {
        let Self { place, coming } = self;
        let fault = coming.fault.clone();
        let pieces = Box::pin(stream::try_unfold(Some(coming), |coming| async {
            let Some(mut coming) = coming else { return Ok(None) };
            if let Some(piece) = coming.piece().await? {
                return Ok(Some((piece, Some(coming))));
            }
            coming.end().await?;
            Ok(None)
        }));
        take(place, pieces).await.map_err(|error| match (error, fault.0.get()) {
            (UploadError::CutOff, Some(wrong)) => wrong.problem(),
            (error, _) => refused(error),
        })
    }
}

impl Coming {
    async fn piece(&mut self) -> Result<Option<Bytes>, Stopped> {
        match timeout(UPLOAD_PIECE_TIMEOUT, self.field.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(self.fault.set(Wrong::of(&error))),
            Err(_) => Err(self.fault.set(Wrong::TooSlow)),
        }
    }

    /// Sees that nothing follows.
    async fn end(self) -> Result<(), Stopped> {
        let Self { mut multipart, field, head, fault } = self;
        // The next part is only looked for once this one is let go.
        drop(field);
        head.begin();
        match timeout(UPLOAD_PIECE_TIMEOUT, multipart.next_field()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_))) => Err(fault.set(Wrong::NotAlone)),
            Ok(Err(error)) => Err(fault.set(Wrong::of(&error))),
            Err(_) => Err(fault.set(Wrong::TooSlow)),
        }
    }
}

/// The bytes of an upload, as they come.
pub(in crate::http) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Stopped>> + Send>>;

impl FromRequest<App> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let most = app.files().limits().bytes.saturating_add(UPLOAD_FRAME_BYTES);
        let (parts, body) = request.into_parts();
        let boundary = boundary(&parts.headers)?;
        if announced(&parts.headers).is_some_and(|length| length > most) {
            return Err(Problem::too_large());
        }
        let place = app.files().place().map_err(refused)?;
        let limits = SizeLimit::new().whole_stream(most);
        let head = HeadLeft(Arc::default());
        head.begin();
        let body = Stepped { body: Body::into_data_stream(body), head: head.clone(), is_to_look: false };
        let mut multipart =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        let field = match timeout(UPLOAD_PIECE_TIMEOUT, multipart.next_field()).await {
            Ok(Ok(Some(field))) => field,
            Ok(Ok(None)) => return Err(missing()),
            Ok(Err(error)) => return Err(Wrong::of(&error).problem()),
            Err(_) => return Err(Wrong::TooSlow.problem()),
        };
        if field.name() != Some(FIELD) {
            return Err(missing());
        }
        head.end();
        Ok(Self { place, coming: Coming { multipart, field, head, fault: Fault::default() } })
    }
}

impl HeadLeft {
    fn begin(&self) {
        self.0.store(UPLOAD_HEAD_BYTES, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// Takes so many bytes of what is left, of which the last ones may be too many; `false` when none is left.
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.0.store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
        }
        left > 0
    }
}

impl Stream for Stepped {
    type Item = Result<Bytes, Box<dyn Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.is_to_look) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match ready!(self.body.poll_next_unpin(context)) {
            Some(Ok(piece)) if !self.head.take(piece.len()) => Err(HeadTooLong.into()),
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => Err(error.into()),
            None => return Poll::Ready(None),
        };
        self.is_to_look = true;
        Poll::Ready(Some(piece))
    }
}

impl Fault {
    fn set(&self, wrong: Wrong) -> Stopped {
        // The first one counts.
        let _ = self.0.set(wrong);
        Stopped
    }
}

impl Wrong {
    fn of(error: &multer::Error) -> Self {
        match error {
            multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
                Self::TooLarge
            }
            _ => Self::Malformed,
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Malformed => {
                Problem::new(ErrorCode::BadRequest, "the body is not valid multipart/form-data")
            }
            Self::TooLarge => Problem::too_large(),
            Self::TooSlow => Problem::new(ErrorCode::BadRequest, "the upload stalled"),
            Self::NotAlone => {
                let message = "send one file at a time, and nothing beside it".into();
                Problem::invalid(vec![Invalid { field: FIELD.into(), message }])
            }
        }
    }
}

fn refused(error: UploadError) -> Problem {
    Problem::new(error.code(), error.to_string())
}

fn missing() -> Problem {
    Problem::invalid(vec![Invalid { field: FIELD.into(), message: "this field is required".into() }])
}

fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    multer::parse_boundary(value).map_err(|_| {
        Problem::new(ErrorCode::BadRequest, "expected a body of type multipart/form-data")
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    })
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
