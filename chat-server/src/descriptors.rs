//! File descriptors: one for each connection.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{CONNECTIONS_MAX, DESCRIPTORS_KEPT};

/// Raises the number of files that the process may have open to what the system permits it. Shells begin with
/// 1,024, for the sake of programs older than this one.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(?maximum, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, ?current, "could not raise the limit of open files"),
    }
}

/// How many connections there may be: as many as the limit of open files permits beside what else is open.
pub(crate) fn connections() -> usize {
    connections_of(getrlimit(Resource::Nofile).current)
}

fn connections_of(descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    // With hardly any, half of them.
    let left = descriptors.saturating_sub(DESCRIPTORS_KEPT).max(descriptors / 2);
    left.clamp(1, CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_others() {
        let told = [Some(20_000), Some(1_024), Some(100), Some(0), Some(524_288), None].map(connections_of);
        assert_eq!(told, [19_744, 768, 50, 1, CONNECTIONS_MAX, CONNECTIONS_MAX]);
    }
}
