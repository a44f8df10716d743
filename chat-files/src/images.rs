//! Images, made anew: decoded within bounds, turned as they are meant to be seen, and encoded again. Nothing of the
//! upload's own bytes is kept: no metadata, no colour profile, nothing before, between or after its parts.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    num::NonZeroU64,
    path::Path,
};

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
    codecs::{gif::GifDecoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
    imageops::FilterType,
    metadata::Orientation,
};
use tempfile::NamedTempFile;

use crate::{
    kind::Kind,
    limits::{
        ANIMATION_PIXELS_MAX, AVATAR_SIDE, DECODER_BYTES_MAX, FRAMES_MAX, GROWTH_MAX, PNG_BYTES_MAX,
        SCANNED_PIXELS_MAX, THUMBNAIL_SIDE, UploadLimits,
    },
};

/// How good a JPEG is made, of 100: hardly to be told from what was uploaded.
const JPEG_QUALITY: u8 = 90;

/// How good a JPEG of a thumbnail is made.
const THUMBNAIL_QUALITY: u8 = 80;

/// Why an image is not made anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// It does not decode.
    #[error("the image is damaged")]
    Broken,
    /// It has too many pixels, frames or scans.
    #[error("the image has too many pixels")]
    TooManyPixels,
    /// What came out is too large to be kept.
    #[error("the image is too large")]
    TooLarge,
    /// A file could not be written.
    #[error("a temporary file could not be written")]
    Io(#[from] io::Error),
}

impl From<image::ImageError> for ImageError {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(_) => Self::TooManyPixels,
            // A truncated image ends too soon, which is no fault of ours.
            image::ImageError::IoError(error)
                if error.kind() != io::ErrorKind::UnexpectedEof && error.raw_os_error().is_some() =>
            {
                Self::Io(error)
            }
            _ => Self::Broken,
        }
    }
}

impl From<gif::DecodingError> for ImageError {
    fn from(error: gif::DecodingError) -> Self {
        match error {
            gif::DecodingError::MemoryLimit | gif::DecodingError::OutOfMemory => Self::TooManyPixels,
            _ => Self::Broken,
        }
    }
}

impl From<gif::EncodingError> for ImageError {
    fn from(error: gif::EncodingError) -> Self {
        match error {
            gif::EncodingError::Io(error) => Self::Io(error),
            _ => Self::Broken,
        }
    }
}

/// An image that was made anew.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) file: NamedTempFile,
    pub(crate) thumbnail: Option<Small>,
}

/// Its thumbnail.
#[derive(Debug)]
pub(crate) struct Small {
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) file: NamedTempFile,
}

/// How many pixels an image has, by its header alone; an error when those are too many.
pub(crate) fn measured(path: &Path, kind: Kind, limits: &UploadLimits) -> Result<u64, ImageError> {
    let (width, height) = reader(path, kind)?.into_dimensions()?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(ImageError::Broken);
    }
    let scans = if kind == Kind::Jpeg { scans(path)? } else { 1 };
    if pixels > limits.pixels || pixels.saturating_mul(scans) > SCANNED_PIXELS_MAX.max(limits.pixels) {
        return Err(ImageError::TooManyPixels);
    }
    Ok(pixels)
}

/// Makes an image anew, and a thumbnail of it. Takes time and memory: it was measured before.
pub(crate) fn remake(
    path: &Path,
    kind: Kind,
    folder: &Path,
    limits: &UploadLimits,
) -> Result<Made, ImageError> {
    let most = limits.bytes.saturating_mul(GROWTH_MAX);
    if kind == Kind::Gif {
        let (file, width, height) = rewrite_animation(path, folder, most)?;
        let first = DynamicImage::from_decoder(GifDecoder::new(BufReader::new(File::open(path)?))?)?;
        let thumbnail = Some(small(&first, folder)?);
        return Ok(Made { kind, width, height, file, thumbnail });
    }
    let image = decoded(path, kind)?;
    let thumbnail = Some(small(&image, folder)?);
    let (width, height) = (image.width(), image.height());
    let (file, kind) = encoded(&image, kind, folder, most, limits.bytes)?;
    Ok(Made { kind, width, height, file, thumbnail })
}

