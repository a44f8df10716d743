//! Rooms and messages over HTTP, and what every answer has in common.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use support::{BASE, Server, foreign_token, is_time};

fn problem(code: &str, title: &str, status: u16, detail: &str) -> Value {
    json!({ "code": code, "title": title, "status": status, "detail": detail })
}

#[test]
fn a_room_is_created_found_and_listed() {
    let server = Server::start();
    let ann = server.register("ann");
    let body = json!({ "name": "Garden", "description": "plants" });
    let created = server.post("/api/rooms", &body).bearer(&ann.token).send();
    assert_eq!(created.status, 201);
    let mut room = created.json()["room"].clone();
    let id = room["id"].as_str().unwrap().to_owned();
    assert!(is_time(&room["createdAt"]));
    assert_eq!(
        room,
        json!({
            "id": id, "kind": "public", "name": "Garden", "description": "plants", "createdBy": ann.id,
            "createdAt": room["createdAt"], "memberCount": 1, "lastSeq": 2, "slowModeSeconds": 0,
            "history": "all", "archived": false,
        })
    );
    let found = server.get("/api/rooms?query=gard").bearer(&ann.token).send();
    assert_eq!(found.status, 200);
    assert_eq!(found.json(), json!({ "items": [room], "nextCursor": null }));
    let mine = server.get("/api/rooms?scope=mine").bearer(&ann.token).send().json();
    let own = [
        ("role", json!("owner")),
        ("unread", json!(0)),
        ("mentions", json!(0)),
        ("lastReadSeq", json!(2)),
        ("lastMessage", json!(null)),
    ];
    own.into_iter().for_each(|(field, value)| room[field] = value);
    assert!(mine["items"].as_array().unwrap().contains(&room), "{mine}");
}

#[test]
fn a_second_public_room_of_one_name_is_a_conflict() {
    let server = Server::start();
    let ann = server.register("ann");
    let create = |body: Value| server.post("/api/rooms", &body).bearer(&ann.token).send();
    assert_eq!(create(json!({ "name": "Garden" })).status, 201);
    let second = create(json!({ "name": "garden" }));
    assert_eq!((second.status, &second.json()["code"]), (409, &json!("conflict")));
    for _ in 0..2 {
        assert_eq!(create(json!({ "name": "Garden", "private": true })).status, 201);
    }
}

