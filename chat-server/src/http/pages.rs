//! What a person sees who opens the address in a browser.

use axum::response::{Html, IntoResponse, Response};
use http::header;

/// Says what this is. Needs no script, no style and nothing from elsewhere.
pub(super) async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}

/// The contract that clients rely on.
pub(super) async fn protocol() -> Response {
    let text = include_str!("../../../docs/protocol.md");
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
