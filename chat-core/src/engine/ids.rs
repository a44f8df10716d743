//! New identifiers, from an injected source of randomness.

use std::fmt;

use crate::{
    auth::Secret,
    id::{HeldId, InviteId, NodeId, ReportId, RoomId, SessionId},
    time::Timestamp,
};

/// Makes UUIDv7 identifiers (RFC 9562) out of given time and a source of random bytes.
pub(crate) struct Ids {
    random: RandomBytes,
}

/// Ten random bytes at each call.
pub type RandomBytes = Box<dyn Fn() -> [u8; 10] + Send + Sync>;

impl Ids {
    pub(crate) fn new(random: RandomBytes) -> Self {
        Self { random }
    }

    /// Randomness of the operating system.
    pub(crate) fn from_system() -> Self {
        Self::new(Box::new(|| {
            let mut bytes = [0; 10];
            // Without the system's randomness nothing here is safe to go on with; it fails only where the
            // platform has none at all.
            #[allow(clippy::expect_used, reason = "see above")]
            getrandom::fill(&mut bytes).expect("the operating system has a source of randomness");
            bytes
        }))
    }

    pub(crate) fn room(&self, now: Timestamp) -> RoomId {
        RoomId::from_trusted(&self.uuid(now))
    }

    pub(crate) fn node(&self, now: Timestamp) -> NodeId {
        NodeId::from_trusted(&self.uuid(now))
    }

    pub(crate) fn session(&self, now: Timestamp) -> SessionId {
        SessionId::from_trusted(&self.uuid(now))
    }

    pub(crate) fn held(&self, now: Timestamp) -> HeldId {
        HeldId::from_trusted(&self.uuid(now))
    }

    pub(crate) fn report(&self, now: Timestamp) -> ReportId {
        ReportId::from_trusted(&self.uuid(now))
    }

    pub(crate) fn invite(&self, now: Timestamp) -> InviteId {
        InviteId::from_trusted(&self.uuid(now))
    }

    /// A token of 160 random bits, in hexadecimal.
    pub(crate) fn token(&self) -> Secret {
        use std::fmt::Write;
        let bytes = [(self.random)(), (self.random)()].concat();
        let text = bytes.iter().fold(String::with_capacity(40), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Secret::new(text)
    }

    fn uuid(&self, now: Timestamp) -> String {
        let millis = now.as_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(millis, &(self.random)()).into_uuid().to_string()
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}
