//! Tokens of somebody else's issuer, beside own accounts.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use support::{BASE, Home, Server, foreign_token, ws::Ws};

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

const RSA: &str = include_str!("../../chat-core/tests/keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../chat-core/tests/keys/rsa.pub.pem");
const ED: &str = include_str!("../../chat-core/tests/keys/ed.pem");

/// A token that a private key signed.
fn signed(algorithm: Algorithm, name: &str, claims: &Value) -> String {
    let header = Header { kid: Some(name.into()), ..Header::new(algorithm) };
    encode(&header, claims, &private(algorithm)).unwrap()
}

fn private(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        _ => EncodingKey::from_ed_pem(ED.as_bytes()).unwrap(),
    }
}

/// A document with one key.
fn document(algorithm: Algorithm, name: &str) -> String {
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&private(algorithm), algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(name);
    json!({ "keys": [jwk] }).to_string()
}

/// Serves a document that a test changes, over HTTP/1.1, a request a connection.
fn issuer(document: Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let answer = document.lock().unwrap().clone();
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn status(server: &Server, token: &str) -> u16 {
    server.get("/api/rooms").bearer(token).send().status
}

#[test]
fn an_issuer_may_sign_with_a_key_of_which_the_server_has_the_public_half() {
    let home = Home::new("");
    let path = home.path().join("issuer.pem");
    std::fs::write(&path, RSA_PUBLIC).unwrap();
    let config = format!(
        "{BASE}[auth.external]\npublic_key = {path:?}\nalgorithm = \"RS256\"\nissuer = \"them\"\naudience = \"chat\"\n\
         roles_claim = \"groups\"\nadmin_role = \"boss\"\n"
    );
    std::fs::write(home.path().join("chat.toml"), config).unwrap();
    let server = home.start();
    let mut carol = claims("user-42", "carol");
    carol["groups"] = json!(["boss"]);
    let token = signed(Algorithm::RS256, "any", &carol);
    assert_eq!(server.get("/api/users/me").bearer(&token).send().json()["serverRole"], "admin");
    assert_eq!(status(&server, &signed(Algorithm::EdDSA, "any", &carol)), 401);
    assert_eq!(status(&server, &foreign_token(RSA_PUBLIC, &carol)), 401, "a public key is no secret");
}

#[test]
fn the_keys_of_an_issuer_are_fetched_and_kept_while_it_does_not_answer() {
    let answer =
        Arc::new(Mutex::new("HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()));
    let address = issuer(Arc::clone(&answer));
    let config = format!(
        "{BASE}[auth.external]\njwks_url = \"http://{address}/keys\"\nissuer = \"them\"\naudience = \"chat\"\n"
    );
    let carol = claims("user-42", "carol");
    let (first, second) =
        (signed(Algorithm::RS256, "first", &carol), signed(Algorithm::EdDSA, "second", &carol));
    let server = Server::with(&config);
    assert_eq!(status(&server, &first), 401, "there are no keys yet, and own accounts work");
    let ann = server.register("ann");
    assert_eq!(status(&server, &ann.token), 200);

    for (body, good) in [
        (ok(&document(Algorithm::RS256, "first")), &first),
        (ok(&document(Algorithm::EdDSA, "second")), &second),
    ] {
        *answer.lock().unwrap() = body;
        // Keys are fetched at the start, and then once a minute at most.
        let server = Server::with(&config);
        assert_eq!(status(&server, good), 200);
        let other = if good == &first { &second } else { &first };
        assert_eq!(status(&server, other), 401);
        *answer.lock().unwrap() =
            "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n".into();
        assert_eq!(status(&server, good), 200);
    }
}
