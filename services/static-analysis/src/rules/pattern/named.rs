//! A value behind a name: `acme_api_key = "…"`, or the name on one line and the key on the next.
//!
//! Names are looked for on a line that holds a keyword of the row; the value has to begin within a short reach of the name.
//! Values that look alike share one compiled expression, however many rows ask for it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use domain::diff::LineKind;
use regex::Regex;

use super::lazy::{Lazy, Letters};
use super::{first, stands_alone};
use crate::rules::AddedLine;
use crate::rules::secret::{self, entropy};

/// Bytes between a name and the beginning of its value.
const REACH_BYTES: usize = 76;
/// Bytes of the line below that are looked at.
const BELOW_BYTES_MAX: usize = 700;
/// A name this short, or shorter, is no name inside another word.
pub(super) const SHORT_NAME_BYTES: usize = 6;
/// Bits for each character of a value that has no digit.
const ENTROPY_OF_LETTERS: f64 = 3.2;
/// Words of which one has to stand between a name that is an everyday word and its value.
const SECRET_WORDS: [&str; 14] = [
    "key", "token", "secret", "api", "auth", "pass", "pat", "cred", "access", "client", "private", "sid", "bearer",
    "pwd",
];

/// What may stand between a name and its value when that is all there is: the rest of the name, an operator, quotes.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"\A[0-9A-Za-z_ .\t\[\]-]{0,72}["'`)\]]{0,2}[ \t]{0,4}(?:[:?|.+]{0,3}=>?|:{1,3}|>|,|\|\||\(|->|-|[ \t])["'`=\[({ \t>\\]{0,6}(?:\\[nrt])?\z"#,
    )
    .expect("the pattern is tested")
});
/// What has to stand before the value when more is between them: a word that says secret, assigned.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix) (?: key | token | secret | passw(?:or)?d | pwd | auth(?:orization)? | credentials? | bearer | \bpat | (?:client|app)[_-]?id )
        [0-9a-z_.-]{0,16} ["'`)\]]{0,2} [\ \t]{0,4} (?: [:?|.+]{0,3}=>? | :{1,2} | > | , | [\ \t] ) ["'`=\[({\ \t>\\]{0,4}
        (?: (?: bearer | basic | token ) [\ \t] | \\[nrt] )? \z"#,
    )
    .expect("the pattern is tested")
});

/// What is public about an account, though only who has one knows it.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:client|app|application|account|project|base|table|space|team|tenant|org)[_.-]?s?id["'`\])]{0,2}[ \t]{0,4}[:=>,]{1,3}[ \t]{0,4}["'`]?\z"#,
    )
    .expect("the pattern is tested")
});

/// The expressions of one row.
#[derive(Debug)]
pub(super) struct Named {
    names: Lazy,
    tokens: Vec<Arc<Lazy>>,
    /// Whether a value may begin with each byte.
    firsts: Box<[bool; 256]>,
}

/// A value, and how sure it is that it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) range: Range<usize>,
    pub(super) doubtful: bool,
}

/// How a row judges a value, beside its place.
pub(super) struct Judge<'p> {
    /// A word such as `key` has to stand between.
    pub(super) strict: bool,
    /// Whether the value itself will do.
    pub(super) allows: &'p dyn Fn(&str) -> bool,
}

impl Named {
    pub(super) fn new(names: &[String], tokens: &[String]) -> Self {
        let names = Lazy::new(format!("(?i:{})", names.join("|")));
        let mut firsts = Box::new([false; 256]);
        tokens.iter().for_each(|token| first::mark(token, &mut firsts));
        Self { names, tokens: tokens.iter().map(|token| shared(token)).collect(), firsts }
    }

