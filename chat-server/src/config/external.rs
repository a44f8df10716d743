//! Somebody else's issuer: how its tokens are signed, and what they say.

use std::path::PathBuf;

use chat_core::auth::{ClaimNames, JwtAlgorithm, Secret};

use super::{ConfigError, values::Values};

/// Somebody else's issuer.
#[derive(Debug, Clone)]
pub(crate) struct External {
    /// The `iss` of their tokens; not looked at when `None`.
    pub(crate) issuer: Option<String>,
    /// The `aud` of their tokens; not looked at when `None`.
    pub(crate) audience: Option<String>,
    pub(crate) keys: ExternalKeys,
    /// Which claims say who somebody is.
    pub(crate) claims: ClaimNames,
}

/// By what their tokens are checked.
#[derive(Debug, Clone)]
pub(crate) enum ExternalKeys {
    /// A secret that they sign with.
    Hs256(Secret),
    /// A public key in a file.
    Pem(JwtAlgorithm, PathBuf),
    /// A document of keys.
    Jwks(String),
}

pub(super) fn external(values: &Values) -> Result<Option<External>, ConfigError> {
    let text = |key| values.text(key).map(|text| text.map(str::to_owned));
    if let Some("") = values.text("auth.external.hs256_secret")? {
        return Err(values.error("auth.external.hs256_secret", "a secret of 32 bytes or more"));
    }
    let algorithm = match values.text("auth.external.algorithm")? {
        None => None,
        Some("RS256") => Some(JwtAlgorithm::Rs256),
        Some("ES256") => Some(JwtAlgorithm::Es256),
        Some("EdDSA") => Some(JwtAlgorithm::EdDsa),
        Some(_) => return Err(values.error("auth.external.algorithm", "one of RS256, ES256, EdDSA")),
    };
    let url = text("auth.external.jwks_url")?;
    if url.as_deref().is_some_and(|url| !is_trustworthy(url)) {
        let expected = "an https URL, or an http one of this machine";
        return Err(values.error("auth.external.jwks_url", expected));
    }
    let path = text("auth.external.public_key")?;
    let keys = match (text("auth.external.hs256_secret")?, path, url) {
        (Some(secret), None, None) => Some(ExternalKeys::Hs256(Secret::new(secret))),
        (None, Some(path), None) => {
            let missing =
                || ConfigError("auth.external.public_key needs `algorithm`, which it is for".into());
            Some(ExternalKeys::Pem(algorithm.ok_or_else(missing)?, path.into()))
        }
        (None, None, Some(url)) => Some(ExternalKeys::Jwks(url)),
        (None, None, None) => None,
        _ => {
            let several = "auth.external takes one of `hs256_secret`, `public_key`, `jwks_url`";
            return Err(ConfigError(several.into()));
        }
    };
    let base = ClaimNames::default();
    let claims = ClaimNames {
        user: text("auth.external.user_claim")?.unwrap_or(base.user),
        name: text("auth.external.name_claim")?.unwrap_or(base.name),
        roles: text("auth.external.roles_claim")?.unwrap_or(base.roles),
        admin_role: text("auth.external.admin_role")?,
    };
    let (issuer, audience) = (text("auth.external.issuer")?, text("auth.external.audience")?);
    match keys {
        Some(keys) => Ok(Some(External { issuer, audience, keys, claims })),
        None if issuer.is_some() || audience.is_some() || claims != ClaimNames::default() => Err(ConfigError(
            "auth.external needs `hs256_secret`, `public_key` or `jwks_url`, by which its tokens are checked".into(),
        )),
        None => Ok(None),
    }
}

/// Whether nobody on the way can give us other keys.
fn is_trustworthy(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    !host.is_empty() && (uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_local))
}
