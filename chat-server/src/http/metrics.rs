//! `/metrics`: figures for a Prometheus server, in its text format, version 0.0.4. Nothing in them names anybody.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chat_core::{engine::Activity, store::Maintenance};
use http::{StatusCode, header};

use super::App;

/// How many requests were answered, by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct Answered([AtomicU64; 5]);

/// The classes of status, in the order of [`Answered`].
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Answered {
    fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = self.0.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts an answer.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.answered().count(response.status());
    response
}

/// The figures of this moment.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let Activity { connections, users, rooms } = app.engine().activity();
    let ready = !app.is_draining() && app.store().writable().is_ok();
    let mut text = Text::default();
    text.figure("chat_connections", "gauge", "Connections that are open, authenticated or not.", connections);
    text.figure("chat_users_online", "gauge", "Users who have a session.", users);
    text.figure("chat_rooms_live", "gauge", "Rooms that are held in memory.", rooms);
    text.figure("chat_ready", "gauge", "Whether messages are accepted.", u8::from(ready));
    text.figure("chat_uptime_seconds", "counter", "Since the start.", app.uptime().as_secs());
    text.head(
        "chat_http_requests_total",
        "counter",
        "Requests that were answered, by the class of their status.",
    );
    for (class, count) in CLASSES.iter().zip(&app.answered().0) {
        let count = count.load(Ordering::Relaxed);
        text.line(format_args!("chat_http_requests_total{{status=\"{class}\"}} {count}"));
    }
    if let Some(bytes) = resident_bytes() {
        text.figure("process_resident_memory_bytes", "gauge", "Memory that the process has.", bytes);
    }
    text.head("chat_build_info", "gauge", "What is running.");
    text.line(format_args!("chat_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

/// Where the system tells it.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Lines in the text format.
#[derive(Default)]
struct Text(String);

impl Text {
    fn figure(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = writeln!(self.0, "{line}");
    }
}
