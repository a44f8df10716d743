//! One's own data over HTTP: all of it, and none of it any more.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, NO_COOKIE, PASSWORD, Server, message, ws::Ws};

fn export(server: &Server, token: &str) -> Vec<Value> {
    let answer = server.get("/api/users/me/export").bearer(token).send();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"export.json\""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json().as_array().unwrap().clone()
}

#[test]
fn one_takes_along_everything_of_ones_own() {
    let server = Server::with(BASE);
    let (ann, ben) = (server.register("ann"), server.register("ben"));
    for (user, text) in [(&ann, "from ann"), (&ben, "from ben")] {
        let send = server.post("/api/rooms/lobby/messages", &json!({ "content": text }));
        assert_eq!(send.bearer(&user.token).send().status, 201);
    }
    let items = export(&server, &ann.token);
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["account", "login", "profile", "membership", "message", "end"]);
    assert_eq!(items[0]["email"], "ann@example.org");
    assert_eq!((&items[2]["userId"], &items[2]["username"]), (&json!(ann.id), &json!("ann")));
    assert_eq!(items[4]["message"]["content"], "from ann");
    // Two more in this hour, and others have theirs.
    assert_eq!(export(&server, &ann.token).len(), 6);
    assert_eq!(export(&server, &ann.token).len(), 6);
    let limited = server.get("/api/users/me/export").bearer(&ann.token).send();
    let seconds: u32 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_200).contains(&seconds), "{seconds}");
    let problem = json!({
        "code": "rate_limited", "title": "Too Many Requests", "status": 429, "detail": "too many requests",
    });
    limited.assert_problem(429, &problem);
    assert_eq!(export(&server, &ben.token).len(), 6);
    let unauthenticated = server.get("/api/users/me/export").send();
    assert_eq!(unauthenticated.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_erased_is_out_and_may_begin_anew() {
    let server = Server::with(BASE);
    let (ann, ben) = (server.register("ann"), server.register("ben"));
    let send = server.post("/api/rooms/lobby/messages", &json!({ "content": "from ann" }));
    assert_eq!(send.bearer(&ann.token).send().status, 201);
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_eq!(server.request("DELETE", "/api/users/me").send().status, 401);
    let answer = server.request("DELETE", "/api/users/me").bearer(&ann.token).send();
    assert_eq!((answer.status, answer.header("set-cookie")), (204, Some(NO_COOKIE)));
    let (_, close) = ws.until_closed().await;
    assert_eq!(close, Some(4403));
    let forbidden = json!({
        "code": "forbidden", "title": "Forbidden", "status": 403, "detail": "the user was erased",
    });
    for (method, path) in
        [("DELETE", "/api/users/me"), ("GET", "/api/users/me/export"), ("GET", "/api/rooms")]
    {
        server.request(method, path).bearer(&ann.token).send().assert_problem(403, &forbidden);
    }
    let mut ws = Ws::open(server.address, &[]).await.unwrap();
    ws.send(&json!({ "type": "authenticate", "id": 1, "token": ann.token })).await;
    let (frames, close) = ws.until_closed().await;
    assert_eq!((&frames[0]["type"], &frames[0]["code"]), (&json!("auth_error"), &json!("forbidden")));
    assert_eq!(close, Some(4403));
    for login in ["ann", "ann@example.org"] {
        let answer = server.post("/api/auth/login", &json!({ "login": login, "password": PASSWORD })).send();
        assert_eq!(answer.status, 401);
    }
    let refresh = server.post("/api/auth/refresh", &json!({ "refreshToken": ann.refresh })).send();
    assert_eq!(refresh.status, 401);
    let page = server.get("/api/rooms/lobby/messages").bearer(&ben.token).send().json();
    let message = &page["messages"][0];
    assert_eq!(
        (&message["content"], &message["username"], &message["userId"]),
        (&json!(""), &json!("erased-user"), &json!(ann.id))
    );
    // The same name and address, and somebody else.
    let again = server.register("ann");
    assert_ne!(again.id, ann.id);
    let items = export(&server, &again.token);
    assert!(items.iter().all(|item| item["type"] != "message"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_goes_on_when_whoever_asked_for_it_hangs_up() {
    const MESSAGES: u64 = 200;
    let server = Server::with(BASE);
    let (ann, ben) = (server.register("ann"), server.register("ben"));
    let (mut anns, mut bens) = (Ws::login(&server, &ann.token).await, Ws::login(&server, &ben.token).await);
    let mut written = Vec::new();
    for number in 0..MESSAGES {
        anns.send(&message(number, "lobby", "from ann")).await;
        written.push(bens.event("new_message").await["message"]["id"].clone());
    }
    let request = server.request("DELETE", "/api/users/me").bearer(&ann.token).begin();
    // From here on the erasure has begun.
    assert_eq!(anns.until_closed().await.1, Some(4403));
    drop(request);
    assert_eq!(bens.event("user_left").await["reason"], "erased");
    let mut deleted = Vec::new();
    for _ in 0..MESSAGES {
        deleted.push(bens.event("message_deleted").await["messageId"].clone());
    }
    let sorted = |mut ids: Vec<Value>| {
        ids.sort_by_key(Value::to_string);
        ids
    };
    assert_eq!(sorted(deleted), sorted(written));
}
