//! What takes the server role admin: users, rooms, reports, and the record of what was done.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{BASE, Server, User, api::Api, foreign_token, http::Answer, ws::Ws};

const SECRET: &str = "an example of a secret of 32 bytes";

/// A server on which the tokens of an issuer make admins.
fn server() -> Server {
    Server::with(&format!("{BASE}\n[auth.external]\nhs256_secret = \"{SECRET}\"\nadmin_role = \"staff\"\n"))
}

/// A user with an account, who is no admin.
fn register(server: &Server, name: &str) -> User {
    server.register(name)
}

fn admin(server: &Server) -> Api<'_> {
    let claims = json!({ "sub": "root", "name": "root_1", "exp": 4_000_000_000_u64, "roles": ["staff"] });
    Api::of_admin(server, "root", foreign_token(SECRET, &claims))
}

/// What the server's audit log says, the newest first.
fn acts(admin: &Api<'_>) -> Vec<(String, Value)> {
    let log = admin.get("/audit");
    let act = |record: &Value| (record["act"].as_str().unwrap().to_owned(), record["targetId"].clone());
    log["items"].as_array().unwrap().iter().map(act).collect()
}

fn login(server: &Server, name: &str) -> Answer {
    server.post("/api/auth/login", &json!({ "login": name, "password": support::PASSWORD })).send()
}

#[tokio::test]
async fn who_is_disabled_is_cut_off_and_kept_out_until_enabled() {
    let server = server();
    let (admin, bob) = (admin(&server), register(&server, "bob"));
    let mut ws = Ws::login(&server, &bob.token).await;
    admin.done("POST", &format!("/users/{}/disable", bob.id), None);
    assert_eq!(ws.until_closed().await.1, Some(4403));
    let refused = server.get("/api/users/me").bearer(&bob.token).send();
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    let refused = login(&server, "bob");
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    assert_eq!(admin.get(&format!("/users/{}", bob.id))["disabled"], true);
    admin.done("POST", &format!("/users/{}/enable", bob.id), None);
    assert_eq!(login(&server, "bob").status, 200);
    let target = json!(bob.id);
    assert_eq!(
        acts(&admin),
        [("enable_user".to_owned(), target.clone()), ("disable_user".to_owned(), target)]
    );
}

#[tokio::test]
async fn logins_end_and_roles_change_at_once() {
    let server = server();
    let (admin, bob) = (admin(&server), register(&server, "bob"));
    let mut ws = Ws::login(&server, &bob.token).await;
    admin.done("POST", &format!("/users/{}/logout", bob.id), None);
    assert_eq!(ws.until_closed().await.1, Some(4401));
    assert_eq!(server.get("/api/users/me").bearer(&bob.token).send().status, 401);
    let path = format!("/users/{}/role", bob.id);
    assert_eq!(admin.ask("PUT", &path, Some(&json!({ "role": "admin" }))).status, 204);
    let token = login(&server, "bob").json()["accessToken"].as_str().unwrap().to_owned();
    let bob = Api::of_admin(&server, &bob.id, token);
    assert_eq!(bob.get("/users?query=bo")["items"][0]["serverRole"], "admin");
    assert_eq!(admin.ask("PUT", &path, Some(&json!({ "role": "user" }))).status, 204);
    assert_eq!(bob.ask("GET", "/users", None).status, 401, "the login ended with the role");
    assert_eq!(admin.ask("PUT", "/users/root/role", Some(&json!({ "role": "user" }))).status, 403);
}

#[test]
fn users_are_listed_and_erased() {
    let server = server();
    let (admin, bob) = (admin(&server), register(&server, "bob"));
    let listed = admin.get("/users");
    let users: Vec<_> = listed["items"].as_array().unwrap().iter().map(|user| &user["username"]).collect();
    assert_eq!(users, ["bob", "root_1"]);
    let user = admin.get(&format!("/users/{}", bob.id));
    assert_eq!(
        user,
        json!({
            "id": bob.id, "username": "bob", "displayName": null, "avatarUrl": null,
            "email": "bob@example.org", "createdAt": user["createdAt"], "serverRole": "user",
            "external": false, "disabled": false,
        })
    );
    admin.done("DELETE", &format!("/users/{}", bob.id), None);
    assert_eq!(admin.ask("GET", &format!("/users/{}", bob.id), None).status, 404);
    assert_eq!(login(&server, "bob").status, 401);
    assert_eq!(acts(&admin), [("erase_user".to_owned(), json!(bob.id))]);
}

