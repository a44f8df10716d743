//! `/api/auth/password`: another one, for who knows the present one and for who has forgotten it.

use axum::{extract::State, response::Response, routing};
use chat_core::{accounts::AccountError, auth::Secret, close::CloseReason};
use http::{HeaderMap, StatusCode};

use super::{
    App,
    accounts::{as_client, disconnect, or_all_out},
    caller::LoggedIn,
    client::ClientAddress,
    fields::BodyFields,
    problem::Problem,
    route::{Access, Route, Verb},
    sessions::without_cookie,
    to_its_end,
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Post,
        "/auth/password/change",
        "changePassword",
        "Takes another password; all other logins of the caller end",
        || routing::post(change),
    )
    .body("ChangePassword"),
    Route::new(
        Verb::Post,
        "/auth/password/forgot",
        "forgotPassword",
        "Sends a mail with a token to whoever has the address, if anybody does",
        || routing::post(forgot),
    )
    .access(Access::Open)
    .body("ForgotPassword"),
    Route::new(
        Verb::Post,
        "/auth/password/reset",
        "resetPassword",
        "Takes another password by the token of a mail; all logins of the account end",
        || routing::post(reset),
    )
    .access(Access::Open)
    .body("ResetPassword"),
];

/// The caller's own login goes on, its tokens and its cookie with it.
async fn change(
    State(app): State<App>,
    LoggedIn { user, login }: LoggedIn,
    client: ClientAddress,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<StatusCode, Problem> {
    let current = Secret::new(fields.text("currentPassword"));
    let new = Secret::new(fields.text("newPassword"));
    fields.done()?;
    app.admit_change(&user)?;
    let client = as_client(client, &headers);
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let changing = to_its_end(async move {
        let changed = accounts.change_password(&user, login, current, new, &client).await;
        let ended = or_all_out(&engine, changed).await?;
        disconnect(&engine, &user, &ended).await;
        Ok::<_, AccountError>(())
    });
    changing.await??;
    Ok(StatusCode::NO_CONTENT)
}

/// What is answered says nothing about whether there is such an account, and neither does when.
async fn forgot(
    State(app): State<App>,
    client: ClientAddress,
    mut fields: BodyFields,
) -> Result<StatusCode, Problem> {
    let email = fields.text("email");
    fields.done()?;
    app.admit_recovery(client)?;
    app.accounts().forgot(&email)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(
    State(app): State<App>,
    client: ClientAddress,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let token = Secret::new(fields.text("token"));
    let password = Secret::new(fields.text("password"));
    fields.done()?;
    app.admit_recovery(client)?;
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let resetting = to_its_end(async move {
        let (user, _) = or_all_out(&engine, accounts.reset_password(&token, password).await).await?;
        // All their logins have ended.
        engine.disconnect(&user, CloseReason::Unauthenticated).await;
        Ok::<_, AccountError>(())
    });
    resetting.await??;
    Ok(without_cookie(&app))
}
