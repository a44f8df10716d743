//! Tokens that tests sign, and an issuer whose keys change.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

pub mod issuer;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chat_core::{
    auth::JwtRules,
    time::{Clock, Timestamp},
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use serde_json::{Value, json};

pub const SECRET: &str = "an example of a secret, 32 bytes";
pub const RSA: &str = include_str!("../keys/rsa.pem");
pub const RSA_PUBLIC: &str = include_str!("../keys/rsa.pub.pem");
pub const EC: &str = include_str!("../keys/ec.pem");
pub const EC_PUBLIC: &str = include_str!("../keys/ec.pub.pem");
pub const ED: &str = include_str!("../keys/ed.pem");
pub const ED_PUBLIC: &str = include_str!("../keys/ed.pub.pem");

/// Seconds.
pub const NOW: i64 = 1_000_000;

/// A clock that a test turns, in milliseconds.
pub struct Hands(pub AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub fn clock() -> Arc<Hands> {
    Arc::new(Hands(AtomicI64::new(NOW * 1_000)))
}

/// Base64 for URLs, without padding (RFC 4648, 5).
pub fn base64(bytes: &[u8]) -> String {
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
pub struct Signer {
    pub algorithm: Algorithm,
    pub key: EncodingKey,
}

impl Signer {
    pub fn hs256(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret) }
    }

    pub fn rs256() -> Self {
        Self { algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap() }
    }

    pub fn es256() -> Self {
        Self { algorithm: Algorithm::ES256, key: EncodingKey::from_ec_pem(EC.as_bytes()).unwrap() }
    }

    pub fn eddsa() -> Self {
        Self { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_pem(ED.as_bytes()).unwrap() }
    }

    pub fn name(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// A token of exactly these bytes.
    pub fn raw(&self, header: &[u8], payload: &[u8]) -> String {
        let message = format!("{}.{}", base64(header), base64(payload));
        let signature = sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    pub fn header(&self) -> Value {
        json!({ "alg": self.name(), "typ": "JWT" })
    }

    pub fn jwk(&self, name: &str) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(name);
        jwk
    }
}

pub fn claims() -> Value {
    json!({
        "iss": "chat", "aud": "chat", "typ": "access", "sub": "ann", "name": "ann", "sid": "7", "role": "user",
        "iat": NOW, "exp": NOW + 900,
    })
}

pub fn rules() -> JwtRules {
    JwtRules {
        issuer: Some("chat".into()),
        audience: Some("chat".into()),
        token_type: Some("access".into()),
        ..JwtRules::default()
    }
}
