//! Every bound of this crate in one place, with its reason and what happens at it.

use chat_core::files::Quota;

/// What one server takes in; the rest of the bounds are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of one upload. Over it: [`crate::UploadError::TooLarge`], as soon as the first byte too many comes.
    pub bytes: u64,
    /// What one user may have. Over it: [`crate::UploadError::OverQuota`].
    pub quota: Quota,
    /// Pixels of one image. Over it: [`crate::UploadError::TooManyPixels`], before any of them is decoded.
    pub pixels: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { bytes: 5 << 20, quota: Quota { files: 10_000, bytes: 1 << 30 }, pixels: 50_000_000 }
    }
}

/// Uploads at once. Over it: [`crate::UploadError::Busy`]. Each holds a temporary file and a buffer of
/// [`PIECE_BYTES`].
pub(crate) const UPLOADS_AT_ONCE: usize = 64;

/// Bytes that are read and written at once.
pub(crate) const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of a part of an upload to an object store elsewhere: the least that such stores accept is 5 MiB. Files up to
/// this size go there in one request, and so are in memory as a whole for that long.
pub(crate) const REMOTE_PART_BYTES: usize = 8 << 20;

/// Uploads that are being written to an object store elsewhere; each holds [`REMOTE_PART_BYTES`]. More wait.
pub(crate) const REMOTE_WRITES_AT_ONCE: usize = 8;

/// Bytes of memory that one pixel costs while an image is made anew: decoded (a progressive JPEG keeps its coefficients
/// beside that, a PNG may have 16 bits a channel), turned, and encoded.
pub(crate) const BYTES_PER_PIXEL: u64 = 12;

/// Memory that an image costs besides its pixels: the compressed file and tables of codecs.
pub(crate) const IMAGE_OVERHEAD_BYTES: u64 = 16 << 20;

/// Bytes that a decoder may allocate besides what it decodes into: for 50 million pixels, what a PNG of 16 bits a
/// channel needs.
pub(crate) const DECODER_BYTES_MAX: u64 = 512 << 20;

/// Bytes that a PNG may unpack beside its pixels: a row of them, or its colour profile, a hundred times as large as
/// profiles are. A larger profile is left out, as every profile is in the end; an image of longer rows is refused.
pub(crate) const PNG_BYTES_MAX: u64 = 16 << 20;

/// Images that are made anew at once; each takes a core for up to some seconds.
pub(crate) const IMAGES_AT_ONCE: usize = 2;

/// Images that wait for their turn. Over it: [`crate::UploadError::Busy`].
pub(crate) const IMAGES_WAITING_MAX: usize = 32;

/// Longest side of a thumbnail, in pixels: a preview on a screen of double density.
pub(crate) const THUMBNAIL_SIDE: u32 = 320;

/// Side of an avatar, in pixels.
pub(crate) const AVATAR_SIDE: u32 = 512;

/// Frames of an animation. Over it: [`crate::UploadError::TooManyPixels`].
pub(crate) const FRAMES_MAX: usize = 1_000;

/// Pixels of all frames of an animation together; some seconds of work. Over it:
/// [`crate::UploadError::TooManyPixels`].
pub(crate) const ANIMATION_PIXELS_MAX: u64 = 200_000_000;

/// Pixels times scans of a JPEG: each scan of a progressive one goes over all its pixels again, and a file of a few MiB
/// can have thousands. As many as 50 million pixels in 12 scans. Over it: [`crate::UploadError::TooManyPixels`].
pub(crate) const SCANNED_PIXELS_MAX: u64 = 600_000_000;

/// How many times larger than the longest upload an image may become by being made anew, as one with few details may:
/// its encoder is not the one that made it. Over it: [`crate::UploadError::TooLarge`].
pub(crate) const GROWTH_MAX: u64 = 4;

/// Bytes of a name in a URL, escaped, so that the URL stays below `chat_core::limits::ATTACHMENT_URL_BYTES`. A longer
/// one is replaced by a short one: it only has to look well.
pub(crate) const NAME_URL_BYTES: usize = 600;

/// Bytes at the beginning of a file by which its type is found.
pub(crate) const HEAD_BYTES: usize = 4_096;

/// Bytes of the index of an MP4 file that are looked at. Of five minutes of sound it has some 100 KiB.
pub(crate) const MP4_INDEX_BYTES_MAX: u64 = 2 << 20;

/// Files that one round of collecting settles. More wait for the next one.
pub(crate) const COLLECTED_AT_ONCE: usize = 100;

/// How old a blob without a record has to be to be deleted, in milliseconds: a record is written right after its blob.
pub(crate) const ORPHAN_AGE_MS: i64 = 24 * 3_600_000;

/// How long a virus scanner may take. Then it counts as one that does not answer.
pub(crate) const SCAN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Bytes of a scanner's answer that are read.
pub(crate) const SCAN_ANSWER_BYTES: u64 = 1_024;
