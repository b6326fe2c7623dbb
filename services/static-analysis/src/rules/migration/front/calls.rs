//! Calls in the text of a program: their name, and their arguments by place and by name. Not a parser: strings and comments are
//! blanked first, and brackets counted.

use std::ops::Range;

use crate::source::{Syntax, code_only};

/// A program's text, and the same without what is in strings and comments; places are the same in both.
pub(super) struct Program<'t> {
    pub(super) text: &'t str,
    pub(super) code: String,
    pub(super) syntax: Syntax,
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments<'t> {
    /// Those without a name.
    pub(super) places: Vec<Value<'t>>,
    /// Those with one.
    pub(super) names: Vec<(String, Value<'t>)>,
}

/// An argument as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl<'t> Program<'t> {
    pub(super) fn of(text: &'t str, syntax: Syntax) -> Self {
        Self { text, code: code_only(text, syntax), syntax }
    }

    /// The arguments in these bytes, which are what is between a call's brackets, or behind its name.
    pub(super) fn arguments(&self, range: Range<usize>) -> Arguments<'t> {
        let mut arguments = Arguments::default();
        for part in self.parts(range) {
            let code = &self.code[part.clone()];
            let (key, value) = match self.key(code) {
                Some((key_length, value)) => {
                    let key = &self.text[part.start..part.start + key_length];
                    (Some(literal(key.trim()).to_owned()), part.start + value..part.end)
                }
                None => (None, part),
            };
            let value = trimmed(self.text, value);
            match key {
                Some(key) => arguments.names.push((key, value)),
                None => arguments.places.push(value),
            }
        }
        arguments
    }

    /// The parts of these bytes between the commas that are in no bracket.
    pub(super) fn parts(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut depth = 0_i32;
        let mut start = range.start;
        for (at, byte) in self.code.as_bytes()[range.clone()].iter().enumerate().map(|(at, b)| (at + range.start, b)) {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                b',' if depth == 0 => {
                    parts.push(start..at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(start..range.end);
        parts.retain(|part| !self.text[part.clone()].trim().is_empty());
        parts
    }

    /// Where the name at the beginning of an argument ends, and where its value begins.
    fn key(&self, code: &str) -> Option<(usize, usize)> {
        let blank = code.len() - code.trim_start().len();
        let rest = &code[blank..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'') && self.syntax != Syntax::Python);
        let name = match quote {
            Some(quote) => rest[1..].find(quote).map(|end| end + 2)?,
            None => {
                let colon = usize::from(rest.starts_with(':') && matches!(self.syntax, Syntax::Ruby | Syntax::Elixir));
                colon + rest[colon..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len() - colon)
            }
        };
        if name == 0 {
            return None;
        }
        let behind = rest[name..].trim_start();
        let sign = match self.syntax {
            Syntax::Ruby if behind.starts_with("=>") => "=>",
            Syntax::Ruby | Syntax::JavaScript | Syntax::Php | Syntax::Elixir
                if behind.starts_with(':') && !behind.starts_with("::") =>
            {
                ":"
            }
            Syntax::Python if behind.starts_with('=') && !behind.starts_with("==") => "=",
            _ => return None,
        };
        // `:a` is a value, `a ? b : c` too.
        if sign == ":" && rest.starts_with(':') {
            return None;
        }
        let value = blank + name + (rest.len() - name - behind.len()) + sign.len();
        Some((blank + name, value))
    }
}

/// The value without the blanks around it.
fn trimmed(text: &str, range: Range<usize>) -> Value<'_> {
    let text = &text[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    Value { text: text.trim(), start }
}

impl<'t> Arguments<'t> {
    /// The argument at a place, without its quotes.
    pub(super) fn place(&self, number: usize) -> Option<&'t str> {
        self.places.get(number).map(|value| literal(value.text))
    }

    /// The argument of a name, as written.
    pub(super) fn named(&self, name: &str) -> Option<&'t str> {
        self.names.iter().find(|(key, _)| key == name).map(|(_, value)| value.text)
    }

    /// The argument at a place or of a name, without its quotes.
    pub(super) fn at_or_named(&self, number: usize, name: &str) -> Option<&'t str> {
        self.named(name).map(literal).or_else(|| self.place(number))
    }

    /// True when the argument of that name is written so.
    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        self.named(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
    }
}

