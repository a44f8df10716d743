//! Every mode of `chat-load`, for a second, against the real server: nothing is lost, repeated or out of order, and no
//! request fails. And when a floor does lose, repeat or disorder something, that is noticed.

#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

/// The server's program: built with the workspace, and by this test when it runs alone.
fn server() -> PathBuf {
    let load = Path::new(env!("CARGO_BIN_EXE_chat-load"));
    let server = load.with_file_name("chat-server");
    if !server.is_file() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "-p", "chat-server"]);
        build.args((!cfg!(debug_assertions)).then_some("--release"));
        assert!(build.status().unwrap().success(), "the server can't be built");
    }
    server
}

fn load(arguments: &[&str]) -> (Output, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-load"));
    command.args(arguments).args(["--quick", "--json", "--dir", env!("CARGO_TARGET_TMPDIR")]);
    let output = command.arg("--server").arg(server()).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, report)
}

/// Runs a mode, and returns its report once it has been found clean.
fn clean(arguments: &[&str]) -> Value {
    let (output, report) = load(arguments);
    let checks = &report["checks"];
    assert!(output.status.success(), "{checks}, {}", String::from_utf8_lossy(&output.stderr));
    let wrong = [&checks["lost"], &checks["repeated"], &checks["disordered"]];
    assert_eq!((wrong, &report["mode"]), ([&json!(0); 3], &json!(arguments[0])));
    assert!(report["results"].as_array().is_some_and(|results| !results.is_empty()));
    report
}

/// Runs a mode in which somebody gets something.
fn delivered(arguments: &[&str]) {
    let report = clean(arguments);
    assert!(report["checks"]["delivered"].as_u64() > Some(0), "{report}");
}

#[test]
fn idle_connections_get_nothing() {
    assert_eq!(clean(&["idle"])["checks"]["delivered"], 0);
}

#[test]
fn a_message_reaches_everybody_at_a_rate_and_as_fast_as_it_can() {
    delivered(&["fanout", "--processes", "2"]);
    delivered(&["fanout", "--processes", "2", "--saturate"]);
}

#[test]
fn a_round_trip_is_made() {
    delivered(&["rtt"]);
}

#[test]
fn messages_over_many_rooms_reach_their_members() {
    delivered(&["many-rooms", "--rooms-per-user", "3", "--processes", "2"]);
}

#[test]
fn direct_messages_reach_both() {
    delivered(&["dm", "--processes", "2"]);
}

#[test]
fn senders_are_acked_alone_and_before_an_audience() {
    clean(&["durable", "--store"]);
    delivered(&["durable", "--audience", "5,50"]);
}

#[test]
fn who_is_cut_off_gets_what_was_said_meanwhile() {
    delivered(&["reconnect-storm", "--processes", "2"]);
}

#[test]
fn who_does_not_read_for_a_while_gets_everything_later() {
    delivered(&["slow-readers"]);
}

#[test]
fn what_was_missed_is_caught_up_with() {
    delivered(&["resume"]);
}

#[test]
fn clients_of_the_http_api_are_answered() {
    let report = clean(&["http", "--clients", "2", "--seconds", "0.2"]);
    let answered = |kind: &str| {
        let name = format!("{kind}: answered");
        let rows = report["results"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == *name).and_then(|row| row["value"].as_f64())
    };
    let kinds = ["login", "page of 50", "send", "upload of 1 MiB, text", "upload of 1 MiB, photograph"];
    for kind in kinds {
        assert!(answered(kind) >= Some(2.0), "{kind}: {report}");
    }
    assert_eq!(report["checks"]["failed"], 0);
}

#[test]
fn what_exists_is_answered_with_the_same_bytes_as_what_does_not() {
    let report = clean(&["timing", "--samples", "4"]);
    assert_eq!(report["checks"]["failed"], 0, "{report}");
}

#[test]
fn what_a_floor_does_wrong_is_noticed() {
    for (fault, name) in [("drop", "lost"), ("double", "repeated"), ("swap", "disordered")] {
        let (output, report) =
            load(&["fanout", "--connections", "4", "--rate", "40", "--floor-fault", fault]);
        assert_eq!(output.status.code(), Some(1), "{fault}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(report["checks"][name].as_u64() > Some(0), "{fault}: {report}");
    }
}
