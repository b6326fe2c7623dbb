//! The Law: hard violations in a diff.
//!
//! Consumes accepted deployments, publishes signals with the findings of the rules. Looks at the lines of the diff and at
//! nothing else; what the findings mean for the deployment is the decision's business.

pub mod config;
pub mod engine;
mod index;
mod kept;
mod keywords;
mod new_side;
pub mod own;
mod page;
mod paths;
mod redact;
pub mod rules;
mod source;
mod suppress;
pub mod trial;
mod windows;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chassis::{Bus, ConsumerSpec, Failure, Handler, Outgoing, Process, State};
use domain::{Analysis, Deployment, Said, Signal, Source};
use time::OffsetDateTime;

pub use config::Config;
pub use engine::Law;
pub use own::Own;
pub use page::page;

/// The service's name.
pub const SERVICE: &str = Source::StaticAnalysis.name();

/// Judges deployments until the process is to end.
///
/// # Errors
/// When a setting is wrong, or the bus cannot be used.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(config.in_flight_max > 0, "static_analysis.in_flight_max must be at least 1");
    let law = Law::new(&config).map_err(|error| anyhow!("static_analysis.{error}"))?;
    let rules = law.rules().len();
    tracing::info!(rules, basis = law.digest(), "judging by {rules} rules");
    let spec = ConsumerSpec {
        name: SERVICE,
        backoff: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
        deliveries_max: 5,
        in_flight_max: config.in_flight_max,
    };
    let judging = Judging { law: Arc::new(law), bus: process.bus.clone() };
    process.health.set(State::Serving);
    process.bus.serve(spec, judging, &process.shutdown).await
}

/// Bytes of a diff that is judged where it arrived: it takes a fraction of a millisecond, and waking another thread costs some of that.
const JUDGED_AT_ONCE_BYTES: usize = 32 << 10;

/// Judges deployments by one law.
struct Judging {
    law: Arc<Law>,
    bus: Bus,
}

impl Handler for Judging {
    type In = Deployment;

    async fn handle(&self, deployment: Deployment) -> Result<Vec<Outgoing>, Failure> {
        let change = &deployment.change;
        let diff = change.diff.as_ref().ok_or_else(|| Failure::Reject(anyhow!("the acceptance carries no diff")))?;
        let text = self.bus.load_diff(diff, &change.digest).await?;
        let started = Instant::now();
        let analysis = self.judge(text).await?;
        tracing::info!(
            deployment.id = %deployment.id,
            findings = analysis.findings.len(),
            lines = analysis.lines_scanned,
            "judged deployment {}: {} findings in {} files",
            deployment.id,
            analysis.findings.len(),
            analysis.files_scanned
        );
        let signal = signal(&self.law, &deployment, Said::Findings(analysis), started.elapsed());
        Ok(vec![Outgoing::new(&signal)])
    }

    fn give_up(&self, deployment: &Deployment, error: &str) -> Vec<Outgoing> {
        let said = Said::Unavailable { reason: error.to_owned() };
        vec![Outgoing::new(&signal(&self.law, deployment, said, Duration::ZERO))]
    }
}

impl Judging {
    /// What the law says about the diff; a long one is read off this thread, so that the bus can go on telling that it is being worked on.
    async fn judge(&self, text: String) -> Result<Analysis, Failure> {
        let judged = if text.len() <= JUDGED_AT_ONCE_BYTES {
            std::panic::catch_unwind(AssertUnwindSafe(|| judge(&self.law, &text))).map_err(drop)
        } else {
            let law = Arc::clone(&self.law);
            tokio::task::spawn_blocking(move || judge(&law, &text)).await.map_err(drop)
        };
        // What a panic says may quote the diff: it goes no further.
        judged.map_err(|()| Failure::Reject(anyhow!("a rule failed on this diff")))?
    }
}

/// What the law says about the diff. A diff that cannot be read is never one without findings.
fn judge(law: &Law, text: &str) -> Result<Analysis, Failure> {
    let diff = domain::diff::parse(text).context("the diff cannot be read").map_err(Failure::Reject)?;
    Ok(law.scan(&diff))
}

fn signal(law: &Law, deployment: &Deployment, said: Said, took: Duration) -> Signal {
    Signal {
        deployment_id: deployment.id,
        source: Source::StaticAnalysis,
        basis: law.digest().to_owned(),
        producer: env!("CARGO_PKG_VERSION").to_owned(),
        raised_at: OffsetDateTime::now_utc(),
        took,
        said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_judged_and_a_text_that_is_none_is_refused() {
        let law = Law::new(&Config::default()).unwrap();
        let diff = "diff --git a/db/migrations/7_a.up.sql b/db/migrations/7_a.up.sql\nnew file mode 100644\n--- /dev/null\n\
                    +++ b/db/migrations/7_a.up.sql\n@@ -0,0 +1,2 @@\n+DROP TABLE a;\n+DROP TABLE b;\n";
        let analysis = judge(&law, diff).unwrap();
        let ids: Vec<_> = analysis.findings.iter().map(|finding| (finding.rule_id.as_str(), finding.line)).collect();
        let (table, rollback) = ("migration.sql.drop-table", "migration.rollback.missing");
        let (wait, work, second) =
            ("migration.timeout.lock", "migration.timeout.statement", "migration.rewrite.under-lock");
        assert_eq!(ids, [(rollback, 1), (table, 1), (table, 2), (wait, 1), (work, 1), (second, 2)]);
        assert_eq!((analysis.files_scanned, analysis.lines_scanned, analysis.findings_dropped), (1, 2, 0));
        assert!(matches!(judge(&law, "no diff"), Err(Failure::Reject(_))));
        assert!(matches!(judge(&law, &diff.replace("+1,2", "+1,3")), Err(Failure::Reject(_))));
    }
}
