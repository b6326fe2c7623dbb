//! A hunk as the file reads after the change, in one piece, and the way back from a place in it to the diff's line.

use domain::diff::{Hunk, LineKind};

/// What a hunk shows of the file after the change.
pub(crate) struct NewSide {
    /// Context and added lines, each with its line feed.
    pub(crate) text: String,
    /// Where each line begins, its number in the hunk, and whether it was added.
    lines: Vec<(usize, usize, bool)>,
}

impl NewSide {
    pub(crate) fn of(hunk: &Hunk<'_>) -> Self {
        let mut text = String::new();
        let mut lines = Vec::new();
        for (index, line) in hunk.lines.iter().enumerate() {
            if line.kind != LineKind::Removed {
                lines.push((text.len(), index, line.kind == LineKind::Added));
                text.push_str(line.text);
                text.push('\n');
            }
        }
        Self { text, lines }
    }

    /// The number in the hunk of the line that this byte of the text is in.
    pub(crate) fn line_at(&self, byte: usize) -> usize {
        self.lines.get(self.position(byte)).map_or(0, |(_, index, _)| *index)
    }

    /// The number in the hunk of the first added line that these bytes of the text touch.
    pub(crate) fn first_added(&self, bytes: std::ops::Range<usize>) -> Option<usize> {
        let lines = self.lines.get(self.position(bytes.start)..)?;
        let within = lines.iter().enumerate().take_while(|(n, (start, ..))| *n == 0 || *start < bytes.end);
        within.map(|(_, line)| line).find(|(.., added)| *added).map(|(_, index, _)| *index)
    }

    /// True when every line that these bytes of the text touch was added.
    pub(crate) fn all_added(&self, bytes: std::ops::Range<usize>) -> bool {
        let lines = self.lines.get(self.position(bytes.start)..).unwrap_or_default();
        let mut within = lines.iter().enumerate().take_while(|(n, (start, ..))| *n == 0 || *start < bytes.end);
        within.all(|(_, (.., added))| *added)
    }

    /// Where the line of this number in the hunk begins in the text.
    pub(crate) fn start_of(&self, line: usize) -> usize {
        let at = self.lines.binary_search_by_key(&line, |(_, index, _)| *index);
        at.ok().and_then(|at| self.lines.get(at)).map_or(0, |(start, ..)| *start)
    }

    fn position(&self, byte: usize) -> usize {
        self.lines.partition_point(|(start, ..)| *start <= byte).saturating_sub(1)
    }
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
}
