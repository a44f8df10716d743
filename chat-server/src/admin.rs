//! `chat-server admin …`: accounts, looked after while the server does not run.

use std::{
    io::{self, BufRead, Read, Write},
    sync::Arc,
};

use chat_core::{
    accounts::{AccountError, Accounts, HashingCost, Registration, TokenKeys},
    auth::{Secret, ServerRole},
    limits::PASSWORD_CHARS_MAX,
    store::Maintenance,
    time::SystemClock,
};

use crate::{args::AdminCommand, config::Config, data::DataDir, open_store};

type Error = Box<dyn std::error::Error>;

/// Does it, and says so on the standard output.
pub(crate) async fn run(config: &Config, command: AdminCommand) -> Result<(), Error> {
    let AdminCommand::Create { email, username, password_stdin } = command;
    let data = DataDir::open(&config.data_dir)?;
    let keys = TokenKeys::new(data.signing_key()?)?;
    let store = open_store(config, &data).await;
    let store = Arc::new(store.map_err(|error| format!("{error}; the server must not run meanwhile"))?);
    let accounts = Accounts::new(store.clone(), keys, HashingCost::default(), Arc::new(SystemClock))?;
    accounts.upgrade().await?;
    let (password, is_made_up) = if password_stdin { (from_stdin()?, false) } else { (made_up()?, true) };
    let registration = Registration { email, username, password: password.clone() };
    let created = accounts.create_with_role(registration, ServerRole::Admin).await;
    store.close().await?;
    let profile = created.map_err(|error| in_words(&error))?;
    let mut out = io::stdout();
    writeln!(out, "created {}, an admin, with the id {}", profile.username.as_str(), profile.id)?;
    if is_made_up {
        writeln!(out, "password: {}", password.expose())?;
    }
    Ok(out.flush()?)
}

fn from_stdin() -> Result<Secret, Error> {
    // Four bytes are enough for any character; what is longer is refused as such.
    let most = u64::try_from(4 * PASSWORD_CHARS_MAX + 8)?;
    let mut line = String::new();
    io::BufReader::new(io::stdin().lock().take(most)).read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// 120 random bits, in characters that nobody takes for others.
fn made_up() -> Result<Secret, Error> {
    const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    Ok(Secret::new(random.iter().map(|byte| CHARACTERS[usize::from(byte % 32)] as char).collect::<String>()))
}

/// What is wrong, every field at fault named.
fn in_words(error: &AccountError) -> String {
    let errors = match error {
        AccountError::Invalid(errors) => errors.as_slice(),
        AccountError::Taken(error) => std::slice::from_ref(error),
        other => return other.to_string(),
    };
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ")
}
