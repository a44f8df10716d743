//! What is known of whoever asks, beside what they say.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::domain::kept_as_accepted;

/// Where a login comes from.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// How the program that logs in calls itself.
    pub device: Device,
    /// Its address, behind trusted proxies resolved; failed attempts from there slow it down.
    pub address: Option<IpAddr>,
}

/// How a program calls itself (`User-Agent`, RFC 9110, 10.1.5), so that people recognise their logins.
///
/// It proves nothing. It holds at most 200 characters, none of which a screen obeys instead of showing it. Its
/// `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Device(Arc<str>);

kept_as_accepted!(Device);

/// Longest name that is kept, in characters.
const DEVICE_CHARS_MAX: usize = 200;

impl Device {
    /// The name that can be kept of what was sent.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let shown: String = text.chars().filter(|c| !c.is_control() && !turns_text(*c)).collect();
        Self(shown.trim().chars().take(DEVICE_CHARS_MAX).collect::<String>().into())
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::from_stored("")
    }
}

/// Hides what tells people apart.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}

/// Marks of direction and characters without width (Unicode, `Bidi_Control` and the like).
const fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_without_what_a_screen_would_obey() {
        let device = Device::new(" Mozilla/5.0\r\n\u{1b}[2J (X11)\u{202e}gpj\u{200b} ");
        assert_eq!(device.as_str(), "Mozilla/5.0[2J (X11)gpj");
        assert_eq!(format!("{device:?}"), "Device");
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(Device::new(&"☃".repeat(1_000)).as_str(), "☃".repeat(200));
        assert_eq!(Device::new("").as_str(), "");
    }
}
