//! Who may do what, by HTTP and by WebSocket: every operation and every command, asked by everybody who there is.
//!
//! `tests/matrix/operations.txt` is the table. Each of its cells is tried on a fresh room, public and private.
//! `MATRIX_ONLY=word` tries only the rows that have the word in their names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[path = "matrix/cell.rs"]
mod cell;
#[path = "matrix/house.rs"]
mod house;
#[path = "matrix/scene.rs"]
mod scene;
#[path = "matrix/table.rs"]
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use chat_core::wire::COMMANDS;
use house::House;
use support::{Server, line::Line, openapi};
use table::Principal;

const TABLE: &str = include_str!("matrix/operations.txt");
/// Cells that are tried at once.
const AT_ONCE: usize = 4;

#[test]
fn every_operation_and_every_command_has_a_row_and_every_row_has_them() {
    let rows = table::rows(TABLE);
    let server = Server::start();
    let served: BTreeSet<_> = openapi::operations(&server).into_iter().map(|it| it.name).collect();
    let tabled: BTreeSet<_> = rows.iter().filter_map(|row| row.operation.clone()).collect();
    assert_eq!(served.difference(&tabled).collect::<Vec<_>>(), [""; 0], "operations without a row");
    assert_eq!(tabled.difference(&served).collect::<Vec<_>>(), [""; 0], "rows without an operation");
    let known: BTreeSet<_> = COMMANDS.iter().map(|name| (*name).to_owned()).collect();
    let tabled: BTreeSet<_> = rows.iter().filter_map(|row| row.command.clone()).collect();
    assert_eq!(known.difference(&tabled).collect::<Vec<_>>(), [""; 0], "commands without a row");
    assert_eq!(tabled.difference(&known).collect::<Vec<_>>(), [""; 0], "rows without a command");
    let mut cases = BTreeSet::new();
    for row in &rows {
        assert!(row.operation.is_some() || row.command.is_some(), "of nothing: {}", row.name());
        assert!(cases.insert(row.name()), "twice: {}", row.name());
    }
}

/// The engine's own table, of commands in process.
const COMMANDS_TABLE: &str = include_str!("../../chat-core/tests/matrix/permissions.txt");

#[test]
fn where_the_table_speaks_of_the_same_as_that_of_the_engine_the_two_agree() {
    let columns = ["owner", "admin", "moderator", "member", "muted", "blocked"];
    let columns = [&columns[..], &["banned", "invited", "former", "stranger"]].concat();
    let mut cells: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for line in COMMANDS_TABLE.lines().filter(|line| !line.starts_with('#')) {
        let [command, case, _, row] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            continue;
        };
        cells.extend(
            columns.iter().zip(row.split_whitespace()).map(|(who, cell)| ((command, case, *who), cell)),
        );
    }
    let mut compared = 0;
    for row in table::rows(TABLE) {
        let Some(command) = &row.command else { continue };
        for (principal, who) in Principal::ALL {
            let Some(cell) = cells.get(&(command.as_str(), row.case.as_str(), *who)) else { continue };
            let [public, private] =
                [false, true].map(|private| table::sign(row.expected(*principal, private)));
            let (expected, private_too) = cell.split_once('/').unwrap_or((cell, cell));
            assert_eq!((public, private), (expected, private_too), "{} by {who}", row.name());
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn everybody_may_do_what_the_table_says_by_both_doors() {
    let only = std::env::var("MATRIX_ONLY").unwrap_or_default();
    let house = House::open();
    let rows: Vec<_> = table::rows(TABLE).into_iter().filter(|row| row.name().contains(&only)).collect();
    let cells: Vec<_> = rows
        .iter()
        .flat_map(|row| Principal::ALL.iter().map(move |(principal, _)| (row, *principal)))
        .flat_map(|(row, principal)| [(row, principal, false), (row, principal, true)])
        .collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let mut line = Line::new(house.server.address);
                while let Some((number, (row, principal, private))) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cells.get(at)?)))
                {
                    let outcome = cell::try_cell(&house, &mut line, &runtime, row, *principal, *private);
                    found.lock().unwrap().insert(number, outcome);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let (mut wrong, mut answers, mut compared) = (Vec::new(), 0, 0);
    for (number, outcome) in &found {
        let (row, principal, private) = cells[*number];
        let room = if private { "private" } else { "public" };
        wrong.extend(
            outcome.wrong.iter().map(|what| format!("{} by {principal:?}, {room}: {what}", row.name())),
        );
        answers += outcome.answers;
        compared += outcome.compared;
    }
    println!(
        "{} cells, {answers} answers, {compared} compared with those of a room that is not there",
        found.len()
    );
    assert_eq!(found.len(), cells.len(), "cells that were not tried");
    assert!(wrong.is_empty(), "{} of {answers} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
