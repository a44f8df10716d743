//! Tokens that try to be what they are not, and an issuer whose keys change.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chat_core::{
    accounts::TokenKeys,
    auth::{
        AuthError, Authenticator, ClaimNames, Hello, Identity, Jwks, JwtAlgorithm, JwtAuthenticator,
        JwtRules, KeyError, KeySource, Secret, ServerRole,
    },
    time::{Clock, Timestamp},
};
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use parking_lot::Mutex;
use serde_json::{Value, json};

const SECRET: &str = "an example of a secret, 32 bytes";
const RSA: &str = include_str!("keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");
const EC: &str = include_str!("keys/ec.pem");
const EC_PUBLIC: &str = include_str!("keys/ec.pub.pem");
const ED: &str = include_str!("keys/ed.pem");
const ED_PUBLIC: &str = include_str!("keys/ed.pub.pem");

/// Seconds.
const NOW: i64 = 1_000_000;

/// A clock that a test turns, in milliseconds.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn clock() -> Arc<Hands> {
    Arc::new(Hands(AtomicI64::new(NOW * 1_000)))
}

/// Base64 for URLs, without padding (RFC 4648, 5).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let number = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..=chunk.len() {
            text.push(DIGITS[(number >> (18 - 6 * place) & 63) as usize] as char);
        }
    }
    text
}

/// Whoever signs tokens that are accepted.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn hs256(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret) }
    }

    fn rs256() -> Self {
        Self { algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap() }
    }

    fn es256() -> Self {
        Self { algorithm: Algorithm::ES256, key: EncodingKey::from_ec_pem(EC.as_bytes()).unwrap() }
    }

    fn eddsa() -> Self {
        Self { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_pem(ED.as_bytes()).unwrap() }
    }

    fn name(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// A token of exactly these bytes.
    fn raw(&self, header: &[u8], payload: &[u8]) -> String {
        let message = format!("{}.{}", base64(header), base64(payload));
        let signature = sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    fn header(&self) -> Value {
        json!({ "alg": self.name(), "typ": "JWT" })
    }

    fn jwk(&self, name: &str) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(name);
        jwk
    }
}

fn claims() -> Value {
    json!({
        "iss": "chat", "aud": "chat", "typ": "access", "sub": "ann", "name": "ann", "sid": "7", "role": "user",
        "iat": NOW, "exp": NOW + 900,
    })
}

fn rules() -> JwtRules {
    JwtRules {
        issuer: Some("chat".into()),
        audience: Some("chat".into()),
        token_type: Some("access".into()),
        ..JwtRules::default()
    }
}

