//! Answers that held, by what was asked: the same question costs nothing the second time. Bounded; what was used least
//! recently goes first.
//!
//! In memory only: a restart asks again, and nothing else depends on it.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::question::Held;
use crate::prompt::Prompt;

/// The digest of a question: the model's name and the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of `prompt` to `model`.
    pub(super) fn of(model: &str, prompt: &Prompt) -> Self {
        let mut digest = Sha256::new();
        for part in [model, &prompt.system, &prompt.user] {
            // With their lengths, so that no two questions run together into one.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

/// The answers.
#[derive(Debug)]
pub(super) struct Cache {
    /// `None` when nothing is to be kept.
    answers: Option<Mutex<LruCache<Key, Held>>>,
}

impl Cache {
    /// A cache of at most so many answers; none are kept with 0.
    pub(super) fn new(answers_max: usize) -> Self {
        Self { answers: NonZeroUsize::new(answers_max).map(|max| Mutex::new(LruCache::new(max))) }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        let kept = |answers: &Mutex<LruCache<Key, Held>>| {
            answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len()
        };
        self.answers.as_ref().map_or(0, kept) == 0
    }

    /// What was answered to that question.
    pub(super) fn get(&self, key: Key) -> Option<Held> {
        let mut answers = self.answers.as_ref()?.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        answers.get(&key).cloned()
    }

    /// Keeps an answer that held.
    pub(super) fn put(&self, key: Key, held: &Held) {
        if let Some(answers) = &self.answers {
            answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).put(key, held.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Origin;

    use super::*;
    use crate::words::Words;

    fn key(model: &str, user: &str) -> Key {
        Key::of(model, &Prompt { system: "s".to_owned(), user: user.to_owned() })
    }

    fn held(headline: &str) -> Held {
        let words = Words { headline: headline.to_owned(), ..Words::default() };
        Held { words, origin: Origin::Evidence { because: String::new() } }
    }

    #[test]
    fn an_answer_belongs_to_its_question_and_its_model() {
        assert_eq!(key("a", "q"), key("a", "q"));
        assert_ne!(key("a", "q"), key("b", "q"));
        assert_ne!(key("a", "q"), key("a", "r"));
        assert_ne!(key("as", ""), key("a", ""), "the parts do not run together");
    }

    #[test]
    fn the_least_recently_used_answer_goes_first() {
        let cache = Cache::new(2);
        cache.put(key("m", "1"), &held("one"));
        cache.put(key("m", "2"), &held("two"));
        assert_eq!(cache.get(key("m", "1")), Some(held("one")));
        cache.put(key("m", "3"), &held("three"));
        assert_eq!(cache.get(key("m", "2")), None);
        assert_eq!(cache.get(key("m", "1")), Some(held("one")));
        assert_eq!(cache.get(key("m", "3")), Some(held("three")));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let cache = Cache::new(0);
        cache.put(key("m", "1"), &held("one"));
        assert_eq!(cache.get(key("m", "1")), None);
    }
}
