//! Bytes in an S3-compatible object store (feature `s3`).

use std::{fmt, sync::Arc};

use chat_core::auth::Secret;
use object_store::{ObjectStore, aws::AmazonS3Builder, prefix::PrefixStore};

/// Where a bucket is, and how to get at it.
#[derive(Clone)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// Its region, such as `eu-central-1`; stores other than Amazon's mostly take any.
    pub region: String,
    /// The store's URL; Amazon's own for the region when `None`. Plain `http` is accepted as it is written.
    pub endpoint: Option<String>,
    /// Whose key it is.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What all names in the bucket begin with; empty for nothing. No other server may keep its files under it.
    pub prefix: String,
}

impl S3 {
    /// The store over it. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When what is said of it makes no sense; the text holds no secret.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, InvalidS3> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(self.secret_access_key.expose());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|_| InvalidS3)?;
        Ok(match self.prefix.trim_matches('/') {
            "" => Arc::new(store),
            prefix => Arc::new(PrefixStore::new(store, prefix)),
        })
    }
}

/// What is said of a bucket makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bucket, its region or its endpoint can't be used")]
pub struct InvalidS3;

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
