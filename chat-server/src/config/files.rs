//! What an operator decides about files.

use std::{net::SocketAddr, path::PathBuf};

#[cfg(feature = "s3")]
use chat_core::auth::Secret;
use chat_core::files::Quota;
use chat_files::UploadLimits;

use super::{ConfigError, values::Values};

/// How files are kept.
#[derive(Debug, Clone)]
pub(crate) struct FilesConfig {
    /// What is taken in.
    pub(crate) limits: UploadLimits,
    /// Who looks at each upload first.
    pub(crate) scanner: Option<ScannerAt>,
    /// Whether a file is kept of which the scanner says nothing.
    pub(crate) keeps_unscanned: bool,
    /// Where files lie instead of in the data folder.
    #[cfg(feature = "s3")]
    pub(crate) s3: Option<chat_files::S3>,
}

/// Where a scanner listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScannerAt {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FilesConfig {
    pub(super) fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let base = UploadLimits::default();
        let limits = UploadLimits {
            bytes: values.number("limits.upload_bytes", 1..=1 << 30, base.bytes)?,
            pixels: values.number("limits.image_pixels", 1..=200_000_000, base.pixels)?,
            quota: Quota {
                bytes: values.number("limits.upload_total_bytes", 1..=1 << 50, base.quota.bytes)?,
                ..base.quota
            },
        };
        let (scanner, keeps_unscanned) = (scanner(values)?, values.flag("files.keep_unscanned")?);
        #[cfg(feature = "s3")]
        return Ok(Self { limits, scanner, keeps_unscanned, s3: s3(values)? });
        #[cfg(not(feature = "s3"))]
        match values.text("files.s3.bucket")? {
            None => Ok(Self { limits, scanner, keeps_unscanned }),
            Some(_) => {
                Err(ConfigError("files.s3 takes a binary that was built with the feature `s3`".into()))
            }
        }
    }
}

fn scanner(values: &Values) -> Result<Option<ScannerAt>, ConfigError> {
    let expected = || values.error("files.scanner", "tcp:ADDRESS:PORT or unix:PATH");
    match values.text("files.scanner")? {
        None | Some("") => Ok(None),
        Some(text) => match text.split_once(':') {
            Some(("tcp", address)) => {
                address.parse().map(|address| Some(ScannerAt::Tcp(address))).map_err(|_| expected())
            }
            Some(("unix", path)) if path.starts_with('/') => Ok(Some(ScannerAt::Unix(path.into()))),
            _ => Err(expected()),
        },
    }
}

#[cfg(feature = "s3")]
fn s3(values: &Values) -> Result<Option<chat_files::S3>, ConfigError> {
    let text =
        |key: &str| values.text(key).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let Some(bucket) = text("files.s3.bucket")? else { return Ok(None) };
    let required = |key: &str| {
        text(key)?
            .ok_or_else(|| ConfigError(format!("files.s3 needs `{}`", key.trim_start_matches("files.s3."))))
    };
    Ok(Some(chat_files::S3 {
        bucket,
        region: text("files.s3.region")?.unwrap_or_else(|| "us-east-1".to_owned()),
        endpoint: text("files.s3.endpoint")?,
        prefix: text("files.s3.prefix")?.unwrap_or_default(),
        access_key_id: required("files.s3.access_key_id")?,
        secret_access_key: Secret::new(required("files.s3.secret_access_key")?),
    }))
}
