//! `GET /api/files/{id}/{name}`: a file, for who may have it at this moment.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use chat_core::{
    domain::Rejection,
    engine::{Caller, Error},
    files::{FileId, FileRecord, Purpose},
};
use chat_files::{Kind, Part};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    asked::{Asked, asked},
    cookie::FileReader,
    disposition::disposition,
};
use crate::http::{App, fields::QueryFields, problem::Problem};

/// Answers alike for a file that is not there and one that is not for the caller.
pub(super) async fn serve(
    State(app): State<App>,
    FileReader(caller): FileReader,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    headers: HeaderMap,
    mut query: QueryFields,
) -> Result<Response, Problem> {
    let id = path.ok().and_then(|Path((id, _))| FileId::parse(&id));
    let part = match query.text("thumbnail", 5).as_deref() {
        None | Some("0" | "false") => Part::Whole,
        Some("" | "1" | "true") => Part::Thumbnail,
        Some(_) => {
            query.refuse("thumbnail", "expected 1 or 0");
            Part::Whole
        }
    };
    query.done()?;
    let file = readable(&app, &caller, id).await?;
    match part {
        Part::Whole => whole(&app, &file, &method, &headers).await,
        Part::Thumbnail => thumbnail(&app, &file, &method, &headers).await,
    }
}

/// The file, if the caller may have it now: their own, an avatar, or one that is posted where they may read.
async fn readable(app: &App, caller: &Caller, id: Option<FileId>) -> Result<FileRecord, Error> {
    let record = match id {
        Some(id) => app.files().record(id).await?,
        None => None,
    };
    let Some(file) = record else { return Err(Rejection::NO_FILE.into()) };
    let is_open = file.owner == *caller.user() || file.purpose == Purpose::Avatar;
    if is_open || caller.sees_file(file.id, &app.files().store().postings(file.id).await?).await? {
        return Ok(file);
    }
    Err(Rejection::NO_FILE.into())
}

async fn whole(
    app: &App,
    file: &FileRecord,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", file.id);
    let range = match asked(method, headers, &tag, file.size) {
        Asked::Known => return Ok(known(&tag)),
        Asked::Beyond => {
            let mut refused = Problem::range_not_satisfiable().into_response();
            put(&mut refused, header::CONTENT_RANGE, &format!("bytes */{}", file.size));
            return Ok(refused);
        }
        Asked::Part(range) => Some(range),
        Asked::Whole => None,
    };
    if method == Method::HEAD {
        // All that is to be told is remembered.
        let mut response = Response::default();
        put(&mut response, header::CONTENT_LENGTH, &file.size.to_string());
        put(&mut response, header::ACCEPT_RANGES, "bytes");
        describe(&mut response, &file.mime, &file.name, &tag);
        return Ok(response);
    }
    let is_part = range.is_some();
    let opened = app.files().open(file.id, Part::Whole, range).await.map_err(|error| unreadable(&error))?;
    let opened = opened.ok_or(Rejection::NO_FILE).map_err(Error::from)?;
    let mut response = Body::from_stream(opened.pieces).into_response();
    let length = opened.range.end - opened.range.start;
    put(&mut response, header::CONTENT_LENGTH, &length.to_string());
    put(&mut response, header::ACCEPT_RANGES, "bytes");
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let (first, last) = (opened.range.start, opened.range.end.saturating_sub(1));
        put(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{}", opened.size));
    }
    describe(&mut response, &file.mime, &file.name, &tag);
    Ok(response)
}

async fn thumbnail(
    app: &App,
    file: &FileRecord,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let small = file.thumbnail.as_ref().ok_or(Rejection::NO_FILE).map_err(Error::from)?;
    let tag = format!("\"{}-thumbnail\"", file.id);
    if asked(method, headers, &tag, 0) == Asked::Known {
        return Ok(known(&tag));
    }
    let opened =
        app.files().open(file.id, Part::Thumbnail, None).await.map_err(|error| unreadable(&error))?;
    let opened = opened.ok_or(Rejection::NO_FILE).map_err(Error::from)?;
    let mut response = Body::from_stream(opened.pieces).into_response();
    put(&mut response, header::CONTENT_LENGTH, &opened.size.to_string());
    describe(&mut response, &small.mime, &file.name, &tag);
    Ok(response)
}

/// What keeps a browser from making anything else of it than what it is.
fn describe(response: &mut Response, mime: &str, name: &str, tag: &str) {
    let mime_shown = if mime == Kind::Text.mime() { "text/plain; charset=utf-8" } else { mime };
    put(response, header::CONTENT_TYPE, mime_shown);
    let is_inline = Kind::of_mime(mime).is_some_and(Kind::is_shown_inline);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition(name, is_inline));
    keep(response, tag);
}

/// The same file is answered under this tag for ever, but who may have it is asked each time.
fn keep(response: &mut Response, tag: &str) {
    put(response, header::ETAG, tag);
    put(response, header::CACHE_CONTROL, "private, no-cache");
    put(response, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    put(response, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

fn known(tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    keep(&mut response, tag);
    response
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    // Media types, tags and numbers of our own making are ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn unreadable(error: &std::io::Error) -> Problem {
    tracing::warn!(%error, "a file can't be read");
    Problem::unavailable()
}
