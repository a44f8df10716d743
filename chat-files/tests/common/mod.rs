//! Files over a memory store and a folder of their own, and pictures to upload.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

use std::{
    io::{self, Cursor},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use chat_core::{
    files::{FileId, FileRecord},
    id::UserId,
    store::MemoryStore,
    time::{Clock, Timestamp},
};
use chat_files::{Files, FilesBuilder, Part, UploadError};
use futures::{TryStreamExt, stream};
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};
use tempfile::TempDir;

/// A clock that a test turns.
#[derive(Clone, Default)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    pub files: Files,
    pub store: Arc<MemoryStore>,
    pub folder: TempDir,
    pub clock: Hands,
}

impl World {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(made: impl FnOnce(FilesBuilder) -> FilesBuilder) -> Self {
        let (store, folder) = (Arc::new(MemoryStore::new()), tempfile::tempdir().unwrap());
        let clock = Hands::default();
        clock.set(1_790_000_000_000);
        let builder = Files::builder(store.clone(), folder.path()).clock(clock.clone());
        Self { files: made(builder).build().unwrap(), store, folder, clock }
    }

    /// Uploads in pieces of 1,000 bytes.
    pub async fn receive(&self, name: &str, content: &[u8]) -> Result<FileRecord, UploadError> {
        self.files.receive(&ann(), name, pieces(content)).await
    }

    pub async fn bytes(&self, id: FileId, part: Part) -> Vec<u8> {
        let opened = self.files.open(id, part, None).await.unwrap().unwrap();
        let bytes = opened.pieces.try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!(bytes.len() as u64, opened.size);
        bytes
    }

    /// How many files lie in the folder, whatever they are.
    pub fn lying(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(self.folder.path())
    }
}

pub fn ann() -> UserId {
    UserId::parse("ann").unwrap()
}

pub fn pieces(content: &[u8]) -> impl futures::Stream<Item = Result<Bytes, io::Error>> + Send + use<> {
    let pieces: Vec<_> = content.chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

/// A picture without alpha: no two rows or columns are alike.
pub fn picture(width: u32, height: u32) -> DynamicImage {
    let colour = |x: u32, y: u32| [(x * 255 / width) as u8, (y * 255 / height) as u8, ((x ^ y) % 251) as u8];
    RgbImage::from_fn(width, height, |x, y| image::Rgb(colour(x, y))).into()
}

/// One that shines through at the left.
pub fn glass(width: u32, height: u32) -> DynamicImage {
    let alpha = |x: u32| (x * 255 / width) as u8;
    RgbaImage::from_fn(width, height, |x, y| image::Rgba([x as u8, y as u8, 7, alpha(x)])).into()
}

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = match format {
        ImageFormat::Gif => DynamicImage::from(image.to_rgba8()),
        _ => image.clone(),
    };
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A chunk of a PNG.
pub fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in name.iter().chain(content) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], name, content, &(!crc).to_be_bytes()].concat()
}

/// A PNG with these chunks after its header.
pub fn with_chunks(png: &[u8], chunks: &[u8]) -> Vec<u8> {
    [&png[..33], chunks, &png[33..]].concat()
}

/// The header of a PNG of that size, of 8 bits of grey, and a few bytes that are no pixels.
pub fn flood(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let data = chunk(b"IDAT", b"\x78\x9c\x63\x60\x00\x00\x00\x01\x00\x01");
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), data, chunk(b"IEND", b"")].concat()
}

/// Zeros, compressed: 1 MiB of them for each KiB or so.
pub fn deflated_zeros(mebibytes: usize) -> Vec<u8> {
    // Blocks of a fixed code whose every symbol but the first repeats 258 zeros: a byte and five bits each.
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |value: u32, count: u32, reversed: bool| {
        for at in 0..count {
            let at = if reversed { count - 1 - at } else { at };
            bits.push(value >> at & 1 == 1);
        }
    };
    put(1, 1, false);
    put(1, 2, false);
    put(0x30, 8, true);
    for _ in 0..mebibytes * (1 << 20) / 258 {
        put(0b1100_0101, 8, true);
        put(0, 5, true);
    }
    put(0, 7, true);
    let packed =
        bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum::<u8>());
    [0x78, 0x01].into_iter().chain(packed).chain([0; 4]).collect()
}

/// A JPEG with an Exif segment of these entries (tag, value) of 16 bits, and a place.
pub fn with_exif(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let main = [
        &2_u16.to_le_bytes()[..],
        &entry(0x0112, 3, 1, orientation.into()),
        &entry(0x8825, 4, 1, 38),
        &[0; 4],
    ];
    let place = [&1_u16.to_le_bytes()[..], &entry(0x001d, 2, 11, 56), &[0; 4], b"GPS-48-8.5N"];
    let exif = [&b"Exif\0\0II\x2a\0\x08\0\0\0"[..], &main.concat(), &place.concat()].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat()
}

/// A GIF of frames of two by two pixels.
pub fn animation(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    {
        let mut encoder = gif::Encoder::new(&mut bytes, 4, 4, &[0, 0, 0, 255, 0, 0, 0, 0, 255]).unwrap();
        encoder.set_repeat(gif::Repeat::Finite(3)).unwrap();
        for number in 0..frames {
            let frame = gif::Frame {
                delay: 7,
                dispose: gif::DisposalMethod::Background,
                transparent: Some(0),
                left: u16::from(number % 2 == 1),
                width: 2,
                height: 2,
                buffer: vec![1, (number % 3) as u8, 2, 1].into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).unwrap();
        }
    }
    bytes
}
