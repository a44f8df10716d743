//! Files over HTTP: what is answered to an upload, and who may have it afterwards.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{
    BASE, PASSWORD, Server, User,
    http::Answer,
    multipart::{PNG, content_type, end, part},
    ws::Ws,
};

/// What is answered about a file that is not there, or must look so.
fn assert_hidden(answer: &Answer) {
    let expected =
        json!({ "code": "not_found", "title": "Not Found", "status": 404, "detail": "file not found" });
    answer.assert_problem(404, &expected);
}

fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// Uploads a picture: its id and its URL.
fn picture(server: &Server, user: &User) -> (String, String) {
    let answer = server.upload(user, "me.png", PNG);
    assert_eq!(answer.status, 201, "{answer:?}");
    (text(&answer, "fileId"), text(&answer, "url"))
}

fn room(server: &Server, owner: &User, private: bool) -> String {
    let answer = server
        .post("/api/rooms", &json!({ "name": "Garden", "private": private }))
        .bearer(&owner.token)
        .send();
    answer.json()["room"]["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn join(server: &Server, user: &User, room: &str) {
    assert_eq!(
        server.request("POST", &format!("/api/rooms/{room}/join")).bearer(&user.token).send().status,
        200
    );
}

/// Posts a file into a room: the id of the message.
fn post(server: &Server, user: &User, room: &str, file: &str) -> String {
    let body = json!({ "content": "", "messageType": "image", "attachments": [{ "fileId": file }] });
    let answer = server.post(&format!("/api/rooms/{room}/messages"), &body).bearer(&user.token).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    text(&answer, "messageId")
}

fn get(server: &Server, user: &User, url: &str) -> Answer {
    server.get(url).bearer(&user.token).send()
}

fn command(kind: &str, room: &str, fields: &Value) -> Value {
    let mut command = json!({ "type": kind, "id": 7, "roomId": room });
    command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    command
}

async fn does(ws: &mut Ws, kind: &str, room: &str, fields: &Value) {
    let answer = ws.ask(command(kind, room, fields)).await;
    assert_eq!(answer["type"], "ack", "{kind}: {answer}");
}

#[test]
fn an_upload_is_told_by_its_content_and_is_served_so_that_a_browser_runs_nothing_of_it() {
    let server = Server::start();
    let ann = server.register("ann");
    let answer = server.upload(&ann, "../Größe.exe", PNG);
    assert_eq!(answer.status, 201, "{answer:?}");
    let told = answer.json();
    let (id, url) = (told["fileId"].as_str().unwrap(), told["url"].as_str().unwrap());
    assert_eq!(url, format!("/api/files/{id}/Gr%C3%B6%C3%9Fe.png"));
    let size = told["size"].as_u64().unwrap();
    assert_eq!(
        told,
        json!({ "fileId": id, "name": "Größe.png", "mime": "image/png", "size": size, "url": url,
            "width": 1, "height": 1, "thumbnailUrl": format!("{url}?thumbnail=1") })
    );
    let served = get(&server, &ann, url);
    assert_eq!((served.status, served.bytes.len() as u64), (200, size));
    assert!(served.bytes.starts_with(b"\x89PNG"));
    let size = size.to_string();
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", size.as_str()),
        ("content-disposition", "inline; filename=\"Gr__e.png\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.png"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "private, no-cache"),
        ("accept-ranges", "bytes"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("etag", &format!("\"{id}\"")),
    ] {
        assert_eq!(served.header(name), Some(value), "{name}");
    }
    let small = get(&server, &ann, &format!("{url}?thumbnail=1"));
    assert_eq!((small.status, small.header("content-type")), (200, Some("image/png")));
    assert_eq!(small.header("content-length").unwrap(), small.bytes.len().to_string());
    for (content, mime) in
        [(&b"hello"[..], "text/plain; charset=utf-8"), (b"%PDF-1.7\n/JS (app.alert(1))", "application/pdf")]
    {
        let url = text(&server.upload(&ann, "x", content), "url");
        let served = get(&server, &ann, &url);
        assert_eq!((served.bytes.as_slice(), served.header("content-type")), (content, Some(mime)));
        assert!(served.header("content-disposition").unwrap().starts_with("attachment; "), "{served:?}");
        assert_hidden(&get(&server, &ann, &format!("{url}?thumbnail=1")));
    }
}

#[test]
fn a_part_of_a_file_is_given_out_and_what_the_client_has_is_not_sent_again() {
    let server = Server::start();
    let ann = server.register("ann");
    let url = text(&server.upload(&ann, "a.txt", b"0123456789"), "url");
    let ask = |name: &str, value: &str| server.get(&url).bearer(&ann.token).header(name, value).send();
    let part = ask("Range", "bytes=2-4");
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"234"[..]));
    assert_eq!(
        (part.header("content-range"), part.header("content-length")),
        (Some("bytes 2-4/10"), Some("3"))
    );
    assert_eq!(ask("Range", "bytes=-3").bytes, b"789");
    let beyond = ask("Range", "bytes=10-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));
    assert_eq!(beyond.header("content-type"), Some("application/problem+json"));
    let whole = ask("Range", "bytes=0-1,3-4");
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, &b"0123456789"[..]));
    let tag = whole.header("etag").unwrap().to_owned();
    let known = ask("If-None-Match", &tag);
    assert_eq!((known.status, known.bytes.len(), known.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(known.header("cache-control"), Some("private, no-cache"));
    let with = |if_range: &str| {
        server
            .get(&url)
            .bearer(&ann.token)
            .header("Range", "bytes=0-0")
            .header("If-Range", if_range)
            .send()
            .status
    };
    assert_eq!((with(&tag), with("\"other\"")), (206, 200));
    let head = || server.request("HEAD", &url).bearer(&ann.token);
    // A range is of `GET` alone (RFC 9110, 14.2).
    for head in [head(), head().header("Range", "bytes=2-4"), head().header("Range", "bytes=10-")] {
        let mut head = head.send();
        assert_eq!((head.status, head.bytes.len(), head.header("content-length")), (200, 0, Some("10")));
        let mut got = whole.clone();
        for answer in [&mut head, &mut got] {
            answer.headers.retain(|(name, _)| name != "date");
            answer.headers.sort();
        }
        assert_eq!(head.headers, got.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_for_who_may_read_its_message_at_that_moment() {
    let server = Server::start();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.register(name));
    let (file, url) = picture(&server, &ann);
    // Unclaimed: its owner's alone.
    assert_eq!(get(&server, &ann, &url).status, 200);
    assert_hidden(&get(&server, &bob, &url));
    assert_hidden(&get(&server, &bob, "/api/files/01900000-0000-7000-8000-000000000000/x.png"));
    assert_hidden(&get(&server, &bob, "/api/files/..%2f..%2fetc/passwd"));
    let anonymous = server.get(&url).send();
    assert_eq!((anonymous.status, &anonymous.json()["code"]), (401, &json!("unauthenticated")));
    // Posted: its room's, as long as they are in it.
    let garden = room(&server, &ann, false);
    join(&server, &bob, &garden);
    let message = post(&server, &ann, &garden, &file);
    assert_eq!(get(&server, &bob, &url).status, 200);
    assert_eq!(get(&server, &bob, &format!("{url}?thumbnail=1")).status, 200);
    assert_hidden(&get(&server, &eve, &url));
    let mut anns = Ws::login(&server, &ann.token).await;
    does(&mut anns, "kick", &garden, &json!({ "userId": bob.id })).await;
    assert_hidden(&get(&server, &bob, &url));
    assert_hidden(&get(&server, &bob, &format!("{url}?thumbnail=1")));
    join(&server, &bob, &garden);
    assert_eq!(get(&server, &bob, &url).status, 200);
    assert_eq!(
        server.request("DELETE", &format!("/api/rooms/{garden}/leave")).bearer(&bob.token).send().status,
        204
    );
    assert_hidden(&get(&server, &bob, &url));
    // Deleted: nobody's.
    join(&server, &bob, &garden);
    does(&mut anns, "delete_message", &garden, &json!({ "messageId": message })).await;
    assert_hidden(&get(&server, &bob, &url));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_posted_before_somebody_came_is_hidden_where_history_is() {
    let server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.register(name));
    let garden = room(&server, &ann, false);
    let mut anns = Ws::login(&server, &ann.token).await;
    does(&mut anns, "update_room", &garden, &json!({ "history": "since_join" })).await;
    let (before, before_url) = picture(&server, &ann);
    post(&server, &ann, &garden, &before);
    join(&server, &bob, &garden);
    let (after, after_url) = picture(&server, &ann);
    post(&server, &ann, &garden, &after);
    assert_hidden(&get(&server, &bob, &before_url));
    assert_eq!(get(&server, &bob, &after_url).status, 200);
    // Posted again where he is, it is his to see.
    post(&server, &ann, &garden, &before);
    assert_eq!(get(&server, &bob, &before_url).status, 200);
    does(&mut anns, "delete_room", &garden, &json!({})).await;
    assert_hidden(&get(&server, &bob, &before_url));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_direct_message_is_for_the_two() {
    let server = Server::start();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.register(name));
    let (file, url) = picture(&server, &ann);
    let mut anns = Ws::login(&server, &ann.token).await;
    let sent = anns
        .ask(json!({ "type": "send_dm", "id": 1, "recipientId": bob.id, "content": "", "attachments": [{ "fileId": file }] }))
        .await;
    assert_eq!(sent["type"], "ack", "{sent}");
    assert_eq!(get(&server, &bob, &url).status, 200);
    assert_hidden(&get(&server, &eve, &url));
}

#[test]
fn only_ones_own_uploads_can_be_posted_and_what_is_known_of_them_is_what_is_told() {
    let server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.register(name));
    let (file, url) = picture(&server, &ann);
    let garden = room(&server, &bob, false);
    join(&server, &ann, &garden);
    let send = |user: &User, attachment: Value| {
        let body = json!({ "content": "x", "attachments": [attachment] });
        server.post(&format!("/api/rooms/{garden}/messages"), &body).bearer(&user.token).send()
    };
    for stolen in [
        json!({ "fileId": file }),
        json!({ "fileId": file, "name": "n", "mime": "image/png", "size": 1, "url": "https://example.org/x" }),
        json!({ "fileId": "f", "name": "n", "mime": "image/png", "size": 1, "url": url }),
    ] {
        let answer = send(&bob, stolen);
        assert_eq!((answer.status, &answer.json()["detail"]), (404, &json!("file not found")), "{answer:?}");
    }
    assert_hidden(&get(&server, &bob, &url));
    let lie = json!({ "fileId": file, "name": "x.exe", "mime": "text/html", "size": 1, "url": "https://example.org/x" });
    assert_eq!(send(&ann, lie).status, 201);
    let page = get(&server, &bob, &format!("/api/rooms/{garden}/messages")).json();
    let size = get(&server, &bob, &url).bytes.len();
    let shown = json!([{ "fileId": file, "name": "me.png", "mime": "image/png", "size": size, "url": url, "width": 1, "height": 1 }]);
    assert_eq!(page["messages"][0]["attachments"], shown);
    let elsewhere =
        json!({ "fileId": "f", "name": "n", "mime": "image/png", "size": 1, "url": "https://example.org/x" });
    assert_eq!(send(&bob, elsewhere).status, 201);
    assert_eq!(send(&bob, json!({ "fileId": "f", "url": "https://example.org/x" })).status, 400);
}

/// The cookie for files that a login has set.
fn pass(answer: &Answer) -> String {
    let lines = answer
        .headers
        .iter()
        .filter(|(name, value)| name == "set-cookie" && value.starts_with("chat_files="));
    let lines: Vec<_> = lines.map(|(_, value)| value.clone()).collect();
    let [line] = lines.as_slice() else { panic!("{answer:?}") };
    let (pass, attributes) = line.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/api/files; Max-Age=604800; HttpOnly; SameSite=Strict");
    pass.to_owned()
}

#[test]
fn a_browser_loads_files_by_a_cookie_that_is_good_for_nothing_else_and_ends_with_its_login() {
    let server = Server::start();
    let ann = server.register("ann");
    let (_, url) = picture(&server, &ann);
    let login = server.post("/api/auth/login", &json!({ "login": "ann", "password": PASSWORD })).send();
    let (pass, token) = (pass(&login), text(&login, "accessToken"));
    let load = |path: &str, site: Option<&str>| {
        let request = server.get(path).header("Cookie", &pass);
        site.map_or(request, |site| server.get(path).header("Cookie", &pass).header("Sec-Fetch-Site", site))
            .send()
    };
    for site in [None, Some("same-origin"), Some("none")] {
        assert_eq!(load(&url, site).status, 200, "{site:?}");
    }
    for site in ["cross-site", "same-site", ""] {
        assert_eq!(load(&url, Some(site)).status, 401, "{site}");
    }
    for other in ["/api/rooms", "/api/users/me/export", "/api/users/me"] {
        let answer = load(other, None);
        assert_ne!(answer.status, 200, "{other}");
    }
    let value = pass.strip_prefix("chat_files=").unwrap();
    assert_eq!(server.get("/api/rooms").bearer(value).send().status, 401);
    assert_eq!(server.post("/api/auth/refresh", &json!({ "refreshToken": value })).send().status, 401);
    let other = if pass.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{other}", &pass[..pass.len() - 1]);
    for forged in [forged.as_str(), "chat_files=", "chat_files=files.x.y", &format!("chat_files={token}")] {
        assert_eq!(server.get(&url).header("Cookie", forged).send().status, 401, "{forged}");
    }
    let upload = [part("file", Some("x"), b"x"), end()].concat();
    let uploading =
        server.request("POST", "/api/upload").header("Cookie", &pass).header("Content-Type", &content_type());
    assert_eq!(uploading.body(upload).send().status, 401);
    assert_eq!(server.request("POST", "/api/auth/logout").bearer(&token).send().status, 204);
    assert_eq!(load(&url, None).status, 401);
    assert_eq!(get(&server, &ann, &url).status, 200, "the other login goes on");
}

#[test]
fn files_are_read_at_a_rate_of_their_own_by_whatever_proof() {
    let server = Server::with(&format!("{BASE}file_reads_per_second = 1\n"));
    let ann = server.register("ann");
    let (_, url) = picture(&server, &ann);
    let login = server.post("/api/auth/login", &json!({ "login": "ann", "password": PASSWORD })).send();
    let by_cookie = || server.get(&url).header("Cookie", &pass(&login)).send();
    // However slow this machine is, a second passes but now and then.
    let answers: Vec<_> = (0..10).flat_map(|_| [by_cookie(), get(&server, &ann, &url)]).collect();
    assert_eq!(answers[0].status, 200);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|answer| answer.header("retry-after") == Some("1")), "{refused:?}");
    assert_eq!(server.get("/api/rooms").bearer(&ann.token).send().status, 200);
}

