//! What to do about a verdict: the remediations of what decided, first; then the rest.
//!
//! Pure.

use domain::{Category, Claim, Contribution, Finding, MissingInput, Source, Verdict};

use super::{CITED_MAX, Case, Cited, GROUPS_MAX, Group, LOG_ODDS_MIN, PLACES_MAX, moves, moving};
use crate::evidence::remediation;
use crate::text::{list, sentence};

pub(super) fn steps(case: &Case<'_>) -> Vec<Claim> {
    let mut steps = mend(&case.decisive, GROUPS_MAX, "in ");
    if case.verdict != Verdict::Allow {
        if let Some(reason) = case.risk() {
            steps.push(lower_the_risk(case, reason.id.clone()));
        }
        for (input, id) in case.missing() {
            steps.push(Claim { text: wait_for(input), evidence: vec![id.to_owned()] });
        }
    }
    let later = if case.verdict == Verdict::Allow { "when there is time, in " } else { "while you are at it, in " };
    let milder = mend(&case.other, PLACES_MAX, later);
    if case.verdict == Verdict::Allow && steps.is_empty() && milder.is_empty() {
        steps.push(Claim { text: "Nothing stands in the way.".to_owned(), evidence: case.anything() });
    }
    steps.extend(milder);
    let last = match case.verdict {
        Verdict::Allow => return steps,
        Verdict::Review => "Have someone who knows this part of the system look at it and record the decision.",
        Verdict::Block if case.decisive.is_empty() => {
            "If it has to go out as it is, a person has to answer for that by recording an override."
        }
        Verdict::Block => "Then push the correction: a new head commit is judged afresh.",
    };
    steps.push(Claim { text: last.to_owned(), evidence: case.anything() });
    steps
}

/// One step for each way to mend something, with the places it is for.
fn mend(groups: &[Group<'_>], groups_max: usize, before: &str) -> Vec<Claim> {
    let mut by_remedy: Vec<(String, Vec<&Group<'_>>)> = Vec::new();
    for group in groups.iter().take(groups_max) {
        let remedy = remedy(group.first());
        match by_remedy.iter_mut().find(|(known, _)| *known == remedy) {
            Some((_, groups)) => groups.push(group),
            None => by_remedy.push((remedy, vec![group])),
        }
    }
    by_remedy
        .into_iter()
        .map(|(remedy, groups)| {
            let places: Vec<String> = groups.iter().map(|group| group.places()).collect();
            let evidence =
                groups.iter().flat_map(|group| group.findings.iter().take(CITED_MAX)).map(|cited| cited.id.clone());
            Claim { text: sentence(&format!("{before}{}: {remedy}", list(&places))), evidence: evidence.collect() }
        })
        .collect()
}

/// How to mend a finding; when its rule does not say, what always holds for its category.
fn remedy(finding: &Finding) -> String {
    let own = remediation(finding);
    if !own.is_empty() {
        return own;
    }
    match finding.category {
        Category::Secret => "Revoke the credential, issue a new one, and keep it out of the repository",
        Category::Migration => "Make the migration safe to run beside the old code, and give it a way back",
        Category::Infrastructure => "Narrow the setting to what the service needs",
        Category::Code => "Mend the code before it is deployed",
    }
    .to_owned()
}

fn lower_the_risk(case: &Case<'_>, reason: String) -> Claim {
    let raising: Vec<Cited<&Contribution>> = moving(case.evidence, |log_odds| log_odds >= LOG_ODDS_MIN);
    let mut evidence = vec![reason];
    let what = match raising.first() {
        None => "Make the deployment smaller, or have a second person watch it go out.".to_owned(),
        Some(strongest) => {
            evidence.push(strongest.id.clone());
            format!(
                "Lower the risk, or split the deployment into smaller ones; what raises it most: {}.",
                moves(strongest.what)
            )
        }
    };
    Claim { text: what, evidence }
}

fn wait_for(input: MissingInput) -> String {
    match input {
        MissingInput::Acceptance => {
            "Submit the deployment again: its verdict follows as soon as the submission arrives.".to_owned()
        }
        MissingInput::Signal(source) => {
            let service = match source {
                Source::StaticAnalysis => "static-analysis",
                Source::MlScoring => "ml-scoring",
            };
            format!("See that the service {service} runs: when its answer comes, a new verdict follows by itself.")
        }
    }
}
