//! Who may do what: every command, asked by everybody who could stand in a relation to a room.
//!
//! `tests/matrix/permissions.txt` is the table. Each of its cells is tried on a fresh room, public and private, and
//! `docs/permissions.md` is made from it: `UPDATE_DOCS=1` writes that file anew.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "matrix/docs.rs"]
mod docs;
#[path = "matrix/known.rs"]
mod known;
#[path = "matrix/stage.rs"]
mod stage;
#[path = "matrix/table.rs"]
mod table;

use std::collections::BTreeSet;

use chat_core::{testing::sniffer::Heard, wire::COMMANDS};
use stage::{Door, Scene};
use table::{Actor, Row};

const TABLE: &str = include_str!("matrix/permissions.txt");
/// Processes of a test run that share the cells among them.
const SHARES: usize = 4;

#[test]
fn every_command_of_the_wire_has_a_row_and_every_row_has_all_its_cells() {
    let rows = table::rows(TABLE);
    let known: BTreeSet<_> = known::commands().into_iter().collect();
    let tabled: BTreeSet<_> = rows.iter().map(|row| row.command.clone()).collect();
    assert_eq!(known.difference(&tabled).collect::<Vec<_>>(), [""; 0], "commands without a row");
    assert_eq!(tabled.difference(&known).collect::<Vec<_>>(), [""; 0], "rows without a command");
    let mut cases = BTreeSet::new();
    for row in &rows {
        assert!(cases.insert((&row.command, &row.case)), "twice: {} {}", row.command, row.case);
    }
}

#[test]
fn the_names_of_the_commands_are_those_that_the_decoder_knows() {
    assert_eq!(known::commands(), COMMANDS);
}

#[test]
fn the_documents_table_is_the_one_by_which_is_tested() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
    let expected = docs::document(TABLE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap();
    assert!(found == expected, "docs/permissions.md is not of the table: run the test with UPDATE_DOCS=1");
}

#[tokio::test(start_paused = true)]
async fn everybody_may_do_what_the_table_says_1_of_4() {
    play(0).await;
}

#[tokio::test(start_paused = true)]
async fn everybody_may_do_what_the_table_says_2_of_4() {
    play(1).await;
}

#[tokio::test(start_paused = true)]
async fn everybody_may_do_what_the_table_says_3_of_4() {
    play(2).await;
}

#[tokio::test(start_paused = true)]
async fn everybody_may_do_what_the_table_says_4_of_4() {
    play(3).await;
}

/// Tries a share of the table's cells.
async fn play(share: usize) {
    let only = std::env::var("MATRIX_ONLY").unwrap_or_default();
    let (mut wrong, mut cells, mut compared, mut total) = (Vec::new(), 0, 0, Heard::default());
    for row in table::rows(TABLE).iter().skip(share).step_by(SHARES) {
        if !row.command.contains(&only) {
            continue;
        }
        let door = Door::default();
        let engine = stage::engine(&door).await;
        for actor in Actor::ALL {
            for private in [false, true] {
                let mut scene = Scene::set(&engine, &door, actor, private, cells).await;
                let outcome = try_cell(&mut scene, row).await;
                wrong.extend(outcome.wrong.into_iter().map(|wrong| {
                    let room = if private { "private" } else { "public" };
                    format!("{} ({}) by {actor:?}, {room}: {wrong}", row.command, row.case)
                }));
                cells += 1;
                compared += usize::from(outcome.compared);
                let heard = scene.sniffer.heard();
                total.sessions += heard.sessions;
                total.frames += heard.frames;
                total.bytes += heard.bytes;
                total.sightings += heard.sightings;
            }
        }
    }
    println!("{cells} cells, {compared} compared with a room that does not exist, listened to {total:?}");
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[derive(Default)]
struct Outcome {
    wrong: Vec<String>,
    /// Whether the answer was compared with that for a room that does not exist.
    compared: bool,
}

async fn try_cell(scene: &mut Scene<'_>, row: &Row) -> Outcome {
    let mut outcome = Outcome::default();
    let expected = row.expected(scene.actor, scene.private);
    let frame = scene.frame(row).await;
    scene.go().await;
    if expected == "ok" {
        scene.will_do(&row.command);
    }
    let answer = scene.ask(&frame).await;
    let got = answer
        .as_ref()
        .filter(|answer| answer["type"] == "error")
        .map_or("ok", |answer| answer["code"].as_str().expect("an error has a code"));
    if got != expected {
        outcome.wrong.push(format!("{got} instead of {expected}"));
    }
    if scene.private && scene.actor.is_outside() && (scene.actor.is_unaware() || expected == "not_found") {
        let nowhere = scene.nowhere(&row.frame, &frame);
        if nowhere != frame && row.tells_nothing(scene.actor) {
            outcome.compared = true;
            let elsewhere = scene.ask(&nowhere).await;
            let [here, there] =
                [(&answer, &frame), (&elsewhere, &nowhere)].map(|(answer, frame)| scene.bare(answer, frame));
            if here != there {
                outcome.wrong.push(format!("tells more than a room that does not exist: {here} and {there}"));
            }
        }
    }
    scene.settle().await;
    outcome.wrong.extend(scene.sniffer.leaks());
    outcome
}
