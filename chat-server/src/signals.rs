//! When to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a process that was interrupted says to its parent (128 and the number of SIGINT).
const EXIT_INTERRUPTED: i32 = 130;

/// SIGTERM and SIGINT, from the moment of listening on.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens for the signals, which from now on do not end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// From now on such a signal ends the process without further ado. What was acked is on the disk.
    pub(crate) fn exit_at_once_on_another(mut self) {
        tokio::spawn(async move {
            self.requested().await;
            tracing::warn!("stopped without draining");
            std::process::exit(EXIT_INTERRUPTED);
        });
    }
}
