//! Who is let in, and what the others are told.

mod common;

use std::time::Duration;

use chat_core::{
    auth::{AuthError, Hello, Identity, Secret},
    id::UserId,
    transport::{Received, Transport},
};
use chat_transport_ws::{Origins, WsConfig, limits::HEAD_BYTES_MAX};
use common::{accept, ask, listen, read_head, receive, upgrade};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the upgrade with these header lines is answered.
async fn status(config: &WsConfig, headers: &str) -> u16 {
    let transport = listen(config.clone()).await;
    ask(transport.local_addr(), &upgrade(headers, "/ws")).await.status
}

#[tokio::test]
async fn the_example_key_of_rfc_6455_is_answered_as_it_says() {
    let transport = listen(WsConfig::new()).await;
    let head = ask(transport.local_addr(), &upgrade("", "/ws")).await;
    assert_eq!(
        head.text,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[tokio::test]
async fn only_pages_of_the_same_host_or_the_list_may_connect() {
    let listed = Origins::same_host().allow("https://app.example").unwrap();
    let config = WsConfig::new().origins(listed);
    for (headers, expected) in [
        ("", 101),
        ("Origin: https://chat.example\r\n", 101),
        ("Origin: http://chat.example:80\r\n", 101),
        ("Origin: https://app.example\r\n", 101),
        ("Origin: http://app.example\r\n", 403),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin:\r\n", 403),
        ("Origin: https://chat.example.evil.example\r\n", 403),
        ("Origin: https://chat.example\r\nOrigin: https://evil.example\r\n", 403),
    ] {
        assert_eq!(status(&config, headers).await, expected, "{headers}");
    }
    assert_eq!(status(&WsConfig::new().origins(Origins::any()), "Origin: null\r\n").await, 101);
}

#[tokio::test]
async fn a_token_in_the_header_is_checked_before_the_upgrade() {
    let config = WsConfig::new().authenticator(|hello: Hello| async move {
        match hello.token.as_ref().map(Secret::expose) {
            Some("good.jwt") => Ok(Identity::new(UserId::parse("john").unwrap(), "john")),
            Some("slow.down") => Err(AuthError::RateLimited),
            Some("later") => Err(AuthError::Unavailable),
            _ => Err(AuthError::Invalid),
        }
    });
    for (headers, expected) in [
        ("Authorization: Bearer good.jwt\r\n", 101),
        ("authorization: bearer good.jwt\r\n", 101),
        ("Authorization: Bearer bad.jwt\r\n", 401),
        ("Authorization: Bearer slow.down\r\n", 429),
        ("Authorization: Bearer later\r\n", 503),
        ("Authorization: good.jwt\r\n", 401),
        ("Authorization: Bearer\r\n", 401),
        ("Authorization: Bearer good jwt\r\n", 401),
        ("Authorization: Basic am9objpqb2hu\r\n", 401),
        ("Authorization: Bearer good.jwt\r\nAuthorization: Bearer good.jwt\r\n", 401),
        ("Sec-WebSocket-Protocol: chat.v1, bearer.bad.jwt\r\n", 101),
    ] {
        assert_eq!(status(&config, headers).await, expected, "{headers}");
    }
}

#[tokio::test]
async fn a_malformed_authorization_is_refused_also_where_nobody_checks_tokens() {
    assert_eq!(status(&WsConfig::new(), "Authorization: Basic am9objpqb2hu\r\n").await, 401);
    assert_eq!(status(&WsConfig::new(), "Authorization: Bearer any.jwt\r\n").await, 101);
}

#[tokio::test]
async fn a_token_reaches_the_engine_from_the_header_or_the_subprotocols_but_not_from_the_query() {
    let mut transport = listen(WsConfig::new()).await;
    for (path, headers, token) in [
        ("/ws", "", None),
        ("/ws", "Authorization: Bearer a.b.c\r\n", Some("a.b.c")),
        ("/ws", "Sec-WebSocket-Protocol: chat.v1, bearer.a.b.c\r\n", Some("a.b.c")),
        ("/ws", "Sec-WebSocket-Protocol: bearer.a.b.c\r\nSec-WebSocket-Protocol: chat.v1\r\n", Some("a.b.c")),
        ("/ws?token=a.b.c&access_token=a.b.c", "", None),
    ] {
        let mut stream = TcpStream::connect(transport.local_addr()).await.unwrap();
        stream.write_all(&upgrade(headers, path)).await.unwrap();
        let (_, hello) = accept(&mut transport).await;
        assert_eq!(hello.token.as_ref().map(Secret::expose), token, "{path} {headers}");
        assert_eq!(hello.address, Some("127.0.0.1".parse().unwrap()));
    }
}

#[tokio::test]
async fn of_the_subprotocols_only_the_chat_is_selected() {
    let transport = listen(WsConfig::new()).await;
    for (offered, selected) in [
        ("chat.v1", Some("chat.v1")),
        ("chat.v1, bearer.a.b.c", Some("chat.v1")),
        ("bearer.a.b.c,chat.v1", Some("chat.v1")),
        ("bearer.a.b.c", None),
        ("soap, wamp", None),
    ] {
        let headers = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let head = ask(transport.local_addr(), &upgrade(&headers, "/ws")).await;
        assert_eq!((head.status, head.header("sec-websocket-protocol")), (101, selected), "{offered}");
    }
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_so() {
    let transport = listen(WsConfig::new().path("/chat")).await;
    let well_formed = String::from_utf8(upgrade("", "/chat")).unwrap();
    for (request, expected) in [
        (well_formed.clone(), 101),
        (well_formed.replace("/chat", "/chat?v=1"), 101),
        (well_formed.replace("/chat", "/ws"), 404),
        (well_formed.replace("/chat", "/chat/"), 404),
        (well_formed.replace("GET", "POST"), 400),
        (well_formed.replace("HTTP/1.1", "HTTP/1.0"), 400),
        (well_formed.replace("Upgrade: websocket", "Upgrade: h2c"), 426),
        (well_formed.replace("keep-alive, Upgrade", "keep-alive"), 426),
        (well_formed.replace("Version: 13", "Version: 8"), 426),
        (well_formed.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), 400),
        ("GET /chat HTTP/1.1\r\nHost: chat.example\r\n\r\n".into(), 426),
        ("\u{1}\u{2}\u{3}\r\n\r\n".into(), 400),
    ] {
        let head = ask(transport.local_addr(), request.as_bytes()).await;
        assert_eq!(head.status, expected, "{request}");
        if expected == 426 {
            assert_eq!(head.header("sec-websocket-version"), Some("13"));
        }
    }
}

#[tokio::test]
async fn an_oversized_head_is_refused_while_it_arrives() {
    let transport = listen(WsConfig::new()).await;
    let request = format!("GET /ws HTTP/1.1\r\nCookie: {}", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(ask(transport.local_addr(), request.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn over_the_cap_of_an_address_the_answer_is_429_until_a_place_is_free() {
    let mut transport = listen(WsConfig::new().connections(0, 2)).await;
    let address = transport.local_addr();
    let (mut inside, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&upgrade("", "/ws")).await.unwrap();
        inside.push(accept(&mut transport).await.0);
        streams.push(stream);
    }
    assert_eq!(ask(address, &upgrade("", "/ws")).await.status, 429);
    drop(inside.pop());
    assert_eq!(ask(address, &upgrade("", "/ws")).await.status, 101);
}

#[tokio::test]
async fn over_the_total_the_answer_is_503() {
    let mut transport = listen(WsConfig::new().connections(1, 0)).await;
    let mut stream = TcpStream::connect(transport.local_addr()).await.unwrap();
    stream.write_all(&upgrade("", "/ws")).await.unwrap();
    let _inside = accept(&mut transport).await;
    assert_eq!(ask(transport.local_addr(), &upgrade("", "/ws")).await.status, 503);
}

#[tokio::test]
async fn a_slow_head_is_dropped_and_holds_up_nobody() {
    let mut transport = listen(WsConfig::new().handshakes(Duration::from_millis(50), 2)).await;
    let mut slow = TcpStream::connect(transport.local_addr()).await.unwrap();
    slow.write_all(b"GET /ws HTTP/1.1\r\nHost: ").await.unwrap();
    let mut good = TcpStream::connect(transport.local_addr()).await.unwrap();
    good.write_all(&upgrade("", "/ws")).await.unwrap();
    let _connection = accept(&mut transport).await;
    assert_eq!(slow.read(&mut [0; 16]).await.unwrap(), 0, "dropped without an answer");
}

#[tokio::test]
async fn a_frame_that_comes_together_with_the_request_is_not_lost() {
    let mut transport = listen(WsConfig::new()).await;
    let mut stream = TcpStream::connect(transport.local_addr()).await.unwrap();
    let request = [upgrade("", "/ws"), common::frame(0x81, b"{\"early\":true}")].concat();
    stream.write_all(&request).await.unwrap();
    let (mut connection, _) = accept(&mut transport).await;
    let received = receive(&mut connection).await;
    assert!(matches!(received, Received::Text(ref text) if text == b"{\"early\":true}"), "{received:?}");
}

#[tokio::test]
async fn a_dropped_transport_listens_no_more() {
    let mut transport = listen(WsConfig::new()).await;
    let address = transport.local_addr();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&upgrade("", "/ws")).await.unwrap();
    let (_connection, _) = transport.accept().await.unwrap();
    assert_eq!(read_head(&mut stream).await.status, 101);
    drop(transport);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
