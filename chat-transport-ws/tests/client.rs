//! The client against a server that follows a script, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{io, sync::Arc, time::Duration};

use chat_transport_ws::client::{BoxStream, ClientBuilder, ClientError, Dial, Event, Events, WsClient};
use futures::{SinkExt, StreamExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::CloseFrame},
};

/// Streams within the process, handed to the script.
struct Wire(mpsc::UnboundedSender<DuplexStream>);

impl Dial for Wire {
    fn dial(&self, _address: &http::Uri) -> BoxFuture<'static, io::Result<BoxStream>> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let dialled = self.0.send(far).map_err(|_| io::ErrorKind::ConnectionRefused.into());
        Box::pin(async move { dialled.map(|()| Box::pin(near) as BoxStream) })
    }
}

struct Server(mpsc::UnboundedReceiver<DuplexStream>);

struct Link(WebSocketStream<DuplexStream>);

impl Server {
    /// A connection with its `authenticate`.
    async fn accept(&mut self) -> (Link, Value) {
        let stream = self.0.recv().await.expect("the client dials");
        let mut link = Link(accept_async(stream).await.unwrap());
        let hello = link.next().await;
        (link, hello)
    }

    async fn accept_and_welcome(&mut self) -> (Link, Value) {
        let (mut link, hello) = self.accept().await;
        link.welcome().await;
        (link, hello)
    }
}

