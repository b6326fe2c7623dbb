//! Texts of which every match of an expression holds one, as they are written: a line without any is not matched, and the expression
//! not even compiled for it. The engine's own prefilter does the same for fewer expressions, and only once it is compiled.

use aho_corasick::AhoCorasick;
use regex_syntax::hir::{Hir, HirKind};

/// Texts of one expression.
const TEXTS_MAX: usize = 64;
/// A shorter text is on most lines.
const BYTES_MIN: usize = 2;
/// Alternatives and pieces looked at in an expression.
const DEPTH_MAX: usize = 64;

/// Finds one of the texts; `None` when there are none that help.
pub(super) fn of(expression: &str) -> Option<AhoCorasick> {
    let hir = regex_syntax::parse(expression).ok()?;
    AhoCorasick::new(texts(&hir, 0)?).ok()
}

/// Of every match one of these is a part.
fn texts(hir: &Hir, depth: usize) -> Option<Vec<Vec<u8>>> {
    if depth > DEPTH_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Literal(literal) => (literal.0.len() >= BYTES_MIN).then(|| vec![literal.0.to_vec()]),
        HirKind::Capture(capture) => texts(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => texts(&repetition.sub, depth + 1),
        HirKind::Concat(pieces) => {
            let shortest = |texts: &Vec<Vec<u8>>| texts.iter().map(Vec::len).min().unwrap_or(0);
            pieces.iter().filter_map(|piece| texts(piece, depth + 1)).max_by_key(shortest)
        }
        HirKind::Alternation(pieces) => {
            let all: Option<Vec<_>> = pieces.iter().map(|piece| texts(piece, depth + 1)).collect();
            all.map(|all| all.concat()).filter(|all| all.len() <= TEXTS_MAX)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let hir = regex_syntax::parse(expression).unwrap();
        let got = texts(&hir, 0).unwrap_or_default();
        let got: Vec<_> = got.iter().map(|text| std::str::from_utf8(text).unwrap()).collect();
        assert_eq!(got, expected, "{expression}");
    }

    #[test]
    fn the_longest_text_that_has_to_be_there_is_found() {
        check("[0-9a-z]{20}acme[0-9]{4}", &["acme"]);
        check("(?i:key) *(?:===?|!==) *x", &["==", "!=="]);
        check("(?P<secret>[a-z]{3}AB|CD[a-z]+)", &["AB", "CD"]);
        check("(?:ab)+x", &["ab"]);
    }

    #[test]
    fn where_it_may_be_missing_there_is_none() {
        for expression in ["[ab]c", "(?i)key", "(?:ab)?", "ab|[0-9]", "a"] {
            check(expression, &[]);
        }
    }
}
