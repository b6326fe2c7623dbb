//! The Intuition: the probability that a deployment fails.
//!
//! Consumes accepted deployments, publishes signals with a calibrated risk and what each feature adds to it; follows accepted
//! deployments and outcomes to know each repository's history. Looks at what would change and at the past; never at the lines
//! of the diff, which are the Law's.

pub mod calibration;
pub mod config;
pub mod evaluation;
pub mod features;
pub mod history;
pub mod kept;
pub mod metrics;
pub mod model;
pub mod peers;
pub mod published;
pub mod recorded;
pub mod retrain;
pub mod rows;
pub mod score;
pub mod synthetic;
pub mod train;
mod watched;

#[cfg(test)]
mod samples;

use std::time::{Duration, Instant};

use anyhow::Context;

use chassis::{ConsumerSpec, Failure, Handler, Outgoing, Process, State};
use domain::{Deployment, Said, Shadow, Signal, Source};
use time::OffsetDateTime;

pub use config::Config;
pub use evaluation::evaluate;
pub use features::{Features, Measures};
use kept::Histories;
pub use model::{Model, basis};
use published::{Models, Now};
pub use score::{risk, score};
pub use train::{blend, train};
use watched::Watched;

/// The service's name.
pub const SERVICE: &str = Source::MlScoring.name();

/// How long to wait at the start until the histories are read.
const HISTORY_PATIENCE: Duration = Duration::from_secs(30);

/// Scores deployments until the process is to end.
///
/// # Errors
/// When the model cannot be used, or the bus cannot be.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(config.in_flight_max > 0, "ml_scoring.in_flight_max must be at least 1");
    anyhow::ensure!(config.changes_max > 0, "ml_scoring.changes_max must be at least 1");
    let utc_offset = config.utc_offset()?;
    let model = config.model()?;
    tracing::info!(model = model.basis(), "scoring with a model that was {}", model.file().provenance);
    let (models, histories) = (Models::new(model), Histories::new(utc_offset, config.changes_max));
    tokio::spawn(models.clone().follow(process.bus.clone(), process.shutdown.clone()));
    if let Some(hours) = config.retrain_every_hours {
        anyhow::ensure!(hours > 0, "ml_scoring.retrain_every_hours must be at least 1");
        let every = Duration::from_secs(3600 * hours);
        let (models, histories) = (models.clone(), histories.clone());
        tokio::spawn(retrain::by_the_clock(every, models, histories, process.bus.clone(), process.shutdown.clone()));
    }
    let keeping = tokio::spawn(histories.clone().keep(process.bus.clone(), process.shutdown.clone()));
    tokio::select! {
        () = histories.caught_up() => {}
        () = tokio::time::sleep(HISTORY_PATIENCE) => {
            tracing::warn!("repositories' histories are not read yet: what is not known of the past is scored as unknown");
        }
        () = process.shutdown.called() => {}
    }
    let spec = ConsumerSpec {
        name: SERVICE,
        backoff: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
        deliveries_max: 5,
        in_flight_max: config.in_flight_max,
    };
    process.health.set(State::Serving);
    process.bus.serve(spec, Scoring::new(models, histories), &process.shutdown).await?;
    // It writes down what was not written yet.
    keeping.await.context("keeping the histories")
}

/// Scores deployments.
struct Scoring {
    models: Models,
    histories: Histories,
    watched: Watched,
}

impl Scoring {
    fn new(models: Models, histories: Histories) -> Self {
        let Now { champion, shadow } = models.now();
        watched::show("champion", None, Some(&champion));
        watched::show("shadow", None, shadow.as_deref());
        Self { models, histories, watched: Watched::default() }
    }

    fn signal(&self, model: &Model, deployment: &Deployment, said: Said, took: Duration) -> Signal {
        Signal {
            deployment_id: deployment.id,
            source: Source::MlScoring,
            basis: model.basis().to_owned(),
            producer: env!("CARGO_PKG_VERSION").to_owned(),
            raised_at: OffsetDateTime::now_utc(),
            took,
            said,
        }
    }
}

