//! What a verdict leaves open: what is missing, what was not known, what was cut, what was only guessed.
//!
//! Pure.

use domain::{Cause, Confidence, MissingInput, Reached, Said};

use super::{SENTENCE_CHARS_MAX, analyser};
use crate::evidence::{Evidence, Fact, place, score, shortened};
use crate::text::{clause, count, list, one_line, sentence};

/// Most guesses that are named.
const GUESSES_MAX: usize = 3;

pub(super) fn doubts(reached: &Reached, evidence: &Evidence<'_>) -> Vec<String> {
    let mut doubts: Vec<String> = reached.judgement.missing.iter().map(|m| missing(m.input, &m.why)).collect();
    doubts.extend(guesses(evidence));
    doubts.extend(unknown(reached));
    doubts.extend(dropped(reached));
    doubts.extend(binary(reached));
    if let Some(cut) = evidence.cut.words() {
        doubts.push(format!("This explanation does not cover everything: {cut} did not fit into it."));
    }
    if reached.cause == Cause::Deadline {
        doubts.push(
            "The verdict was reached because its deadline passed; what comes in later leads to a new one.".into(),
        );
    }
    doubts
}

fn missing(input: MissingInput, why: &str) -> String {
    let what = match input {
        MissingInput::Acceptance => "What the deployment changes is unknown".to_owned(),
        MissingInput::Signal(source) => match source {
            domain::Source::StaticAnalysis => "Whether the code holds anything dangerous is unknown".to_owned(),
            domain::Source::MlScoring => "How likely it is to fail is unknown".to_owned(),
        },
    };
    let who = match input {
        MissingInput::Acceptance => "its acceptance never arrived".to_owned(),
        MissingInput::Signal(source) => format!("{} gave no answer", analyser(source)),
    };
    let why = one_line(why, SENTENCE_CHARS_MAX);
    match clause(&why) {
        "" => format!("{what}: {who}."),
        why => sentence(&format!("{what}: {who} ({why})")),
    }
}

/// Deciding findings that their own rule is not sure of.
fn guesses(evidence: &Evidence<'_>) -> Option<String> {
    let mut places: Vec<String> = evidence
        .items
        .iter()
        .filter(|item| item.decides)
        .filter_map(|item| match item.fact {
            Fact::Finding(finding) if finding.confidence == Confidence::Low => Some(place(finding)),
            _ => None,
        })
        .collect();
    places.dedup();
    if places.is_empty() {
        return None;
    }
    let more = places.len().saturating_sub(GUESSES_MAX) as u64;
    places.truncate(GUESSES_MAX);
    if more > 0 {
        places.push(count(more, "other place", "other places"));
    }
    Some(format!("The rule is not sure of what it found in {}: look before you act.", list(&places)))
}

fn unknown(reached: &Reached) -> Option<String> {
    let (score, _) = score(reached)?;
    let names: Vec<String> = score.unknown.iter().map(|name| one_line(name, SENTENCE_CHARS_MAX)).collect();
    let were = match names.len() {
        0 => return None,
        1 => "1 feature was".to_owned(),
        number => format!("{number} features were"),
    };
    Some(format!("The risk rests on what was known; {were} not: {}.", shortened(&names)))
}

fn dropped(reached: &Reached) -> Option<String> {
    let dropped: u64 = reached
        .signals
        .iter()
        .map(|signal| match &signal.said {
            Said::Findings(analysis) => u64::from(analysis.findings_dropped),
            _ => 0,
        })
        .sum();
    let more = count(dropped, "more problem", "more problems");
    let than = if dropped == 1 { "it is not more severe" } else { "none of them is more severe" };
    (dropped > 0).then(|| format!("Static analysis found {more} than it passes on; {than} than those it did."))
}

fn binary(reached: &Reached) -> Option<String> {
    let files = &reached.deployment.as_ref()?.change.files;
    let binary = files.iter().filter(|file| file.binary).count() as u64;
    match binary {
        0 => None,
        1 => Some("1 file is binary, so nothing could be read in it.".to_owned()),
        _ => Some(format!("{binary} files are binary, so nothing could be read in them.")),
    }
}
