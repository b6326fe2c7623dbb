//! A verdict: ALLOW, REVIEW or BLOCK, and every reason for it.

use std::fmt;

use time::OffsetDateTime;

use crate::deployment::Deployment;
use crate::identity::{DeploymentId, EventId};
use crate::record::ReviewDecision;
use crate::signal::{Signal, Source};

/// Whether a deployment may go to production. Ordered by strictness, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It may.
    Allow,
    /// A person must look first.
    Review,
    /// It must not.
    Block,
}

impl Verdict {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Review, Self::Block];

    /// Its name in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Review => "REVIEW",
            Self::Block => "BLOCK",
        }
    }

    /// The verdict of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a policy makes of the signals of a deployment: a pure function's result, the same for the same inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The worst effect of all reasons.
    pub verdict: Verdict,
    /// Why, the strictest first. Never empty.
    pub reasons: Vec<Reason>,
    /// What was expected and is not there.
    pub missing: Vec<Missing>,
    /// The approvals that a REVIEW waits for, and how many of each are given.
    pub approvals: Vec<Approvals>,
    /// Whose decision stands instead of the policy's, if any.
    pub overruled: Option<Overruled>,
    /// The fewest changes that would bring a milder verdict; `None` for an ALLOW, or when none was found.
    pub counterfactual: Option<Counterfactual>,
}

impl Judgement {
    /// A verdict by the policy alone, which nobody overruled.
    #[must_use]
    pub const fn new(verdict: Verdict, reasons: Vec<Reason>, missing: Vec<Missing>) -> Self {
        Self { verdict, reasons, missing, approvals: Vec::new(), overruled: None, counterfactual: None }
    }

    /// What the policy says, whoever overruled it.
    #[must_use]
    pub fn policy_verdict(&self) -> Verdict {
        self.overruled.as_ref().map_or(self.verdict, |overruled| overruled.policy_verdict)
    }
}

/// Approvals that a deployment waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// The group whose approvals count; empty for anybody's.
    pub by: String,
    /// How many are needed.
    pub count: u32,
    /// How many are given.
    pub given: u32,
}

/// A person's decision that stands instead of the policy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overruled {
    /// What the policy says.
    pub policy_verdict: Verdict,
    /// What was decided instead.
    pub decision: ReviewDecision,
    /// By whom, each named once.
    pub by: Vec<String>,
    /// Until when somebody else has to have looked at an emergency; `None` once that is done, and for all other decisions.
    pub review_due: Option<OffsetDateTime>,
}

/// What would have to be otherwise for a milder verdict: found by search, and tried with the policy itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterfactual {
    /// The verdict that would follow.
    pub verdict: Verdict,
    /// All that would have to change; no smaller part of it suffices.
    pub changes: Vec<Remedy>,
}

/// One change that would help.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// What to do, as an order: "mend migration.rollback.missing at db/7.sql".
    pub message: String,
    /// What it is about.
    pub evidence: Vec<Evidence>,
}

/// What the trail knows around a deployment when it is judged, beyond its own events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The earlier deployment that this one takes back, line by line, when it does nothing else.
    pub reverts: Option<DeploymentId>,
    /// Fingerprints of findings that were there before: an earlier deployment of the repository brought them to production and
    /// succeeded.
    pub known_findings: Vec<String>,
}

/// One rule of the policy that had something to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The policy rule: `findings.block`, `risk.review`, `missing.review`, `nothing.found`, …
    pub rule: String,
    /// What the rule asks for by itself.
    pub effect: Verdict,
    /// The reason in one sentence.
    pub message: String,
    /// What was measured: `critical`, `4.5 %`.
    pub measured: String,
    /// What it was held against: `high`, `3.0 %`.
    pub threshold: String,
    /// What the reason rests on.
    pub evidence: Vec<Evidence>,
}

/// What a reason rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A finding of static analysis.
    Finding {
        /// The static rule.
        rule_id: String,
        /// Identifies the finding within the signal.
        fingerprint: String,
        /// The file.
        path: String,
        /// The line, from 1; 0 for the whole file.
        line: u32,
    },
    /// The risk the model gave.
    Risk {
        /// The probability, 0 to 1.
        probability: f64,
        /// The model's version.
        model: String,
    },
    /// Something that is not there.
    Missing(MissingInput),
    /// A file of the change.
    File {
        /// Its path.
        path: String,
    },
    /// What a person decided.
    Review {
        /// Who.
        reviewer: String,
        /// About the verdict of which number.
        verdict_number: u32,
    },
}

/// An input of a verdict that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingInput {
    /// The acceptance: what the deployment is.
    Acceptance,
    /// The signal of an analyser.
    Signal(Source),
}

impl MissingInput {
    /// Its name: `acceptance`, or the analyser's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acceptance => "acceptance",
            Self::Signal(source) => source.name(),
        }
    }
}

/// An input that is not there, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which input.
    pub input: MissingInput,
    /// Why it is not there.
    pub why: String,
}

/// Which policy decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStamp {
    /// The policy's own version.
    pub version: String,
    /// SHA-256 of its canonical text, in 64 hexadecimal digits.
    pub digest: String,
}

/// What led to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// All that was expected is in.
    Complete,
    /// The deadline passed with something missing.
    Deadline,
    /// Something came in after a verdict had been reached.
    Late,
    /// A person reviewed it.
    Review,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Deadline, Self::Late, Self::Review];

    /// Its name in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Deadline => "deadline",
            Self::Late => "late",
            Self::Review => "review",
        }
    }
}

/// A verdict that was reached: numbered per deployment, superseded by the next, never edited.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// About which deployment.
    pub deployment_id: DeploymentId,
    /// 1 for the first, without gaps.
    pub number: u32,
    /// What was judged.
    pub judgement: Judgement,
    /// By which policy.
    pub policy: PolicyStamp,
    /// What led to it.
    pub cause: Cause,
    /// When.
    pub reached_at: OffsetDateTime,
    /// The deployment without its diff; `None` when its acceptance is missing.
    pub deployment: Option<Deployment>,
    /// The signals it rests on, by source.
    pub signals: Vec<Signal>,
    /// Identifies the evidence: SHA-256 over the ids of the events it rests on, reviews apart, in 64 hexadecimal digits. An
    /// approval counts for this evidence and this policy only.
    pub evidence_digest: String,
    /// What the trail knew around the deployment.
    pub circumstances: Circumstances,
}

impl Reached {
    /// The kind of event that carries a verdict.
    pub const KIND: &'static str = "verdict.reached";

    /// The id of the event that carries this verdict.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        Self::event_id_of(self.deployment_id, self.number)
    }

    /// The id of the event that carries the verdict of that number.
    #[must_use]
    pub fn event_id_of(deployment_id: DeploymentId, number: u32) -> EventId {
        EventId::derive(Self::KIND, deployment_id, &[&number.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_is_the_greatest() {
        assert_eq!(Verdict::ALL.into_iter().max(), Some(Verdict::Block));
        assert!(Verdict::Allow < Verdict::Review);
    }
}
