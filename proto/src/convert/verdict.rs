//! Verdicts and what they rest on.

use domain::{
    Approvals, Circumstances, Counterfactual, Evidence, Judgement, Missing, MissingInput, Overruled, PolicyStamp,
    Reached, Reason, Remedy, Source,
};
use prost::Message;

use super::{deployment, deployment_id, each, enums, optional_time, required, required_time, signal, timestamp};
use crate::{Malformed, v1};

pub(crate) fn reached_to(reached: &Reached) -> v1::VerdictReached {
    v1::VerdictReached {
        event_id: reached.event_id().to_string(),
        deployment_id: reached.deployment_id.to_string(),
        number: reached.number,
        judgement: Some(judgement_to(&reached.judgement)),
        policy: Some(v1::PolicyStamp {
            version: reached.policy.version.clone(),
            digest: reached.policy.digest.clone(),
        }),
        cause: enums::cause_to(reached.cause),
        reached_at: Some(timestamp(reached.reached_at)),
        deployment: reached.deployment.as_ref().map(deployment::deployment_to),
        signals: reached.signals.iter().map(signal::signal_to).collect(),
        evidence_digest: reached.evidence_digest.clone(),
        circumstances: circumstances_to(&reached.circumstances),
    }
}

impl From<Reached> for v1::VerdictReached {
    fn from(reached: Reached) -> Self {
        reached_to(&reached)
    }
}

pub(crate) fn reached_from(message: v1::VerdictReached) -> Result<Reached, Malformed> {
    let policy = required("policy", message.policy)?;
    let deployment = message.deployment.map(deployment::deployment_from).transpose();
    Ok(Reached {
        deployment_id: deployment_id(&message.deployment_id)?,
        number: message.number,
        judgement: judgement_from(required("judgement", message.judgement)?)
            .map_err(|error| error.within("judgement"))?,
        policy: PolicyStamp { version: policy.version, digest: policy.digest },
        cause: enums::cause_from("cause", message.cause)?,
        reached_at: required_time("reached_at", message.reached_at)?,
        deployment: deployment.map_err(|error| error.within("deployment"))?,
        signals: each("signals", message.signals, signal::signal_from)?,
        evidence_digest: message.evidence_digest,
        circumstances: message
            .circumstances
            .map(circumstances_from)
            .transpose()
            .map_err(|error| error.within("circumstances"))?
            .unwrap_or_default(),
    })
}

/// The canonical bytes of a judgement: the same judgement always gives the same bytes.
#[must_use]
pub fn judgement_bytes(judgement: &Judgement) -> Vec<u8> {
    judgement_to(judgement).encode_to_vec()
}

/// A judgement read back from its canonical bytes.
///
/// # Errors
/// The field that is wrong.
pub fn judgement_from_bytes(bytes: &[u8]) -> Result<Judgement, Malformed> {
    let message = v1::Judgement::decode(bytes).map_err(|error| Malformed::new("judgement", error.to_string()))?;
    judgement_from(message)
}

fn judgement_to(judgement: &Judgement) -> v1::Judgement {
    v1::Judgement {
        verdict: enums::verdict_to(judgement.verdict),
        reasons: judgement.reasons.iter().map(reason_to).collect(),
        missing: judgement.missing.iter().map(missing_to).collect(),
        approvals: judgement.approvals.iter().map(approvals_to).collect(),
        overruled: judgement.overruled.as_ref().map(overruled_to),
        counterfactual: judgement.counterfactual.as_ref().map(counterfactual_to),
    }
}

fn judgement_from(message: v1::Judgement) -> Result<Judgement, Malformed> {
    Ok(Judgement {
        verdict: enums::verdict_from("verdict", message.verdict)?,
        reasons: each("reasons", message.reasons, reason_from)?,
        missing: each("missing", message.missing, missing_from)?,
        approvals: message.approvals.into_iter().map(approvals_from).collect(),
        overruled: message.overruled.map(overruled_from).transpose().map_err(|error| error.within("overruled"))?,
        counterfactual: message
            .counterfactual
            .map(counterfactual_from)
            .transpose()
            .map_err(|error| error.within("counterfactual"))?,
    })
}

fn approvals_to(approvals: &Approvals) -> v1::Approvals {
    v1::Approvals { by: approvals.by.clone(), count: approvals.count, given: approvals.given }
}

fn approvals_from(message: v1::Approvals) -> Approvals {
    Approvals { by: message.by, count: message.count, given: message.given }
}

fn overruled_to(overruled: &Overruled) -> v1::Overruled {
    v1::Overruled {
        policy_verdict: enums::verdict_to(overruled.policy_verdict),
        decision: enums::decision_to(overruled.decision),
        by: overruled.by.clone(),
        review_due: overruled.review_due.map(timestamp),
    }
}

