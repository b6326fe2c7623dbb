//! The judgement: which verdict the signals of a deployment deserve, and why.
//!
//! Pure: the same policy and the same inputs give the same judgement, byte for byte, on any machine at any time.

mod ask;
mod condition;
mod facts;
mod file;
mod flip;
mod judge;
mod people;
mod waived;

pub mod cases;

use std::cell::Cell;
use std::sync::Arc;

use domain::identity::sha256_hex;
use domain::{
    Circumstances, Deployment, Judgement, Missing, MissingInput, PolicyStamp, Reason, Said, Signal, Source, Verdict,
};
use jiff::{Timestamp, ZonedDateTime};
use time::OffsetDateTime;

pub use file::{Mistake, Mistakes};
pub use people::Given;

use facts::Facts;
use file::Checked;
use people::Bound;

/// The policy that decides when nobody has written one.
pub const DEFAULT: &str = include_str!("default.toml");

/// Why an input is missing of which nothing was heard.
const NOTHING_HEARD: &str = "nothing was heard of it before the deadline";

/// What conditions can speak of: each variable with its type and what it is, in the order of the manual.
pub fn variables() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    facts::VARIABLES.iter().map(|variable| (variable.name, variable.of.name(), variable.what))
}

/// A policy that has been read and checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    text: Arc<str>,
    stamp: PolicyStamp,
    checked: Arc<Checked>,
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the default policy is sound, which a test holds")
    }
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The deployment; `None` when its acceptance is not here.
    pub deployment: Option<&'a Deployment>,
    /// The signals that are here, at most one of each source.
    pub signals: &'a [Signal],
    /// What people decided.
    pub reviews: &'a [Given],
    /// Identifies the evidence: see [`domain::Reached::evidence_digest`].
    pub evidence_digest: &'a str,
    /// What the trail knows around the deployment.
    pub circumstances: &'a Circumstances,
    /// When it is judged.
    pub at: OffsetDateTime,
}

impl<'a> Inputs<'a> {
    /// Whether all that is expected is here. An analyser that says that it gave up is not waited for.
    #[must_use]
    pub fn are_complete(accepted: bool, sources: impl Iterator<Item = Source>) -> bool {
        let sources: Vec<Source> = sources.collect();
        accepted && Source::ALL.iter().all(|source| sources.contains(source))
    }

    fn signal(&self, source: Source) -> Option<&'a Signal> {
        self.signals.iter().find(|signal| signal.source == source)
    }

    fn missing(&self) -> Vec<Missing> {
        let acceptance = self.deployment.is_none();
        let acceptance = acceptance.then(|| Missing { input: MissingInput::Acceptance, why: NOTHING_HEARD.to_owned() });
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
}

impl Policy {
    /// Reads a policy and checks all of it: its names, the types in its conditions, its groups and dates.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let checked = Checked::parse(text)?;
        let stamp = PolicyStamp { version: checked.version.clone(), digest: sha256_hex(text.as_bytes()) };
        Ok(Self { text: text.into(), stamp, checked: Arc::new(checked) })
    }

    /// Its text, as it was read: what is stored, and what the digest is of.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its version and digest.
    #[must_use]
    pub const fn stamp(&self) -> &PolicyStamp {
        &self.stamp
    }

    /// The names of its rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.checked.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Judges `inputs`. The verdict is the strictest that any rule asks for, unless people decided otherwise, and by the policy alone
    /// never ALLOW while a signal is missing.
    #[must_use]
    pub fn judge(&self, inputs: Inputs<'_>) -> Judgement {
        let steps = Cell::new(facts::STEPS_MAX);
        let (facts, set_aside) = self.facts(&inputs, &steps);
        let mut ruling = self.checked.rule_on(&facts);
        ruling.reasons.extend(set_aside);
        let counterfactual = self.checked.way_out(&facts, &ruling);
        let bound = Bound {
            evidence_digest: inputs.evidence_digest,
            policy_digest: &self.stamp.digest,
            author: inputs.deployment.map_or("", |deployment| &deployment.author),
        };
        let overruled = self.checked.hear(&mut ruling, inputs.reviews, bound);
        let counterfactual = if overruled.is_some() { None } else { counterfactual };
        Judgement {
            verdict: ruling.verdict,
            reasons: ruling.reasons,
            missing: facts.missing,
            approvals: ruling.approvals,
            overruled,
            counterfactual,
        }
    }

    /// What the rules alone say of `inputs`, before any person is heard, with the reasons: as [`Policy::judge`] has it, without the
    /// search for a way out.
    #[must_use]
    pub fn rules_say(&self, inputs: Inputs<'_>) -> (Verdict, Vec<Reason>) {
        let steps = Cell::new(facts::STEPS_MAX);
        let (facts, set_aside) = self.facts(&inputs, &steps);
        let ruling = self.checked.rule_on(&facts);
        (ruling.verdict, ruling.reasons.into_iter().chain(set_aside).collect())
    }

    fn facts<'a>(&self, inputs: &Inputs<'a>, steps: &'a Cell<u64>) -> (Facts<'a>, Vec<Reason>) {
        let analysis = inputs.signal(Source::StaticAnalysis).and_then(|signal| match &signal.said {
            Said::Findings(analysis) => Some(analysis),
            _ => None,
        });
        let score = inputs.signal(Source::MlScoring).and_then(|signal| match &signal.said {
            Said::Risk(score) => Some((signal, score)),
            _ => None,
        });
        let at = inputs.deployment.and_then(|deployment| deployment.deploy_at).unwrap_or(inputs.at);
        let facts = Facts {
            deployment: inputs.deployment,
            files: inputs.deployment.iter().flat_map(|deployment| &deployment.change.files).collect(),
            findings: None,
            dropped: analysis.map(|analysis| analysis.findings_dropped),
            score,
            probability: score.map(|(_, score)| score.risk.probability()),
            missing: inputs.missing(),
            pure_revert: inputs.circumstances.reverts.is_some(),
            at: ZonedDateTime::default(),
            date: String::new(),
            is_holiday: false,
            steps,
        };
        let mut facts = self.checked.at(facts, self.checked.zoned(at));
        let Some(analysis) = analysis else { return (facts, Vec::new()) };
        let (counting, set_aside) = self.checked.set_aside(&facts, analysis, inputs.circumstances);
        facts.findings = Some(counting);
        (facts, set_aside)
    }
}

impl Checked {
    fn zoned(&self, at: OffsetDateTime) -> ZonedDateTime {
        let at = Timestamp::new(at.unix_timestamp(), at.nanosecond().cast_signed()).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned_datetime(self.time_zone.clone())
    }

    /// The same facts at another time.
    fn at<'a>(&self, facts: Facts<'a>, at: ZonedDateTime) -> Facts<'a> {
        let day = at.date();
        Facts { date: day.to_string(), is_holiday: self.holidays.contains(&day), at, ..facts }
    }
}

#[cfg(test)]
mod tests;
