//! JSON Web Tokens (RFC 7519), checked by fixed rules: nothing in a token's header chooses how it is checked.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::{
    AuthError, Authenticator, Hello, Identity,
    claims::{ClaimNames, Claims},
    jwks::{IssuerKey, Jwks},
};
use crate::time::Clock;

/// Accepts tokens that one key signed, or one of an issuer's keys.
///
/// Its claim `sid`, if it has one, is taken for the login that a token stems from.
///
/// The binary has to give `jsonwebtoken` exactly one of its crypto backends (feature `aws_lc_rs`, say).
pub struct JwtAuthenticator {
    keys: Keys,
    rules: JwtRules,
    clock: Arc<dyn Clock>,
}

enum Keys {
    One(IssuerKey),
    Several(Jwks),
}

/// How tokens are signed. Each key is for one of these and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256, under a secret that both sides have.
    Hs256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    const fn as_jsonwebtoken(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Why a key can't be used, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub String);

/// Which tokens are accepted, beside the signature and `exp`, which always count.
#[derive(Debug, Clone, Default)]
pub struct JwtRules {
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must have, alone or among others.
    pub audience: Option<String>,
    /// The `typ` claim that a token must have (tells access tokens from others under one key).
    pub token_type: Option<String>,
    /// Whether these users are somebody else's: see [`Identity::external`].
    pub external: bool,
    /// Which claims say who somebody is.
    pub claims: ClaimNames,
}

/// Longest token that is looked at, in bytes: longer than any real one, shorter than a frame.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

impl JwtAuthenticator {
    /// Accepts HS256 tokens under a shared secret, which should have 32 bytes or more.
    #[must_use]
    pub fn hs256(secret: &[u8], rules: JwtRules, clock: Arc<dyn Clock>) -> Self {
        let key = IssuerKey { algorithm: JwtAlgorithm::Hs256, key: DecodingKey::from_secret(secret) };
        Self { keys: Keys::One(key), rules, clock }
    }

    /// Accepts tokens that were signed by the private half of a public key in PEM.
    ///
    /// # Errors
    /// [`KeyError`] when it is no key for that algorithm; [`JwtAlgorithm::Hs256`] has no public keys.
    pub fn pem(
        algorithm: JwtAlgorithm,
        pem: &[u8],
        rules: JwtRules,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let key = match algorithm {
            JwtAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            JwtAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            JwtAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            JwtAlgorithm::Hs256 => return Err(KeyError("HS256 takes a secret, not a public key".into())),
        };
        let key = key.map_err(|_| KeyError("this is no public key in PEM for that algorithm".into()))?;
        Ok(Self { keys: Keys::One(IssuerKey { algorithm, key }), rules, clock })
    }

    /// Accepts tokens that were signed by one of an issuer's keys.
    #[must_use]
    pub fn jwks(keys: Jwks, rules: JwtRules, clock: Arc<dyn Clock>) -> Self {
        Self { keys: Keys::Several(keys), rules, clock }
    }

    /// Checks a token by the keys that are known now; [`Authenticator::authenticate`] fetches those that are not.
    ///
    /// # Errors
    /// [`AuthError::Expired`] when only its time is over, else [`AuthError::Invalid`].
    pub fn check(&self, token: &str) -> Result<Identity, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Invalid);
        }
        let claims = match &self.keys {
            Keys::One(key) => claims_of(token, key)?,
            Keys::Several(keys) => {
                let name = key_name(token)?;
                claims_of(token, &keys.known(name.as_deref()).ok_or(AuthError::Invalid)?)?
            }
        };
        self.judge(&claims)
    }

    fn judge(&self, claims: &Claims) -> Result<Identity, AuthError> {
        let rules = &self.rules;
        let kept = claims.is("iss", rules.issuer.as_deref())?
            && claims.is_for(rules.audience.as_deref())?
            && (rules.token_type.is_none() || claims.is("typ", rules.token_type.as_deref())?);
        let user = claims.user(&rules.claims)?;
        let username = claims.text(&rules.claims.name)?.map(str::to_owned);
        let role = claims.role(&rules.claims)?;
        let login = claims.text("sid")?.map(str::to_owned);
        let now = self.clock.now();
        let expires_at = claims.expires_at()?;
        if !kept || claims.time("nbf")?.is_some_and(|from| from > now) {
            return Err(AuthError::Invalid);
        }
        if expires_at <= now {
            return Err(AuthError::Expired);
        }
        Ok(Identity { user, username, expires_at: Some(expires_at), login, external: rules.external, role })
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError> {
        let token = hello.token.ok_or(AuthError::Missing)?;
        if let Keys::Several(keys) = &self.keys
            && token.expose().len() <= TOKEN_BYTES_MAX
        {
            keys.ensure(key_name(token.expose())?.as_deref()).await;
        }
        self.check(token.expose())
    }
}

