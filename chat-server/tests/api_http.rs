//! What the WebSocket's commands do, over HTTP: the same effects, and bodies of the same form.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::{Value, json};
use support::{Server, User, api::Api, is_time};

/// Sends a message, and is told of it.
#[track_caller]
fn send(api: &Api<'_>, room: &str, content: &str) -> Value {
    api.done("POST", &format!("/api/rooms/{room}/messages"), Some(&json!({ "content": content })))
}

fn two(server: &Server) -> (User, User) {
    (server.register("ann"), server.register("bob"))
}

#[test]
fn a_message_is_edited_reacted_to_pinned_and_deleted() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let (ann, bob) = (Api::of(&server, &ann), Api::of(&server, &bob));
    let sent = send(&ann, "lobby", "helo");
    let (id, seq) = (sent["messageId"].as_str().unwrap(), sent["seq"].as_u64().unwrap());
    let path = format!("/api/rooms/lobby/messages/{id}");
    assert_eq!(ann.done("PUT", &path, Some(&json!({ "content": "hello" }))), json!({ "seq": seq + 1 }));
    let edits = bob.get(&format!("{path}/history"));
    assert_eq!(
        (&edits["items"][0]["content"], edits["items"].as_array().unwrap().len()),
        (&json!("helo"), 1)
    );
    let reaction = format!("{path}/reactions/%F0%9F%91%8D");
    assert_eq!(bob.done("PUT", &reaction, None), json!({ "seq": seq + 2 }));
    assert_eq!(
        bob.done("PUT", &reaction, None)["seq"].as_u64().unwrap_or(seq + 2),
        seq + 2,
        "once is enough"
    );
    let shown = bob.get("/api/rooms/lobby/messages?limit=1")["messages"][0].clone();
    assert_eq!(shown["reactions"], json!([{ "emoji": "👍", "count": 1, "userIds": [bob.id] }]));
    assert_eq!(bob.done("DELETE", &reaction, None), json!({ "seq": seq + 3 }));
    let reply = json!({ "content": "in the thread", "threadId": id });
    assert_eq!(bob.ask("POST", "/api/rooms/lobby/messages", Some(&reply)).status, 201);
    let thread = ann.get(&format!("{path}/thread"));
    let contents: Vec<_> = thread["messages"].as_array().unwrap().iter().map(|it| &it["content"]).collect();
    assert_eq!(contents, ["hello", "in the thread"]);
    assert_eq!(bob.refused("DELETE", &path, None), (403, json!("forbidden")));
    ann.done("DELETE", &path, None);
    let tombstone =
        bob.get(&format!("/api/rooms/lobby/messages?around={seq}&limit=1"))["messages"][0].clone();
    assert_eq!((&tombstone["content"], &tombstone["deletedBy"]), (&json!(""), &json!(ann.id)));
    assert!(is_time(&tombstone["deletedAt"]));
    assert_eq!(ann.refused("PUT", &path, Some(&json!({ "content": "x" }))), (404, json!("not_found")));
}

#[test]
fn an_owner_changes_their_room_and_its_members() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let (ann, bob) = (Api::of(&server, &ann), Api::of(&server, &bob));
    let room = ann.done("POST", "/api/rooms", Some(&json!({ "name": "Garden" })))["room"].clone();
    let path = format!("/api/rooms/{}", room["id"].as_str().unwrap());
    bob.done("POST", &format!("{path}/join"), None);
    let change = json!({ "topic": "plants", "slowModeSeconds": 5, "retentionDays": 30, "archived": false });
    let changed = ann.done("PATCH", &path, Some(&change))["room"].clone();
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["slowModeSeconds"], &changed["retentionDays"]),
        (&json!("Garden"), &json!("plants"), &json!(5), &json!(30))
    );
    let freed = ann.done("PATCH", &path, Some(&json!({ "retentionDays": null, "slowModeSeconds": 0 })));
    assert_eq!(freed["room"].get("retentionDays"), None);
    assert_eq!(bob.refused("PATCH", &path, Some(&json!({ "name": "Mine" }))), (403, json!("forbidden")));
    let member = format!("{path}/members/{}", bob.id);
    ann.done("PUT", &member, Some(&json!({ "role": "moderator" })));
    assert_eq!(ann.get(&format!("{path}/members"))["items"][1]["role"], "moderator");
    ann.done("PUT", &member, Some(&json!({ "role": "member" })));
    ann.done("PUT", &member, Some(&json!({ "mutedUntil": "2999-01-01T00:00:00Z" })));
    let send = format!("{path}/messages");
    assert_eq!(bob.refused("POST", &send, Some(&json!({ "content": "x" }))), (403, json!("forbidden")));
    ann.done("PUT", &member, Some(&json!({ "mutedUntil": null })));
    assert_eq!(bob.ask("POST", &send, Some(&json!({ "content": "x" }))).status, 201);
    assert_eq!(ann.refused("PUT", &member, Some(&json!({}))), (400, json!("bad_request")));
    ann.done("DELETE", &format!("{member}?reason=tired"), None);
    assert_eq!(bob.refused("POST", &send, Some(&json!({ "content": "x" }))), (403, json!("forbidden")));
    let ban = format!("{path}/bans/{}", bob.id);
    ann.done("PUT", &ban, None);
    assert_eq!(bob.refused("POST", &format!("{path}/join"), None), (403, json!("forbidden")));
    ann.done("DELETE", &ban, None);
    bob.done("POST", &format!("{path}/join"), None);
    let acts = ann.get(&format!("{path}/audit"));
    let acts: Vec<_> =
        acts["items"].as_array().unwrap().iter().map(|record| record["act"].as_str().unwrap()).collect();
    assert!(acts.contains(&"kick") && acts.contains(&"ban") && acts.contains(&"unban"), "{acts:?}");
    ann.done("DELETE", &path, None);
    assert_eq!(bob.refused("GET", &path, None), (404, json!("not_found")));
}

