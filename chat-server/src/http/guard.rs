//! What holds for every request: headers, a deadline, and refusals in one form.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use chat_core::domain::ErrorCode;
use futures::FutureExt;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::problem::Problem;
use crate::limits::{REQUEST_TIMEOUT, UPLOAD_TIMEOUT};

/// What is the same for everybody, and may be kept. What is said instead of it may not.
const PAGES: &[&str] = &["/", "/docs/protocol", "/api/docs", "/api/docs/style.css", "/api/openapi.json"];

/// Headers that every answer has, unless what answers has set them itself. Nothing here is meant to be framed, sniffed,
/// embedded or referred to.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let is_page = PAGES.contains(&request.uri().path());
    let mut response = next.run(request).await;
    let may_be_kept = is_page && (response.status().is_success() || response.status().is_redirection());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !may_be_kept {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// Has browsers come by https alone for a year (RFC 6797): for a server that is reached by it.
pub(super) async fn strict_transport(mut response: Response) -> Response {
    let policy = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, policy);
    response
}

/// Ends a request that takes too long, its body included. Work that has reached the store goes on.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable().into_response(),
    }
}

/// The same for an upload, which may take longer.
pub(super) async fn upload_deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(UPLOAD_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable().into_response(),
    }
}

/// The last resort: a bug ends its own request and nothing else. The panic itself is in the log already.
pub(super) async fn last_resort(request: Request, next: Next) -> Response {
    // What a handler shares with others it shares behind locks that do not break.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Problem::new(ErrorCode::Internal, "the server is at fault").into_response(),
    }
}

/// A path that is not there.
pub(super) async fn not_found() -> Problem {
    Problem::no_such_path()
}

/// A path that is there, but not by this method. axum adds `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(ErrorCode::BadRequest, "this path does not answer this method")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::{dial, trickle};
    use axum::{
        Router,
        middleware::from_fn,
        routing::{MethodRouter, post},
    };
    use bytes::Bytes;
    use tokio::{io::AsyncWriteExt, time::Duration};

    /// What is answered to a body that comes a byte each second, how long that takes, and then hangs up.
    async fn slow_body(route: MethodRouter) -> (String, Duration) {
        let router = Router::new().route("/", route).layer(from_fn(headers));
        let mut client = dial(router);
        let head = b"POST / HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 1000000\r\n\r\n";
        client.write_all(head).await.unwrap();
        trickle(client, b"x").await
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_for_a_body_is_told_so_and_cut_off_however_steadily_they_send() {
        let read = || post(async |body: Bytes| body.len().to_string());
        for (route, bound) in [
            (read().layer(from_fn(deadline)), REQUEST_TIMEOUT),
            (read().layer(from_fn(upload_deadline)), UPLOAD_TIMEOUT),
        ] {
            let (said, took) = slow_body(route).await;
            assert!((bound..bound + Duration::from_secs(2)).contains(&took), "{took:?} {said}");
            assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("no-store"), "{said}");
            assert!(said.ends_with("}") && said.contains(r#""code":"unavailable""#), "{said}");
        }
    }
}
