//! What every answer says about itself, whatever was asked and however it ended.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Map, Value, json};
use support::{
    Server,
    http::Answer,
    line::{Ask, Line},
    openapi::{Operation, operations},
};

/// Pages that are the same for everybody, and may be kept.
const PAGES: &[&str] = &["/", "/docs/protocol", "/api/docs", "/api/docs/style.css", "/api/openapi.json"];

/// What stands in a path where nothing is.
const NOWHERE: &str = "0190b5a2-7a39-7c3e-8f00-000000000001";

/// What an answer lacks of what every answer has.
fn faults(path: &str, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |name: &str, fits: &dyn Fn(&str) -> bool| {
        let found: Vec<_> = answer.headers.iter().filter(|(known, _)| known == name).collect();
        if found.len() != 1 || !fits(&found[0].1) {
            faults.push(format!("{name}: {found:?}"));
        }
    };
    expect("x-content-type-options", &|value| value == "nosniff");
    expect("x-frame-options", &|value| value == "DENY");
    expect("referrer-policy", &|value| value == "no-referrer");
    expect("cross-origin-opener-policy", &|value| value == "same-origin");
    expect("cross-origin-resource-policy", &|value| value == "same-origin");
    expect("content-security-policy", &|value| {
        value.contains("default-src 'none'") && value.contains("frame-ancestors 'none'")
    });
    let is_page = PAGES.contains(&path) && matches!(answer.status, 200 | 304);
    if !is_page {
        expect("cache-control", &|value| value == "no-store");
    }
    for name in ["server", "x-powered-by"] {
        if let Some(value) = answer.header(name) {
            faults.push(format!("{name}: {value}"));
        }
    }
    if answer.status == 401 && answer.header("www-authenticate").is_none() {
        faults.push("www-authenticate".into());
    }
    if answer.status == 405 && answer.header("allow").is_none() {
        faults.push("allow".into());
    }
    if answer.status >= 400 && answer.header("content-type") != Some("application/problem+json") {
        faults.push(format!("content-type: {:?}", answer.header("content-type")));
    }
    faults
}

/// The path of an operation with nothing behind its parameters.
fn nowhere(operation: &Operation) -> String {
    let mut fields = Map::new();
    for part in operation.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            fields.insert(name.to_owned(), NOWHERE.into());
        }
    }
    operation.path(&mut fields)
}

/// Everything that an operation can be asked badly, and the one good way where nothing has to be there.
fn asks(operation: &Operation, token: &str) -> Vec<Ask> {
    let path = nowhere(operation);
    let ask = |token: Option<&str>| Ask::new(&operation.method, &path, token);
    let mut asks =
        vec![ask(None), ask(Some("nonsense")), ask(Some(token)), ask(Some(token)).json(&json!({}))];
    asks.push(ask(Some(token)).header("Content-Type", "text/plain"));
    asks.push(ask(Some(token)).json(&Value::Array(vec![])));
    asks.push(ask(Some(token)).header("Accept", "text/event-stream"));
    asks.push(ask(Some(token)).header("If-None-Match", "*"));
    asks.push(ask(Some(token)).header("Origin", "https://evil.example"));
    asks.push(Ask::new(&operation.method, &format!("{path}?limit=-1&cursor=%00&wait=x"), Some(token)));
    asks.push(Ask::new(&operation.method, &format!("{path}/nothing"), Some(token)));
    for method in ["HEAD", "PATCH", "TRACE"] {
        asks.push(Ask::new(method, &path, Some(token)));
    }
    asks
}

#[test]
fn every_answer_of_every_operation_is_marked_as_nobodys_to_keep_frame_or_guess_at() {
    let server = Server::start();
    let mut line = Line::new(server.address);
    let (mut answers, mut wrong, mut statuses) = (0, Vec::new(), Map::new());
    for (number, operation) in operations(&server).iter().enumerate() {
        // Somebody of their own for each, since some of them erase who asks, or end their login.
        let user = server.register(&format!("user_{number}"));
        for ask in asks(operation, &user.token) {
            let answer = line.ask(&ask);
            let path = ask.path.split('?').next().unwrap();
            for fault in faults(path, &answer) {
                wrong.push(format!("{} {} {}: {fault}", ask.method, ask.path, answer.status));
            }
            let count = statuses.entry(answer.status.to_string()).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap() + 1);
            answers += 1;
        }
    }
    println!("{answers} answers: {}", Value::Object(statuses));
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_answer_beside_the_api_is_marked_likewise() {
    let server = Server::start();
    let mut line = Line::new(server.address);
    let mut wrong = Vec::new();
    for path in PAGES.iter().chain(&[
        "/healthz",
        "/readyz",
        "/ws",
        "/nothing",
        "/api",
        "/api/nothing",
        "/api/../x",
        "//",
    ]) {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
            let answer = line.ask(&Ask::new(method, path, None));
            wrong.extend(
                faults(path, &answer).iter().map(|it| format!("{method} {path} {}: {it}", answer.status)),
            );
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
