//! A word filter, made of hooks: some words are starred out, some refused, and what is doubtful is held until a
//! moderator has looked at it. Edits pass the same filter, since a hook that says nothing of edits judges them as
//! it judges messages; a doubtful one is refused. A guest and a moderator in process show all three, so that the program comes to an
//! end by itself.
//!
//! ```sh
//! cargo run -p chat-examples --example word_filter
//! ```

use std::{error::Error, time::Duration};

use chat_core::{
    auth::Identity,
    domain::{Change, Content, Draft, RoomSpec, TextRules},
    engine::{self, Engine, Event, Offered},
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
};

/// What happens to messages with these words, whatever their case. A real filter would read its lists from
/// somewhere, and look at more than the letters.
struct WordFilter {
    refused: &'static [&'static str],
    starred: &'static [&'static str],
    held: &'static [&'static str],
}

#[async_trait::async_trait]
impl Hooks for WordFilter {
    async fn before_send(&self, _room: &RoomId, _author: &UserId, draft: &Draft) -> Verdict {
        let text = draft.content.as_str();
        let has = |words: &[&str]| words.iter().any(|word| words_of(text).any(|found| found == *word));
        if has(self.refused) {
            return Verdict::Refuse("no advertising here");
        }
        if has(self.held) {
            return Verdict::Hold;
        }
        if has(self.starred) {
            let calm: Vec<_> = text.split(' ').map(|word| self.star(word)).collect();
            // As long as before, so it breaks no rule that it did not break before.
            return match Content::parse(&calm.join(" "), TextRules::default()) {
                Ok(content) => Verdict::Rewrite(content),
                Err(_) => Verdict::Hold,
            };
        }
        Verdict::Allow
    }
}

impl WordFilter {
    fn star(&self, word: &str) -> String {
        let starred = words_of(word).any(|found| self.starred.contains(&found.as_str()));
        let star = |(place, letter)| if starred && place > 0 { '*' } else { letter };
        word.chars().enumerate().map(star).collect()
    }
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = WordFilter { refused: &["cheap"], starred: &["darn"], held: &["scam"] };
    let engine = Engine::builder().hooks(filter).build().await?;
    // Whoever creates a room owns it, so they moderate it as well.
    let mut moderator = engine.connect(Identity::new(UserId::parse("mod")?, "moderator")).await?;
    let room = moderator.caller().create_room(RoomSpec::public("Lobby")?).await?.id;
    let guest = engine.caller(Identity::new(UserId::parse("guest")?, "guest")).await?;
    guest.join(&room).await?;

    let texts = ["hello", "cheap watches", "this darn weather", "is this a scam?", "my scam pays well"];
    for text in texts {
        match guest.offer(&room, Draft::text(text)?).await {
            Ok(Offered::Sent(sent)) => hear(&mut moderator, sent.seq).await,
            Ok(Offered::Held { .. }) => println!("(held: {text})"),
            Err(engine::Error::Rejected(reason)) => println!("(refused: {reason})"),
            Err(error) => return Err(error.into()),
        }
    }

    // The moderator sees what waits, lets the question through and drops the offer.
    for (held, _) in moderator.caller().held(&room, None).await?.items {
        if held.draft.content.as_str().ends_with('?') {
            moderator.caller().release(&room, &held.id).await?;
        } else {
            moderator.caller().discard(&room, &held.id).await?;
        }
    }
    // What can't be sent can't be had by editing either.
    let note = guest.send(&room, Draft::text("see you")?).await?.seq;
    hear(&mut moderator, note).await;
    for text in ["cheap watches", "a scam", "see you darn soon"] {
        match guest.edit(&room, note, Content::parse(text, TextRules::default())?).await {
            Ok(_) => println!("(edited: {text})"),
            Err(engine::Error::Rejected(reason)) => println!("(not edited: {reason})"),
            Err(error) => return Err(error.into()),
        }
    }
    let last = guest.send(&room, Draft::text("bye")?).await?;
    hear(&mut moderator, last.seq).await;

    drop(moderator);
    engine.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// Prints the messages and edits that a session is told, up to this place in the log.
async fn hear(session: &mut engine::Session, until: chat_core::id::Seq) {
    while let Some(event) = session.recv().await {
        let Event::Entry(posted) = event else { continue };
        let text = match &posted.entry().change {
            Change::Send(message) => message.content.as_str(),
            Change::Edit { content, .. } => content.as_str(),
            _ => "",
        };
        if !text.is_empty() {
            println!("{}: {text}", posted.username().as_str());
        }
        if posted.entry().seq == until {
            return;
        }
    }
}