    /// Where a name stands in `text`.
    fn names<'t>(&self, text: &'t str) -> impl Iterator<Item = Range<usize>> + use<'_, 't> {
        let names = self.names.get(Letters::of(text)).into_iter();
        let found = names.flat_map(|names| names.find_iter(text.as_bytes()));
        found.map(|name| name.range()).filter(|name| is_word(text, name.clone()))
    }

    /// The values behind a name in `text`.
    pub(super) fn values(&self, text: &str, judge: &Judge<'_>) -> Vec<Value> {
        let mut found: Vec<Value> = Vec::new();
        for name in self.names(text) {
            // One value is not found again behind a second name.
            if found.last().is_some_and(|last| name.start < last.range.end) {
                continue;
            }
            let end = name.end;
            found.extend(self.behind(text, name, end, judge));
        }
        found
    }

    /// The name at the end of its line (the bytes), and the value on the next, which is a line of the change too.
    pub(super) fn below(&self, line: &AddedLine<'_>, judge: &Judge<'_>) -> Option<(Range<usize>, bool)> {
        let next = line.hunk.lines[line.index + 1..].iter().find(|below| below.kind != LineKind::Removed)?;
        if next.kind != LineKind::Added {
            return None;
        }
        let above = line.text.trim_end();
        let name = self.names(above).last()?;
        if above.len() - name.end > REACH_BYTES / 2 {
            return None;
        }
        let below = &next.text[..next.text.floor_char_boundary(BELOW_BYTES_MAX)];
        if let Some(value) = secret::value_below(line) {
            let joined = format!("{above} {value}");
            let value = self.behind(&joined, name.clone(), above.len() + 1, judge);
            return value.map(|value| (name.start..above.len(), value.doubtful));
        }
        // A heading such as `acme:` or `[acme]`, a comment or another field: the next line says that it is a key.
        let heading = above.ends_with([':', '{', ']', '>', '(']);
        let joined = format!("{above}\n{}", below.trim_start());
        let value = self.behind(&joined, name.clone(), above.len() + 1, judge)?;
        Some((name.start..above.len(), value.doubtful || !heading))
    }

    /// The first value that begins at `from` or later, in reach of the name.
    fn behind(&self, text: &str, name: Range<usize>, from: usize, judge: &Judge<'_>) -> Option<Value> {
        let letters = Letters::of(text);
        let reach = text.floor_char_boundary(name.end + REACH_BYTES);
        for start in from..reach.min(text.len()) {
            let begins = self.firsts[usize::from(text.as_bytes()[start])] && text.is_char_boundary(start);
            if !begins || !may_begin(text, start, name.end) {
                continue;
            }
            for token in &self.tokens {
                let Some(found) = token.get(letters)?.find(&text.as_bytes()[start..]) else { continue };
                let range = start..start + found.end();
                if stands_alone(text, &range)
                    && let Some(doubtful) = accepts(text, &name, &range, judge)
                {
                    return Some(Value { range, doubtful });
                }
            }
        }
        None
    }
}

/// Whether the value is one behind this name, and if so, whether there is doubt.
fn accepts(text: &str, name: &Range<usize>, value: &Range<usize>, judge: &Judge<'_>) -> Option<bool> {
    let gap = &text[name.end..value.start];
    let before = text[name.start..value.start].to_ascii_lowercase();
    // A call, and no literal.
    if text[value.end..].starts_with('(') {
        return None;
    }
    let value = &text[value.clone()];
    if secret::is_named_otherwise(&before) || secret::is_stand_in(value) || !(judge.allows)(value) {
        return None;
    }
    if is_words(value) {
        return None;
    }
    let tail = TAIL.is_match(gap);
    let has_word = tail || SECRET_WORDS.iter().any(|word| before.contains(word));
    if PLAIN.is_match(gap) || gap.is_empty() {
        let assigned = before.trim_end().ends_with(['=', ':', '>', ',', '(', '|', '"', '\'', '`', '[', '{', '\\']);
        if !has_word && (judge.strict || !assigned) {
            return None;
        }
    } else if !tail || gap.contains(';') {
        return None;
    }
    // Without quotes, a name of something in a program.
    if gap.ends_with(['(', ' ', ',', '.'])
        && !value.bytes().any(|byte| byte.is_ascii_digit())
        && !gap.trim_end().ends_with(['=', ':'])
    {
        return None;
    }
    if secret::is_random(value) {
        return Some(ID.is_match(&before));
    }
    let one_word = !value.contains(['-', '_', '.', '/', ' ']);
    (has_word && one_word && entropy(value) >= ENTROPY_OF_LETTERS).then_some(true)
}

/// True for words that are written together, as programs name things: `ghprbPullAuthorLogin`.
fn is_words(value: &str) -> bool {
    static WORDS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("^[A-Z]?[a-z]{2,}(?:[A-Z][a-z]{2,}){2,}$").expect("the pattern is tested"));
    value.bytes().all(|byte| byte.is_ascii_alphabetic()) && WORDS.is_match(value)
}

/// True when a value may begin here: not inside a word.
fn may_begin(text: &str, start: usize, name_end: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    start == name_end || !word(bytes[start - 1]) || !word(bytes[start]) || is_escape(bytes, start)
}

/// True behind the letter of `\n`, `\r` or `\t`.
fn is_escape(bytes: &[u8], at: usize) -> bool {
    at >= 2 && bytes[at - 2] == b'\\' && b"nrt".contains(&bytes[at - 1])
}

