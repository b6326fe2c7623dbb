//! The check of a model's answer: only what the evidence bears gets through. A claim that fails is dropped and counted;
//! when what is left does not say why, nothing of the answer is used.
//!
//! Pure. Whatever bytes come in, what goes out cites existing evidence only, names no file that the evidence does not
//! name, and asserts no other verdict. It would rather drop a true claim than pass a false one.

mod names;
mod verdict;

use std::collections::HashSet;

use domain::{Claim, Verdict};
use serde::Deserialize;

use crate::evidence::Evidence;
use crate::template::Template;
use crate::text::one_line;
use crate::words::Words;
use names::Vocabulary;
pub(crate) use verdict::Sayings;

/// Most characters of a headline.
const HEADLINE_CHARS_MAX: usize = 300;
/// Most characters of a claim.
const CLAIM_CHARS_MAX: usize = 600;
/// Most claims of a list; what comes behind is dropped.
const CLAIMS_MAX: usize = 8;
/// Most ids of a claim.
const CITED_MAX: usize = 12;

/// What of a model's answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The words that hold.
    pub words: Words,
    /// The claims that were dropped.
    pub dropped: Vec<Dropped>,
}

impl Checked {
    /// The share of the answer's claims that hold, 0 to 1.
    #[must_use]
    pub fn grounding(&self) -> f64 {
        let held = self.words.why.len() + self.words.what_to_do.len() + self.words.uncertain.len();
        let all = held + self.dropped.len();
        if all == 0 { 1.0 } else { held as f64 / all as f64 }
    }
}

/// A claim that does not hold, and why. Never shown to readers: it may say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stood: `why`, `what_to_do`, `uncertain`.
    pub part: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// What another claim says already, word by word.
    #[error("another claim says the same")]
    Repeated,
    /// Longer than anybody would read.
    #[error("it is too long")]
    TooLong,
    /// It stands behind the last that is read.
    #[error("there are too many")]
    TooMany,
    /// No evidence.
    #[error("it cites no evidence")]
    Uncited,
    /// Evidence that does not exist.
    #[error("it cites evidence that does not exist")]
    UnknownEvidence,
    /// A file, a rule, an address or a script that the evidence does not hold.
    #[error("it names what the evidence does not name")]
    UnknownName,
    /// A number that the evidence does not hold.
    #[error("it gives a number that the evidence does not give")]
    UnknownNumber,
    /// Another verdict.
    #[error("it contradicts the verdict")]
    OtherVerdict,
}

/// Why nothing of an answer is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not an answer of the form that was asked for.
    #[error("the language model's answer was not of the form it was asked for")]
    Form,
    /// Its headline does not hold.
    #[error("the language model's headline did not hold: {0}")]
    Headline(Fault),
    /// What is left does not say why.
    #[error("too little of the language model's answer held up against the evidence")]
    TooLittle(Vec<Dropped>),
}

impl Rejected {
    /// What is wrong, in one sentence each, for the model to do better: nothing of its own words or of the deployment.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = Vec::new();
        match self {
            Self::Form => faults.push("The answer was not one JSON object of the form asked for.".to_owned()),
            Self::Headline(fault) => faults.push(format!("The headline does not hold: {fault}.")),
            Self::TooLittle(dropped) => {
                for Dropped { part, fault } in dropped {
                    let line = format!("A claim of `{part}` does not hold: {fault}.");
                    if !faults.contains(&line) {
                        faults.push(line);
                    }
                }
                faults.push(
                    "`why` needs a claim that cites what decided, and most of its claims have to hold.".to_owned(),
                );
            }
        }
        faults
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    headline: String,
    why: Vec<AnswerClaim>,
    what_to_do: Vec<AnswerClaim>,
    uncertain: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerClaim {
    text: String,
    evidence: Vec<String>,
}

/// What holds of `answer`, which explains `verdict` from `evidence` in the language of `template`.
///
/// # Errors
/// Why nothing of it is used.
pub fn check(
    answer: &str,
    verdict: Verdict,
    evidence: &Evidence<'_>,
    template: &Template,
) -> Result<Checked, Rejected> {
    let answer: Answer = serde_json::from_str(answer).map_err(|_| Rejected::Form)?;
    let mut checker =
        Checker { verdict, evidence, template, vocabulary: Vocabulary::of(evidence), said: HashSet::new() };
    let headline = checker.text(&answer.headline, HEADLINE_CHARS_MAX).map_err(Rejected::Headline)?;
    let mut dropped = Vec::new();
    let why = checker.claims("why", answer.why, &mut dropped);
    let claimed = why.len() + dropped.len();
    if why.is_empty() || why.len() * 2 < claimed || !checker.says_what_decided(&why) {
        return Err(Rejected::TooLittle(dropped));
    }
    let what_to_do = checker.claims("what_to_do", answer.what_to_do, &mut dropped);
    let uncertain = checker.doubts(answer.uncertain, &mut dropped);
    Ok(Checked { words: Words { headline, why, what_to_do, uncertain }, dropped })
}

struct Checker<'a> {
    verdict: Verdict,
    evidence: &'a Evidence<'a>,
    template: &'a Template,
    vocabulary: Vocabulary,
    /// The texts that held.
    said: HashSet<String>,
}

