//! Tokens of somebody else's issuer, beside own accounts.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, Server, foreign_token, ws::Ws};

const SECRET: &str = "a secret of theirs, of 32 bytes and more";
const FOREVER: u64 = 4_102_444_800;

fn server() -> Server {
    Server::with(&format!(
        "{BASE}[auth.external]\nissuer = \"them\"\naudience = \"chat\"\nhs256_secret = \"{SECRET}\"\n"
    ))
}

fn claims(sub: &str, name: &str) -> Value {
    json!({ "iss": "them", "aud": "chat", "sub": sub, "name": name, "exp": FOREVER })
}

fn token(claims: &Value) -> String {
    foreign_token(SECRET, claims)
}

#[tokio::test]
async fn their_subject_is_the_user_and_the_profile_is_created_at_first_sight() {
    let server = server();
    let mut ws = Ws::open(server.address, &[]).await.unwrap();
    let token = token(&claims("user-42", "carol"));
    let answer = ws.ask(json!({ "type": "authenticate", "id": 1, "token": token })).await;
    assert_eq!((&answer["userId"], &answer["username"]), (&json!("user-42"), &json!("carol")));
    let mine = server.get("/api/rooms?scope=mine").bearer(&token).send().json();
    assert_eq!(mine["items"], json!([]), "they do not join the default rooms");
    let joined = ws.ask(json!({ "type": "join_room", "id": 2, "roomId": "lobby" })).await;
    assert_eq!(joined["type"], "ack");
}

#[tokio::test]
async fn a_missing_invalid_or_taken_name_is_derived() {
    let server = server();
    let ann = server.register("ann");
    let mut names = vec![ann.name];
    for (sub, name) in [("user-1", "ann"), ("user-2", "no name!"), ("user-3", "ann")] {
        let mut ws = Ws::open(server.address, &[]).await.unwrap();
        let token = token(&claims(sub, name));
        let answer = ws.ask(json!({ "type": "authenticate", "id": 1, "token": token })).await;
        assert_eq!(answer["userId"], sub);
        names.push(answer["username"].as_str().unwrap().to_owned());
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

#[test]
fn they_cannot_speak_for_an_own_account() {
    let server = server();
    let ann = server.register("ann");
    let answer = server.get("/api/rooms").bearer(&token(&claims(&ann.id, "ann"))).send();
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("invalid_token")));
    assert_eq!(server.get("/api/rooms").bearer(&ann.token).send().status, 200);
}

#[test]
fn their_rules_are_held() {
    let server = server();
    let good = claims("user-42", "carol");
    assert_eq!(server.get("/api/rooms").bearer(&token(&good)).send().status, 200);
    for (field, value, code) in [
        ("iss", json!("others"), "invalid_token"),
        ("aud", json!("mail"), "invalid_token"),
        ("sub", json!("not an id"), "invalid_token"),
        ("sub", json!("-"), "invalid_token"),
        ("exp", json!(1_000_000_000), "token_expired"),
        ("nbf", json!(FOREVER), "invalid_token"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let answer = server.get("/api/rooms").bearer(&token(&bad)).send();
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(code)), "{field}");
    }
    let forged = foreign_token("another secret of at least 32 bytes", &good);
    assert_eq!(server.get("/api/rooms").bearer(&forged).send().status, 401);
}

#[test]
fn without_a_foreign_issuer_only_own_accounts_are_accepted() {
    let server = Server::start();
    let answer = server.get("/api/rooms").bearer(&token(&claims("user-42", "carol"))).send();
    assert_eq!(answer.status, 401);
}

#[test]
fn their_login_ends_where_it_was_begun() {
    let server = server();
    let token = token(&claims("user-42", "carol"));
    let forbidden = json!({
        "code": "forbidden", "title": "Forbidden", "status": 403, "detail": "this login is ended where it was begun",
    });
    server.request("POST", "/api/auth/logout").bearer(&token).send().assert_problem(403, &forbidden);
    assert_eq!(server.get("/api/rooms").bearer(&token).send().status, 200);
}
