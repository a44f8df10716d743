//! One user's requests of JSON, with what most of them should be answered.

use serde_json::Value;

use super::{Server, User, http::Answer};

/// A user of the HTTP API.
pub struct Api<'a> {
    server: &'a Server,
    base: &'static str,
    token: String,
    pub id: String,
}

impl<'a> Api<'a> {
    /// Somebody with an account.
    pub fn of(server: &'a Server, user: &User) -> Self {
        Self { server, base: "", token: user.token.clone(), id: user.id.clone() }
    }

    /// An admin by this token, asking for what lies below `/api/admin`.
    pub fn of_admin(server: &'a Server, id: &str, token: String) -> Self {
        Self { server, base: "/api/admin", token, id: id.to_owned() }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = self.server.request(method, &format!("{}{path}", self.base)).bearer(&self.token);
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// What it was answered, if it was done.
    #[track_caller]
    pub fn done(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, body);
        match answer.status {
            204 => Value::Null,
            200 | 201 => answer.json(),
            _ => panic!("{method} {path}: {answer:?}"),
        }
    }

    /// The status and the code of a refusal.
    #[track_caller]
    pub fn refused(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
        (answer.status, answer.json()["code"].clone())
    }
}
