//! What is a secret, as others know it: the rules belong to static analysis, of which this crate must not know. Whoever puts
//! the program together hands them in.
//!
//! Pure, as far as what is handed in is.

use std::fmt;
use std::sync::Arc;

/// What finds secrets in a text.
#[derive(Clone)]
pub struct SecretRules(Arc<FirstIn>);

type FirstIn = dyn Fn(&str) -> Option<String> + Send + Sync;

impl SecretRules {
    /// By `first_in`, which names the rule of the first secret in a text, if there is one.
    pub fn new(first_in: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(first_in))
    }

    /// The rule of the first secret in `text`; `None` when there is none.
    #[must_use]
    pub fn first_in(&self, text: &str) -> Option<String> {
        (self.0)(text)
    }
}

impl fmt::Debug for SecretRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRules")
    }
}

/// A prompt that held a secret, and was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evidence holds what the rule {rule} takes for a secret, so that the language model was not asked")]
pub struct Secret {
    /// The rule that sees it.
    pub rule: String,
}
