//! The words of an explanation, before it is known who wrote them and when.
//!
//! Pure.

use std::time::Duration;

use domain::{Claim, EventId, Explanation, Origin, Reached};
use time::OffsetDateTime;

/// What an explanation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The whole in one sentence.
    pub headline: String,
    /// Why it is so.
    pub why: Vec<Claim>,
    /// What to do.
    pub what_to_do: Vec<Claim>,
    /// What is not certain.
    pub uncertain: Vec<String>,
}

/// Who wrote it, when, and how long it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp {
    /// The request that it answers, if it does.
    pub request: Option<EventId>,
    /// Who wrote it.
    pub origin: Origin,
    /// The explainer's own version.
    pub producer: String,
    /// How long the writing took.
    pub took: Duration,
    /// When it was written.
    pub written_at: OffsetDateTime,
}

impl Words {
    /// A model's words, with what only the evidence can be trusted to say: what is uncertain is always told, and steps
    /// are never lost because the model gave none that hold.
    #[must_use]
    pub fn completed_by(mut self, written: Self) -> Self {
        if self.what_to_do.is_empty() {
            self.what_to_do = written.what_to_do;
        }
        let said = std::mem::replace(&mut self.uncertain, written.uncertain);
        for doubt in said {
            if !self.uncertain.contains(&doubt) {
                self.uncertain.push(doubt);
            }
        }
        self
    }

    /// The explanation of `reached` in these words.
    #[must_use]
    pub fn explain(self, reached: &Reached, stamp: Stamp) -> Explanation {
        Explanation {
            deployment_id: reached.deployment_id,
            verdict_number: reached.number,
            verdict: reached.judgement.verdict,
            headline: self.headline,
            why: self.why,
            what_to_do: self.what_to_do,
            uncertain: self.uncertain,
            request: stamp.request,
            origin: stamp.origin,
            producer: stamp.producer,
            took: stamp.took,
            written_at: stamp.written_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_uncertain_is_said_whoever_wrote_the_rest() {
        let step = |text: &str| vec![Claim { text: text.to_owned(), evidence: vec!["S1".to_owned()] }];
        let written = Words {
            what_to_do: step("Rotate the key."),
            uncertain: vec!["The risk is unknown.".to_owned()],
            ..Words::default()
        };
        let said = Words {
            headline: "It is blocked.".to_owned(),
            uncertain: vec!["Whether the key works.".to_owned(), "The risk is unknown.".to_owned()],
            ..Words::default()
        };
        let words = said.clone().completed_by(written.clone());
        assert_eq!(words.headline, "It is blocked.");
        assert_eq!(words.what_to_do, written.what_to_do);
        assert_eq!(words.uncertain, ["The risk is unknown.", "Whether the key works."]);
        let own = Words { what_to_do: step("Revoke it."), ..said };
        assert_eq!(own.completed_by(written).what_to_do, step("Revoke it."));
    }
}