/// The tokens of `signer` that nobody may accept, however they came about.
fn bad(signer: &Signer) -> Vec<(String, String)> {
    let good = signer.token(&signer.header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let mut bad: Vec<(String, String)> = Vec::new();
    let mut add = |why: &str, token: String| bad.push((why.into(), token));

    for none in ["none", "None", "NONE", "nOnE", "", "null"] {
        let unsigned = base64(json!({ "alg": none, "typ": "JWT" }).to_string().as_bytes());
        add(&format!("alg {none:?} without a signature"), format!("{unsigned}.{payload}."));
        add(&format!("alg {none:?} with a signature"), format!("{unsigned}.{payload}.{signature}"));
    }
    for public in [RSA_PUBLIC, RSA_PUBLIC.trim_end(), EC_PUBLIC, ED_PUBLIC, ""] {
        let forger = Signer::hs256(public.as_bytes());
        add("HS256 under a public key", forger.token(&forger.header(), &claims()));
        add("HS256 under a public key, said to be ours", forger.token(&signer.header(), &claims()));
    }
    for other in
        ["HS256", "HS384", "HS512", "RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA", "hs256", "XX1"]
    {
        if other != signer.name() {
            add(&format!("another alg, {other}"), signer.token(&json!({ "alg": other }), &claims()));
        }
    }
    for alg in [json!(null), json!(1), json!(["HS256"]), json!({ "HS256": true })] {
        add(&format!("alg {alg}"), signer.token(&json!({ "alg": alg }), &claims()));
    }
    add("no alg", signer.token(&json!({ "typ": "JWT" }), &claims()));
    for forger in [
        Signer::hs256(b"another secret, of the same size"),
        Signer::es256(),
        Signer::rs256(),
        Signer::eddsa(),
    ] {
        if forger.algorithm != signer.algorithm || forger.algorithm == Algorithm::HS256 {
            let jwk = forger.jwk("forged");
            let header = |more: Value| {
                let mut header = forger.header();
                header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                header
            };
            for more in [
                json!({}),
                json!({ "jwk": jwk }),
                json!({ "jku": "https://evil.example/keys" }),
                json!({ "x5u": "https://evil.example/certificate" }),
                json!({ "kid": "forged", "jwk": jwk }),
                json!({ "kid": "../../../../dev/null" }),
                json!({ "kid": "' UNION SELECT 'x' --" }),
                json!({ "kid": "/proc/self/environ\u{0}" }),
                json!({ "kid": "https://evil.example/keys" }),
                json!({ "kid": "" }),
            ] {
                add(&format!("signed by another key, {more}"), forger.token(&header(more), &claims()));
            }
        }
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp")] {
        let mut header = signer.header();
        header["crit"] = crit.clone();
        add(&format!("crit {crit}"), signer.token(&header, &claims()));
    }
    for claim in ["iss", "aud", "typ", "sub", "exp"] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(claim);
        add(&format!("no {claim}"), signer.token(&signer.header(), &without));
    }
    for (claim, value) in [
        ("iss", json!("them")),
        ("iss", json!("chat ")),
        ("iss", json!("CHAT")),
        ("iss", json!(["chat"])),
        ("iss", json!(null)),
        ("iss", json!({ "chat": 1 })),
        ("aud", json!("mail")),
        ("aud", json!(["mail"])),
        ("aud", json!([])),
        ("aud", json!(["chat", 1])),
        ("aud", json!(7)),
        ("typ", json!("refresh")),
        ("typ", json!(["access"])),
        ("sub", json!("not an id")),
        ("sub", json!("")),
        ("sub", json!("ann\u{0}")),
        ("sub", json!(7)),
        ("sub", json!(["ann"])),
        ("sub", json!(null)),
        ("sub", json!("x".repeat(1_000))),
        ("name", json!(7)),
        ("sid", json!(7)),
        ("nbf", json!(NOW + 1)),
        ("nbf", json!("now")),
        ("exp", json!("tomorrow")),
        ("exp", json!((NOW + 900).to_string())),
        ("exp", json!([NOW + 900])),
        ("exp", json!(true)),
        ("exp", json!(1e300)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(u64::MAX)),
    ] {
        let mut changed = claims();
        changed[claim] = value.clone();
        let shown: String = value.to_string().chars().take(40).collect();
        add(&format!("{claim} {shown}"), signer.token(&signer.header(), &changed));
    }
    for (why, text) in [
        ("sub twice", r#"{"iss":"chat","aud":"chat","typ":"access","sub":"bob","exp":1000900,"sub":"ann"}"#),
        ("exp twice", r#"{"iss":"chat","aud":"chat","typ":"access","sub":"ann","exp":1,"exp":1000900}"#),
        ("exp NaN", r#"{"iss":"chat","aud":"chat","typ":"access","sub":"ann","exp":NaN}"#),
        (
            "exp too large for a number",
            r#"{"iss":"chat","aud":"chat","typ":"access","sub":"ann","exp":1e999}"#,
        ),
        ("no JSON", "sub=ann"),
        ("a list", r#"["ann"]"#),
        ("a text", r#""ann""#),
        ("nothing", ""),
        ("JSON and more", r#"{"iss":"chat","aud":"chat","typ":"access","sub":"ann","exp":1000900}{}"#),
    ] {
        add(why, signer.raw(signer.header().to_string().as_bytes(), text.as_bytes()));
    }
    let broken = [
        b"{\"iss\":\"chat\",\"aud\":\"chat\",\"typ\":\"access\",\"exp\":1000900,\"sub\":\"".as_slice(),
        b"\xff\xfe\"}",
    ]
    .concat();
    add("claims that are no UTF-8", signer.raw(signer.header().to_string().as_bytes(), &broken));
    add("a header that is no UTF-8", signer.raw(b"{\"alg\":\"\xff\"}", claims().to_string().as_bytes()));
    let mut deep = claims().to_string();
    deep.insert_str(1, &format!("\"x\":{}{},", "[".repeat(3_000), "]".repeat(3_000)));
    add("nested without end", signer.raw(signer.header().to_string().as_bytes(), deep.as_bytes()));
    let mut huge = claims();
    huge["x"] = json!("x".repeat(10_000));
    add("huge", signer.token(&signer.header(), &huge));

    add("no signature", format!("{message}."));
    add("two parts", message.to_owned());
    add("one part", head.to_owned());
    add("four parts", format!("{good}.{signature}"));
    add("an empty part before", format!(".{good}"));
    add("a dot behind", format!("{good}."));
    add("a part left out", format!("{head}..{signature}"));
    add("nothing but dots", "..".into());
    add("nothing", String::new());
    add("a header alone", format!("{head}.."));
    add("white space before", format!(" {good}"));
    add("white space behind", format!("{good} "));
    add("a line break", format!("{good}\n"));
    add("padding", format!("{good}="));
    add("padding within", format!("{head}=.{payload}.{signature}"));
    add("a cut signature", good[..good.len() - 1].into());
    add("half a token", good[..good.len() / 2].into());
    add("one bit of the signature", flipped(&good, good.len() - 10));
    add("one bit of the claims", flipped(&good, head.len() + 20));
    add("the encoding of other alphabets", good.replace(['-', '_'], "+") + "+/");
    add("the word Bearer", format!("Bearer {good}"));
    add("what is no ASCII", format!("{head}.{payload}.☃"));
    bad
}

/// The token with another character at that place.
fn flipped(token: &str, place: usize) -> String {
    let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..place], &token[place + 1..])
}

fn refuses_all_but_good_ones(authenticator: &JwtAuthenticator, signer: &Signer) {
    let good = signer.token(&signer.header(), &claims());
    let identity = authenticator.check(&good).unwrap();
    assert_eq!((identity.user.as_str(), identity.role), ("ann", ServerRole::User));
    let bad = bad(signer);
    assert!(bad.len() >= 100, "{}", bad.len());
    for (why, token) in bad {
        assert_eq!(authenticator.check(&token), Err(AuthError::Invalid), "{}: {why}", signer.name());
    }
    for exp in [NOW, NOW - 1, 0, -1] {
        let mut expired = claims();
        expired["exp"] = json!(exp);
        assert_eq!(authenticator.check(&signer.token(&signer.header(), &expired)), Err(AuthError::Expired));
    }
}

#[test]
fn none_of_a_hundred_bad_tokens_is_taken_for_one_of_an_own_account() {
    let keys = TokenKeys::new(Secret::new(SECRET)).unwrap();
    refuses_all_but_good_ones(&keys.authenticator(clock()), &Signer::hs256(SECRET.as_bytes()));
}

#[test]
fn none_of_a_hundred_bad_tokens_is_taken_for_one_of_an_issuer_with_one_key() {
    let hs256 = JwtAuthenticator::hs256(SECRET.as_bytes(), rules(), clock());
    refuses_all_but_good_ones(&hs256, &Signer::hs256(SECRET.as_bytes()));
    for (algorithm, pem, signer) in [
        (JwtAlgorithm::Rs256, RSA_PUBLIC, Signer::rs256()),
        (JwtAlgorithm::Es256, EC_PUBLIC, Signer::es256()),
        (JwtAlgorithm::EdDsa, ED_PUBLIC, Signer::eddsa()),
    ] {
        let one = JwtAuthenticator::pem(algorithm, pem.as_bytes(), rules(), clock()).unwrap();
        refuses_all_but_good_ones(&one, &signer);
    }
}

#[tokio::test]
async fn none_of_a_hundred_bad_tokens_is_taken_for_one_of_an_issuer_with_a_document_of_keys() {
    for signer in [Signer::rs256(), Signer::es256(), Signer::eddsa()] {
        let issuer = Issuer::with(&[signer.jwk("one")]);
        let keys = Jwks::new(issuer, clock());
        keys.refresh().await.unwrap();
        refuses_all_but_good_ones(&JwtAuthenticator::jwks(keys, rules(), clock()), &signer);
    }
}

#[test]
fn a_key_is_for_its_algorithm_alone() {
    for (algorithm, pem) in [
        (JwtAlgorithm::Rs256, EC_PUBLIC),
        (JwtAlgorithm::Es256, ED_PUBLIC),
        (JwtAlgorithm::EdDsa, RSA_PUBLIC),
        (JwtAlgorithm::Hs256, RSA_PUBLIC),
        (JwtAlgorithm::Rs256, "nonsense"),
    ] {
        assert!(JwtAuthenticator::pem(algorithm, pem.as_bytes(), rules(), clock()).is_err(), "{algorithm:?}");
    }
}

#[test]
fn the_claims_of_an_issuer_are_read_where_they_stand() {
    let names = ClaimNames {
        user: "uid".into(),
        name: "preferred_username".into(),
        roles: "groups".into(),
        admin_role: Some("chat-admins".into()),
    };
    let rules = JwtRules { external: true, claims: names, ..JwtRules::default() };
    let signer = Signer::hs256(SECRET.as_bytes());
    let theirs = JwtAuthenticator::hs256(SECRET.as_bytes(), rules, clock());
    let token = json!({ "uid": "u-1", "preferred_username": "ann", "groups": ["staff", "chat-admins"], "exp": NOW + 1 });
    let identity = theirs.check(&signer.token(&signer.header(), &token)).unwrap();
    let expected = Identity {
        expires_at: Some(Timestamp::from_millis((NOW + 1) * 1_000)),
        external: true,
        role: ServerRole::Admin,
        ..Identity::new(chat_core::id::UserId::parse("u-1").unwrap(), "ann")
    };
    assert_eq!(identity, expected);
}

/// An issuer whose document a test changes.
#[derive(Clone, Default)]
struct Issuer {
    document: Arc<Mutex<Option<String>>>,
    fetched: Arc<AtomicUsize>,
}

impl Issuer {
    fn with(keys: &[Value]) -> Self {
        let issuer = Self::default();
        issuer.has(keys);
        issuer
    }

    fn has(&self, keys: &[Value]) {
        *self.document.lock() = Some(json!({ "keys": keys }).to_string());
    }

    fn says(&self, text: Option<&str>) {
        *self.document.lock() = text.map(str::to_owned);
    }

    fn count(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<String, KeyError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        // Others get their turn, so that they could fetch as well.
        tokio::task::yield_now().await;
        self.document.lock().clone().ok_or_else(|| KeyError("nobody is there".into()))
    }
}

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
