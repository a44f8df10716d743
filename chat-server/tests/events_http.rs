//! What is live, without WebSocket: pages of a log, long polling, streams.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
};

use chat_core::time::{Clock, SystemClock};
use serde_json::{Value, json};
use support::{BASE, Server, User, foreign_token};

fn send(server: &Server, user: &User, room: &str, content: &str) -> u64 {
    let request = server.post(&format!("/api/rooms/{room}/messages"), &json!({ "content": content }));
    request.bearer(&user.token).send().json()["seq"].as_u64().unwrap()
}

fn create(server: &Server, user: &User, name: &str) -> String {
    let answer = server.post("/api/rooms", &json!({ "name": name })).bearer(&user.token).send();
    answer.json()["room"]["id"].as_str().unwrap().to_owned()
}

fn log(server: &Server, user: &User, room: &str, query: &str) -> Value {
    let answer = server.get(&format!("/api/rooms/{room}/events{query}")).bearer(&user.token).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn types(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

/// The events of a stream, as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(server: &Server, user: &User, path: &str) -> Self {
        let request = server.get(path).bearer(&user.token).header("Accept", "text/event-stream");
        let mut reader = BufReader::new(request.begin());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Self(reader)
    }

    /// The next event: its type, its id and its frame. `None` at the end.
    fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        let (mut kind, mut id, mut data) = (String::new(), None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => text.clone_into(&mut kind),
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                // Sizes of chunks, comments, and the empty line that ends an event.
                _ if data.is_some() => return Some((kind, id, data.unwrap())),
                _ => {}
            }
        }
    }

    fn expect(&mut self, kind: &str) -> (Option<String>, Value) {
        loop {
            let (found, id, frame) = self.next().unwrap();
            assert_eq!(frame["type"], found);
            if found == kind {
                return (id, frame);
            }
        }
    }
}

#[test]
fn a_log_is_read_page_by_page_without_holes() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let last = (0..5).map(|number| send(&server, &ann, &room, &format!("m{number}"))).max().unwrap();
    let (mut seqs, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = log(&server, &ann, &room, &format!("?after={after}&limit=3"));
        assert_eq!(page["lastSeq"], last);
        for frame in page["items"].as_array().unwrap() {
            seqs.push(frame["seq"].as_u64().or(frame["message"]["seq"].as_u64()).unwrap());
        }
        let Some(next) = page["nextCursor"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    assert_eq!(types(&log(&server, &ann, &room, "?limit=2")), ["room_updated", "user_joined"]);
    let beyond = log(&server, &ann, &room, "?after=1000");
    assert_eq!(beyond["items"], json!([{ "type": "resync_required", "roomId": room, "seq": last }]));
    let bob = server.register("bob");
    let stranger = server.get(&format!("/api/rooms/{room}/events")).bearer(&bob.token).send();
    assert_eq!((stranger.status, &stranger.json()["code"]), (403, &json!("forbidden")));
}

#[test]
fn a_poll_waits_for_the_next_entry_and_no_longer() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let path = format!("/api/rooms/{room}/events");
    let waiting = server.get(&format!("{path}?after=2&wait=60")).bearer(&ann.token).begin();
    send(&server, &ann, &room, "news");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut { waiting }, &mut answer).unwrap();
    assert!(answer.contains("\"content\":\"news\""), "{answer}");
    // What is there already is told at once, and a wait that ends brings an empty page.
    assert_eq!(types(&log(&server, &ann, &room, "?after=2&wait=60")), ["new_message"]);
    assert_eq!(log(&server, &ann, &room, "?after=3&wait=1")["items"], json!([]));
}

#[test]
fn a_room_is_streamed_from_where_the_reader_stopped() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let first = send(&server, &ann, &room, "one");
    let mut events = Events::open(&server, &ann, &format!("/api/rooms/{room}/events?after=2"));
    let (id, frame) = events.expect("new_message");
    assert_eq!((id, &frame["message"]["content"]), (Some(first.to_string()), &json!("one")));
    assert_eq!(events.expect("caught_up").1["seq"], first);
    let second = send(&server, &ann, &room, "two");
    let (id, frame) = events.expect("new_message");
    assert_eq!((id, &frame["message"]["content"]), (Some(second.to_string()), &json!("two")));
}

