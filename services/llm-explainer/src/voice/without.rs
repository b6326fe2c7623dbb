//! Why an explanation has to do without the model's words.

use crate::llm::Unanswered;

/// Why: in one sentence for a person, and in a word to be counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Without {
    /// The word.
    pub(super) kind: &'static str,
    /// The sentence.
    pub(super) why: String,
}

impl Without {
    pub(super) fn new(kind: &'static str, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}

impl From<Unanswered> for Without {
    fn from(unanswered: Unanswered) -> Self {
        Self::new(unanswered.kind(), unanswered.to_string())
    }
}
