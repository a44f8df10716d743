//! Goodbyes, from either side.

mod common;

use chat_core::{
    close::CloseReason,
    testing::TestPeer,
    transport::{Connection, Gone, Received, SendQueue, ToPeer},
};
use chat_transport_ws::WsConfig;
use common::{close, frame, link, raw_link, read_frame, receive, send};
use futures::{SinkExt, join};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_close_frame_carries_code_and_text() {
    for (reason, payload) in [
        (CloseReason::Draining, &b"\x03\xe9server draining"[..]),
        (CloseReason::TooLarge, b"\x03\xf1frame too large"),
        (CloseReason::Abuse, b"\x11\x30protocol abuse"),
        (CloseReason::Unauthenticated, b"\x11\x31not authenticated"),
        (CloseReason::Banned, b"\x11\x33banned"),
        (CloseReason::TimedOut, b"\x11\x38timed out"),
        (CloseReason::Flood, b"\x11\x4dtoo many requests"),
    ] {
        let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
        let client = async {
            assert_eq!(read_frame(&mut stream).await, (0x88, payload.into()));
            stream.write_all(&frame(0x88, &payload[..2])).await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the server ends the stream first");
        };
        join!(close(&mut connection, reason), client);
    }
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let (mut connection, mut peer) = link().await;
    let client = async {
        peer.0.send(Message::Close(None)).await.unwrap();
        assert_eq!(peer.next().await, Some(ToPeer::Close(CloseReason::Normal)));
        assert_eq!(peer.next().await, None);
    };
    let server = async {
        let received = receive(&mut connection).await;
        assert!(matches!(received, Received::Closed), "{received:?}");
        assert_eq!(send(&mut connection, &mut SendQueue::default()).await, Err(Gone));
        close(&mut connection, CloseReason::Normal).await;
    };
    join!(client, server);
}

#[tokio::test]
async fn what_arrives_after_the_goodbye_is_discarded_and_resets_nothing() {
    let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
    for _ in 0..50 {
        stream.write_all(&frame(0x81, &[b'x'; 10_000])).await.unwrap();
    }
    let client = async {
        assert_eq!(read_frame(&mut stream).await.0, 0x88);
        stream.write_all(&frame(0x81, &[b'y'; 60_000])).await.unwrap();
        stream.write_all(&frame(0x88, b"\x11\x4d")).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "an end, no reset");
    };
    let server = async {
        close(&mut connection, CloseReason::Flood).await;
        drop(connection);
    };
    join!(server, client);
}

#[tokio::test]
async fn a_ping_that_is_due_goes_before_the_goodbye_and_nothing_goes_after_it() {
    let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
    connection.ping();
    let client = async {
        assert_eq!(read_frame(&mut stream).await, (0x89, Vec::new()));
        assert_eq!(read_frame(&mut stream).await, (0x88, b"\x03\xe8bye".into()));
        stream.write_all(&[frame(0x89, b"?"), frame(0x88, b"")].concat()).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    };
    join!(close(&mut connection, CloseReason::Normal), client);
}
