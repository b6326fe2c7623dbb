//! Expressions that are compiled when they are first asked. Most never are.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::NFA;

use super::{dialect, texts};

/// Bytes of a compiled expression. A row that needs more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Ascii,
    /// Letters beyond ASCII, too, but none that is another case of one of ASCII.
    Beyond,
    Any,
}

impl Letters {
    pub(super) fn of(text: &str) -> Self {
        // The Kelvin sign is a capital k, and the long s a small one.
        if text.is_ascii() {
            Self::Ascii
        } else if !text.contains('\u{212a}') && !text.contains('\u{17f}') {
            Self::Beyond
        } else {
            Self::Any
        }
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
    /// Whether all that it finds is ASCII, so that the first of the two does for most texts.
    finds_ascii: OnceLock<bool>,
    /// One of these is in whatever it finds.
    texts: OnceLock<Option<AhoCorasick>>,
}

/// The sign of ASCII that an expression takes no otherwise than a letter beyond: nobody writes it.
const STAND_IN: char = '\u{7f}';

impl Lazy {
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            ascii: OnceLock::new(),
            any: OnceLock::new(),
            finds_ascii: OnceLock::new(),
            texts: OnceLock::new(),
        }
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
            Letters::Any => any(),
            Letters::Beyond if !self.finds_ascii() => any(),
            // Some name letters beyond ASCII, and are compiled with them only.
            _ => self.ascii.get_or_init(|| build(false)).as_ref().or_else(any),
        }
    }

    fn finds_ascii(&self) -> bool {
        *self.finds_ascii.get_or_init(|| {
            let plain = self.plain();
            // Without Unicode, what takes a byte beyond ASCII may take a part of a letter, which the parser does not allow.
            plain.is_ascii() && regex_syntax::ParserBuilder::new().unicode(false).build().parse(&plain).is_ok()
        })
    }

    /// False for a text in which it finds nothing, as far as that can be told without compiling it for all letters.
    pub(super) fn may_match(&self, text: &str) -> bool {
        let texts = self.texts.get_or_init(|| texts::of(&self.plain()));
        if texts.as_ref().is_some_and(|texts| !texts.is_match(text)) {
            return false;
        }
        let known = self.any.get().is_some() || Letters::of(text) != Letters::Beyond;
        if known || self.finds_ascii() || !takes_all_letters_alike(&self.text) {
            return true;
        }
        let stand_in: String = text.chars().map(|c| if c.is_ascii() { c } else { STAND_IN }).collect();
        self.get(Letters::Ascii).is_none_or(|regex| regex.is_match(stand_in.as_bytes()))
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.get(Letters::of(text)).is_some_and(|regex| regex.is_match(text.as_bytes()))
    }
}

/// Whether an expression takes [`STAND_IN`] where it takes any letter beyond ASCII: it names none, and no class that knows some.
fn takes_all_letters_alike(expression: &str) -> bool {
    const TELLING: [&str; 11] = [r"\S", r"\W", r"\D", r"\B", r"\p", r"\P", r"\x{", r"\u", r"\U", "[[:", "[:^"];
    expression.is_ascii()
        && !TELLING.iter().any(|sign| expression.contains(sign))
        && !expression.to_ascii_lowercase().contains("7f")
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
        check("(?i)acme[_-]key", "– Acme_Key ü", "Acme_Key");
        check("(?i)acme[_-]key", "Acme_\u{212a}ey", "Acme_\u{212a}ey");
    }

    #[test]
    fn only_where_letters_are_told_apart_all_of_them_have_to_be_known() {
        let check = |expression: &str, text: &str, expected: bool| {
            let lazy = Lazy::new(expression.to_owned());
            assert_eq!((lazy.may_match(text), lazy.any.get().is_some()), (expected, false), "{expression} in {text}");
        };
        check("key=[^;]{3}", "– key=äöü", true);
        check("key=[^;]{3}", "– key=äö", false);
        check("key=[^;]{3}", "key=ab", true);
        check(r"key=\S", "– key=\u{3000}", true);
        check(r"key=[^\x00-\x7F]", "– key=ä", true);
        check("key=[a-zä]", "– key=ä", true);
        check("key=[a-z]", "– key=", true);
    }
}
