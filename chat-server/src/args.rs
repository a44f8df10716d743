//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// The chat engine as one binary.
///
/// Without any argument it creates ./chat-data, listens on 127.0.0.1:8080 and says so.
#[derive(Debug, Clone, Parser)]
#[command(version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Args {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Folder that holds everything the server keeps
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,

    /// Something else than to serve
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What is done instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Look after accounts while the server does not run
    #[command(subcommand)]
    Admin(AdminCommand),
}

/// What is done about accounts.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AdminCommand {
    /// Create an account of an admin; its password is made up and printed, unless it is given
    Create {
        /// Where mail reaches them
        #[arg(long)]
        email: String,

        /// The name they are to have; reserved ones are good
        #[arg(long)]
        username: String,

        /// Read the password from the first line of the standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

const AFTER_HELP: &str = "Every key of the configuration file can be set by an environment variable, which wins \
over the file: CHAT_LISTEN for `listen`, CHAT_LIMITS__MESSAGES_PER_MINUTE for `limits.messages_per_minute`, \
CHAT_DEFAULT_ROOMS=lobby,help for a list. Flags win over both. `--help` shows every key.";

const AFTER_LONG_HELP: &str = concat!(
    "Every key of the configuration file can be set by an environment variable, which wins over the file:\n\
     CHAT_LISTEN for `listen`, CHAT_LIMITS__MESSAGES_PER_MINUTE for `limits.messages_per_minute`,\n\
     CHAT_DEFAULT_ROOMS=lobby,help for a list. Flags win over both.\n\n",
    include_str!("../chat.example.toml"),
);
