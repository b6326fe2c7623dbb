//! What does not count, because somebody said so: in a comment beside the code, by a path in the settings, or by a baseline of
//! findings that were known before. Such a finding is kept, marked and shown; it is never hidden.
//!
//! A comment is `failsafe:allow RULE-ID reason`, on the line itself or on a line of its own above it. The id may be cut at a
//! dot: `failsafe:allow secret.aws the key of the public sandbox`. The comments of other scanners are honoured for what
//! those scanners look for, so that nobody has to write the same thing twice.

use std::collections::HashSet;

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Finding, SuppressedBy, Suppression};
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::rules::Rule;

/// FailSafe's own sign.
const OWN: &str = "failsafe:allow";
/// Lines looked at on either side of a finding for a comment that holds for a whole block.
const BLOCK_LINES_MAX: usize = 200;
/// Bytes of the longest line that is searched for a comment: nobody writes one into minified code, and there it would be
/// searched once for each of its findings.
const LINE_BYTES_MAX: usize = 4_096;

/// A comment of another scanner.
struct Foreign {
    sign: &'static str,
    category: Category,
    /// Where the comment stands.
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the line.
    Line,
    /// On the line, or on a line of its own above it.
    LineOrAbove,
    /// Anywhere in the block that the line is in.
    Block,
}

const fn foreign(sign: &'static str, category: Category, place: Place) -> Foreign {
    Foreign { sign, category, place }
}

/// The signs, in lowercase, as the scanners' own manuals give them.
const FOREIGN: &[Foreign] = &[
    foreign("gitleaks:allow", Category::Secret, Place::Line),
    foreign("betterleaks:allow", Category::Secret, Place::Line),
    foreign("kingfisher:ignore", Category::Secret, Place::LineOrAbove),
    foreign("kingfisher:allow", Category::Secret, Place::LineOrAbove),
    foreign("trufflehog:ignore", Category::Secret, Place::Line),
    foreign("ggignore", Category::Secret, Place::Line),
    foreign("pragma: allowlist secret", Category::Secret, Place::Line),
    foreign("pragma: allowlist nextline secret", Category::Secret, Place::LineOrAbove),
    foreign("squawk-ignore", Category::Migration, Place::LineOrAbove),
    foreign("pgfence-ignore", Category::Migration, Place::LineOrAbove),
    foreign("eugene: ignore", Category::Migration, Place::LineOrAbove),
    foreign("atlas:nolint", Category::Migration, Place::LineOrAbove),
    foreign("pgfence: ignore", Category::Migration, Place::LineOrAbove),
    foreign("excellent_migrations:safety-assured-for-next-line", Category::Migration, Place::LineOrAbove),
    foreign("hadolint ignore=", Category::Infrastructure, Place::LineOrAbove),
    foreign("zizmor: ignore[", Category::Infrastructure, Place::LineOrAbove),
    foreign("tfsec:ignore:", Category::Infrastructure, Place::LineOrAbove),
    foreign("trivy:ignore:", Category::Infrastructure, Place::LineOrAbove),
    foreign("checkov:skip=", Category::Infrastructure, Place::Block),
    foreign("nosec", Category::Code, Place::LineOrAbove),
    foreign("nosemgrep", Category::Code, Place::LineOrAbove),
    foreign("noqa: s", Category::Code, Place::Line),
];

/// What the settings say does not count.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    paths: GlobSet,
    globs: Vec<String>,
    baseline: HashSet<String>,
}

impl Suppressions {
    /// Of paths as globs (`vendor/**`), and of the fingerprints that were known before.
    ///
    /// # Errors
    /// A sentence that names the glob that is none.
    pub(crate) fn new(globs: &[String], baseline: HashSet<String>) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(Glob::new(glob).map_err(|error| format!("paths_excluded: {error}"))?);
        }
        let paths = set.build().map_err(|error| format!("paths_excluded: {error}"))?;
        Ok(Self { paths, globs: globs.to_vec(), baseline })
    }

    /// How many findings may be in the baseline.
    pub(crate) fn baseline_len(&self) -> usize {
        self.baseline.len()
    }

    /// Over all that it holds, for the rule pack's digest.
    pub(crate) fn text(&self) -> String {
        let mut known: Vec<_> = self.baseline.iter().map(String::as_str).collect();
        known.sort_unstable();
        format!("{}\0{}", self.globs.join("\n"), known.join("\n"))
    }

    /// Why a hit of `rule` in `file`, on the line of that hunk, does not count, if it does not.
    pub(crate) fn of(&self, rule: &Rule, file: &FileDiff<'_>, line: Option<(usize, usize)>) -> Option<Suppression> {
        if let Some(place) = self.paths.matches(&file.change.path).first() {
            return Some(Suppression { by: SuppressedBy::Path, reason: self.globs[*place].clone() });
        }
        let (hunk, line) = line?;
        comment(rule, file, hunk, line).map(|reason| Suppression { by: SuppressedBy::Comment, reason })
    }

    /// Marks a finding that was known before.
    pub(crate) fn mark_known(&self, finding: &mut Finding) {
        if finding.suppression.is_none() && self.baseline.contains(&finding.fingerprint) {
            finding.suppression = Some(Suppression { by: SuppressedBy::Baseline, reason: String::new() });
        }
    }
}

