//! Whether a hunk can hold what a rule of a parsed language looks for, by its words alone: most cannot, and are not parsed.
//!
//! Made of the rules' own keywords, so that a new rule is let through without a word here. A language only says which keywords
//! are too common to count by themselves, and what its checks ask for besides.

use std::collections::{BTreeMap, BTreeSet};

use domain::diff::{Hunk, LineKind};
use regex::Regex;

use crate::keywords::Keywords;
use crate::rules::Rule;

/// What has to be there instead of keywords that are common.
pub(super) struct Finer {
    /// The keywords that do not count by themselves.
    pub(super) instead_of: &'static [&'static str],
    /// All of these have to be somewhere in the hunk: one of the words (any line, if there are none), on a line that this regular
    /// expression finds something in (empty when the word is enough). Nothing stands where a rule's check asks for another keyword
    /// as well.
    pub(super) parts: &'static [(&'static [&'static str], &'static str)],
    /// The files in which they count, by their path.
    pub(super) applies: fn(&str) -> bool,
}

/// Every file.
pub(super) const EVERYWHERE: fn(&str) -> bool = |_| true;

/// The words of a language's rules.
pub(super) struct Gate {
    words: Keywords,
    /// The parts that each word belongs to.
    parts_of: Vec<Vec<usize>>,
    /// The parts without words.
    wordless: Vec<usize>,
    /// The form of each part, and the need that it belongs to.
    parts: Vec<(Option<Regex>, usize)>,
    needs: Vec<Need>,
}

/// What opens the gate.
struct Need {
    parts: usize,
    applies: fn(&str) -> bool,
}

impl Gate {
    pub(super) fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>, finer: &[Finer]) -> Self {
        let mut by_word = BTreeMap::<&str, Vec<usize>>::new();
        let (mut parts, mut wordless, mut needs) = (Vec::new(), Vec::new(), Vec::new());
        for Finer { parts: of_need, applies, .. } in finer.iter().filter(|finer| !finer.parts.is_empty()) {
            for (words, form) in *of_need {
                words.iter().for_each(|word| by_word.entry(word).or_default().push(parts.len()));
                wordless.extend(words.is_empty().then_some(parts.len()));
                let form = (!form.is_empty()).then(|| Regex::new(form).expect("the pattern is tested"));
                parts.push((form, needs.len()));
            }
            needs.push(Need { parts: of_need.len(), applies: *applies });
        }
        let is_plain = |keyword: &&str| !finer.iter().any(|finer| finer.instead_of.contains(keyword));
        let keywords: BTreeSet<_> = rules.into_iter().flat_map(|rule| rule.keywords).copied().collect();
        for keyword in keywords.into_iter().filter(is_plain) {
            by_word.entry(keyword).or_default().push(parts.len());
            parts.push((None, needs.len()));
            needs.push(Need { parts: 1, applies: EVERYWHERE });
        }
        let (words, parts_of): (Vec<_>, _) = by_word.into_iter().map(|(word, parts)| (word.to_owned(), parts)).unzip();
        Self { words: Keywords::new(words), parts_of, wordless, parts, needs }
    }

    /// Whether the hunk shows all that some rule needs, in the file after the change.
    pub(super) fn opens(&self, path: &str, hunk: &Hunk<'_>) -> bool {
        let of_file = |need: &Need| if (need.applies)(path) { need.parts } else { usize::MAX };
        let mut seen = Seen {
            gate: self,
            left: self.needs.iter().map(of_file).collect(),
            asked: vec![None; self.parts.len()],
            parts: vec![false; self.parts.len()],
            open: false,
        };
        for (number, line) in hunk.lines.iter().enumerate().filter(|(_, line)| line.kind != LineKind::Removed) {
            self.words.in_text(line.text, |word| {
                self.parts_of[word].iter().for_each(|part| seen.part(*part, number, line.text));
            });
            self.wordless.iter().for_each(|part| seen.part(*part, number, line.text));
            if seen.open {
                return true;
            }
        }
        false
    }
}

/// What was seen in a hunk.
struct Seen<'g> {
    gate: &'g Gate,
    /// How many parts of each need are left.
    left: Vec<usize>,
    /// The line for which each part's form was last asked: once, however often the word is on it.
    asked: Vec<Option<usize>>,
    parts: Vec<bool>,
    open: bool,
}

impl Seen<'_> {
    fn part(&mut self, part: usize, number: usize, line: &str) {
        if self.open || self.parts[part] || self.asked[part].replace(number) == Some(number) {
            return;
        }
        let (form, need) = &self.gate.parts[part];
        if form.as_ref().is_none_or(|form| form.is_match(line)) {
            self.parts[part] = true;
            self.left[*need] -= 1;
            self.open = self.left[*need] == 0;
        }
    }
}
