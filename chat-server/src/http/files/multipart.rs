//! The body of an upload: `multipart/form-data` (RFC 7578) of exactly one part, read as it comes.

use std::sync::{Arc, OnceLock};

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use chat_core::domain::ErrorCode;
use chat_files::UploadError;
use futures::{Stream, stream};
use http::{HeaderMap, StatusCode, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::timeout;

use crate::{
    http::{
        App,
        problem::{Invalid, Problem},
    },
    limits::{UPLOAD_FRAME_BYTES, UPLOAD_PIECE_TIMEOUT},
};

/// The one part that an upload has.
const FIELD: &str = "file";

/// An upload that has begun to come.
pub(in crate::http) struct Upload {
    multipart: Multipart<'static>,
    field: Field<'static>,
    fault: Fault,
}

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
        self.field.file_name().unwrap_or_default()
    }

    /// Hands its bytes to `take` as they come. They end well only when the body does.
    pub(in crate::http) async fn taken<T, F>(self, take: impl FnOnce(Pieces) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, UploadError>>,
    {
        let fault = self.fault.clone();
        let pieces = Box::pin(stream::try_unfold(Some(self), |upload| async {
            let Some(mut upload) = upload else { return Ok(None) };
            if let Some(piece) = upload.piece().await? {
                return Ok(Some((piece, Some(upload))));
            }
            upload.end().await?;
            Ok(None)
        }));
        take(pieces).await.map_err(|error| match (error, fault.0.get()) {
            (UploadError::CutOff, Some(wrong)) => wrong.problem(),
            (error, _) => Problem::new(error.code(), error.to_string()),
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Stopped> {
        match timeout(UPLOAD_PIECE_TIMEOUT, self.field.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(self.fault.set(Wrong::of(&error))),
            Err(_) => Err(self.fault.set(Wrong::TooSlow)),
        }
    }

    /// Sees that nothing follows.
    async fn end(self) -> Result<(), Stopped> {
        let Self { mut multipart, field, fault } = self;
        // The next part is only looked for once this one is let go.
        drop(field);
        match timeout(UPLOAD_PIECE_TIMEOUT, multipart.next_field()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_))) => Err(fault.set(Wrong::NotAlone)),
            Ok(Err(error)) => Err(fault.set(Wrong::of(&error))),
            Err(_) => Err(fault.set(Wrong::TooSlow)),
        }
    }
}

/// The bytes of an upload, as they come.
pub(in crate::http) type Pieces = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Stopped>> + Send>>;

impl FromRequest<App> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let most = app.files().limits().bytes.saturating_add(UPLOAD_FRAME_BYTES);
        let (parts, body) = request.into_parts();
        let boundary = boundary(&parts.headers)?;
        if announced(&parts.headers).is_some_and(|length| length > most) {
            return Err(Problem::too_large());
        }
        let limits = SizeLimit::new().whole_stream(most);
        let body: BodyDataStream = Body::into_data_stream(body);
        let mut multipart =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        let field = match timeout(UPLOAD_PIECE_TIMEOUT, multipart.next_field()).await {
            Ok(Ok(Some(field))) => field,
            Ok(Ok(None)) => return Err(missing()),
            Ok(Err(error)) => return Err(Wrong::of(&error).problem()),
            Err(_) => return Err(Wrong::TooSlow.problem()),
        };
        match field.name() {
            Some(FIELD) => Ok(Self { multipart, field, fault: Fault::default() }),
            _ => Err(missing()),
        }
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
