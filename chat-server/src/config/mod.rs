//! Configuration: file, then environment, then flags, the later winning.
//!
//! [`keys`] lists every key there is; [`values`] collects what was given for them; this file says what they
//! mean. A value that can't be used is one clear line and exit code 2. No value is ever repeated in an error,
//! since it may be a secret.

mod cidr;
mod external;
mod files;
mod keys;
mod limits;
mod mail;
mod values;

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf, str::FromStr};

use chat_core::{domain::RoomName, id::RoomId, limits::Limits, store::Durability};

pub(crate) use cidr::Network;
pub(crate) use external::{External, ExternalKeys};
pub(crate) use files::{FilesConfig, ScannerAt};
pub(crate) use limits::Rates;
pub(crate) use mail::{Smtp, SmtpTls};
use values::Values;

use crate::{args::Args, owners::Owner};

/// What can't be used, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

/// Everything that an operator decides.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where to tell figures, if not at the same address.
    pub(crate) monitor_listen: Option<SocketAddr>,
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// Rooms that exist from the start and that new own accounts join.
    pub(crate) default_rooms: Vec<RoomId>,
    /// Who owns those rooms.
    pub(crate) room_owners: Vec<Owner>,
    /// How much is logged.
    pub(crate) log: tracing::Level,
    /// What an ack promises.
    pub(crate) durability: Durability,
    /// Bounds of the engine.
    pub(crate) limits: Limits,
    /// Rates, and how many connections an address has.
    pub(crate) rates: Rates,
    /// How files are kept.
    pub(crate) files: FilesConfig,
    /// Where people reach the server, without a slash at the end; where it listens unless told.
    pub(crate) public_url: Option<String>,
    /// Who takes mail; it goes to the log where nobody does.
    pub(crate) smtp: Option<Smtp>,
    /// Somebody else's issuer whose tokens are accepted.
    pub(crate) external: Option<External>,
    /// Origins of web pages that may connect; empty for the server's own host alone.
    pub(crate) allowed_origins: Vec<String>,
    /// Who may say, by `X-Forwarded-For`, whom a request comes from.
    pub(crate) trusted_proxies: Vec<Network>,
}

/// What was loaded, and what should be said about it once there is a log.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads what `args` and the environment say.
    pub(crate) fn load(
        args: &Args,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigError> {
        let mut values = Values::default();
        if let Some(path) = &args.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("can't read {}: {error}", path.display())))?;
            values.add_file(&path.display().to_string(), &text)?;
        }
        let mut warnings = values.add_environment(texts(environment)?);
        if let Some(listen) = args.listen {
            values.set("listen", "--listen", listen.to_string());
        }
        if let Some(dir) = &args.data_dir {
            let dir = dir.to_str().ok_or_else(|| ConfigError("--data-dir: the path is not UTF-8".into()))?;
            values.set("data_dir", "--data-dir", dir.to_owned());
        }
        let config = Self::from_values(&values)?;
        if let Some(External { keys: ExternalKeys::Hs256(secret), .. }) = &config.external
            && secret.expose().len() < 32
        {
            warnings.push("auth.external.hs256_secret is shorter than 32 bytes and may be guessed".into());
        }
        Ok(Loaded { config, warnings })
    }

    fn from_values(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: values
                .parsed("listen", "an address and a port, like 127.0.0.1:8080")?
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            monitor_listen: values.parsed("monitor_listen", "an address and a port, like 127.0.0.1:9090")?,
            data_dir: values.text("data_dir")?.unwrap_or("./chat-data").into(),
            default_rooms: default_rooms(values)?,
            room_owners: room_owners(values)?,
            log: values
                .parsed("log", "one of error, warn, info, debug, trace")?
                .unwrap_or(tracing::Level::INFO),
            durability: durability(values)?,
            limits: limits::engine(values)?,
            rates: Rates::from_values(values)?,
            files: FilesConfig::from_values(values)?,
            public_url: mail::public_url(values)?,
            smtp: mail::smtp(values)?,
            external: external::external(values)?,
            allowed_origins: origins(values)?,
            trusted_proxies: values
                .list("trusted_proxies")?
                .unwrap_or_default()
                .iter()
                .map(|text| Network::from_str(text))
                .collect::<Result<_, _>>()
                .map_err(|()| values.error("trusted_proxies", "addresses or networks, like 10.0.0.0/8"))?,
        })
    }
}

