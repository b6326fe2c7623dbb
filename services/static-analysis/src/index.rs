//! Which rules have to look where: by the keywords that are there, and by the sort of file. What is decided for many rules at once
//! is decided once, so that a thousand rules cost a small file no more than a few.

use domain::FileChange;

use crate::keywords::Keywords;
use crate::rules::pattern::{Pattern, Standing};
use crate::rules::{Check, Rule, Shared, migration};

/// The sort of file that rules are about.
type Applies = fn(&FileChange) -> bool;

/// Rules by what has to be there before they look.
pub(crate) struct Index {
    keywords: Keywords,
    /// The rules of each keyword.
    asking: Vec<Asking>,
    /// Line rules without keywords.
    every_line: Vec<usize>,
    /// File rules without keywords.
    every_file: Vec<usize>,
    /// Change rules without keywords.
    every_change: Vec<usize>,
    /// What is about a file's path alone.
    paths: Vec<usize>,
    kinds: Vec<Kind>,
    /// The different sorts of files.
    sorts: Vec<Applies>,
    /// The checks that speak for many rules, each once, with the sort of file; those of them that ask for no keyword.
    shared: Vec<(&'static Shared, usize)>,
    every_shared: Vec<usize>,
}

/// How much of a change a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    /// A file of this sort, a number in [`Index::sorts`].
    File(usize),
    /// By a check for many rules, a number in [`Index::shared`].
    Shared(usize),
    Change,
}

/// Who has to look at a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    /// The rule of this number.
    Rule(usize),
    /// The check for many rules of this number: see [`Index::shared`].
    Shared(usize),
}

/// The rules of one keyword.
#[derive(Default)]
struct Asking {
    lines: Vec<usize>,
    /// The same, where what is around the keyword says whether there is anything to look at.
    lines_by_place: Vec<(usize, &'static Pattern, Standing)>,
    files_and_changes: Vec<usize>,
}

/// What was seen in a file: keywords, and the rules that look at more than lines for them.
pub(crate) struct Seen {
    keywords: Marks,
    pub(crate) rules: Marks,
    /// Whether the file is of each sort, as far as that was asked.
    answers: Vec<Option<bool>>,
}

impl Seen {
    pub(crate) fn clear(&mut self) {
        self.keywords.clear();
        self.rules.clear();
        self.answers.fill(None);
    }
}

impl Index {
    pub(crate) fn new(rules: &[&'static Rule]) -> Self {
        let mut sorts = Vec::new();
        let mut shared = Vec::new();
        let kinds: Vec<_> = rules.iter().map(|rule| kind(rule, &mut sorts, &mut shared)).collect();
        let mut by_keyword = std::collections::BTreeMap::<String, Asking>::new();
        for (number, rule) in rules.iter().enumerate() {
            for keyword in rule.keywords {
                let asking = by_keyword.entry(keyword.to_ascii_lowercase()).or_default();
                match kinds[number] {
                    Kind::Line => match by_place(rule, keyword) {
                        Some((pattern, standing)) => asking.lines_by_place.push((number, pattern, standing)),
                        None => asking.lines.push(number),
                    },
                    Kind::File(_) | Kind::Shared(_) | Kind::Change => asking.files_and_changes.push(number),
                }
            }
        }
        // One of its rules stands for the whole check.
        for (check, (shared, _)) in shared.iter().enumerate() {
            let Some(number) = kinds.iter().position(|kind| *kind == Kind::Shared(check)) else { continue };
            for keyword in shared.besides.iter().flat_map(|rule| rule.keywords) {
                by_keyword.entry(keyword.to_ascii_lowercase()).or_default().files_and_changes.push(number);
            }
        }
        let without = |wanted: fn(Kind) -> bool| -> Vec<usize> {
            let all = rules.iter().enumerate();
            let these = all.filter(|(number, rule)| rule.keywords.is_empty() && wanted(kinds[*number]));
            these.filter(|(_, rule)| !rule.is_about_paths()).map(|(number, _)| number).collect()
        };
        let shared_of = |number: usize| match kinds[number] {
            Kind::Shared(check) => Some(check),
            _ => None,
        };
        let mut every_shared: Vec<_> =
            without(|kind| matches!(kind, Kind::Shared(_))).into_iter().filter_map(shared_of).collect();
        every_shared.sort_unstable();
        every_shared.dedup();
        let (texts, asking): (Vec<_>, Vec<_>) = by_keyword.into_iter().unzip();
        Self {
            keywords: Keywords::new(texts),
            asking,
            every_line: without(|kind| kind == Kind::Line),
            every_file: without(|kind| matches!(kind, Kind::File(_))),
            every_change: without(|kind| kind == Kind::Change),
            paths: (0..rules.len()).filter(|number| rules[*number].is_about_paths()).collect(),
            every_shared,
            kinds,
            sorts,
            shared,
        }
    }

    /// The check for many rules of this number.
    pub(crate) fn shared(&self, number: usize) -> &'static Shared {
        self.shared[number].0
    }

