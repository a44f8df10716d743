//! Passwords over HTTP: changed, forgotten, replaced by the token of a mail.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, PASSWORD, Server, http::Answer, smtp::Relay, ws::Ws};

const OTHER: &str = "another horse battery";

fn login(server: &Server, name: &str, password: &str) -> Answer {
    server.post("/api/auth/login", &json!({ "login": name, "password": password })).send()
}

fn refresh(server: &Server, token: &str) -> u16 {
    server.post("/api/auth/refresh", &json!({ "refreshToken": token })).send().status
}

fn change(server: &Server, token: &str, current: &str, new: &str) -> Answer {
    let body = json!({ "currentPassword": current, "newPassword": new });
    server.post("/api/auth/password/change", &body).bearer(token).send()
}

fn forgot(server: &Server, email: &str) -> Answer {
    server.post("/api/auth/password/forgot", &json!({ "email": email })).send()
}

fn reset(server: &Server, token: &str, password: &str) -> Answer {
    server.post("/api/auth/password/reset", &json!({ "token": token, "password": password })).send()
}

fn with_relay(relay: &Relay) -> Server {
    let address = relay.address;
    Server::with(&format!(
        "public_url = \"https://chat.example.org/\"\n{BASE}[mail]\nsmtp_host = \"{}\"\nsmtp_port = {}\n\
         smtp_tls = \"none\"\nsmtp_user = \"us\"\nsmtp_password = \"swordfish\"\nfrom = \"Chat <chat@example.org>\"\n",
        address.ip(),
        address.port()
    ))
}

