//! Signals, findings and scores.

use domain::{Analysis, Contribution, Finding, Grounds, Rank, Risk, RiskScore, Said, Shadow, Signal, Suppression};

use super::{
    deployment_id, duration_from, duration_to, each, enums, required, required_text, required_time, timestamp,
};
use crate::{Malformed, v1};

pub(crate) fn raised_to(signal: &Signal) -> v1::SignalRaised {
    v1::SignalRaised { event_id: signal.event_id().to_string(), signal: Some(signal_to(signal)) }
}

pub(crate) fn raised_from(message: v1::SignalRaised) -> Result<Signal, Malformed> {
    signal_from(required("signal", message.signal)?).map_err(|error| error.within("signal"))
}

pub(crate) fn signal_to(signal: &Signal) -> v1::Signal {
    use v1::signal::Said as Wire;
    v1::Signal {
        deployment_id: signal.deployment_id.to_string(),
        source: enums::source_to(signal.source),
        basis: signal.basis.clone(),
        producer: signal.producer.clone(),
        raised_at: Some(timestamp(signal.raised_at)),
        took: Some(duration_to(signal.took)),
        said: Some(match &signal.said {
            Said::Findings(analysis) => Wire::Analysis(analysis_to(analysis)),
            Said::Risk(score) => Wire::RiskScore(score_to(score)),
            Said::Unavailable { reason } => Wire::Unavailable(v1::Unavailable { reason: reason.clone() }),
        }),
    }
}

impl From<Signal> for v1::Signal {
    fn from(signal: Signal) -> Self {
        signal_to(&signal)
    }
}

pub(crate) fn signal_from(message: v1::Signal) -> Result<Signal, Malformed> {
    use v1::signal::Said as Wire;
    Ok(Signal {
        deployment_id: deployment_id(&message.deployment_id)?,
        source: enums::source_from("source", message.source)?,
        basis: message.basis,
        producer: message.producer,
        raised_at: required_time("raised_at", message.raised_at)?,
        took: duration_from("took", message.took)?,
        said: match required("said", message.said)? {
            Wire::Analysis(analysis) => {
                Said::Findings(analysis_from(analysis).map_err(|error| error.within("analysis"))?)
            }
            Wire::RiskScore(score) => Said::Risk(score_from(score).map_err(|error| error.within("risk_score"))?),
            Wire::Unavailable(unavailable) => Said::Unavailable { reason: unavailable.reason },
        },
    })
}

fn analysis_to(analysis: &Analysis) -> v1::Analysis {
    v1::Analysis {
        findings: analysis.findings.iter().map(finding_to).collect(),
        findings_dropped: analysis.findings_dropped,
        files_scanned: analysis.files_scanned,
        lines_scanned: analysis.lines_scanned,
    }
}

fn analysis_from(message: v1::Analysis) -> Result<Analysis, Malformed> {
    Ok(Analysis {
        findings: each("findings", message.findings, finding_from)?,
        findings_dropped: message.findings_dropped,
        files_scanned: message.files_scanned,
        lines_scanned: message.lines_scanned,
    })
}

fn finding_to(finding: &Finding) -> v1::Finding {
    v1::Finding {
        rule_id: finding.rule_id.clone(),
        title: finding.title.clone(),
        category: enums::category_to(finding.category),
        severity: enums::severity_to(finding.severity),
        confidence: enums::confidence_to(finding.confidence),
        path: finding.path.clone(),
        line: finding.line,
        column: finding.column,
        excerpt: finding.excerpt.clone(),
        message: finding.message.clone(),
        remediation: finding.remediation.clone(),
        cwe: finding.cwe,
        fingerprint: finding.fingerprint.clone(),
        hazard: finding.hazard.clone(),
        suppression: finding.suppression.as_ref().map(|suppression| v1::Suppression {
            by: enums::suppressed_by_to(suppression.by),
            reason: suppression.reason.clone(),
        }),
    }
}

