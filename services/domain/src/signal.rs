//! A signal: what one analyser says about one deployment.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use crate::identity::{DeploymentId, EventId};

/// What one analyser says about one deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// About which deployment.
    pub deployment_id: DeploymentId,
    /// Which analyser speaks.
    pub source: Source,
    /// What its judgement rests on: the digest of the rule pack, or the version of the model.
    pub basis: String,
    /// The analyser's own version.
    pub producer: String,
    /// When it spoke.
    pub raised_at: OffsetDateTime,
    /// How long it took.
    pub took: Duration,
    /// What it says.
    pub said: Said,
}

impl Signal {
    /// The kind of event that carries a signal.
    pub const KIND: &'static str = "signal.raised";

    /// The id of the event that carries this signal: the same analyser on the same basis says the same, so it makes the same id.
    /// That it is unavailable is told apart, so that a later success is not taken for a repetition.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        let available = if matches!(self.said, Said::Unavailable { .. }) { "unavailable" } else { "available" };
        let parts = [self.source.name(), &self.producer, &self.basis, available];
        EventId::derive(Self::KIND, self.deployment_id, &parts)
    }
}

/// The analysers whose signals a verdict waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The Law.
    StaticAnalysis,
    /// The Intuition.
    MlScoring,
}

impl Source {
    /// All of them, in order.
    pub const ALL: [Self; 2] = [Self::StaticAnalysis, Self::MlScoring];

    /// Its name, which is the service's: `static-analysis`, `ml-scoring`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaticAnalysis => "static-analysis",
            Self::MlScoring => "ml-scoring",
        }
    }

    /// The source of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an analyser says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What static analysis found.
    Findings(Analysis),
    /// What the model expects.
    Risk(RiskScore),
    /// The analyser gave up: nobody needs to wait for it.
    Unavailable {
        /// Why, in one sentence.
        reason: String,
    },
}

/// What static analysis found in a diff.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// The findings: those that count first, and among them the most severe.
    pub findings: Vec<Finding>,
    /// How many further findings were left out because of the limit; they were not more severe than those kept.
    pub findings_dropped: u32,
    /// Files looked at.
    pub files_scanned: u32,
    /// Added lines looked at.
    pub lines_scanned: u64,
}

/// One hit of one static rule. Never holds the secret itself: that is redacted where it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `<domain>.<family>.<what>`, such as `secret.aws.access-key`.
    pub rule_id: String,
    /// The rule's title.
    pub title: String,
    /// What sort of rule it is.
    pub category: Category,
    /// How bad it is, if it is true.
    pub severity: Severity,
    /// How sure the rule is.
    pub confidence: Confidence,
    /// File, after the change.
    pub path: String,
    /// Line in the file after the change, from 1; 0 when the finding is about the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 when the finding is about the whole line.
    pub column: u32,
    /// The line around the hit, redacted.
    pub excerpt: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to mend it.
    pub remediation: String,
    /// Common Weakness Enumeration id, such as 798; 0 when none fits.
    pub cwe: u32,
    /// Identifies the finding while lines move: 32 hexadecimal digits.
    pub fingerprint: String,
    /// What would go wrong, across tools and languages: `lock.index_create`, `tf.open-ingress`. Empty when the rule names none.
    pub hazard: String,
    /// Why it does not count, when somebody said so. It is kept and shown all the same.
    pub suppression: Option<Suppression>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Where it was said.
    pub by: SuppressedBy,
    /// The reason given; empty when none was.
    pub reason: String,
}

/// Where it was said that a finding does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuppressedBy {
    /// A comment on the line, or on the one above it.
    Comment,
    /// A path that the settings exclude.
    Path,
    /// A baseline of known findings.
    Baseline,
}

impl SuppressedBy {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Comment, Self::Path, Self::Baseline];

    /// Its name, such as `baseline`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Path => "path",
            Self::Baseline => "baseline",
        }
    }
}

/// What sort of rule a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Credentials in the code.
    Secret,
    /// Database migrations.
    Migration,
    /// Containers, clusters, clouds and pipelines.
    Infrastructure,
    /// Code and operations.
    Code,
}

impl Category {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Migration, Self::Infrastructure, Self::Code];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Migration => "migration",
            Self::Infrastructure => "infrastructure",
            Self::Code => "code",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad a finding is, if it is true. Ordered: `Critical` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth mending some day.
    Low,
    /// Worth a look before the deployment.
    Medium,
    /// Likely to hurt.
    High,
    /// Certain to hurt.
    Critical,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How sure a rule is of its finding. Ordered: `High` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A guess worth a look.
    Low,
    /// More likely right than wrong.
    Medium,
    /// The form itself is proof.
    High,
}

