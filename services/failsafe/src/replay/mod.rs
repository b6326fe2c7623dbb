//! `failsafe replay`: stored deployments decided again by another policy, another model or newer rules, and what would change.

mod json;
mod page;
mod text;

use std::borrow::Cow;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use decision::policy::{Inputs, Policy};
use decision::store::{Audit, DecidedBefore};
use domain::{DeploymentId, DiffReference, Reached, Reason, Said, Signal, Source, Verdict};
use ml_scoring::Model;
use static_analysis::Law;
use time::OffsetDateTime;

use crate::cli;
use crate::progress::Progress;
use crate::terminal::{Style, answer};

/// Most deployments of each kind of change that are listed.
const LISTED_MAX: usize = 20;

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    policy: String,
    deployments: u64,
    /// By the verdict that was and the one that would be, both in the order of [`Verdict::ALL`].
    changes: [[u64; 3]; 3],
    /// Deployments that became stricter, and milder, the first few of each.
    stricter: Vec<Changed>,
    milder: Vec<Changed>,
    /// What could not be done from stored facts alone, with how many deployments.
    kept_as_stored: Vec<(String, u64)>,
    before: Gate,
    after: Gate,
    /// Of each deployment with a known outcome: the risk, and whether it failed.
    risks: Vec<(f64, bool)>,
}

/// One deployment that would be decided otherwise.
#[derive(Debug)]
struct Changed {
    name: String,
    id: String,
    before: Verdict,
    after: Verdict,
    why: String,
    failed: Option<bool>,
}

/// How many a policy holds up: the industry's own table, failures captured against deployments gated.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    gated: u64,
    failures_gated: u64,
    good_gated: u64,
    failures: u64,
    good: u64,
}

impl Gate {
    fn count(&mut self, verdict: Verdict, failed: Option<bool>) {
        let gated = u64::from(verdict > Verdict::Allow);
        self.gated += gated;
        match failed {
            Some(true) => {
                self.failures += 1;
                self.failures_gated += gated;
            }
            Some(false) => {
                self.good += 1;
                self.good_gated += gated;
            }
            None => {}
        }
    }
}

impl Gate {
    /// How many of `all` deployments are held up, failures captured, and good ones held up, each with its share.
    fn told(&self, all: u64) -> [String; 3] {
        let parts = [(self.gated, all), (self.failures_gated, self.failures), (self.good_gated, self.good)];
        parts.map(|(part, whole)| format!("{part} of {whole} ({})", share(part, whole)))
    }
}

/// `12.5 %`.
#[expect(clippy::cast_precision_loss, reason = "shares are told to a tenth of a per cent")]
fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

/// What replaces the stored signals.
struct Instead {
    policy: Policy,
    model: Option<Model>,
    law: Option<Law>,
    /// Take what the candidate in the shadow said instead.
    shadow: bool,
}

/// Decides again, and prints what would change.
pub(crate) async fn run(options: &cli::Replay) -> anyhow::Result<ExitCode> {
    let instead = Instead {
        policy: options.policy.as_deref().map(crate::policy::read).transpose()?.unwrap_or_default(),
        model: options.model.as_deref().map(read_model).transpose()?,
        law: options.reanalyse.then(law).transpose()?,
        shadow: options.shadow,
    };
    let audit = Audit::connect(&options.database.url()?).await?;
    let until = options.until.unwrap_or_else(OffsetDateTime::now_utc);
    let mut progress = Progress::start("deployments");
    progress.say("deciding again");
    let mut tally = Tally::default();
    if !options.shadow {
        tally.policy.clone_from(&instead.policy.stamp().version);
    }
    let with_diffs = instead.law.is_some();
    let counted = audit
        .decided((options.since, until), with_diffs, |before| {
            tally.count(&instead, before);
            progress.step(usize::try_from(tally.deployments).unwrap_or(usize::MAX));
            Ok(())
        })
        .await;
    progress.end();
    counted.context("cannot read the stored deployments")?;
    let mut words = text::report(&tally, Style::of_stdout());
    if let Some(path) = &options.html {
        std::fs::write(path, page::page(&tally)).with_context(|| format!("cannot write {}", path.display()))?;
        words.push_str(&format!("\nthe report is in {}", path.display()));
    }
    answer(options.output, &words, &json::report(&tally));
    Ok(ExitCode::SUCCESS)
}

fn read_model(path: &std::path::Path) -> anyhow::Result<Model> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Model::parse(&text).with_context(|| format!("{} is not a model", path.display()))
}

