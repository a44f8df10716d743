//! The cookie by which a browser loads files: an `<img>` sends no `Authorization`.

use axum::{extract::FromRequestParts, response::Response};
use chat_core::{
    accounts::Grant,
    auth::{AuthError, Identity},
    engine::Caller,
};
use http::{HeaderValue, header, request::Parts};

use crate::http::{
    App,
    caller::Proven,
    cookie::{self, MAX_AGE_S},
    problem::Problem,
};

/// What it is called. Where the server is reached by https, its name vouches for that (RFC 6265bis, 4.1.3.1).
const fn name(is_secure: bool) -> &'static str {
    if is_secure { "__Secure-chat_files" } else { "chat_files" }
}

/// Hands a browser the pass by which it loads files, along with a login. It goes to files and nowhere else, out of
/// reach for scripts and for other sites, and ends with the login.
pub(in crate::http) fn hand_pass(app: &App, grant: &Grant, response: &mut Response) {
    let pass = app.accounts().file_pass(grant.family);
    let (name, secure) = match app.cookie().is_secure() {
        true => (name(true), "; Secure"),
        false => (name(false), ""),
    };
    let pass = pass.expose();
    let text =
        format!("{name}={pass}; Path=/api/files{secure}; Max-Age={MAX_AGE_S}; HttpOnly; SameSite=Strict");
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
        let identity = if parts.headers.contains_key(header::AUTHORIZATION) {
            Proven::from_request_parts(parts, app).await?.0
        } else {
            by_cookie(parts, app).await?
        };
        let caller = app.engine().caller(identity).await?;
        app.admit_file_read(&caller)?;
        Ok(Self(caller))
    }
}

async fn by_cookie(parts: &Parts, app: &App) -> Result<Identity, Problem> {
    let pass = cookie::read(&parts.headers, name(app.cookie().is_secure())).ok_or(AuthError::Missing)?;
    if !cookie::is_of_this_site(app, &parts.headers) {
        return Err(AuthError::Missing.into());
    }
    Ok(app.accounts().check_file_pass(&pass).await?)
}