/// True for a name that is no part of another word. A long one is always taken for what it says.
pub(super) fn is_word(text: &str, name: Range<usize>) -> bool {
    if name.len() > SHORT_NAME_BYTES || name.is_empty() {
        return true;
    }
    let bytes = text.as_bytes();
    let same = |a: u8, b: u8| {
        a.is_ascii_lowercase() && b.is_ascii_lowercase() || a.is_ascii_uppercase() && b.is_ascii_uppercase()
    };
    let first = bytes[name.start];
    let begins = name.start == 0
        || !bytes[name.start - 1].is_ascii_alphanumeric()
        || bytes[name.start - 1].is_ascii_lowercase() && first.is_ascii_uppercase();
    let goes_on = || bytes.get(name.end).is_some_and(|next| same(bytes[name.end - 1], *next));
    let behind =
        |word: &str| bytes[name.end..].get(..word.len()).is_some_and(|rest| rest.eq_ignore_ascii_case(word.as_bytes()));
    begins && (!goes_on() || SECRET_WORDS.iter().any(|word| behind(word)))
}

/// The expression for a value, the same for all rows that ask for it.
fn shared(token: &str) -> Arc<Lazy> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Lazy>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Arc::new(Lazy::new(format!(r"\A(?:{token})")));
    Arc::clone(known.entry(token.to_owned()).or_insert_with(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "q7zpw2m9xk4dlrt8vb3c";

    #[track_caller]
    fn check(name: &str, strict: bool, text: &str, expected: Option<bool>) {
        let named = Named::new(&[name.to_owned()], &["[0-9a-z]{20}".to_owned()]);
        let text = text.replace('V', VALUE);
        let found = named.values(&text, &Judge { strict, allows: &|_| true });
        assert_eq!(found.first().map(|value| value.doubtful), expected, "{text}");
        assert!(found.iter().all(|value| &text[value.range.clone()] == VALUE || expected == Some(true)));
    }

    #[test]
    fn a_value_is_reached_over_what_stands_between() {
        for text in [
            "acme_key = \"V\"",
            "acme token = 'V'",
            "\"acmeToken\": \"V\"",
            "set(\"ACME_KEY\", \"V\")",
            "acme: V",
            "acme=V",
            "acme: { key: \"V\" }",
            "https://api.acme.com/v1/list?api_key=V",
            "curl https://api.acme.com -H 'Authorization: Bearer V'",
            "acmeSECRETof-V",
            r"acme_key=\nV\n",
        ] {
            check("acme", false, text, Some(false));
        }
    }

    #[test]
    fn what_only_stands_near_is_no_value() {
        for text in [
            "acme V",
            "https://acme.com/img/V.png",
            "https://acme.com/img/V",
            "acme_key_sha256 = V",
            "acme is fast; commit V",
            "acme(x); key = V",
            "acmeClient.NewHistogram(acMeasureOfTheTimes)",
            "acme_key = aV",
            "acme_key = V0",
            "pacmen_key = V",
        ] {
            check("acme", false, text, None);
        }
        check("acme", true, "acme = V", None);
        check("acme", true, "acme_key = V", Some(false));
        check("acme", true, "acmetoken = V", Some(false));
    }

    #[test]
    fn the_name_of_something_in_a_program_is_no_value() {
        let named = Named::new(&["acme".to_owned()], &["[0-9A-Za-z]{20}".to_owned()]);
        let found = |text: &str| !named.values(text, &Judge { strict: false, allows: &|_| true }).is_empty();
        assert!(!found("acme_token: 'ghprbPullAuthorLogin'"));
        assert!(!found("acme_key = \"ServerAccessTokenKey\""));
        assert!(found("acme_key = \"ServerAccess7okenKey\""));
        assert!(found("acme_key = \"qWzPwomUxkJdlRthVbyc\""));
    }

    #[test]
    fn an_id_is_doubtful() {
        check("acme", false, "acme_client_id = \"V\"", Some(true));
        check("acme", false, "acmeAppId: 'V'", Some(true));
        check("acme", false, "acme_valid = \"V\"", Some(false));
        check("acme", false, "acme_client_id_secret = \"V\"", Some(false));
    }

    #[test]
    fn letters_alone_are_doubtful() {
        check("acme", false, "acme_key = \"qwzpwomuxkjdlrthvbyc\"", Some(true));
        check("acme", false, "acme = \"qwzpwomuxkjdlrthvbyc\"", None);
    }

    #[test]
    fn text_of_any_characters_is_read() {
        check("acme", false, "ä acme_key ö = \"V\"", None);
        check("acme", false, "acme_key = \"V\" – ✓", Some(false));
        check("acme", false, "acme…", None);
        check("acme", false, "acme", None);
    }
}