/// What a comment says for why this line may stand, if one does.
fn comment(rule: &Rule, file: &FileDiff<'_>, hunk: usize, line: usize) -> Option<String> {
    let lines = &file.hunks[hunk].lines;
    let here = lines[line].text;
    let above = lines[..line].iter().rev().find(|line| line.kind != LineKind::Removed).map(|line| line.text);
    let above = above.filter(|text| is_comment(text));
    let said = own(here, rule).or_else(|| own(above?, rule));
    said.or_else(|| foreign_on(here, rule, |_| true))
        .or_else(|| foreign_on(above?, rule, |place| place != Place::Line))
        .or_else(|| {
            let shown = |line: &&domain::diff::Line<'_>| line.kind != LineKind::Removed;
            let upwards = lines[..line].iter().rev().filter(shown).take(BLOCK_LINES_MAX).map(|line| line.text);
            let downwards = lines[line + 1..].iter().filter(shown).take(BLOCK_LINES_MAX).map(|line| line.text);
            let inside = |text: &&str| text.is_empty() || text.starts_with([' ', '\t', '#']);
            let mut block = upwards.take_while(inside).chain(downwards.take_while(inside));
            block.find_map(|text| foreign_on(text, rule, |place| place == Place::Block))
        })
}

/// The reason that FailSafe's own sign gives for this rule.
fn own(text: &str, rule: &Rule) -> Option<String> {
    let (_, said) = searched(text)?.split_once(OWN)?;
    let mut words = said.trim_start_matches([':', ' ']).split_whitespace();
    let id = words.next()?;
    let names = rule.id == id || rule.id.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
    names.then(|| reason(&words.collect::<Vec<_>>().join(" ")))
}

/// The comment of another scanner that looks for what this rule looks for.
fn foreign_on(text: &str, rule: &Rule, place: impl Fn(Place) -> bool) -> Option<String> {
    let lower = searched(text)?.to_ascii_lowercase();
    let mut signs = FOREIGN.iter().filter(|foreign| foreign.category == rule.category && place(foreign.place));
    signs.find_map(|foreign| {
        let said = text.get(lower.find(foreign.sign)?..)?;
        names_rule(foreign.sign, &said.to_ascii_lowercase(), rule).then(|| reason(said))
    })
}

/// Whether a sign that names rules of its scanner names one that this rule is known by. Of a scanner whose rules are not
/// known here, any will do.
fn names_rule(sign: &str, said: &str, rule: &Rule) -> bool {
    let known = ["hadolint ignore=", "zizmor: ignore[", "checkov:skip="].contains(&sign);
    let mut words = said[sign.len()..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    !known || words.any(|word| rule.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(word)))
}

fn searched(text: &str) -> Option<&str> {
    (text.len() <= LINE_BYTES_MAX).then_some(text)
}

/// A reason without what closes the comment, and what follows it.
fn reason(text: &str) -> String {
    let end = ["*/", "-->"].iter().filter_map(|close| text.find(close)).min().unwrap_or(text.len());
    text[..end].trim().to_owned()
}

