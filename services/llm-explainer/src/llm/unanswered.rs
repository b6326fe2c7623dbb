//! Why a language model gave no answer: one case for each sentence that a person reads.

/// Why there is no answer, in one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The server could not be reached.
    #[error("the language model's server at {at} could not be reached")]
    Unreachable {
        /// Host and port.
        at: String,
    },
    /// Its certificate is of no authority that is believed, or of another name, or over.
    #[error("the certificate of the language model's server at {at} is not believed: {why}")]
    Untrusted {
        /// Host and port.
        at: String,
        /// What TLS says of it.
        why: String,
    },
    /// It took too long.
    #[error("the language model did not answer within {ms} ms")]
    Slow {
        /// How long it had, in milliseconds.
        ms: u64,
    },
    /// It began to answer and then fell silent.
    #[error("the language model fell silent for {ms} ms in the middle of its answer")]
    Stalled {
        /// How long was waited for its next byte, in milliseconds.
        ms: u64,
    },
    /// The server has no such model.
    #[error("the language model {model} is not on the server; `ollama pull {model}` fetches it")]
    NoModel {
        /// Its name.
        model: String,
    },
    /// The server says that something is wrong.
    #[error("the language model's server answered with status {status}{said}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it said, behind a colon; empty when it said nothing.
        said: String,
    },
    /// The server had accepted the question, and then said that something is wrong.
    #[error("the language model's server broke off its answer{said}")]
    BrokeOff {
        /// What it said, behind a colon; empty when it said nothing.
        said: String,
    },
    /// What came is not what such a server sends.
    #[error("the language model's server did not answer as {server} does: {what}")]
    Garbage {
        /// What the server should be.
        server: &'static str,
        /// What is wrong with what it sent.
        what: &'static str,
    },
    /// The model has not read the whole prompt.
    #[error("the language model did not see all of the prompt: its context held {tokens} tokens")]
    PromptCut {
        /// As many tokens of it the model has read.
        tokens: u64,
    },
    /// The answer was longer than the limit.
    #[error("the language model's answer passed the limit of {bytes_max} bytes")]
    TooLong {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// The model ran out of tokens in the middle of its answer.
    #[error("the language model's answer was cut off after {tokens_max} tokens")]
    CutOff {
        /// The limit, in tokens.
        tokens_max: usize,
    },
    /// The connection broke.
    #[error("the connection to the language model's server broke")]
    Broken,
    /// It was not asked, because of what became of an earlier question.
    #[error("{0} when it was last asked")]
    Resting(Box<Unanswered>),
}

impl Unanswered {
    /// What kind it is, in a word to count by.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
            Self::Slow { .. } => "timeout",
            Self::Stalled { .. } => "stalled",
            Self::NoModel { .. } => "no_model",
            Self::Status { .. } => "status",
            Self::BrokeOff { .. } | Self::Broken => "broken",
            Self::Garbage { .. } => "garbage",
            Self::PromptCut { .. } => "prompt_cut",
            Self::TooLong { .. } | Self::CutOff { .. } => "too_long",
            Self::Resting(_) => "resting",
        }
    }

    /// Whether the server is better left alone for a while: it is away, stuck or full. What it refuses or gets wrong it
    /// says at once, and costs nobody any time.
    pub(super) fn tires(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::Slow { .. } | Self::Stalled { .. } => true,
            Self::Status { status, .. } => *status == 503,
            _ => false,
        }
    }
}
