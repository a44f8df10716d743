//! What travels on an upgraded stream.

mod common;

use chat_core::{
    close::CloseReason,
    testing::TestPeer,
    transport::{Connection, Frame, FromPeer, Received, SendQueue, ToPeer},
};
use chat_transport_ws::{WsConfig, WsConnection};
use common::{close, frame, link, raw_link, read_frame, receive, send};
use futures::join;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

#[tokio::test]
async fn a_frame_of_70_kib_is_closed_with_1009_and_the_client_sees_it() {
    let (mut connection, mut peer) = link().await;
    let server = async {
        let received = receive(&mut connection).await;
        assert!(matches!(received, Received::TooLarge), "{received:?}");
        close(&mut connection, CloseReason::TooLarge).await;
    };
    let client = async {
        assert_eq!(peer.send(FromPeer::Text(vec![b'x'; 70 * 1024])).await, Ok(()));
        assert_eq!(peer.next().await, Some(ToPeer::Close(CloseReason::TooLarge)));
        assert_eq!(peer.next().await, None);
    };
    join!(server, client);
}

#[tokio::test]
async fn a_frame_of_exactly_64_kib_is_received() {
    let (mut connection, mut peer) = link().await;
    let text = vec![b'x'; 64 * 1024];
    let (sent, received) = join!(peer.send(FromPeer::Text(text.clone())), receive(&mut connection));
    assert_eq!(sent, Ok(()));
    assert!(matches!(received, Received::Text(received) if received == text));
}

#[tokio::test]
async fn fragments_make_one_frame_and_a_ping_between_them_is_answered() {
    let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
    let bytes = [
        frame(0x01, b"{\"text\":"),
        frame(0x89, b"still there?"),
        frame(0x00, b"\"frag"),
        frame(0x80, b"mented\"}"),
    ]
    .concat();
    stream.write_all(&bytes).await.unwrap();
    let received = receive(&mut connection).await;
    assert!(matches!(received, Received::Alive), "{received:?}");
    let received = receive(&mut connection).await;
    assert!(
        matches!(received, Received::Text(ref text) if text == b"{\"text\":\"fragmented\"}"),
        "{received:?}"
    );
    assert_eq!(send(&mut connection, &mut SendQueue::default()).await, Ok(()));
    assert_eq!(read_frame(&mut stream).await, (0x8a, b"still there?".into()));
}

#[tokio::test]
async fn of_many_pings_the_latest_is_answered() {
    let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
    let pings: Vec<u8> = (b'a'..=b'z').flat_map(|letter| frame(0x89, &[letter])).collect();
    stream.write_all(&[pings, frame(0x81, b"{}")].concat()).await.unwrap();
    let mut alive = 0;
    while matches!(receive(&mut connection).await, Received::Alive) {
        alive += 1;
    }
    assert_eq!(alive, 26);
    assert_eq!(send(&mut connection, &mut SendQueue::default()).await, Ok(()));
    drop(connection);
    let mut answered = Vec::new();
    // The rest of the stream may end in a reset, since nobody said goodbye.
    stream.read_to_end(&mut answered).await.unwrap_or_default();
    assert!(answered.ends_with(b"\x8a\x01z"), "{answered:?}");
}

#[tokio::test]
async fn what_breaks_rfc_6455_is_malformed_and_the_client_sees_4400() {
    for (what, bytes) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}']),
        ("reserved bits", frame(0xf1, b"{}")),
        ("no UTF-8", frame(0x81, b"{\"a\":\"\xff\"}")),
        ("fragmented ping", frame(0x09, b"")),
        ("continuation of nothing", frame(0x80, b"{}")),
    ] {
        let (mut connection, mut stream) = raw_link(WsConfig::new()).await;
        stream.write_all(&bytes).await.unwrap();
        let received = receive(&mut connection).await;
        assert!(matches!(received, Received::Malformed), "{what}: {received:?}");
        let server = close(&mut connection, CloseReason::Abuse);
        let client = async {
            let (first, payload) = read_frame(&mut stream).await;
            assert_eq!((first, payload), (0x88, b"\x11\x30protocol abuse".into()), "{what}");
            drop(stream);
        };
        join!(server, client);
    }
}

#[tokio::test]
async fn frames_of_all_length_formats_are_framed_once_for_all_and_understood() {
    let (mut connection, mut peer) = link().await;
    let framing = connection.framing();
    let (short, medium, long) = ("x".repeat(125), "x".repeat(126), "x".repeat(65_536));
    let mut queue = SendQueue::default();
    for text in [&short, &medium, &long] {
        let frame = Frame::new(text.clone());
        assert_eq!(frame.framed(framing).as_ptr(), frame.framed(framing).as_ptr());
        queue.push(frame.framed(framing));
    }
    let reading = async {
        for text in [&short, &medium, &long] {
            assert_eq!(peer.next().await, Some(ToPeer::Text(text.clone().into())));
        }
    };
    let (sent, ()) = join!(send(&mut connection, &mut queue), reading);
    assert_eq!(sent, Ok(()));
}

/// A stream that takes no vectors and only a few bytes at a time, as TLS might.
#[tokio::test]
async fn a_pong_waits_for_the_frame_that_is_partly_written_and_goes_before_the_next() {
    let (near, mut far) = duplex(16);
    let mut connection = WsConnection::adopt(near, Vec::new(), &WsConfig::new());
    let mut queue = SendQueue::default();
    for text in ["{\"n\":1,\"pad\":\"0123456789\"}", "{\"n\":2}"] {
        queue.push(Frame::new(text).framed(connection.framing()));
    }
    assert!(futures::poll!(Box::pin(send(&mut connection, &mut queue))).is_pending());
    far.write_all(&frame(0x89, b"now?")).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Received::Alive));
    assert!(futures::poll!(Box::pin(receive(&mut connection))).is_pending());
    let reading = async {
        let mut bytes = [0; 28 + 6 + 9];
        far.read_exact(&mut bytes).await.unwrap();
        bytes
    };
    let (sent, bytes) = join!(send(&mut connection, &mut queue), reading);
    assert_eq!(sent, Ok(()));
    let expected = b"\x81\x1a{\"n\":1,\"pad\":\"0123456789\"}\x8a\x04now?\x81\x07{\"n\":2}";
    assert_eq!(bytes, *expected);
}

#[tokio::test]
async fn a_stream_without_vectors_gets_frames_gathered() {
    let (near, mut far) = duplex(1024);
    let mut connection = WsConnection::adopt(near, Vec::new(), &WsConfig::new());
    let mut queue = SendQueue::default();
    for n in 0..100 {
        queue.push(Frame::new(format!("{n:02}")).framed(connection.framing()));
    }
    assert_eq!(send(&mut connection, &mut queue).await, Ok(()));
    let mut bytes = [0; 400];
    far.read_exact(&mut bytes).await.unwrap();
    let expected: Vec<u8> = (0..100)
        .flat_map(|n| format!("\u{81}\u{2}{n:02}").chars().map(|c| c as u8).collect::<Vec<_>>())
        .collect();
    assert_eq!(bytes.to_vec(), expected);
}
