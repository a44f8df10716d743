//! An issuer whose keys change.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod signing;

use std::sync::{Arc, atomic::Ordering};

use chat_core::auth::{Authenticator, Hello, Jwks, JwtAuthenticator, Secret};
use futures::future::join_all;
use serde_json::{Value, json};
use signing::{Hands, NOW, SECRET, Signer, base64, claims, clock, issuer::Issuer, rules};

struct World {
    issuer: Issuer,
    clock: Arc<Hands>,
    authenticator: JwtAuthenticator,
}

impl World {
    fn new(keys: &[Value]) -> Self {
        let (issuer, clock) = (Issuer::with(keys), clock());
        let jwks = Jwks::new(issuer.clone(), clock.clone());
        let authenticator = JwtAuthenticator::jwks(jwks, rules(), clock.clone());
        Self { issuer, clock, authenticator }
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    async fn admits(&self, signer: &Signer, name: Option<&str>) -> bool {
        let mut header = signer.header();
        if let Some(name) = name {
            header["kid"] = json!(name);
        }
        let mut claims = claims();
        claims["exp"] = json!(NOW * 2);
        let token = Some(Secret::new(signer.token(&header, &claims)));
        self.authenticator.authenticate(Hello { token, address: None }).await.is_ok()
    }
}

#[tokio::test]
async fn keys_are_fetched_when_one_is_named_that_is_not_known_and_at_most_once_a_minute() {
    let world = World::new(&[Signer::rs256().jwk("first")]);
    assert!(world.admits(&Signer::rs256(), Some("first")).await);
    assert!(world.admits(&Signer::rs256(), None).await, "there is one alone");
    world.issuer.has(&[Signer::rs256().jwk("first"), Signer::es256().jwk("second")]);
    assert!(!world.admits(&Signer::es256(), Some("second")).await);
    assert_eq!(world.issuer.count(), 1);
    world.pass(60);
    assert!(world.admits(&Signer::es256(), Some("second")).await);
    assert!(!world.admits(&Signer::es256(), Some("first")).await, "each for its own key");
    assert!(!world.admits(&Signer::rs256(), None).await, "there are two");
    for i in 0..50 {
        assert!(!world.admits(&Signer::rs256(), Some(&format!("made-up-{i}"))).await);
    }
    assert_eq!(world.issuer.count(), 2);
    world.pass(60);
    world.issuer.has(&[Signer::es256().jwk("second")]);
    assert!(!world.admits(&Signer::rs256(), Some("third")).await);
    assert!(!world.admits(&Signer::rs256(), Some("first")).await, "it was taken back");
    assert!(world.admits(&Signer::es256(), Some("second")).await);
}

#[tokio::test]
async fn of_many_who_wait_for_a_key_one_fetches() {
    let world = World::new(&[Signer::eddsa().jwk("first")]);
    let signer = Signer::eddsa();
    let admitted = join_all((0..64).map(|_| world.admits(&signer, Some("first")))).await;
    assert!(admitted.into_iter().all(|admitted| admitted));
    assert_eq!(world.issuer.count(), 1);
}

#[tokio::test]
async fn former_keys_stay_good_while_nothing_can_be_fetched() {
    let world = World::new(&[Signer::rs256().jwk("first")]);
    assert!(world.admits(&Signer::rs256(), Some("first")).await);
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000));
    for bad in
        [None, Some(""), Some("[]"), Some("{}"), Some(r#"{"keys":1}"#), Some(r#"{"keys":[]}"#), Some(&huge)]
    {
        world.issuer.says(bad);
        world.pass(60);
        let before = world.issuer.count();
        assert!(!world.admits(&Signer::rs256(), Some("second")).await);
        assert_eq!(world.issuer.count(), before + 1);
        assert!(world.admits(&Signer::rs256(), Some("first")).await);
    }
}

#[tokio::test]
async fn keys_that_are_an_hour_old_are_fetched_anew_before_one_of_them_is_accepted() {
    let world = World::new(&[Signer::rs256().jwk("first")]);
    assert!(world.admits(&Signer::rs256(), Some("first")).await);
    world.issuer.has(&[Signer::es256().jwk("second")]);
    world.pass(3_600);
    let signer = Signer::rs256();
    let admitted = join_all((0..16).map(|_| world.admits(&signer, Some("first")))).await;
    assert_eq!(admitted, [false; 16], "nobody gets in while somebody else fetches");
    assert!(world.admits(&Signer::es256(), Some("second")).await);
    assert_eq!(world.issuer.count(), 2);
    world.pass(3_600);
    world.issuer.says(None);
    assert!(world.admits(&Signer::es256(), Some("second")).await, "nothing can be fetched");
    assert!(world.admits(&Signer::es256(), Some("second")).await);
    assert_eq!(world.issuer.count(), 3, "at most once a minute");
}

#[tokio::test]
async fn what_is_no_key_for_signatures_is_passed_over() {
    let with = |mut jwk: Value, field: &str, value: Value| {
        jwk[field] = value;
        jwk
    };
    let (rsa, ec) = (Signer::rs256().jwk("bad"), Signer::es256().jwk("bad"));
    let secret = json!({ "kty": "oct", "kid": "bad", "k": base64(SECRET.as_bytes()), "alg": "HS256" });
    for bad in [
        with(rsa.clone(), "use", json!("enc")),
        with(rsa.clone(), "key_ops", json!(["encrypt"])),
        with(rsa.clone(), "alg", json!("RS512")),
        with(rsa.clone(), "alg", json!("HS256")),
        with(rsa.clone(), "alg", json!("ES256")),
        with(rsa.clone(), "kty", json!("oct")),
        with(rsa.clone(), "n", json!("AQAB")),
        with(rsa.clone(), "kid", json!("x".repeat(300))),
        with(ec.clone(), "crv", json!("P-384")),
        with(ec.clone(), "alg", json!("RS256")),
        with(ec.clone(), "x", json!("!")),
        json!({ "kty": "EC", "kid": "bad" }),
        json!("bad"),
        secret,
    ] {
        let world = World::new(&[bad.clone(), Signer::eddsa().jwk("good")]);
        for signer in [Signer::rs256(), Signer::es256(), Signer::hs256(SECRET.as_bytes())] {
            assert!(!world.admits(&signer, Some("bad")).await, "{bad}");
        }
        assert!(world.admits(&Signer::eddsa(), Some("good")).await, "{bad}");
    }
    let twice = World::new(&[rsa.clone(), ec, Signer::eddsa().jwk("good")]);
    assert!(
        !twice.admits(&Signer::rs256(), Some("bad")).await
            && !twice.admits(&Signer::es256(), Some("bad")).await
    );
    let many: Vec<_> = (0..32).map(|i| Signer::eddsa().jwk(&format!("k{i}"))).chain([rsa]).collect();
    let crowded = World::new(&many);
    assert!(!crowded.admits(&Signer::rs256(), Some("bad")).await, "it is one too many");
    assert!(crowded.admits(&Signer::eddsa(), Some("k31")).await);
}
