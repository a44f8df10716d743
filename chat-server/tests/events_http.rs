//! What is live, without WebSocket: pages of a log, long polling, streams.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
};

use serde_json::{Value, json};
use support::{Server, User};

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
