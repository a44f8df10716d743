//! A newer token on a live connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chat_core::{
    auth::{AuthError, Authenticator, Hello, Identity},
    close::CloseReason,
    id::UserId,
    testing::TestClient,
};
use common::{builder, engine};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// Tokens are `user/login`; of the login `elsewhere`, somebody else's issuer has issued them.
#[derive(Clone, Default)]
struct Tokens {
    revoked: Arc<Mutex<BTreeSet<String>>>,
    /// Told of each token that was found good; its holder waits for an answer before going on.
    looked_at: Option<mpsc::UnboundedSender<oneshot::Sender<()>>>,
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError> {
        let token = hello.token.ok_or(AuthError::Missing)?;
        let (name, login) = token.expose().split_once('/').ok_or(AuthError::Invalid)?;
        let user = UserId::parse(name).map_err(|_| AuthError::Invalid)?;
        if self.revoked.lock().unwrap().contains(login) {
            return Err(AuthError::Invalid);
        }
        if let Some(looked_at) = &self.looked_at {
            let (go_on, held) = oneshot::channel();
            looked_at.send(go_on).unwrap();
            held.await.unwrap();
        }
        let (login, external) = (Some(login.to_owned()), login == "elsewhere");
        Ok(Identity { login, external, ..Identity::new(user, name) })
    }
}

async fn renew(client: &mut TestClient, token: &str) -> (Value, Value) {
    let answer = client.ask(json!({"type": "authenticate", "token": token})).await;
    (answer["type"].clone(), answer["code"].clone())
}

fn refused() -> (Value, Value) {
    (json!("auth_error"), json!("invalid_token"))
}

#[tokio::test(start_paused = true)]
async fn a_newer_token_of_the_same_user_is_accepted_and_one_of_another_is_not() {
    let engine = engine().await;
    let mut alice = TestClient::connect(&engine, "alice").await;
    assert_eq!(renew(&mut alice, "alice").await, (json!("authenticated"), Value::Null));
    assert_eq!(renew(&mut alice, "bob").await, refused());
    assert_eq!(alice.closed().await, Some(CloseReason::Unauthenticated));
    // Who was never here is not made known by a token that somebody else had.
    assert_eq!(engine.store().users(&[UserId::parse("bob").unwrap()]).await.unwrap(), [None]);
}

#[tokio::test(start_paused = true)]
async fn an_external_token_that_names_an_own_account_renews_nothing() {
    let engine = builder().authenticator(Tokens::default()).build().await.unwrap();
    let mut alice = TestClient::connect(&engine, "alice/1").await;
    assert_eq!(renew(&mut alice, "alice/elsewhere").await, refused());
    assert_eq!(alice.closed().await, Some(CloseReason::Unauthenticated));
    let mut guest = TestClient::connect(&engine, "guest/elsewhere").await;
    assert_eq!(renew(&mut guest, "guest/elsewhere").await, (json!("authenticated"), Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_ends_while_a_session_is_renewed_by_it_ends_the_session() {
    let (looked_at, mut held) = mpsc::unbounded_channel();
    let tokens = Tokens { looked_at: Some(looked_at), ..Tokens::default() };
    let engine = builder().authenticator(tokens.clone()).build().await.unwrap();
    let mut alice = TestClient::dial(&engine);
    let entered = alice.start(json!({"type": "authenticate", "token": "alice/1"})).await;
    held.recv().await.unwrap().send(()).unwrap();
    assert_eq!(alice.answer(entered).await["type"], "authenticated");
    let renewed = alice.start(json!({"type": "authenticate", "token": "alice/2"})).await;
    let go_on = held.recv().await.unwrap();
    tokens.revoked.lock().unwrap().insert("2".to_owned());
    engine.disconnect_login(&UserId::parse("alice").unwrap(), "2").await;
    go_on.send(()).unwrap();
    let answer = alice.answer(renewed).await;
    assert_eq!((answer["type"].clone(), answer["code"].clone()), refused());
    assert_eq!(alice.closed().await, Some(CloseReason::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_comes_from_where_the_connection_does() {
    let (seen, mut addresses) = mpsc::unbounded_channel();
    let authenticate = move |hello: Hello| {
        seen.send(hello.address).unwrap();
        TestClient::authenticator(hello)
    };
    let engine = builder().authenticator(authenticate).build().await.unwrap();
    let address = Some([192, 0, 2, 7].into());
    let mut alice = TestClient::dial_presenting(&engine, Hello { token: None, address });
    for _ in 0..3 {
        assert_eq!(renew(&mut alice, "alice").await, (json!("authenticated"), Value::Null));
        assert_eq!(addresses.recv().await, Some(address));
    }
}
