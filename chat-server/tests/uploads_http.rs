//! Uploads that are refused, by what is wrong with the request and not with the file.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::io::{Read, Write};

use serde_json::json;
use support::{
    BASE, Server, User,
    http::Answer,
    multipart::{BOUNDARY, PNG, content_type, end, part},
};

fn send(server: &Server, user: &User, content_type: &str, body: Vec<u8>) -> Answer {
    server
        .request("POST", "/api/upload")
        .bearer(&user.token)
        .header("Content-Type", content_type)
        .body(body)
        .send()
}

fn problem(code: &str, title: &str, status: u16, detail: &str) -> serde_json::Value {
    json!({ "code": code, "title": title, "status": status, "detail": detail })
}

#[test]
fn a_body_is_exactly_one_file_from_its_beginning_to_its_end() {
    let server = Server::start();
    let ann = server.register("ann");
    let file = || part("file", Some("a.png"), PNG);
    let field = |message: &str| {
        let mut expected = problem("bad_request", "Bad Request", 400, "some fields are not acceptable");
        expected["errors"] = json!([{ "field": "file", "message": message }]);
        expected
    };
    let alone = field("send one file at a time, and nothing beside it");
    let missing = field("this field is required");
    let malformed = problem("bad_request", "Bad Request", 400, "the body is not valid multipart/form-data");
    for (what, body, expected) in [
        ("two files", [file(), file(), end()].concat(), &alone),
        ("something beside", [file(), part("note", None, b"x"), end()].concat(), &alone),
        ("something before", [part("note", None, b"x"), file(), end()].concat(), &missing),
        ("another field", [part("picture", Some("a.png"), PNG), end()].concat(), &missing),
        ("no field", end(), &missing),
        ("nothing", Vec::new(), &malformed),
        ("cut off", file()[..120].to_vec(), &malformed),
        ("no end", file(), &malformed),
        ("no multipart", b"hello".to_vec(), &malformed),
    ] {
        let answer = send(&server, &ann, &content_type(), body);
        assert_eq!((answer.status, &answer.json()), (400, expected), "{what}");
    }
    let answer = send(&server, &ann, "multipart/form-data; boundary=another", [file(), end()].concat());
    assert_eq!((answer.status, answer.json()), (400, malformed));
    for other in ["application/json", "multipart/form-data", "text/plain", ""] {
        let answer = send(&server, &ann, other, [file(), end()].concat());
        assert_eq!((answer.status, &answer.json()["code"]), (415, &json!("bad_request")), "{other}");
    }
    let empty = send(&server, &ann, &content_type(), [part("file", Some("a"), b""), end()].concat());
    empty.assert_problem(400, &problem("bad_request", "Bad Request", 400, "the file is empty"));
    let nameless = send(&server, &ann, &content_type(), [part("file", None, b"hello"), end()].concat());
    assert_eq!((nameless.status, &nameless.json()["name"]), (201, &json!("file.txt")));
    assert_eq!(
        std::fs::read_dir(server.data().join("files/incoming")).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn what_is_over_the_limit_is_refused_with_and_without_an_announced_length() {
    let server = Server::with(&format!("{BASE}upload_bytes = 1000\n"));
    let ann = server.register("ann");
    let large = problem("payload_too_large", "Payload Too Large", 413, "the file is too large");
    assert_eq!(server.upload(&ann, "a", &[b'x'; 1_000]).status, 201);
    server.upload(&ann, "a", &[b'x'; 1_001]).assert_problem(413, &large);
    let announced = server.upload(&ann, "a", &[b'x'; 200_000]);
    announced.assert_problem(
        413,
        &problem("payload_too_large", "Payload Too Large", 413, "the body is too large"),
    );
    // In chunks, of which nobody knows how many there will be.
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let head = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        ann.token,
        content_type()
    );
    let start =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n");
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.write_all(&[head.as_bytes(), &chunk(start.as_bytes()), &chunk(&[b'x'; 5_000])].concat()).unwrap();
    let mut answer = Vec::new();
    // It is answered although the body goes on.
    while !answer.ends_with(b"}") {
        let mut piece = [0; 1_000];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("the file is too large"), "{answer}");
}

/// An upload of this type that is begun and whose body has no end yet; the stream, and what is sent of it.
fn begun(server: &Server, user: &User, more: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\nContent-Length: 4000000\r\n{more}\r\n",
        user.token,
        content_type()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// What comes until the given end.
fn read_until(stream: &mut std::net::TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut piece = [0; 1_000];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_body_in_which_no_header_and_no_boundary_ends_is_refused_before_it_is_kept() {
    let server = Server::start();
    let ann = server.register("ann");
    let header = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; x=\"");
    let second = String::from_utf8([part("file", Some("a"), b"hello"), header.clone().into_bytes()].concat());
    for beginning in [header, second.unwrap(), "no boundary".to_owned()] {
        let mut stream = begun(&server, &ann, "");
        let mebibyte = "x".repeat(1 << 20);
        stream.write_all([beginning.as_bytes(), mebibyte.as_bytes()].concat().as_slice()).unwrap();
        // It is answered although the body goes on.
        let answer = read_until(&mut stream, "}");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("the body is not valid multipart/form-data"), "{answer}");
    }
    assert_eq!(server.upload(&ann, "a.txt", &[b'x'; 3_000_000]).status, 201);
}

#[test]
fn an_upload_has_its_place_before_anything_of_it_is_read() {
    let server = Server::start();
    let ann = server.register("ann");
    let coming: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = begun(&server, &ann, "Expect: 100-continue\r\n");
            // So it is being read.
            let told = read_until(&mut stream, "\r\n\r\n");
            assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n");
            stream
        })
        .collect();
    let busy = problem("unavailable", "Service Unavailable", 503, "too many uploads at once, try again");
    let refused = server.upload(&ann, "a", b"hello");
    assert_eq!((refused.status, &refused.json()), (503, &busy));
    drop(coming);
}

