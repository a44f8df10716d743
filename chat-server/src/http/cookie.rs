//! The refresh token in a cookie: out of reach for scripts, and of no use to other sites. And what holds for every
//! cookie.

use chat_core::{accounts::REFRESH_LIFETIME_MS, auth::Secret, domain::ErrorCode};
use chat_transport_ws::Origins;
use http::{HeaderMap, HeaderValue, header};

use super::{App, problem::Problem};

/// The cookie, as the server writes it where it is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshCookie {
    /// Whether the server is reached by https: then the cookie is for encrypted connections and for this very host
    /// alone, which its name vouches for (RFC 6265bis, 4.1.3.2) and which asks for `Path=/`.
    secure: bool,
}

/// How long a browser keeps a cookie of a login: as long as a login is good unrenewed.
pub(super) const MAX_AGE_S: u64 = REFRESH_LIFETIME_MS.unsigned_abs() / 1_000;

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
        read(headers, self.name())
    }

    const fn name(self) -> &'static str {
        if self.secure { "__Host-chat_refresh" } else { "chat_refresh" }
    }
}

/// What the first cookie of this name holds.
pub(super) fn read(headers: &HeaderMap, cookie: &str) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie).map(|(_, value)| Secret::new(value))
}

/// Refuses a request that acts by its cookie and that a page of another site had the browser make.
///
/// Browsers say by `Sec-Fetch-Site` where a request comes from; of those that do not, `Origin` tells. A page of the
/// same site but another origin has to be on the list by name. What sends neither is no browser, and nobody can make it
/// send somebody's cookie.
pub(super) fn refuse_other_sites(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if is_of_this_site(app, headers) {
        Ok(())
    } else {
        Err(Problem::new(ErrorCode::Forbidden, "a cookie counts on requests of its own site alone"))
    }
}

/// Whether a request may act by its cookie, as [`refuse_other_sites`] has it.
pub(super) fn is_of_this_site(app: &App, headers: &HeaderMap) -> bool {
    is_permitted(headers, app.origins(), app.allowed_origins())
}

fn is_permitted(headers: &HeaderMap, origins: &Origins, listed: &[String]) -> bool {
    let one = |name: &str| {
        let mut lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        // Two that differ are none that could be believed.
        let first = lines.next()?;
        Some(if lines.all(|line| line == first) { first } else { "" })
    };
    match (one("sec-fetch-site"), one("origin")) {
        (Some("same-origin" | "none"), _) | (None, None) => true,
        (Some("same-site"), Some(origin)) => listed.iter().any(|one| one == origin),
        (Some(_), _) => false,
        (None, Some(origin)) => origins.permits(origin, one("host").unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn of(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn only_pages_of_the_same_origin_listed_ones_of_the_same_site_and_the_user_may_use_a_cookie() {
        const SITE: &str = "sec-fetch-site";
        let listed = ["https://app.example".to_owned()];
        let origins = Origins::same_host().allow(&listed[0]).unwrap();
        let good = |lines: &[(&'static str, &'static str)]| {
            let lines = [lines, &[("host", "chat.example")]].concat();
            is_permitted(&of(&lines), &origins, &listed)
        };
        let (app, own) = (("origin", "https://app.example"), ("origin", "https://chat.example"));
        for lines in [
            [].as_slice(),
            &[(SITE, "same-origin")],
            &[(SITE, "same-origin"), own],
            &[(SITE, "none")],
            &[(SITE, "same-site"), app],
            &[app],
            &[own],
        ] {
            assert!(good(lines), "{lines:?}");
        }
        for lines in [
            [(SITE, "same-site")].as_slice(),
            &[(SITE, "same-site"), own],
            &[(SITE, "same-site"), ("origin", "http://app.example")],
            &[(SITE, "same-site"), ("origin", "https://evil.app.example")],
            &[(SITE, "same-site"), ("origin", "null")],
            &[(SITE, "same-site"), app, own],
            &[(SITE, "cross-site")],
            &[(SITE, "cross-site"), app],
            &[(SITE, "cross-site"), own],
            &[(SITE, "")],
            &[(SITE, "same-origin"), (SITE, "cross-site")],
            &[("origin", "https://evil.example")],
            &[own, ("origin", "https://evil.example")],
        ] {
            assert!(!good(lines), "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = of(&[("cookie", "a=b; chat_files=x.y.z"), ("cookie", "c=d")]);
        let found = |cookie| read(&headers, cookie).map(|value| value.expose().to_owned());
        assert_eq!(found("chat_files"), Some("x.y.z".to_owned()));
        assert_eq!(found("__Secure-chat_files"), None);
    }
}
