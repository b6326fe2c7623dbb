//! The keywords that an expression has in itself: for rows that name none.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of the shortest piece that is worth looking for.
const BYTES_MIN: usize = 3;
/// Most pieces of one expression.
const PIECES_MAX: usize = 64;
const DEPTH_MAX: usize = 64;

/// Pieces of which every match of `expression` holds one, in small letters; none when there are no such pieces.
pub(crate) fn keywords(expression: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(expression) else { return Vec::new() };
    let mut keywords = inside(&hir, 0).filter(|pieces| worth(pieces) >= BYTES_MIN).unwrap_or_default();
    keywords.sort();
    keywords.dedup();
    keywords
}

/// The length of the shortest piece: the longer, the rarer are lines that hold one.
fn worth(pieces: &[String]) -> usize {
    pieces.iter().map(String::len).min().unwrap_or(0)
}

/// Pieces of which every match holds one.
fn inside(hir: &Hir, depth: usize) -> Option<Vec<String>> {
    if depth > DEPTH_MAX {
        return None;
    }
    if let Some(all) = exactly(hir, depth) {
        return Some(all);
    }
    match hir.kind() {
        HirKind::Capture(capture) => inside(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => inside(&repetition.sub, depth + 1),
        HirKind::Alternation(branches) => {
            let mut pieces = Vec::new();
            for branch in branches {
                pieces.extend(inside(branch, depth + 1)?);
            }
            (pieces.len() <= PIECES_MAX).then_some(pieces)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut consider = |pieces: Vec<String>| {
                if best.as_ref().is_none_or(|best| worth(&pieces) > worth(best)) {
                    best = Some(pieces);
                }
            };
            // What stands directly behind one another is one piece.
            let mut run = vec![String::new()];
            for part in parts {
                match exactly(part, depth + 1).and_then(|next| joined(&run, &next)) {
                    Some(longer) => run = longer,
                    None => {
                        consider(std::mem::replace(&mut run, vec![String::new()]));
                        if let Some(pieces) = inside(part, depth + 1) {
                            consider(pieces);
                        }
                    }
                }
            }
            consider(run);
            best
        }
        _ => None,
    }
}

/// Everything that a small expression matches, in small letters.
fn exactly(hir: &Hir, depth: usize) -> Option<Vec<String>> {
    if depth > DEPTH_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok().filter(|text| text.is_ascii())?;
            Some(vec![text.to_ascii_lowercase()])
        }
        HirKind::Class(class) => letters(class),
        HirKind::Capture(capture) => exactly(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.filter(|max| *max == repetition.min && *max <= 4)?;
            let once = exactly(&repetition.sub, depth + 1)?;
            (0..times).try_fold(vec![String::new()], |so_far, _| joined(&so_far, &once))
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![String::new()], |so_far, part| joined(&so_far, &exactly(part, depth + 1)?))
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(exactly(branch, depth + 1)?);
            }
            (all.len() <= PIECES_MAX).then_some(all)
        }
    }
}

/// The characters of a class of few, whatever their case.
fn letters(class: &Class) -> Option<Vec<String>> {
    const LETTERS_MAX: usize = 8;
    let mut letters = Vec::new();
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
        Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    for (from, to) in ranges {
        if to - from >= 2 * LETTERS_MAX as u32 {
            return None;
        }
        for code in from..=to {
            match char::from_u32(code)? {
                // In any case of k and s there are a Kelvin sign and a long s.
                '\u{212a}' | '\u{17f}' => {}
                c if c.is_ascii() => letters.push(c.to_ascii_lowercase().to_string()),
                _ => return None,
            }
        }
    }
    letters.sort();
    letters.dedup();
    (!letters.is_empty() && letters.len() <= LETTERS_MAX).then_some(letters)
}

/// Each of the first with each of the second behind it.
fn joined(first: &[String], second: &[String]) -> Option<Vec<String>> {
    if first.len() * second.len() > PIECES_MAX {
        return None;
    }
    Some(first.iter().flat_map(|begin| second.iter().map(move |end| format!("{begin}{end}"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        assert_eq!(keywords(expression), expected, "{expression}");
    }

    #[test]
    fn every_match_holds_one_of_the_keywords() {
        check("acme_[0-9a-f]{32}", &["acme_"]);
        check("(?i)acme[_-]?key *= *([a-z]{9})", &["acme"]);
        check("(?:gh[pousr]|glpat)-[a-z]{20}", &["gho-", "ghp-", "ghr-", "ghs-", "ghu-", "glpat-"]);
        check("(?i:sk)-(live|test)-[0-9]+", &["sk-live-", "sk-test-"]);
        check(r"\b([0-9a-z]{5}\.atlasv1\.[a-z]+)\b", &[".atlasv1."]);
        check("(?:abc)+x{3}", &["abc"]);
    }

    #[test]
    fn an_expression_of_nothing_certain_has_none() {
        for expression in ["[0-9a-f]{32}", "ab[0-9]", "(?:secret)?[a-z]{20}", "abc|[0-9]{3}", "(", ""] {
            check(expression, &[]);
        }
    }
}