#[test]
fn a_private_room_is_joined_by_invitation_or_by_link() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let carol = server.register("carol");
    let http = |user| Api::of(&server, user);
    let (ann, bob, carol) = (http(&ann), http(&bob), http(&carol));
    let room = ann.done("POST", "/api/rooms", Some(&json!({ "name": "Vault", "private": true })));
    let path = format!("/api/rooms/{}", room["room"]["id"].as_str().unwrap());
    assert_eq!(bob.refused("GET", &path, None), (404, json!("not_found")));
    let invited = ann.done("POST", &format!("{path}/invites"), Some(&json!({ "userId": bob.id })));
    let listed = bob.get("/api/invites");
    assert_eq!(listed["items"][0]["inviteId"], invited["inviteId"]);
    let invite = format!("/api/invites/{}", invited["inviteId"].as_str().unwrap());
    assert_eq!(carol.refused("POST", &format!("{invite}/accept"), None), (404, json!("not_found")));
    bob.done("POST", &format!("{invite}/accept"), None);
    assert_eq!(bob.get(&path)["room"]["name"], "Vault");
    let link = ann.done("POST", &format!("{path}/invite-links"), Some(&json!({ "maxUses": 1 })));
    let token = json!({ "token": link["token"] });
    assert_eq!(carol.done("POST", "/api/invite-links/join", Some(&token))["room"]["name"], "Vault");
    let links = ann.get(&format!("{path}/invite-links"));
    assert_eq!((&links["items"][0]["linkId"], &links["items"][0]["uses"]), (&link["linkId"], &json!(1)));
    ann.done("DELETE", &format!("{path}/invite-links"), Some(&token));
    assert_eq!(ann.get(&format!("{path}/invite-links"))["items"], json!([]));
}

#[test]
fn two_write_to_each_other_until_one_blocks_the_other() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let (ann, bob) = (Api::of(&server, &ann), Api::of(&server, &bob));
    let (to_bob, to_ann) =
        (format!("/api/direct-messages/{}", bob.id), format!("/api/direct-messages/{}", ann.id));
    let empty = ann.get(&to_bob);
    assert_eq!((&empty["messages"], &empty["hasMoreBefore"]), (&json!([]), &json!(false)));
    assert_eq!(ann.refused("GET", "/api/direct-messages/nobody", None), (404, json!("not_found")));
    let sent = ann.ask("POST", &to_bob, Some(&json!({ "content": "hi" })));
    assert_eq!(sent.status, 201);
    let page = bob.get(&to_ann);
    assert_eq!(
        (&page["messages"][0]["content"], &page["messages"][0]["recipientId"]),
        (&json!("hi"), &json!(bob.id))
    );
    let rooms = bob.get("/api/direct-messages");
    assert_eq!(rooms["items"][0]["user"], json!({ "id": ann.id, "username": "ann" }));
    assert_eq!((&rooms["items"][0]["unread"], rooms["items"].as_array().unwrap().len()), (&json!(1), 1));
    bob.done("PUT", &format!("/api/users/{}/block", ann.id), None);
    assert_eq!(bob.get("/api/users/me/blocks")["items"][0]["username"], "ann");
    assert_eq!(ann.refused("POST", &to_bob, Some(&json!({ "content": "?" }))), (403, json!("forbidden")));
    bob.done("DELETE", &format!("/api/users/{}/block", ann.id), None);
    assert_eq!(ann.ask("POST", &to_bob, Some(&json!({ "content": "!" }))).status, 201);
}

