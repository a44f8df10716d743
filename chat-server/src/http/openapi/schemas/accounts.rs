//! Accounts and their logins.

use serde_json::json;

use super::{
    Schemas,
    kinds::{email, flag, nullable, object, opaque, page_of, reference, text, time, username},
};

pub(super) fn accounts() -> Schemas {
    let password = || json!({ "type": "string", "minLength": 8, "maxLength": 128 });
    let cookie = || nullable(flag());
    vec![
        (
            "Register",
            object([
                ("email", email()),
                ("username", username()),
                ("password", password()),
                ("cookie?", cookie()),
            ]),
        ),
        ("Login", object([("login", text()), ("password", text()), ("cookie?", cookie())])),
        ("Refresh", object([("refreshToken?", nullable(text()))])),
        (
            "Granted",
            object([
                ("user", reference("OwnUser")),
                ("accessToken", text()),
                ("expiresAt", time()),
                ("refreshToken?", text()),
            ]),
        ),
        (
            "Sessions",
            page_of(object([
                ("id", opaque()),
                ("device", text()),
                ("createdAt", time()),
                ("lastUsedAt", time()),
                ("current", flag()),
            ])),
        ),
        ("ChangePassword", object([("currentPassword", text()), ("newPassword", password())])),
        ("ForgotPassword", object([("email", email())])),
        ("ResetPassword", object([("token", text()), ("password", password())])),
    ]
}
