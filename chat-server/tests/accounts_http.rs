//! Registration, login and renewal over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, PASSWORD, Server, http::Answer, is_time};

fn registration(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD })
}

fn register(server: &Server, body: &Value) -> Answer {
    server.post("/api/auth/register", body).send()
}

fn login(server: &Server, login: &str, password: &str) -> Answer {
    server.post("/api/auth/login", &json!({ "login": login, "password": password })).send()
}

fn refresh(server: &Server, token: &str) -> Answer {
    server.post("/api/auth/refresh", &json!({ "refreshToken": token })).send()
}

#[test]
fn who_registers_is_told_who_they_are_and_gets_tokens() {
    let server = Server::start();
    let answer = register(&server, &registration("ann"));
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut body = answer.json();
    for secret in ["accessToken", "refreshToken"] {
        let token = body.as_object_mut().unwrap().remove(secret).unwrap();
        assert_eq!(token.as_str().unwrap().split('.').count(), 3);
    }
    assert!(is_time(&body["expiresAt"].take()) && is_time(&body["user"]["createdAt"].take()));
    assert_eq!(body["user"]["id"].take().as_str().unwrap().len(), 36);
    let expected = json!({
        "expiresAt": null,
        "user": {
            "id": null, "username": "ann", "displayName": null, "avatarUrl": null, "status": "offline",
            "statusText": null, "lastSeenAt": null, "email": "ann@example.org", "createdAt": null,
            "serverRole": "user",
        },
    });
    assert_eq!(body, expected);
}

#[test]
fn new_accounts_are_members_of_the_default_rooms() {
    let server = Server::with(&format!("default_rooms = [\"lobby\", \"help\"]\n{BASE}"));
    let user = server.register("ann");
    let rooms = server.get("/api/rooms?scope=mine").bearer(&user.token).send().json();
    let mut names: Vec<_> =
        rooms["items"].as_array().unwrap().iter().map(|room| room["name"].clone()).collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["help", "lobby"]);
    let server = Server::with(&format!("default_rooms = []\n{BASE}"));
    let user = server.register("ann");
    let rooms = server.get("/api/rooms?scope=public").bearer(&user.token).send().json();
    assert_eq!(rooms, json!({ "items": [], "nextCursor": null }));
}

#[test]
fn every_field_at_fault_is_named() {
    let server = Server::start();
    register(&server, &json!({ "email": "nobody", "username": "a b", "password": "short" })).assert_problem(
        400,
        &json!({
            "code": "bad_request", "title": "Bad Request", "status": 400,
            "detail": "some fields are not acceptable",
            "errors": [
                { "field": "email", "message": "this is no e-mail address" },
                { "field": "username", "message": "a username has 3 to 50 characters out of A-Z a-z 0-9 _" },
                { "field": "password", "message": "a password has 8 to 128 characters" },
            ],
        }),
    );
    register(&server, &json!({ "email": 5, "password": null })).assert_problem(
        400,
        &json!({
            "code": "bad_request", "title": "Bad Request", "status": 400,
            "detail": "some fields are not acceptable",
            "errors": [
                { "field": "email", "message": "expected text" },
                { "field": "username", "message": "this field is required" },
                { "field": "password", "message": "this field is required" },
            ],
        }),
    );
}

#[test]
fn a_taken_name_or_address_is_a_conflict() {
    let server = Server::start();
    server.register("ann");
    let conflict = |field: &str, message: &str| {
        json!({
            "code": "conflict", "title": "Conflict", "status": 409, "detail": message,
            "errors": [{ "field": field, "message": message }],
        })
    };
    let body = json!({ "email": "other@example.org", "username": "ANN", "password": PASSWORD });
    register(&server, &body).assert_problem(409, &conflict("username", "the username is taken"));
    let body = json!({ "email": "Ann@Example.org", "username": "other", "password": PASSWORD });
    register(&server, &body).assert_problem(409, &conflict("email", "the e-mail address is taken"));
}

#[test]
fn one_logs_in_by_address_or_name() {
    let server = Server::start();
    let user = server.register("ann");
    for name in ["ann", "Ann", "ann@example.org"] {
        let answer = login(&server, name, PASSWORD);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["user"]["id"], user.id.as_str());
        let token = answer.json()["accessToken"].as_str().unwrap().to_owned();
        assert_eq!(server.get("/api/rooms").bearer(&token).send().status, 200);
    }
}

