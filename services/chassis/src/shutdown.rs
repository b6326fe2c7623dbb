//! How a process is told to end: once, by whoever asks first, heard everywhere.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells all parts of a process that it is to end. Clones hear the same call.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that SIGTERM and SIGINT call for. A second signal ends the process at once.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn on_signals() -> anyhow::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Self::default();
        let caller = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if caller.is_called() {
                    tracing::warn!(signal = name, "ending at once");
                    std::process::exit(130);
                }
                tracing::info!(signal = name, "draining; a second signal ends at once");
                caller.call();
            }
        });
        Ok(shutdown)
    }

    /// Asks all parts to end.
    pub fn call(&self) {
        self.0.cancel();
    }

    /// Whether they have been asked.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until they are asked.
    pub async fn called(&self) {
        self.0.cancelled().await;
    }

    /// A shutdown of a part: called with the whole, and by itself.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(self.0.child_token())
    }
}
