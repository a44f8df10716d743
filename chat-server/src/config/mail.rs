//! Where the server is reached, and who delivers its mail.

use chat_core::auth::Secret;

use super::{ConfigError, values::Values};

/// A relay that takes mail.
#[derive(Debug, Clone)]
pub(crate) struct Smtp {
    /// Its name, which its certificate has to have.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    /// Who sends, if the relay wishes to know.
    pub(crate) login: Option<(String, Secret)>,
    /// What stands in `From`.
    pub(crate) from: String,
}

/// How a connection to a relay is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmtpTls {
    /// After a greeting in the clear (RFC 3207); without it nothing is sent.
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Not at all.
    None,
}

/// The relay, if one is given.
pub(super) fn smtp(values: &Values) -> Result<Option<Smtp>, ConfigError> {
    let text = |key| values.text(key).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let tls = match values.text("mail.smtp_tls")? {
        None | Some("starttls") => SmtpTls::StartTls,
        Some("implicit") => SmtpTls::Implicit,
        Some("none") => SmtpTls::None,
        Some(_) => return Err(values.error("mail.smtp_tls", "one of starttls, implicit, none")),
    };
    let usual = match tls {
        SmtpTls::StartTls => 587,
        SmtpTls::Implicit => 465,
        SmtpTls::None => 25,
    };
    let port = values.number("mail.smtp_port", 1..=65_535, usual)?;
    let (host, from) = (text("mail.smtp_host")?, text("mail.from")?);
    let (user, password) = (text("mail.smtp_user")?, text("mail.smtp_password")?);
    let Some(host) = host else {
        return match from.is_some() || user.is_some() || password.is_some() {
            true => Err(ConfigError("mail needs `smtp_host`, which takes it".into())),
            false => Ok(None),
        };
    };
    let from = from.ok_or_else(|| ConfigError("mail needs `from`, whom it comes from".into()))?;
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, Secret::new(password))),
        (None, None) => None,
        _ => return Err(ConfigError("mail needs `smtp_user` and `smtp_password`, or neither".into())),
    };
    Ok(Some(Smtp { host, port, tls, login, from }))
}

/// Where people reach the server: a scheme and a host, perhaps a path.
pub(super) fn public_url(values: &Values) -> Result<Option<String>, ConfigError> {
    let Some(url) = values.text("public_url")?.filter(|url| !url.is_empty()) else { return Ok(None) };
    let url = url.trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let good = host.is_some_and(|host| {
        !host.is_empty() && !host.starts_with('/') && !host.contains(['?', '#', '@', '*', ' ', '"', '<', '>'])
    });
    if good {
        Ok(Some(url.to_owned()))
    } else {
        Err(values.error("public_url", "a URL, like https://chat.example.org"))
    }
}
