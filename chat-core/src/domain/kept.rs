//! What texts share that are kept as they were once accepted.

/// Gives such texts their two ways out of and into a store. Each wraps an `Arc<str>`, and has a `parse` of its own that
/// says what is accepted.
macro_rules! kept_as_accepted {
    ($($text:ident),+) => {$(
        impl $text {
            /// Adopts text that was checked before it was stored.
            #[must_use]
            pub fn from_stored(text: &str) -> Self {
                Self(text.into())
            }

            /// The text as it was accepted.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

pub(crate) use kept_as_accepted;