#[test]
fn where_the_server_is_reached_by_https_the_cookie_for_files_is_for_encrypted_connections() {
    let server = Server::with(&format!("public_url = \"https://chat.example.org\"\n{BASE}"));
    let ann = server.register("ann");
    let (_, url) = picture(&server, &ann);
    let login = server.post("/api/auth/login", &json!({ "login": "ann", "password": PASSWORD })).send();
    let set = login.headers.iter().find(|(_, value)| value.starts_with("__Secure-chat_files=")).unwrap();
    let (pass, attributes) = set.1.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/api/files; Secure; Max-Age=604800; HttpOnly; SameSite=Strict");
    assert_eq!(server.get(&url).header("Cookie", pass).send().status, 200);
    let plain = pass.replace("__Secure-", "");
    assert_eq!(server.get(&url).header("Cookie", &plain).send().status, 401);
}

#[test]
fn a_picture_of_oneself_is_a_square_that_everybody_may_see_and_the_one_before_is_gone() {
    let server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.register(name));
    let put = |content: &[u8]| {
        let body = [part("file", Some("me.png"), content), end()].concat();
        let request = server.request("PUT", "/api/users/me/avatar").bearer(&ann.token);
        request.header("Content-Type", &content_type()).body(body).send()
    };
    let first = put(PNG);
    assert_eq!((first.status, &first.json()["username"]), (200, &json!("ann")), "{first:?}");
    let first = text(&first, "avatarUrl");
    let served = get(&server, &bob, &first);
    assert_eq!((served.status, served.header("content-type")), (200, Some("image/png")));
    assert_eq!(get(&server, &bob, &format!("/api/users/{}", ann.id)).json()["avatarUrl"], json!(first));
    let second = text(&put(PNG), "avatarUrl");
    assert_hidden(&get(&server, &bob, &first));
    assert_eq!(get(&server, &bob, &second).status, 200);
    let refused = put(b"hello");
    assert_eq!(
        (refused.status, &refused.json()["detail"]),
        (400, &json!("files of this type are not accepted"))
    );
    let garden = room(&server, &ann, false);
    let file = second.split('/').nth(3).unwrap();
    let body = json!({ "content": "x", "attachments": [{ "fileId": file }] });
    let posted = server.post(&format!("/api/rooms/{garden}/messages"), &body).bearer(&ann.token).send();
    assert_eq!(posted.status, 404, "an avatar is no attachment");
    let removed = server.request("DELETE", "/api/users/me/avatar").bearer(&ann.token).send();
    assert_eq!((removed.status, &removed.json()["avatarUrl"]), (200, &json!(null)));
    assert_hidden(&get(&server, &bob, &second));
}

