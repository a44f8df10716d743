//! The table of operations.

use serde_json::{Map, Value};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Principal {
    Anonymous,
    Expired,
    Revoked,
    Refresh,
    Erased,
    Disabled,
    Operator,
    Stranger,
    Former,
    Invited,
    Banned,
    Member,
    Muted,
    Blocked,
    Moderator,
    Admin,
    Owner,
}

impl Principal {
    /// In the order of the table's columns, with what they are called there.
    pub(crate) const ALL: &[(Self, &str)] = &[
        (Self::Anonymous, "anonymous"),
        (Self::Expired, "expired"),
        (Self::Revoked, "revoked"),
        (Self::Refresh, "refresh"),
        (Self::Erased, "erased"),
        (Self::Disabled, "disabled"),
        (Self::Operator, "operator"),
        (Self::Stranger, "stranger"),
        (Self::Former, "former"),
        (Self::Invited, "invited"),
        (Self::Banned, "banned"),
        (Self::Member, "member"),
        (Self::Muted, "muted"),
        (Self::Blocked, "blocked"),
        (Self::Moderator, "moderator"),
        (Self::Admin, "admin"),
        (Self::Owner, "owner"),
    ];

    /// Whether nothing is theirs to do, whatever the room is.
    pub(crate) fn is_nobody(self) -> bool {
        (self as usize) < Self::Operator as usize
    }

    /// Whether they may do things, and are no member.
    pub(crate) fn is_outside(self) -> bool {
        matches!(self, Self::Operator | Self::Stranger | Self::Former | Self::Invited | Self::Banned)
    }

    /// Whether they were a member at some time, and said something then.
    pub(crate) fn has_written(self) -> bool {
        !self.is_nobody() && !matches!(self, Self::Operator | Self::Stranger | Self::Invited)
    }
}

/// One operation in one case.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) operation: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) case: String,
    pub(crate) fields: Map<String, Value>,
    /// What is answered in a public and in a private room.
    cells: Vec<[&'static str; 2]>,
}

impl Row {
    pub(crate) fn expected(&self, principal: Principal, private: bool) -> &'static str {
        self.cells[principal as usize][usize::from(private)]
    }

    /// Whether the answer has to be that for a room that does not exist: not where they know of it, by their
    /// invitation for example.
    pub(crate) fn tells_nothing(&self, principal: Principal) -> bool {
        let [expected, to_strangers] = [principal, Principal::Stranger].map(|it| self.expected(it, true));
        // What is for the operator alone may tell them.
        let is_unaware = matches!(principal, Principal::Operator | Principal::Stranger);
        expected == "not_found" || is_unaware && expected == to_strangers
    }

    pub(crate) fn name(&self) -> String {
        let [operation, command] = [&self.operation, &self.command].map(|it| it.as_deref().unwrap_or("-"));
        format!("{operation} {command} ({})", self.case)
    }
}

/// The rows of a table; other lines are headings and prose.
///
/// # Panics
/// When the columns are not those that there are, or a cell is missing or one too many.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    let mut lines = table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let names = lines.next().and_then(|line| line.strip_prefix("principals: ")).expect("the columns' names");
    let known: Vec<_> = Principal::ALL.iter().map(|(_, name)| *name).collect();
    assert_eq!(names.split(' ').collect::<Vec<_>>(), known, "the columns");
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    let parts: Vec<_> = line.split('|').map(str::trim).collect();
    let [operation, command, cells, case, fields] = parts[..] else { panic!("a row has five parts: {line}") };
    let fields = serde_json::from_str(fields).unwrap_or_else(|error| panic!("{error}: {line}"));
    let cells: Vec<_> = cells
        .split_whitespace()
        .map(|cell| {
            let (public, private) = cell.split_once('/').unwrap_or((cell, cell));
            [public, private]
                .map(|sign| meaning(sign).unwrap_or_else(|| panic!("no such answer: {sign}: {line}")))
        })
        .collect();
    assert_eq!(cells.len(), Principal::ALL.len(), "a cell is missing, or one too many: {line}");
    let [operation, command] = [operation, command].map(|name| (name != "-").then(|| name.to_owned()));
    Row { operation, command, case: case.to_owned(), fields, cells }
}

const SIGNS: &[(&str, &str)] = &[
    ("+", "ok"),
    ("u", "unauthenticated"),
    ("e", "token_expired"),
    ("i", "invalid_token"),
    ("f", "forbidden"),
    ("n", "not_found"),
    ("c", "conflict"),
    ("b", "bad_request"),
];

fn meaning(sign: &str) -> Option<&'static str> {
    SIGNS.iter().find(|(known, _)| *known == sign).map(|(_, meaning)| *meaning)
}

/// The sign of an answer, or the answer itself where it has none.
pub(crate) fn sign(answer: &str) -> &str {
    SIGNS.iter().find(|(_, meaning)| *meaning == answer).map_or(answer, |(sign, _)| *sign)
}
