//! What is live, for networks without WebSocket: a room's log by pages, by long polling and as a stream, and all of a
//! user's rooms in one stream.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
    routing,
};
use chat_core::{
    auth::{AuthError, Identity},
    close::CloseReason,
    domain::Rejection,
    engine::{Caller, Error, Event, Session},
    id::{RoomId, Seq},
    limits::LOG_PAGE_ENTRIES,
    time::{Clock, SystemClock, Timestamp},
    wire::{Notice, ResumeFrom, SubscribeTo},
};
use chat_transport_ws::{Admission, Refused};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    App,
    caller::{Proven, shown},
    client::ClientAddress,
    fields::{PathId, QueryFields},
    messages::SEQ_MAX,
    problem::Problem,
    route::{
        Content::{Events, Stream as Streamed},
        Kind, Param, Route, Verb,
    },
};
use crate::limits::{LONG_POLL_MAX, RESUMED_BY_QUERY_MAX, STREAM_COMMENT_EVERY};

const WAIT: Param = Param::new(
    "wait",
    "How many seconds to wait for an entry when there is none",
    Kind::Number(0, LONG_POLL_MAX.as_secs()),
);

const EPOCH: Param = Param::new(
    "epoch",
    "The epoch of the answer or stream before: in another one nothing is gone on with",
    Kind::Text(64),
);

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Get,
        "/rooms/{room}/events",
        "listEvents",
        "Reads on in a room's log; waits for more, or streams it",
        || routing::get(room_log),
    )
    .query(&[
        Param::new(
            "after",
            "Entries after this seq; from the beginning unless told",
            Kind::Number(0, SEQ_MAX),
        ),
        Param::new("limit", "At most so many; 100 unless told", Kind::Number(1, LOG_PAGE_ENTRIES as u64)),
        WAIT,
        EPOCH,
    ])
    .answers(&[(200, Events("EventPage"))])
    .long(),
    Route::new(Verb::Get, "/events", "streamEvents", "Streams all rooms of the caller", || {
        routing::get(inbox)
    })
    .query(&[
        Param::new(
            "resume",
            "Where to go on in a room that was followed before, as roomId:seq, once for each",
            Kind::Texts(RESUMED_BY_QUERY_MAX),
        ),
        EPOCH,
    ])
    .answers(&[(200, Streamed)])
    .long(),
];

/// Entries of a log on a page when the client names no number.
const ENTRIES_DEFAULT: u64 = 100;

async fn room_log(
    State(app): State<App>,
    address: ClientAddress,
    Proven(identity): Proven,
    PathId(room): PathId,
    headers: HeaderMap,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let after = fields.number_in("after", 0..=SEQ_MAX);
    let limit = fields.number_in("limit", 1..=LOG_PAGE_ENTRIES as u64);
    let wait = fields.number_in("wait", 0..=LONG_POLL_MAX.as_secs());
    let epoch = fields.text("epoch", 64);
    fields.done()?;
    let caller = app.engine().caller(identity.clone()).await?;
    app.admit_request(&caller)?;
    let room = RoomId::parse(&room).map_err(|_| Error::from(Rejection::NO_ROOM))?;
    if wants_stream(&headers) {
        // Where a browser's own reader broke off counts more than where it began.
        let after = last_event_id(&headers).or(after).unwrap_or_default();
        // Who may not read it is told so, not shown an empty stream.
        caller.log(&room, Seq::new(after), 1).await?;
        let place = app.place(address)?;
        let resume = vec![ResumeFrom { room_id: room.as_str().to_owned(), after }];
        let session = open(&app, &identity, SubscribeTo::None, resume, epoch).await?;
        return Ok(streamed(&app, session, Some(room), &identity, place));
    }
    // A seq of another history means nothing in this one.
    let is_of_now = epoch.is_none_or(|epoch| epoch == app.engine().store().epoch());
    let after = if is_of_now { Seq::new(after.unwrap_or_default()) } else { Seq::MAX };
    let limit = usize::try_from(limit.unwrap_or(ENTRIES_DEFAULT)).unwrap_or(LOG_PAGE_ENTRIES);
    let wait = Duration::from_secs(wait.unwrap_or_default());
    let page = page(&app, &identity, &caller, &room, after, limit, wait, address).await?;
    Ok(shown(StatusCode::OK, &page))
}

