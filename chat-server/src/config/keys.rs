//! Every key there is.

/// In the order of docs: general ones, the store, limits, files, mail, authentication.
pub(super) const KEYS: &[&str] = &[
    "listen",
    "monitor_listen",
    "data_dir",
    "default_rooms",
    "room_owners",
    "log",
    "public_url",
    "allowed_origins",
    "trusted_proxies",
    "store.durability",
    "limits.messages_per_minute",
    "limits.message_burst",
    "limits.commands_per_second",
    "limits.typing_per_second",
    "limits.commands_in_flight",
    "limits.connections_per_user",
    "limits.connections_per_ip",
    "limits.rooms_per_user",
    "limits.registrations_per_hour",
    "limits.logins_per_hour",
    "limits.refreshes_per_hour",
    "limits.file_reads_per_second",
    "limits.uploads_per_hour",
    "limits.upload_bytes",
    "limits.upload_total_bytes",
    "limits.image_pixels",
    "limits.frame_bytes",
    "limits.content_chars",
    "limits.resume_entries",
    "files.scanner",
    "files.keep_unscanned",
    "files.s3.bucket",
    "files.s3.region",
    "files.s3.endpoint",
    "files.s3.prefix",
    "files.s3.access_key_id",
    "files.s3.secret_access_key",
    "mail.smtp_host",
    "mail.smtp_port",
    "mail.smtp_tls",
    "mail.smtp_user",
    "mail.smtp_password",
    "mail.from",
    "auth.external.issuer",
    "auth.external.audience",
    "auth.external.hs256_secret",
    "auth.external.public_key",
    "auth.external.algorithm",
    "auth.external.jwks_url",
    "auth.external.user_claim",
    "auth.external.name_claim",
    "auth.external.roles_claim",
    "auth.external.admin_role",
];

/// Whether some key stands in this section.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The environment variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("CHAT_{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The key that was probably meant: spelt almost like it, or the same name in another section.
pub(super) fn nearest(given: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let by_name = KEYS.iter().find(|key| last(key) == last(given));
    let by_spelling =
        || KEYS.iter().min_by_key(|key| distance(given, key)).filter(|key| distance(given, key) <= 2);
    by_name.or_else(by_spelling).copied()
}

/// Edit distance (Levenshtein): single characters inserted, deleted or replaced.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_by_spelling_or_by_name() {
        assert_eq!(nearest("lisen"), Some("listen"));
        assert_eq!(nearest("store.durabilty"), Some("store.durability"));
        assert_eq!(nearest("frame_bytes"), Some("limits.frame_bytes"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
