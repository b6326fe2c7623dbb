//! How FailSafe is, for `grpc.health.v1.Health`: each service says it over the bus, and the whole follows from them.

use std::collections::HashMap;
use std::time::Duration;

use chassis::{Process, State};
use futures::future;
use proto::v1::deployment_service_server::SERVICE_NAME;
use tokio::time::MissedTickBehavior;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::SERVICE;

/// The other services, by their names on the bus.
const OTHERS: [&str; 5] = ["ingest", "static-analysis", "ml-scoring", "llm-explainer", "decision"];
/// The service without which the whole still serves: it explains verdicts and never delays one.
const OPTIONAL: &str = "llm-explainer";
/// The name of the whole, by the health protocol.
const WHOLE: &str = "";
/// How often each service is asked.
const EVERY: Duration = Duration::from_secs(2);

/// Asks all services how they are, round by round, and reports it.
pub(crate) struct Rounds {
    process: Process,
    reporter: HealthReporter,
    reported: HashMap<&'static str, State>,
}

impl Rounds {
    pub(crate) fn new(process: Process, reporter: HealthReporter) -> Self {
        Self { process, reporter, reported: HashMap::new() }
    }

    /// Makes one round.
    pub(crate) async fn make(&mut self) {
        let bus = &self.process.bus;
        let mut states: Vec<(&'static str, State)> =
            future::join_all(OTHERS.map(|service| async move { (service, bus.ask_health(service).await) })).await;
        let own = if bus.is_connected() {
            State::Serving
        } else {
            State::NotServing("the connection to NATS is lost".to_owned())
        };
        self.process.health.set(own.clone());
        states.extend([(SERVICE, own.clone()), (SERVICE_NAME, own)]);
        states.push((WHOLE, whole(&states)));
        for (name, state) in states {
            self.report(name, state).await;
        }
    }

    /// Makes rounds until the process is to end; then says so, and ends the streams of those who watch the health.
    pub(crate) async fn keep(mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.process.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.called() => break,
                () = async { ticks.tick().await; self.make().await } => {}
            }
        }
        let stopping = State::NotServing("the gateway is stopping".to_owned());
        self.process.health.set(stopping);
        for name in OTHERS.into_iter().chain([SERVICE, SERVICE_NAME, WHOLE]) {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
            self.reporter.clear_service_status(name).await;
        }
    }

    /// Reports a state, and logs it when it is another than before.
    async fn report(&mut self, name: &'static str, state: State) {
        if self.reported.get(name) == Some(&state) {
            return;
        }
        let status = match state {
            State::Serving => ServingStatus::Serving,
            State::NotServing(_) => ServingStatus::NotServing,
        };
        self.reporter.set_service_status(name, status).await;
        if name != SERVICE_NAME {
            let shown = if name == WHOLE { "FailSafe as a whole" } else { name };
            match &state {
                State::Serving => tracing::info!("{shown} is serving"),
                // At the start the others are still on their way.
                State::NotServing(why) if !self.reported.contains_key(name) => {
                    tracing::info!("{shown} is not serving yet: {why}");
                }
                State::NotServing(why) => tracing::warn!("{shown} is not serving: {why}"),
            }
        }
        self.reported.insert(name, state);
    }
}

/// The whole serves when all do that it needs.
fn whole(states: &[(&str, State)]) -> State {
    let failing: Vec<&str> = states
        .iter()
        .filter(|(name, state)| *name != OPTIONAL && *name != SERVICE_NAME && *state != State::Serving)
        .map(|(name, _)| *name)
        .collect();
    if failing.is_empty() { State::Serving } else { State::NotServing(format!("without {}", failing.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failing: &[&str], expected: &State) {
        let states: Vec<_> = OTHERS
            .into_iter()
            .chain([SERVICE])
            .map(|name| {
                (name, if failing.contains(&name) { State::NotServing("x".to_owned()) } else { State::Serving })
            })
            .collect();
        assert_eq!(whole(&states), *expected);
    }

    #[test]
    fn the_voice_is_never_in_the_way() {
        check(&[], &State::Serving);
        check(&["llm-explainer"], &State::Serving);
        check(&["decision"], &State::NotServing("without decision".to_owned()));
        check(&["ingest", "llm-explainer", "gateway"], &State::NotServing("without ingest, gateway".to_owned()));
    }
}
