//! File, environment and flags, and what is said when they can't be used.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::process::Command;

use serde_json::json;
use support::{BASE, Home, Server, binary, ws::Ws};

/// Runs a server that can't start: its exit code and its last words.
fn failed(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn with_file(home: &Home) -> Command {
    let mut command = binary();
    command.arg("--config").arg(home.path().join("chat.toml")).current_dir(home.path());
    command
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new(&format!("listen = \"127.0.0.1:1\"\ndefault_rooms = [\"from-file\"]\n{BASE}"));
    let mut command = with_file(&home);
    command.env("CHAT_LISTEN", "nowhere").env("CHAT_DEFAULT_ROOMS", "from-env,other");
    command.args(["--listen", "127.0.0.1:0"]).arg("--data-dir").arg(home.data());
    let server = home.start_as(command);
    let user = server.register("ann");
    let rooms = server.get("/api/rooms?scope=mine").bearer(&user.token).send().json();
    let mut ids: Vec<_> =
        rooms["items"].as_array().unwrap().iter().map(|room| room["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["from-env", "other"]);
}

#[test]
fn without_any_configuration_it_creates_its_data_folder_where_it_is_started() {
    let home = Home::new("");
    let mut command = binary();
    command.args(["--listen", "127.0.0.1:0"]).current_dir(home.path());
    let path = home.path().join("chat-data");
    let server = home.start_as(command);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("signing.key"))), (0o700, 0o600));
    assert_eq!(server.get("/readyz").send().status, 200);
}

#[test]
fn an_unknown_key_is_refused_with_a_hint_and_exit_code_2() {
    let home = Home::new("[limits]\nmessage_brust = 3\n");
    let (code, words) = failed(with_file(&home));
    let file = home.path().join("chat.toml");
    assert_eq!(code, 2);
    assert_eq!(
        words,
        format!(
            "chat-server: {}: unknown key `limits.message_brust`; did you mean `limits.message_burst`?\n",
            file.display()
        )
    );
}

#[test]
fn a_value_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let home = Home::new("");
    let mut command = with_file(&home);
    command.env("CHAT_LIMITS__MESSAGES_PER_MINUTE", "many");
    let expected = "chat-server: `limits.messages_per_minute` (CHAT_LIMITS__MESSAGES_PER_MINUTE): expected a whole number from 0 to 100000\n";
    assert_eq!(failed(command), (2, expected.into()));
    let mut command = with_file(&home);
    command.env("CHAT_STORE__DURABILITY", "sometimes");
    let expected =
        "chat-server: `store.durability` (CHAT_STORE__DURABILITY): expected one of fsync, interval, none\n";
    assert_eq!(failed(command), (2, expected.into()));
    let (code, words) = failed({
        let mut command = binary();
        command.args(["--config", "/nowhere/chat.toml"]);
        command
    });
    assert_eq!((code, words.lines().count()), (2, 1), "{words}");
}

#[test]
fn a_secret_is_never_repeated() {
    let home = Home::new("[auth.external]\nhs256_secret = \"swordfish\n");
    let (code, words) = failed(with_file(&home));
    assert_eq!(code, 2);
    assert!(!words.contains("swordfish"), "{words}");
    let home = Home::new("[auth.external]\nhs256_secret = 5\n");
    let expected = format!(
        "chat-server: `auth.external.hs256_secret` ({}): expected text\n",
        home.path().join("chat.toml").display()
    );
    assert_eq!(failed(with_file(&home)), (2, expected));
}

#[test]
fn an_unknown_variable_is_warned_about() {
    let home = Home::new(BASE);
    let mut command = with_file(&home);
    command.args(["--listen", "127.0.0.1:0"]).env("CHAT_LISTENS", "x");
    let server = home.start_as(command);
    let expected = "unknown environment variable CHAT_LISTENS is ignored; did you mean CHAT_LISTEN?";
    assert!(server.log().contains(expected), "{}", server.log());
}

#[test]
fn an_address_in_use_is_said_and_ends_with_exit_code_1() {
    let server = Server::start();
    let home = Home::new("");
    let mut command = with_file(&home);
    command.args(["--listen", &server.address.to_string()]);
    let (code, words) = failed(command);
    assert_eq!(code, 1);
    let last = words.lines().last().unwrap();
    assert!(last.starts_with(&format!("chat-server: can't listen on {}: ", server.address)), "{words}");
}

#[test]
fn a_default_room_whose_name_somebody_has_taken_does_not_keep_the_server_from_starting() {
    let server = Server::start();
    let ann = server.register("ann");
    let body = json!({ "name": "help" });
    assert_eq!(server.post("/api/rooms", &body).bearer(&ann.token).send().status, 201);
    let server = server.kill_and_restart_with(&format!("default_rooms = [\"lobby\", \"help\"]\n{BASE}"));
    assert!(server.log().contains("a default room could not be set up"));
    let bob = server.register("bob");
    let rooms = server.get("/api/rooms?scope=mine").bearer(&bob.token).send().json();
    assert_eq!(rooms["items"].as_array().unwrap().len(), 1, "the other default room is joined");
}