#[test]
fn messages_are_sent_once_and_read_in_order() {
    let server = Server::start();
    let ann = server.register("ann");
    let send = |content: &str, key: &str| {
        let request = server.post("/api/rooms/lobby/messages", &json!({ "content": content }));
        request.bearer(&ann.token).header("Idempotency-Key", key).send()
    };
    let first = send("one", "k1");
    assert_eq!(first.status, 201);
    let mut answer = first.json();
    assert!(is_time(&answer["createdAt"]));
    let again = send("something else", "k1");
    assert_eq!(again.status, 200, "nothing is created");
    answer["duplicate"] = json!(true);
    assert_eq!(again.json(), answer);
    send("two", "k2");
    let body = json!({ "content": "three", "clientMessageId": "k1" });
    let in_body = server.post("/api/rooms/lobby/messages", &body).bearer(&ann.token).send();
    assert_eq!(in_body.json(), answer, "the key in the body is the same key");

    let history = |query: &str| {
        let answer = server.get(&format!("/api/rooms/lobby/messages{query}")).bearer(&ann.token).send();
        assert_eq!(answer.status, 200);
        answer.json()
    };
    let page = history("");
    let texts: Vec<_> = page["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    let mut message = page["messages"][0].clone();
    let created_at = message["createdAt"].take();
    assert_eq!(created_at, answer["createdAt"]);
    assert_eq!(
        message,
        json!({
            "id": answer["messageId"], "roomId": "lobby", "seq": answer["seq"], "userId": ann.id,
            "username": "ann", "content": "one", "messageType": "text", "createdAt": null, "editedAt": null,
            "deletedAt": null, "replyTo": null, "threadId": null, "threadCount": 0,
            "lastReplyAt": null, "attachments": [], "mentions": [], "reactions": [], "pinned": false, "clientMessageId": "k1",
        })
    );
    let seq = answer["seq"].as_u64().unwrap();
    let newest = history("?limit=1");
    assert_eq!((&newest["messages"][0]["content"], &newest["hasMoreBefore"]), (&json!("two"), &json!(true)));
    let before = history(&format!("?before={}", seq + 1));
    assert_eq!((before["messages"].as_array().unwrap().len(), &before["hasMoreAfter"]), (1, &json!(true)));
    let after = history(&format!("?after={seq}"));
    assert_eq!(after["messages"][0]["content"], "two");
    let around = history(&format!("?around={seq}"));
    assert_eq!(around["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn bad_fields_are_named() {
    let server = Server::start();
    let ann = server.register("ann");
    let answer = server.get("/api/rooms/lobby/messages?before=x&limit=-1").bearer(&ann.token).send();
    let mut expected = problem("bad_request", "Bad Request", 400, "some fields are not acceptable");
    expected["errors"] = json!([
        { "field": "before", "message": "expected a whole number" },
        { "field": "limit", "message": "expected a whole number" },
    ]);
    answer.assert_problem(400, &expected);
    let answer = server.get("/api/rooms?scope=all").bearer(&ann.token).send();
    expected["errors"] = json!([{ "field": "scope", "message": "expected public or mine" }]);
    answer.assert_problem(400, &expected);
    let send = |body: Value| server.post("/api/rooms/lobby/messages", &body).bearer(&ann.token).send();
    expected["errors"] = json!([{ "field": "content", "message": "this field is required" }]);
    send(json!({})).assert_problem(400, &expected);
    send(json!({ "content": " \n" }))
        .assert_problem(400, &problem("bad_request", "Bad Request", 400, "the message is empty"));
    send(json!({ "content": "x".repeat(5_001) }))
        .assert_problem(400, &problem("bad_request", "Bad Request", 400, "the message is too long"));
    let history = server.get("/api/rooms/lobby/messages").bearer(&ann.token).send().json();
    assert_eq!(history["messages"], json!([]), "nothing is stored");
}

#[test]
fn a_private_room_is_not_there_and_a_public_one_is_forbidden_to_who_is_no_member() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let create = |body: Value| {
        let room = server.post("/api/rooms", &body).bearer(&ann.token).send().json();
        room["room"]["id"].as_str().unwrap().to_owned()
    };
    let (public, private) = (create(json!({ "name": "p" })), create(json!({ "name": "q", "private": true })));
    let hidden = problem("not_found", "Not Found", 404, "room not found");
    let closed = problem("forbidden", "Forbidden", 403, "join the room first");
    let text = json!({ "content": "hi" });
    for (room, status, expected) in
        [(public.as_str(), 403, &closed), (private.as_str(), 404, &hidden), ("nowhere", 404, &hidden)]
    {
        let path = format!("/api/rooms/{room}/messages");
        server.get(&path).bearer(&bob.token).send().assert_problem(status, expected);
        server.post(&path, &text).bearer(&bob.token).send().assert_problem(status, expected);
        let members = format!("/api/rooms/{room}/members");
        server.get(&members).bearer(&bob.token).send().assert_problem(status, expected);
    }
    let join =
        |room: &str| server.request("POST", &format!("/api/rooms/{room}/join")).bearer(&bob.token).send();
    join(&private).assert_problem(404, &hidden);
    let joined = join(&public);
    assert_eq!((joined.status, &joined.json()["room"]["memberCount"]), (200, &json!(2)));
    let members = server.get(&format!("/api/rooms/{public}/members")).bearer(&bob.token).send().json();
    let roles: Vec<_> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["username"].clone(), m["role"].clone()))
        .collect();
    assert!(
        roles.contains(&(json!("ann"), json!("owner"))) && roles.contains(&(json!("bob"), json!("member")))
    );
    let left = server.request("DELETE", &format!("/api/rooms/{public}/leave")).bearer(&bob.token).send();
    assert_eq!((left.status, left.body.as_str()), (204, ""));
}

#[test]
fn without_a_good_token_nothing_is_answered() {
    let server = Server::start();
    let key = std::fs::read_to_string(server.data().join("signing.key")).unwrap();
    let claims =
        |exp: u64| json!({ "iss": "chat", "aud": "chat", "typ": "access", "sub": "ann", "exp": exp });
    let bare = server.get("/api/rooms").send();
    bare.assert_problem(401, &problem("unauthenticated", "Unauthorized", 401, "authentication required"));
    assert_eq!(bare.header("www-authenticate"), Some("Bearer"));
    let invalid = problem("invalid_token", "Unauthorized", 401, "the token is not valid");
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJjaGF0IiwiYXVkIjoiY2hhdCIsInR5cCI6ImFjY2VzcyIsImV4cCI6NDEwMjQ0NDgwMH0.";
    let forged = foreign_token("another secret of at least 32 bytes", &claims(4_102_444_800));
    for token in ["x", "a.b.c", none, &forged] {
        server.get("/api/rooms").bearer(token).send().assert_problem(401, &invalid);
    }
    let expired = foreign_token(&key, &claims(1_000_000_000));
    let late = problem("token_expired", "Unauthorized", 401, "the token has expired");
    server.get("/api/rooms").bearer(&expired).send().assert_problem(401, &late);
    server.get("/api/rooms").header("Authorization", "Basic x").send().assert_problem(401, &invalid);
}

