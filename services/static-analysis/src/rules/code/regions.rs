//! The functions of a program around some of its lines, so that a long file is not parsed for one of them.

use std::collections::BTreeSet;

use super::program::Language;
use super::shown::{Shown, count};

/// Shorter texts are parsed as they are.
const LINES_MIN: usize = 40;

/// A function, or what is between two of them.
struct Region {
    start: usize,
    /// Blanks before its first line.
    indent: usize,
    kept: bool,
}

/// Which lines to keep: those of the functions around `wanted`, of what these are in, and the imports.
pub(super) fn around(language: Language, shown: &Shown<'_>, wanted: &BTreeSet<usize>) -> Vec<bool> {
    let count = shown.texts().count();
    if count < LINES_MIN {
        return vec![true; count];
    }
    let Some(mut regions) = regions(language, shown) else { return vec![true; count] };
    let mut ends: Vec<_> = regions.iter().skip(1).map(|region| region.start).collect();
    ends.push(count);
    for (region, end) in regions.iter_mut().zip(&ends) {
        region.kept |= wanted.range(region.start..*end).next().is_some();
    }
    // The class around a method, and what is around the class.
    let mut indent = 0;
    for region in regions.iter_mut().rev() {
        region.kept |= region.indent < indent;
        if region.kept {
            indent = region.indent;
        }
    }
    let mut keeps = vec![false; count];
    for (region, end) in regions.iter().zip(ends).filter(|(region, _)| region.kept) {
        keeps[region.start..end].fill(true);
    }
    keeps
}

/// The regions of a text from the top down; `None` when a text of several lines may be cut by them.
fn regions(language: Language, shown: &Shown<'_>) -> Option<Vec<Region>> {
    let quotes: &[&str] = match language {
        Language::Python => &["\"\"\"", "'''"],
        Language::Go => &["`"],
    };
    let mut open = [false; 2];
    let mut regions = vec![Region { start: 0, indent: 0, kept: language == Language::Go }];
    let mut decorated = false;
    for (number, line) in shown.texts().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let begins = match language {
            Language::Go => line.starts_with("func "),
            Language::Python => ["def ", "async def ", "class ", "@"].iter().any(|begin| text.starts_with(begin)),
        };
        if begins && open != [false; 2] {
            return None;
        }
        if begins && !decorated {
            regions.push(Region { start: number, indent, kept: false });
        }
        decorated = language == Language::Python && (text.starts_with('@') || decorated && !begins);
        if language == Language::Python && text.contains("import") {
            regions.last_mut()?.kept = true;
        }
        for (open, quote) in open.iter_mut().zip(quotes) {
            *open ^= count(line, quote) % 2 == 1;
        }
    }
    Some(regions)
}
