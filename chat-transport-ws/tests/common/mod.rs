//! A client that is driven by hand, and raw bytes where it is too polite.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed expectation is a failed test")]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(dead_code, reason = "every test file uses its part")]

use std::net::SocketAddr;

use bytes::Bytes;
use chat_core::{
    auth::Hello,
    close::CloseReason,
    testing::TestPeer,
    transport::{Connection, FromPeer, Gone, Received, SendQueue, ToPeer, Transport},
};
use chat_transport_ws::{WsConfig, WsConnection, WsTransport};
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::frame::CloseFrame},
};

/// A client that reads only when asked to.
pub struct Peer(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn dial(address: SocketAddr) -> Self {
        Self(connect_async(format!("ws://{address}/ws")).await.expect("the handshake succeeds").0)
    }
}

impl TestPeer for Peer {
    async fn send(&mut self, what: FromPeer) -> Result<(), Gone> {
        let message = match what {
            FromPeer::Text(text) => Message::text(String::from_utf8(text).expect("tests send UTF-8")),
            FromPeer::NotText => Message::binary("binary"),
            FromPeer::Pong => Message::Pong(Bytes::new()),
        };
        self.0.send(message).await.map_err(|_| Gone)
    }

    async fn next(&mut self) -> Option<ToPeer> {
        loop {
            return match self.0.next().await? {
                Ok(Message::Text(text)) => Some(ToPeer::Text(text.into())),
                Ok(Message::Ping(_)) => Some(ToPeer::Ping),
                Ok(Message::Close(Some(close))) => Some(ToPeer::Close(reason(&close))),
                Ok(Message::Pong(_)) => continue,
                Ok(other) => panic!("a server does not send {other:?}"),
                Err(_) => None,
            };
        }
    }
}

/// The reason behind a code; the text must be the reason's too.
pub fn reason(close: &CloseFrame) -> CloseReason {
    use CloseReason::{Abuse, Banned, Draining, Flood, Normal, TimedOut, TooLarge, Unauthenticated};
    [Normal, Draining, TooLarge, Abuse, Unauthenticated, Banned, TimedOut, Flood]
        .into_iter()
        .find(|reason| reason.code() == u16::from(close.code) && reason.text() == close.reason.as_str())
        .unwrap_or_else(|| panic!("unknown close frame {close:?}"))
}

/// A listener with these settings on a free port.
pub async fn listen(config: WsConfig) -> WsTransport {
    WsTransport::bind_with("127.0.0.1:0", config).await.expect("a free port")
}

/// One connection and its hand-driven client.
pub async fn link() -> (WsConnection<TcpStream>, Peer) {
    let mut transport = listen(WsConfig::new()).await;
    let address = transport.local_addr();
    let (accepted, peer) = futures::join!(transport.accept(), Peer::dial(address));
    (accepted.expect("accepts").0, peer)
}

/// One connection and the bare stream of its client, the handshake done.
pub async fn raw_link(config: WsConfig) -> (WsConnection<TcpStream>, TcpStream) {
    let mut transport = listen(config).await;
    let mut stream = TcpStream::connect(transport.local_addr()).await.unwrap();
    stream.write_all(&upgrade("", "/ws")).await.unwrap();
    let (connection, _) = transport.accept().await.expect("accepts");
    assert_eq!(read_head(&mut stream).await.status, 101);
    (connection, stream)
}

/// A well-formed upgrade with additional header lines, each ended by CR LF.
pub fn upgrade(headers: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: chat.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into()
}

/// The head of an answer.
pub struct Head {
    pub status: u16,
    pub text: String,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads the head of an answer, not a byte more.
pub async fn read_head(stream: &mut TcpStream) -> Head {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("an answer"));
    }
    let text = String::from_utf8(bytes).expect("ASCII");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Head { status, text }
}

/// What a request is answered.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Head {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    read_head(&mut stream).await
}

pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame: first byte, masked payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A server's frame: first byte and payload, at most 64 KiB.
pub async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let length = match stream.read_u8().await.unwrap() {
        126 => stream.read_u16().await.unwrap(),
        127 => u16::try_from(stream.read_u64().await.unwrap()).unwrap(),
        short => short.into(),
    };
    let mut payload = vec![0; length.into()];
    stream.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

pub async fn receive(connection: &mut impl Connection) -> Received {
    std::future::poll_fn(|cx| connection.poll_receive(cx)).await
}

pub async fn send(connection: &mut impl Connection, queue: &mut SendQueue) -> Result<(), Gone> {
    std::future::poll_fn(|cx| connection.poll_send(cx, queue)).await
}

pub async fn close(connection: &mut impl Connection, reason: CloseReason) {
    std::future::poll_fn(|cx| connection.poll_close(cx, reason)).await;
}

/// Accepts one connection.
pub async fn accept(transport: &mut WsTransport) -> (WsConnection<TcpStream>, Hello) {
    transport.accept().await.expect("accepts")
}