/// The key that a token names. It chooses among keys, never what they are used for.
fn key_name(token: &str) -> Result<Option<String>, AuthError> {
    jsonwebtoken::decode_header(token).map(|header| header.kid).map_err(|_| AuthError::Invalid)
}

/// What a token says that this key has signed.
fn claims_of(token: &str, key: &IssuerKey) -> Result<Claims, AuthError> {
    let mut validation = Validation::new(key.algorithm.as_jsonwebtoken());
    // What a token says is judged elsewhere: time is ours to tell, and nothing is to be overlooked that is mistyped.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded =
        jsonwebtoken::decode::<Claims>(token, &key.key, &validation).map_err(|_| AuthError::Invalid)?;
    // Whoever does not know what it says there must not accept it (RFC 7515, 4.1.11), and we know nothing.
    if decoded.header.crit.is_some() { Err(AuthError::Invalid) } else { Ok(decoded.claims) }
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthenticator").field("rules", &self.rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::UserId, time::Timestamp};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    struct At(i64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0)
        }
    }

    const SECRET: &[u8] = b"an example of a secret, 32 bytes";

    fn authenticator() -> JwtAuthenticator {
        let rules = JwtRules {
            issuer: Some("us".into()),
            audience: Some("chat".into()),
            token_type: Some("access".into()),
            ..JwtRules::default()
        };
        JwtAuthenticator::hs256(SECRET, rules, Arc::new(At(1_000_000)))
    }

    fn token(algorithm: Algorithm, secret: &[u8], change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({"sub": "alice", "iss": "us", "aud": "chat", "typ": "access", "exp": 1_001, "name": "Alice", "sid": "7"});
        change(&mut claims);
        encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn a_good_token_proves_who_it_is_until_it_expires() {
        let identity = authenticator().check(&token(Algorithm::HS256, SECRET, |_| ())).unwrap();
        let expected = Identity {
            user: UserId::parse("alice").unwrap(),
            username: Some("Alice".into()),
            expires_at: Some(Timestamp::from_millis(1_001_000)),
            login: Some("7".into()),
            external: false,
            role: crate::auth::ServerRole::User,
        };
        assert_eq!(identity, expected);
    }

    #[test]
    fn an_expired_token_is_told_apart_from_an_invalid_one() {
        let expired = token(Algorithm::HS256, SECRET, |c| c["exp"] = json!(1_000));
        assert_eq!(authenticator().check(&expired), Err(AuthError::Expired));
        let forged =
            token(Algorithm::HS256, b"another secret, of the same size", |c| c["exp"] = json!(1_000));
        assert_eq!(authenticator().check(&forged), Err(AuthError::Invalid));
    }

    #[test]
    fn tokens_that_break_any_rule_are_invalid() {
        let breaks: [fn(&mut Value); 12] = [
            |c| c["iss"] = json!("them"),
            |c| c["aud"] = json!("mail"),
            |c| c["typ"] = json!("refresh"),
            |c| c["sub"] = json!("not an id"),
            |c| c["sub"] = json!(7),
            |c| c["nbf"] = json!(1_001),
            |c| c["exp"] = json!("tomorrow"),
            |c| drop(c.as_object_mut().unwrap().remove("iss")),
            |c| drop(c.as_object_mut().unwrap().remove("aud")),
            |c| drop(c.as_object_mut().unwrap().remove("typ")),
            |c| drop(c.as_object_mut().unwrap().remove("exp")),
            |c| drop(c.as_object_mut().unwrap().remove("sub")),
        ];
        for (i, change) in breaks.into_iter().enumerate() {
            let token = token(Algorithm::HS256, SECRET, change);
            assert_eq!(authenticator().check(&token), Err(AuthError::Invalid), "rule {i}");
        }
    }

    #[test]
    fn no_token_chooses_its_own_algorithm() {
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbGljZSIsImlzcyI6InVzIiwiYXVkIjoiY2hhdCIsInR5cCI6ImFjY2VzcyIsImV4cCI6MTAwMX0.";
        let other = token(Algorithm::HS384, SECRET, |_| ());
        for token in [none, &other, "", "a.b.c", &"x".repeat(100_000)] {
            assert_eq!(authenticator().check(token), Err(AuthError::Invalid));
        }
    }
}
