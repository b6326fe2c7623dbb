//! Verdicts and what they rest on.

use domain::{Evidence, Judgement, Missing, MissingInput, PolicyStamp, Reached, Reason, Source};
use prost::Message;

use super::{deployment, deployment_id, each, enums, required, required_time, signal, timestamp};
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
    })
}

/// The canonical bytes of a judgement: the same judgement always gives the same bytes.
#[must_use]
pub fn judgement_bytes(judgement: &Judgement) -> Vec<u8> {
    judgement_to(judgement).encode_to_vec()
}

fn judgement_to(judgement: &Judgement) -> v1::Judgement {
    v1::Judgement {
        verdict: enums::verdict_to(judgement.verdict),
        reasons: judgement.reasons.iter().map(reason_to).collect(),
        missing: judgement.missing.iter().map(missing_to).collect(),
    }
}

fn judgement_from(message: v1::Judgement) -> Result<Judgement, Malformed> {
    Ok(Judgement {
        verdict: enums::verdict_from("verdict", message.verdict)?,
        reasons: each("reasons", message.reasons, reason_from)?,
        missing: each("missing", message.missing, missing_from)?,
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
