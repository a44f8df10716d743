//! `[limits]`: bounds of the engine, and rates of the server.

use chat_core::{domain::Rate, limits::Limits};

use super::{ConfigError, values::Values};

/// What users and addresses may ask of the server in a time; a rate of 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// WebSockets of one address at once; 0 for no limit.
    pub(crate) connections_per_ip: usize,
    /// Registrations of one address.
    pub(crate) registrations: Rate,
    /// Attempts to log in of one address.
    pub(crate) logins: Rate,
    /// Renewals of logins, per address.
    pub(crate) refreshes: Rate,
    /// Uploads of one user.
    pub(crate) uploads: Rate,
    /// Files that one user is given.
    pub(crate) file_reads: Rate,
}

impl Rates {
    pub(super) fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let rate = |key: &'static str, default: u32| values.number(key, 0..=1_000_000, default);
        Ok(Self {
            connections_per_ip: values.number("limits.connections_per_ip", 0..=1_000_000, 100)?,
            registrations: Rate::per_hour(rate("limits.registrations_per_hour", 5)?),
            logins: Rate::per_hour(rate("limits.logins_per_hour", 10)?),
            refreshes: Rate::per_hour(rate("limits.refreshes_per_hour", 3_600)?),
            uploads: Rate::per_hour(rate("limits.uploads_per_hour", 10)?),
            file_reads: Rate::per_second(rate("limits.file_reads_per_second", 200)?),
        })
    }
}

/// The bounds of the engine; what is not told is as the engine has it.
pub(super) fn engine(values: &Values) -> Result<Limits, ConfigError> {
    let base = Limits::default();
    Ok(Limits {
        messages_per_minute: values.number(
            "limits.messages_per_minute",
            0..=100_000,
            base.messages_per_minute,
        )?,
        message_burst: values.number("limits.message_burst", 1..=100_000, base.message_burst)?,
        commands_per_second: values.number(
            "limits.commands_per_second",
            0..=100_000,
            base.commands_per_second,
        )?,
        typing_per_second: values.number("limits.typing_per_second", 0..=1_000, base.typing_per_second)?,
        commands_in_flight: values.number("limits.commands_in_flight", 1..=1_024, base.commands_in_flight)?,
        connections_per_user: values.number(
            "limits.connections_per_user",
            0..=1_000_000,
            base.connections_per_user,
        )?,
        rooms_per_user: values.number("limits.rooms_per_user", 0..=1_000_000, base.rooms_per_user)?,
        content_chars: values.number("limits.content_chars", 1..=50_000, base.content_chars)?,
        frame_bytes: values.number("limits.frame_bytes", 1_024..=1_048_576, base.frame_bytes)?,
        resume_entries: values.number("limits.resume_entries", 0..=1_000_000, base.resume_entries)?,
    })
}
