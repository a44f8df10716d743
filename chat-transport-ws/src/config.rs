//! What a listener and its connections are told.

use std::{fmt, sync::Arc, time::Duration};

use chat_core::auth::Authenticator;

use crate::{Origins, limits};

/// Settings of a listener and of an upgrade. All have defaults.
#[derive(Clone)]
#[non_exhaustive]
pub struct WsConfig {
    /// Where a standalone listener answers; other paths are 404. Default `/ws`.
    pub path: String,
    /// Whose pages may connect. Default: those of the same host.
    pub origins: Origins,
    /// Longest frame of a client in bytes; over it the connection is closed with 1009. Default 64 KiB.
    pub frame_bytes: usize,
    /// Connections of a standalone listener in all; over it HTTP 503. 0 for no limit.
    pub connections: usize,
    /// Connections of a standalone listener from one address; over it HTTP 429. 0 for no limit. Default 100.
    pub connections_per_address: usize,
    /// How long a handshake may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// Handshakes of a standalone listener in progress at a time; more wait.
    pub handshakes: usize,
    /// Who checks a token of the `Authorization` header before the upgrade, so that a bad one is HTTP 401.
    /// Without it such a token is checked when the client sends `authenticate`.
    pub authenticator: Option<Arc<dyn Authenticator>>,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            path: "/ws".into(),
            origins: Origins::same_host(),
            frame_bytes: limits::FRAME_BYTES_MAX,
            connections: limits::CONNECTIONS_MAX,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            handshakes: limits::HANDSHAKES_MAX,
            authenticator: None,
        }
    }
}

impl WsConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the path of a standalone listener.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets whose pages may connect.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the longest frame of a client.
    #[must_use]
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }

    /// Sets how many connections there may be, in all and from one address; 0 for no limit.
    #[must_use]
    pub fn connections(mut self, total: usize, per_address: usize) -> Self {
        (self.connections, self.connections_per_address) = (total, per_address);
        self
    }

    /// Sets how long a handshake may take and how many may be in progress.
    #[must_use]
    pub fn handshakes(mut self, timeout: Duration, most: usize) -> Self {
        (self.handshake_timeout, self.handshakes) = (timeout, most.max(1));
        self
    }

    /// Sets who checks a token of the `Authorization` header before the upgrade.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }
}

impl fmt::Debug for WsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsConfig")
            .field("path", &self.path)
            .field("origins", &self.origins)
            .field("frame_bytes", &self.frame_bytes)
            .field("connections", &self.connections)
            .field("connections_per_address", &self.connections_per_address)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("handshakes", &self.handshakes)
            .field("authenticator", &self.authenticator.is_some())
            .finish()
    }
}
