//! A hunk as the file reads after the change, in one piece, and the way back from a place in it to the diff's line.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use domain::diff::{Hunk, Line, LineKind};
use tree_sitter::Node;

/// What a hunk shows of the file after the change.
pub(crate) struct NewSide {
    /// Context and added lines, each with its line feed.
    pub(crate) text: String,
    lines: Vec<Place>,
    /// Of each line: the nearest at or below it that is new.
    next_new: Vec<usize>,
}

/// A line of the text.
struct Place {
    /// Where it begins.
    start: usize,
    /// Its number in the hunk.
    index: usize,
    added: bool,
    /// Added, and it was not there before in another layout.
    new: bool,
}

impl NewSide {
    pub(crate) fn of(hunk: &Hunk<'_>) -> Self {
        Self::of_lines(hunk, |_| true)
    }

    /// The same of those lines only that `keeps` names by their number among the context and the added ones.
    pub(crate) fn of_lines(hunk: &Hunk<'_>, keeps: impl Fn(usize) -> bool) -> Self {
        let mut text = String::new();
        let mut lines = Vec::new();
        let laid_out = laid_out(hunk);
        let new_side = hunk.lines.iter().enumerate().filter(|(_, line)| line.kind != LineKind::Removed);
        for (number, (index, line)) in new_side.enumerate() {
            if keeps(number) {
                let added = line.kind == LineKind::Added;
                lines.push(Place { start: text.len(), index, added, new: added && !laid_out[index] });
                text.push_str(line.text);
                text.push('\n');
            }
        }
        let mut next_new = vec![usize::MAX; lines.len()];
        let mut next = usize::MAX;
        for (at, line) in lines.iter().enumerate().rev() {
            next = if line.new { at } else { next };
            next_new[at] = next;
        }
        Self { text, lines, next_new }
    }

    /// The number in the hunk of the line that this byte of the text is in.
    pub(crate) fn line_at(&self, byte: usize) -> usize {
        self.lines.get(self.position(byte)).map_or(0, |line| line.index)
    }

    /// The number in the hunk of the first added line that these bytes of the text touch; what was only laid out anew does
    /// not count.
    pub(crate) fn first_added(&self, bytes: std::ops::Range<usize>) -> Option<usize> {
        let first = self.position(bytes.start);
        let next = *self.next_new.get(first)?;
        let line = self.lines.get(next).filter(|line| next == first || line.start < bytes.end)?;
        Some(line.index)
    }

    /// True when one of the lines that a node of the text is on was added; what was only laid out anew does not count.
    pub(crate) fn is_changed(&self, node: Node<'_>) -> bool {
        let next = self.next_new.get(node.start_position().row);
        next.is_some_and(|next| *next <= node.end_position().row)
    }

    /// True when every line that these bytes of the text touch was added.
    pub(crate) fn all_added(&self, bytes: std::ops::Range<usize>) -> bool {
        let lines = self.lines.get(self.position(bytes.start)..).unwrap_or_default();
        let mut within = lines.iter().enumerate().take_while(|(n, line)| *n == 0 || line.start < bytes.end);
        within.all(|(_, line)| line.added)
    }

    /// Where the line of this number in the hunk begins in the text.
    pub(crate) fn start_of(&self, line: usize) -> usize {
        let at = self.lines.binary_search_by_key(&line, |line| line.index);
        at.ok().and_then(|at| self.lines.get(at)).map_or(0, |line| line.start)
    }

    fn position(&self, byte: usize) -> usize {
        self.lines.partition_point(|line| line.start <= byte).saturating_sub(1)
    }
}

/// Of each line of the hunk: whether it is an added one that takes the place of a removed one of the same words, so that a
/// formatter's work is not taken for a change.
pub(crate) fn laid_out(hunk: &Hunk<'_>) -> Vec<bool> {
    let mut laid_out = vec![false; hunk.lines.len()];
    let mut start = 0;
    for group in hunk.lines.chunk_by(|a, b| (a.kind == LineKind::Context) == (b.kind == LineKind::Context)) {
        let of = |kind| group.iter().enumerate().filter(move |(_, line): &(usize, &Line<'_>)| line.kind == kind);
        if of(LineKind::Removed).next().is_some() && of(LineKind::Added).next().is_some() {
            let all = |kind| words(of(kind).map(|(_, line)| line.text));
            // Where lines were joined or divided, all of them together say what they said.
            let same = all(LineKind::Removed) == all(LineKind::Added);
            let mut before: HashMap<u64, usize> = HashMap::new();
            for (_, line) in of(LineKind::Removed) {
                *before.entry(words([line.text])).or_default() += 1;
            }
            for (at, line) in of(LineKind::Added) {
                let left = before.get_mut(&words([line.text])).filter(|left| **left > 0);
                laid_out[start + at] = same || left.is_some();
                left.into_iter().for_each(|left| *left -= 1);
            }
        }
        start += group.len();
    }
    laid_out
}

/// Lines without their layout: blanks, commas, capitals, the sort of quotes, and which of Ruby's two signs a pair has.
fn words<'a>(lines: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut said = Vec::new();
    for line in lines {
        let mut bytes = line.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b',' | b':' => {}
                b'=' if bytes.peek() == Some(&b'>') => _ = bytes.next(),
                b'\'' => said.push(b'"'),
                _ if byte.is_ascii_whitespace() => {}
                _ => said.push(byte.to_ascii_lowercase()),
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&said);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_place_leads_back_to_its_line() {
        let file = sample::modified("a", " one\n-two\n+three\n four");
        let side = NewSide::of(&file.hunks[0]);
        assert_eq!(side.text, "one\nthree\nfour\n");
        assert_eq!((side.line_at(0), side.line_at(4), side.line_at(99)), (0, 2, 3));
        assert_eq!(side.first_added(0..15), Some(2));
        assert_eq!(side.first_added(0..4), None);
        assert_eq!(side.first_added(10..12), None);
        assert!(side.all_added(4..9) && !side.all_added(0..9));
    }

    #[test]
    fn what_a_formatter_did_is_no_change() {
        #[track_caller]
        fn check(hunk: &str, expected: &[bool]) {
            let file = sample::modified("a", hunk);
            assert_eq!(laid_out(&file.hunks[0]), expected, "{hunk}");
        }
        check("-  a = 1\n+  a   = 1\n", &[false, true]);
        check("-  f('x')\n+  f(\"x\"),\n", &[false, true]);
        check("-a(x, y)\n-b\n+a(\n+  x,\n+  y,\n+)\n+b\n", &[false, false, true, true, true, true, true]);
        check("-select a\n+SELECT\n+  a\n", &[false, true, true]);
        check("-f :a, :b => 1\n+f :a, b: 1\n", &[false, true]);
        check("-a(x, y)\n+a(\n+  x,\n+  z,\n+)\n", &[false; 5]);
        check("-a\n-b\n+  b\n+  c\n+  a\n", &[false, false, true, false, true]);
        // Once for each that was there, and where it was.
        check("-a\n+ a\n+ a\n", &[false, true, false]);
        check("-a\n b\n+ a\n", &[false, false, false]);
        let file = sample::modified("a", "-one\n-two\n+ one\n+three\n");
        let side = NewSide::of(&file.hunks[0]);
        assert_eq!((side.first_added(0..4), side.first_added(0..9)), (None, Some(3)));
        assert!(side.all_added(0..9));
    }
}
