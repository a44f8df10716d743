//! `Content-Disposition` (RFC 6266): whether a browser shows a file, and under which name it saves it.

use std::fmt::Write;

use http::HeaderValue;

/// The header for a file of this name.
pub(super) fn disposition(name: &str, is_inline: bool) -> HeaderValue {
    let kind = if is_inline { "inline" } else { "attachment" };
    // For clients that know no better; quotes and what escapes them are left out.
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) || c == ' ' { c } else { '_' })
        .collect();
    let mut text = format!("{kind}; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            // The characters of an extended value (RFC 8187).
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(byte as char);
            } else {
                // Writing to a string does not fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    // All of it is ASCII without controls.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_kind_stay_within_the_header() {
        for (name, inline, expected) in [
            ("a.png", true, "inline; filename=\"a.png\""),
            ("a b.pdf", false, "attachment; filename=\"a b.pdf\""),
            (
                "Größe 1.png",
                true,
                "inline; filename=\"Gr__e 1.png\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.png",
            ),
            (
                "a\"b\\c%d.txt",
                false,
                "attachment; filename=\"a_b_c_d.txt\"; filename*=UTF-8''a%22b%5Cc%25d.txt",
            ),
            (
                "a\r\nX: y.txt",
                false,
                "attachment; filename=\"a__X: y.txt\"; filename*=UTF-8''a%0D%0AX%3A%20y.txt",
            ),
        ] {
            assert_eq!(disposition(name, inline), expected, "{name:?}");
        }
    }
}
