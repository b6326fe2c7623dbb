//! The judgement: which verdict the signals of a deployment deserve, and why.
//!
//! Pure: the same policy and the same inputs give the same judgement, byte for byte, on any machine at any time.

use std::collections::BTreeMap;

use domain::identity::sha256_hex;
use domain::{
    Analysis, Evidence, Finding, Judgement, Missing, MissingInput, PolicyStamp, Reason, RiskScore, Said, Severity,
    Signal, Source, Verdict,
};
use serde::{Deserialize, Serialize};

/// `[decision.policy]`: what blocks, and what a person must look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The team's own name for this state of the policy.
    pub version: String,
    /// Findings of this severity or above block.
    pub block_severity: Level,
    /// Findings of this severity or above need a review.
    pub review_severity: Level,
    /// A risk of this probability or above blocks, 0 to 1. Above 1 never does.
    pub block_risk: f64,
    /// A risk of this probability or above needs a review, 0 to 1. Above 1 never does.
    pub review_risk: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: "default-1".to_owned(),
            block_severity: Level::High,
            review_severity: Level::Medium,
            block_risk: 0.5,
            review_risk: 0.04,
        }
    }
}

/// A severity in the settings; `never` lies above them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// [`Severity::Info`].
    Info,
    /// [`Severity::Low`].
    Low,
    /// [`Severity::Medium`].
    Medium,
    /// [`Severity::High`].
    High,
    /// [`Severity::Critical`].
    Critical,
    /// No severity reaches it.
    Never,
}

impl Level {
    fn reached_by(self, severity: Severity) -> bool {
        let least = match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
            Self::Never => return false,
        };
        severity >= least
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Never => "never",
        }
    }
}

/// Why an input is missing of which nothing was heard.
const NOTHING_HEARD: &str = "nothing was heard of it before the deadline";

/// What a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Whether the acceptance is here.
    pub accepted: bool,
    /// The signals that are here, at most one of each source.
    pub signals: &'a [Signal],
}

impl Inputs<'_> {
    /// Whether all that is expected is here. An analyser that says that it gave up is not waited for.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.accepted && Source::ALL.iter().all(|source| self.signal(*source).is_some())
    }

    fn signal(&self, source: Source) -> Option<&Signal> {
        self.signals.iter().find(|signal| signal.source == source)
    }

    fn missing(&self) -> Vec<Missing> {
        let acceptance =
            (!self.accepted).then(|| Missing { input: MissingInput::Acceptance, why: NOTHING_HEARD.to_owned() });
        let signals = Source::ALL.into_iter().filter_map(|source| {
            let why = match self.signal(source).map(|signal| &signal.said) {
                None => NOTHING_HEARD.to_owned(),
                Some(Said::Unavailable { reason }) => format!("it gave up: {reason}"),
                Some(Said::Findings(_)) if source == Source::StaticAnalysis => return None,
                Some(Said::Risk(_)) if source == Source::MlScoring => return None,
                Some(_) => "it said something that is not its to say".to_owned(),
            };
            Some(Missing { input: MissingInput::Signal(source), why })
        });
        acceptance.into_iter().chain(signals).collect()
    }

    fn analysis(&self) -> Option<&Analysis> {
        match &self.signal(Source::StaticAnalysis)?.said {
            Said::Findings(analysis) => Some(analysis),
            _ => None,
        }
    }

    fn score(&self) -> Option<(&Signal, &RiskScore)> {
        let signal = self.signal(Source::MlScoring)?;
        match &signal.said {
            Said::Risk(score) => Some((signal, score)),
            _ => None,
        }
    }
}

