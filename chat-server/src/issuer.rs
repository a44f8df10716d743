//! Fetches an issuer's keys over HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    auth::{KeyError, KeySource},
    limits::JWKS_BYTES_MAX,
};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::limits::KEYS_TIMEOUT;

/// Where an issuer's keys are. Nothing is followed from there to elsewhere.
pub(crate) struct HttpKeys {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
}

impl HttpKeys {
    /// The document at a URL, which the configuration has found to be trustworthy.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let uri = url.parse().map_err(|_| "auth.external.jwks_url: this is no URL")?;
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), uri })
    }

    async fn get(&self) -> Result<String, KeyError> {
        let failed = |what: &str| KeyError(what.to_owned());
        let request = Request::get(self.uri.clone())
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|_| failed("the request can't be made"))?;
        let response =
            self.client.request(request).await.map_err(|_| failed("the issuer can't be reached"))?;
        if response.status() != StatusCode::OK {
            return Err(KeyError(format!("the issuer answered {}", response.status().as_u16())));
        }
        let body = Limited::new(response.into_body(), JWKS_BYTES_MAX).collect().await;
        let body = body.map_err(|_| failed("the answer of the issuer broke off or is too large"))?.to_bytes();
        String::from_utf8(body.to_vec()).map_err(|_| failed("the answer of the issuer is not UTF-8"))
    }
}

#[async_trait]
impl KeySource for HttpKeys {
    async fn fetch(&self) -> Result<String, KeyError> {
        match tokio::time::timeout(KEYS_TIMEOUT, self.get()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(KeyError("the issuer did not answer in time".into())),
        }
    }
}
