//! Uploads that mean harm: refused, or kept without it.
#![allow(clippy::unwrap_used, reason = "a test that fails fails loudly")]

mod common;

use chat_files::{Kind, Part, UploadError};
use common::{
    World, animation, chunk, contains, deflated_zeros, encoded, flood, glass, picture, with_chunks, with_exif,
};
use image::ImageFormat;

const SCRIPT: &[u8] = b"<script>alert(document.domain)</script>";

fn jpeg() -> Vec<u8> {
    encoded(&picture(16, 16), ImageFormat::Jpeg)
}

fn png() -> Vec<u8> {
    encoded(&picture(16, 16), ImageFormat::Png)
}

fn webp() -> Vec<u8> {
    encoded(&glass(16, 16), ImageFormat::WebP)
}

/// Archives, with something in them.
fn zip() -> Vec<u8> {
    [&b"PK\x03\x04\x14\0\0\0\0\0"[..], SCRIPT, b"PK\x05\x06", &[0; 18]].concat()
}

#[tokio::test]
async fn what_is_two_things_at_once_is_kept_as_the_image_that_it_is_alone() {
    let world = World::new();
    // A script that begins `GIF89a/*…*/=1;`: the width of the canvas is a comment's beginning.
    let gif = animation(2);
    let script = [b"\x21\xfe\x27", SCRIPT, b"\0"].concat();
    let polyglots = [
        ("GIF and script, in a comment", [&gif[..gif.len() - 1], &script, b"\x3b"].concat(), Kind::Gif),
        ("GIF and script, at the end", [&gif[..], b"*/=1;alert(1)//", SCRIPT].concat(), Kind::Gif),
        ("PNG and page, at the end", [png(), b"<html>".to_vec(), SCRIPT.to_vec()].concat(), Kind::Png),
        (
            "PNG and page, in a text",
            with_chunks(&png(), &chunk(b"tEXt", &[b"x\0", SCRIPT].concat())),
            Kind::Png,
        ),
        ("PNG and page, in a chunk nobody knows", with_chunks(&png(), &chunk(b"haRm", SCRIPT)), Kind::Png),
        ("JPEG and archive, at the end", [jpeg(), zip()].concat(), Kind::Jpeg),
        (
            "JPEG and page, in a comment",
            [&jpeg()[..2], b"\xff\xfe\0\x29", SCRIPT, &jpeg()[2..]].concat(),
            Kind::Jpeg,
        ),
        (
            "JPEG and PHP, in Exif",
            [&with_exif(&jpeg(), 1)[..], b"<?php system($_GET[0]); ?>", SCRIPT].concat(),
            Kind::Jpeg,
        ),
        ("WebP and page, at the end", [webp(), SCRIPT.to_vec()].concat(), Kind::WebP),
    ];
    for (what, upload, kind) in polyglots {
        assert!(contains(&upload, SCRIPT), "{what}");
        let file = world.receive("a.html", &upload).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((file.mime.as_str(), file.name.contains("html")), (kind.mime(), false), "{what}");
        for part in [Part::Whole, Part::Thumbnail] {
            let kept = world.bytes(file.id, part).await;
            assert!(
                !contains(&kept, b"alert") && !contains(&kept, b"PK\x03\x04") && !contains(&kept, b"php"),
                "{what}"
            );
            image::load_from_memory(&kept).unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_browser_or_a_system_would_run_is_refused_whatever_it_is_called() {
    let world = World::new();
    let entity =
        b"<?xml version=\"1.0\"?><!DOCTYPE svg [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><svg>&x;</svg>";
    let long_comment = [b"<!--", &b" ".repeat(5_000)[..], b"--><svg onload='alert(1)'/>"].concat();
    let tar = [b"harm.sh".to_vec(), vec![0; 250], b"ustar".to_vec(), vec![0; 250]].concat();
    for (what, upload) in [
        (
            "SVG with a script",
            &b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"[..],
        ),
        (
            "SVG with a page in it",
            b"<svg><foreignObject><iframe src='javascript:alert(1)'/></foreignObject></svg>",
        ),
        ("SVG with an entity", entity),
        ("SVG behind blanks", b"\n\t  <SVG onload=alert(1)>"),
        ("SVG behind a mark of its encoding", b"\xef\xbb\xbf<svg onload=alert(1)>"),
        ("SVG behind a comment", &long_comment),
        ("SVG, compressed", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x2b\x2e\x4b\x07"),
        ("HTML", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("HTML without a head", b"<body onload=alert(1)>"),
        ("HTML in UTF-16", b"\xff\xfe<\0s\0c\0r\0i\0p\0t\0"),
        ("PHP", b"<?php system('id');"),
        ("shell", b"#!/bin/sh\nrm -rf ~\n"),
        ("ELF", b"\x7fELF\x02\x01\x01\0"),
        ("PE", b"MZ\x90\0\x03\0\0\0"),
        ("Mach-O", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
        ("Java", b"\xca\xfe\xba\xbe\0\0\0\x34"),
        ("WebAssembly", b"\0asm\x01\0\0\0"),
        ("ZIP", &zip()),
        ("GZIP", b"\x1f\x8b\x08\0abc"),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04"),
        ("RAR", b"Rar!\x1a\x07\x01\0"),
        ("bzip2", b"BZh91AY&SY\xc9\xd9"),
        ("tar", &tar),
        ("compound document", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("BMP", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0"),
        ("TIFF", b"II\x2a\0\x08\0\0\0"),
        ("icon", b"\0\0\x01\0\x01\0\x10\x10"),
        ("AVIF", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
        ("film", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x10moov\0\0\0\0vide"),
        ("Flash", b"CWS\x0b\xd3\x1f\0\0\x78\xda"),
        ("text with a zero", b"hello\0world"),
        ("text that commands a terminal", b"hello \x1b]0;x\x07"),
        ("text that is not UTF-8", b"caf\xe9"),
    ] {
        for name in ["innocent.png", "innocent.txt", "a"] {
            assert_eq!(world.receive(name, upload).await, Err(UploadError::UnsupportedType), "{what}");
        }
    }
    assert_eq!(world.receive("a", b"").await, Err(UploadError::Empty));
    assert_eq!(world.lying(), 0, "nothing of them is kept");
}

#[tokio::test]
async fn what_would_be_far_larger_than_it_looks_is_refused_before_it_is_unpacked() {
    let world = World::new();
    let size = |width: u16, height: u16| [height.to_be_bytes(), width.to_be_bytes()].concat();
    let mut large_jpeg = jpeg();
    let start = large_jpeg.windows(2).position(|window| window == b"\xff\xc0").unwrap() + 5;
    large_jpeg.splice(start..start + 4, size(60_000, 60_000));
    let mut large_gif = animation(1);
    large_gif.splice(6..10, [0xff; 4]);
    let large_webp = [&b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"[..], b"\xff\x3f\0\xff\x3f\0"].concat();
    let scans = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\0".repeat(40_000);
    let mut many_scans = jpeg();
    many_scans.splice(start..start + 4, size(200, 200));
    let many_scans = [many_scans, scans].concat();
    for (what, upload) in [
        ("PNG of 900 million pixels in 100 bytes", flood(30_000, 30_000)),
        ("PNG of more pixels than a number holds", flood(u32::MAX >> 1, u32::MAX >> 1)),
        ("PNG that is only wide", flood(60_000_000, 1)),
        ("JPEG of 3,600 million pixels", large_jpeg),
        ("GIF of 4,294 million pixels", large_gif),
        ("WebP of 268 million pixels", large_webp),
        ("JPEG of 40,000 scans", many_scans),
    ] {
        assert!(upload.len() < 1 << 20);
        let refused = world.receive("a", &upload).await;
        let accepted = [Err(UploadError::TooManyPixels), Err(UploadError::BrokenImage)];
        assert!(accepted.contains(&refused), "{what}: {refused:?}");
    }
    assert_eq!(world.receive("a", &flood(30_000, 30_000)).await, Err(UploadError::TooManyPixels));
    assert_eq!(world.lying(), 0);
}

#[tokio::test]
async fn what_unpacks_beside_the_pixels_does_no_harm() {
    let world = World::new();
    let zeros = deflated_zeros(40);
    assert!(zeros.len() < 2 << 20);
    let profile = chunk(b"iCCP", &[b"x\0\0", zeros.as_slice()].concat());
    let text = chunk(b"zTXt", &[b"x\0\0", zeros.as_slice()].concat());
    let moving = [chunk(b"acTL", &[0xff; 8]), chunk(b"fcTL", &[0; 26])].concat();
    for (what, upload) in [
        ("PNG with a colour profile of 40 MiB", with_chunks(&png(), &profile)),
        ("PNG with a text of 40 MiB", with_chunks(&png(), &text)),
        ("PNG that says it has 4 thousand million frames", with_chunks(&png(), &moving)),
    ] {
        match world.receive("a", &upload).await {
            Ok(file) => assert!(world.bytes(file.id, Part::Whole).await.len() < 10_000, "{what}"),
            Err(error) => {
                assert!([UploadError::BrokenImage, UploadError::TooManyPixels].contains(&error), "{what}")
            }
        }
    }
}

/// Every image that was kept is one.
async fn is_harmless(world: &World, what: &str, upload: &[u8]) -> bool {
    match world.receive("a", upload).await {
        Ok(file) if Kind::of_mime(&file.mime).is_some_and(Kind::is_image) => {
            image::load_from_memory(&world.bytes(file.id, Part::Whole).await).unwrap();
            true
        }
        Ok(_) => true,
        Err(
            UploadError::BrokenImage
            | UploadError::TooManyPixels
            | UploadError::UnsupportedType
            | UploadError::Empty,
        ) => false,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[tokio::test]
async fn images_that_end_too_soon_are_refused_or_kept_as_far_as_they_go() {
    let world = World::new();
    for (kind, whole) in [("JPEG", jpeg()), ("PNG", png()), ("GIF", animation(3)), ("WebP", webp())] {
        let mut refused = 0;
        for length in 0..whole.len() {
            refused += usize::from(!is_harmless(&world, kind, &whole[..length]).await);
        }
        assert!(refused > 12, "{kind}: {refused} of {} are refused", whole.len());
        assert!(is_harmless(&world, kind, &whole).await);
    }
}

#[tokio::test]
async fn images_with_damage_anywhere_never_come_to_more_than_a_refusal() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let world = World::new();
    let wholes = [jpeg(), with_exif(&jpeg(), 6), png(), animation(3), webp(), b"%PDF-1.7\nx".to_vec()];
    for round in 0..600 {
        let mut upload = wholes[round % wholes.len()].clone();
        for _ in 0..=random() % 4 {
            let at = random() % upload.len();
            match random() % 4 {
                0 => upload[at] = random() as u8,
                1 => upload[at] = 0xff,
                2 => drop(upload.drain(at..(at + random() % 9).min(upload.len() - 1).max(at))),
                _ => drop(upload.splice(at..at, [0; 3])),
            }
        }
        is_harmless(&world, &format!("round {round}"), &upload).await;
    }
}
