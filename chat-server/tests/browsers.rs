//! What browsers are told of other origins and of encryption: who is on the list, and that nothing else is meant.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, PASSWORD, Server, http::Answer};

const LISTED: &str = "https://app.example";

fn server() -> Server {
    Server::with(&format!("allowed_origins = [\"https://APP.example\"]\n{BASE}"))
}

fn preflight(server: &Server, origin: &str) -> Answer {
    server
        .request("OPTIONS", "/api/rooms")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization, content-type, idempotency-key")
        .send()
}

/// What an answer permits: whom, with what, and whether with credentials.
fn permitted(answer: &Answer) -> [Option<&str>; 3] {
    ["origin", "methods", "credentials"].map(|what| answer.header(&format!("access-control-allow-{what}")))
}

#[test]
fn a_page_on_the_list_is_permitted() {
    let server = server();
    let ann = server.register("ann");
    let methods = "GET,HEAD,POST,PUT,PATCH,DELETE";
    assert_eq!(permitted(&preflight(&server, LISTED)), [Some(LISTED), Some(methods), Some("true")]);
    let answer = server.get("/api/users/me").bearer(&ann.token).header("Origin", LISTED).send();
    assert_eq!((answer.status, permitted(&answer)), (200, [Some(LISTED), None, Some("true")]));
    // Refusals, too: else a page could not read why.
    let refused = server.get("/api/users/me").header("Origin", LISTED).send();
    assert_eq!((refused.status, permitted(&refused)), (401, [Some(LISTED), None, Some("true")]));
}

/// The cookie that an answer sets, without what is said of it.
fn pair(answer: &Answer) -> String {
    let value = answer.header("set-cookie").unwrap();
    value.split(';').next().unwrap().to_owned()
}

#[test]
fn a_page_on_the_list_and_of_the_same_site_logs_in_and_renews_by_the_cookie() {
    let server = server();
    server.register("ann");
    let from_page = |path: &str, body: &Value| {
        server.post(path, body).header("Origin", LISTED).header("Sec-Fetch-Site", "same-site")
    };
    let login = json!({ "login": "ann", "password": PASSWORD, "cookie": true });
    let logged_in = from_page("/api/auth/login", &login).send();
    assert_eq!((logged_in.status, permitted(&logged_in)), (200, [Some(LISTED), None, Some("true")]));
    let renewed = from_page("/api/auth/refresh", &json!({})).header("Cookie", &pair(&logged_in)).send();
    assert_eq!((renewed.status, permitted(&renewed)), (200, [Some(LISTED), None, Some("true")]));
    let cookie = pair(&renewed);
    let other = server.post("/api/auth/refresh", &json!({})).header("Cookie", &cookie);
    let other = other.header("Origin", "https://other.example").header("Sec-Fetch-Site", "same-site").send();
    assert_eq!(other.status, 403);
}

#[test]
fn a_page_that_only_looks_like_one_on_the_list_is_not() {
    let server = server();
    for origin in [
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://app.example@evil.example",
        "https://sub.app.example",
        "https://app.example/",
        "https://app.example, https://evil.example",
        "https://app.exаmple",
        "*",
        "",
    ] {
        let answer = preflight(&server, origin);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin:?}");
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{origin:?}");
    }
}

#[test]
fn where_the_server_is_reached_by_https_browsers_are_told_to_come_by_nothing_else() {
    let https = Server::with(&format!("public_url = \"https://chat.example\"\n{BASE}"));
    for path in ["/", "/api/users/me", "/nowhere"] {
        let answer = https.get(path).send();
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"), "{path}");
    }
    assert_eq!(Server::start().get("/").send().header("strict-transport-security"), None);
}

#[test]
fn without_a_list_nobody_is_permitted() {
    let server = Server::start();
    let answer = preflight(&server, LISTED);
    assert_eq!((answer.status, permitted(&answer)), (405, [None, None, None]));
    assert_eq!(answer.json()["code"], json!("bad_request"));
}