#[test]
fn whatever_is_wrong_with_a_request_is_a_problem_document() {
    let server = Server::start();
    let ann = server.register("ann");
    let post = || server.request("POST", "/api/rooms").bearer(&ann.token);
    let bad = |detail: &str| problem("bad_request", "Bad Request", 400, detail);
    let json = |body: Vec<u8>| post().header("Content-Type", "application/json").body(body).send();
    json(b"{".to_vec()).assert_problem(400, &bad("the body is not valid JSON"));
    json(vec![0xff]).assert_problem(400, &bad("the body is not valid JSON"));
    json(b"[]".to_vec()).assert_problem(400, &bad("the body is not a JSON object"));
    json(vec![b' '; 70_000]).assert_problem(
        413,
        &problem("payload_too_large", "Payload Too Large", 413, "the body is too large"),
    );
    let untyped =
        problem("bad_request", "Unsupported Media Type", 415, "expected a body of type application/json");
    post().header("Content-Type", "text/plain").body("{}").send().assert_problem(415, &untyped);
    post().body("{}").send().assert_problem(415, &untyped);
    for path in ["/nowhere", "/api", "/api/nowhere", "/api/rooms/lobby/nowhere", "/ws/x"] {
        let missing = problem("not_found", "Not Found", 404, "there is nothing at this path");
        server.get(path).send().assert_problem(404, &missing);
    }
    let method = problem("bad_request", "Method Not Allowed", 405, "this path does not answer this method");
    for (verb, path) in [("DELETE", "/api/rooms"), ("GET", "/api/auth/login"), ("POST", "/ws"), ("PUT", "/")]
    {
        let answer = server.request(verb, path).send();
        answer.assert_problem(405, &method);
        assert!(answer.header("allow").is_some());
    }
    server
        .get("/api/rooms/%ff/messages")
        .bearer(&ann.token)
        .send()
        .assert_problem(400, &bad("malformed path"));
    let upgrade =
        problem("bad_request", "Upgrade Required", 426, "this address speaks WebSocket, version 13");
    server.get("/ws").send().assert_problem(426, &upgrade);
}

#[test]
fn every_answer_has_its_safety_headers() {
    let server = Server::start();
    let ann = server.register("ann");
    for (path, pages) in [
        ("/", true),
        ("/docs/protocol", true),
        ("/healthz", false),
        ("/readyz", false),
        ("/api/rooms", false),
        ("/api/nowhere", false),
        ("/nowhere", false),
        ("/ws", false),
    ] {
        let answer = server.get(path).bearer(&ann.token).send();
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(
            answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), (!pages).then_some("no-store"), "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
    }
}

#[test]
fn a_person_finds_out_what_this_is() {
    let server = Server::start();
    let page = server.get("/").send();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("<h1>Chat engine</h1>") && page.body.contains("href=\"/docs/protocol\""));
    let protocol = server.get("/docs/protocol").send();
    assert_eq!((protocol.status, protocol.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(protocol.body.contains("send_message"));
    assert_eq!(server.get("/healthz").send().json(), json!({ "status": "ok" }));
    assert_eq!(server.get("/readyz").send().json(), json!({ "status": "ready" }));
}

#[test]
fn one_connection_answers_one_request_after_the_other() {
    let server = Server::with(BASE);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all((request.repeat(3) + &last).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 4);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start();
    let long = "x".repeat(40_000);
    assert_eq!(server.get("/healthz").header("X-Long", &long).send().status, 431);
    let mut request = server.get("/healthz");
    for i in 0..100 {
        request = request.header(&format!("X-{i}"), "x");
    }
    assert_eq!(request.send().status, 431);
}

#[test]
fn a_message_is_sent_with_files_as_an_answer_and_in_a_thread() {
    let server = Server::start();
    let ann = server.register("ann");
    let send = |body: Value| server.post("/api/rooms/lobby/messages", &body).bearer(&ann.token).send();
    let sent = |body: Value| {
        let answer = send(body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["messageId"].clone()
    };
    let root = sent(json!({ "content": "Look" }));
    let file = json!({
        "fileId": "f-1", "name": "tree.png", "mime": "image/png", "size": 1_234, "url": "https://files.example.org/f-1",
        "width": 640, "height": 480,
    });
    let picture = json!({ "content": "", "messageType": "image", "attachments": [file], "replyTo": root });
    let picture = sent(picture);
    let reply = sent(json!({ "content": "A tree", "threadId": root }));
    let page = server.get("/api/rooms/lobby/messages").bearer(&ann.token).send().json();
    let told: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            let fields =
                ["id", "content", "messageType", "attachments", "replyTo", "threadId", "threadCount"];
            fields.map(|field| message[field].clone())
        })
        .collect();
    let expected = json!([
        [root, "Look", "text", [], null, null, 1],
        [picture, "", "image", [file], root, null, 0],
        [reply, "A tree", "text", [], null, root, 0],
    ]);
    assert_eq!(json!(told), expected);
    for (field, value, status) in [
        ("attachments", json!("f-1"), 400),
        ("attachments", json!([{ "fileId": "f-1" }]), 400),
        ("replyTo", json!("elsewhere"), 404),
        ("threadId", json!("elsewhere"), 404),
    ] {
        let mut body = json!({ "content": "no" });
        body[field] = value;
        assert_eq!(send(body).status, status, "{field}");
    }
}
