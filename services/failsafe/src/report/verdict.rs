//! The verdict, and every reason with its evidence.

use std::time::Duration;

use proto::v1;
use proto::v1::evidence::Evidence;

use super::{day_and_time, in_seconds, percent, verdict_look};
use crate::terminal::{Look, Sheet};

/// How many places of one reason are shown.
const PLACES_MAX: usize = 5;

pub(super) fn print(sheet: &mut Sheet, known: &v1::GetDeploymentResponse, took: Option<Duration>) {
    sheet.space();
    let latest = known.verdicts.first().and_then(|reached| Some((reached, reached.judgement.as_ref()?)));
    let Some((reached, judgement)) = latest else {
        sheet.paragraph(2, Look::Bold, "no verdict yet: signals are awaited");
        return;
    };
    let (look, name, _) = verdict_look(judgement.verdict());
    let mut facts = took.map(|took| format!("after {}", in_seconds(took))).into_iter().collect::<Vec<_>>();
    facts.extend(match reached.cause() {
        v1::Cause::Deadline => Some("at the deadline".to_owned()),
        v1::Cause::Late => Some("after something came in late".to_owned()),
        v1::Cause::Review => Some("after a person reviewed it".to_owned()),
        v1::Cause::Complete | v1::Cause::Unspecified => None,
    });
    if reached.number > 1 {
        facts.push(format!("verdict {}, which supersedes those before it", reached.number));
    }
    if let Some(policy) = &reached.policy {
        facts.push(format!("policy {}", policy.version));
    }
    sheet.item(2, (look, name), Look::Dim, &facts.join(", "));
    if let Some(overruled) = &judgement.overruled {
        print_overruled(sheet, overruled);
    }
    for reason in &judgement.reasons {
        print_reason(sheet, reason, known);
    }
    for missing in &judgement.missing {
        sheet.item(4, (Look::Doubtful, "?"), Look::Plain, &format!("{} is missing: {}", missing.input, missing.why));
    }
    print_ways(sheet, judgement);
}

/// That a person's decision stands in the place of the policy's.
fn print_overruled(sheet: &mut Sheet, overruled: &v1::Overruled) {
    let (_, policy, _) = verdict_look(overruled.policy_verdict());
    let by = overruled.by.join(", ");
    let said = match overruled.decision() {
        v1::ReviewDecision::Approved => format!("overridden: the policy says {policy}, {by} approved it"),
        v1::ReviewDecision::Rejected => format!("overridden: the policy says {policy}, {by} rejected it"),
        v1::ReviewDecision::Emergency => format!("an emergency: the policy says {policy}, {by} let it out"),
        v1::ReviewDecision::Unspecified => format!("overridden: the policy says {policy}"),
    };
    sheet.paragraph(4, Look::Doubtful, &said);
    if let Some(due) = overruled.review_due {
        sheet.paragraph(
            4,
            Look::Doubtful,
            &format!("somebody else has to look at it by {}", day_and_time(due.seconds)),
        );
    }
}

/// What leads on from here: the approvals that are awaited, and the fewest changes that help.
fn print_ways(sheet: &mut Sheet, judgement: &v1::Judgement) {
    for wanted in &judgement.approvals {
        let who = if wanted.by.is_empty() { "anybody".to_owned() } else { format!("the group {}", wanted.by) };
        let left = wanted.count.saturating_sub(wanted.given);
        let approvals = if left == 1 { "approval" } else { "approvals" };
        let given = if wanted.given > 0 { format!(", {} given", wanted.given) } else { String::new() };
        sheet.paragraph(4, Look::Plain, &format!("awaits {left} {approvals} by {who}{given}"));
    }
    if let Some(way) = &judgement.counterfactual {
        let (look, name, _) = verdict_look(way.verdict());
        let changes: Vec<&str> = way.changes.iter().map(|change| change.message.as_str()).collect();
        sheet.item(4, (look, &format!("{name} if you")), Look::Plain, &changes.join("; "));
    }
}

