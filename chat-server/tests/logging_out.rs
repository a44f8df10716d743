//! A login that ends takes its tokens and its connections with it, and nobody else's.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::json;
use support::{NO_COOKIE, PASSWORD, Server, http::Answer, ws::Ws};

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
