//! The cookie by which a browser loads files: an `<img>` sends no `Authorization`.

use axum::{extract::FromRequestParts, response::Response};
use chat_core::{
    accounts::Grant,
    auth::{AuthError, Secret},
    engine::Caller,
};
use http::{HeaderMap, HeaderValue, header, request::Parts};

use crate::http::{App, caller::Authenticated, problem::Problem};

/// What it is called. Where the server is reached by https, its name vouches for that (RFC 6265bis, 4.1.3.1).
const fn name(is_secure: bool) -> &'static str {
    if is_secure { "__Secure-chat_files" } else { "chat_files" }
}

/// As long as a login lasts that is not renewed.
const WEEK_S: u64 = 7 * 24 * 3_600;

/// Hands a browser the pass by which it loads files, along with a login. It goes to files and nowhere else, out of
/// reach for scripts and for other sites, and ends with the login.
pub(in crate::http) fn hand_pass(app: &App, grant: &Grant, response: &mut Response) {
    let pass = app.accounts().file_pass(grant.family);
    let (name, secure) = match app.cookie().is_secure() {
        true => (name(true), "; Secure"),
        false => (name(false), ""),
    };
    let pass = pass.expose();
    let text = format!("{name}={pass}; Path=/api/files{secure}; Max-Age={WEEK_S}; HttpOnly; SameSite=Strict");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Who asks for a file: by access token as everywhere, or by the cookie, which is good here alone.
#[derive(Debug)]
pub(super) struct FileReader(pub(super) Caller);

impl FromRequestParts<App> for FileReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
            return Ok(Self(caller));
        }
        let pass = pass(&parts.headers, name(app.cookie().is_secure())).ok_or(AuthError::Missing)?;
        if !is_of_this_site(&parts.headers) {
            return Err(AuthError::Missing.into());
        }
        let identity = app.accounts().check_file_pass(&pass).await?;
        let caller = app.engine().caller(identity).await?;
        app.admit_request(&caller)?;
        Ok(Self(caller))
    }
}

fn pass(headers: &HeaderMap, cookie: &str) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie).map(|(_, pass)| Secret::new(pass))
}

/// Whether the request was not begun by a page of another origin. A browser that says nothing of that is an old one, or
/// none, and `SameSite=Strict` has kept the cookie from other sites already.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_same_origin_and_the_user_may_use_the_cookie() {
        let of = |sites: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for site in sites {
                headers.append("sec-fetch-site", HeaderValue::from_static(site));
            }
            is_of_this_site(&headers)
        };
        assert!(of(&[]) && of(&["same-origin"]) && of(&["none"]));
        assert!(
            !of(&["cross-site"]) && !of(&["same-site"]) && !of(&["same-origin", "cross-site"]) && !of(&[""])
        );
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; chat_files=x.y.z"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=d"));
        let found = |cookie| pass(&headers, cookie).map(|pass| pass.expose().to_owned());
        assert_eq!(found("chat_files"), Some("x.y.z".to_owned()));
        assert_eq!(found("__Secure-chat_files"), None);
    }
}
