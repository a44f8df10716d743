//! What the server tells of itself.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use support::{BASE, Server, http::Answer, ws::Ws};

/// The value of a figure.
#[track_caller]
fn figure(answer: &Answer, name: &str) -> u64 {
    let line = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {}", answer.body)).parse().unwrap()
}

#[tokio::test]
async fn connections_and_answers_are_counted() {
    let server = Server::start();
    let ann = server.register("ann");
    let _ws = Ws::login(&server, &ann.token).await;
    server.get("/api/users/me").send();
    let told = server.get("/metrics").send();
    assert_eq!(
        (told.status, told.header("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    let names = ["chat_connections", "chat_users_online", "chat_ready"];
    assert_eq!(names.map(|name| figure(&told, name)), [1, 1, 1]);
    let by_class = ["1xx", "2xx", "4xx", "5xx"];
    let counts =
        by_class.map(|class| figure(&told, &format!("chat_http_requests_total{{status=\"{class}\"}}")));
    assert_eq!(counts, [1, 1, 1, 0], "an upgrade, a registration, a request of nobody");
    assert!(!told.body.contains("ann"), "{}", told.body);
}

#[test]
fn with_an_address_of_their_own_figures_are_told_there_alone() {
    let server = Server::with(&format!("monitor_listen = \"127.0.0.1:0\"\n{BASE}"));
    let log = server.log();
    let address =
        log.split("telling figures address=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.and_then(|text| text.parse().ok()).unwrap();
    assert_eq!(server.get("/metrics").send().status, 404);
    let apart = |path: &str| support::http::Request::new(address, "GET", path).send().status;
    assert_eq!(["/metrics", "/healthz", "/readyz", "/api/rooms"].map(apart), [200, 200, 200, 404]);
}
