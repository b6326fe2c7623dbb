//! The rules: what a rule is, and the list of all of them. A rule is one file with its tests below it, and one line
//! below, or a row in a file of data.
//!
//! Pure: a rule knows the diff and nothing else. What becomes of its hits (order, limits, redaction, fingerprints) is the
//! engine's.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use domain::diff::{Diff, FileDiff, Hunk, LineKind};
use domain::{Category, Confidence, FileChange, Severity};

use pattern::{Pattern, Runs};

pub mod code;
pub mod infrastructure;
pub mod migration;
pub mod pattern;
pub mod secret;

/// One static rule.
#[derive(Debug)]
pub struct Rule {
    /// `<category>.<family>.<what>`, such as `secret.aws.access-key-id`. Never reused for another meaning.
    pub id: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// How bad its findings are, unless a hit says otherwise.
    pub severity: Severity,
    /// How sure it is, unless a hit says otherwise.
    pub confidence: Confidence,
    /// What sort of rule it is.
    pub category: Category,
    /// Common Weakness Enumeration id; 0 when none fits.
    pub cwe: u32,
    /// What would go wrong, the same word for every tool and language, such as `lock.index_create`; empty when none fits.
    pub hazard: &'static str,
    /// The check runs only where an added line holds one of these, in whatever case (ASCII). For a line check that is the
    /// line itself; a file or change check with none always runs.
    pub keywords: &'static [&'static str],
    /// How to mend what it finds.
    pub remediation: &'static str,
    /// Where the facts come from: the provider's own documentation first.
    pub references: &'static [&'static str],
    /// What other scanners call it.
    pub aliases: &'static [&'static str],
    /// How it looks.
    pub check: Check,
}

impl Rule {
    /// Whether it is about a file's path, whatever the file holds.
    pub(crate) fn is_about_paths(&self) -> bool {
        matches!(self.check, Check::Pattern(pattern) if pattern.is_about_paths())
    }

    /// Whether it may find something on a line with these runs of characters.
    pub(crate) fn can_find(&self, runs: &Runs<'_>) -> bool {
        match self.check {
            Check::Pattern(pattern) => pattern.needs().are_met(runs),
            _ => true,
        }
    }

    /// What it finds on an added line; nothing when it looks at more than a line.
    pub(crate) fn on_line(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        match self.check {
            Check::Line(check) => check(line),
            Check::Pattern(pattern) => pattern.check(line),
            Check::File { .. } | Check::Shared(_) | Check::Script(_) | Check::Change(_) => Vec::new(),
        }
    }

    /// What it finds in a file as a whole; nothing when it looks at a line, or at more than a file.
    pub(crate) fn on_file(&self, file: &FileDiff<'_>) -> Vec<FileHit> {
        match self.check {
            Check::File { check, .. } => check(file),
            Check::Pattern(pattern) => pattern.check_path(&file.change).into_iter().collect(),
            Check::Line(_) | Check::Shared(_) | Check::Script(_) | Check::Change(_) => Vec::new(),
        }
    }

    /// What it finds in the change as a whole.
    pub(crate) fn on_change(&self, diff: &Diff<'_>) -> Vec<(usize, FileHit)> {
        match self.check {
            Check::Change(check) => check(diff),
            _ => Vec::new(),
        }
    }
}

