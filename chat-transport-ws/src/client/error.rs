//! What may become of a command.

use std::time::Duration;

/// Why a command has no answer, or a negative one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server refused.
    #[error("{code}: {message}")]
    Refused {
        /// One of the codes of docs/protocol.md, Errors.
        code: String,
        /// For a person.
        message: String,
        /// When it may be tried again.
        retry_after: Option<Duration>,
    },
    /// Too many commands wait for their answers.
    #[error("too many commands are waiting")]
    Full,
    /// The command is longer than the server takes.
    #[error("the command is too long")]
    TooLarge,
    /// The connection was lost before the answer came, and the command is none that may be repeated: whether it
    /// took effect is not known.
    #[error("the connection was lost before the answer")]
    Interrupted,
    /// The client has stopped for good.
    #[error("the client has stopped")]
    Stopped,
    /// The fields of a command are a JSON object.
    #[error("the fields of a command are a JSON object")]
    NoObject,
    /// The answer has not the fields that docs/protocol.md names.
    #[error("the answer is not what the protocol says")]
    Unexpected,
}

/// The address is not one of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is written ws://host:port/path")]
pub struct InvalidUrl;