#[allow(clippy::too_many_arguments, reason = "what a request says, taken apart")]
async fn page(
    app: &App,
    identity: &Identity,
    caller: &Caller,
    room: &RoomId,
    after: Seq,
    limit: usize,
    wait: Duration,
    address: ClientAddress,
) -> Result<Value, Problem> {
    let mut log = caller.log(room, after, limit).await?;
    if log.is_empty() && !wait.is_zero() {
        let _place = app.place(address)?;
        let mut session = open(app, identity, SubscribeTo::None, Vec::new(), None).await?;
        session.subscribe(room, None).await?;
        // Read again once it is followed: what came in between is told by nobody.
        log = caller.log(room, after, limit).await?;
        if log.is_empty() {
            let left = identity.expires_at.map_or(Duration::MAX, |at| until(at, SystemClock.now()));
            match timeout(wait.min(left), has_news(&mut session)).await {
                Ok(true) => {}
                Ok(false) => return Err(why_ended(app, identity, session.ended()).await),
                Err(_) if left <= wait => return Err(AuthError::Expired.into()),
                Err(_) => {}
            }
            log = caller.log(room, after, limit).await?;
        }
    }
    let frames = log.frames(caller.user());
    let items: Vec<&RawValue> =
        frames.iter().filter_map(|frame| serde_json::from_slice(frame).ok()).collect();
    let next = log.next().map(|seq| seq.get().to_string());
    Ok(json!({
        "roomId": room.as_str(),
        "items": items,
        "nextCursor": next,
        "lastSeq": log.head().get(),
        "epoch": app.engine().store().epoch(),
    }))
}

/// Waits for news of the room that a session follows. Tells whether some came, or the session ended.
async fn has_news(session: &mut Session) -> bool {
    while let Some(event) = session.recv().await {
        if matches!(
            event,
            Event::Entry(_) | Event::Notice(Notice::ResyncRequired(..) | Notice::ResumeFailed(_))
        ) {
            return true;
        }
    }
    false
}

/// What who waited by a session is told that was ended.
async fn why_ended(app: &App, identity: &Identity, reason: Option<CloseReason>) -> Problem {
    match reason {
        Some(CloseReason::Unauthenticated) => AuthError::Invalid.into(),
        // Disabled or erased, as they are told when they come again.
        Some(CloseReason::Banned) => match app.engine().caller(identity.clone()).await {
            Err(error) => error.into(),
            Ok(_) => Problem::unavailable(),
        },
        _ => Problem::unavailable(),
    }
}

async fn inbox(
    State(app): State<App>,
    address: ClientAddress,
    Proven(identity): Proven,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let texts = fields.texts("resume");
    let epoch = fields.text("epoch", 64);
    let resume: Vec<_> = texts.iter().filter_map(|text| resume_from(text)).collect();
    if resume.len() != texts.len() || resume.len() > RESUMED_BY_QUERY_MAX {
        fields.refuse("resume", &format!("expected roomId:seq, at most {RESUMED_BY_QUERY_MAX} times"));
    }
    fields.done()?;
    let caller = app.engine().caller(identity.clone()).await?;
    app.admit_request(&caller)?;
    let place = app.place(address)?;
    let session = open(&app, &identity, SubscribeTo::All, resume, epoch).await?;
    Ok(streamed(&app, session, None, &identity, place))
}

fn resume_from(text: &str) -> Option<ResumeFrom> {
    // A room's id may hold colons itself.
    let (room_id, after) = text.rsplit_once(':')?;
    Some(ResumeFrom { room_id: room_id.to_owned(), after: after.parse().ok()? })
}