impl Link {
    async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("the client sent {other:?}"),
            }
        }
    }

    async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn welcome(&mut self) {
        self.say(json!({
            "type": "authenticated", "id": "authenticate", "userId": "u1", "username": "john",
            "sessionId": "s1", "serverTime": "2026-01-31T12:00:00.000Z", "epoch": "e1", "heartbeatMs": 25_000,
            "limits": { "frameBytes": 65_536 },
        }))
        .await;
    }

    async fn message(&mut self, room: &str, seq: u64) {
        self.say(
            json!({ "type": "new_message", "message": { "roomId": room, "seq": seq, "content": "hi" } }),
        )
        .await;
    }

    async fn ack(&mut self, command: &Value, seq: u64) {
        self.say(json!({
            "type": "ack", "id": command["id"], "messageId": format!("m{seq}"), "roomId": command["roomId"],
            "seq": seq, "duplicate": false,
        }))
        .await;
    }

    async fn close(mut self, code: u16) {
        self.0.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await.unwrap();
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

fn start(build: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (WsClient, Events, Server) {
    let (dialled, accepted) = mpsc::unbounded_channel();
    let builder = WsClient::builder("ws://chat.example/ws").token("t1").dialer(Wire(dialled)).seed(7);
    let (client, events) = build(builder).connect().unwrap();
    (client, events, Server(accepted))
}

async fn connected(events: &mut Events) {
    let event = events.next().await.unwrap();
    assert!(matches!(event, Event::Connected(ref welcome) if welcome.user_id == "u1"), "{event:?}");
}

/// The seqs of the next entries.
async fn entries(events: &mut Events, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        match events.next().await.unwrap() {
            Event::Frame(frame) => seqs.push(frame.place.unwrap().1),
            Event::Disconnected { .. } | Event::Connected(_) => {}
            other => panic!("expected an entry, got {other:?}"),
        }
    }
    seqs
}

#[tokio::test(start_paused = true)]
async fn authenticate_carries_the_token_and_what_an_earlier_client_knew() {
    let (_client, mut events, mut server) =
        start(|builder| builder.resume("lobby", 41, "e0").subscribe_none());
    let (_link, hello) = server.accept_and_welcome().await;
    let expected = json!({
        "type": "authenticate", "id": "authenticate", "token": "t1", "epoch": "e0", "subscribe": "none",
        "resume": [{ "roomId": "lobby", "after": 41 }],
    });
    assert_eq!(hello, expected);
    connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_every_room_goes_on_from_its_last_entry_without_repeats() {
    let (_client, mut events, mut server) = start(|builder| builder);
    let (mut link, hello) = server.accept_and_welcome().await;
    assert_eq!(hello["resume"], json!([]));
    for seq in 5..=7 {
        link.message("lobby", seq).await;
    }
    link.message("attic", 1).await;
    assert_eq!(entries(&mut events, 4).await, [5, 6, 7, 1]);
    drop(link);

    let (mut link, hello) = server.accept_and_welcome().await;
    assert_eq!(
        hello["resume"],
        json!([{ "roomId": "attic", "after": 1 }, { "roomId": "lobby", "after": 7 }])
    );
    assert_eq!(hello["epoch"], "e1");
    for seq in [7, 8, 9] {
        link.message("lobby", seq).await;
    }
    assert_eq!(entries(&mut events, 2).await, [8, 9]);
}

#[tokio::test(start_paused = true)]
async fn what_a_replay_says_moves_the_cursors() {
    let (client, mut events, mut server) =
        start(|builder| builder.resume("a", 1, "e1").resume("b", 1, "e1").resume("c", 1, "e1"));
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    link.say(json!({ "type": "caught_up", "roomId": "a", "seq": 4 })).await;
    link.say(json!({ "type": "resync_required", "roomId": "b", "seq": 5_000 })).await;
    link.say(json!({ "type": "resume_failed", "roomId": "c", "code": "not_found" })).await;
    assert_eq!(events.next().await.unwrap(), Event::CaughtUp { room: "a".into(), seq: 4 });
    assert_eq!(events.next().await.unwrap(), Event::Resync { room: "b".into(), seq: Some(5_000) });
    assert_eq!(events.next().await.unwrap(), Event::Lost { room: "c".into() });
    assert_eq!(["a", "b", "c"].map(|room| client.position(room)), [Some(4), Some(5_000), None]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_joined_is_resumed_before_anything_came_and_one_that_was_left_is_not() {
    let (client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    let joined = client.request("join_room", json!({ "roomId": "lobby" })).unwrap();
    let command = link.next().await;
    link.say(json!({ "type": "ack", "id": command["id"], "room": { "id": "lobby", "lastSeq": 9 } })).await;
    assert_eq!(joined.await.unwrap()["room"]["id"], "lobby");
    assert_eq!(client.position("lobby"), Some(9));
    link.say(json!({ "type": "user_left", "roomId": "lobby", "userId": "u2", "seq": 10 })).await;
    link.say(json!({ "type": "user_left", "roomId": "lobby", "userId": "u1", "seq": 11 })).await;
    assert_eq!(entries(&mut events, 2).await, [10, 11]);
    assert_eq!(client.position("lobby"), None);
}

#[tokio::test(start_paused = true)]
async fn unanswered_messages_are_sent_again_in_order_under_their_keys() {
    let (client, _events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    let answers: Vec<_> = (0..5)
        .map(|n| {
            let fields =
                json!({ "roomId": "lobby", "content": n.to_string(), "clientMessageId": format!("k{n}") });
            client.request("send_message", fields).unwrap()
        })
        .collect();
    let mut first = Vec::new();
    for _ in 0..5 {
        first.push(link.next().await);
    }
    let keys: Vec<_> = first.iter().map(|command| command["clientMessageId"].clone()).collect();
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4"]);
    link.ack(&first[0], 1).await;
    link.ack(&first[2], 3).await;
    let mut answers = answers.into_iter();
    let (zero, one, two) = (answers.next().unwrap(), answers.next().unwrap(), answers.next().unwrap());
    assert_eq!((zero.await.unwrap()["seq"].clone(), two.await.unwrap()["seq"].clone()), (json!(1), json!(3)));
    drop(link);

    let (mut link, _) = server.accept_and_welcome().await;
    let again = [link.next().await, link.next().await, link.next().await];
    assert_eq!(again, [first[1].clone(), first[3].clone(), first[4].clone()]);
    link.ack(&again[0], 2).await;
    assert_eq!(one.await.unwrap()["seq"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_makes_something_new_is_not_repeated() {
    let (client, _events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    let answer = client.request("create_room", json!({ "name": "attic" })).unwrap();
    link.next().await;
    drop(link);
    assert_eq!(answer.await, Err(ClientError::Interrupted));
    let (mut link, _) = server.accept_and_welcome().await;
    let ping = client.request("ping", Value::Null).unwrap();
    let command = link.next().await;
    assert_eq!(command["type"], "ping");
    link.say(json!({ "type": "pong", "id": command["id"], "serverTime": "2026-01-31T12:00:00.000Z" })).await;
    assert_eq!(ping.await.unwrap()["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_commands_in_any_order_and_refusals_are_typed() {
    let (client, _events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    let slow = client.request("fetch_history", json!({ "roomId": "lobby" })).unwrap();
    let quick = client.request("send_message", json!({ "roomId": "lobby", "content": "x" })).unwrap();
    let (first, second) = (link.next().await, link.next().await);
    link.say(json!({
        "type": "error", "id": second["id"], "code": "rate_limited", "message": "slow down", "retryAfterMs": 250,
    }))
    .await;
    let refused = ClientError::Refused {
        code: "rate_limited".into(),
        message: "slow down".into(),
        retry_after: Some(Duration::from_millis(250)),
    };
    assert_eq!(quick.await, Err(refused));
    link.say(json!({ "type": "history", "id": first["id"], "messages": [] })).await;
    assert_eq!(slow.await.unwrap()["type"], "history");
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_is_left_alone_for_as_long_as_it_asked() {
    let (_client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    link.say(json!({ "type": "server_draining", "reconnectAfterMs": 5_000 })).await;
    let before = Instant::now();
    link.close(1001).await;
    assert!(matches!(events.next().await.unwrap(), Event::Frame(frame) if frame.kind == "server_draining"));
    let event = events.next().await.unwrap();
    let Event::Disconnected { code: Some(1001), retry_in } = event else { panic!("{event:?}") };
    assert!((5_000..=10_000).contains(&retry_in.as_millis()), "{retry_in:?}");
    server.accept_and_welcome().await;
    assert!(before.elapsed() >= retry_in);
}

#[tokio::test(start_paused = true)]
async fn delays_grow_while_the_server_is_away_and_start_small_again() {
    let (base, cap) = (Duration::from_millis(100), Duration::from_secs(2));
    let (_client, mut events, mut server) = start(|builder| builder.backoff(base, cap));
    for bound in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
        drop(server.0.recv().await.unwrap());
        let event = events.next().await.unwrap();
        let Event::Disconnected { code: None, retry_in } = event else { panic!("{event:?}") };
        assert!(retry_in <= Duration::from_millis(bound), "{retry_in:?} of {bound} ms");
    }
    let (link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    drop(link);
    let event = events.next().await.unwrap();
    assert!(matches!(event, Event::Disconnected { code: None, retry_in } if retry_in <= base), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ban_stops_the_client_for_good() {
    for code in [4403, 4400] {
        let (client, mut events, mut server) = start(|builder| builder);
        let (link, _) = server.accept_and_welcome().await;
        connected(&mut events).await;
        let waiting = client.request("ping", Value::Null).unwrap();
        link.close(code).await;
        assert_eq!(events.next().await.unwrap(), Event::Stopped { code: Some(code) });
        assert_eq!(events.next().await, None);
        assert_eq!(waiting.await, Err(ClientError::Stopped));
        assert_eq!(client.command("ping", Value::Null).await, Err(ClientError::Stopped));
        assert_eq!(server.0.recv().await.map(drop), None, "it does not dial again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_tried_again_until_there_is_another() {
    let (client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept().await;
    let refusal =
        json!({ "type": "auth_error", "id": "authenticate", "code": "token_expired", "message": "no" });
    link.say(refusal).await;
    link.close(4401).await;
    assert_eq!(events.next().await.unwrap(), Event::TokenNeeded { code: "token_expired".into() });
    let silence = timeout(Duration::from_secs(3_600), server.0.recv()).await;
    assert!(silence.is_err(), "it dialled again");
    client.set_token("t2");
    let (_link, hello) = server.accept_and_welcome().await;
    assert_eq!(hello["token"], "t2");
    connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_of_tokens_is_asked_once_after_a_refusal() {
    let tokens = Arc::new(std::sync::Mutex::new(vec!["t3", "t2", "t1"]));
    let source = move || {
        let token = tokens.lock().unwrap().pop().map(chat_core::auth::Secret::new);
        async move { token }
    };
    let (dialled, accepted) = mpsc::unbounded_channel();
    let builder = WsClient::builder("ws://chat.example/ws").token_from(source).dialer(Wire(dialled));
    let (_client, mut events) = builder.connect().unwrap();
    let mut server = Server(accepted);
    for token in ["t1", "t2"] {
        let (mut link, hello) = server.accept().await;
        assert_eq!(hello["token"], token);
        link.say(json!({ "type": "auth_error", "code": "invalid_token", "message": "no" })).await;
    }
    assert_eq!(events.next().await.unwrap(), Event::TokenNeeded { code: "invalid_token".into() });
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_presented_on_the_live_connection() {
    let (client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    client.set_token("t2");
    let renewal = link.next().await;
    assert_eq!(renewal, json!({ "type": "authenticate", "id": "authenticate", "token": "t2" }));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_was_too_large_does_not_come_again() {
    let (client, _events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    let long = client.request("fetch_history", json!({ "roomId": "x".repeat(1_000) })).unwrap();
    let short = client.request("ping", Value::Null).unwrap();
    link.next().await;
    link.next().await;
    link.close(1009).await;
    assert_eq!(long.await, Err(ClientError::TooLarge));
    let (mut link, _) = server.accept_and_welcome().await;
    let command = link.next().await;
    assert_eq!(command["type"], "ping");
    drop(short);
    let too_long = client.request("ping", json!({ "pad": "x".repeat(65_536) }));
    assert_eq!(too_long.unwrap_err(), ClientError::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_and_a_silent_client_gives_signs_of_life() {
    let (_client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    let before = Instant::now();
    let first = link.0.next().await.unwrap().unwrap();
    assert!(matches!(first, Message::Ping(_)), "{first:?}");
    assert_eq!(before.elapsed().as_secs(), 25);
    // Its answer was queued while reading, but is never flushed: the server hangs.
    let event = events.next().await.unwrap();
    assert!(matches!(event, Event::Disconnected { code: None, .. }), "{event:?}");
    server.accept_and_welcome().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_events_are_not_taken_stops_reading() {
    let (_client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    let pad = "x".repeat(10_000);
    let mut sent = 0_u64;
    let stuck = async {
        loop {
            let frame = json!({ "type": "new_message", "message": { "roomId": "lobby", "seq": sent + 1, "content": pad } });
            link.say(frame).await;
            sent += 1;
        }
    };
    assert!(timeout(Duration::from_secs(20), stuck).await.is_err());
    let held = usize::try_from(sent).unwrap();
    assert!((256..300).contains(&held), "{held} frames were taken off the wire");
    connected(&mut events).await;
    assert_eq!(entries(&mut events, held).await, (1..=sent).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn close_says_goodbye() {
    let (client, mut events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    connected(&mut events).await;
    client.close();
    let goodbye = link.0.next().await.unwrap().unwrap();
    assert!(matches!(goodbye, Message::Close(_)), "{goodbye:?}");
    assert_eq!(events.next().await.unwrap(), Event::Stopped { code: None });
}

#[tokio::test(start_paused = true)]
async fn with_its_last_handle_the_client_is_gone() {
    let (client, events, mut server) = start(|builder| builder);
    let (mut link, _) = server.accept_and_welcome().await;
    drop(client.clone());
    drop((client, events));
    assert!(!matches!(link.0.next().await, Some(Ok(_))));
}