/// Makes an avatar out of an image: the square in its middle.
pub(crate) fn remake_square(path: &Path, kind: Kind, folder: &Path) -> Result<Made, ImageError> {
    let image = decoded(path, kind)?;
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let mut square = image.crop_imm(left, top, side, side);
    if side > AVATAR_SIDE {
        square = square.resize_exact(AVATAR_SIDE, AVATAR_SIDE, FilterType::Triangle);
    }
    let side = square.width();
    let small = kept_small(&square, folder, JPEG_QUALITY)?;
    Ok(Made { kind: small.kind, width: side, height: side, file: small.file, thumbnail: None })
}

fn reader(path: &Path, kind: Kind) -> Result<ImageReader<BufReader<File>>, ImageError> {
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::Gif => ImageFormat::Gif,
        Kind::WebP => ImageFormat::WebP,
        _ => return Err(ImageError::Broken),
    };
    let mut reader = ImageReader::with_format(BufReader::new(File::open(path)?), format);
    let mut limits = Limits::default();
    // A PNG may have a compressed profile before its pixels, which is unpacked with the header; the pixels themselves
    // are not counted here.
    limits.max_alloc = Some(if kind == Kind::Png { PNG_BYTES_MAX } else { DECODER_BYTES_MAX });
    reader.limits(limits);
    Ok(reader)
}

/// The image as it is meant to be seen, with 8 bits a channel.
fn decoded(path: &Path, kind: Kind) -> Result<DynamicImage, ImageError> {
    let mut decoder = reader(path, kind)?.into_decoder()?;
    if decoder.total_bytes() > DECODER_BYTES_MAX {
        return Err(ImageError::TooManyPixels);
    }
    // An orientation that can't be read is none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image = match image {
        plain @ (DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_)) => plain,
        deep if deep.has_alpha() => DynamicImage::ImageRgba8(deep.into_rgba8()),
        deep => DynamicImage::ImageRgb8(deep.into_rgb8()),
    };
    image.apply_orientation(orientation);
    Ok(image)
}

/// Encodes an image as what it was. A WebP is encoded without loss, which can make much of a photograph: then it becomes
/// a JPEG, if nothing of it shines through.
fn encoded(
    image: &DynamicImage,
    kind: Kind,
    folder: &Path,
    most: u64,
    wanted: u64,
) -> Result<(NamedTempFile, Kind), ImageError> {
    let file = written(folder, most, |to| match kind {
        Kind::Jpeg => jpeg(image, to, JPEG_QUALITY),
        Kind::WebP => {
            let image =
                if image.has_alpha() { image.to_rgba8().into() } else { DynamicImage::from(image.to_rgb8()) };
            Ok(image.write_with_encoder(WebPEncoder::new_lossless(to))?)
        }
        _ => Ok(image.write_with_encoder(PngEncoder::new(to))?),
    });
    match file {
        Ok(file) if kind != Kind::WebP || image.has_alpha() || size(&file)? <= wanted => Ok((file, kind)),
        Ok(_) | Err(ImageError::TooLarge) if kind == Kind::WebP && !image.has_alpha() => {
            Ok((written(folder, most, |to| jpeg(image, to, JPEG_QUALITY))?, Kind::Jpeg))
        }
        Ok(file) => Ok((file, kind)),
        Err(error) => Err(error),
    }
}

fn small(image: &DynamicImage, folder: &Path) -> Result<Small, ImageError> {
    let is_small = image.width() <= THUMBNAIL_SIDE && image.height() <= THUMBNAIL_SIDE;
    match is_small {
        true => kept_small(image, folder, THUMBNAIL_QUALITY),
        false => kept_small(&image.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE), folder, THUMBNAIL_QUALITY),
    }
}

