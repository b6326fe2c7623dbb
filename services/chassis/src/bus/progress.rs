//! How far another service is: what it still has to handle, asked of the stream.

use super::Bus;

/// How far a service has come with one kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events in the stream that it has still to handle: those that nobody was given yet, and those in somebody's hands.
    pub open: u64,
    /// Deliveries that are done with, since the consumer was made. Only the difference of two looks means anything.
    pub done: u64,
}

impl Bus {
    /// How far the service is that reads by the durable consumer `name`, whichever service that is.
    ///
    /// # Errors
    /// When there is no such consumer, or the server does not answer or does not permit to ask.
    pub async fn progress(&self, name: &str) -> anyhow::Result<Progress> {
        let subject = format!("$JS.API.CONSUMER.INFO.{}.{name}", proto::event::STREAM);
        let info = self.unless_denied(&subject, self.events.consumer_info(name)).await??;
        let in_hand = info.num_ack_pending as u64;
        Ok(Progress {
            open: info.num_pending + in_hand,
            done: info.delivered.consumer_sequence.saturating_sub(in_hand),
        })
    }
}
