//! The refresh token in a cookie: out of reach for scripts, and of no use to other sites.

use chat_core::{auth::Secret, domain::ErrorCode};
use http::{HeaderMap, HeaderValue, header};

use super::{App, problem::Problem};

/// The cookie, as the server writes it where it is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshCookie {
    /// Whether the server is reached by https: then the cookie is for encrypted connections and for this very host
    /// alone, which its name vouches for (RFC 6265bis, 4.1.3.2) and which asks for `Path=/`.
    secure: bool,
}

/// How long a browser keeps it: as long as a login is good unrenewed.
const MAX_AGE_S: u64 = 7 * 24 * 3_600;

impl RefreshCookie {
    pub(crate) fn at(public_url: Option<&str>) -> Self {
        Self { secure: public_url.is_some_and(|url| url.starts_with("https://")) }
    }

    /// Whether cookies are for encrypted connections alone.
    pub(super) const fn is_secure(self) -> bool {
        self.secure
    }

    /// Hands a token over.
    pub(super) fn set(self, token: &Secret) -> Option<HeaderValue> {
        self.written(token.expose(), MAX_AGE_S)
    }

    /// Takes the cookie back.
    pub(super) fn taken_back(self) -> Option<HeaderValue> {
        self.written("", 0)
    }

    fn written(self, value: &str, max_age: u64) -> Option<HeaderValue> {
        let name = self.name();
        let scope = if self.secure { "Path=/; Secure" } else { "Path=/api/auth" };
        let text = format!("{name}={value}; {scope}; Max-Age={max_age}; HttpOnly; SameSite=Strict");
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The token in the one cookie of this name.
    pub(super) fn token(self, headers: &HeaderMap) -> Option<Secret> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name()).map(|(_, token)| Secret::new(token))
    }

    const fn name(self) -> &'static str {
        if self.secure { "__Host-chat_refresh" } else { "chat_refresh" }
    }
}

/// Refuses a request that acts by its cookie and that a page of another site had the browser make.
///
/// Browsers say by `Sec-Fetch-Site` where a request comes from; of those that do not, `Origin` tells. What sends
/// neither is no browser, and nobody can make it send somebody's cookie.
pub(super) fn refuse_other_sites(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let permits = |origin: &str| app.origins().permits(origin, text("host").unwrap_or_default());
    let own = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => permits(origin),
        (None, None) => true,
    };
    if own {
        Ok(())
    } else {
        Err(Problem::new(ErrorCode::Forbidden, "a cookie counts on requests of its own site alone"))
    }
}
