//! What waits for a service, asked of the stream now and then and shown as metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::event::{DEAD_STREAM, dead_subject};
use tokio::time::MissedTickBehavior;

use super::{Bus, connect};
use crate::metrics::list::{
    BUILD, DEAD_LETTERS, DEAD_LETTERS_HELD, LAG, READY, REDELIVERED, REDELIVERIES, UNACKNOWLEDGED,
};
use crate::{Health, Shutdown, State};

/// How often the stream is asked.
const EVERY: Duration = Duration::from_secs(5);

/// The names of the consumers that this process reads by.
#[derive(Clone, Debug, Default)]
pub(super) struct Consumers(Arc<Mutex<BTreeSet<&'static str>>>);

impl Consumers {
    pub(super) fn add(&self, name: &'static str) {
        REDELIVERIES.add(0, [name]);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

impl Bus {
    /// Shows how the service is and what waits for it, until `shutdown` is called.
    pub(crate) async fn show(self, health: Health, shutdown: Shutdown) {
        DEAD_LETTERS.add(0, [self.service]);
        BUILD.set(1.0, [self.service, env!("CARGO_PKG_VERSION")]);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = health.changes();
        loop {
            let serves = self.is_connected() && health.state() == State::Serving;
            READY.set(f64::from(u8::from(serves)), [self.service]);
            tokio::select! {
                () = shutdown.called() => return,
                _ = changes.changed() => {}
                _ = ticks.tick() => self.show_waiting().await,
            }
        }
    }

    /// What cannot be told now is told the next time; a bus that is away shows elsewhere.
    async fn show_waiting(&self) {
        for name in self.consumers.all() {
            let Ok(info) = self.events.consumer_info(name).await else { continue };
            LAG.set(info.num_pending as f64, [name]);
            UNACKNOWLEDGED.set(info.num_ack_pending as f64, [name]);
            REDELIVERED.set(info.num_redelivered as f64, [name]);
        }
        let Ok(dead) = self.jetstream.get_stream_no_info(DEAD_STREAM).await else { return };
        let Ok(mut subjects) = dead.info_with_subjects(">").await else { return };
        let mut held = 0;
        while let Some(Ok((subject, count))) = futures::StreamExt::next(&mut subjects).await {
            if self.is_of_ours(&subject) {
                held += count;
            }
        }
        DEAD_LETTERS_HELD.set(held as f64, [self.service]);
    }

    /// Whether what lies among the dead letters on `subject` was given up by this service, or delivered to it in vain.
    fn is_of_ours(&self, subject: &str) -> bool {
        let advised = subject.strip_prefix(connect::ADVISED);
        subject == dead_subject(self.service) || advised.is_some_and(|consumer| is_of(consumer, self.service))
    }
}

/// Whether `consumer` is one of the service's: it is called like it, or like it with a dash behind.
#[must_use]
pub fn is_of(consumer: &str, service: &str) -> bool {
    consumer.strip_prefix(service).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_consumer_belongs_to_the_service_it_is_called_after() {
        assert!(is_of("decision-signal", "decision") && is_of("ingest", "ingest"));
        assert!(!is_of("decisions", "decision") && !is_of("ingest", "decision"));
    }
}
