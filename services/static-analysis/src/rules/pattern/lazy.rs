//! Expressions that are compiled when they are first asked. Most never are.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::NFA;

use super::dialect;

/// Bytes of a compiled expression. A row that needs more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Ascii,
    Any,
}

impl Letters {
    pub(super) fn of(text: &str) -> Self {
        if text.is_ascii() { Self::Ascii } else { Self::Any }
    }
}

/// An expression.
#[derive(Debug)]
pub(super) struct Lazy {
    pub(super) text: String,
    /// For texts of ASCII alone, where it finds the same: without the characters that are not there, `[^"]{0,300}` has hundreds of
    /// states instead of thousands, and is compiled ten times as fast.
    ascii: OnceLock<Option<Regex>>,
    any: OnceLock<Option<Regex>>,
}

impl Lazy {
    pub(super) fn new(text: String) -> Self {
        Self { text, ascii: OnceLock::new(), any: OnceLock::new() }
    }

    /// The same of a file that may be written for another engine.
    pub(super) fn own(text: String) -> Self {
        Self::new(dialect::with_plain_braces(text))
    }

    /// The text that is compiled.
    pub(super) fn plain(&self) -> String {
        dialect::ascii(&self.text)
    }

    /// Whether the expression can be compiled: all of the way that can fail, which is a small part of it.
    pub(super) fn check(&self) -> Result<(), String> {
        let hir = regex_syntax::parse(&self.plain()).map_err(|error| error.to_string())?;
        let limits = NFA::config().nfa_size_limit(Some(COMPILED_BYTES_MAX));
        NFA::compiler().configure(limits).build_from_hir(&hir).map(|_| ()).map_err(|error| error.to_string())
    }

    /// The compiled expression for texts of these letters; `None` when it is none.
    pub(super) fn get(&self, letters: Letters) -> Option<&Regex> {
        let build =
            |unicode| RegexBuilder::new(&self.plain()).unicode(unicode).size_limit(COMPILED_BYTES_MAX).build().ok();
        let any = || self.any.get_or_init(|| build(true)).as_ref();
        match letters {
            // Some name letters beyond ASCII, and are compiled with them only.
            Letters::Ascii => self.ascii.get_or_init(|| build(false)).as_ref().or_else(any),
            Letters::Any => any(),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.get(Letters::of(text)).is_some_and(|regex| regex.is_match(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, text: &str, expected: &str) {
        let lazy = Lazy::new(expression.to_owned());
        let find = |letters| lazy.get(letters).and_then(|regex| regex.find(text.as_bytes())).map(|found| found.range());
        assert_eq!(find(Letters::of(text)), find(Letters::Any), "{expression} in {text}");
        assert_eq!(find(Letters::of(text)).map(|range| &text[range]), Some(expected), "{expression} in {text}");
    }

    #[test]
    fn what_is_found_does_not_depend_on_how_it_is_compiled() {
        check(r"(?i)k\S{2,}?\b", "a Kelvin", "Kelvin");
        check("x[^\"]{2}", "x123", "x12");
        check("x[^\"]{2}", "xäöü", "xäö");
        check("x.{1,3}y", "xäöüy", "xäöüy");
        check(r"x[^\w\s]", "xa x.", "x.");
        check("[ä-ü]?x", "x", "x");
        check(r"\p{L}+", "abc", "abc");
    }
}