fn finding_from(message: v1::Finding) -> Result<Finding, Malformed> {
    Ok(Finding {
        rule_id: required_text("rule_id", message.rule_id)?,
        title: message.title,
        category: enums::category_from("category", message.category)?,
        severity: enums::severity_from("severity", message.severity)?,
        confidence: enums::confidence_from("confidence", message.confidence)?,
        path: message.path,
        line: message.line,
        column: message.column,
        excerpt: message.excerpt,
        message: message.message,
        remediation: message.remediation,
        cwe: message.cwe,
        fingerprint: required_text("fingerprint", message.fingerprint)?,
        hazard: message.hazard,
        suppression: message
            .suppression
            .map(suppression_from)
            .transpose()
            .map_err(|error| error.within("suppression"))?,
    })
}

fn suppression_from(message: v1::Suppression) -> Result<Suppression, Malformed> {
    Ok(Suppression { by: enums::suppressed_by_from("by", message.by)?, reason: message.reason })
}

fn score_to(score: &RiskScore) -> v1::RiskScore {
    v1::RiskScore {
        risk: score.risk.probability(),
        base_log_odds: score.base_log_odds,
        contributions: score.contributions.iter().map(contribution_to).collect(),
        unknown: score.unknown.iter().map(ToString::to_string).collect(),
        provenance: score.provenance.clone(),
        grounds: score.grounds.as_ref().map(grounds_to),
        lift: score.lift,
        shadow: score.shadow.as_ref().map(shadow_to),
        rank: score.rank.map(|rank| v1::Rank { percentile: rank.percentile, among: rank.among }),
    }
}

fn score_from(message: v1::RiskScore) -> Result<RiskScore, Malformed> {
    Ok(RiskScore {
        risk: Risk::new(message.risk).map_err(|problem| Malformed::new("risk", problem))?,
        base_log_odds: message.base_log_odds,
        contributions: message.contributions.into_iter().map(contribution_from).collect(),
        unknown: message.unknown.into_iter().map(Into::into).collect(),
        provenance: message.provenance,
        grounds: message.grounds.map(grounds_from).transpose().map_err(|error| error.within("grounds"))?,
        lift: message.lift,
        shadow: message.shadow.map(shadow_from).transpose().map_err(|error| error.within("shadow"))?,
        rank: message.rank.map(rank_from).transpose().map_err(|error| error.within("rank"))?,
    })
}

fn rank_from(message: v1::Rank) -> Result<Rank, Malformed> {
    let percentile = message.percentile;
    if !(0.0..=1.0).contains(&percentile) {
        return Err(Malformed::new("percentile", format!("must be 0 to 1, not {percentile}")));
    }
    Ok(Rank { percentile, among: message.among })
}

fn shadow_to(shadow: &Shadow) -> v1::Shadow {
    v1::Shadow { basis: shadow.basis.clone(), risk: shadow.risk.probability() }
}

fn shadow_from(message: v1::Shadow) -> Result<Shadow, Malformed> {
    let risk = Risk::new(message.risk).map_err(|problem| Malformed::new("risk", problem))?;
    Ok(Shadow { basis: message.basis, risk })
}

fn grounds_to(grounds: &Grounds) -> v1::Grounds {
    v1::Grounds {
        provenance: enums::provenance_to(grounds.provenance),
        outcomes: grounds.outcomes,
        failures: grounds.failures,
        alike: grounds.alike,
        alike_failures: grounds.alike_failures,
        low: grounds.interval.0.probability(),
        high: grounds.interval.1.probability(),
    }
}

fn grounds_from(message: v1::Grounds) -> Result<Grounds, Malformed> {
    let share = |field, value| Risk::new(value).map_err(|problem| Malformed::new(field, problem));
    Ok(Grounds {
        provenance: enums::provenance_from("provenance", message.provenance)?,
        outcomes: message.outcomes,
        failures: message.failures,
        alike: message.alike,
        alike_failures: message.alike_failures,
        interval: (share("low", message.low)?, share("high", message.high)?),
    })
}

fn contribution_to(contribution: &Contribution) -> v1::Contribution {
    v1::Contribution {
        feature: contribution.feature.to_string(),
        value: contribution.value,
        log_odds: contribution.log_odds,
        words: contribution.words.to_string(),
    }
}

fn contribution_from(message: v1::Contribution) -> Contribution {
    Contribution {
        feature: message.feature.into(),
        value: message.value,
        log_odds: message.log_odds,
        words: message.words.into(),
    }
}