fn overruled_from(message: v1::Overruled) -> Result<Overruled, Malformed> {
    Ok(Overruled {
        policy_verdict: enums::verdict_from("policy_verdict", message.policy_verdict)?,
        decision: enums::decision_from("decision", message.decision)?,
        by: message.by,
        review_due: optional_time("review_due", message.review_due)?,
    })
}

fn counterfactual_to(counterfactual: &Counterfactual) -> v1::Counterfactual {
    let change = |remedy: &Remedy| v1::Remedy {
        message: remedy.message.clone(),
        evidence: remedy.evidence.iter().map(evidence_to).collect(),
    };
    v1::Counterfactual {
        verdict: enums::verdict_to(counterfactual.verdict),
        changes: counterfactual.changes.iter().map(change).collect(),
    }
}

fn counterfactual_from(message: v1::Counterfactual) -> Result<Counterfactual, Malformed> {
    let change = |remedy: v1::Remedy| {
        Ok(Remedy { message: remedy.message, evidence: each("evidence", remedy.evidence, evidence_from)? })
    };
    Ok(Counterfactual {
        verdict: enums::verdict_from("verdict", message.verdict)?,
        changes: each("changes", message.changes, change)?,
    })
}

/// Absent when there is nothing to say, as in the verdicts of early versions.
fn circumstances_to(circumstances: &Circumstances) -> Option<v1::Circumstances> {
    (*circumstances != Circumstances::default()).then(|| v1::Circumstances {
        reverts: circumstances.reverts.map(|id| id.to_string()).unwrap_or_default(),
        known_findings: circumstances.known_findings.clone(),
    })
}

fn circumstances_from(message: v1::Circumstances) -> Result<Circumstances, Malformed> {
    let reverts = (!message.reverts.is_empty()).then(|| domain::DeploymentId::parse(&message.reverts)).transpose();
    Ok(Circumstances {
        reverts: reverts.map_err(|problem| Malformed::new("reverts", problem))?,
        known_findings: message.known_findings,
    })
}

fn reason_to(reason: &Reason) -> v1::Reason {
    v1::Reason {
        rule: reason.rule.clone(),
        effect: enums::verdict_to(reason.effect),
        message: reason.message.clone(),
        measured: reason.measured.clone(),
        threshold: reason.threshold.clone(),
        evidence: reason.evidence.iter().map(evidence_to).collect(),
    }
}

fn reason_from(message: v1::Reason) -> Result<Reason, Malformed> {
    Ok(Reason {
        rule: message.rule,
        effect: enums::verdict_from("effect", message.effect)?,
        message: message.message,
        measured: message.measured,
        threshold: message.threshold,
        evidence: each("evidence", message.evidence, evidence_from)?,
    })
}

fn evidence_to(evidence: &Evidence) -> v1::Evidence {
    use v1::evidence::Evidence as Wire;
    let evidence = match evidence {
        Evidence::Finding { rule_id, fingerprint, path, line } => Wire::Finding(v1::FindingEvidence {
            rule_id: rule_id.clone(),
            fingerprint: fingerprint.clone(),
            path: path.clone(),
            line: *line,
        }),
        Evidence::Risk { probability, model } => {
            Wire::Risk(v1::RiskEvidence { probability: *probability, model: model.clone() })
        }
        Evidence::Missing(input) => Wire::Missing(input.name().to_owned()),
        Evidence::File { path } => Wire::File(v1::FileEvidence { path: path.clone() }),
        Evidence::Review { reviewer, verdict_number } => {
            Wire::Review(v1::ReviewEvidence { reviewer: reviewer.clone(), verdict_number: *verdict_number })
        }
    };
    v1::Evidence { evidence: Some(evidence) }
}

fn evidence_from(message: v1::Evidence) -> Result<Evidence, Malformed> {
    use v1::evidence::Evidence as Wire;
    Ok(match required("evidence", message.evidence)? {
        Wire::Finding(finding) => Evidence::Finding {
            rule_id: finding.rule_id,
            fingerprint: finding.fingerprint,
            path: finding.path,
            line: finding.line,
        },
        Wire::Risk(risk) => Evidence::Risk { probability: risk.probability, model: risk.model },
        Wire::Missing(input) => Evidence::Missing(input_from("missing", &input)?),
        Wire::File(file) => Evidence::File { path: file.path },
        Wire::Review(review) => Evidence::Review { reviewer: review.reviewer, verdict_number: review.verdict_number },
    })
}

fn missing_to(missing: &Missing) -> v1::Missing {
    v1::Missing { input: missing.input.name().to_owned(), why: missing.why.clone() }
}

fn missing_from(message: v1::Missing) -> Result<Missing, Malformed> {
    Ok(Missing { input: input_from("input", &message.input)?, why: message.why })
}

fn input_from(field: &str, name: &str) -> Result<MissingInput, Malformed> {
    if name == MissingInput::Acceptance.name() {
        return Ok(MissingInput::Acceptance);
    }
    Source::from_name(name)
        .map(MissingInput::Signal)
        .ok_or_else(|| Malformed::new(field, format!("{name:?} is not an input of verdicts")))
}
