//! The relay: takes verdicts out of the outbox into the stream.

use std::sync::Arc;
use std::time::Duration;

use chassis::Process;
use futures::future;
use tokio::sync::Notify;

use crate::SERVICE;
use crate::store::Store;

/// Most verdicts published at once.
const PUBLISHES_MAX: i64 = 256;
/// The floor under the wake-up calls: what another replica left behind is found within this time.
const POLL: Duration = Duration::from_millis(500);

/// Wakes the relay of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    /// There is something in the outbox.
    pub(crate) fn call(&self) {
        self.0.notify_one();
    }
}

pub(crate) async fn run(process: &Process, store: &Store, wake: &Wake) -> anyhow::Result<()> {
    loop {
        let emptied = match relay(process, store).await {
            Ok(published) => published < usize::try_from(PUBLISHES_MAX)?,
            Err(error) => {
                tracing::warn!(service = SERVICE, "cannot publish verdicts, trying again: {error:#}");
                true
            }
        };
        if emptied {
            if process.shutdown.is_called() {
                return Ok(());
            }
            tokio::select! {
                () = wake.0.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                () = process.shutdown.called() => {}
            }
        }
    }
}

/// Publishes one lot; gives how many were waiting.
async fn relay(process: &Process, store: &Store) -> anyhow::Result<usize> {
    let mut waiting = store.take_waiting(PUBLISHES_MAX).await?;
    let outgoing = std::mem::take(&mut waiting.outgoing);
    if outgoing.is_empty() {
        return Ok(0);
    }
    let publishes = outgoing.iter().map(async |(id, one)| process.bus.publish(one).await.map(|()| *id));
    let (published, failed): (Vec<_>, Vec<_>) = future::join_all(publishes).await.into_iter().partition(Result::is_ok);
    let published: Vec<_> = published.into_iter().flatten().collect();
    waiting.mark_published(&published).await?;
    match failed.into_iter().find_map(Result::err) {
        Some(error) => Err(error),
        None => Ok(published.len()),
    }
}
