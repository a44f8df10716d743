//! A bot without any network: it lives in the program that holds the engine, joins a room, listens, and answers
//! `!help`. A guest of the same kind talks to it, so that the program comes to an end by itself.
//!
//! ```sh
//! cargo run -p chat-examples --example in_process
//! ```

use std::{error::Error, time::Duration};

use chat_core::{
    auth::Identity,
    domain::{Draft, RoomSpec},
    engine::{Engine, Event, Session},
    id::{RoomId, UserId},
};

const HELP: &str = "There is one thing that I understand: !help";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // Without a store everything is kept in memory; without an authenticator nobody comes in over a network.
    let engine = Engine::builder().build().await?;
    let lobby = RoomId::parse("lobby")?;
    engine.ensure_room(lobby.clone(), RoomSpec::public("Lobby")?).await?;

    let bot = join(&engine, &lobby, "bot").await?;
    let bot = tokio::spawn(answer(bot));

    let mut guest = join(&engine, &lobby, "guest").await?;
    for text in ["Hello, is anybody here?", "!help"] {
        guest.send(&lobby, Draft::text(text)?).await?;
    }
    while let Some(event) = guest.recv().await {
        let Event::Entry(posted) = event else { continue };
        let Some(message) = posted.entry().message() else { continue };
        println!("{}: {}", posted.username().as_str(), message.content.as_str());
        if posted.username().as_str() == "bot" {
            break;
        }
    }
    drop(guest);

    // The bot's `recv` gives `None` now, and its task ends.
    engine.shutdown(Duration::from_secs(5)).await?;
    bot.await?
}

/// A session of a member of the room.
async fn join(engine: &Engine, room: &RoomId, name: &str) -> Result<Session, Box<dyn Error + Send + Sync>> {
    let session = engine.connect(Identity::new(UserId::parse(name)?, name)).await?;
    session.caller().join(room).await?;
    Ok(session)
}

/// Answers until the engine ends the session.
async fn answer(mut bot: Session) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(event) = bot.recv().await {
        let Event::Entry(posted) = event else { continue };
        let entry = posted.entry();
        // What the bot says comes back to it, like everything that is said in the room.
        let by_others = entry.actor != *bot.caller().user();
        if by_others && entry.message().is_some_and(|message| message.content.as_str() == "!help") {
            bot.send(&entry.room, Draft::text(HELP)?).await?;
        }
    }
    Ok(())
}