#[test]
fn who_sends_far_too_much_before_listening_still_hears_why_it_is_refused() {
    let server = Server::start();
    let ann = server.register("ann");
    let long = vec![b'x'; 20 << 20];
    for _ in 0..3 {
        let answer = server.upload(&ann, "a", &long);
        assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("payload_too_large")));
    }
    let nobody = User { token: "x".into(), ..ann };
    assert_eq!(server.upload(&nobody, "a", &long).status, 401);
}

#[test]
fn uploads_have_a_rate_and_users_a_total() {
    let server = Server::with(&format!(
        "{}uploads_per_hour = 3\nupload_total_bytes = 10\n",
        BASE.replace("uploads_per_hour = 0\n", "")
    ));
    let [ann, bob] = ["ann", "bob"].map(|name| server.register(name));
    assert_eq!(server.upload(&ann, "a", b"12345678").status, 201);
    let full = problem("forbidden", "Forbidden", 403, "you have uploaded as much as is kept for one user");
    server.upload(&ann, "a", b"123").assert_problem(403, &full);
    assert_eq!(server.upload(&ann, "a", b"12").status, 201);
    let limited = server.upload(&ann, "a", b"1");
    assert_eq!((limited.status, &limited.json()["code"]), (429, &json!("rate_limited")));
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
    assert_eq!(server.upload(&bob, "a", b"12345678").status, 201);
}

#[test]
fn nobody_uploads_without_a_token() {
    let server = Server::start();
    let body = [part("file", Some("a"), b"x"), end()].concat();
    let request = || server.request("POST", "/api/upload").header("Content-Type", &content_type());
    assert_eq!(request().body(body.clone()).send().status, 401);
    assert_eq!(request().bearer("x").body(body).send().status, 401);
}

#[test]
fn an_upload_that_is_not_what_is_taken_in_is_told_so() {
    let server = Server::start();
    let ann = server.register("ann");
    let refused = problem("bad_request", "Bad Request", 400, "files of this type are not accepted");
    for content in [&b"<svg onload=alert(1)>"[..], b"<!doctype html>", b"PK\x03\x04", b"MZ\x90\0", b"\x7fELF"]
    {
        server.upload(&ann, "innocent.png", content).assert_problem(400, &refused);
    }
    let broken = problem("bad_request", "Bad Request", 400, "the image is damaged");
    server.upload(&ann, "a.png", &PNG[..40]).assert_problem(400, &broken);
}