fn law() -> anyhow::Result<Law> {
    Law::new(&static_analysis::Config::default()).map_err(|error| anyhow!(error))
}

impl Tally {
    fn count(&mut self, instead: &Instead, before: DecidedBefore) {
        let DecidedBefore { deployment_id, reached, policy_verdict, diff, failed, shadow } = before;
        if instead.shadow {
            // Verdicts that no candidate was asked about say nothing of one.
            let Some((version, judgement)) = shadow else { return };
            self.policy = version;
            let said = (judgement.policy_verdict(), judgement.reasons);
            return self.file(deployment_id, &reached, policy_verdict, said, failed, &reached.signals);
        }
        let signals: Vec<Signal> =
            reached.signals.iter().map(|signal| self.replaced(instead, signal, diff.as_ref()).into_owned()).collect();
        let said = instead.policy.rules_say(Inputs {
            deployment: reached.deployment.as_ref(),
            signals: &signals,
            reviews: &[],
            evidence_digest: &reached.evidence_digest,
            circumstances: &reached.circumstances,
            at: reached.reached_at,
        });
        self.file(deployment_id, &reached, policy_verdict, said, failed, &signals);
    }

    /// Counts one deployment, and lists it if it would be decided otherwise.
    fn file(
        &mut self,
        deployment_id: DeploymentId,
        reached: &Reached,
        policy_verdict: Verdict,
        (after, reasons): (Verdict, Vec<Reason>),
        failed: Option<bool>,
        signals: &[Signal],
    ) {
        self.deployments += 1;
        self.changes[policy_verdict as usize][after as usize] += 1;
        self.before.count(policy_verdict, failed);
        self.after.count(after, failed);
        let risk = signals.iter().find_map(|signal| match &signal.said {
            Said::Risk(score) => Some(score.risk.probability()),
            _ => None,
        });
        self.risks.extend(risk.zip(failed));
        let list = match after.cmp(&policy_verdict) {
            std::cmp::Ordering::Greater => &mut self.stricter,
            std::cmp::Ordering::Less => &mut self.milder,
            std::cmp::Ordering::Equal => return,
        };
        if list.len() < LISTED_MAX {
            let name = reached.deployment.as_ref();
            list.push(Changed {
                name: name.map_or_else(String::new, |d| format!("{} #{}", d.repository, d.pull_request)),
                id: deployment_id.to_string(),
                before: policy_verdict,
                after,
                why: reasons.first().map(|reason| reason.message.clone()).unwrap_or_default(),
                failed,
            });
        }
    }

    /// The signal as it would be now; the stored one, counted with the reason, where that cannot be had from stored facts.
    fn replaced<'a>(&mut self, instead: &Instead, signal: &'a Signal, diff: Option<&DiffReference>) -> Cow<'a, Signal> {
        let said = match (&signal.said, signal.source) {
            (Said::Risk(score), Source::MlScoring) => match &instead.model {
                None => return Cow::Borrowed(signal),
                Some(model) => ml_scoring::score::rescored(model, score)
                    .map(|score| (Said::Risk(score), model.basis().to_owned()))
                    .map_err(|feature| format!("the stored score lacks the feature {feature}: its risk is taken")),
            },
            (_, Source::StaticAnalysis) => match (&instead.law, diff) {
                (None, _) => return Cow::Borrowed(signal),
                (Some(law), Some(DiffReference::Inline(text))) => domain::diff::parse(text)
                    .map(|diff| (Said::Findings(law.scan(&diff)), law.digest().to_owned()))
                    .map_err(|_| "the stored diff cannot be read any more: its findings are taken".to_owned()),
                (Some(_), Some(DiffReference::Stored { .. })) => {
                    Err("the diff lies in the object store, not in the trail: its findings are taken".to_owned())
                }
                (Some(_), None) => Err("no diff is stored: its findings are taken".to_owned()),
            },
            _ => return Cow::Borrowed(signal),
        };
        match said {
            Ok((said, basis)) => Cow::Owned(Signal { said, basis, ..signal.clone() }),
            Err(why) => {
                match self.kept_as_stored.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, count)) => *count += 1,
                    None => self.kept_as_stored.push((why, 1)),
                }
                Cow::Borrowed(signal)
            }
        }
    }

    fn changed(&self) -> u64 {
        self.deployments - (0..3).map(|index| self.changes[index][index]).sum::<u64>()
    }
}
