//! Tokens that try to be what they are not.
#![cfg(all(feature = "accounts", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod signing;

use chat_core::{
    accounts::TokenKeys,
    auth::{
        AuthError, ClaimNames, Identity, Jwks, JwtAlgorithm, JwtAuthenticator, JwtRules, Secret, ServerRole,
    },
    time::Timestamp,
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use signing::{
    EC_PUBLIC, ED_PUBLIC, NOW, RSA_PUBLIC, SECRET, Signer, base64, claims, clock, issuer::Issuer, rules,
};

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
