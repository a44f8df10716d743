//! What a file is, by its content alone: neither its name nor what was said of it matters.

use std::io::{self, Read, Seek, SeekFrom};

use crate::limits::{HEAD_BYTES, MP4_INDEX_BYTES_MAX};

/// The types that are taken in. Whatever is none of them is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/gif`
    Gif,
    /// `image/webp`
    WebP,
    /// `application/pdf`
    Pdf,
    /// `text/plain`, in UTF-8
    Text,
    /// `audio/ogg`
    Ogg,
    /// `audio/webm`
    WebM,
    /// `audio/mpeg`
    Mp3,
    /// `audio/mp4`
    Mp4,
    /// `audio/wav`
    Wav,
}

impl Kind {
    /// Every type that is taken in.
    pub const ALL: [Self; 11] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::WebP,
        Self::Pdf,
        Self::Text,
        Self::Ogg,
        Self::WebM,
        Self::Mp3,
        Self::Mp4,
        Self::Wav,
    ];

    /// Its media type.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain",
            Self::Ogg => "audio/ogg",
            Self::WebM => "audio/webm",
            Self::Mp3 => "audio/mpeg",
            Self::Mp4 => "audio/mp4",
            Self::Wav => "audio/wav",
        }
    }

    /// The type of that media type.
    #[must_use]
    pub fn of_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mime() == mime)
    }

    /// The ending that names of it get.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Pdf => "pdf",
            Self::Text => "txt",
            Self::Ogg => "ogg",
            Self::WebM => "weba",
            Self::Mp3 => "mp3",
            Self::Mp4 => "m4a",
            Self::Wav => "wav",
        }
    }

    /// Whether names of it may have this ending, given in lower case.
    pub(crate) fn has_extension(self, ending: &str) -> bool {
        let others: &[&str] = match self {
            Self::Jpeg => &["jpeg"],
            Self::Ogg => &["oga", "opus"],
            Self::WebM => &["webm"],
            Self::Text => &["md", "csv", "log"],
            _ => &[],
        };
        self.extension() == ending || others.contains(&ending)
    }

    /// Whether it is an image, and so made anew before it is kept.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Gif | Self::WebP)
    }

    /// Whether a browser may show or play it in place: images, which were made anew, and sound.
    #[must_use]
    pub const fn is_shown_inline(self) -> bool {
        !matches!(self, Self::Pdf | Self::Text)
    }
}

/// Finds out what a file is. `text` says whether all of it is plain text.
pub(crate) fn detect(file: &mut (impl Read + Seek), text: bool) -> io::Result<Option<Kind>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Kind::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::WebP),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Kind::Wav),
        [b'%', b'P', b'D', b'F', b'-', b'1' | b'2', b'.', ..] => Some(Kind::Pdf),
        [b'O', b'g', b'g', b'S', 0, ..] => is_ogg_sound(&head).then_some(Kind::Ogg),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => is_webm_sound(&head).then_some(Kind::WebM),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => is_mp4_sound(file)?.then_some(Kind::Mp4),
        [b'I', b'D', b'3', 2..=4, 0..=0xfe, ..] => Some(Kind::Mp3),
        head if is_mpeg_frame(head) => Some(Kind::Mp3),
        head if text && !is_active(head) => Some(Kind::Text),
        _ => None,
    })
}

/// The first packet of the first page tells the codec (RFC 3533, RFC 7845).
fn is_ogg_sound(head: &[u8]) -> bool {
    let segments = usize::from(head.get(26).copied().unwrap_or(0));
    let packet = head.get(27 + segments..).unwrap_or_default();
    [&b"OpusHead"[..], b"\x01vorbis", b"\x7fFLAC", b"Speex   "].iter().any(|magic| packet.starts_with(magic))
}

/// The type of document is `webm`, and its tracks have codecs of sound only.
fn is_webm_sound(head: &[u8]) -> bool {
    let has = |what: &[u8]| head.windows(what.len()).any(|window| window == what);
    has(b"\x42\x82\x84webm") && (has(b"A_OPUS") || has(b"A_VORBIS")) && !has(b"V_")
}

