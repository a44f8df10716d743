//! The WebSocket, from outside: the whole way of a message, and what bad input gets.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{
    BASE, Server, foreign_token, message,
    ws::{Ws, refused},
};
use tokio_tungstenite::tungstenite::Message;

fn error(id: Value, code: &str, message: &str) -> Value {
    let mut error = json!({ "type": "error", "code": code, "message": message });
    if !id.is_null() {
        error["id"] = id;
    }
    error
}

/// That a connection is as good as new.
async fn assert_alive(ws: &mut Ws) {
    let pong = ws.ask(json!({ "type": "ping", "id": "alive" })).await;
    assert_eq!(pong["type"], "pong");
}

/// That nothing was said in the lobby.
async fn assert_silent(ws: &mut Ws) {
    let history = ws.ask(json!({ "type": "fetch_history", "id": "look", "roomId": "lobby" })).await;
    assert_eq!(history["messages"], json!([]));
}

#[tokio::test]
async fn what_one_sends_the_other_sees() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut bobs = Ws::login(&server, &bob.token).await;
    let mut anns = Ws::login(&server, &ann.token).await;
    let ack = anns.ask(message(1, "lobby", "Hello")).await;
    let event = bobs.event("new_message").await;
    assert_eq!(
        ack,
        json!({
            "type": "ack", "id": 1, "messageId": event["message"]["id"], "roomId": "lobby",
            "seq": event["message"]["seq"], "createdAt": event["message"]["createdAt"], "duplicate": false,
        })
    );
    assert_eq!(
        event["message"]["content"].as_str().zip(event["message"]["username"].as_str()),
        Some(("Hello", "ann"))
    );
}

#[tokio::test]
async fn who_authenticates_is_told_who_they_are() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::open(server.address, &[]).await.unwrap();
    let mut answer = ws.ask(json!({ "type": "authenticate", "id": "a", "token": ann.token })).await;
    for field in ["sessionId", "serverTime", "epoch", "limits"] {
        assert!(!answer[field].take().is_null(), "{field}");
    }
    assert_eq!(
        answer,
        json!({
            "type": "authenticated", "id": "a", "userId": ann.id, "username": "ann", "heartbeatMs": 25_000,
            "sessionId": null, "serverTime": null, "epoch": null, "limits": null,
        })
    );
}

#[tokio::test]
async fn a_token_may_come_in_the_header_or_as_a_subprotocol() {
    let server = Server::start();
    let ann = server.register("ann");
    let authenticate = json!({ "type": "authenticate", "id": 1 });
    let bearer = format!("Bearer {}", ann.token);
    let mut ws = Ws::open(server.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(ws.ask(authenticate.clone()).await["userId"], ann.id.as_str());
    let offered = format!("chat.v1, bearer.{}", ann.token);
    let mut ws = Ws::open(server.address, &[("sec-websocket-protocol", &offered)]).await.unwrap();
    assert_eq!(ws.response.headers()["sec-websocket-protocol"], "chat.v1");
    assert_eq!(ws.ask(authenticate).await["userId"], ann.id.as_str());
}

#[tokio::test]
async fn a_bad_token_in_the_header_is_401_and_a_foreign_origin_403() {
    let server = Server::with(&format!("allowed_origins = [\"https://app.example\"]\n{BASE}"));
    let bad = Ws::open(server.address, &[("authorization", "Bearer a.b.c")]).await;
    assert_eq!(refused(bad), 401);
    for origin in ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"] {
        assert_eq!(refused(Ws::open(server.address, &[("origin", origin)]).await), 403, "{origin}");
    }
    let own = format!("http://{}", server.address);
    for origin in ["https://app.example", &own] {
        assert_eq!(refused(Ws::open(server.address, &[("origin", origin)]).await), 101, "{origin}");
    }
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_its_cap() {
    let server = Server::with(&format!("{BASE}connections_per_ip = 2\n"));
    let first = Ws::open(server.address, &[]).await.unwrap();
    let _second = Ws::open(server.address, &[]).await.unwrap();
    assert_eq!(refused(Ws::open(server.address, &[]).await), 429);
    drop(first);
    // The server learns of the closing in its own time.
    let mut refusals = 0;
    while refused(Ws::open(server.address, &[]).await) == 429 {
        refusals += 1;
        assert!(refusals < 100_000, "the place is never given back");
    }
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused_and_closed_with_4401() {
    let server = Server::start();
    let key = std::fs::read_to_string(server.data().join("signing.key")).unwrap();
    let claims =
        |exp: u64| json!({ "iss": "chat", "aud": "chat", "typ": "access", "sub": "ann", "exp": exp });
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJjaGF0IiwiYXVkIjoiY2hhdCIsInR5cCI6ImFjY2VzcyIsImV4cCI6NDEwMjQ0NDgwMH0.";
    let forged = foreign_token("another secret of at least 32 bytes", &claims(4_102_444_800));
    let expired = foreign_token(&key, &claims(1_000_000_000));
    for (token, code) in [
        ("nonsense", "invalid_token"),
        (none, "invalid_token"),
        (&forged, "invalid_token"),
        (&expired, "token_expired"),
    ] {
        let mut ws = Ws::open(server.address, &[]).await.unwrap();
        ws.send(&json!({ "type": "authenticate", "id": 1, "token": token })).await;
        let (frames, close) = ws.until_closed().await;
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert_eq!((&frames[0]["type"], &frames[0]["id"]), (&json!("auth_error"), &json!(1)));
        assert_eq!(frames[0]["code"], code);
        assert_eq!(close, Some(4401), "{code}");
    }
}

#[tokio::test]
async fn any_other_first_frame_is_unauthenticated() {
    let server = Server::start();
    let mut ws = Ws::open(server.address, &[]).await.unwrap();
    let answer = ws.ask(message(1, "lobby", "Hello")).await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("unauthenticated")));
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_silent(&mut ws).await;
}

