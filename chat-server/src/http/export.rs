//! `GET /api/users/me/export`: everything that is the caller's, written while it is read, and given up where nobody
//! takes it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use chat_core::{
    accounts::{AccountStore, Login},
    domain::Rate,
    engine::{Export, RateTable},
    files::{FileRecord, Purpose},
    id::UserId,
    limits::PAGE_ITEMS_MAX,
    store::PageRequest,
    time::{Clock, SystemClock, Timestamp},
    wire::rfc3339,
};
use chat_files::Files;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{App, caller::Authenticated, problem::Problem};
use crate::limits::{
    EXPORT_PIECE_BYTES, EXPORT_PIECE_TIMEOUT, EXPORT_TIMEOUT, EXPORTS_AT_ONCE, EXPORTS_PER_HOUR,
};

/// Who may have an export now.
#[derive(Debug)]
pub(crate) struct Exports {
    rates: RateTable<UserId>,
    places: Arc<Semaphore>,
}

impl Exports {
    /// Everybody may, as far as there are places.
    pub(crate) fn new() -> Self {
        let rates = RateTable::new(Rate::per_hour(EXPORTS_PER_HOUR));
        Self { rates, places: Arc::new(Semaphore::new(EXPORTS_AT_ONCE)) }
    }

    /// Forgets rates that are full again.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.rates.sweep(now);
    }

    /// A place, which is held for as long as the export is under way. Without one, nothing is taken from the rate.
    fn admit(&self, user: &UserId, now: Timestamp) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::unavailable())?;
        self.rates.admit(user, now).map_err(Problem::rate_limited)?;
        Ok(place)
    }
}

/// Answers with one list of JSON. Without the item `end` it broke off.
pub(super) async fn export(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Response, Problem> {
    let place = app.exports().admit(caller.user(), SystemClock.now())?;
    let account = app.store().account(caller.user()).await?;
    let account = account.map(|account| json!({"type": "account", "email": account.email.as_str()}));
    let logins = app.accounts().logins(caller.user()).await?;
    let first = account.into_iter().chain(logins.iter().map(login)).map(|line| line.to_string()).collect();
    let files = files(app.files().clone(), caller.user().clone());
    let lines = lines(first, files, app.engine().export_user(caller.user()).await?);
    let mut response = Body::from_stream(deliver(lines, place)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let attachment = HeaderValue::from_static("attachment; filename=\"export.json\"");
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    Ok(response)
}

/// Why a list ends without its end: the store failed, or it was not taken in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the export broke off")]
struct BrokenOff;

type Lines = stream::BoxStream<'static, Result<String, BrokenOff>>;

fn login(login: &Login) -> Value {
    json!({
        "type": "login", "id": login.id.to_string(), "device": login.device.as_str(),
        "createdAt": rfc3339(login.created_at), "lastUsedAt": rfc3339(login.last_used_at),
    })
}

fn lines(first: Vec<String>, files: Lines, export: Export) -> Lines {
    let rest = stream::try_unfold(export, async |mut export| {
        Ok::<_, chat_core::engine::Error>(export.next().await?.map(|line| (line, export)))
    });
    // The engine has logged what it was.
    stream::iter(first.into_iter().map(Ok)).chain(files).chain(rest.map_err(|_| BrokenOff)).boxed()
}

/// The user's files, a page at a time. Their bytes are had at their URLs.
fn files(files: Files, user: UserId) -> Lines {
    let pages = stream::try_unfold(Some(None), move |cursor| {
        let (files, user) = (files.clone(), user.clone());
        async move {
            let Some(cursor) = cursor else { return Ok(None) };
            let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
            let page = files.store().files_of(&user, page).await.map_err(|error| {
                tracing::warn!(%error, "files could not be exported");
                BrokenOff
            })?;
            let lines: Vec<_> = page.items.iter().map(|file| Ok(line(&files, file))).collect();
            Ok(Some((stream::iter(lines), page.next.map(Some))))
        }
    });
    pages.try_flatten().boxed()
}

fn line(files: &Files, file: &FileRecord) -> String {
    let purpose = match file.purpose {
        Purpose::Attachment => "attachment",
        Purpose::Avatar => "avatar",
    };
    json!({
        "type": "file", "fileId": file.id.to_string(), "name": file.name, "mime": file.mime, "size": file.size,
        "purpose": purpose, "createdAt": rfc3339(file.created_at), "url": files.url_of(file),
    })
    .to_string()
}

/// The list of these lines, in pieces. They are read by a task of its own, which ends, and gives its place back, with
/// the list, when nobody wants the list any more, and when time is up.
fn deliver(lines: Lines, place: OwnedSemaphorePermit) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send {
    let (give, take) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = give.closed() => {}
            // Whoever takes learns from the missing end that it broke off.
            _ = timeout(EXPORT_TIMEOUT, write(lines, &give)) => {}
        }
        drop(place);
    });
    stream::unfold(Some(take), async |take| {
        let mut take = take?;
        match take.recv().await {
            Some(Piece { bytes, is_last }) => Some((Ok(bytes), (!is_last).then_some(take))),
            None => Some((Err(BrokenOff), None)),
        }
    })
}