/// How much of a change a rule has to see.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// One added line.
    Line(fn(&AddedLine<'_>) -> Vec<Hit>),
    /// One added line, by a row of data.
    Pattern(&'static Pattern),
    /// One file of the diff, with all its hunks.
    File {
        /// Whether the file is of the rule's sort; asked before anything else.
        applies: fn(&FileChange) -> bool,
        /// What is wrong in it.
        check: fn(&FileDiff<'_>) -> Vec<FileHit>,
    },
    /// The same, by a check that speaks for many rules, so that the file is read once for all of them.
    Shared(&'static Shared),
    /// What a migration does, whatever it is written in, read once for all of these rules.
    Script(fn(&migration::Script) -> Vec<migration::Note>),
    /// The whole change: each hit with the number of its file in [`Diff::files`].
    Change(fn(&Diff<'_>) -> Vec<(usize, FileHit)>),
}

/// One check of many rules.
#[derive(Debug)]
pub struct Shared {
    /// Whether the file is of the rules' sort; asked before anything else.
    pub applies: fn(&FileChange) -> bool,
    /// What is wrong in it: each hit with the id of its rule.
    pub check: fn(&FileDiff<'_>) -> Vec<(&'static str, FileHit)>,
    /// Rules that look at lines elsewhere and that this check speaks for in such files: it looks where their keywords are, too.
    pub besides: &'static [&'static Rule],
}

/// An added line, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct AddedLine<'a> {
    /// Its file.
    pub file: &'a FileDiff<'a>,
    /// Its hunk.
    pub hunk: &'a Hunk<'a>,
    /// Its number in [`Hunk::lines`].
    pub index: usize,
    /// Its text; of a very long line, the part looked at.
    pub text: &'a str,
}

impl<'a> AddedLine<'a> {
    /// The path of its file.
    #[must_use]
    pub fn path(&self) -> &'a str {
        &self.file.change.path
    }

    /// The lines below it that are in the file after the change, as far as its hunk goes.
    pub fn below(&self) -> impl Iterator<Item = &'a str> {
        self.hunk.lines[self.index + 1..].iter().filter(|line| line.kind != LineKind::Removed).map(|line| line.text)
    }
}

/// What a check found in one line. Not `Debug`: it may quote the secret.
pub struct Hit {
    /// The bytes of the line (or of the part looked at) that it is about.
    pub range: Range<usize>,
    /// The bytes of the line that must never be shown.
    pub secret: Option<Range<usize>>,
    /// What tells this hit from another of the same rule in the same file; the text of `range` when `None`.
    pub content: Option<String>,
    /// Instead of the rule's own.
    pub severity: Option<Severity>,
    /// Instead of the rule's own.
    pub confidence: Option<Confidence>,
    /// What is wrong, in one sentence that does not quote the line.
    pub message: Cow<'static, str>,
}

impl Hit {
    /// A hit at `range`.
    pub fn at(range: Range<usize>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { range, secret: None, content: None, severity: None, confidence: None, message: message.into() }
    }

    /// A hit at `secret`, which must not be shown.
    pub fn secret(secret: Range<usize>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { secret: Some(secret.clone()), ..Self::at(secret, message) }
    }

    /// The same, as bad as `severity`.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// The same, as sure as `confidence`.
    #[must_use]
    pub fn confidence(self, confidence: Confidence) -> Self {
        Self { confidence: Some(confidence), ..self }
    }
}

/// What a check found in a file.
pub struct FileHit {
    /// Hunk and line (their numbers in [`FileDiff::hunks`] and [`Hunk::lines`]); `None` when it is about the whole file.
    pub line: Option<(usize, usize)>,
    /// What was found there.
    pub hit: Hit,
}

impl FileHit {
    /// A hit about a line as a whole, without its indentation.
    pub fn on_line(file: &FileDiff<'_>, hunk: usize, line: usize, message: impl Into<Cow<'static, str>>) -> Self {
        let text = file.hunks[hunk].lines[line].text;
        let start = text.len() - text.trim_start().len();
        Self { line: Some((hunk, line)), hit: Hit::at(start..text.trim_end().len().max(start), message) }
    }

    /// A hit about a file as a whole.
    pub fn on_file(message: impl Into<Cow<'static, str>>) -> Self {
        Self { line: None, hit: Hit::at(0..0, message) }
    }

    /// The same, as bad as `severity`.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { hit: self.hit.severity(severity), ..self }
    }

    /// The same, as sure as `confidence`.
    #[must_use]
    pub fn confidence(self, confidence: Confidence) -> Self {
        Self { hit: self.hit.confidence(confidence), ..self }
    }
}

/// Every rule that comes with FailSafe. Where two of them see one secret the earlier speaks, so the particular stand before
/// the general.
#[must_use]
pub fn all() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        [
            secret::PARTICULAR,
            secret::patterns(),
            secret::GENERAL,
            migration::rules(),
            infrastructure::rules(),
            code::rules(),
        ]
        .concat()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_is_complete_and_has_an_id_of_its_own() {
        let mut seen = HashSet::new();
        for rule in all() {
            let id = rule.id;
            assert!(seen.insert(id), "{id} twice");
            let parts: Vec<_> = id.split('.').collect();
            let plain = |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(parts.len() == 3 && parts.iter().all(plain), "{id} is not <category>.<family>.<what>");
            assert_eq!(parts[0], rule.category.name(), "{id} is of another category");
            assert!(!rule.title.is_empty() && !rule.title.ends_with('.'), "{id}: title");
            assert!(rule.remediation.ends_with('.'), "{id}: remediation");
            let row = matches!(rule.check, Check::Pattern(_));
            assert!(row || !rule.references.is_empty(), "{id}: no reference");
            assert!(rule.references.iter().all(|link| link.starts_with("https://")), "{id}: reference");
            assert!(
                rule.keywords
                    .iter()
                    .all(|keyword| keyword.len() > 1 && keyword.chars().all(|c| c.is_ascii() || !c.is_alphabetic())),
                "{id}: keywords"
            );
            let line = row || matches!(rule.check, Check::Line(_));
            assert!(!line || !rule.keywords.is_empty(), "{id}: a line check needs keywords");
        }
    }
}
