//! Speaking for an analyser that failed for good and could not say so: its signal is then missing at once, not at the deadline.
//!
//! What is said goes into the stream as the analyser's own word would, so that everybody hears it, and a real signal that comes
//! after all goes before it.

use std::time::Duration;

use chassis::{Death, Outgoing, Process};
use domain::{Deployment, Said, Signal, Source};
use proto::Event;

/// What stands where the rules or the model would.
const BASIS: &str = "none";

pub(crate) async fn run(process: &Process) -> anyhow::Result<()> {
    let replace = |death: &Death| signal(death).map(|signal| Outgoing::new(&signal)).into_iter().collect();
    process.bus.replace_deaths("decision-deaths", &process.shutdown, replace).await
}

/// What is said in the place of an analyser that failed on an acceptance; `None` for other deaths. Of the same death the same.
fn signal(death: &Death) -> Option<Signal> {
    let source = Source::from_name(&death.service).filter(|_| death.kind == <Deployment as Event>::KIND)?;
    tracing::warn!(
        service = crate::SERVICE,
        deployment.id = %death.deployment_id,
        signal.source = source.name(),
        "{source} failed for good, so its signal is missing: {}",
        death.why
    );
    Some(Signal {
        deployment_id: death.deployment_id,
        source,
        basis: BASIS.to_owned(),
        producer: crate::SERVICE.to_owned(),
        raised_at: death.at,
        took: Duration::ZERO,
        said: Said::Unavailable { reason: format!("it failed for good: {}", death.why) },
    })
}

#[cfg(test)]
mod tests {
    use domain::{DeploymentId, PullRequest, Repository, Revision};

    use super::*;

    fn death(service: &str, kind: &str) -> Death {
        let repository = Repository::parse("acme/shop").unwrap();
        let revision = Revision::parse("0123456789abcdef").unwrap();
        Death {
            service: service.to_owned(),
            kind: kind.to_owned(),
            deployment_id: DeploymentId::derive(&repository, PullRequest::new(7).unwrap(), &revision),
            why: "no luck".to_owned(),
            at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_an_analyser_that_failed_on_an_acceptance_is_spoken_for() {
        let said = signal(&death("ml-scoring", "deployment.accepted")).unwrap();
        assert_eq!(said.source, Source::MlScoring);
        assert_eq!(said.said, Said::Unavailable { reason: "it failed for good: no luck".to_owned() });
        assert_eq!(signal(&death("ml-scoring", "outcome.recorded")), None);
        assert_eq!(signal(&death("llm-explainer", "verdict.reached")), None);
        assert_eq!(signal(&death("decision-accepted", "deployment.accepted")), None);
    }
}