#[test]
fn a_data_folder_in_use_is_said_and_ends_with_exit_code_1() {
    let server = Server::start();
    let mut command = binary();
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(server.data());
    let (code, words) = failed(command);
    assert_eq!(code, 1);
    assert!(words.lines().last().unwrap().starts_with("chat-server: the store can't be opened: "), "{words}");
    assert_eq!(server.get("/readyz").send().status, 200, "the first one is not disturbed");
}

#[test]
fn help_and_version_are_answered() {
    for (flag, expected) in [("--help", "--data-dir <DIR>"), ("--version", "chat-server 0.1.0")] {
        let output = binary().arg(flag).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected));
    }
    assert_eq!(binary().arg("--lisen").output().unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn the_accounts_that_the_operator_names_own_the_default_rooms() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let config = format!("room_owners = [\"Ann\", \"nobody_yet\"]\n{BASE}");
    let server = server.kill_and_restart_with(&config);
    assert!(server.log().contains("names no account"));
    let mut anns = Ws::login(&server, &ann.token).await;
    let sending = server.post("/api/rooms/lobby/messages", &json!({ "content": "rubbish" }));
    let message = sending.bearer(&bob.token).send().json()["messageId"].clone();
    let delete = json!({ "type": "delete_message", "id": 1, "roomId": "lobby", "messageId": message });
    assert_eq!(anns.ask(delete).await["type"], "ack");
    let kick = json!({ "type": "kick", "id": 2, "roomId": "lobby", "userId": bob.id });
    assert_eq!(anns.ask(kick).await["type"], "ack");
    let squatter = server.register("nobody_yet");
    let members = server.get("/api/rooms/lobby/members").bearer(&ann.token).send().json();
    let role = |user: &str| {
        let members = members["items"].as_array().unwrap();
        members.iter().find(|member| member["userId"] == user).unwrap()["role"].clone()
    };
    assert_eq!((role(&ann.id), role(&squatter.id)), (json!("owner"), json!("member")));

    // Named again, they stay what they are; they come back after leaving.
    assert_eq!(anns.ask(json!({ "type": "leave_room", "id": 3, "roomId": "lobby" })).await["type"], "error");
    let role_of =
        json!({ "type": "set_role", "id": 4, "roomId": "lobby", "userId": squatter.id, "role": "owner" });
    assert_eq!(anns.ask(role_of).await["type"], "ack");
    assert_eq!(anns.ask(json!({ "type": "leave_room", "id": 5, "roomId": "lobby" })).await["type"], "ack");
    let server = server.kill_and_restart_with(&format!("room_owners = [\"ann\"]\n{BASE}"));
    let members = server.get("/api/rooms/lobby/members").bearer(&ann.token).send().json();
    let roles: Vec<_> =
        members["items"].as_array().unwrap().iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles, ["owner", "owner"]);
}

#[tokio::test]
async fn whoever_takes_an_owners_name_later_does_not_own() {
    let config = format!("room_owners = [\"ann\", \"ben\"]\n{BASE}");
    let server = Server::start();
    let ann = server.register("ann");
    // Who inherits the room, so that it stays.
    server.register("zoe");
    let server = server.kill_and_restart_with(&config);
    // One name is freed and taken, the other one was nobody's when it was put there.
    assert_eq!(server.request("DELETE", "/api/users/me").bearer(&ann.token).send().status, 204);
    server.register("ann");
    let ben = server.register("ben");
    let server = server.kill_and_restart_with(&config);
    let roles = |server: &Server| {
        let members = server.get("/api/rooms/lobby/members").bearer(&ben.token).send().json();
        let mut roles: Vec<_> = members["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| (member["username"].clone(), member["role"].clone()))
            .collect();
        roles.sort_by_key(|(name, _)| name.to_string());
        json!(roles)
    };
    assert_eq!(roles(&server), json!([["ann", "member"], ["ben", "member"], ["zoe", "owner"]]));
    assert!(server.log().contains("room_owners names an account that is gone"));
    assert!(server.log().contains("registered after the name was put there"));

    // By its id an account owns whatever was; a name that was taken out and put there again is a new one.
    let server = server.kill_and_restart_with(&format!("room_owners = [\"{}\"]\n{BASE}", ben.id));
    assert_eq!(roles(&server), json!([["ann", "member"], ["ben", "owner"], ["zoe", "owner"]]));
    let server = server.kill_and_restart_with(&config);
    assert_eq!(roles(&server), json!([["ann", "owner"], ["ben", "owner"], ["zoe", "owner"]]));
}

#[test]
fn names_that_nobody_can_have_are_refused_as_owners() {
    let home = Home::new("room_owners = [\"a b\"]\n");
    let (code, words) = failed(with_file(&home));
    assert_eq!(code, 2);
    assert!(words.contains("`room_owners`") && words.contains("usernames"), "{words}");
}
