//! `/api/auth`: registration, login, renewal.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use chat_core::{
    accounts::{AccountError, Client, Device, FamilyId, Grant, Registration},
    auth::{Identity, Secret},
    domain::{ErrorCode, RoomSpec},
    engine::{Caller, Engine, Error},
    id::{RoomId, UserId},
    wire::rfc3339,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{App, client::ClientAddress, fields::BodyFields, files::hand_pass, problem::Problem, to_its_end};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/refresh", post(refresh))
}

async fn register(
    State(app): State<App>,
    client: ClientAddress,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let registration = Registration {
        email: fields.text("email"),
        username: fields.text("username"),
        password: Secret::new(fields.text("password")),
    };
    let cookie = fields.flag("cookie");
    fields.done()?;
    // What can't be accepted anyway costs nothing; everything else counts, lest names be tried out.
    registration.check()?;
    app.admit_registration(client)?;
    let grant = app.accounts().register(registration, &as_client(client, &headers)).await?;
    join_default_rooms(&app, &grant).await;
    Ok((StatusCode::CREATED, granted(&app, &grant, cookie)).into_response())
}

async fn login(
    State(app): State<App>,
    client: ClientAddress,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let login = fields.text("login");
    let password = Secret::new(fields.text("password"));
    let cookie = fields.flag("cookie");
    fields.done()?;
    app.admit_login(client)?;
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let client = as_client(client, &headers);
    let logging_in = to_its_end(async move {
        let grant = accounts.login(&login, password, &client).await?;
        disconnect(&engine, &grant.profile.id, &grant.ended).await;
        Ok::<_, AccountError>(grant)
    });
    Ok(granted(&app, &logging_in.await??, cookie))
}

/// Disconnects whoever is connected by logins that have ended.
pub(super) async fn disconnect(engine: &Engine, user: &UserId, ended: &[FamilyId]) {
    for login in ended {
        engine.disconnect_login(user, &login.to_string()).await;
    }
}

/// Who makes a request, as far as it says so itself.
fn as_client(ClientAddress(address): ClientAddress, headers: &HeaderMap) -> Client {
    let device = headers.get(header::USER_AGENT).map(|text| String::from_utf8_lossy(text.as_bytes()));
    Client { device: Device::new(&device.unwrap_or_default()), address: Some(address) }
}

/// The token comes in the body, or in the cookie that an earlier call set; the new one goes back the same way.
async fn refresh(
    State(app): State<App>,
    headers: HeaderMap,
    mut fields: RefreshFields,
) -> Result<Response, Problem> {
    let in_body = fields.0.as_mut().and_then(|fields| fields.optional_text("refreshToken"));
    if let Some(fields) = fields.0 {
        fields.done()?;
    }
    let in_cookie = in_body.is_none();
    let token = match in_body {
        Some(token) => Secret::new(token),
        None => cookie_token(&headers).ok_or_else(|| {
            let message = "this field is required, unless there is the cookie".into();
            Problem::invalid(vec![super::problem::Invalid { field: "refreshToken".into(), message }])
        })?,
    };
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let refreshing = to_its_end(async move {
        let grant = accounts.refresh(&token).await;
        if let Err(AccountError::LoginEnded { user, login } | AccountError::LoginDoubtful { user, login }) =
            &grant
        {
            engine.disconnect_login(user, &login.to_string()).await;
        }
        grant
    });
    Ok(granted(&app, &refreshing.await??, in_cookie))
}

/// A body that may be left out.
struct RefreshFields(Option<BodyFields>);

impl<S: Send + Sync> axum::extract::FromRequest<S> for RefreshFields {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(None));
        }
        BodyFields::from_request(request, state).await.map(|fields| Self(Some(fields)))
    }
}

/// The account exists whether or not this succeeds; whoever is not joined here can join like everybody else.
async fn join_default_rooms(app: &App, grant: &Grant) {
    let identity = Identity {
        user: grant.profile.id.clone(),
        username: Some(grant.profile.username.as_str().to_owned()),
        expires_at: Some(grant.expires_at),
        login: Some(grant.family.to_string()),
        external: false,
        role: grant.role,
    };
    let caller = match app.engine().caller(identity).await {
        Ok(caller) => caller,
        Err(error) => return tracing::warn!(%error, "a new account could not join the default rooms"),
    };
    for room in app.default_rooms() {
        if let Err(error) = join_default_room(app, &caller, room).await {
            tracing::warn!(%room, %error, "a new account could not join a default room");
        }
    }
}

async fn join_default_room(app: &App, caller: &Caller, room: &RoomId) -> Result<(), Error> {
    match caller.join(room).await {
        Err(error) if error.code() == ErrorCode::NotFound => {
            ensure_default_room(app.engine(), room).await?;
            caller.join(room).await.map(drop)
        }
        joined => joined.map(drop),
    }
}

/// Makes sure that a default room is there: public, under the name that is its id, owned by nobody.
pub(crate) async fn ensure_default_room(engine: &Engine, room: &RoomId) -> Result<(), Error> {
    engine.ensure_room(room.clone(), RoomSpec::public(room.as_str())?).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Granted<'a> {
    user: OwnUser<'a>,
    access_token: &'a str,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// A user as they see themselves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnUser<'a> {
    id: &'a str,
    username: &'a str,
    display_name: Option<&'a str>,
    avatar_url: Option<&'a str>,
    status: &'static str,
    status_text: Option<&'a str>,
    last_seen_at: Option<&'a str>,
    email: &'a str,
    created_at: String,
    server_role: &'static str,
}

fn granted(app: &App, grant: &Grant, cookie: bool) -> Response {
    let body = Granted {
        user: OwnUser {
            id: grant.profile.id.as_str(),
            username: grant.profile.username.as_str(),
            display_name: None,
            avatar_url: None,
            status: "offline",
            status_text: None,
            last_seen_at: None,
            email: grant.email.as_str(),
            created_at: rfc3339(grant.profile.created_at),
            server_role: grant.role.as_str(),
        },
        access_token: grant.access_token.expose(),
        expires_at: rfc3339(grant.expires_at),
        refresh_token: (!cookie).then(|| grant.refresh_token.expose()),
    };
    let mut response = Json(body).into_response();
    if cookie && let Some(value) = set_cookie(&grant.refresh_token) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    hand_pass(app, grant, &mut response);
    response
}

const COOKIE: &str = "chat_refresh";

/// Takes the cookie back.
pub(super) const NO_COOKIE: &str = "chat_refresh=; Path=/api/auth; Max-Age=0; HttpOnly; SameSite=Strict";

/// Out of reach for scripts and for other sites. `Secure` is not set, since the server itself speaks plain HTTP;
/// a proxy that ends TLS may add it.
fn set_cookie(token: &Secret) -> Option<HeaderValue> {
    let week = 7 * 24 * 3_600;
    let text =
        format!("{COOKIE}={}; Path=/api/auth; Max-Age={week}; HttpOnly; SameSite=Strict", token.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn cookie_token(headers: &HeaderMap) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| Secret::new(token))
}