#[test]
fn a_profile_is_changed_and_found() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let (ann, bob) = (Api::of(&server, &ann), Api::of(&server, &bob));
    let me = ann.get("/api/users/me");
    assert!(is_time(&me["createdAt"]));
    assert_eq!(
        me,
        json!({
            "id": ann.id, "username": "ann", "displayName": null, "avatarUrl": null, "status": "offline",
            "statusText": null, "lastSeenAt": null, "email": "ann@example.org", "createdAt": me["createdAt"],
            "serverRole": "user",
        })
    );
    let change = json!({ "username": "anna", "displayName": "Anna K.", "statusText": "gardening" });
    let changed = ann.done("PUT", "/api/users/me", Some(&change));
    assert_eq!(
        (&changed["username"], &changed["displayName"], &changed["statusText"]),
        (&json!("anna"), &json!("Anna K."), &json!("gardening"))
    );
    let found = bob.get("/api/users?query=AN");
    assert_eq!((&found["items"][0]["displayName"], &found["nextCursor"]), (&json!("Anna K."), &json!(null)));
    assert_eq!(found["items"][0].get("email"), None, "others see no address");
    assert_eq!(bob.get(&format!("/api/users/{}", ann.id))["username"], "anna");
    assert_eq!(
        bob.refused("PUT", "/api/users/me", Some(&json!({ "username": "ANNA" }))),
        (409, json!("conflict"))
    );
    let bad =
        bob.ask("PUT", "/api/users/me", Some(&json!({ "username": "a b", "displayName": "\u{202e}x" })));
    let fields: Vec<_> =
        bad.json()["errors"].as_array().unwrap().iter().map(|it| it["field"].clone()).collect();
    assert_eq!((bad.status, fields), (400, vec![json!("username"), json!("displayName")]));
}

#[test]
fn what_was_reported_is_listed_and_resolved() {
    let server = Server::start();
    let (ann, bob) = two(&server);
    let (ann, bob) = (Api::of(&server, &ann), Api::of(&server, &bob));
    let room = ann.done("POST", "/api/rooms", Some(&json!({ "name": "Garden" })));
    let path = format!("/api/rooms/{}", room["room"]["id"].as_str().unwrap());
    bob.done("POST", &format!("{path}/join"), None);
    let sent = send(&ann, room["room"]["id"].as_str().unwrap(), "weeds");
    let report = format!("{path}/messages/{}/report", sent["messageId"].as_str().unwrap());
    assert_eq!(bob.ask("POST", &report, Some(&json!({ "reason": "rude" }))).status, 204);
    let reports = ann.get(&format!("{path}/reports"));
    assert_eq!(
        (&reports["items"][0]["reason"], &reports["items"][0]["message"]["content"]),
        (&json!("rude"), &json!("weeds"))
    );
    assert_eq!(bob.refused("GET", &format!("{path}/reports"), None), (403, json!("forbidden")));
    let resolve = format!("{path}/reports/{}/resolve", reports["items"][0]["reportId"].as_str().unwrap());
    assert_eq!(ann.ask("POST", &resolve, None).status, 204);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let server = Server::start();
    let ann = server.register("ann");
    let first = server.get("/api/rooms/lobby").bearer(&ann.token).send();
    let tag = first.header("etag").unwrap();
    let again = server.get("/api/rooms/lobby").bearer(&ann.token).header("If-None-Match", tag).send();
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)));
    let head = server.request("HEAD", "/api/rooms/lobby").bearer(&ann.token).send();
    let length = first.body.len().to_string();
    assert_eq!(
        (head.status, head.body.as_str(), head.header("etag"), head.header("content-length")),
        (200, "", Some(tag), Some(length.as_str()))
    );
    let again = server.request("HEAD", "/api/rooms/lobby").bearer(&ann.token).header("If-None-Match", tag);
    let again = again.send();
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)));
    send(&Api::of(&server, &ann), "lobby", "news");
    let changed = server.get("/api/rooms/lobby").bearer(&ann.token).header("If-None-Match", tag).send();
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag));
}

#[test]
fn the_description_and_its_reader_are_open_and_need_nothing_from_elsewhere() {
    let server = Server::start();
    let document = server.get("/api/openapi.json").send();
    assert_eq!((document.status, &document.json()["openapi"]), (200, &json!("3.1.0")));
    let page = server.get("/api/docs").send();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(
        !page.body.contains("<script") && !page.body.contains("http://") && !page.body.contains("https://")
    );
    for (path, item) in document.json()["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(page.body.contains(&format!("id=\"{name}\"")), "{path} {name}");
        }
    }
}