#[test]
fn any_room_is_moderated_and_none_is_read() {
    let server = server();
    let (admin, bob) = (admin(&server), register(&server, "bob"));
    let body = json!({ "name": "Vault", "private": true });
    let room = server.post("/api/rooms", &body).bearer(&bob.token).send().json()["room"].clone();
    let id = room["id"].as_str().unwrap();
    let send = server.post(&format!("/api/rooms/{id}/messages"), &json!({ "content": "secret" }));
    let message = send.bearer(&bob.token).send().json()["messageId"].as_str().unwrap().to_owned();
    let kinds = admin.get("/rooms");
    let kinds: Vec<_> = kinds["items"].as_array().unwrap().iter().map(|room| room["kind"].clone()).collect();
    assert!(kinds.contains(&json!("private")), "{kinds:?}");
    assert_eq!(admin.get(&format!("/rooms/{id}"))["room"]["name"], "Vault");
    let read = server.get(&format!("/api/rooms/{id}/messages")).bearer(admin.token()).send();
    assert_eq!((read.status, &read.json()["code"]), (404, &json!("not_found")));
    admin.done("DELETE", &format!("/rooms/{id}/messages/{message}"), None);
    let archive = admin.ask("PATCH", &format!("/rooms/{id}"), Some(&json!({ "archived": true })));
    assert_eq!((archive.status, &archive.json()["room"]["archived"]), (200, &json!(true)));
    admin.done("DELETE", &format!("/rooms/{id}/members/{}?reason=spam", bob.id), None);
    let acts = admin.get(&format!("/rooms/{id}/audit"));
    let acts: Vec<_> =
        acts["items"].as_array().unwrap().iter().map(|it| (&it["act"], &it["actorId"])).collect();
    let root = json!("root");
    let expected = ["kick", "update_room", "delete_message"].map(|act| json!(act));
    assert_eq!(acts, expected.iter().map(|act| (act, &root)).collect::<Vec<_>>());
    admin.done("PUT", &format!("/rooms/{id}/owners/{}", bob.id), None);
    assert_eq!(
        server.get(&format!("/api/rooms/{id}")).bearer(&bob.token).send().json()["room"]["role"],
        "owner"
    );
    for audit in [format!("/rooms/{id}/audit"), "/audit".to_owned()] {
        let newest = &admin.get(&audit)["items"][0];
        let told = (&newest["act"], &newest["actorId"], &newest["targetId"]);
        assert_eq!(told, (&json!("set_role"), &root, &json!(bob.id)), "{audit}");
    }
    admin.done("DELETE", &format!("/rooms/{id}"), None);
    assert_eq!(admin.ask("GET", &format!("/rooms/{id}"), None).status, 404);
}

#[test]
fn reports_of_all_rooms_wait_in_one_queue() {
    let server = server();
    let (admin, ann, bob) = (admin(&server), register(&server, "ann"), register(&server, "bob"));
    let send = server.post("/api/rooms/lobby/messages", &json!({ "content": "weeds" }));
    let message = send.bearer(&ann.token).send().json()["messageId"].as_str().unwrap().to_owned();
    let report = format!("/api/rooms/lobby/messages/{message}/report");
    assert_eq!(server.post(&report, &json!({ "reason": "rude" })).bearer(&bob.token).send().status, 204);
    let queue = admin.get("/reports");
    let item = &queue["items"][0];
    assert_eq!(
        (&item["roomId"], &item["reason"], &item["message"]["content"], &item["reportedBy"]["username"]),
        (&json!("lobby"), &json!("rude"), &json!("weeds"), &json!("bob"))
    );
    admin.done("POST", &format!("/rooms/lobby/reports/{}/resolve", item["reportId"].as_str().unwrap()), None);
    assert_eq!(admin.get("/reports"), json!({ "items": [], "nextCursor": null }));
}

#[test]
fn everybody_else_is_refused() {
    let server = server();
    let ann = register(&server, "ann");
    let plain = foreign_token(SECRET, &json!({ "sub": "guest", "name": "guest", "exp": 4_000_000_000_u64 }));
    for token in [&ann.token, &plain] {
        let refused = server.get("/api/admin/users").bearer(token).send();
        assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    }
    assert_eq!(server.get("/api/admin/users").send().status, 401);
}

#[tokio::test]
async fn the_present_is_counted() {
    let server = server();
    let (admin, ann) = (admin(&server), register(&server, "ann"));
    let _ws = Ws::login(&server, &ann.token).await;
    let stats = admin.get("/stats");
    assert_eq!((&stats["connections"], &stats["usersOnline"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_an_admin_did_is_noted_also_when_they_hang_up() {
    let server = server();
    let (admin, bob) = (admin(&server), register(&server, "bob"));
    let mut ws = Ws::login(&server, &bob.token).await;
    let path = format!("/api/admin/users/{}", bob.id);
    let request = server.request("DELETE", &path).bearer(admin.token()).begin();
    // From here on the erasure has begun.
    assert_eq!(ws.until_closed().await.1, Some(4403));
    drop(request);
    // It comes to its end whenever it does; a note that never came would hang this.
    while acts(&admin) != [("erase_user".to_owned(), json!(bob.id))] {}
}