async fn open(
    app: &App,
    identity: &Identity,
    subscribe: SubscribeTo,
    resume: Vec<ResumeFrom>,
    epoch: Option<String>,
) -> Result<Session, Problem> {
    if app.is_draining() {
        return Err(Problem::unavailable());
    }
    Ok(app.tokens().connect(app.engine(), identity, subscribe, resume, epoch).await?)
}

/// Streams a session until the engine ends it, its token runs out, nothing more will come of the one room that it is
/// about, if it is, or the client goes away. As with a WebSocket, a client that does not read holds nothing up: the
/// session is asked for more only when the last of it was taken.
fn streamed(
    app: &App,
    session: Session,
    only: Option<RoomId>,
    identity: &Identity,
    place: Admission,
) -> Response {
    let first = greeting(app, &session);
    let expires = identity.expires_at.map(|at| Instant::now() + until(at, SystemClock.now()));
    let events =
        stream::unfold((session, only, place, expires), async |(mut session, only, place, expires)| {
            let over = async {
                match expires {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = next(&mut session, only.as_ref()) => event?,
                () = over => return None,
            };
            let event = sent(&session, &event);
            Some((event, (session, only, place, expires)))
        });
    let events = stream::iter([first]).chain(events).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(STREAM_COMMENT_EVERY);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    // What axum says of streams would let it be kept, to be asked about again.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather what they pass on would hold it up.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// How a stream begins.
fn greeting(app: &App, session: &Session) -> Sent {
    let greeting = json!({
        "type": "authenticated",
        "userId": session.caller().user().as_str(),
        "username": session.caller().username().as_str(),
        "sessionId": session.id().as_str(),
        "epoch": app.engine().store().epoch(),
    });
    Sent::default().event("authenticated").data(greeting.to_string())
}

/// The next event; `None` at the end of the session, or of the one room that it is about: when its user has left it, or
/// it was deleted, all was told.
async fn next(session: &mut Session, only: Option<&RoomId>) -> Option<Event> {
    poll_fn(|cx| {
        let polled = pin!(session.recv()).poll(cx);
        match polled {
            Poll::Pending if only.is_some_and(|room| !session.follows(room)) => Poll::Ready(None),
            polled => polled,
        }
    })
    .await
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(at.millis_since(now))
}

/// An event of a session as an event of the stream: the same frame that a WebSocket would get.
fn sent(session: &Session, event: &Event) -> Sent {
    match event {
        Event::Entry(posted) => {
            let frame = posted.frame_for(session.caller().user());
            let event = Sent::default().data(String::from_utf8_lossy(frame.json()));
            event.event(kind_of(frame.json())).id(posted.entry().seq.get().to_string())
        }
        Event::Notice(notice) => {
            let frame = notice.frame();
            let event = Sent::default().data(String::from_utf8_lossy(&frame)).event(kind_of(&frame));
            match notice {
                // From here on it goes on.
                Notice::CaughtUp(_, seq) | Notice::ResyncRequired(_, seq) => event.id(seq.to_string()),
                _ => event,
            }
        }
    }
}

/// The `type` of a frame of ours.
fn kind_of(frame: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        kind: &'a str,
    }
    serde_json::from_slice::<Head<'_>>(frame)
        .map_or_else(|_| "message".to_owned(), |head| head.kind.to_owned())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    accepted.any(|line| line.split(',').any(|kind| kind.trim().starts_with("text/event-stream")))
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

impl App {
    /// A place among the connections of an address, which is held for as long as a stream lasts.
    fn place(&self, ClientAddress(address): ClientAddress) -> Result<Admission, Problem> {
        self.gate().admit(address).map_err(|refused| match refused {
            Refused::Address(_) | Refused::Flood => Problem::rate_limited(1_000),
            Refused::Total(_) => Problem::unavailable(),
        })
    }
}