    /// Room for what will be seen in files.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            keywords: Marks::new(self.asking.len()),
            rules: Marks::new(self.kinds.len()),
            answers: vec![None; self.sorts.len()],
        }
    }

    /// Marks the line rules that have to look at this text.
    pub(crate) fn line_rules(&self, text: &str, rules: &mut Marks) {
        self.keywords.places_in(text, |keyword, at| self.asking[keyword].mark(text, at, rules));
        rules.mark_all(&self.every_line);
    }

    /// Marks the line rules that have to look at this text, and what is seen for those that look at more.
    #[inline]
    pub(crate) fn look(&self, text: &str, rules: &mut Marks, seen: &mut Seen) {
        self.keywords.places_in(text, |keyword, at| {
            let asking = &self.asking[keyword];
            asking.mark(text, at, rules);
            if !asking.files_and_changes.is_empty() && seen.keywords.mark(keyword) {
                seen.rules.mark_all(&asking.files_and_changes);
            }
        });
        rules.mark_all(&self.every_line);
    }

    /// Who has to look at the file, in order, after what was `seen` in it.
    pub(crate) fn file_rules(&self, seen: &mut Seen, change: &FileChange) -> Vec<Look> {
        let Seen { rules, answers, .. } = seen;
        let mut applies = |sort: usize| *answers[sort].get_or_insert_with(|| self.sorts[sort](change));
        let mut looks: Vec<_> = self.paths.iter().map(|rule| Look::Rule(*rule)).collect();
        looks.extend(
            self.every_shared.iter().filter(|check| applies(self.shared[**check].1)).map(|check| Look::Shared(*check)),
        );
        for &rule in self.every_file.iter().chain(&rules.list) {
            match self.kinds[rule] {
                Kind::File(sort) if applies(sort) => looks.push(Look::Rule(rule)),
                Kind::Shared(check) if applies(self.shared[check].1) => looks.push(Look::Shared(check)),
                _ => {}
            }
        }
        looks.sort_unstable();
        looks.dedup();
        looks
    }

    /// The rules that have to look at the whole change, in order, after what was `seen` in its files.
    pub(crate) fn change_rules(&self, seen: &Marks) -> Vec<usize> {
        let marked = seen.list.iter().filter(|number| self.kinds[**number] == Kind::Change);
        let mut numbers: Vec<_> = self.every_change.iter().chain(marked).copied().collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Asking {
    /// Marks the line rules that have to look at a text where the keyword begins at `at`.
    #[inline]
    fn mark(&self, text: &str, at: usize, rules: &mut Marks) {
        rules.mark_all(&self.lines);
        for &(rule, pattern, standing) in &self.lines_by_place {
            if !rules.has(rule) && pattern.may_stand(text, at, standing) {
                rules.mark(rule);
            }
        }
    }
}

/// How a keyword of the rule has to stand.
fn by_place(rule: &Rule, keyword: &str) -> Option<(&'static Pattern, Standing)> {
    let Check::Pattern(pattern) = rule.check else { return None };
    Some((pattern, pattern.standing(keyword)?))
}

fn kind(rule: &Rule, sorts: &mut Vec<Applies>, shared: &mut Vec<(&'static Shared, usize)>) -> Kind {
    match rule.check {
        Check::Line(_) | Check::Pattern(_) => Kind::Line,
        Check::Change(_) => Kind::Change,
        Check::File { applies, .. } => Kind::File(sort(applies, sorts)),
        Check::Shared(check) => Kind::Shared(place(check, sorts, shared)),
        Check::Script(_) => Kind::Shared(place(&migration::SHARED, sorts, shared)),
    }
}

/// The number of a check for many rules.
fn place(check: &'static Shared, sorts: &mut Vec<Applies>, shared: &mut Vec<(&'static Shared, usize)>) -> usize {
    let known = shared.iter().position(|(known, _)| std::ptr::eq(*known, check));
    known.unwrap_or_else(|| {
        shared.push((check, sort(check.applies, sorts)));
        shared.len() - 1
    })
}

/// The number of a sort of file.
fn sort(applies: Applies, sorts: &mut Vec<Applies>) -> usize {
    // Two functions at one address do the same; the same one at two addresses is only asked twice.
    let known = sorts.iter().position(|sort| std::ptr::fn_addr_eq(*sort, applies));
    known.unwrap_or_else(|| {
        sorts.push(applies);
        sorts.len() - 1
    })
}

/// Numbers that were seen. Clearing costs what was marked, not what could have been.
pub(crate) struct Marks {
    marked: Vec<bool>,
    list: Vec<usize>,
    sorted: bool,
}

impl Marks {
    /// Of so many numbers.
    pub(crate) fn new(count: usize) -> Self {
        Self { marked: vec![false; count], list: Vec::new(), sorted: true }
    }

    /// Marks a number; says whether it is new.
    #[inline]
    pub(crate) fn mark(&mut self, number: usize) -> bool {
        let new = !std::mem::replace(&mut self.marked[number], true);
        if new {
            self.list.push(number);
            self.sorted = false;
        }
        new
    }

    #[inline]
    fn has(&self, number: usize) -> bool {
        self.marked[number]
    }

    #[inline]
    fn mark_all(&mut self, numbers: &[usize]) {
        for &number in numbers {
            self.mark(number);
        }
    }

    /// What is marked, in order.
    pub(crate) fn in_order(&mut self) -> &[usize] {
        if !self.sorted {
            self.list.sort_unstable();
            self.sorted = true;
        }
        &self.list
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        for number in self.list.drain(..) {
            self.marked[number] = false;
        }
    }
}
