//! A chat client for the terminal: one room, lines in, messages out. It shows what the client of
//! `chat-transport-ws` does by itself: it reconnects, resumes where it stopped, and keeps what is unsent.
//! Kill the server while it runs, type on, and start the server again.
//!
//! ```sh
//! cargo run -p chat-examples --example embed                                # in one terminal
//! cargo run -p chat-examples --example terminal_client -- ada --create attic    # says the room's id
//! cargo run -p chat-examples --example terminal_client -- bob <the room's id>
//! ```
//!
//! The first argument is the token. For the server of this project (`chat-server`) it is the access token that
//! `POST /api/auth/login` gives, and the room may be `lobby`. `CHAT_URL` is another address than
//! `ws://127.0.0.1:8080/ws`.

use std::{env, error::Error};

use chat_transport_ws::client::{ClientError, Event, Events, Incoming, WsClient};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    task::JoinSet,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: terminal_client TOKEN (ROOM | --create NAME)";
    let (token, room) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let url = env::var("CHAT_URL").unwrap_or_else(|_| "ws://127.0.0.1:8080/ws".into());
    let (client, events) = WsClient::builder(url).token(token).connect()?;
    // Events are taken by a task of their own: while they wait, answers wait too.
    let hearing = tokio::spawn(hear(client.clone(), events));

    let room = if room == "--create" {
        let room = client.create_room(&arguments.next().ok_or(usage)?, false).await?;
        room["id"].as_str().ok_or("the server gave no room")?.to_owned()
    } else {
        client.join_room(&room).await?;
        room
    };
    println!("* in room {room}; an empty line or the end of input leaves the program");
    let page = client.history(&room, None).await?;
    for message in page["messages"].as_array().into_iter().flatten() {
        say(message);
    }

    let mut lines = BufReader::new(stdin()).lines();
    let mut unanswered = JoinSet::new();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        // Queued at once and in order; the answer may take as long as the server is away.
        match client.request("send_message", message(&client, &room, &line)) {
            Ok(answer) => drop(unanswered.spawn(async move { report(answer.await.map(drop)) })),
            Err(error) => report(Err(error)),
        }
        while unanswered.try_join_next().is_some() {}
    }
    unanswered.join_all().await;
    client.close();
    hearing.await?;
    Ok(())
}

/// A message under a key of its own, so that it is sent once however often it has to be repeated.
fn message(client: &WsClient, room: &str, text: &str) -> serde_json::Value {
    serde_json::json!({ "roomId": room, "content": text, "clientMessageId": client.message_key() })
}

fn report(outcome: Result<(), ClientError>) {
    if let Err(error) = outcome {
        println!("* not sent: {error}");
    }
}

/// Prints what happens until the client stops; stops it when its token is no good.
async fn hear(client: WsClient, mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            Event::Connected(welcome) => println!("* connected as {}", welcome.username),
            Event::Disconnected { retry_in, .. } => println!("* connection lost; again in {retry_in:.1?}"),
            Event::Resync { room, .. } => {
                println!("* too much was missed in {room}: older messages are skipped")
            }
            Event::Lost { room } => println!("* room {room} is not open to you any more"),
            Event::TokenNeeded { code } => {
                println!("* the token is refused ({code}): start again with a new one");
                client.close();
            }
            Event::Stopped { code: Some(code) } => println!("* closed for good with {code}"),
            Event::Stopped { code: None } | Event::CaughtUp { .. } => {}
            Event::Frame(frame) => tell(&frame),
        }
    }
}

fn tell(frame: &Incoming) {
    match frame.kind.as_str() {
        "new_message" | "new_dm" => say(&frame.body["message"]),
        "user_joined" => println!("* {} joined", frame.body["user"]["username"].as_str().unwrap_or("-")),
        "user_left" => println!("* {} left", frame.body["userId"].as_str().unwrap_or("-")),
        _ => {}
    }
}

fn say(message: &serde_json::Value) {
    let text = |field: &str| message[field].as_str().unwrap_or_default();
    println!("{}: {}", text("username"), text("content"));
}
