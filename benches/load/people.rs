//! Users with accounts of the server's own.

use serde_json::json;

use crate::{
    Failure,
    client::{Client, Request},
};

/// The password of all of them.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody with an account.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The name to log in by.
    pub(crate) name: String,
    /// Proves who they are, for a quarter of an hour.
    pub(crate) token: String,
}

/// The address of mail of whoever has this name.
pub(crate) fn email_of(name: &str) -> String {
    format!("{name}@example.org")
}

/// The address that the so-many-th client is said to come from. No two have the same.
pub(crate) fn address_of(number: usize) -> String {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

/// What logs somebody in, or does not.
pub(crate) fn login(name: &str, password: &str) -> String {
    json!({ "login": name, "password": password }).to_string()
}

/// Makes an account.
///
/// # Errors
/// When the server does not.
pub(crate) fn register(client: &mut Client, number: usize, name: String) -> Result<Person, Failure> {
    let body = json!({ "email": email_of(&name), "username": name, "password": PASSWORD }).to_string();
    let answer = client.ask(&address_of(number), &Request::post("/api/auth/register", &body))?;
    let answer = answer.expect(201, "a registration")?.json();
    let token = answer["accessToken"].as_str().ok_or("a registration without a token")?.to_owned();
    Ok(Person { name, token })
}

/// Makes a room, and tells its id.
///
/// # Errors
/// When the server does not.
pub(crate) fn create_room(
    client: &mut Client,
    owner: &Person,
    name: &str,
    private: bool,
) -> Result<String, Failure> {
    let body = json!({ "name": name, "private": private }).to_string();
    let answer = client.ask(&address_of(0), &Request::post("/api/rooms", &body).by(&owner.token))?;
    let answer = answer.expect(201, "a new room")?.json();
    Ok(answer["room"]["id"].as_str().ok_or("a room without an id")?.to_owned())
}
