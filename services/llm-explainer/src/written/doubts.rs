//! What a verdict leaves open: what is missing, what was not known, what was cut, what was only guessed.
//!
//! Pure.

use domain::{Cause, Confidence, MissingInput, Reached, Said, Source};

use super::{Case, SENTENCE_CHARS_MAX};
use crate::evidence::{Cut, Evidence, Fact, NAMES_MAX, place, score};
use crate::template::Sentences;
use crate::text::{clause, one_line};

/// Most guesses that are named.
const GUESSES_MAX: usize = 3;

pub(super) fn doubts(case: &Case<'_>) -> Vec<String> {
    let (reached, sentences) = (case.reached, case.sentences);
    let missing = reached.judgement.missing.iter();
    let mut doubts: Vec<String> = missing.map(|m| self::missing(m.input, &m.why, sentences)).collect();
    doubts.extend(guesses(case.evidence, sentences));
    doubts.extend(unknown(reached, sentences));
    doubts.extend(dropped(reached, sentences));
    doubts.extend(binary(reached, sentences));
    doubts.extend(cut(&case.evidence.cut, sentences));
    if reached.cause == Cause::Deadline {
        doubts.push(sentences.say("deadline", &[]));
    }
    doubts
}

fn missing(input: MissingInput, why: &str, sentences: &Sentences) -> String {
    let why = one_line(why, SENTENCE_CHARS_MAX);
    let why = match clause(&why) {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    let unknown = match input {
        MissingInput::Acceptance => "unknown-change",
        MissingInput::Signal(Source::StaticAnalysis) => "unknown-code",
        MissingInput::Signal(Source::MlScoring) => "unknown-risk",
    };
    sentences.say(unknown, &[("why", &why)])
}

/// What the evidence had no room for.
fn cut(cut: &Cut, sentences: &Sentences) -> Option<String> {
    let kinds = [
        ("finding", cut.findings),
        ("reason", cut.reasons),
        ("contribution", cut.contributions),
        ("fact", cut.details),
    ];
    let parts = kinds.into_iter().filter(|(_, number)| *number > 0);
    let parts: Vec<String> = parts.map(|(kind, number)| sentences.count(kind, number, &[])).collect();
    (!parts.is_empty()).then(|| sentences.say("cut", &[("what", &sentences.list(&parts))]))
}

/// Deciding findings that their own rule is not sure of.
fn guesses(evidence: &Evidence<'_>, sentences: &Sentences) -> Option<String> {
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
        places.push(sentences.count("other-place", more, &[]));
    }
    Some(sentences.say("guessed", &[("places", &sentences.list(&places))]))
}

fn unknown(reached: &Reached, sentences: &Sentences) -> Option<String> {
    let (score, _) = score(reached)?;
    let names = score.unknown.iter().map(|name| one_line(name, SENTENCE_CHARS_MAX).into_owned());
    let names: Vec<String> = names.collect();
    let shown = match names.len() {
        0 => return None,
        number if number <= NAMES_MAX => sentences.list(&names),
        number => {
            let more = (number - NAMES_MAX).to_string();
            sentences.say("names-more", &[("names", &names[..NAMES_MAX].join(", ")), ("n", &more)])
        }
    };
    Some(sentences.count("feature", names.len() as u64, &[("names", &shown)]))
}

fn dropped(reached: &Reached, sentences: &Sentences) -> Option<String> {
    let dropped: u64 = reached
        .signals
        .iter()
        .map(|signal| match &signal.said {
            Said::Findings(analysis) => u64::from(analysis.findings_dropped),
            _ => 0,
        })
        .sum();
    (dropped > 0).then(|| sentences.count("dropped", dropped, &[]))
}

fn binary(reached: &Reached, sentences: &Sentences) -> Option<String> {
    let files = &reached.deployment.as_ref()?.change.files;
    let binary = files.iter().filter(|file| file.binary).count() as u64;
    (binary > 0).then(|| sentences.count("binary", binary, &[]))
}
