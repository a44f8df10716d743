//! The whole way: client, TCP, WebSocket, engine, store, and back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use chat_core::{
    domain::RoomSpec, engine::Engine, id::RoomId, limits::Limits, store::MemoryStore, testing::TestClient,
};
use chat_transport_ws::{
    WsConfig, WsTransport,
    client::{BoxStream, ClientError, Dial, Event, Events, Tcp, WsClient},
};
use futures::future::{BoxFuture, join_all};
use tokio::{io::copy_bidirectional, task::AbortHandle};

/// A dialer whose streams can be cut.
#[derive(Clone, Default)]
struct Cable(Arc<Mutex<Vec<AbortHandle>>>);

impl Cable {
    /// Cuts what is connected. Both ends see a stream that is gone without a goodbye.
    fn cut(&self) {
        for stream in self.0.lock().unwrap().drain(..) {
            stream.abort();
        }
    }
}

impl Dial for Cable {
    fn dial(&self, address: &http::Uri) -> BoxFuture<'static, io::Result<BoxStream>> {
        let (dialling, cable) = (Tcp.dial(address), self.clone());
        Box::pin(async move {
            let mut server = dialling.await?;
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            let bridge = tokio::spawn(async move { copy_bidirectional(&mut far, &mut server).await });
            cable.0.lock().unwrap().push(bridge.abort_handle());
            Ok(Box::pin(near) as BoxStream)
        })
    }
}

struct Server {
    engine: Engine,
    url: String,
}

/// An engine with a public room `lobby`, on a free port.
async fn serve() -> Server {
    let limits = Limits { messages_per_minute: 0, commands_per_second: 0, ..Limits::default() };
    let engine = Engine::builder()
        .store(MemoryStore::new())
        .authenticator(TestClient::authenticator)
        .limits(limits)
        .build()
        .await
        .unwrap();
    let spec = RoomSpec::public("lobby").unwrap();
    engine.ensure_room(RoomId::parse("lobby").unwrap(), spec).await.unwrap();
    let transport = WsTransport::bind_with("127.0.0.1:0", WsConfig::new()).await.unwrap();
    let url = format!("ws://{}/ws", transport.local_addr());
    tokio::spawn(engine.serve(transport).into_future());
    Server { engine, url }
}

fn connect(server: &Server, user: &str, seed: u64) -> (WsClient, Events, Cable) {
    let cable = Cable::default();
    let (client, events) = WsClient::builder(&server.url)
        .token(user)
        .dialer(cable.clone())
        .backoff(Duration::from_millis(5), Duration::from_millis(50))
        .seed(seed)
        .connect()
        .unwrap();
    (client, events, cable)
}

/// The seq and the text of the next message.
async fn message(events: &mut Events) -> (u64, String) {
    loop {
        match events.next().await.expect("the client lives") {
            Event::Frame(frame) if frame.kind == "new_message" => {
                let text = frame.content().unwrap().to_owned();
                return (frame.place.unwrap().1, text);
            }
            Event::Resync { .. } | Event::Lost { .. } | Event::Stopped { .. } => panic!("a gap"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_one_sends_the_other_hears() {
    let server = serve().await;
    let (alice, _, _) = connect(&server, "alice", 1);
    let (bob, mut events, _) = connect(&server, "bob", 2);
    alice.join_room("lobby").await.unwrap();
    bob.join_room("lobby").await.unwrap();
    let sent = alice.send("lobby", "Hello").await.unwrap();
    assert_eq!(message(&mut events).await, (sent.seq, "Hello".into()));
    let page = bob.history("lobby", None).await.unwrap();
    assert_eq!(page["messages"][0]["content"], "Hello");
    assert_eq!(page["messages"][0]["seq"], sent.seq);
}

#[tokio::test]
async fn a_stream_that_is_cut_again_and_again_leaves_no_gap_and_no_repeat() {
    const MESSAGES: usize = 400;
    let server = serve().await;
    let (alice, _, alices_cable) = connect(&server, "alice", 3);
    let (bob, mut events, bobs_cable) = connect(&server, "bob", 4);
    alice.join_room("lobby").await.unwrap();
    bob.join_room("lobby").await.unwrap();

    let sending = async {
        let mut acked = Vec::new();
        for batch in 0..MESSAGES / 20 {
            let sends = (0..20).map(|n| {
                let text = format!("{}", batch * 20 + n);
                let alice = alice.clone();
                async move { alice.send("lobby", &text).await.unwrap().seq }
            });
            let mut sends = Box::pin(join_all(sends));
            // Written, perhaps carried out, perhaps not answered.
            assert!(futures::poll!(&mut sends).is_pending());
            tokio::task::yield_now().await;
            if batch % 3 == 0 {
                alices_cable.cut();
            }
            acked.extend(sends.await);
        }
        acked
    };
    let hearing = async {
        let mut heard = Vec::new();
        for n in 0..MESSAGES {
            heard.push(message(&mut events).await);
            if n % 50 == 25 {
                bobs_cable.cut();
            }
        }
        heard
    };
    let (acked, heard) = futures::join!(sending, hearing);
    let texts: Vec<_> = heard.iter().map(|(_, text)| text.clone()).collect();
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected, "every message once, in the order sent");
    let seqs: Vec<_> = heard.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, acked, "the acks name the same places");
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "no other entry came between: {seqs:?}");
    assert_eq!(seqs.iter().collect::<HashSet<_>>().len(), MESSAGES);
}

#[tokio::test]
async fn what_was_said_while_one_was_away_is_replayed() {
    let server = serve().await;
    let (alice, _, _) = connect(&server, "alice", 5);
    let (bob, mut events, cable) = connect(&server, "bob", 6);
    alice.join_room("lobby").await.unwrap();
    bob.join_room("lobby").await.unwrap();
    let first = alice.send("lobby", "before").await.unwrap();
    assert_eq!(message(&mut events).await, (first.seq, "before".into()));
    cable.cut();
    for n in 0..5 {
        alice.send("lobby", &format!("away {n}")).await.unwrap();
    }
    for n in 0..5 {
        assert_eq!(message(&mut events).await, (first.seq + 1 + n, format!("away {n}")));
    }
}

#[tokio::test]
async fn the_refusals_of_the_engine_arrive_as_errors_and_close_codes() {
    let server = serve().await;
    let (alice, _events, _) = connect(&server, "alice", 7);
    let refused = alice.send("lobby", "not joined").await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { ref code, .. } if code == "forbidden"), "{refused:?}");
    let (_eve, mut events, _) = connect(&server, "expired", 8);
    assert_eq!(events.next().await.unwrap(), Event::TokenNeeded { code: "token_expired".into() });
}

#[tokio::test]
async fn a_shutdown_is_announced_and_closes_with_1001() {
    let server = serve().await;
    let (alice, mut events, _) = connect(&server, "alice", 9);
    alice.command("ping", serde_json::Value::Null).await.unwrap();
    server.engine.shutdown(Duration::from_secs(5)).await.unwrap();
    let announced = loop {
        match events.next().await.unwrap() {
            Event::Frame(frame) => break frame,
            Event::Connected(_) => {}
            other => panic!("expected a frame, got {other:?}"),
        }
    };
    assert_eq!(announced.kind, "server_draining");
    let asked = announced.body["reconnectAfterMs"].as_u64().unwrap();
    let event = events.next().await.unwrap();
    let Event::Disconnected { code: Some(1001), retry_in } = event else { panic!("{event:?}") };
    assert!(retry_in >= Duration::from_millis(asked));
}