fn print_reason(sheet: &mut Sheet, reason: &v1::Reason, known: &v1::GetDeploymentResponse) {
    let (look, _, mark) = verdict_look(reason.effect());
    sheet.item(4, (look, mark), Look::Plain, &reason.message);
    if reason.effect() != v1::Verdict::Allow && !reason.measured.is_empty() {
        let held = format!("{}: measured {}, threshold {}", reason.rule, reason.measured, reason.threshold);
        sheet.paragraph(6, Look::Dim, &held);
    }
    let places = reason.evidence.iter().filter_map(|evidence| evidence.evidence.as_ref());
    let mut remediation = "";
    for evidence in places.clone().take(PLACES_MAX) {
        let Evidence::Finding(place) = evidence else { continue };
        let finding = finding(known, place);
        let position = if place.line == 0 { place.path.clone() } else { format!("{}:{}", place.path, place.line) };
        sheet.paragraph(6, Look::Bold, &position);
        if let Some(finding) = finding {
            if !finding.excerpt.is_empty() {
                sheet.code(6, &finding.excerpt);
            }
            remediation = &finding.remediation;
        }
    }
    let more = places.count().saturating_sub(PLACES_MAX);
    if more > 0 {
        sheet.paragraph(6, Look::Dim, &format!("… and {more} more"));
    }
    if !remediation.is_empty() {
        sheet.item(6, (Look::Plain, "→"), Look::Plain, remediation);
    }
}

/// The finding that a piece of evidence points at.
pub(crate) fn finding<'a>(
    known: &'a v1::GetDeploymentResponse,
    place: &v1::FindingEvidence,
) -> Option<&'a v1::Finding> {
    let analyses = known.signals.iter().filter_map(|signal| match &signal.said {
        Some(v1::signal::Said::Analysis(analysis)) => Some(analysis),
        _ => None,
    });
    let is_it = |finding: &&v1::Finding| {
        (&finding.rule_id, &finding.fingerprint, &finding.path, finding.line)
            == (&place.rule_id, &place.fingerprint, &place.path, place.line)
    };
    analyses.flat_map(|analysis| &analysis.findings).find(is_it)
}

/// Every finding that a reason of the latest verdict points at, with that reason, the strictest first.
pub(crate) fn findings(known: &v1::GetDeploymentResponse) -> Vec<(&v1::Reason, &v1::Finding)> {
    let judgement = known.verdicts.first().and_then(|reached| reached.judgement.as_ref());
    let reasons = judgement.map(|judgement| judgement.reasons.as_slice()).unwrap_or_default();
    let pointed = |reason| evidence_of(reason).filter_map(move |place| Some((reason, finding(known, place)?)));
    reasons.iter().flat_map(pointed).collect()
}

/// The places that a reason rests on.
fn evidence_of(reason: &v1::Reason) -> impl Iterator<Item = &v1::FindingEvidence> {
    reason.evidence.iter().filter_map(|evidence| match &evidence.evidence {
        Some(Evidence::Finding(place)) => Some(place),
        _ => None,
    })
}

/// A judgement in one line: `BLOCK: migration.rollback.missing: …`.
pub(super) fn in_one_line(judgement: &v1::Judgement) -> String {
    let (_, name, _) = verdict_look(judgement.verdict());
    let reason = judgement.reasons.first().map(|reason| reason.message.as_str()).unwrap_or_default();
    let more = judgement.reasons.len().saturating_sub(1);
    if more == 0 { format!("{name}: {reason}") } else { format!("{name}: {reason} (and {more} more)") }
}

/// What an analyser says in one line.
pub(super) fn signal_in_one_line(signal: &v1::Signal) -> String {
    let who = match signal.source() {
        v1::Source::StaticAnalysis => "static-analysis",
        v1::Source::MlScoring => "ml-scoring",
        v1::Source::Unspecified => "somebody",
    };
    match &signal.said {
        Some(v1::signal::Said::Analysis(analysis)) => {
            let count = analysis.findings.len() + usize::try_from(analysis.findings_dropped).unwrap_or(0);
            format!("{who}: {count} {}", if count == 1 { "finding" } else { "findings" })
        }
        Some(v1::signal::Said::RiskScore(score)) => format!("{who}: a risk of {}", percent(score.risk)),
        Some(v1::signal::Said::Unavailable(unavailable)) => format!("{who} gave up: {}", unavailable.reason),
        None => format!("{who} said nothing"),
    }
}
