//! Ending a user's sessions: at once, on every device and every node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_core::{
    auth::{AuthError, Hello, Identity},
    close::CloseReason,
    id::UserId,
    testing::{Loss, TestClient},
};
use common::{Nodes, two_nodes, two_nodes_of};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn all_sessions_of_a_user_end_with_the_reason_and_nobody_elses() {
    let Nodes { a, b, .. } = two_nodes(Loss::NONE).await;
    let bob = UserId::parse("bob").unwrap();
    let mut alice = TestClient::connect(&a, "alice").await;
    let mut here = TestClient::connect(&a, "bob").await;
    let mut there = TestClient::connect(&b, "bob").await;
    let mut within = a.connect(Identity::new(bob.clone(), "bob")).await.unwrap();
    a.disconnect(&bob, CloseReason::Banned).await;
    assert_eq!(here.closed().await, Some(CloseReason::Banned));
    assert_eq!(there.closed().await, Some(CloseReason::Banned));
    while within.recv().await.is_some() {}
    assert_eq!(alice.ask(json!({"type": "ping"})).await["type"], "pong");

    let mut again = TestClient::connect(&b, "bob").await;
    a.disconnect(&bob, CloseReason::Unauthenticated).await;
    assert_eq!(again.closed().await, Some(CloseReason::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_a_login_end_on_every_node_and_those_of_others_go_on() {
    // `bob/2` is bob by his second login.
    let authenticate = |hello: Hello| async move {
        let token = hello.token.ok_or(AuthError::Missing)?;
        let (name, login) = token.expose().split_once('/').ok_or(AuthError::Invalid)?;
        let user = UserId::parse(name).map_err(|_| AuthError::Invalid)?;
        Ok::<_, AuthError>(Identity { login: Some(login.into()), ..Identity::new(user, name) })
    };
    let Nodes { a, b, .. } = two_nodes_of(Loss::NONE, |builder| builder.authenticator(authenticate)).await;
    let bob = UserId::parse("bob").unwrap();
    let mut first = TestClient::connect(&b, "bob/1").await;
    let mut second = TestClient::connect(&b, "bob/2").await;
    let mut renewed = TestClient::connect(&a, "bob/1").await;
    renewed.ask(json!({"type": "authenticate", "token": "bob/2"})).await;
    let mut left = TestClient::connect(&a, "bob/2").await;
    left.ask(json!({"type": "authenticate", "token": "bob/1"})).await;
    let mut other = TestClient::connect(&a, "alice/2").await;
    a.disconnect_login(&bob, "2").await;
    assert_eq!(second.closed().await, Some(CloseReason::Unauthenticated));
    assert_eq!(renewed.closed().await, Some(CloseReason::Unauthenticated));
    for client in [&mut first, &mut left, &mut other] {
        assert_eq!(client.ask(json!({"type": "ping"})).await["type"], "pong");
    }
}