/// The token in a mail.
fn token_of(mail: &str) -> String {
    let (_, token) =
        mail.split_once("https://chat.example.org/reset#token=").unwrap_or_else(|| panic!("{mail}"));
    token.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn another_password_ends_the_other_logins_and_their_connections() {
    let server = Server::start();
    let ann = server.register("ann");
    let other = login(&server, "ann", PASSWORD).json();
    let access = other["accessToken"].as_str().unwrap();
    let (mut own, mut others) = (Ws::login(&server, &ann.token).await, Ws::login(&server, access).await);
    assert_eq!(change(&server, &ann.token, PASSWORD, OTHER).status, 204);
    assert_eq!(others.until_closed().await.1, Some(4401));
    assert_eq!(own.ask(json!({ "type": "ping", "id": 2 })).await["type"], "pong");
    assert_eq!(server.get("/api/rooms").bearer(access).send().status, 401);
    assert_eq!(refresh(&server, other["refreshToken"].as_str().unwrap()), 401);
    assert_eq!(refresh(&server, &ann.refresh), 200);
    assert_eq!((login(&server, "ann", PASSWORD).status, login(&server, "ann", OTHER).status), (401, 200));
}

#[test]
fn a_password_is_changed_by_who_knows_the_present_one_alone() {
    let server = Server::start();
    let ann = server.register("ann");
    let expected = json!({
        "code": "forbidden", "title": "Forbidden", "status": 403, "detail": "the password is wrong",
        "errors": [{ "field": "currentPassword", "message": "the password is wrong" }],
    });
    change(&server, &ann.token, "wrong horse battery", OTHER).assert_problem(403, &expected);
    let refused = change(&server, &ann.token, PASSWORD, "password123");
    let expected = json!({
        "code": "bad_request", "title": "Bad Request", "status": 400, "detail": "some fields are not acceptable",
        "errors": [{ "field": "newPassword", "message": "this password is one of the first that are guessed" }],
    });
    refused.assert_problem(400, &expected);
    assert_eq!(change(&server, "nonsense", PASSWORD, OTHER).status, 401);
    assert_eq!(refresh(&server, &ann.refresh), 200);
}

#[test]
fn a_password_is_changed_some_times_an_hour_by_each_user_and_no_more() {
    let server = Server::with("[limits]\nregistrations_per_hour = 0\nlogins_per_hour = 2\n");
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    assert_eq!(change(&server, &ann.token, PASSWORD, OTHER).status, 204);
    assert_eq!(change(&server, &ann.token, OTHER, PASSWORD).status, 204);
    let limited = change(&server, &ann.token, PASSWORD, OTHER);
    let expected = json!({
        "code": "rate_limited", "title": "Too Many Requests", "status": 429, "detail": "too many requests",
    });
    limited.assert_problem(429, &expected);
    assert_eq!(change(&server, &bob.token, PASSWORD, OTHER).status, 204, "nobody is held up by others");
    assert_eq!(login(&server, "ann", PASSWORD).status, 200, "nor is a login");
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_the_token_of_a_mail_that_a_relay_takes() {
    let relay = Relay::start();
    let server = with_relay(&relay);
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_eq!(forgot(&server, "Ann@example.org").status, 204);
    let mail = relay.next();
    for part in [
        "MAIL FROM:<chat@example.org>",
        "RCPT TO:<ann@example.org>",
        "From: Chat <chat@example.org>",
        "To: ann@example.org",
        "Subject: A new password",
        "Hello ann,",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let token = token_of(&mail);
    let invalid = json!({
        "code": "invalid_token", "title": "Unauthorized", "status": 401,
        "detail": "the token is not valid, or not any more",
    });
    reset(&server, &format!("{token}0"), OTHER).assert_problem(401, &invalid);
    assert_eq!(reset(&server, &token, "short").status, 400);
    assert_eq!(reset(&server, &token, OTHER).status, 204);
    assert_eq!(ws.until_closed().await.1, Some(4401));
    reset(&server, &token, PASSWORD).assert_problem(401, &invalid);
    assert_eq!(refresh(&server, &ann.refresh), 401);
    assert_eq!((login(&server, "ann", PASSWORD).status, login(&server, "ann", OTHER).status), (401, 200));
    let log = server.log();
    for secret in [&*token, "swordfish", "ann@example.org", OTHER] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn of_a_forgotten_password_nobody_learns_whether_there_is_an_account() {
    let relay = Relay::start();
    let server = with_relay(&relay);
    server.register("ann");
    let bytes = |answer: Answer| {
        let mut headers = answer.headers;
        headers.retain(|(name, _)| name != "date");
        (answer.status, headers, answer.body)
    };
    assert_eq!(bytes(forgot(&server, "nobody@example.org")), bytes(forgot(&server, "ann@example.org")));
    assert!(relay.next().contains("RCPT TO:<ann@example.org>"));
    relay.assert_empty();
    assert_eq!(forgot(&server, "no address").status, 400);
    let limited = (0..4).map(|_| forgot(&server, "nobody@example.org").status).collect::<Vec<_>>();
    assert_eq!(limited, [204, 204, 429, 429], "of an address, known or not");
}

#[test]
fn those_who_forget_passwords_and_try_tokens_are_limited_by_address() {
    let server = Server::with("[limits]\nlogins_per_hour = 2\n");
    assert_eq!(forgot(&server, "a@example.org").status, 204);
    assert_eq!(reset(&server, "nonsense", OTHER).status, 401);
    let limited = forgot(&server, "b@example.org");
    assert_eq!((limited.status, limited.header("retry-after").is_some()), (429, true));
    assert_eq!(reset(&server, "nonsense", OTHER).status, 429);
}

#[test]
fn without_a_relay_the_link_is_written_to_the_log_and_the_operator_is_warned() {
    let server = Server::start();
    server.register("ann");
    assert!(server.log().contains("links for forgotten passwords are written to this log"));
    assert_eq!(forgot(&server, "ann@example.org").status, 204);
    // The mail is made out after the answer; whatever else is asked for waits for nothing of it.
    let found = (0..600).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let log = server.log();
        let (_, token) = log.split_once("/reset#token=")?;
        Some(token.split(|c: char| c.is_whitespace() || c == '\\').next().unwrap().to_owned())
    });
    assert_eq!(reset(&server, &found.unwrap(), OTHER).status, 204);
    assert_eq!(login(&server, "ann", OTHER).status, 200);
}

#[test]
fn nobody_takes_a_name_of_the_operator_or_one_like_a_taken_one_later() {
    let server = Server::start();
    let ann = server.register("ann");
    server.register("modern");
    for name in ["admin", "Supp0rt", "modem"] {
        let answer = server
            .request("PUT", "/api/users/me")
            .bearer(&ann.token)
            .json(&json!({ "username": name }))
            .send();
        assert_eq!(
            (answer.status, &answer.json()["detail"]),
            (409, &json!("the username is taken")),
            "{name}"
        );
    }
}

#[test]
fn names_of_the_operator_and_what_looks_like_a_taken_name_are_taken() {
    let server = Server::start();
    server.register("modern");
    for (name, message) in [
        ("Admin", "the username is taken"),
        ("supp0rt", "the username is taken"),
        ("m0dern", "the username looks like one that is taken"),
        ("modem", "the username looks like one that is taken"),
    ] {
        let body = json!({ "email": "x@example.org", "username": name, "password": PASSWORD });
        let answer = server.post("/api/auth/register", &body).send();
        let expected: Value = json!({
            "code": "conflict", "title": "Conflict", "status": 409, "detail": message,
            "errors": [{ "field": "username", "message": message }],
        });
        answer.assert_problem(409, &expected);
    }
}