#[tokio::test]
async fn a_bad_frame_costs_an_error_and_not_the_connection() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    let unknown = ws.ask(json!({ "type": "dance", "id": 1 })).await;
    assert_eq!((&unknown["type"], &unknown["code"]), (&json!("error"), &json!("unknown_type")));
    for broken in ["{", "[]", "", "\u{0}", r#"{"type":7}"#] {
        ws.send_raw(Message::text(broken)).await;
        let answer = ws.event("error").await;
        assert_eq!((&answer["code"], answer.get("id")), (&json!("bad_request"), None), "{broken}");
    }
    let typed = ws.ask(json!({ "type": "send_message", "id": 2, "roomId": 5, "content": "x" })).await;
    assert_eq!(typed["code"], "bad_request");
    ws.send_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(ws.event("error").await["code"], "bad_request");
    assert_alive(&mut ws).await;
    assert_silent(&mut ws).await;
}

#[tokio::test]
async fn twenty_bad_frames_in_a_minute_close_with_4400() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    for _ in 0..20 {
        ws.send_raw(Message::text("{")).await;
    }
    assert_eq!(ws.until_closed().await.1, Some(4400));
    Ws::login(&server, &ann.token).await;
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_with_1009() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    ws.send(&message(1, "lobby", &"x".repeat(70 * 1024))).await;
    assert_eq!(ws.until_closed().await.1, Some(1009));
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_silent(&mut ws).await;
}

#[tokio::test]
async fn text_that_is_empty_or_too_long_is_refused() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    for (text, words) in [
        ("", "the message is empty"),
        (" \n\t", "the message is empty"),
        (&"ü".repeat(5_001), "the message is too long"),
        ("bell\u{7}", "the message holds a control character"),
    ] {
        assert_eq!(ws.ask(message(1, "lobby", text)).await, error(json!(1), "bad_request", words));
    }
    assert_silent(&mut ws).await;
    let longest = ws.ask(message(2, "lobby", &"ü".repeat(5_000))).await;
    assert_eq!(longest["type"], "ack");
}

#[tokio::test]
async fn rooms_that_are_not_yours_are_not_yours() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut anns = Ws::login(&server, &ann.token).await;
    let mut bobs = Ws::login(&server, &bob.token).await;
    let public = anns.ask(json!({ "type": "create_room", "id": 1, "name": "p" })).await;
    let private = anns.ask(json!({ "type": "create_room", "id": 2, "name": "q", "private": true })).await;
    let (public, private) = (public["room"]["id"].clone(), private["room"]["id"].clone());
    let forbidden = || error(json!(9), "forbidden", "join the room first");
    let hidden = || error(json!(9), "not_found", "room not found");
    for (room, refusal) in [
        (public, forbidden()),
        (private.clone(), hidden()),
        (json!("nowhere"), hidden()),
        (json!(""), hidden()),
    ] {
        for kind in ["send_message", "fetch_history", "list_members", "subscribe"] {
            let frame = json!({ "type": kind, "id": 9, "roomId": room, "content": "hi" });
            assert_eq!(bobs.ask(frame).await, refusal, "{kind} {room}");
        }
    }
    let join = bobs.ask(json!({ "type": "join_room", "id": 9, "roomId": private })).await;
    assert_eq!(join, hidden());
    assert_alive(&mut bobs).await;
}

#[tokio::test]
async fn a_second_public_room_of_one_name_is_a_conflict() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_eq!(ws.ask(json!({ "type": "create_room", "id": 1, "name": "Garden" })).await["type"], "ack");
    let second = ws.ask(json!({ "type": "create_room", "id": 2, "name": "garden" })).await;
    assert_eq!((&second["type"], &second["code"]), (&json!("error"), &json!("conflict")));
    let rooms = ws.ask(json!({ "type": "list_rooms", "id": 3, "scope": "public", "query": "garden" })).await;
    assert_eq!(rooms["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_sent_over_http_reaches_sockets_and_its_key_is_the_same() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    let (address, token) = (server.address, ann.token.clone());
    let sent = tokio::task::spawn_blocking(move || {
        let request = support::http::Request::new(address, "POST", "/api/rooms/lobby/messages");
        request.bearer(&token).json(&json!({ "content": "Hello", "clientMessageId": "k" })).send()
    });
    let event = ws.event("new_message").await;
    let answer = sent.await.unwrap();
    assert_eq!((answer.status, &answer.json()["messageId"]), (201, &event["message"]["id"]));
    let mut again = message(1, "lobby", "Hello");
    again["clientMessageId"] = json!("k");
    let again = ws.ask(again).await;
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &event["message"]["seq"]));
}
