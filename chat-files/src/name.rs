//! Names of files as people chose them, made harmless: they are shown, offered when saving, and never a path here.

use std::fmt::Write;

use chat_core::limits::ATTACHMENT_NAME_CHARS;
use unicode_normalization::UnicodeNormalization;

use crate::{kind::Kind, limits::NAME_URL_BYTES};

/// Names that Windows gives devices, whatever comes after a dot.
const DEVICES: [&str; 26] = [
    "con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "conin$",
    "conout$",
];

/// A name that is safe to show and to save under, with the ending of the real type.
pub(crate) fn harmless(declared: &str, kind: Kind) -> String {
    // Whatever looks like a path: the last part counts.
    let last = declared.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.nfc().filter(|c| !is_hidden(*c)).map(replaced).collect();
    // No hidden files, no endings that Windows drops, no blanks around.
    let trimmed = clean.trim_matches(|c: char| c == '.' || c == '~' || c.is_whitespace());
    let (stem, ending) = match trimmed.rsplit_once('.') {
        Some((stem, ending)) if is_ending(ending) && !stem.is_empty() => (stem, Some(ending)),
        _ => (trimmed, None),
    };
    let stem = stem.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let ending = match ending {
        Some(ending) if kind.has_extension(&ending.to_ascii_lowercase()) => ending.to_ascii_lowercase(),
        _ => kind.extension().to_owned(),
    };
    // A second ending says what the file is not.
    let stem: String = stem.chars().take(ATTACHMENT_NAME_CHARS - ending.len() - 1).collect();
    let stem = stem.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let first = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    match stem {
        "" => format!("file.{ending}"),
        _ if DEVICES.contains(&first.as_str()) => {
            let stem: String = stem.chars().take(ATTACHMENT_NAME_CHARS - ending.len() - 2).collect();
            format!("_{stem}.{ending}")
        }
        _ => format!("{stem}.{ending}"),
    }
}

/// The last part of the path of a URL for a file of this name.
pub(crate) fn in_url(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte as char);
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    if escaped.len() <= NAME_URL_BYTES {
        return escaped;
    }
    match name.rsplit_once('.') {
        Some((_, ending)) => format!("file.{ending}"),
        None => "file".to_owned(),
    }
}

/// Something like the ending of a file's name.
fn is_ending(ending: &str) -> bool {
    let is_short = (1..=5).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_short && ending.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Characters that a reader does not see, or that change how the others are seen: controls, marks of direction, what
/// joins and parts words invisibly, tags, variation selectors, private use, no characters at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// Characters that file systems, shells or headers give a meaning; above all the colon of a stream of NTFS.
fn replaced(c: char) -> char {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' | '`' | '$' | '%' | ';' => '_',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_path_a_device_a_stream_or_something_else_than_it_looks() {
        for (declared, expected) in [
            ("photo.png", "photo.png"),
            ("photo.PNG", "photo.png"),
            ("Größe \u{1f600}.png", "Größe \u{1f600}.png"),
            ("cafe\u{301}.png", "café.png"),
            ("../../etc/passwd", "passwd.png"),
            ("..\\..\\boot.ini", "boot.png"),
            ("/", "file.png"),
            ("..", "file.png"),
            ("", "file.png"),
            ("   ", "file.png"),
            (".htaccess", "htaccess.png"),
            ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie_ x=1.png"),
            ("a\0b.png", "ab.png"),
            ("gnp.\u{202e}exe.png", "gnp.exe.png"),
            ("\u{202e}gnp.exe", "gnp.png"),
            ("in\u{200b}vis\u{feff}ible.png", "invisible.png"),
            ("CON", "_CON.png"),
            ("nul.txt.png", "_nul.txt.png"),
            ("com1.png", "_com1.png"),
            ("command.png", "command.png"),
            ("a.png::$DATA", "a.png___data.png"),
            ("a.html", "a.png"),
            ("a.png.", "a.png"),
            ("a.png . . ", "a.png"),
            ("a. .png", "a.png"),
            ("<script>.png", "_script_.png"),
            ("a\"b.png", "a_b.png"),
            ("~", "file.png"),
            ("version 1.2", "version 1.2.png"),
        ] {
            let made = harmless(declared, Kind::Png);
            assert!(made.eq_ignore_ascii_case(expected), "{declared:?} became {made:?}, not {expected:?}");
        }
        assert_eq!(harmless("a.jpeg", Kind::Jpeg), "a.jpeg");
        assert_eq!(harmless("a.jpeg", Kind::Png), "a.png");
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_ending() {
        for c in ['x', 'ü', '日', '\u{1f600}'] {
            for kind in [Kind::Png, Kind::Jpeg] {
                let made = harmless(&format!("{}.exe", c.to_string().repeat(400)), kind);
                assert_eq!(made.chars().count(), 255);
                assert!(made.ends_with(kind.extension()));
                assert!(in_url(&made).len() <= NAME_URL_BYTES);
            }
        }
        assert_eq!(harmless(&format!("nul.{}", "x".repeat(300)), Kind::Png).chars().count(), 255);
        assert_eq!(in_url("Größe 1.png"), "Gr%C3%B6%C3%9Fe%201.png");
        assert_eq!(in_url(&format!("{}.png", "日".repeat(200))), "file.png");
    }

    #[test]
    fn no_name_has_anything_that_is_hidden_whatever_it_was() {
        let far = (0x2_0000..=0x10_ffff).step_by(89).chain(0xe_0000..0xe_0200);
        for code in (0..0x2_0000).chain(far).filter_map(char::from_u32) {
            let made = harmless(&format!("a{code}b.png"), Kind::Png);
            assert!(!made.chars().any(|c| is_hidden(c) || "/\\:\"<>|?*".contains(c)), "{code:?}");
            assert!(made.ends_with(".png") && made.len() > 4);
        }
    }
}
