//! The relay: brings verdicts into the stream, right after they were stored, and whatever else waits in the outbox: what a replica left
//! behind that died before, or what could not be published.

use std::time::Duration;

use chassis::{Outgoing, Process};
use futures::future;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::SERVICE;
use crate::store::Store;

/// Verdicts that are stored, each with the id of its event.
type Lot = Vec<(Uuid, Outgoing)>;

/// Most verdicts published at once.
const PUBLISHES_MAX: usize = 256;
/// How often the outbox is looked into.
const POLL: Duration = Duration::from_millis(500);
/// What was stored so long ago and waits still was left behind.
const LEFT_AFTER: Duration = Duration::from_secs(1);
/// Most lots that wait for the relay in memory; it finds what is beyond in the outbox.
const LOTS_MAX: usize = 64;

/// Hands verdicts to the relay of this process.
#[derive(Clone, Debug)]
pub(crate) struct Fresh(Sender<Lot>);

/// What the relay is handed.
pub(crate) type Handed = Receiver<Lot>;

/// Both ends.
pub(crate) fn channel() -> (Fresh, Handed) {
    let (sender, receiver) = mpsc::channel(LOTS_MAX);
    (Fresh(sender), receiver)
}

impl Fresh {
    /// These were stored.
    pub(crate) fn call(&self, lot: Lot) {
        // What there is no room for is found in the outbox.
        let _ = self.0.try_send(lot);
    }
}

/// Goes on until all who hand it verdicts have ended, and then empties the outbox, so that what was decided last does not wait for the
/// next start.
pub(crate) async fn run(process: &Process, store: &Store, mut handed: Handed) -> anyhow::Result<()> {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_full, mut ends) = (false, false);
    loop {
        let mut lot = Lot::new();
        if !is_full && !ends {
            tokio::select! {
                first = handed.recv() => match first {
                    Some(first) => lot = first,
                    None => ends = true,
                },
                _ = poll.tick() => {}
            }
        }
        while lot.len() < PUBLISHES_MAX
            && let Ok(more) = handed.try_recv()
        {
            lot.extend(more);
        }
        let age = if ends { Duration::ZERO } else { LEFT_AFTER };
        let relayed =
            if lot.is_empty() { relay_waiting(process, store, age).await } else { relay(process, store, lot).await };
        is_full = matches!(relayed, Ok(PUBLISHES_MAX..));
        match relayed {
            Ok(0) if ends => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(service = SERVICE, "cannot publish verdicts, trying again: {error:#}");
                if ends {
                    return Ok(());
                }
            }
        }
    }
}

/// Publishes what was just stored; gives how many.
async fn relay(process: &Process, store: &Store, lot: Lot) -> anyhow::Result<usize> {
    let (published, failed) = publish(process, &lot).await;
    store.take_out(&published).await?;
    failed.map_or(Ok(published.len()), Err)
}

/// Publishes what waits in the outbox since then; gives how many.
async fn relay_waiting(process: &Process, store: &Store, age: Duration) -> anyhow::Result<usize> {
    let mut waiting = store.take_waiting(i64::try_from(PUBLISHES_MAX)?, age).await?;
    let outgoing = std::mem::take(&mut waiting.outgoing);
    if outgoing.is_empty() {
        return Ok(0);
    }
    let (published, failed) = publish(process, &outgoing).await;
    waiting.take_out(&published).await?;
    failed.map_or(Ok(published.len()), Err)
}

/// Publishes all at once; gives those that the stream has, and what failed first of the others.
async fn publish(process: &Process, lot: &Lot) -> (Vec<Uuid>, Option<anyhow::Error>) {
    let publishes = lot.iter().map(async |(id, one)| process.bus.publish(one).await.map(|()| *id));
    let (published, failed): (Vec<_>, Vec<_>) = future::join_all(publishes).await.into_iter().partition(Result::is_ok);
    (published.into_iter().flatten().collect(), failed.into_iter().find_map(Result::err))
}