/// A JPEG, or a PNG of what shines through.
fn kept_small(image: &DynamicImage, folder: &Path, quality: u8) -> Result<Small, ImageError> {
    let kind = if image.has_alpha() { Kind::Png } else { Kind::Jpeg };
    let file = written(folder, u64::MAX, |to| match kind {
        Kind::Jpeg => jpeg(image, to, quality),
        _ => Ok(image.write_with_encoder(PngEncoder::new(to))?),
    })?;
    Ok(Small { kind, width: image.width(), height: image.height(), file })
}

fn jpeg(image: &DynamicImage, to: &mut Bounded, quality: u8) -> Result<(), ImageError> {
    let encoder = JpegEncoder::new_with_quality(to, quality);
    let (width, height) = (image.width(), image.height());
    match image {
        DynamicImage::ImageLuma8(gray) => {
            encoder.write_image(gray.as_raw(), width, height, ExtendedColorType::L8)?;
        }
        DynamicImage::ImageRgb8(rgb) => {
            encoder.write_image(rgb.as_raw(), width, height, ExtendedColorType::Rgb8)?;
        }
        other => encoder.write_image(other.to_rgb8().as_raw(), width, height, ExtendedColorType::Rgb8)?,
    }
    Ok(())
}

/// Writes the frames of a GIF anew, each as it is: their colours stand in tables, so nothing is lost. Comments and
/// whatever else may stand between and after them is left out. One frame is in memory at a time.
fn rewrite_animation(path: &Path, folder: &Path, most: u64) -> Result<(NamedTempFile, u32, u32), ImageError> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    options.set_memory_limit(gif::MemoryLimit::Bytes(
        NonZeroU64::new(ANIMATION_PIXELS_MAX).unwrap_or(NonZeroU64::MIN),
    ));
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(BufReader::new(File::open(path)?))?;
    let (width, height) = (decoder.width(), decoder.height());
    let colours = decoder.global_palette().unwrap_or_default().to_vec();
    let file = written(folder, most, |to| {
        let mut encoder = gif::Encoder::new(to, width, height, &colours)?;
        let (mut frames, mut pixels) = (0_usize, 0_u64);
        while let Some(info) = decoder.next_frame_info()? {
            frames += 1;
            pixels += u64::from(info.width) * u64::from(info.height);
            if frames > FRAMES_MAX || pixels > ANIMATION_PIXELS_MAX {
                return Err(ImageError::TooManyPixels);
            }
            let mut frame = gif::Frame { needs_user_input: false, interlaced: false, ..info.clone() };
            if frames == 1 {
                encoder.set_repeat(decoder.repeat())?;
            }
            let mut buffer = vec![0; decoder.buffer_size()];
            decoder.read_into_buffer(&mut buffer)?;
            frame.buffer = buffer.into();
            encoder.write_frame(&frame)?;
        }
        if frames == 0 {
            return Err(ImageError::Broken);
        }
        Ok(())
    })?;
    Ok((file, width.into(), height.into()))
}

/// How many scans a JPEG has: the markers that begin one. Within compressed data the first byte of a marker never
/// stands before one of these.
fn scans(path: &Path) -> Result<u64, ImageError> {
    let (mut scans, mut last) = (0, 0);
    for byte in BufReader::new(File::open(path)?).bytes() {
        let byte = byte?;
        scans += u64::from(last == 0xff && byte == 0xda);
        last = byte;
    }
    Ok(scans)
}

fn size(file: &NamedTempFile) -> io::Result<u64> {
    Ok(file.as_file().metadata()?.len())
}

/// A temporary file of at most so many bytes.
fn written(
    folder: &Path,
    most: u64,
    write: impl FnOnce(&mut Bounded) -> Result<(), ImageError>,
) -> Result<NamedTempFile, ImageError> {
    let mut to = Bounded { file: BufWriter::new(NamedTempFile::new_in(folder)?), left: most, is_full: false };
    let done = write(&mut to);
    if to.is_full {
        return Err(ImageError::TooLarge);
    }
    done?;
    Ok(to.file.into_inner().map_err(io::IntoInnerError::into_error)?)
}

/// A file that takes so many bytes and no more.
struct Bounded {
    file: BufWriter<NamedTempFile>,
    left: u64,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
