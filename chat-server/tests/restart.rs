//! What was acked is there after the process was killed.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod support;

use serde_json::json;
use support::{PASSWORD, Server, message, ws::Ws};

#[tokio::test]
async fn what_was_acked_survives_sigkill_and_is_acked_the_same_again() {
    let mut server = Server::start();
    let ann = server.register("ann");
    let mut acks = Vec::new();
    for round in 0..5 {
        let mut ws = Ws::login(&server, &ann.token).await;
        for i in 0..20 {
            let number = round * 20 + i;
            let mut frame = message(number, "lobby", &format!("message {number}"));
            frame["clientMessageId"] = json!(format!("k{number}"));
            acks.push((frame.clone(), ws.ask(frame).await));
        }
        // More is on its way when the process dies; whether it is stored is open.
        for i in 0..10 {
            ws.send(&message(1_000 + i, "lobby", "on its way")).await;
        }
        server = server.kill_and_restart();
    }
    let mut ws = Ws::login(&server, &ann.token).await;
    for (frame, ack) in acks {
        assert_eq!(ack["type"], "ack");
        let mut expected = ack;
        expected["duplicate"] = json!(true);
        assert_eq!(ws.ask(frame).await, expected);
    }
    let mut seqs = Vec::new();
    let mut after = 0;
    loop {
        let page =
            json!({ "type": "fetch_history", "id": "h", "roomId": "lobby", "after": after, "limit": 50 });
        let page = ws.ask(page).await;
        let messages = page["messages"].as_array().unwrap();
        seqs.extend(messages.iter().map(|message| message["seq"].as_u64().unwrap()));
        after = *seqs.last().unwrap();
        if page["hasMoreAfter"] == json!(false) {
            break;
        }
    }
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "dense: {seqs:?}");
    assert!(seqs.len() >= 100);
}

#[tokio::test]
async fn a_client_goes_on_where_it_stopped() {
    let server = Server::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut anns = Ws::login(&server, &ann.token).await;
    let mut bobs = Ws::open(server.address, &[]).await.unwrap();
    let hello = bobs.ask(json!({ "type": "authenticate", "id": 1, "token": bob.token })).await;
    anns.ask(message(1, "lobby", "one")).await;
    let seen = bobs.event("new_message").await["message"]["seq"].as_u64().unwrap();
    drop(bobs);
    anns.ask(message(2, "lobby", "two")).await;
    let server = server.kill_and_restart();
    let mut anns = Ws::login(&server, &ann.token).await;
    anns.ask(message(3, "lobby", "three")).await;
    let mut bobs = Ws::open(server.address, &[]).await.unwrap();
    let resume = json!({
        "type": "authenticate", "id": 1, "token": bob.token, "epoch": hello["epoch"],
        "resume": [{ "roomId": "lobby", "after": seen }],
    });
    assert_eq!(bobs.ask(resume).await["type"], "authenticated");
    for (offset, text) in [(1, "two"), (2, "three")] {
        let message = bobs.event("new_message").await["message"].clone();
        assert_eq!((message["seq"].as_u64(), message["content"].as_str()), (Some(seen + offset), Some(text)));
    }
    let caught_up = json!({ "type": "caught_up", "roomId": "lobby", "seq": seen + 2 });
    assert_eq!(bobs.receive().await, caught_up);
}

#[test]
fn accounts_and_logins_survive_too() {
    let server = Server::start();
    let ann = server.register("ann");
    let server = server.kill_and_restart();
    assert_eq!(server.get("/api/rooms").bearer(&ann.token).send().status, 200);
    let body = json!({ "login": "ann", "password": PASSWORD });
    assert_eq!(server.post("/api/auth/login", &body).send().status, 200);
    let body = json!({ "refreshToken": ann.refresh });
    assert_eq!(server.post("/api/auth/refresh", &body).send().status, 200);
}