/// Has a track of sound and none of anything else that is seen (ISO/IEC 14496-12).
fn is_mp4_sound(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    // An index comes after a handful of boxes, if there is one.
    for _ in 0..16 {
        let mut header = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        if file.read_exact(&mut header).is_err() {
            return Ok(false);
        }
        let size = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        if size < 8 || at + size > end {
            return Ok(false);
        }
        if header[4..] == *b"moov" {
            if size > MP4_INDEX_BYTES_MAX {
                return Ok(false);
            }
            let mut index = Vec::new();
            file.by_ref().take(size - 8).read_to_end(&mut index)?;
            // A handler of a track: its type comes after its version and a word that is zero.
            let handlers: Vec<&[u8]> = index
                .windows(16)
                .filter(|window| window.starts_with(b"hdlr"))
                .map(|window| &window[12..])
                .collect();
            let is_sound = |handler: &&[u8]| **handler == *b"soun";
            let is_known = |handler: &&[u8]| {
                matches!(
                    **handler,
                    [b's', b'o', b'u', b'n']
                        | [b'm', b'd', b'i', b'r']
                        | [b'm', b'd', b't', b'a']
                        | [b'u', b'r', b'l', b' ']
                )
            };
            return Ok(handlers.iter().any(is_sound) && handlers.iter().all(is_known));
        }
        at += size;
    }
    Ok(false)
}

/// The header of a frame of MPEG layer III: eleven bits set, then version, layer, a bit rate and a sampling rate that
/// exist.
fn is_mpeg_frame(head: &[u8]) -> bool {
    matches!(head, [0xff, second, third, ..]
        if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0 && third & 0xf0 != 0 && third & 0x0c != 0x0c)
}

/// Text that begins as what a browser might run if it were told a lie about its type, or a system as a script.
fn is_active(head: &[u8]) -> bool {
    const BEGINNINGS: [&str; 22] = [
        "#!",
        "<!doctype",
        "<html",
        "<head",
        "<body",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a ",
        "<style",
        "<title",
        "<b>",
        "<br",
        "<p>",
        "<!--",
        "<?xml",
        "<?php",
        "<svg",
        "<math",
    ];
    let text = String::from_utf8_lossy(head);
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let start: String = start.chars().take(16).collect::<String>().to_ascii_lowercase();
    BEGINNINGS.iter().any(|beginning| start.starts_with(beginning))
}

/// Looks, piece by piece, whether a file is plain text: UTF-8 without controls other than those of lines and tabs.
#[derive(Debug, Default)]
pub(crate) struct TextCheck {
    /// The beginning of a character of which the rest has not come yet.
    rest: Vec<u8>,
    is_no_text: bool,
}

impl TextCheck {
    pub(crate) fn look_at(&mut self, piece: &[u8]) {
        if self.is_no_text {
            return;
        }
        // At most three bytes wait, so this copies once where pieces meet within a character, and else not at all.
        let joined;
        let bytes = if self.rest.is_empty() {
            piece
        } else {
            joined = [&std::mem::take(&mut self.rest), piece].concat();
            &joined
        };
        let (text, rest) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                self.is_no_text |= error.error_len().is_some();
                (std::str::from_utf8(valid).unwrap_or_default(), rest)
            }
        };
        self.is_no_text |= has_controls(text);
        self.rest = rest.to_vec();
    }

    pub(crate) fn is_text(&self) -> bool {
        !self.is_no_text && self.rest.is_empty()
    }
}

