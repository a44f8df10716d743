//! What thieves and guessers do, many at once.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{collections::BTreeSet, time::Instant};

use serde_json::json;
use support::{BASE, PASSWORD, Server, http::Answer, ws::Ws};

fn refresh(server: &Server, token: &str) -> Answer {
    server.post("/api/auth/refresh", &json!({ "refreshToken": token })).send()
}

fn login(server: &Server, name: &str, password: &str) -> Answer {
    server.post("/api/auth/login", &json!({ "login": name, "password": password })).send()
}

/// What many threads get who do the same at once.
fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|i| {
                scope.spawn({
                    let act = &act;
                    move || act(i)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[tokio::test]
async fn of_64_refreshes_of_one_token_at_once_there_is_exactly_one_child() {
    let server = Server::start();
    let ann = server.register("ann");
    let answers = at_once(64, |_| refresh(&server, &ann.refresh));
    assert!(answers.iter().all(|answer| answer.status == 200));
    let children: BTreeSet<String> =
        answers.iter().map(|answer| answer.json()["refreshToken"].as_str().unwrap().to_owned()).collect();
    assert_eq!(children.len(), 1);
    let child = children.first().unwrap();
    assert_eq!(refresh(&server, child).status, 200);

    let mut ws = Ws::login(&server, &ann.token).await;
    let replays = at_once(16, |_| refresh(&server, &ann.refresh));
    assert!(replays.iter().all(|answer| answer.status == 401));
    assert_eq!(ws.until_closed().await.1, Some(4401));
    assert_eq!(refresh(&server, child).status, 401, "the family is dead");
    assert_eq!(server.get("/api/rooms").bearer(&ann.token).send().status, 401);
}

#[test]
fn failed_logins_slow_their_address_down_and_lock_nobody_out() {
    let server = Server::with(&format!("trusted_proxies = [\"127.0.0.1\"]\n{BASE}"));
    server.register("ann");
    let from = |address: &str, name: &str, password: &str| {
        let body = json!({ "login": name, "password": password });
        server.post("/api/auth/login", &body).header("X-Forwarded-For", address).send().status
    };
    let failures = at_once(24, |i| from("192.0.2.1", &format!("guess_{i}"), PASSWORD));
    assert!(failures.iter().all(|status| *status == 401), "{failures:?}");
    let before = Instant::now();
    assert_eq!(from("192.0.2.1", "ann", PASSWORD), 200, "who knows the password gets in");
    assert!(before.elapsed().as_secs() >= 1, "and waits");
    assert_eq!(from("192.0.2.2", "ann", PASSWORD), 200);
}

#[test]
fn logins_of_those_who_are_there_and_those_who_are_not_are_refused_in_the_same_bytes() {
    let server = Server::start();
    server.register("ann");
    let bytes = |answer: Answer| {
        let mut headers = answer.headers;
        headers.retain(|(name, _)| name != "date");
        (answer.status, headers, answer.body)
    };
    let refused = bytes(login(&server, "ann", "wrong horse battery"));
    for name in ["nobody", "nobody@example.org", "ann@example.org", "no name", ""] {
        assert_eq!(bytes(login(&server, name, "wrong horse battery")), refused, "{name}");
    }
    let overlong = "x".repeat(10_000);
    assert_eq!(bytes(login(&server, "ann", &overlong)), bytes(login(&server, "nobody", &overlong)));
}

#[test]
fn of_100_logins_at_once_none_hangs_and_the_server_goes_on_answering() {
    let server = Server::start();
    let names: Vec<_> = (0..4).map(|i| format!("user_{i}")).collect();
    names.iter().for_each(|name| drop(server.register(name)));
    let answers = at_once(101, |i| match i {
        100 => server.get("/healthz").send(),
        _ => login(&server, &names[i % 4], PASSWORD),
    });
    assert_eq!(answers[100].status, 200);
    for answer in &answers[..100] {
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        assert_eq!(answer.status == 429, answer.header("retry-after").is_some());
    }
    assert!(answers.iter().filter(|answer| answer.status == 200).count() > 30);
}

#[test]
fn requests_about_logins_count_as_all_others_do() {
    let server = Server::with("[limits]\nlogins_per_hour = 0\ncommands_per_second = 1\n");
    let answer = server.post(
        "/api/auth/register",
        &json!({ "email": "ann@example.org", "username": "ann", "password": PASSWORD }),
    );
    let token = answer.send().json()["accessToken"].as_str().unwrap().to_owned();
    let listing = || server.get("/api/auth/sessions").bearer(&token).send();
    let changing = || {
        let body = json!({ "currentPassword": PASSWORD, "newPassword": "short" });
        server.post("/api/auth/password/change", &body).bearer(&token).send()
    };
    let asked: [&dyn Fn() -> Answer; 2] = [&listing, &changing];
    for ask in asked {
        // However slow this machine is: of so many, some come within a second of the one before.
        assert!((0..200).any(|_| ask().status == 429));
    }
}