#[test]
fn an_inbox_streams_all_rooms_and_goes_on_where_it_stopped() {
    let server = Server::start();
    let ann = server.register("ann");
    let (tea, hall) = (create(&server, &ann, "Tea"), create(&server, &ann, "Hall"));
    let mut events = Events::open(&server, &ann, "/api/events");
    let epoch = events.expect("authenticated").1["epoch"].as_str().unwrap().to_owned();
    let in_tea = send(&server, &ann, &tea, "milk");
    assert_eq!(events.expect("new_message").1["message"]["roomId"], tea);
    send(&server, &ann, &hall, "echo");
    assert_eq!(events.expect("new_message").1["message"]["roomId"], hall);
    drop(events);
    let missed = send(&server, &ann, &tea, "sugar");
    let mut again = Events::open(&server, &ann, &format!("/api/events?resume={tea}:{in_tea}&epoch={epoch}"));
    assert_eq!(again.expect("new_message").1["message"]["seq"], missed);
    assert_eq!(again.expect("caught_up").1, json!({ "type": "caught_up", "roomId": tea, "seq": missed }));
    let bad = server.get("/api/events?resume=x").bearer(&ann.token).send();
    assert_eq!((bad.status, &bad.json()["errors"][0]["field"]), (400, &json!("resume")));
}

#[test]
fn a_stream_ends_with_its_login() {
    let server = Server::start();
    let ann = server.register("ann");
    let mut events = Events::open(&server, &ann, "/api/events");
    events.expect("authenticated");
    assert_eq!(server.request("POST", "/api/auth/logout").bearer(&ann.token).send().status, 204);
    while let Some((kind, ..)) = events.next() {
        assert_eq!(kind, "presence", "nothing of a room is told any more");
    }
    assert_eq!(server.get("/api/events").bearer(&ann.token).send().status, 401);
}

#[test]
fn a_room_is_streamed_from_its_beginning_unless_told() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let last = send(&server, &ann, &room, "one");
    let mut events = Events::open(&server, &ann, &format!("/api/rooms/{room}/events"));
    let epoch = log(&server, &ann, &room, "")["epoch"].clone();
    assert!(epoch.is_string(), "{epoch}");
    assert_eq!(events.expect("authenticated").1["epoch"], epoch);
    let told: Vec<_> = std::iter::from_fn(|| events.next()).take(4).map(|(kind, id, _)| (kind, id)).collect();
    let at = |kind: &str, seq: u64| (kind.to_owned(), Some(seq.to_string()));
    assert_eq!(
        told,
        [at("room_updated", 1), at("user_joined", 2), at("new_message", last), at("caught_up", last)]
    );
}

#[test]
fn what_was_read_of_another_history_is_not_gone_on_with() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let last = send(&server, &ann, &room, "one");
    let epoch = log(&server, &ann, &room, "")["epoch"].as_str().unwrap().to_owned();
    let resync = json!({ "type": "resync_required", "roomId": room, "seq": last });
    assert_eq!(types(&log(&server, &ann, &room, &format!("?after=2&epoch={epoch}"))), ["new_message"]);
    let page = log(&server, &ann, &room, "?after=2&wait=60&epoch=another");
    assert_eq!((&page["items"], &page["epoch"]), (&json!([resync]), &json!(epoch)));
    let stream = |epoch: &str| {
        let mut events =
            Events::open(&server, &ann, &format!("/api/rooms/{room}/events?after=2&epoch={epoch}"));
        events.expect("authenticated");
        events.next().unwrap()
    };
    assert_eq!(stream(&epoch).0, "new_message");
    assert_eq!(stream("another"), ("resync_required".into(), Some(last.to_string()), resync));
}

