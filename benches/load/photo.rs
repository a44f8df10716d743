//! Something of one MiB to upload: a photograph, and a text.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use crate::{Failure, dice::Dice};

/// What uploads weigh, about.
pub(crate) const BYTES: usize = 1 << 20;

/// Pixels of the photograph: at usual quality, as many as make about that.
const SIZE: (u32, u32) = (1_600, 1_200);

/// A JPEG: soft colours with the noise of a camera's sensor, at the lowest quality that makes it as heavy as that.
///
/// # Errors
/// When no quality does.
pub(crate) fn photo() -> Result<Vec<u8>, Failure> {
    let (width, height) = SIZE;
    let mut dice = Dice::seeded(1);
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let noise = (dice.roll() % 48) as u32;
            let hill = x.abs_diff(width / 2) + y.abs_diff(height / 2);
            for soft in [x * 200 / width, y * 200 / height, hill * 200 / (width + height)] {
                // At most 247.
                pixels.push((soft + noise) as u8);
            }
        }
    }
    let (mut least, mut most, mut best) = (50, 100, None);
    while least <= most {
        let quality = u8::midpoint(least, most);
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, quality);
        encoder.encode(&pixels, width, height, ExtendedColorType::Rgb8)?;
        if file.len() >= BYTES {
            (most, best) = (quality - 1, Some(file));
        } else {
            least = quality + 1;
        }
    }
    let file = best.ok_or("the photograph is too light")?;
    eprintln!("a photograph of {width} x {height} pixels, {} bytes", file.len());
    Ok(file)
}

/// A text: it is kept as it comes.
pub(crate) fn text() -> Vec<u8> {
    b"The quick brown fox jumps over the lazy dog.\n".iter().copied().cycle().take(BYTES).collect()
}

/// The body of an upload, and its type.
pub(crate) fn upload(name: &str, file: &[u8]) -> (Vec<u8>, &'static str) {
    let head = format!(
        "--of-chat-load\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--of-chat-load--\r\n"].concat();
    (body, "multipart/form-data; boundary=of-chat-load")
}
