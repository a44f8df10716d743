//! `/api/auth`: registration, login, renewal.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use chat_core::{
    accounts::{AccountError, Client, Device, FamilyId, Grant, Registration},
    auth::{AuthError, Identity, Secret},
    close::CloseReason,
    domain::{ErrorCode, RoomSpec},
    engine::{Caller, Engine, Error},
    id::{RoomId, UserId},
    wire::rfc3339,
};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    App,
    client::ClientAddress,
    cookie::refuse_other_sites,
    fields::BodyFields,
    files::hand_pass,
    problem::Problem,
    route::{Access, Content, Route, Verb},
    to_its_end,
    users::own_user,
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, "/auth/register", "register", "Creates an account and logs it in", || {
        routing::post(register)
    })
    .access(Access::Open)
    .body("Register")
    .answers(&[(201, Content::Json("Granted"))]),
    Route::new(Verb::Post, "/auth/login", "login", "Logs in by name or address", || routing::post(login))
        .access(Access::Open)
        .body("Login")
        .answers(&[(200, Content::Json("Granted"))]),
    Route::new(
        Verb::Post,
        "/auth/refresh",
        "refresh",
        "Renews a login, by the token in the body or in the cookie",
        || routing::post(refresh),
    )
    .access(Access::Open)
    .optional_body("Refresh")
    .answers(&[(200, Content::Json("Granted"))]),
];

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
    let caller = app.engine().caller(identity_of(&grant)).await;
    match &caller {
        Ok(caller) => join_default_rooms(&app, caller).await,
        Err(error) => tracing::warn!(%error, "a new account could not join the default rooms"),
    }
    Ok((StatusCode::CREATED, granted(&app, &grant, cookie).await).into_response())
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
        let grant = or_all_out(&engine, accounts.login(&login, password, &client).await).await?;
        disconnect(&engine, &grant.profile.id, &grant.ended).await;
        Ok::<_, AccountError>(grant)
    });
    Ok(granted(&app, &logging_in.await??, cookie).await)
}

/// Disconnects whoever is connected by logins that have ended.
pub(super) async fn disconnect(engine: &Engine, user: &UserId, ended: &[FamilyId]) {
    for login in ended {
        engine.disconnect_login(user, &login.to_string()).await;
    }
}

/// An outcome; where it is not known which logins of a user have ended, all who are connected as them are
/// disconnected, and who is still logged in comes back.
pub(super) async fn or_all_out<T>(
    engine: &Engine,
    outcome: Result<T, AccountError>,
) -> Result<T, AccountError> {
    if let Err(AccountError::Doubtful { user }) = &outcome {
        engine.disconnect(user, CloseReason::Unauthenticated).await;
    }
    outcome
}

/// Who makes a request, as far as it says so itself.
pub(super) fn as_client(ClientAddress(address): ClientAddress, headers: &HeaderMap) -> Client {
    let device = headers.get(header::USER_AGENT).map(|text| String::from_utf8_lossy(text.as_bytes()));
    Client { device: Device::new(&device.unwrap_or_default()), address: Some(address) }
}

/// The token comes in the body, or in the cookie that an earlier call set; the new one goes back the same way.
async fn refresh(
    State(app): State<App>,
    client: ClientAddress,
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
        None => {
            // Neither in the body nor in the cookie: nothing says who it is.
            let token = app.cookie().token(&headers).ok_or(AuthError::Missing)?;
            refuse_other_sites(&app, &headers)?;
            token
        }
    };
    app.admit_refresh(client)?;
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
    Ok(granted(&app, &refreshing.await??, in_cookie).await)
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

/// What a grant's access token proves.
fn identity_of(grant: &Grant) -> Identity {
    Identity {
        user: grant.profile.id.clone(),
        username: Some(grant.profile.username.as_str().to_owned()),
        expires_at: Some(grant.expires_at),
        login: Some(grant.family.to_string()),
        external: false,
        role: grant.role,
    }
}

/// The account exists whether or not this succeeds; whoever is not joined here can join like everybody else.
async fn join_default_rooms(app: &App, caller: &Caller) {
    for room in app.default_rooms() {
        if let Err(error) = join_default_room(app, caller, room).await {
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
    user: Value,
    access_token: &'a str,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

async fn granted(app: &App, grant: &Grant, cookie: bool) -> Response {
    let body = Granted {
        user: user_of(app, grant).await,
        access_token: grant.access_token.expose(),
        expires_at: rfc3339(grant.expires_at),
        refresh_token: (!cookie).then(|| grant.refresh_token.expose()),
    };
    let mut response = Json(body).into_response();
    if cookie && let Some(value) = app.cookie().set(&grant.refresh_token) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    hand_pass(app, grant, &mut response);
    response
}

/// The user as they see themselves. How they are is left out where it can't be told now: the tokens matter more.
async fn user_of(app: &App, grant: &Grant) -> Value {
    if let Ok(caller) = app.engine().caller(identity_of(grant)).await
        && let Ok(user) = own_user(app, &caller).await
    {
        return user;
    }
    let profile = &grant.profile;
    json!({
        "id": profile.id.as_str(), "username": profile.username.as_str(),
        "displayName": profile.display_name.as_ref().map(|name| name.as_str()),
        "avatarUrl": profile.avatar_url.as_deref(), "status": "offline", "statusText": null, "lastSeenAt": null,
        "email": grant.email.as_str(), "createdAt": rfc3339(profile.created_at), "serverRole": grant.role.as_str(),
    })
}