/// A part of the list.
struct Piece {
    bytes: Bytes,
    is_last: bool,
}

async fn write(mut lines: Lines, give: &mpsc::Sender<Piece>) -> Result<(), BrokenOff> {
    let mut written = BytesMut::new();
    let mut separator = "[\n";
    while let Some(line) = lines.next().await {
        written.extend_from_slice(separator.as_bytes());
        written.extend_from_slice(line?.as_bytes());
        separator = ",\n";
        while written.len() >= EXPORT_PIECE_BYTES {
            let bytes = written.split_to(EXPORT_PIECE_BYTES).freeze();
            give_in_time(give, Piece { bytes, is_last: false }).await?;
        }
    }
    written.extend_from_slice(b"\n]\n");
    give_in_time(give, Piece { bytes: written.freeze(), is_last: true }).await
}

async fn give_in_time(give: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), BrokenOff> {
    timeout(EXPORT_PIECE_TIMEOUT, give.send(piece)).await.map_err(|_| BrokenOff)?.map_err(|_| BrokenOff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::{pin::pin, time::Duration};
    use tokio::time::{Instant, sleep};

    fn user(number: usize) -> UserId {
        UserId::parse(&format!("user-{number}")).unwrap()
    }

    fn endless() -> Lines {
        stream::repeat_with(|| Ok("x".repeat(EXPORT_PIECE_BYTES))).boxed()
    }

    /// Delivers from the only place there is.
    fn delivered(lines: Lines) -> (impl Stream<Item = Result<Bytes, BrokenOff>>, Arc<Semaphore>) {
        let places = Arc::new(Semaphore::new(1));
        (deliver(lines, Arc::clone(&places).try_acquire_owned().unwrap()), places)
    }

    #[test]
    fn a_user_has_three_exports_an_hour_and_all_have_eight_at_once() {
        let (exports, now) = (Exports::new(), Timestamp::from_millis(0));
        let status = |user: usize, now| {
            exports.admit(&self::user(user), now).map_err(|problem| {
                let response = problem.into_response();
                (response.status(), response.headers().get(header::RETRY_AFTER).cloned())
            })
        };
        for _ in 0..3 {
            drop(status(0, now).unwrap());
        }
        let limited = (StatusCode::TOO_MANY_REQUESTS, Some(HeaderValue::from(1_200)));
        assert_eq!(status(0, now).unwrap_err(), limited);
        let mut places: Vec<_> = (1..=8).map(|user| status(user, now).unwrap()).collect();
        let later = Timestamp::from_millis(1_200_000);
        assert_eq!(
            status(0, later).unwrap_err(),
            (StatusCode::SERVICE_UNAVAILABLE, Some(HeaderValue::from(1)))
        );
        places.pop();
        // What was refused for want of a place took nothing.
        drop(status(0, later).unwrap());
        assert_eq!(status(0, later).unwrap_err(), limited);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_comes_whole_in_pieces_of_bounded_length() {
        let long = "y".repeat(3 * EXPORT_PIECE_BYTES);
        let lines = vec![Ok("1".to_owned()), Ok(long.clone()), Ok("2".to_owned())];
        let (body, places) = delivered(stream::iter(lines).boxed());
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), format!("[\n1,\n{long},\n2\n]\n").as_bytes());
        assert!(pieces.iter().all(|piece| piece.len() <= EXPORT_PIECE_BYTES));
        drop(places.acquire().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_that_nobody_takes_holds_its_place_for_the_time_of_a_piece() {
        let begun = Instant::now();
        let (body, places) = delivered(endless());
        drop(places.acquire().await.unwrap());
        assert_eq!(begun.elapsed().as_secs(), EXPORT_PIECE_TIMEOUT.as_secs());
        // The one that was ready, and that there are no more.
        let pieces: Vec<_> = body.map(|piece| piece.map(|bytes| bytes.len())).collect().await;
        assert_eq!(pieces, [Ok(EXPORT_PIECE_BYTES), Err(BrokenOff)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_that_is_taken_slowly_breaks_off_when_its_time_is_up() {
        let begun = Instant::now();
        let (body, places) = delivered(endless());
        let mut body = pin!(body);
        while let Some(Ok(_)) = body.next().await {
            sleep(EXPORT_PIECE_TIMEOUT - Duration::from_secs(1)).await;
        }
        assert!(body.next().await.is_none());
        drop(places.acquire().await.unwrap());
        let most = EXPORT_TIMEOUT + 2 * EXPORT_PIECE_TIMEOUT;
        assert!((EXPORT_TIMEOUT..most).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_ends_with_the_request_also_while_it_searches() {
        let begun = Instant::now();
        let (body, places) = delivered(stream::pending().boxed());
        drop(body);
        drop(places.acquire().await.unwrap());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_whose_store_fails_breaks_off() {
        let (body, _) = delivered(stream::iter([Ok("1".to_owned()), Err(BrokenOff)]).boxed());
        let pieces: Vec<_> = body.collect().await;
        assert_eq!(pieces, [Err(BrokenOff)]);
    }
}
