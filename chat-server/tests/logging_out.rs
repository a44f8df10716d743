//! A login that ends takes its tokens and its connections with it, and nobody else's.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{NO_COOKIE, PASSWORD, Server, http::Answer, is_time, ws::Ws};

/// Logs in a second time: the access token and the refresh token.
fn login(server: &Server, name: &str) -> (String, String) {
    let answer = server.post("/api/auth/login", &json!({ "login": name, "password": PASSWORD })).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = |field: &str| answer.json()[field].as_str().unwrap().to_owned();
    (token("accessToken"), token("refreshToken"))
}

fn refresh(server: &Server, token: &str) -> Answer {
    server.post("/api/auth/refresh", &json!({ "refreshToken": token })).send()
}

/// That nothing of a login is good any more.
async fn is_over(server: &Server, access: &str, refresh_token: &str) {
    let listing = server.get("/api/rooms").bearer(access).send();
    assert_eq!((listing.status, &listing.json()["code"]), (401, &json!("invalid_token")));
    assert_eq!(refresh(server, refresh_token).status, 401);
    let mut ws = Ws::open(server.address, &[]).await.unwrap();
    ws.send(&json!({ "type": "authenticate", "id": 1, "token": access })).await;
    let answer = ws.receive().await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("auth_error"), &json!("invalid_token")));
    assert_eq!(ws.until_closed().await.1, Some(4401));
}

#[tokio::test]
async fn logging_out_ends_the_connections_and_tokens_of_that_login_alone() {
    let server = Server::start();
    let ann = server.register("ann");
    let (access, refresh_token) = login(&server, "ann");
    let (mut first, mut second) = (Ws::login(&server, &ann.token).await, Ws::login(&server, &access).await);
    let mut renewed = Ws::login(&server, &ann.token).await;
    let answer = renewed.ask(json!({ "type": "authenticate", "id": 1, "token": access })).await;
    assert_eq!(answer["type"], "authenticated");

    let answer = server.request("POST", "/api/auth/logout").bearer(&access).send();
    assert_eq!((answer.status, answer.header("set-cookie")), (204, Some(NO_COOKIE)));
    assert_eq!(second.until_closed().await.1, Some(4401));
    assert_eq!(renewed.until_closed().await.1, Some(4401));
    is_over(&server, &access, &refresh_token).await;
    assert_eq!(server.request("POST", "/api/auth/logout").bearer(&access).send().status, 401);

    assert_eq!(first.ask(json!({ "type": "ping", "id": 2 })).await["type"], "pong");
    assert_eq!(refresh(&server, &ann.refresh).status, 200);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_the_connections_of_its_login_alone() {
    let server = Server::start();
    let ann = server.register("ann");
    let (access, first) = login(&server, "ann");
    let (mut owner, mut thief) = (Ws::login(&server, &ann.token).await, Ws::login(&server, &access).await);
    let second = refresh(&server, &first).json()["refreshToken"].as_str().unwrap().to_owned();
    let third = refresh(&server, &second).json()["refreshToken"].as_str().unwrap().to_owned();
    let answer = refresh(&server, &first);
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("invalid_token")));
    assert_eq!(thief.until_closed().await.1, Some(4401));
    is_over(&server, &access, &third).await;
    assert_eq!(owner.ask(json!({ "type": "ping", "id": 2 })).await["type"], "pong");
}

/// The logins of whoever has the token, without what is different each time.
fn listed(server: &Server, access: &str) -> Vec<(String, Value)> {
    let answer = server.get("/api/auth/sessions").bearer(access).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut body = answer.json();
    assert_eq!(body["nextCursor"], Value::Null);
    let items = body["items"].as_array_mut().unwrap();
    let mut listed: Vec<_> = items
        .iter_mut()
        .map(|item| {
            assert!(is_time(&item["createdAt"].take()) && is_time(&item["lastUsedAt"].take()));
            (item["id"].take().as_str().unwrap().to_owned(), item.clone())
        })
        .collect();
    listed.sort_by_key(|(id, _)| id.clone());
    listed
}

#[tokio::test]
async fn ones_logins_are_listed_and_ended_one_by_one() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let body = json!({ "login": "ann", "password": PASSWORD });
    let phone =
        server.post("/api/auth/login", &body).header("User-Agent", "Phone/1 (\u{202e}x)").send().json();
    let phone = phone["accessToken"].as_str().unwrap();
    let of = |device: &str, current: bool| json!({ "id": null, "device": device, "createdAt": null, "lastUsedAt": null, "current": current });
    let seen = listed(&server, &ann.token);
    assert_eq!(
        seen.iter().map(|(_, item)| item.clone()).collect::<Vec<_>>(),
        [of("", true), of("Phone/1 (x)", false)]
    );
    let others = listed(&server, &bob.token);
    let mut ws = Ws::login(&server, phone).await;

    let end = |id: &str, token: &str| {
        server.request("DELETE", &format!("/api/auth/sessions/{id}")).bearer(token).send()
    };
    let not_found = json!({
        "code": "not_found", "title": "Not Found", "status": 404, "detail": "there is no such login",
    });
    end(&others[0].0, &ann.token).assert_problem(404, &not_found);
    end("nonsense", &ann.token).assert_problem(404, &not_found);
    assert_eq!(end(&seen[1].0, &ann.token).status, 204);
    assert_eq!(ws.until_closed().await.1, Some(4401));
    end(&seen[1].0, &ann.token).assert_problem(404, &not_found);
    assert_eq!(server.get("/api/rooms").bearer(phone).send().status, 401);
    assert_eq!(listed(&server, &ann.token).len(), 1);
    assert_eq!(end(&seen[0].0, &ann.token).status, 204, "one's own");
    assert_eq!(server.get("/api/auth/sessions").bearer(&ann.token).send().status, 401);
    assert_eq!(listed(&server, &bob.token).len(), 1);
}

#[tokio::test]
async fn logging_out_everywhere_ends_all_logins_of_one_user() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let (access, refresh_token) = login(&server, "ann");
    let (mut first, mut second) = (Ws::login(&server, &ann.token).await, Ws::login(&server, &access).await);
    let mut other = Ws::login(&server, &bob.token).await;
    let answer = server.request("POST", "/api/auth/logout-all").bearer(&access).send();
    assert_eq!((answer.status, answer.header("set-cookie")), (204, Some(NO_COOKIE)));
    assert_eq!(first.until_closed().await.1, Some(4401));
    assert_eq!(second.until_closed().await.1, Some(4401));
    is_over(&server, &access, &refresh_token).await;
    is_over(&server, &ann.token, &ann.refresh).await;
    assert_eq!(other.ask(json!({ "type": "ping", "id": 2 })).await["type"], "pong");
}