impl Confidence {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A calibrated probability of failure, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Risk(f64);

impl Risk {
    /// `probability` as a risk.
    ///
    /// # Errors
    /// A sentence that gives the range, when `probability` lies outside 0..1 or is not a number.
    pub fn new(probability: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&probability) {
            Ok(Self(probability))
        } else {
            Err(format!("must be a probability between 0 and 1, not {probability}"))
        }
    }

    /// The probability, 0 to 1.
    #[must_use]
    pub const fn probability(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.0 * 100.0)
    }
}

/// What the model expects of a deployment, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskScore {
    /// The probability that it fails.
    pub risk: Risk,
    /// Log-odds of the typical deployment, from which the contributions count: of the repository's latest deployments where there
    /// is a rank, else of the training data.
    pub base_log_odds: f64,
    /// What each feature adds to the log-odds, the strongest first. With `base_log_odds` they sum to the log-odds of `risk`.
    pub contributions: Vec<Contribution>,
    /// Features that were not known for this deployment.
    pub unknown: Vec<Cow<'static, str>>,
    /// What the model was trained on, in one sentence.
    pub provenance: String,
    /// What the score rests on, in numbers; `None` in scores of early versions.
    pub grounds: Option<Grounds>,
    /// How many times the repository's own rate of failures the risk is; `None` when the repository's past is not known.
    pub lift: Option<f64>,
    /// What a candidate in the model's shadow expects. It is stored to be compared later, and never used.
    pub shadow: Option<Shadow>,
    /// Where the risk stands among those of the repository's latest deployments; `None` as long as these are few.
    pub rank: Option<Rank>,
}

/// What a model expects that is tried beside the one that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// Its version and digest.
    pub basis: String,
    /// The probability of failure that it gives.
    pub risk: Risk,
}

/// Where a risk stands among others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// The share of the others that are less risky, 0 to 1; those that are as risky count half.
    pub percentile: f64,
    /// How many others there are.
    pub among: u32,
}

/// What a score rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grounds {
    /// Where the model's knowledge comes from.
    pub provenance: Provenance,
    /// Deployments with a known outcome that the model learnt from.
    pub outcomes: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Deployments with about this risk that the model was tried on and had not learnt from.
    pub alike: u64,
    /// Of these, how many failed.
    pub alike_failures: u64,
    /// The least and the most that the share of failures among such deployments may be, with 95 % confidence.
    pub interval: (Risk, Risk),
}

/// Where a model's knowledge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// Chosen by people and not measured: a scenario's coefficients.
    SyntheticPrior,
    /// A scenario that recorded outcomes have begun to correct.
    Blended,
    /// Learnt from recorded outcomes alone.
    Learned,
}

impl Provenance {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::SyntheticPrior, Self::Blended, Self::Learned];

    /// Its name, such as `synthetic-prior`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyntheticPrior => "synthetic-prior",
            Self::Blended => "blended",
            Self::Learned => "learned",
        }
    }
}

/// What one feature adds to a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The feature's name.
    pub feature: Cow<'static, str>,
    /// Its value; `None` when unknown.
    pub value: Option<f64>,
    /// What it adds to the log-odds; positive raises the risk.
    pub log_odds: f64,
    /// The same in words: "touches 50 files".
    pub words: Cow<'static, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_risk_is_a_probability() {
        assert!(Risk::new(0.0).is_ok() && Risk::new(1.0).is_ok());
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Risk::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_late_success_is_another_event_than_the_failure_before_it() {
        let failed = Signal {
            deployment_id: DeploymentId::from_uuid(uuid::Uuid::nil()),
            source: Source::MlScoring,
            basis: "1".to_owned(),
            producer: "0.1.0".to_owned(),
            raised_at: OffsetDateTime::UNIX_EPOCH,
            took: Duration::ZERO,
            said: Said::Unavailable { reason: "out of memory".to_owned() },
        };
        let again = Signal { raised_at: failed.raised_at + Duration::from_secs(9), ..failed.clone() };
        let succeeded = Signal { said: Said::Findings(Analysis::default()), ..failed.clone() };
        assert_eq!(failed.event_id(), again.event_id());
        assert_ne!(failed.event_id(), succeeded.event_id());
    }
}
