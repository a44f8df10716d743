//! Which pages may open a WebSocket: whatever a page of another host tries, it is refused before anything is upgraded.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use support::{BASE, Server};

/// By which host the server is asked, as a browser writes it.
const HOST: &str = "chat.example";
const LISTED: &str = "https://app.example";

/// What each origin is answered: by a server that lists none, and by one that lists [`LISTED`]. An origin here is all
/// `Origin` lines of a request, between which stands a line's end.
const TRICKS: &[(&str, &str, u16, u16)] = &[
    ("the host itself", "https://chat.example", 101, 101),
    ("the host itself, without TLS", "http://chat.example", 101, 101),
    ("the listed one", "https://app.example", 403, 101),
    ("a sandboxed page or a local file", "null", 403, 403),
    ("none, said so", "", 403, 403),
    ("somebody else", "https://evil.example", 403, 403),
    ("a subdomain of the host", "https://evil.chat.example", 403, 403),
    ("a subdomain of the listed one", "https://evil.app.example", 403, 403),
    ("the host in front", "https://chat.example.evil.example", 403, 403),
    ("the listed one in front", "https://app.example.evil.example", 403, 403),
    ("the host at the end of a longer word", "https://evilchat.example", 403, 403),
    ("the listed one at the end of a longer word", "https://evilapp.example", 403, 403),
    ("the parent of both", "https://example", 403, 403),
    ("another port of the host", "https://chat.example:8443", 403, 403),
    ("another port of the listed one", "https://app.example:8443", 403, 403),
    ("the usual port, written out", "https://chat.example:443", 101, 101),
    ("the listed one's usual port, written out", "https://app.example:443", 403, 101),
    ("two ports", "https://chat.example:443:80", 403, 403),
    ("no port after the colon", "https://chat.example:", 403, 403),
    ("the listed one without TLS", "http://app.example", 403, 403),
    ("another scheme", "ftp://chat.example", 403, 403),
    ("an extension of a browser", "chrome-extension://chat.example", 403, 403),
    ("a file", "file://", 403, 403),
    ("no scheme", "chat.example", 403, 403),
    ("a scheme without slashes", "https:chat.example", 403, 403),
    ("capitals, which mean the same", "HTTPS://Chat.EXAMPLE", 101, 101),
    ("the listed one in capitals", "HTTPS://APP.Example", 403, 101),
    ("the host as a user's name", "https://chat.example@evil.example", 403, 403),
    ("the host with a user's name", "https://evil.example@chat.example", 403, 403),
    ("the host with a password", "https://a:b@chat.example", 403, 403),
    ("a letter that looks alike", "https://ch\u{0430}t.example", 403, 403),
    ("the same in Punycode", "https://xn--cht-5cd.example", 403, 403),
    ("full-width letters", "https://\u{ff43}hat.example", 403, 403),
    ("a full stop that is none", "https://chat\u{3002}example", 403, 403),
    ("a trailing dot, which means the same host", "https://chat.example.", 101, 101),
    ("a trailing dot and more", "https://chat.example.evil.example.", 403, 403),
    ("escaped", "https://chat.example%2eevil.example", 403, 403),
    ("with a path", "https://chat.example/", 403, 403),
    ("with a backslash", "https://chat.example\\@evil.example", 403, 403),
    ("with a query", "https://evil.example?chat.example", 403, 403),
    ("with a fragment", "https://evil.example#chat.example", 403, 403),
    ("a star", "*", 403, 403),
    ("a list with commas", "https://chat.example, https://evil.example", 403, 403),
    ("a list with spaces", "https://chat.example https://evil.example", 403, 403),
    ("a list of the same", "https://chat.example,https://chat.example", 403, 403),
    ("a good line and a bad one", "https://chat.example\nhttps://evil.example", 403, 403),
    ("a bad line and a good one", "https://evil.example\nhttps://chat.example", 403, 403),
    ("the same line twice", "https://chat.example\nhttps://chat.example", 403, 403),
    ("a good line and an empty one", "https://chat.example\n", 403, 403),
];

/// The status that an upgrade with these lines is answered.
fn upgrade(server: &Server, lines: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

fn with_origin(server: &Server, origin: &str) -> u16 {
    let origins: String = origin.split('\n').map(|origin| format!("Origin: {origin}\r\n")).collect();
    upgrade(server, &format!("Host: {HOST}\r\n{origins}"))
}

#[test]
fn a_page_connects_from_the_host_itself_and_from_what_is_listed_and_from_nowhere_else() {
    let open = Server::start();
    let listing = Server::with(&format!("allowed_origins = [\"{LISTED}\"]\n{BASE}"));
    let mut wrong = Vec::new();
    for (trick, origin, alone, listed) in TRICKS {
        let found = (with_origin(&open, origin), with_origin(&listing, origin));
        if found != (*alone, *listed) {
            wrong.push(format!("{trick}: {origin:?}: {found:?} instead of {:?}", (alone, listed)));
        }
    }
    println!("{} origins, each at two servers", TRICKS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_sends_no_origin_is_no_browser_and_needs_none() {
    assert_eq!(upgrade(&Server::start(), &format!("Host: {HOST}\r\n")), 101);
}

#[test]
fn a_good_token_opens_nothing_for_a_page_of_another_host() {
    let server = Server::start();
    let ann = server.register("ann");
    let head = format!("Host: {HOST}\r\nOrigin: https://evil.example\r\n");
    for token in [
        format!("Authorization: Bearer {}\r\n", ann.token),
        format!("Sec-WebSocket-Protocol: chat, {}\r\n", ann.token),
        format!("Cookie: chat_refresh={}\r\n", ann.refresh),
    ] {
        assert_eq!(upgrade(&server, &format!("{head}{token}")), 403);
    }
}

#[test]
fn a_page_cant_choose_the_host_by_a_header_of_its_own() {
    let server = Server::start();
    let head = format!("Host: {HOST}\r\nOrigin: https://evil.example\r\n");
    for name in ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"] {
        let value = if name == "Forwarded" { "host=evil.example" } else { "evil.example" };
        assert_eq!(upgrade(&server, &format!("{head}{name}: {value}\r\n")), 403, "{name}");
    }
}