/// True for a line that is nothing but a comment.
fn is_comment(text: &str) -> bool {
    ["#", "//", "--", "/*", "*", "<!--", ";", "%", "'"].iter().any(|sign| text.trim_start().starts_with(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Law, sample};

    const KEY: &str = concat!("AKIA", "Q3EGRIPFWTZL7NXB");

    #[track_caller]
    fn check(lines: &[&str], expected: Option<(SuppressedBy, &str)>) {
        let text = lines.join("\n").replace("KEY", &format!("key = '{KEY}'"));
        let diff = domain::diff::Diff { files: vec![sample::added("src/app.py", &text)] };
        let analysis = Law::new(&Config::default()).unwrap().scan(&diff);
        let findings: Vec<_> = analysis.findings.iter().filter(|f| f.rule_id == "secret.aws.access-key-id").collect();
        assert_eq!(findings.len(), 1, "{:?}", analysis.findings);
        let suppression = findings[0].suppression.as_ref().map(|it| (it.by, it.reason.as_str()));
        assert_eq!(suppression, expected);
    }

    #[test]
    fn a_comment_beside_or_above_the_line_says_why_it_may_stand() {
        let by = SuppressedBy::Comment;
        check(&["KEY"], None);
        check(&["KEY # failsafe:allow secret.aws.access-key-id of a sandbox"], Some((by, "of a sandbox")));
        check(&["KEY # failsafe:allow secret.aws of a sandbox"], Some((by, "of a sandbox")));
        check(&["KEY # failsafe:allow secret.aw of a sandbox"], None);
        check(&["KEY # failsafe:allow secret.github.token of a sandbox"], None);
        check(&["KEY # failsafe:allow"], None);
        check(&["# failsafe:allow secret.aws revoked", "KEY"], Some((by, "revoked")));
        check(&["x = 1 # failsafe:allow secret.aws revoked", "KEY"], None);
        check(&["# failsafe:allow secret.aws revoked", "", "KEY"], None);
    }

    #[test]
    fn comments_of_other_scanners_hold_for_what_those_look_for() {
        let by = SuppressedBy::Comment;
        check(&["KEY  # gitleaks:allow"], Some((by, "gitleaks:allow")));
        check(&["KEY  # pragma: allowlist secret"], Some((by, "pragma: allowlist secret")));
        check(&["# gitleaks:allow", "KEY"], None);
        check(&["KEY  # nosec"], None);
        let drops = crate::rules::all().iter().find(|rule| rule.aliases.contains(&"ban-drop-column")).unwrap();
        for sign in ["squawk-ignore ban-drop-column", "atlas:nolint destructive", "pgfence: ignore drop-column"] {
            let text = format!("-- {sign}\nALTER TABLE a DROP COLUMN b;\n");
            let said = Suppressions::default().of(drops, &sample::added("migrations/2_a.sql", &text), Some((0, 1)));
            assert_eq!(said.map(|it| it.reason).as_deref(), Some(sign));
        }
    }

    #[test]
    fn a_sign_above_a_line_of_a_migration_holds_for_it() {
        let said = |sign: &str| {
            let text = format!(
                "defmodule A do\n  use Ecto.Migration\n  def change do\n    # {sign}\n    drop table(:a)\n  end\nend\n"
            );
            let diff = domain::diff::Diff { files: vec![sample::added("priv/repo/migrations/1_a.exs", &text)] };
            let findings = Law::new(&Config::default()).unwrap().scan(&diff).findings;
            let dropped = findings.into_iter().find(|finding| finding.rule_id == "migration.sql.drop-table").unwrap();
            dropped.suppression.map(|suppression| suppression.reason)
        };
        let sign = "excellent_migrations:safety-assured-for-next-line table_dropped";
        assert_eq!(said(sign).as_deref(), Some(sign));
        assert_eq!(said("no more of them"), None);
    }

    #[test]
    fn a_sign_for_a_block_holds_within_it() {
        let named = |alias: &str| crate::rules::all().iter().find(|rule| rule.aliases.contains(&alias)).unwrap();
        let rule = &Rule { aliases: &["CKV_AWS_20"], ..**named("CKV_K8S_16") };
        let block =
            "resource \"a\" \"b\" {\n  # checkov:skip=CKV_AWS_20: public on purpose\n  acl = 1\n}\nother {\n  x = 1\n}";
        let file = sample::added("main.tf", block);
        let none = Suppressions::default();
        let said = |line| none.of(rule, &file, Some((0, line))).map(|it| it.reason);
        assert_eq!(said(2).as_deref(), Some("checkov:skip=CKV_AWS_20: public on purpose"));
        assert_eq!(said(0).as_deref(), Some("checkov:skip=CKV_AWS_20: public on purpose"));
        assert_eq!(said(5), None);
        let said = |id| none.of(named(id), &file, Some((0, 2))).map(|it| it.reason);
        assert_eq!(said("CKV_AWS_16"), None);
        let other = none.of(named("CKV_K8S_16"), &file, Some((0, 2)));
        assert!(other.is_none(), "another rule is named");
    }

    #[test]
    fn an_excluded_path_and_a_known_finding_are_marked_and_kept() {
        let text = format!("key = '{KEY}'");
        let scan = |config: &Config, known: &[String]| {
            let law = Law::with(config, &crate::Own::default(), known.iter().cloned().collect()).unwrap();
            law.scan(&domain::diff::Diff { files: vec![sample::added("vendor/lib/app.py", &text)] }).findings.remove(0)
        };
        let plain = scan(&Config::default(), &[]);
        assert_eq!(plain.suppression, None);
        let config = Config { paths_excluded: vec!["vendor/**".to_owned()], ..Config::default() };
        let excluded = scan(&config, &[]).suppression.unwrap();
        assert_eq!((excluded.by, excluded.reason.as_str()), (SuppressedBy::Path, "vendor/**"));
        let known = scan(&Config::default(), std::slice::from_ref(&plain.fingerprint));
        assert_eq!(known.suppression.unwrap().by, SuppressedBy::Baseline);
        let config = Config { paths_excluded: vec!["a[".to_owned()], ..Config::default() };
        assert!(Law::new(&config).err().unwrap().starts_with("paths_excluded"));
    }

    #[test]
    fn what_counts_is_kept_before_what_does_not() {
        let text = format!("key = '{KEY}' # gitleaks:allow\nverify = False\nrequests.get(url, verify=False)");
        let diff = domain::diff::Diff { files: vec![sample::added("src/app.py", &text)] };
        let law = Law::new(&Config { findings_max: 1, ..Config::default() }).unwrap();
        let analysis = law.scan(&diff);
        assert_eq!(analysis.findings.len(), 1);
        assert_eq!(analysis.findings[0].suppression, None, "{:?}", analysis.findings);
    }
}
