//! The table of permissions.

use serde_json::{Value, json};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    Owner,
    Admin,
    Moderator,
    Member,
    Muted,
    Blocked,
    Banned,
    Invited,
    Former,
    Stranger,
    OtherOwner,
}

impl Actor {
    /// In the order of the table's columns.
    pub(crate) const ALL: [Self; 11] = [
        Self::Owner,
        Self::Admin,
        Self::Moderator,
        Self::Member,
        Self::Muted,
        Self::Blocked,
        Self::Banned,
        Self::Invited,
        Self::Former,
        Self::Stranger,
        Self::OtherOwner,
    ];
    /// What the columns are called.
    pub(crate) const NAMES: [&str; 11] = [
        "owner",
        "admin",
        "moderator",
        "member",
        "muted",
        "blocked",
        "banned",
        "invited",
        "former",
        "stranger",
        "other owner",
    ];

    /// Whether they are no member.
    pub(crate) fn is_outside(self) -> bool {
        self as usize >= Self::Banned as usize
    }

    /// Whether they never heard of the room.
    pub(crate) fn is_unaware(self) -> bool {
        matches!(self, Self::Stranger | Self::OtherOwner)
    }

    /// Whether they were a member at some time.
    pub(crate) fn has_written(self) -> bool {
        !self.is_unaware() && self != Self::Invited
    }
}

/// One command in one case.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) command: String,
    pub(crate) case: String,
    pub(crate) frame: Value,
    /// What is answered in a public and in a private room.
    pub(crate) cells: Vec<[&'static str; 2]>,
}

impl Row {
    pub(crate) fn expected(&self, actor: Actor, private: bool) -> &'static str {
        self.cells[actor as usize][usize::from(private)]
    }

    /// Whether the actor's answer has to be that for a room that does not exist: not where they know of it, by
    /// their invitation for example.
    pub(crate) fn tells_nothing(&self, actor: Actor) -> bool {
        actor.is_unaware() || self.expected(actor, true) == "not_found"
    }
}

/// The rows of a table: `command | case | fields | cells`, where other lines are headings and prose.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(row).collect()
}

fn row(line: &str) -> Row {
    let parts: Vec<_> = line.split('|').map(str::trim).collect();
    let [command, case, fields, cells] = parts[..] else { panic!("a row has four parts: {line}") };
    let mut frame: Value = serde_json::from_str(fields).unwrap_or_else(|error| panic!("{error}: {line}"));
    frame["type"] = json!(command);
    let cells: Vec<_> = cells
        .split_whitespace()
        .map(|cell| {
            let (public, private) = cell.split_once('/').unwrap_or((cell, cell));
            [public, private]
                .map(|sign| meaning(sign).unwrap_or_else(|| panic!("no such answer: {sign}: {line}")))
        })
        .collect();
    assert_eq!(cells.len(), Actor::ALL.len(), "a cell is missing: {line}");
    Row { command: command.to_owned(), case: case.to_owned(), frame, cells }
}

fn meaning(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "+" => "ok",
        "b" => "bad_request",
        "c" => "conflict",
        "f" => "forbidden",
        "n" => "not_found",
        "r" => "rate_limited",
        _ => return None,
    })
}