#[test]
fn who_is_erased_takes_their_files_along() {
    let server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.register(name));
    let (file, url) = picture(&server, &ann);
    let garden = room(&server, &bob, false);
    join(&server, &ann, &garden);
    post(&server, &ann, &garden, &file);
    assert_eq!(get(&server, &bob, &url).status, 200);
    assert_eq!(server.request("DELETE", "/api/users/me").bearer(&ann.token).send().status, 204);
    assert_hidden(&get(&server, &bob, &url));
}

#[test]
fn ones_files_are_listed_among_what_is_ones_own() {
    let server = Server::start();
    let ann = server.register("ann");
    let (file, url) = picture(&server, &ann);
    let list = get(&server, &ann, "/api/users/me/export").json();
    let listed = list.as_array().unwrap().iter().find(|item| item["type"] == "file").unwrap();
    let size = get(&server, &ann, &url).bytes.len();
    let expected = json!({ "type": "file", "fileId": file, "name": "me.png", "mime": "image/png", "size": size,
        "purpose": "attachment", "createdAt": listed["createdAt"], "url": url });
    assert_eq!(listed, &expected);
}

#[test]
fn a_file_is_there_after_a_crash() {
    let server = Server::start();
    let ann = server.register("ann");
    let (_, url) = picture(&server, &ann);
    let before = get(&server, &ann, &url);
    let server = server.kill_and_restart();
    let after = get(&server, &ann, &url);
    assert_eq!((after.status, after.bytes), (200, before.bytes));
}
