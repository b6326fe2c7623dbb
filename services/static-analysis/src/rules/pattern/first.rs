//! With which bytes the matches of an expression may begin, so that it is not tried where none can.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Pieces within pieces that are looked at.
const DEPTH_MAX: usize = 64;

/// Marks every byte that a match of `expression` may begin with; all of them where that is not plain.
pub(super) fn mark(expression: &str, firsts: &mut [bool; 256]) {
    if !regex_syntax::parse(expression).is_ok_and(|hir| marked(&hir, firsts, 0)) {
        firsts.fill(true);
    }
}

/// False when a match may be empty, so that it begins with what follows it.
fn marked(hir: &Hir, firsts: &mut [bool; 256], depth: usize) -> bool {
    if depth > DEPTH_MAX {
        firsts.fill(true);
        return true;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => match literal.0.first() {
            Some(byte) => {
                firsts[usize::from(*byte)] = true;
                true
            }
            None => false,
        },
        HirKind::Class(class) => {
            of_class(class, firsts);
            true
        }
        HirKind::Capture(capture) => marked(&capture.sub, firsts, depth + 1),
        HirKind::Repetition(repetition) => marked(&repetition.sub, firsts, depth + 1) && repetition.min > 0,
        // What follows a piece that may be missing may come first, too.
        HirKind::Concat(pieces) => pieces.iter().any(|piece| {
            let sure = marked(piece, firsts, depth + 1);
            sure && piece.properties().minimum_len().is_some_and(|bytes| bytes > 0)
        }),
        HirKind::Alternation(branches) => {
            let mut sure = true;
            for branch in branches {
                sure &= marked(branch, firsts, depth + 1);
            }
            sure
        }
    }
}

fn of_class(class: &Class, firsts: &mut [bool; 256]) {
    match class {
        Class::Unicode(class) => {
            for range in class.iter() {
                for code in u32::from(range.start())..=u32::from(range.end()).min(0x7f) {
                    firsts[code as usize] = true;
                }
                if !range.end().is_ascii() {
                    firsts[0x80..].fill(true);
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.iter() {
                firsts[usize::from(range.start())..=usize::from(range.end())].fill(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &str) {
        let mut firsts = [false; 256];
        mark(expression, &mut firsts);
        let found: String = (0..128_u8).filter(|byte| firsts[usize::from(*byte)]).map(char::from).collect();
        assert_eq!(found, expected, "{expression}");
        assert!(!firsts[0x80..].contains(&true), "{expression}");
    }

    #[test]
    fn a_match_begins_with_a_marked_byte() {
        check("Iv1[0-9]", "I");
        check("[a-c]{3}x", "abc");
        check("(?:x|[yz])?[ab]+", "abxyz");
        check("(?:x?|y)a", "axy");
        check("(?P<secret>gh[ps]_|glpat-)", "g");
        check("(?i-u:sk)-1", "Ss");
        check(r"\b[0-2]", "012");
    }

    #[test]
    fn where_it_is_not_plain_every_byte_is() {
        for expression in ["", "a*", "(", "x|", r"\b", "[^a]"] {
            let mut firsts = [false; 256];
            mark(expression, &mut firsts);
            assert!(firsts[usize::from(b'b')] && firsts[0xc3], "{expression}");
        }
    }
}
