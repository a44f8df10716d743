//! `chat-server admin create`.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use serde_json::json;
use support::{BASE, Home, PASSWORD, Server, binary};

/// Creates an account in a data folder, with that on the standard input.
fn create(data: &std::path::Path, name: &str, password: Option<&str>) -> Output {
    let mut command = binary();
    command.args(["admin", "create", "--username", name, "--email", &format!("{name}@example.org")]);
    command.arg("--data-dir").arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if password.is_some() {
        command.arg("--password-stdin");
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.unwrap_or_default().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn role(server: &Server, name: &str, password: &str) -> serde_json::Value {
    let body = json!({ "login": name, "password": password });
    let answer = server.post("/api/auth/login", &body).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["accessToken"].as_str().unwrap().to_owned();
    let me = server.get("/api/users/me").bearer(&token).send().json();
    assert_eq!(me, answer.json()["user"]);
    me["serverRole"].clone()
}

#[test]
fn the_first_admin_is_created_before_the_server_runs() {
    let home = Home::new(BASE);
    let given = create(&home.data(), "root", Some(&format!("{PASSWORD}\n")));
    assert!(given.status.success(), "{}", said(&given.stderr));
    assert!(said(&given.stdout).starts_with("created root, an admin, with the id "));
    assert!(!said(&given.stdout).contains(PASSWORD));
    let made_up = create(&home.data(), "boss", None);
    let words = said(&made_up.stdout);
    let password = words.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    let server = home.start();
    assert_eq!(role(&server, "root", PASSWORD), "admin");
    assert_eq!(role(&server, "boss", password), "admin");
    server.register("ann");
    assert_eq!(role(&server, "ann", PASSWORD), "user");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_created() {
    let home = Home::new(BASE);
    let refused = create(&home.data(), "a", Some("password123\n"));
    assert_eq!(refused.status.code(), Some(1));
    let words = said(&refused.stderr);
    assert!(
        words.ends_with(
            "chat-server: username: a username has 3 to 50 characters out of A-Z a-z 0-9 _; \
             password: this password is one of the first that are guessed\n"
        ),
        "{words}"
    );
    assert!(create(&home.data(), "root", Some(PASSWORD)).status.success());
    let twice = create(&home.data(), "ROOT", Some(PASSWORD));
    assert!(said(&twice.stderr).ends_with("chat-server: username: the username is taken\n"));
}

#[test]
fn while_the_server_runs_it_is_refused() {
    let server = Server::start();
    let refused = create(&server.data(), "root", Some(PASSWORD));
    assert_eq!(refused.status.code(), Some(1));
    let words = said(&refused.stderr);
    assert!(words.ends_with("; the server must not run meanwhile\n"), "{words}");
    assert_eq!(server.get("/readyz").send().status, 200);
}
