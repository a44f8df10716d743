//! The transport within the process keeps the contract.
#![cfg(feature = "testing")]
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use chat_core::{
    auth::Hello,
    testing::{TestPeer, TransportFixture},
    transport::{FromPeer, Gone, MemoryDialer, MemoryPeer, MemoryTransport, ToPeer},
};

chat_core::transport_conformance!(InMemory);

struct InMemory(MemoryDialer);

impl TransportFixture for InMemory {
    type Transport = MemoryTransport;
    type Peer = Peer;

    async fn start() -> (Self, MemoryTransport) {
        let (transport, dialer) = MemoryTransport::new();
        (Self(dialer), transport)
    }

    async fn dial(&mut self) -> Peer {
        Peer(self.0.dial(Hello::default(), 4).await.expect("somebody accepts"))
    }

    async fn dial_badly(&mut self) {}
}

struct Peer(MemoryPeer);

impl TestPeer for Peer {
    async fn send(&mut self, what: FromPeer) -> Result<(), Gone> {
        self.0.send(what).await
    }

    async fn next(&mut self) -> Option<ToPeer> {
        self.0.next().await
    }
}
