//! Which pages may open a connection.

use http::uri::Authority;

/// The origins whose pages may connect. A browser sends its page's origin with every upgrade and a page can't
/// change it; without this check any page on the web could act with its visitor's credentials (cross-site
/// WebSocket hijacking, RFC 6455 section 10.2).
///
/// A page of the very host that is asked is always welcome, whatever its scheme: behind a proxy that ends TLS
/// the page is `https` and the request is not. A client that sends no origin is no browser, and welcome.
///
/// ```
/// use chat_transport_ws::Origins;
/// let origins = Origins::same_host().allow("https://app.example").unwrap();
/// assert!(origins.permits("https://APP.example:443", "chat.example"));
/// assert!(origins.permits("https://chat.example", "chat.example"));
/// assert!(!origins.permits("https://evil.example", "chat.example"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    any: bool,
    listed: Vec<Origin>,
}

/// An origin is written `scheme://host` or `scheme://host:port`, without a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is written scheme://host or scheme://host:port")]
pub struct InvalidOrigin;

impl Origins {
    /// Pages of the host itself, no others.
    #[must_use]
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Every page. For services where the token comes from the page and no cookie is looked at.
    #[must_use]
    pub fn any() -> Self {
        Self { any: true, listed: Vec::new() }
    }

    /// Adds an origin; scheme, host and port must match.
    ///
    /// # Errors
    /// [`InvalidOrigin`] when it is not written as one.
    pub fn allow(mut self, origin: &str) -> Result<Self, InvalidOrigin> {
        self.listed.push(Origin::parse(origin).ok_or(InvalidOrigin)?);
        Ok(self)
    }

    /// Whether a page of `origin` may connect to `host` (as the request's `Host` has it). `null`, the origin
    /// of sandboxed pages and local files, is foreign everywhere.
    #[must_use]
    pub fn permits(&self, origin: &str, host: &str) -> bool {
        if self.any {
            return true;
        }
        let Some(origin) = Origin::parse(origin) else { return false };
        self.listed.contains(&origin) || origin.is_at(host)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        let (host, port) = host_and_port(authority)?;
        Some(Self { host, port: port.or(default)?, scheme })
    }

    fn is_at(&self, host: &str) -> bool {
        let default = if matches!(self.scheme.as_str(), "https" | "wss") { 443 } else { 80 };
        host_and_port(host)
            .is_some_and(|(host, port)| host == self.host && port.unwrap_or(default) == self.port)
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    if authority.contains('@') || authority.ends_with(':') {
        return None;
    }
    let authority = Authority::try_from(authority).ok()?;
    let port = match authority.port() {
        Some(port) => Some(port.as_str().parse().ok()?),
        None => None,
    };
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_same_host_is_welcome_whatever_its_scheme_and_however_its_port_is_written() {
        let origins = Origins::same_host();
        for (origin, host) in [
            ("http://localhost:8080", "localhost:8080"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("https://chat.example:443", "chat.example"),
            ("http://chat.example:80", "chat.example"),
            ("http://chat.example", "chat.example:80"),
            ("HTTPS://Chat.Example", "chat.example"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://chat.example.", "chat.example"),
        ] {
            assert!(origins.permits(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn everything_else_is_foreign() {
        let origins = Origins::same_host();
        for (origin, host) in [
            ("null", "chat.example"),
            ("", "chat.example"),
            ("https://evil.example", "chat.example"),
            ("https://chat.example.evil.example", "chat.example"),
            ("https://evilchat.example", "chat.example"),
            ("http://localhost:3000", "localhost:8080"),
            ("https://chat.example:8443", "chat.example"),
            ("http://chat.example", "chat.example:443"),
            ("https://chat.example@evil.example", "chat.example"),
            ("https://evil.example@chat.example", "chat.example"),
            ("https://chat.example/", "chat.example"),
            ("https://chat.example:", "chat.example"),
            ("file://", ""),
            ("file://", "chat.example"),
            ("chrome-extension://chat.example", "chat.example"),
            ("https://chat.example", ""),
        ] {
            assert!(!origins.permits(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn a_listed_origin_matches_with_its_scheme_and_port() {
        let origins = Origins::same_host().allow("https://app.example").unwrap();
        assert!(origins.permits("https://app.example:443", "chat.example"));
        assert!(!origins.permits("http://app.example", "chat.example"));
        assert!(!origins.permits("https://app.example:8443", "chat.example"));
        assert_eq!(Origins::same_host().allow("app.example"), Err(InvalidOrigin));
        assert_eq!(Origins::same_host().allow("https://app.example/page"), Err(InvalidOrigin));
    }
}
