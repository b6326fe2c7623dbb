//! What a line must hold before an expression is tried on it, or even compiled: a run of characters without a break, as long as the
//! shortest token. Most lines that hold a keyword hold no such run.

use std::cell::OnceCell;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::super::AddedLine;

/// Sorts of characters that runs are counted in, each with all those before it: letters and digits; `-` and `_`; signs of base 64 and
/// of addresses; whatever is no blank.
const SORTS: usize = 4;
/// Bytes of the line below that are looked at.
const BELOW_BYTES_MAX: usize = 1_024;
/// Alternatives and pieces looked at in an expression.
const DEPTH_MAX: usize = 64;

/// The first sort that a byte is in; `SORTS` for a blank.
const fn sort(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => 0,
        b'-' | b'_' => 1,
        b'+' | b'/' | b'=' | b'.' | b'~' | b':' | b'%' | b'@' | b'$' | b'!' => 2,
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SORTS,
        _ => 3,
    }
}

static SORT: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = sort(byte as u8) as u8;
        byte += 1;
    }
    table
};

/// The longest run of each sort on a line, and on the line below, where its value may stand. Counted when first asked for.
pub(crate) struct Runs<'a> {
    line: &'a AddedLine<'a>,
    longest: OnceCell<[usize; SORTS]>,
}

impl<'a> Runs<'a> {
    /// Those of a line.
    pub(crate) fn of(line: &'a AddedLine<'a>) -> Self {
        Self { line, longest: OnceCell::new() }
    }

    fn longest(&self) -> &[usize; SORTS] {
        self.longest.get_or_init(|| {
            let here = longest(self.line.text);
            let below = self
                .line
                .below()
                .next()
                .map_or([0; SORTS], |below| longest(&below[..below.floor_char_boundary(BELOW_BYTES_MAX)]));
            std::array::from_fn(|sort| here[sort].max(below[sort]))
        })
    }
}

fn longest(text: &str) -> [usize; SORTS] {
    let mut longest = [0; SORTS];
    // Where the present run of each sort began.
    let mut begins = [0; SORTS];
    for (at, byte) in text.bytes().enumerate() {
        for broken in 0..usize::from(SORT[usize::from(byte)]) {
            longest[broken] = longest[broken].max(at - begins[broken]);
            begins[broken] = at + 1;
        }
    }
    std::array::from_fn(|sort| longest[sort].max(text.len() - begins[sort]))
}

/// The shortest run of each sort that will do; one of them has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs([usize; SORTS]);

impl Needs {
    /// Nothing is needed.
    pub(crate) const NOTHING: Self = Self([0; SORTS]);

    /// What every match of `expression` needs.
    pub(crate) fn of(expression: &str) -> Self {
        regex_syntax::parse(expression).map_or(Self::NOTHING, |hir| needs(&hir, 0))
    }

    /// What every match of `expression` needs to be as a whole.
    pub(crate) fn of_whole(expression: &str) -> Self {
        regex_syntax::parse(expression).map_or(Self::NOTHING, |hir| of_whole(&hir, 0))
    }

    fn one(sort: usize, bytes: usize) -> Self {
        let mut needs = [usize::MAX; SORTS];
        needs[sort] = bytes;
        Self(needs)
    }

    /// Whether a line with these runs may match.
    pub(crate) fn are_met(&self, runs: &Runs<'_>) -> bool {
        self.0.contains(&0) || self.0.iter().zip(runs.longest()).any(|(needed, there)| there >= needed)
    }

    /// Whether a match may go over the byte `at`: the run around it is as long as the shortest.
    pub(crate) fn are_met_around(&self, text: &[u8], at: usize) -> bool {
        self.0.iter().enumerate().any(|(sort, &needed)| {
            let is_of = |byte: &&u8| usize::from(SORT[usize::from(**byte)]) <= sort;
            let behind = || text[at..].iter().take(needed).take_while(is_of).count();
            let before = |behind: usize| text[..at].iter().rev().take(needed - behind).take_while(is_of).count();
            needed != usize::MAX && {
                let behind = behind();
                behind + before(behind) >= needed
            }
        })
    }

    /// One or the other will do.
    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|sort| self.0[sort].min(other.0[sort])))
    }

    /// How much it asks for: long words, paths and addresses are more common than long runs of letters and digits alone.
    fn strength(&self) -> usize {
        const RARITY: [usize; SORTS] = [20, 15, 8, 6];
        self.0.iter().zip(RARITY).map(|(bytes, rarity)| bytes.saturating_mul(rarity)).min().unwrap_or(0)
    }
}

/// The shortest match of all, when no match has a blank.
fn unbroken(hir: &Hir, depth: usize) -> Needs {
    match (widest(hir, depth), hir.properties().minimum_len()) {
        (Some(sort), Some(bytes)) => Needs::one(sort, bytes),
        _ => Needs::NOTHING,
    }
}