impl Policy {
    /// Checks what the settings' types cannot.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        for (key, value) in [("block_risk", self.block_risk), ("review_risk", self.review_risk)] {
            anyhow::ensure!(value >= 0.0, "decision.policy.{key} must be a probability from 0, not {value}");
        }
        Ok(())
    }

    /// The canonical text: what is stored, and what the digest is of.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a policy has only plain fields")
    }

    /// A canonical text turned back.
    ///
    /// # Errors
    /// When the text is not of a policy that this version knows.
    pub fn from_text(text: &str) -> anyhow::Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// Its version and digest.
    #[must_use]
    pub fn stamp(&self) -> PolicyStamp {
        PolicyStamp { version: self.version.clone(), digest: sha256_hex(self.text().as_bytes()) }
    }

    /// Judges `inputs`. The verdict is the worst that any reason asks for, and never ALLOW while something is missing.
    #[must_use]
    pub fn judge(&self, inputs: Inputs<'_>) -> Judgement {
        let missing = inputs.missing();
        let mut reasons: Vec<Reason> = missing.iter().map(missing_reason).collect();
        if let Some(analysis) = inputs.analysis() {
            reasons.extend(self.finding_reasons(analysis));
        }
        if let Some((signal, score)) = inputs.score() {
            reasons.extend(self.risk_reason(signal, score));
        }
        if reasons.is_empty() {
            reasons.push(self.nothing_found(inputs));
        }
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.effect));
        let verdict = reasons.iter().map(|reason| reason.effect).max().unwrap_or(Verdict::Review);
        Judgement { verdict, reasons, missing }
    }

    /// One reason for each static rule that hit hard enough, the most severe first.
    fn finding_reasons(&self, analysis: &Analysis) -> Vec<Reason> {
        let mut by_rule: BTreeMap<(std::cmp::Reverse<Severity>, &str), Vec<&Finding>> = BTreeMap::new();
        for finding in analysis.findings.iter().filter(|finding| finding.suppression.is_none()) {
            by_rule.entry((std::cmp::Reverse(finding.severity), &finding.rule_id)).or_default().push(finding);
        }
        by_rule.into_values().filter_map(|findings| self.finding_reason(&findings)).collect()
    }

    fn finding_reason(&self, findings: &[&Finding]) -> Option<Reason> {
        let first = findings.first()?;
        let (rule, effect, level) = if self.block_severity.reached_by(first.severity) {
            ("findings.block", Verdict::Block, self.block_severity)
        } else if self.review_severity.reached_by(first.severity) {
            ("findings.review", Verdict::Review, self.review_severity)
        } else {
            return None;
        };
        let times = if findings.len() == 1 { String::new() } else { format!(" ({} places)", findings.len()) };
        Some(Reason {
            rule: rule.to_owned(),
            effect,
            message: format!("{}: {}{times}", first.rule_id, first.message),
            measured: first.severity.name().to_owned(),
            threshold: level.name().to_owned(),
            evidence: findings
                .iter()
                .map(|finding| Evidence::Finding {
                    rule_id: finding.rule_id.clone(),
                    fingerprint: finding.fingerprint.clone(),
                    path: finding.path.clone(),
                    line: finding.line,
                })
                .collect(),
        })
    }

    fn risk_reason(&self, signal: &Signal, score: &RiskScore) -> Option<Reason> {
        let probability = score.risk.probability();
        let (rule, effect, threshold) = if probability >= self.block_risk {
            ("risk.block", Verdict::Block, self.block_risk)
        } else if probability >= self.review_risk {
            ("risk.review", Verdict::Review, self.review_risk)
        } else {
            return None;
        };
        Some(Reason {
            rule: rule.to_owned(),
            effect,
            message: format!(
                "the model expects {} of such deployments to fail, and the limit is {}",
                score.risk,
                percent(threshold)
            ),
            measured: score.risk.to_string(),
            threshold: percent(threshold),
            evidence: vec![Evidence::Risk { probability, model: signal.basis.clone() }],
        })
    }

    /// The one reason of an ALLOW: everything was looked at, and nothing reached a limit.
    fn nothing_found(&self, inputs: Inputs<'_>) -> Reason {
        let counting = |finding: &&Finding| finding.suppression.is_none();
        let worst = inputs
            .analysis()
            .and_then(|analysis| analysis.findings.iter().filter(counting).map(|finding| finding.severity).max());
        let measured_severity = worst.map_or("no finding", Severity::name);
        let risk = inputs.score().map(|(signal, score)| (signal, score.risk));
        let measured_risk = risk.map(|(_, risk)| risk.to_string()).unwrap_or_default();
        Reason {
            rule: "nothing.found".to_owned(),
            effect: Verdict::Allow,
            message: format!(
                "no finding of severity {} or above, and a risk of {measured_risk}, below {}",
                self.review_severity.name(),
                percent(self.review_risk)
            ),
            measured: format!("{measured_severity}, {measured_risk}"),
            threshold: format!("{}, {}", self.review_severity.name(), percent(self.review_risk)),
            evidence: risk
                .map(|(signal, risk)| Evidence::Risk { probability: risk.probability(), model: signal.basis.clone() })
                .into_iter()
                .collect(),
        }
    }
}

fn missing_reason(missing: &Missing) -> Reason {
    Reason {
        rule: "missing.review".to_owned(),
        effect: Verdict::Review,
        message: format!("{} is missing: {}", missing.input.name(), missing.why),
        measured: "missing".to_owned(),
        threshold: "required".to_owned(),
        evidence: vec![Evidence::Missing(missing.input)],
    }
}

fn percent(probability: f64) -> String {
    format!("{:.1} %", probability * 100.0)
}

#[cfg(test)]
mod tests;
