//! Why a connection ended, and what its client should do (docs/protocol.md, Closing).

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both sides are done.
    Normal,
    /// The server is draining; reconnect after the delay that `server_draining` gave, and resume.
    Draining,
    /// A frame was over the limit; do not repeat it.
    TooLarge,
    /// Protocol abuse; fix the client.
    Abuse,
    /// Not authenticated, or the token is refused, expired or revoked; get a new token.
    Unauthenticated,
    /// Banned from the server, or erased; stop.
    Banned,
    /// No authentication in time, or no sign of life; reconnect.
    TimedOut,
    /// A flood beyond the limits; back off.
    Flood,
}

impl CloseReason {
    /// The WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Draining => 1001,
            Self::TooLarge => 1009,
            Self::Abuse => 4400,
            Self::Unauthenticated => 4401,
            Self::Banned => 4403,
            Self::TimedOut => 4408,
            Self::Flood => 4429,
        }
    }

    /// A few words for a person.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Normal => "bye",
            Self::Draining => "server draining",
            Self::TooLarge => "frame too large",
            Self::Abuse => "protocol abuse",
            Self::Unauthenticated => "not authenticated",
            Self::Banned => "banned",
            Self::TimedOut => "timed out",
            Self::Flood => "too many requests",
        }
    }

    /// Whether a client may connect again without asking a person or fixing itself.
    #[must_use]
    pub const fn may_reconnect(self) -> bool {
        matches!(self, Self::Normal | Self::Draining | Self::TimedOut | Self::Flood)
    }
}