#[test]
fn a_wrong_user_and_a_wrong_password_get_the_same_answer() {
    let server = Server::start();
    server.register("ann");
    let expected = json!({
        "code": "unauthenticated", "title": "Unauthorized", "status": 401,
        "detail": "the login or the password is wrong",
    });
    for (name, password) in [("ann", "wrong password"), ("nobody", PASSWORD), ("x@example.org", PASSWORD)] {
        let answer = login(&server, name, password);
        answer.assert_problem(401, &expected);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

#[test]
fn a_refresh_token_is_rotated_and_a_lost_answer_is_given_again() {
    let server = Server::start();
    let user = server.register("ann");
    let first = refresh(&server, &user.refresh);
    assert_eq!(first.status, 200);
    let next = first.json()["refreshToken"].as_str().unwrap().to_owned();
    assert_ne!(next, user.refresh);
    assert_eq!(refresh(&server, &user.refresh).json()["refreshToken"], next.as_str());
    assert_eq!(refresh(&server, &next).status, 200, "the new one is used");
    let invalid = json!({
        "code": "invalid_token", "title": "Unauthorized", "status": 401,
        "detail": "the refresh token is not valid",
    });
    refresh(&server, &user.refresh).assert_problem(401, &invalid);
    refresh(&server, &next).assert_problem(401, &invalid);
    refresh(&server, "nonsense").assert_problem(401, &invalid);
    assert_eq!(login(&server, "ann", PASSWORD).status, 200, "the account is not harmed");
}

#[test]
fn the_refresh_token_can_travel_in_a_cookie_that_scripts_do_not_see() {
    let server = Server::start();
    server.register("ann");
    let body = json!({ "login": "ann", "password": PASSWORD, "cookie": true });
    let answer = server.post("/api/auth/login", &body).send();
    assert_eq!(answer.json().get("refreshToken"), None);
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/api/auth; Max-Age=604800; HttpOnly; SameSite=Strict");
    let renewed = server.request("POST", "/api/auth/refresh").header("Cookie", pair).send();
    assert_eq!(renewed.status, 200);
    assert_eq!(renewed.json().get("refreshToken"), None);
    assert!(renewed.header("set-cookie").unwrap().starts_with("chat_refresh="));
    server.request("POST", "/api/auth/refresh").send().assert_problem(
        401,
        &json!({
            "code": "unauthenticated", "title": "Unauthorized", "status": 401,
            "detail": "authentication required",
        }),
    );
}

/// Logs Ann in with a cookie, and returns it with its attributes.
fn cookie(server: &Server) -> (String, String) {
    let body = json!({ "login": "ann", "password": PASSWORD, "cookie": true });
    let answer = server.post("/api/auth/login", &body).send();
    let (pair, attributes) = answer.header("set-cookie").unwrap().split_once("; ").unwrap();
    (pair.to_owned(), attributes.to_owned())
}

#[test]
fn where_the_server_is_reached_by_https_the_cookie_is_for_this_host_and_encrypted_connections_alone() {
    let server = Server::with(&format!("public_url = \"https://chat.example.org\"\n{BASE}"));
    let ann = server.register("ann");
    let (pair, attributes) = cookie(&server);
    assert!(pair.starts_with("__Host-chat_refresh="));
    assert_eq!(attributes, "Path=/; Secure; Max-Age=604800; HttpOnly; SameSite=Strict");
    let renew = |pair: &str| server.request("POST", "/api/auth/refresh").header("Cookie", pair).send();
    assert_eq!(renew(&pair).status, 200);
    let other_name = pair.replace("__Host-", "");
    assert_eq!(renew(&other_name).status, 401, "what any page of the domain can set is not looked at");
    let out = server.request("POST", "/api/auth/logout").bearer(&ann.token).send();
    let gone = "__Host-chat_refresh=; Path=/; Secure; Max-Age=0; HttpOnly; SameSite=Strict";
    assert_eq!(out.header("set-cookie"), Some(gone));
}

#[test]
fn a_cookie_counts_on_requests_of_its_own_site_alone() {
    let server = Server::with(&format!(
        "public_url = \"https://chat.example.org\"\nallowed_origins = [\"https://app.example.org\"]\n{BASE}"
    ));
    server.register("ann");
    let (pair, _) = cookie(&server);
    let own = format!("http://{}", server.address);
    let renew = |headers: &[(&str, &str)]| {
        let request = server.request("POST", "/api/auth/refresh").header("Cookie", &pair);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let forbidden = json!({
        "code": "forbidden", "title": "Forbidden", "status": 403,
        "detail": "a cookie counts on requests of its own site alone",
    });
    for foreign in [
        [("Sec-Fetch-Site", "cross-site")].as_slice(),
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://chat.example.org")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.example.org")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://app.example.org")],
        &[("Sec-Fetch-Site", "anything")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
        &[("Origin", "https://evil.example.org")],
        &[("Origin", "null")],
        &[("Origin", "")],
        &[("Origin", "https://chat.example.org.evil.example")],
    ] {
        renew(foreign).assert_problem(403, &forbidden);
    }
    for good in [
        [].as_slice(),
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", &own)],
        &[("Origin", "https://chat.example.org")],
        &[("Origin", "https://app.example.org")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://app.example.org")],
    ] {
        assert_eq!(renew(good).status, 200, "{good:?}");
    }
    let user = server.register("bob");
    let body = json!({ "refreshToken": user.refresh });
    let in_body = server.post("/api/auth/refresh", &body).header("Sec-Fetch-Site", "cross-site").send();
    assert_eq!(in_body.status, 200, "no browser adds a token to a body");
}

#[test]
fn registrations_and_logins_of_one_address_are_limited() {
    let server = Server::with(
        "trusted_proxies = [\"127.0.0.1\"]\n[limits]\nregistrations_per_hour = 2\nlogins_per_hour = 3\n",
    );
    let from = |address: &str, body: &Value, path: &str| {
        server.post(path, body).header("X-Forwarded-For", address).send()
    };
    let path = "/api/auth/register";
    assert_eq!(from("192.0.2.1", &registration("ann"), path).status, 201);
    assert_eq!(
        from("192.0.2.1", &json!({}), path).status,
        400,
        "what can't be accepted anyway does not count"
    );
    assert_eq!(from("192.0.2.1", &registration("ann"), path).status, 409);
    let limited = from("192.0.2.1", &registration("bob"), path);
    let expected = json!({
        "code": "rate_limited", "title": "Too Many Requests", "status": 429, "detail": "too many requests",
    });
    limited.assert_problem(429, &expected);
    let seconds: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1_000..=1_800).contains(&seconds), "{seconds}");
    assert_eq!(from("192.0.2.2", &registration("bob"), path).status, 201);

    let path = "/api/auth/login";
    let wrong = json!({ "login": "ann", "password": "wrong password" });
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1", &wrong, path).status, 401);
    }
    assert_eq!(from("192.0.2.1", &wrong, path).status, 429);
    let right = json!({ "login": "ann", "password": PASSWORD });
    assert_eq!(from("192.0.2.2", &right, path).status, 200, "nobody is locked out by others");
}

#[test]
fn renewals_of_one_address_are_limited() {
    let server = Server::with("trusted_proxies = [\"127.0.0.1\"]\n[limits]\nrefreshes_per_hour = 2\n");
    let user = server.register("ann");
    let from = |address: &str| {
        let body = json!({ "refreshToken": user.refresh });
        server.post("/api/auth/refresh", &body).header("X-Forwarded-For", address).send()
    };
    assert_eq!([from("192.0.2.1").status, from("192.0.2.1").status], [200, 200]);
    let limited = from("192.0.2.1");
    assert_eq!((limited.status, limited.header("retry-after").is_some()), (429, true));
    assert_eq!(from("192.0.2.2").status, 200, "nobody is held up by others");
}

#[test]
fn an_untrusted_forwarded_address_does_not_get_an_allowance_of_its_own() {
    let server = Server::with("[limits]\nregistrations_per_hour = 1\n");
    let from = |address: &str, name: &str| {
        let request = server.post("/api/auth/register", &registration(name));
        request.header("X-Forwarded-For", address).send().status
    };
    assert_eq!(from("192.0.2.1", "ann"), 201);
    assert_eq!(from("192.0.2.2", "bob"), 429);
}

#[test]
fn nothing_secret_is_logged() {
    let server = Server::with(&format!("log = \"trace\"\n{BASE}"));
    let user = server.register("ann");
    login(&server, "ann", "a wrong password");
    refresh(&server, &user.refresh);
    let body = json!({ "content": "a private word" });
    assert_eq!(server.post("/api/rooms/lobby/messages", &body).bearer(&user.token).send().status, 201);
    let log = server.log();
    assert!(log.contains("listening"));
    for secret in
        [PASSWORD, "a wrong password", "a private word", &user.token, &user.refresh, "ann@example.org"]
    {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