/// Variables that are text; of ours, all have to be.
fn texts(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let named = environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    named
        .filter(|(name, _)| name.starts_with("CHAT_"))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError(format!("{name} is not UTF-8"))),
        })
        .collect()
}

fn default_rooms(values: &Values) -> Result<Vec<RoomId>, ConfigError> {
    let names = values.list("default_rooms")?.unwrap_or_else(|| vec!["lobby".into()]);
    let rooms = names
        .iter()
        .map(|name| {
            let room = RoomId::parse(name).ok().filter(|_| RoomName::parse(name).is_ok());
            room.ok_or_else(|| {
                values.error("default_rooms", "ids of 1 to 64 characters out of A-Z a-z 0-9 . _ : @ | -")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut keys: Vec<_> = rooms.iter().map(|room| room.as_str().to_lowercase()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() == rooms.len() { Ok(rooms) } else { Err(values.error("default_rooms", "different rooms")) }
}

fn room_owners(values: &Values) -> Result<Vec<Owner>, ConfigError> {
    let names = values.list("room_owners")?.unwrap_or_default();
    let parsed: Option<_> = names.iter().map(|name| Owner::parse(name)).collect();
    let expected = "usernames of 3 to 50 characters out of A-Z a-z 0-9 _, or ids of users";
    parsed.ok_or_else(|| values.error("room_owners", expected))
}

fn durability(values: &Values) -> Result<Durability, ConfigError> {
    match values.text("store.durability")? {
        None | Some("fsync") => Ok(Durability::Fsync),
        Some("interval") => Ok(Durability::Interval),
        Some("none") => Ok(Durability::None),
        Some(_) => Err(values.error("store.durability", "one of fsync, interval, none")),
    }
}

/// Origins as browsers write them: scheme and host in lower case, no path.
fn origins(values: &Values) -> Result<Vec<String>, ConfigError> {
    let given = values.list("allowed_origins")?.unwrap_or_default();
    given
        .into_iter()
        .map(|origin| {
            let origin = origin.to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let good =
                host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' ']));
            if good {
                Ok(origin)
            } else {
                Err(values.error("allowed_origins", "origins, like https://chat.example.org"))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_core::domain::Rate;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let mut values = Values::default();
        values.add_file("chat.toml", file)?;
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let warnings = values.add_environment(environment);
        Ok(Loaded { config: Config::from_values(&values)?, warnings })
    }

    fn refused(file: &str, environment: &[(&str, &str)]) -> String {
        load(file, environment).unwrap_err().0
    }

    #[test]
    fn without_anything_given_the_defaults_of_the_protocol_hold() {
        let config = load("", &[]).unwrap().config;
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.data_dir, PathBuf::from("./chat-data"));
        assert_eq!(config.default_rooms, [RoomId::parse("lobby").unwrap()]);
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.durability, Durability::Fsync);
        assert_eq!(
            (config.rates.registrations, config.rates.logins),
            (Rate::per_hour(5), Rate::per_hour(10))
        );
        assert!(config.external.is_none() && config.trusted_proxies.is_empty());
    }

    #[test]
    fn the_example_names_every_key_with_its_default() {
        let example = include_str!("../../chat.example.toml");
        let by_example = load(example, &[]).unwrap().config;
        assert_eq!(format!("{by_example:?}"), format!("{:?}", load("", &[]).unwrap().config));
        let mut section = String::new();
        let named: Vec<String> = example
            .lines()
            .filter_map(|line| {
                let line = line.trim_start_matches("# ");
                if let Some((name, _)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
                    section = format!("{name}.");
                }
                line.split_once(" = ").map(|(key, _)| format!("{section}{key}"))
            })
            .collect();
        assert_eq!(named, keys::KEYS);
    }

    #[test]
    fn every_key_can_be_given_by_file_and_by_environment() {
        let file = r#"
            listen = "0.0.0.0:1"
            data_dir = "/var/lib/chat"
            default_rooms = ["lobby", "help"]
            log = "debug"
            allowed_origins = ["https://Chat.example.org"]
            trusted_proxies = ["10.0.0.0/8", "::1"]
            [store]
            durability = "interval"
            [limits]
            messages_per_minute = 0
            upload_bytes = 7
            [auth.external]
            issuer = "them"
            hs256_secret = "an example of a secret, 32 bytes"
        "#;
        let by_file = load(file, &[]).unwrap().config;
        let by_environment = load(
            "",
            &[
                ("CHAT_LISTEN", "0.0.0.0:1"),
                ("CHAT_DATA_DIR", "/var/lib/chat"),
                ("CHAT_DEFAULT_ROOMS", "lobby, help"),
                ("CHAT_LOG", "debug"),
                ("CHAT_ALLOWED_ORIGINS", "https://Chat.example.org"),
                ("CHAT_TRUSTED_PROXIES", "10.0.0.0/8,::1"),
                ("CHAT_STORE__DURABILITY", "interval"),
                ("CHAT_LIMITS__MESSAGES_PER_MINUTE", "0"),
                ("CHAT_LIMITS__UPLOAD_BYTES", "7"),
                ("CHAT_AUTH__EXTERNAL__ISSUER", "them"),
                ("CHAT_AUTH__EXTERNAL__HS256_SECRET", "an example of a secret, 32 bytes"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(by_environment.warnings, Vec::<String>::new());
        assert_eq!(format!("{by_file:?}"), format!("{:?}", by_environment.config));
        assert_eq!(by_file.limits.messages_per_minute, 0);
        assert_eq!(by_file.allowed_origins, ["https://chat.example.org"]);
    }

    #[test]
    fn an_empty_list_turns_the_default_rooms_off() {
        assert!(load("default_rooms = []", &[]).unwrap().config.default_rooms.is_empty());
        assert!(load("", &[("CHAT_DEFAULT_ROOMS", "")]).unwrap().config.default_rooms.is_empty());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let loaded = load("[limits]\nmessage_burst = 3", &[("CHAT_LIMITS__MESSAGE_BURST", "4")]).unwrap();
        assert_eq!(loaded.config.limits.message_burst, 4);
    }

    #[test]
    fn unknown_keys_of_the_file_are_refused_with_a_hint() {
        assert_eq!(
            refused("[limits]\nmessages_per_minutes = 3", &[]),
            "chat.toml: unknown key `limits.messages_per_minutes`; did you mean `limits.messages_per_minute`?",
        );
        assert_eq!(
            refused("messages_per_minute = 3", &[]),
            "chat.toml: unknown key `messages_per_minute`; did you mean `limits.messages_per_minute`?"
        );
        assert_eq!(refused("colour = 3", &[]), "chat.toml: unknown key `colour`");
        assert_eq!(
            refused("[limit]\nframe_bytes = 3", &[]),
            "chat.toml: unknown key `limit.frame_bytes`; did you mean `limits.frame_bytes`?"
        );
        assert_eq!(refused("limits = 3", &[]), "chat.toml: `limits` is a section, write [limits]");
    }

    #[test]
    fn unknown_variables_are_warned_about() {
        let warnings = load("", &[("CHAT_LISTENS", "x"), ("CHATTY", "x")]).unwrap().warnings;
        assert_eq!(
            warnings,
            ["unknown environment variable CHAT_LISTENS is ignored; did you mean CHAT_LISTEN?"]
        );
    }

    #[test]
    fn a_value_that_cannot_be_used_is_one_line_that_does_not_repeat_it() {
        assert_eq!(
            refused("listen = \"nowhere\"", &[]),
            "`listen` (chat.toml): expected an address and a port, like 127.0.0.1:8080",
        );
        assert_eq!(
            refused("", &[("CHAT_LIMITS__MESSAGE_BURST", "0")]),
            "`limits.message_burst` (CHAT_LIMITS__MESSAGE_BURST): expected a whole number from 1 to 100000",
        );
        assert_eq!(
            refused("[limits]\nmessage_burst = \"3\"", &[]),
            "`limits.message_burst` (chat.toml): expected a whole number from 1 to 100000",
        );
        assert_eq!(refused("[store]\ndurability = 1", &[]), "`store.durability` (chat.toml): expected text");
        assert_eq!(
            refused("[store]\ndurability = \"sometimes\"", &[]),
            "`store.durability` (chat.toml): expected one of fsync, interval, none",
        );
        assert_eq!(
            refused("default_rooms = [\"a b\"]", &[]),
            "`default_rooms` (chat.toml): expected ids of 1 to 64 characters out of A-Z a-z 0-9 . _ : @ | -",
        );
        assert_eq!(
            refused("default_rooms = [1]", &[]),
            "`default_rooms` (chat.toml): expected a list of texts"
        );
        assert_eq!(refused("a = \"secret\nb", &[]).lines().count(), 1);
        assert!(!refused("a = \"secret\nb", &[]).contains("secret"));
        assert_eq!(
            refused("[auth.external]\nissuer = \"x\"", &[]),
            "auth.external needs `hs256_secret`, `public_key` or `jwks_url`, by which its tokens are checked",
        );
    }

    #[test]
    fn an_issuer_has_keys_of_one_kind_that_nobody_can_exchange() {
        let keys = |text: &str| load(&format!("[auth.external]\n{text}"), &[]);
        for good in
            ["https://them.example/keys", "http://127.0.0.1:1/keys", "http://[::1]/", "http://localhost/"]
        {
            let external =
                keys(&format!("jwks_url = \"{good}\"\nroles_claim = \"groups\"\nadmin_role = \"boss\""))
                    .unwrap()
                    .config
                    .external
                    .unwrap();
            assert!(matches!(external.keys, ExternalKeys::Jwks(_)));
            assert_eq!(
                (&*external.claims.roles, external.claims.admin_role.as_deref()),
                ("groups", Some("boss"))
            );
        }
        for bad in [
            "http://them.example/keys",
            "ftp://127.0.0.1/",
            "them.example",
            "https:///keys",
            "http://127.0.0.1.example/",
        ] {
            let error = keys(&format!("jwks_url = \"{bad}\"")).unwrap_err().0;
            assert_eq!(
                error,
                "`auth.external.jwks_url` (chat.toml): expected an https URL, or an http one of this machine"
            );
        }
        for (text, line) in [
            ("public_key = \"x\"", "auth.external.public_key needs `algorithm`, which it is for"),
            (
                "public_key = \"x\"\nalgorithm = \"none\"",
                "`auth.external.algorithm` (chat.toml): expected one of RS256, ES256, EdDSA",
            ),
            (
                "public_key = \"x\"\nhs256_secret = \"y\"",
                "auth.external takes one of `hs256_secret`, `public_key`, `jwks_url`",
            ),
        ] {
            assert_eq!(keys(text).unwrap_err().0, line);
        }
    }

    #[test]
    fn mail_is_told_where_to_go_and_how() {
        let file = "public_url = \"https://chat.example.org/\"\n[mail]\nsmtp_host = \"mx.example.org\"\nfrom = \"chat@example.org\"";
        let config = load(file, &[("CHAT_MAIL__SMTP_TLS", "implicit")]).unwrap().config;
        assert_eq!(config.public_url.as_deref(), Some("https://chat.example.org"));
        let smtp = config.smtp.unwrap();
        assert_eq!((&*smtp.host, smtp.port, smtp.tls), ("mx.example.org", 465, SmtpTls::Implicit));
        assert!(smtp.login.is_none());
        for (file, line) in [
            (
                "public_url = \"chat.example.org\"",
                "`public_url` (chat.toml): expected a URL, like https://chat.example.org",
            ),
            ("[mail]\nfrom = \"x\"", "mail needs `smtp_host`, which takes it"),
            ("[mail]\nsmtp_host = \"x\"", "mail needs `from`, whom it comes from"),
            (
                "[mail]\nsmtp_host = \"x\"\nfrom = \"x\"\nsmtp_user = \"x\"",
                "mail needs `smtp_user` and `smtp_password`, or neither",
            ),
            (
                "[mail]\nsmtp_tls = \"maybe\"",
                "`mail.smtp_tls` (chat.toml): expected one of starttls, implicit, none",
            ),
        ] {
            assert_eq!(refused(file, &[]), line);
        }
    }

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let mail =
            "[mail]\nsmtp_host = \"x\"\nfrom = \"x\"\nsmtp_user = \"x\"\nsmtp_password = \"swordfish\"";
        assert!(!format!("{:?}", load(mail, &[]).unwrap().config).contains("swordfish"));
        let config = load("[auth.external]\nhs256_secret = \"swordfish\"", &[]).unwrap().config;
        assert!(!format!("{config:?}").contains("swordfish"));
    }
}
