//! Why an upload is not kept.

use std::io;

use chat_core::{domain::ErrorCode, files::CreateFileError, store::StoreError};

use crate::{images::ImageError, workshop::Overloaded};

/// Why an upload is not kept, in words that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It has more bytes than one may have.
    #[error("the file is too large")]
    TooLarge,
    /// It is of no type that is taken in.
    #[error("files of this type are not accepted")]
    UnsupportedType,
    /// It is an image that does not decode.
    #[error("the image is damaged")]
    BrokenImage,
    /// It is an image of too many pixels, frames or scans.
    #[error("the image has too many pixels")]
    TooManyPixels,
    /// A scanner says that it should not be kept.
    #[error("the file was found to be harmful")]
    Infected,
    /// The user has as much as they may have.
    #[error("you have uploaded as much as is kept for one user")]
    OverQuota,
    /// The user is erased.
    #[error("the user is erased")]
    Erased,
    /// It broke off before its end.
    #[error("the upload broke off")]
    CutOff,
    /// Too many others are uploading.
    #[error("too many uploads at once, try again")]
    Busy,
    /// It can't be kept now.
    #[error("files can't be kept at the moment, try again")]
    Unavailable,
}

impl UploadError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Empty
            | Self::UnsupportedType
            | Self::BrokenImage
            | Self::TooManyPixels
            | Self::Infected
            | Self::CutOff => ErrorCode::BadRequest,
            Self::TooLarge => ErrorCode::PayloadTooLarge,
            Self::OverQuota | Self::Erased => ErrorCode::Forbidden,
            Self::Busy | Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "an upload can't be kept");
        Self::Unavailable
    }
}

impl From<StoreError> for UploadError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "an upload can't be remembered");
        Self::Unavailable
    }
}

impl From<CreateFileError> for UploadError {
    fn from(error: CreateFileError) -> Self {
        match error {
            CreateFileError::OverQuota => Self::OverQuota,
            CreateFileError::Erased => Self::Erased,
            CreateFileError::Store(error) => error.into(),
        }
    }
}

impl From<ImageError> for UploadError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Broken => Self::BrokenImage,
            ImageError::TooManyPixels => Self::TooManyPixels,
            ImageError::TooLarge => Self::TooLarge,
            ImageError::Io(error) => error.into(),
        }
    }
}

impl From<Overloaded> for UploadError {
    fn from(_: Overloaded) -> Self {
        Self::Busy
    }
}