impl Handler for Scoring {
    type In = Deployment;

    async fn handle(&self, deployment: Deployment) -> Result<Vec<Outgoing>, Failure> {
        let started = Instant::now();
        let Now { champion, shadow } = self.models.now();
        let (features, peers) = self.histories.look(&deployment, &champion);
        let mut score = score(&champion, &features, peers.as_ref());
        self.watched.scored(&champion, features.clone(), score.risk.probability());
        score.shadow = shadow.map(|model| Shadow { basis: model.basis().to_owned(), risk: risk(&model, &features) });
        tracing::info!(
            deployment.id = %deployment.id,
            risk = score.risk.probability(),
            unknown = score.unknown.len(),
            "scored deployment {}: {}",
            deployment.id,
            score.risk
        );
        Ok(vec![Outgoing::new(&self.signal(&champion, &deployment, Said::Risk(score), started.elapsed()))])
    }

    fn give_up(&self, deployment: &Deployment, error: &str) -> Vec<Outgoing> {
        let said = Said::Unavailable { reason: error.to_owned() };
        vec![Outgoing::new(&self.signal(&self.models.now().champion, deployment, said, Duration::ZERO))]
    }
}

#[cfg(test)]
mod tests {
    use domain::FileChangeKind;
    use time::macros::{datetime, offset};

    use super::*;

    fn deployment() -> Deployment {
        samples::deployment(vec![samples::file("src/a.rs", FileChangeKind::Modified, 20, 3)])
    }

    fn scoring(model: Model) -> Scoring {
        Scoring::new(Models::new(model), Histories::new(offset!(+2), 1_000))
    }

    #[track_caller]
    fn only_signal(outgoing: &[Outgoing]) -> Signal {
        assert_eq!(outgoing.len(), 1);
        assert_eq!(outgoing[0].subject, format!("failsafe.v1.signal.raised.{}", deployment().id));
        proto::decode(None, &outgoing[0].body).unwrap()
    }

    #[tokio::test]
    async fn an_accepted_deployment_leads_to_a_signal_with_its_risk() {
        let scoring = scoring(Model::shipped());
        let first = scoring.handle(deployment()).await.unwrap();
        let signal = only_signal(&first);
        assert_eq!((signal.source, signal.basis.as_str()), (Source::MlScoring, Model::shipped().basis()));
        let expected = score(&Model::shipped(), &Features::of(&Measures::of(&deployment())), None);
        assert_eq!(signal.said, Said::Risk(expected));
        let again = scoring.handle(deployment()).await.unwrap();
        assert_eq!(first[0].message_id, again[0].message_id);
    }

    #[tokio::test]
    async fn a_scenario_looks_at_the_clock_of_the_service() {
        let scoring = scoring(synthetic::model("demo-seed-1").unwrap());
        let mut deployment = deployment();
        deployment.accepted_at = datetime!(2026-11-20 10:30 UTC);
        for (deploy_at, expected) in [(None, 1.1), (Some(datetime!(2026-11-19 10:30 UTC)), 0.0)] {
            deployment.deploy_at = deploy_at;
            let outgoing = scoring.handle(deployment.clone()).await.unwrap();
            let Said::Risk(score) = only_signal(&outgoing).said else { panic!("no risk") };
            let friday = score.contributions.iter().find(|c| c.feature == "friday_afternoon").unwrap();
            assert!((friday.log_odds - expected).abs() < 1e-9, "{friday:?}");
        }
    }

    #[test]
    fn who_gives_up_says_so() {
        let signal = only_signal(&scoring(Model::shipped()).give_up(&deployment(), "no luck"));
        assert_eq!(signal.said, Said::Unavailable { reason: "no luck".to_owned() });
    }
}