/// A name or string without what its language puts around it: `:a`, `'a'`, `"a"`, `` `a` ``.
pub(super) fn literal(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix(':').unwrap_or(text);
    let text = text.strip_prefix("r").filter(|rest| rest.starts_with(['"', '\''])).unwrap_or(text);
    if let Some(inner) = text.strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")) {
        return inner;
    }
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// The methods of a migration, by name, that only the way down needs: those called after it, those that nothing else calls, and, where the
/// way up is in sight, those that nobody calls.
pub(super) fn ways_down(code: &str, methods: &[(String, Range<usize>)]) -> Vec<Range<usize>> {
    let goes_down = |name: &str| {
        let lower = name.to_ascii_lowercase();
        ["down", "rollback", "revert"].iter().any(|word| lower.starts_with(word) || lower.ends_with(word))
    };
    let is_entry = |name: &str| matches!(name, "up" | "change");
    let shows_entry = methods.iter().any(|(name, _)| is_entry(name));
    let mut is_down: Vec<bool> = methods.iter().map(|(name, _)| goes_down(name)).collect();
    // A helper of a helper is as far as anybody goes.
    for _ in 0..2 {
        for (number, (name, own)) in methods.iter().enumerate().take(METHODS_MAX) {
            let is_of_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            let is_mention = |at: &usize| {
                let before = at.checked_sub(1).and_then(|before| code.as_bytes().get(before));
                !own.contains(at) && !is_of_word(before) && !is_of_word(code.as_bytes().get(at + name.len()))
            };
            let mut mentions = code.match_indices(name.as_str()).map(|(at, _)| at).filter(is_mention).peekable();
            let in_way_down = |at: usize| {
                let mut known = methods.iter().zip(&is_down).take(METHODS_MAX);
                known.any(|((_, range), is_down)| *is_down && range.contains(&at))
            };
            let is_known = shows_entry || mentions.peek().is_some();
            is_down[number] |= !is_entry(name) && is_known && mentions.all(in_way_down);
        }
    }
    methods.iter().zip(is_down).filter(|(_, is_down)| *is_down).map(|((_, range), _)| range.clone()).collect()
}

/// Most methods of a migration that are asked who calls them.
const METHODS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_places_and_names() {
        let text = ":users, [:a, :b], unique: true, index: { algorithm: :concurrently }, 'x' => 1, :y => nil, A::B";
        let arguments = Program::of(text, Syntax::Ruby).arguments(0..text.len());
        assert_eq!(
            (arguments.place(0), arguments.place(1), arguments.place(2)),
            (Some("users"), Some("[:a, :b]"), Some("A::B"))
        );
        assert!(arguments.says("unique", "true") && arguments.says("x", "1") && arguments.says("y", "nil"));
        assert_eq!(arguments.named("index"), Some("{ algorithm: :concurrently }"));
        let text = "'t', sa.Column('a, b', sa.Integer()), nullable=False, x=a == b";
        let arguments = Program::of(text, Syntax::Python).arguments(0..text.len());
        assert_eq!((arguments.place(0), arguments.places.len()), (Some("t"), 2));
        assert!(arguments.says("nullable", "false") && arguments.says("x", "a == b"));
    }

    #[test]
    fn what_only_the_way_down_calls_belongs_to_it() {
        let code = "up { a(); } down { b(); } a { } b { c(); } c { } d { }";
        let method = |name: &str| {
            let start = code.find(&format!("{name} {{")).unwrap();
            (name.to_owned(), start..start + code[start..].find('}').unwrap())
        };
        let methods: Vec<_> = ["up", "down", "a", "b", "c", "d"].map(method).into();
        let down: Vec<_> =
            ways_down(code, &methods).into_iter().map(|range| &code[range.start..=range.start]).collect();
        assert_eq!(down, ["d", "b", "c", "d"]);
        let shown: Vec<_> = methods.into_iter().filter(|(name, _)| name != "up" && name != "down").collect();
        assert_eq!(ways_down(&code[code.find("a {").unwrap()..], &shown).len(), 0);
    }
}
