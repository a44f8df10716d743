//! Stopping: what is pending is answered, everybody is told, and the exit code says that all went well.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;
use support::{Server, message, ws::Ws};

#[tokio::test]
async fn sigterm_answers_what_is_pending_and_closes_with_1001() {
    let mut server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    for i in 0..20 {
        ws.send(&message(i, "lobby", "hello")).await;
    }
    ws.answer(&json!(0)).await;
    server.signal(Signal::TERM);
    let (frames, close) = ws.until_closed().await;
    assert_eq!(close, Some(1001));
    let drain = frames.iter().find(|frame| frame["type"] == "server_draining").unwrap();
    assert!(drain["reconnectAfterMs"].is_u64());
    let acked = frames.iter().filter(|frame| frame["type"] == "ack").count();
    assert_eq!(server.wait().code(), Some(0));
    assert!(TcpStream::connect(server.address).is_err());

    let server = server.kill_and_restart();
    let mut ws = Ws::login(&server, &ann.token).await;
    let history = ws.ask(json!({ "type": "fetch_history", "id": "h", "roomId": "lobby" })).await;
    assert!(history["messages"].as_array().unwrap().len() > acked, "what was acked is there");
}

#[tokio::test]
async fn sigint_does_the_same() {
    let mut server = Server::start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    server.signal(Signal::INT);
    let (frames, close) = ws.until_closed().await;
    assert_eq!(frames.last().unwrap()["type"], "server_draining");
    assert_eq!(close, Some(1001));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start();
    let idle = TcpStream::connect(server.address).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    drop(idle);
    assert!(server.log().contains("stopped"));
}