fn needs(hir: &Hir, depth: usize) -> Needs {
    if depth > DEPTH_MAX {
        return Needs::NOTHING;
    }
    let whole = unbroken(hir, depth);
    let inner = match hir.kind() {
        HirKind::Capture(capture) => needs(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => needs(&repetition.sub, depth + 1),
        HirKind::Concat(pieces) => {
            pieces.iter().map(|piece| needs(piece, depth + 1)).max_by_key(Needs::strength).unwrap_or(Needs::NOTHING)
        }
        HirKind::Alternation(pieces) => {
            pieces.iter().map(|piece| needs(piece, depth + 1)).reduce(Needs::or).unwrap_or(Needs::NOTHING)
        }
        _ => Needs::NOTHING,
    };
    if inner.strength() >= whole.strength() { inner } else { whole }
}

fn of_whole(hir: &Hir, depth: usize) -> Needs {
    match hir.kind() {
        HirKind::Capture(capture) if depth <= DEPTH_MAX => of_whole(&capture.sub, depth + 1),
        HirKind::Alternation(pieces) if depth <= DEPTH_MAX => {
            pieces.iter().map(|piece| of_whole(piece, depth + 1)).reduce(Needs::or).unwrap_or(Needs::NOTHING)
        }
        _ => unbroken(hir, depth),
    }
}

/// The sort that all characters of all matches are in; `None` when a blank may be among them.
fn widest(hir: &Hir, depth: usize) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let of_all = |pieces: &[Hir]| pieces.iter().try_fold(0, |sort, piece| Some(sort.max(widest(piece, depth + 1)?)));
    let sort = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.iter().map(|byte| sort(*byte)).max().unwrap_or(0),
        HirKind::Class(class) => of_class(class),
        HirKind::Repetition(repetition) => widest(&repetition.sub, depth + 1)?,
        HirKind::Capture(capture) => widest(&capture.sub, depth + 1)?,
        HirKind::Concat(pieces) | HirKind::Alternation(pieces) => of_all(pieces)?,
    };
    (sort < SORTS).then_some(sort)
}

fn of_class(class: &Class) -> usize {
    // In any case of k and s there are a Kelvin sign and a long s, which no token has.
    let is_odd = |c: char| matches!(c, '\u{212a}' | '\u{17f}');
    let of_byte = |from: u8, to: u8| (from..=to).map(sort).max().unwrap_or(0);
    match class {
        Class::Unicode(class) => {
            class.iter().filter(|range| !(is_odd(range.start()) && range.len() == 1)).fold(0, |widest, range| {
                let beyond = if range.end().is_ascii() { 0 } else { 3 };
                let last = u8::try_from(range.end()).unwrap_or(u8::MAX).min(0x7f);
                let within = u8::try_from(range.start()).map_or(0, |first| of_byte(first, last));
                widest.max(beyond).max(within)
            })
        }
        Class::Bytes(class) => class.iter().fold(0, |widest, range| widest.max(of_byte(range.start(), range.end()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(expression: &str, sort: usize, bytes: usize) {
        assert_eq!(Needs::of(expression), Needs::one(sort, bytes), "{expression}");
    }

    #[test]
    fn the_token_is_what_an_expression_needs() {
        check("acme_[0-9a-f]{32}", 0, 32);
        check("acme_[0-9a-f]{8}", 1, 13);
        check("(?i:sk-[a-z]{20,30})", 0, 20);
        check("(?i)acme[0-9A-Za-z_ .]{0,40}?[=:] *([0-9a-z]{32})", 0, 32);
        check("(?P<name>(?i:discord)[ =]{0,4})(?P<secret>[0-9a-f]{64}|[0-9a-f]{32})", 0, 32);
        check("[0-9a-z+/]{43}=", 2, 44);
        check(r"[sbr]\.[0-9A-Za-z]{24}", 0, 24);
        check(r"\bkey\b", 0, 3);
        check(r"[^\s]{12}", 3, 12);
    }

    #[test]
    fn around_a_place_nothing_shorter_than_the_whole_will_do() {
        let check = |expression: &str, text: &str, expected: bool| {
            let at = text.find("k_").unwrap();
            assert_eq!(
                Needs::of_whole(expression).are_met_around(text.as_bytes(), at),
                expected,
                "{expression} in {text}"
            );
        };
        check("k_[0-9a-f]{8}", "k_01234567", true);
        check("k_[0-9a-f]{8}", "a k_01.234567", false);
        check("(?P<secret>k_[0-9a-f]{8}|[0-9.]{4}k_)", "1.23k_", true);
        check("(?P<secret>k_[0-9a-f]{8}|[0-9.]{4}k_)", "1 23k_", false);
        check("k_ [0-9a-f]{8}", "k_", true);
    }

    #[test]
    fn each_alternative_is_enough() {
        assert_eq!(Needs::of("[0-9a-f]{32}|[0-9a-z-]{20}"), Needs([32, 20, usize::MAX, usize::MAX]));
        for nothing in ["[^\"]{12}", "a*", "(", "x|"] {
            assert_eq!(Needs::of(nothing).strength(), 0, "{nothing}");
        }
    }

    #[test]
    fn runs_are_counted_on_the_line_and_on_that_of_its_value() {
        let file = sample::modified("a", "+a_key = abcdef.gh-1 é\n+token =\n+  abcdefghijkl\n+");
        let line =
            |index| AddedLine { file: &file, hunk: &file.hunks[0], index, text: file.hunks[0].lines[index].text };
        assert_eq!(Runs::of(&line(0)).longest(), &[6, 6, 11, 11]);
        assert_eq!(Runs::of(&line(1)).longest(), &[12, 12, 12, 12]);
        assert_eq!(Runs::of(&line(3)).longest(), &[0, 0, 0, 0]);
    }
}