/// Whether there are controls other than those of lines and tabs. Looks at bytes, many at a time: those of ASCII stand
/// for themselves in UTF-8, and those from U+0080 to U+009F are the byte C2 and one below A0.
fn has_controls(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_ascii_control =
        |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c) || byte == 0x7f;
    bytes.iter().fold(false, |found, byte| found | is_ascii_control(*byte))
        || bytes
            .iter()
            .zip(bytes.iter().skip(1))
            .fold(false, |found, (first, second)| found | ((*first == 0xc2) & (*second < 0xa0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn kind(bytes: &[u8]) -> Option<Kind> {
        let mut check = TextCheck::default();
        bytes.chunks(3).for_each(|piece| check.look_at(piece));
        detect(&mut Cursor::new(bytes), check.is_text()).unwrap()
    }

    fn mp4(handlers: &[&[u8; 4]]) -> Vec<u8> {
        let boxed = |name: &[u8; 4], content: &[u8]| {
            let size = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
            [&size[..], name, content].concat()
        };
        let handler = |kind: &&[u8; 4]| boxed(b"hdlr", &[&[0; 8][..], *kind, &[0; 13]].concat());
        let index: Vec<u8> = handlers.iter().flat_map(handler).collect();
        [boxed(b"ftyp", b"M4A \0\0\0\0"), boxed(b"mdat", &[1; 40]), boxed(b"moov", &index)].concat()
    }

    #[test]
    fn sound_is_told_from_moving_pictures_in_the_same_container() {
        let ogg = |packet: &[u8]| [b"OggS\0\x02", &[0; 20][..], &[1, 30], packet].concat();
        assert_eq!(kind(&ogg(b"OpusHead\x01\x02")), Some(Kind::Ogg));
        assert_eq!(kind(&ogg(b"\x80theora\x03\x02")), None);
        let webm = |codec: &[u8]| [b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm\x18", codec].concat();
        assert_eq!(kind(&webm(b"\x86\x86A_OPUS")), Some(Kind::WebM));
        assert_eq!(kind(&webm(b"\x86\x85V_VP8\x86\x86A_OPUS")), None);
        assert_eq!(kind(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska A_OPUS"), None);
        assert_eq!(kind(&mp4(&[b"soun"])), Some(Kind::Mp4));
        assert_eq!(kind(&mp4(&[b"soun", b"mdir"])), Some(Kind::Mp4));
        assert_eq!(kind(&mp4(&[b"vide", b"soun"])), None);
        assert_eq!(kind(&mp4(&[])), None);
        assert_eq!(kind(&mp4(&[b"soun"])[..30]), None);
        assert_eq!(kind(b"\xff\xfb\x90\x64abc"), Some(Kind::Mp3));
        assert_eq!(kind(b"\xff\xff\xff\xff"), None);
        assert_eq!(kind(b"ID3\x04\0abc"), Some(Kind::Mp3));
        assert_eq!(kind(b"RIFF\x24\0\0\0WAVEfmt "), Some(Kind::Wav));
        assert_eq!(kind(b"RIFF\x24\0\0\0AVI LIST"), None);
    }

    #[test]
    fn text_is_utf_8_that_a_browser_or_a_system_would_not_run() {
        for text in
            ["hello", "Größe 日本 \u{1f600}\r\n\tx", "a < b, <3, 1 <script", "ID3 is a tag", "\u{feff}x"]
        {
            assert_eq!(kind(text.as_bytes()), Some(Kind::Text), "{text}");
        }
        for other in [
            &b"a\0b"[..],
            b"a\x1b[31m",
            b"caf\xe9",
            b"\xff\xfeh\0i\0",
            b"half \xe6\x97",
            b"<html>",
            b" \n<!DOCTYPE html>",
            "\u{feff}<svg xmlns=''>".as_bytes(),
            b"<?xml version='1.0'?><svg/>",
            b"<script>alert(1)</script>",
            b"<!-- x --><svg/>",
            b"#!/bin/sh\nrm -rf /",
            b"MZ\x90\0\x03",
            b"\x7fELF\x02\x01",
            b"PK\x03\x04\x14\0",
            b"\x1f\x8b\x08\0",
            b"7z\xbc\xaf\x27\x1c",
            b"Rar!\x1a\x07\0",
            b"\xca\xfe\xba\xbe",
            b"",
        ] {
            let found = kind(other);
            assert!(found.is_none() || other.is_empty() && found == Some(Kind::Text), "{other:?}: {found:?}");
        }
    }

    #[test]
    fn every_control_is_found_wherever_it_stands_and_nothing_else_is_taken_for_one() {
        let by_definition = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
        for c in '\0'..=char::MAX {
            for text in
                [format!("{c}"), format!("\u{c2}{c}"), format!("long enough for many at once é {c} €")]
            {
                let mut check = TextCheck::default();
                check.look_at(text.as_bytes());
                assert_eq!(check.is_text(), !by_definition(c), "{text:?}");
            }
        }
    }

    #[test]
    fn every_type_is_found_by_its_media_type() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_mime(kind.mime()), Some(kind));
            assert!(kind.has_extension(kind.extension()));
        }
        assert_eq!(Kind::of_mime("text/html"), None);
    }
}
