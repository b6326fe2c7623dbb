//! Very long lines, in parts: consecutive parts overlap, and each place of the line belongs to exactly one of them, so that
//! nothing is found twice and nothing is cut in two.

use std::ops::Range;

/// The overlap of two consecutive parts, in bytes. A secret of half that length has as much around it in one of them.
const OVERLAP_BYTES: usize = 1_024;
/// The shortest part that makes sense, in bytes.
pub(crate) const BYTES_MIN: usize = 4 * OVERLAP_BYTES;

/// A part of a line.
pub(crate) struct Window {
    /// The bytes of the part.
    pub(crate) range: Range<usize>,
    own: Range<usize>,
}

impl Window {
    /// Whether what starts at this byte of the line belongs to this part, and not to a neighbour that shows it too.
    pub(crate) fn owns(&self, start: usize) -> bool {
        self.own.contains(&start)
    }
}

/// The one part of a line that is short enough.
pub(crate) fn whole(text: &str) -> Window {
    Window { range: 0..text.len(), own: 0..text.len().max(1) }
}

/// The parts of `text` of at most `bytes`, in order; one for most lines, none for an empty one.
pub(crate) fn of(text: &str, bytes: usize) -> impl Iterator<Item = Window> {
    let bytes = bytes.max(BYTES_MIN);
    let mut next = (!text.is_empty()).then_some((0, 0));
    std::iter::from_fn(move || {
        let (start, own_start) = next?;
        if text.len() - start <= bytes {
            next = None;
            return Some(Window { range: start..text.len(), own: own_start..text.len() });
        }
        let end = text.floor_char_boundary(start + bytes);
        let next_start = text.floor_char_boundary(end - OVERLAP_BYTES);
        let own_end = next_start + OVERLAP_BYTES / 2;
        next = Some((next_start, own_end));
        Some(Window { range: start..end, own: own_start..own_end })
    })
}

/// The part of `text` that has what is at `focus` in its middle.
pub(crate) fn around(text: &str, focus: &Range<usize>, bytes: usize) -> Range<usize> {
    let start = text.floor_char_boundary(focus.start.saturating_sub(bytes / 2));
    let end = text.ceil_char_boundary(focus.end.min(focus.start + bytes / 2).saturating_add(bytes / 2));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let windows: Vec<_> = of(text, BYTES_MIN).collect();
        for place in 0..text.len() {
            let owners: Vec<_> = windows.iter().filter(|w| w.owns(place)).collect();
            assert_eq!(owners.len(), 1, "byte {place} of {}", text.len());
            let range = &owners[0].range;
            let context = OVERLAP_BYTES / 2 - 4;
            assert!(range.start == 0 || range.start + context <= place, "byte {place} has nothing before it");
            assert!(range.end == text.len() || place + context <= range.end, "byte {place} has nothing behind it");
        }
        for window in windows {
            assert!(window.range.len() <= BYTES_MIN && text.get(window.range).is_some());
        }
    }

    #[test]
    fn every_place_belongs_to_one_part_that_shows_what_is_around_it() {
        check("");
        check("short");
        check(&"x".repeat(BYTES_MIN));
        check(&"x".repeat(BYTES_MIN + 1));
        check(&"añ€𝄞".repeat(4_000));
    }

    #[test]
    fn the_part_around_a_place_is_bounded() {
        let text = "ä".repeat(100_000);
        let part = around(&text, &(100_000..100_010), BYTES_MIN);
        assert!(part.len() <= BYTES_MIN + 20 && part.contains(&100_000));
        assert_eq!(around("short", &(2..3), BYTES_MIN), 0..5);
    }
}
