//! The server that all cells are tried on, and who is nobody there.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::support::{
    BASE, PASSWORD, Server, User, foreign_token,
    openapi::{Operation, operations},
};

const SECRET: &str = "a secret of theirs, of 32 bytes and more";
const ADMIN: &str = "chat-admin";
const FOREVER: u64 = 4_102_444_800;

/// One server for all cells. Whoever does something in a cell is made for it, by a token of a foreign issuer where that
/// will do, which costs no registration; whose tokens are good for nothing is the same everywhere.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) operations: BTreeMap<String, Operation>,
    /// Somebody with an account here, and a login that goes on.
    pub(crate) resident: User,
    /// Which of the resident's logins that is.
    pub(crate) session: String,
    /// The resident's token, run out.
    pub(crate) expired: String,
    /// The resident's token of a login that was ended.
    pub(crate) revoked: String,
    pub(crate) erased: Outcast,
    pub(crate) disabled: Outcast,
    cells: AtomicUsize,
}

/// Tokens of those who were erased, or are kept out.
pub(crate) struct Outcast {
    /// Of somebody whom a foreign issuer vouches for.
    pub(crate) foreign: String,
    /// Of somebody who has an account here.
    pub(crate) own: String,
}

impl House {
    pub(crate) fn open() -> Self {
        let config = format!(
            "{BASE}connections_per_ip = 0\nrooms_per_user = 0\ntyping_per_second = 0\n\
             [store]\ndurability = \"none\"\n\
             [auth.external]\nissuer = \"them\"\naudience = \"chat\"\nhs256_secret = \"{SECRET}\"\n\
             admin_role = \"{ADMIN}\"\n"
        );
        let server = Server::with(&config);
        let operations = operations(&server).into_iter().map(|it| (it.name.clone(), it)).collect();
        let resident = server.register("resident");
        let logins = server.get("/api/auth/sessions").bearer(&resident.token).send().json();
        let session = logins["items"][0]["id"].as_str().unwrap().to_owned();
        let expired = run_out(&server, &resident, &session);
        server.register("lodger");
        let login = json!({ "login": resident.name, "password": PASSWORD });
        let login = server.post("/api/auth/login", &login).send().json();
        let revoked = login["accessToken"].as_str().unwrap().to_owned();
        assert_eq!(server.request("POST", "/api/auth/logout").bearer(&revoked).send().status, 204);
        let erased = Outcast { foreign: token("gone", false), own: server.register("gone_too").token };
        for token in [&erased.foreign, &erased.own] {
            assert_eq!(server.request("DELETE", "/api/users/me").bearer(token).send().status, 204);
        }
        let kept_out = server.register("kept_out_too");
        let disabled = Outcast { foreign: token("kept_out", false), own: kept_out.token };
        assert_eq!(server.get("/api/users/me").bearer(&disabled.foreign).send().status, 200);
        for user in ["kept_out", &kept_out.id] {
            let disable = server.request("POST", &format!("/api/admin/users/{user}/disable"));
            assert_eq!(disable.bearer(&token("operator_1", true)).send().status, 204);
        }
        let cells = AtomicUsize::new(0);
        Self { server, operations, resident, session, expired, revoked, erased, disabled, cells }
    }

    /// A number that no other scene has.
    pub(crate) fn number(&self) -> usize {
        self.cells.fetch_add(1, Ordering::Relaxed)
    }
}

/// A good token of that user, who may be an admin of the server.
pub(crate) fn token(user: &str, is_operator: bool) -> String {
    let roles: &[&str] = if is_operator { &[ADMIN] } else { &[] };
    let claims =
        json!({ "iss": "them", "aud": "chat", "sub": user, "name": user, "roles": roles, "exp": FOREVER });
    foreign_token(SECRET, &claims)
}

/// A token of a user's login, as the server signs them, that ran out.
fn run_out(server: &Server, user: &User, session: &str) -> String {
    let key = std::fs::read_to_string(server.data().join("signing.key")).unwrap();
    let claims = |exp: u64| -> Value {
        json!({
            "iss": "chat", "aud": "chat", "typ": "access", "sub": user.id, "name": user.name,
            "sid": session, "role": "user", "iat": 1_000_000_000, "exp": exp,
        })
    };
    let good = foreign_token(key.trim(), &claims(FOREVER));
    assert_eq!(server.get("/api/users/me").bearer(&good).send().status, 200, "only its time makes it bad");
    foreign_token(key.trim(), &claims(1_000_000_900))
}
