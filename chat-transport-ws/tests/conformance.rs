//! The WebSocket transport keeps the contract.

mod common;

use std::net::SocketAddr;

use chat_core::testing::TransportFixture;
use chat_transport_ws::{WsConfig, WsTransport};

chat_core::transport_conformance!(OverTcp);

struct OverTcp(SocketAddr);

impl TransportFixture for OverTcp {
    type Transport = WsTransport;
    type Peer = common::Peer;

    async fn start() -> (Self, WsTransport) {
        let transport = common::listen(WsConfig::new()).await;
        (Self(transport.local_addr()), transport)
    }

    async fn dial(&mut self) -> common::Peer {
        common::Peer::dial(self.0).await
    }

    async fn dial_badly(&mut self) {
        assert_eq!(common::ask(self.0, b"GET /elsewhere HTTP/1.1\r\n\r\n").await.status, 404);
    }
}
