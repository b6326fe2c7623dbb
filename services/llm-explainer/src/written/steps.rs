//! What to do about a verdict: the remediations of what decided, first; then the rest.
//!
//! Pure.

use domain::{Claim, Contribution, Finding, MissingInput, Verdict};

use super::{CITED_MAX, Case, Cited, GROUPS_MAX, Group, LOG_ODDS_MIN, PLACES_MAX, moves, moving};
use crate::evidence::remediation;
use crate::template::Sentences;
use crate::text::sentence;

pub(super) fn steps(case: &Case<'_>) -> Vec<Claim> {
    let mut steps = mend(case, &case.decisive, GROUPS_MAX, "in");
    if case.verdict != Verdict::Allow {
        if let Some(reason) = case.risk() {
            steps.push(lower_the_risk(case, reason.id.clone()));
        }
        for (input, id) in case.missing() {
            steps.push(Claim { text: wait_for(input, case.sentences), evidence: vec![id.to_owned()] });
        }
    }
    let later = if case.verdict == Verdict::Allow { "later-allow" } else { "later-other" };
    let milder = mend(case, &case.other, PLACES_MAX, later);
    if case.verdict == Verdict::Allow && steps.is_empty() && milder.is_empty() {
        steps.push(Claim { text: case.sentences.say("no-obstacle", &[]), evidence: case.anything() });
    }
    steps.extend(milder);
    let last = match case.verdict {
        Verdict::Allow => return steps,
        Verdict::Review => "have-reviewed",
        Verdict::Block if case.decisive.is_empty() => "override",
        Verdict::Block => "push",
    };
    steps.push(Claim { text: case.sentences.say(last, &[]), evidence: case.anything() });
    steps
}

/// One step for each way to mend something, with the places it is for.
fn mend(case: &Case<'_>, groups: &[Group<'_>], groups_max: usize, says: &str) -> Vec<Claim> {
    let mut by_remedy: Vec<(String, Vec<&Group<'_>>)> = Vec::new();
    for group in groups.iter().take(groups_max) {
        let remedy = remedy(group.first(), case.sentences);
        match by_remedy.iter_mut().find(|(known, _)| *known == remedy) {
            Some((_, groups)) => groups.push(group),
            None => by_remedy.push((remedy, vec![group])),
        }
    }
    by_remedy
        .into_iter()
        .map(|(remedy, groups)| {
            let places: Vec<String> = groups.iter().map(|group| group.places(case.sentences)).collect();
            let evidence =
                groups.iter().flat_map(|group| group.findings.iter().take(CITED_MAX)).map(|cited| cited.id.clone());
            let places = case.sentences.list(&places);
            let text = case.sentences.say(says, &[("places", &places), ("remedy", &remedy)]);
            Claim { text: sentence(&text), evidence: evidence.collect() }
        })
        .collect()
}

/// How to mend a finding; when its rule does not say, what always holds for its category.
fn remedy(finding: &Finding, sentences: &Sentences) -> String {
    let own = remediation(finding);
    if !own.is_empty() {
        return own;
    }
    sentences.say(&format!("remedy-{}", finding.category.name()), &[])
}

fn lower_the_risk(case: &Case<'_>, reason: String) -> Claim {
    let raising: Vec<Cited<&Contribution>> = moving(case.evidence, |log_odds| log_odds >= LOG_ODDS_MIN);
    let mut evidence = vec![reason];
    let what = match raising.first() {
        None => case.sentences.say("smaller", &[]),
        Some(strongest) => {
            evidence.push(strongest.id.clone());
            case.sentences.say("split", &[("what", &moves(strongest.what))])
        }
    };
    Claim { text: what, evidence }
}

fn wait_for(input: MissingInput, sentences: &Sentences) -> String {
    match input {
        MissingInput::Acceptance => sentences.say("submit-again", &[]),
        MissingInput::Signal(source) => sentences.say("see-that", &[("service", source.name())]),
    }
}