#[test]
fn as_many_rooms_are_gone_on_with_as_the_head_of_a_request_holds() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let rooms = |count: usize| -> String {
        let unknown = (1..count).map(|n| format!("{n:036}"));
        let all: Vec<_> = std::iter::once(room.clone()).chain(unknown).collect();
        all.iter().map(|room| format!("&resume={room}%3A9007199254740991")).collect()
    };
    let mut events = Events::open(&server, &ann, &format!("/api/events?{}", &rooms(200)[1..]));
    events.expect("authenticated");
    assert_eq!(events.expect("resync_required").1["roomId"], room);
    for _ in 1..200 {
        assert_eq!(events.next().unwrap().0, "resume_failed");
    }
    let more = server.get(&format!("/api/events?{}", &rooms(201)[1..])).bearer(&ann.token).send();
    assert_eq!((more.status, &more.json()["errors"][0]["field"]), (400, &json!("resume")));
    let far_more = server.get(&format!("/api/events?{}", &rooms(500)[1..])).bearer(&ann.token).send();
    assert_eq!((far_more.status, far_more.body.as_str()), (431, ""));
    let described = server.get("/api/openapi.json").send().json();
    let operation = &described["paths"]["/api/events"]["get"];
    assert_eq!(operation["parameters"][0]["schema"]["maxItems"], 200);
    for operation in
        described["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap())
    {
        let (told, content) = (&operation.1["responses"]["431"], &operation.1["responses"]["431"]["content"]);
        assert!(told["description"].is_string() && content.is_null(), "{operation:?}");
    }
}

fn poll(server: &Server, token: &str, room: &str) -> TcpStream {
    server.get(&format!("/api/rooms/{room}/events?after=2&wait=60")).bearer(token).begin()
}

fn status_and_code(stream: TcpStream) -> (u16, Value) {
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut { stream }, &mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    (head[9..12].parse().unwrap(), body["code"].clone())
}

#[test]
fn a_poll_ends_with_its_login() {
    let server = Server::start();
    let ann = server.register("ann");
    let room = create(&server, &ann, "Garden");
    let waiting = poll(&server, &ann.token, &room);
    assert_eq!(server.request("POST", "/api/auth/logout").bearer(&ann.token).send().status, 204);
    assert_eq!(status_and_code(waiting), (401, json!("invalid_token")));
}

#[test]
fn a_poll_ends_when_its_token_runs_out() {
    let secret = "a secret of theirs, of 32 bytes and more";
    let external =
        format!("[auth.external]\nissuer = \"them\"\naudience = \"chat\"\nhs256_secret = \"{secret}\"\n");
    let server = Server::with(&format!("{BASE}{external}"));
    let now = SystemClock.now().as_millis() / 1_000;
    let token = |until: i64| {
        let claims = json!({ "iss": "them", "aud": "chat", "sub": "user-42", "name": "carol", "exp": until });
        foreign_token(secret, &claims)
    };
    let body = json!({ "name": "Garden" });
    let room = server.post("/api/rooms", &body).bearer(&token(4_102_444_800)).send().json();
    let waiting = poll(&server, &token(now + 3), room["room"]["id"].as_str().unwrap());
    assert_eq!(status_and_code(waiting), (401, json!("token_expired")));
}

#[test]
fn a_stream_of_a_room_ends_when_nothing_more_will_come_of_it() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let room = create(&server, &ann, "Garden");
    let path = format!("/api/rooms/{room}");
    let act = |user: &User, method: &str, path: &str| {
        let status = server.request(method, path).bearer(&user.token).send().status;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    };
    let join = |user: &User| act(user, "POST", &format!("{path}/join"));
    let open = |user: &User| {
        let mut events = Events::open(&server, user, &format!("{path}/events"));
        events.expect("caught_up");
        events
    };
    let last = |mut events: Events| -> String {
        std::iter::from_fn(|| events.next())
            .map(|(kind, ..)| kind)
            .filter(|kind| kind != "presence")
            .last()
            .unwrap()
    };
    join(&bob);
    let of_bob = open(&bob);
    act(&bob, "DELETE", &format!("{path}/leave"));
    assert_eq!(last(of_bob), "user_left");
    // What was left and joined again goes on after that.
    join(&bob);
    let of_bob = open(&bob);
    act(&ann, "DELETE", &format!("{path}/members/{}", bob.id));
    assert_eq!(last(of_bob), "user_left");
    let of_ann = open(&ann);
    act(&ann, "DELETE", &path);
    assert_eq!(last(of_ann), "room_deleted");
}
