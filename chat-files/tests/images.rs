//! Images are made anew: as they look, and nothing else that was in them.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod common;

use chat_core::files::{FileRecord, Purpose};
use chat_files::{Part, UploadError, UploadLimits};
use common::{
    World, animation, ann, chunk, contains, encoded, glass, picture, pieces, with_chunks, with_exif,
};
use image::{DynamicImage, ImageFormat};

fn shape(file: &FileRecord) -> (&str, Option<u32>, Option<u32>) {
    (&file.mime, file.width, file.height)
}

async fn seen(world: &World, file: &FileRecord) -> DynamicImage {
    image::load_from_memory(&world.bytes(file.id, Part::Whole).await).unwrap()
}

#[tokio::test]
async fn an_image_stays_what_it_was_and_looks_as_it_did() {
    let world = World::new();
    for (format, mime, name) in [
        (ImageFormat::Jpeg, "image/jpeg", "photo.jpg"),
        (ImageFormat::Png, "image/png", "photo.png"),
        (ImageFormat::WebP, "image/webp", "photo.webp"),
        (ImageFormat::Gif, "image/gif", "photo.gif"),
    ] {
        let upload = encoded(&picture(400, 100), format);
        let file = world.receive("photo.exe", &upload).await.unwrap();
        assert_eq!((shape(&file), file.name.as_str()), ((mime, Some(400), Some(100)), name));
        let (before, after) =
            (image::load_from_memory(&upload).unwrap().to_rgb8(), seen(&world, &file).await.to_rgb8());
        assert_eq!(after.dimensions(), (400, 100));
        let worst = before.iter().zip(after.iter()).map(|(a, b)| a.abs_diff(*b)).max();
        let most = if format == ImageFormat::Jpeg { 60 } else { 0 };
        assert!(worst <= Some(most), "{mime}: {worst:?}");
        let small = file.thumbnail.clone().unwrap();
        assert_eq!((small.width, small.height), (320, 80));
        let shown = image::load_from_memory(&world.bytes(file.id, Part::Thumbnail).await).unwrap();
        assert_eq!((shown.width(), shown.height()), (320, 80));
    }
    assert_eq!(std::fs::read_dir(world.folder.path().join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_shines_through_goes_on_to_do_so() {
    let world = World::new();
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let file = world.receive("a", &encoded(&glass(40, 30), format)).await.unwrap();
        assert_eq!(seen(&world, &file).await.to_rgba8(), glass(40, 30).to_rgba8());
        assert_eq!(file.thumbnail.unwrap().mime, "image/png");
    }
    let deep = DynamicImage::from(glass(40, 30).to_rgba16());
    let file = world.receive("deep.png", &encoded(&deep, ImageFormat::Png)).await.unwrap();
    assert_eq!(seen(&world, &file).await, glass(40, 30), "8 bits a channel");
}

#[tokio::test]
async fn an_image_is_turned_upright_and_says_nothing_of_where_it_was_taken() {
    let world = World::new();
    let plain = encoded(&picture(64, 32), ImageFormat::Jpeg);
    for (orientation, size) in [(1, (64, 32)), (3, (64, 32)), (6, (32, 64)), (8, (32, 64))] {
        let upload = with_exif(&plain, orientation);
        assert!(contains(&upload, b"GPS-48-8.5N"));
        let file = world.receive("a.jpg", &upload).await.unwrap();
        assert_eq!((file.width, file.height), (Some(size.0), Some(size.1)), "{orientation}");
        let (kept, small) =
            (world.bytes(file.id, Part::Whole).await, world.bytes(file.id, Part::Thumbnail).await);
        for bytes in [&kept, &small] {
            assert!(!contains(bytes, b"GPS") && !contains(bytes, b"Exif"));
        }
        let corner = |image: DynamicImage, x, y| image.to_rgb8().get_pixel(x, y).0.map(i32::from);
        let before = corner(picture(64, 32), 0, 0);
        let (x, y) = match orientation {
            1 => (0, 0),
            3 => (63, 31),
            6 => (31, 0),
            _ => (0, 63),
        };
        let after = corner(image::load_from_memory(&kept).unwrap(), x, y);
        assert!(
            before.iter().zip(after).all(|(a, b)| (a - b).abs() < 40),
            "{orientation}: {before:?} {after:?}"
        );
    }
}

#[tokio::test]
async fn no_text_profile_or_place_is_left_in_any_kind_of_image() {
    let world = World::new();
    let secret = b"secret-48-8.5N";
    let png = encoded(&picture(8, 8), ImageFormat::Png);
    let texts = [
        chunk(b"tEXt", &[&b"Comment\0"[..], secret].concat()),
        chunk(b"iTXt", &[&b"XML:com.adobe.xmp\0\0\0\0\0"[..], secret].concat()),
        chunk(b"eXIf", &[&b"II\x2a\0"[..], secret].concat()),
    ]
    .concat();
    let webp = encoded(&picture(8, 8), ImageFormat::WebP);
    let webp = [&webp[..], b"EXIF", &14_u32.to_le_bytes(), secret].concat();
    let gif = animation(1);
    let gif = [&gif[..gif.len() - 1], b"\x21\xfe\x0e", secret, b"\0\x3b"].concat();
    let jpeg = encoded(&picture(8, 8), ImageFormat::Jpeg);
    let comment = [b"\xff\xfe\0\x10", &secret[..]].concat();
    let profile = [&b"\xff\xe2\0\x1eICC_PROFILE\0"[..], &secret[..], b"\x01\x01"].concat();
    let jpeg = [&jpeg[..2], &comment, &profile, &jpeg[2..]].concat();
    for upload in [with_chunks(&png, &texts), webp, gif, jpeg] {
        assert!(contains(&upload, secret));
        let file = world.receive("a", &upload).await.unwrap();
        assert!(!contains(&world.bytes(file.id, Part::Whole).await, secret), "{}", file.mime);
    }
}

#[tokio::test]
async fn an_animation_goes_on_to_move_as_it_did() {
    let world = World::new();
    let file = world.receive("a.gif", &animation(5)).await.unwrap();
    assert_eq!(shape(&file), ("image/gif", Some(4), Some(4)));
    let frames = |bytes: &[u8]| {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut decoder = options.read_info(bytes).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let gif::Frame { delay, dispose, transparent, left, buffer, .. } = frame.clone();
            frames.push((delay, dispose, transparent, left, buffer.into_owned()));
        }
        (frames, decoder.repeat(), decoder.global_palette().map(<[u8]>::to_vec))
    };
    let kept = world.bytes(file.id, Part::Whole).await;
    assert_eq!(frames(&kept), frames(&animation(5)));
    assert_eq!(world.receive("a.gif", &animation(1_001)).await, Err(UploadError::TooManyPixels));
}

#[tokio::test]
async fn an_avatar_is_a_square_of_its_middle() {
    let world = World::new();
    for (width, height, side) in [(1_000, 600, 512), (100, 300, 100)] {
        let upload = encoded(&picture(width, height), ImageFormat::Png);
        let file = world.files.place().unwrap().receive_avatar(&ann(), pieces(&upload)).await.unwrap();
        assert_eq!(shape(&file), ("image/jpeg", Some(side), Some(side)));
        assert_eq!(
            (file.name.as_str(), file.purpose, &file.thumbnail),
            ("avatar.jpg", Purpose::Avatar, &None)
        );
        let middle = seen(&world, &file).await.to_rgb8().get_pixel(side / 2, side / 2).0;
        let expected = picture(width, height).to_rgb8().get_pixel(width / 2, height / 2).0;
        assert!(middle[0].abs_diff(expected[0]) < 30 && middle[1].abs_diff(expected[1]) < 30);
    }
    let text = world.files.place().unwrap().receive_avatar(&ann(), pieces(b"hello")).await;
    assert_eq!(text, Err(UploadError::UnsupportedType));
}

#[tokio::test]
async fn a_photograph_that_would_grow_without_bound_becomes_another_kind_of_image() {
    let limits = UploadLimits { bytes: 6_000, ..UploadLimits::default() };
    let world = World::with(|builder| builder.limits(limits));
    // Of noise, which does not compress without loss; it came in lossy.
    let mut noise = 1_u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    let noisy =
        DynamicImage::from(image::RgbImage::from_fn(40, 40, |_, _| image::Rgb([next(), next(), next()])));
    let webp = encoded(&noisy, ImageFormat::WebP);
    assert!(webp.len() < 6_000, "{}", webp.len());
    let kept = world.receive("a.webp", &webp).await.unwrap();
    assert!(kept.size <= 6_000 && ["image/webp", "image/jpeg"].contains(&kept.mime.as_str()));
    let jpeg = encoded(&picture(100, 100), ImageFormat::Jpeg);
    let tight = UploadLimits { bytes: jpeg.len() as u64, ..limits };
    let world = World::with(|builder| builder.limits(tight));
    assert_eq!(world.receive("a.jpg", &jpeg).await.unwrap().mime, "image/jpeg");
}
