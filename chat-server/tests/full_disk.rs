//! A full disk: sends are refused, everything else goes on, and it works again once there is space.
//!
//! The server runs in a mount namespace of its own on a small tmpfs, so that nothing outside fills up.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use std::{io::Write, process::Command};

use serde_json::{Value, json};
use support::{BASE, Home, Server, binary, message, ws::Ws};

/// Mounts a tmpfs on the data folder and becomes the server.
const SCRIPT: &str = "mkdir -p \"$1\" && mount -t tmpfs -o size=500m none \"$1\" && shift && exec \"$@\"";

fn may_mount() -> bool {
    let probe = ["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"];
    Command::new("unshare").args(probe).status().is_ok_and(|status| status.success())
}

fn start() -> Server {
    let home = Home::new(BASE);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(home.data());
    command.arg(binary().get_program()).arg("--config").arg(home.path().join("chat.toml"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(home.data());
    home.start_as(command)
}

/// Asks again and again until the answer is of that type.
async fn until(ws: &mut Ws, kind: &str, frame: Value) -> Value {
    for _ in 0..1_000_000 {
        let answer = ws.ask(frame.clone()).await;
        if answer["type"] == kind {
            return answer;
        }
    }
    panic!("never answered by {kind}");
}

#[tokio::test]
async fn a_full_disk_refuses_sends_and_recovers_without_a_restart() {
    assert!(may_mount(), "this test needs to mount a tmpfs: run it as root or permit user namespaces");
    let server = start();
    let ann = server.register("ann");
    let mut ws = Ws::login(&server, &ann.token).await;
    assert_eq!(ws.ask(message(1, "lobby", "before")).await["type"], "ack");

    // Through /proc the folder is seen as the server sees it.
    let filler = format!("/proc/{}/root{}/filler", server.id(), server.data().display());
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![0; 1 << 20];
    while file.write_all(&block).is_ok() {}
    drop(file);

    let mut refused = message(2, "lobby", "during");
    refused["clientMessageId"] = json!("k");
    // The store looks at the space it has now and then.
    let refusal = until(&mut ws, "error", message(3, "lobby", "filling")).await;
    assert_eq!(
        refusal,
        json!({ "type": "error", "id": 3, "code": "unavailable", "message": "the service is unavailable, try again" })
    );
    assert_eq!(ws.ask(refused.clone()).await["code"], "unavailable");
    let body = json!({ "email": "bob@example.org", "username": "bob", "password": "correct horse" });
    assert_eq!(server.post("/api/auth/register", &body).send().status, 503);
    assert_eq!(server.get("/readyz").send().status, 503);
    assert_eq!(server.get("/healthz").send().status, 200);
    let history = ws.ask(json!({ "type": "fetch_history", "id": 4, "roomId": "lobby" })).await;
    let texts: Vec<_> =
        history["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(texts[0], "before");
    assert!(!texts.contains(&json!("during")));

    std::fs::remove_file(&filler).unwrap();
    let ack = until(&mut ws, "ack", refused).await;
    assert_eq!(ack["duplicate"], json!(false), "what was refused was not stored");
    assert_eq!(server.get("/readyz").send().status, 200);
    assert_eq!(server.post("/api/auth/register", &body).send().status, 201);
}