impl Checker<'_> {
    /// `text` on one line, when it names and asserts nothing that it must not.
    fn text(&self, text: &str, chars_max: usize) -> Result<String, Fault> {
        // Room for one more, so that a text that is too long is seen as such and not cut.
        let text = one_line(text, chars_max + 1);
        // Small models cite where they should speak.
        let only_cites = self.evidence.holds(text.trim_matches(['[', ']', '.']));
        if text.is_empty() || only_cites {
            return Err(Fault::Empty);
        }
        if text.chars().count() > chars_max {
            return Err(Fault::TooLong);
        }
        if self.template.sayings.assert_another(&text, self.verdict) {
            return Err(Fault::OtherVerdict);
        }
        if self.said.contains(&*text) {
            return Err(Fault::Repeated);
        }
        self.vocabulary.check(&text, &self.template.abbreviations)?;
        if names::bracketed_ids(&text).any(|id| !self.evidence.holds(id)) {
            return Err(Fault::UnknownEvidence);
        }
        Ok(text.into_owned())
    }

    fn claim(&mut self, claim: AnswerClaim) -> Result<Claim, Fault> {
        let text = self.text(&claim.text, CLAIM_CHARS_MAX)?;
        let mut ids: Vec<String> = Vec::new();
        for id in claim.evidence {
            let id = id.trim().trim_start_matches('[').trim_end_matches(']');
            if !self.evidence.holds(id) {
                return Err(Fault::UnknownEvidence);
            }
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        match ids.len() {
            0 => Err(Fault::Uncited),
            1..=CITED_MAX => {
                self.said.insert(text.clone());
                Ok(Claim { text, evidence: ids })
            }
            _ => Err(Fault::TooMany),
        }
    }

    fn claims(&mut self, part: &'static str, claims: Vec<AnswerClaim>, dropped: &mut Vec<Dropped>) -> Vec<Claim> {
        let mut held: Vec<Claim> = Vec::new();
        for (index, claim) in claims.into_iter().enumerate() {
            let checked = if index < CLAIMS_MAX { self.claim(claim) } else { Err(Fault::TooMany) };
            match checked {
                Ok(claim) => held.push(claim),
                Err(fault) => dropped.push(Dropped { part, fault }),
            }
        }
        held
    }

    fn doubts(&mut self, doubts: Vec<String>, dropped: &mut Vec<Dropped>) -> Vec<String> {
        let mut held = Vec::new();
        for (index, doubt) in doubts.into_iter().enumerate() {
            let checked = if index < CLAIMS_MAX { self.text(&doubt, CLAIM_CHARS_MAX) } else { Err(Fault::TooMany) };
            match checked {
                Ok(doubt) => {
                    self.said.insert(doubt.clone());
                    held.push(doubt);
                }
                Err(fault) => dropped.push(Dropped { part: "uncertain", fault }),
            }
        }
        held
    }

    /// An explanation says at least one of the things that the verdict rests on, as far as the evidence shows them.
    fn says_what_decided(&self, why: &[Claim]) -> bool {
        let mut deciding = self.evidence.items.iter().filter(|item| item.decides).peekable();
        deciding.peek().is_none() || deciding.any(|item| why.iter().any(|claim| claim.evidence.contains(&item.id)))
    }
}

#[cfg(test)]
mod tests;
