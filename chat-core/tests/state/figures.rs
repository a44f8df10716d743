//! What the runs have covered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::acts::End;

/// How a user stands to a room, for the tables below.
pub const STANDINGS: [&str; 9] =
    ["owner", "admin", "moderator", "member", "muted", "banned", "invited", "ex-member", "stranger"];

/// What was done, and who saw it.
#[derive(Debug, Default)]
pub struct Figures {
    pub sequences: u64,
    pub checks: u64,
    pub events: u64,
    pub bursts: u64,
    /// Rounds of upkeep, and the cuts of logs in them.
    pub kept_up: u64,
    pub cuts: u64,
    pub erased: u64,
    /// Engines that ended and stores that were opened again, by how they ended.
    pub reopened: BTreeMap<End, u64>,
    /// Of these, those that ended while a message was on its way.
    pub amid: u64,
    /// By command and code; `ok` where it was accepted.
    pub answers: BTreeMap<(String, String), u64>,
    /// By command and the standing of who gave it: accepted and refused.
    pub acted: BTreeMap<(String, &'static str), [u64; 2]>,
    /// By command that was accepted and the standing of who was compared with a fresh snapshot after it.
    pub seen: BTreeMap<(String, &'static str), u64>,
}

/// Commands that nobody is refused.
const OPEN_TO_ALL: [&str; 9] = [
    "authenticate",
    "get_presence",
    "list_blocks",
    "list_invites",
    "list_rooms",
    "ping",
    "pong",
    "set_presence",
    "unsubscribe",
];

impl Figures {
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.checks += other.checks;
        self.events += other.events;
        self.bursts += other.bursts;
        self.kept_up += other.kept_up;
        self.cuts += other.cuts;
        self.erased += other.erased;
        self.amid += other.amid;
        for (end, count) in &other.reopened {
            *self.reopened.entry(*end).or_default() += count;
        }
        for (kind, count) in &other.answers {
            *self.answers.entry(kind.clone()).or_default() += count;
        }
        for (kind, [accepted, refused]) in &other.acted {
            let [a, r] = self.acted.entry(kind.clone()).or_default();
            (*a, *r) = (*a + accepted, *r + refused);
        }
        for (kind, count) in &other.seen {
            *self.seen.entry(kind.clone()).or_default() += count;
        }
    }

    /// How often a command was accepted, and refused.
    fn outcomes(&self, command: &str) -> (u64, u64) {
        let of = |accepted: bool| {
            let all =
                self.answers.iter().filter(|((name, code), _)| name == command && (code == "ok") == accepted);
            all.map(|(_, count)| count).sum()
        };
        (of(true), of(false))
    }

    /// Commands of these that were never accepted, or never refused though they can be.
    pub fn missing(&self, commands: &[String]) -> Vec<String> {
        let lacks = |command: &&String| {
            let (accepted, refused) = self.outcomes(command);
            accepted == 0 || (refused == 0 && !OPEN_TO_ALL.contains(&command.as_str()))
        };
        commands.iter().filter(lacks).cloned().collect()
    }

    /// Pairs of a command and a standing such that nobody of that standing was compared after that command.
    pub fn unseen(&self) -> Vec<String> {
        let commands: BTreeSet<_> = self.seen.keys().map(|(command, _)| command).collect();
        let pairs =
            commands.iter().flat_map(|command| STANDINGS.map(|standing| (command.to_string(), standing)));
        let unseen = pairs.filter(|pair| !self.seen.contains_key(pair));
        unseen.map(|(command, standing)| format!("{command} {standing}")).collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: BTreeSet<_> = self.answers.keys().map(|(command, _)| command.as_str()).collect();
        let all = commands.iter().map(|command| self.outcomes(command));
        let (accepted, refused) = all.fold((0, 0), |(a, r), (accepted, refused)| (a + accepted, r + refused));
        let Self { sequences, checks, events, bursts, amid, kept_up, cuts, erased, .. } = self;
        writeln!(
            f,
            "{sequences} sequences: {} commands, {accepted} accepted and {refused} refused; {bursts} bursts, {events} events, {kept_up} rounds of upkeep with {cuts} cuts, {erased} users erased",
            accepted + refused
        )?;
        writeln!(
            f,
            "reopened: {:?}, {amid} of them amid a send; {checks} comparisons, each with verify()",
            self.reopened
        )?;
        writeln!(f, "\nanswers:")?;
        for command in &commands {
            let (accepted, refused) = self.outcomes(command);
            let codes = self.answers.iter().filter(|((name, code), _)| name == command && code != "ok");
            let codes: Vec<_> = codes.map(|((_, code), count)| format!("{code} {count}")).collect();
            writeln!(f, "  {command:18} accepted {accepted:9} refused {refused:9}  {}", codes.join(", "))?;
        }
        writeln!(f, "\naccepted/refused by the standing of who gave the command:")?;
        self.table(f, |command, standing| {
            let [accepted, refused] =
                self.acted.get(&(command.to_owned(), standing)).copied().unwrap_or_default();
            format!("{accepted}/{refused}")
        })?;
        writeln!(
            f,
            "\ncompared with a fresh snapshot after the command, by the standing of who was shown it:"
        )?;
        self.table(f, |command, standing| {
            self.seen.get(&(command.to_owned(), standing)).copied().unwrap_or_default().to_string()
        })
    }
}

impl Figures {
    fn table(&self, f: &mut fmt::Formatter<'_>, cell: impl Fn(&str, &'static str) -> String) -> fmt::Result {
        write!(f, "  {:18}", "")?;
        STANDINGS.iter().try_for_each(|standing| write!(f, " {standing:>13}"))?;
        writeln!(f)?;
        let commands: BTreeSet<_> =
            self.acted.keys().chain(self.seen.keys()).map(|(command, _)| command).collect();
        for command in commands {
            write!(f, "  {command:18}")?;
            STANDINGS.iter().try_for_each(|standing| write!(f, " {:>13}", cell(command, standing)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
