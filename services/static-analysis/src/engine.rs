//! The engine: one pass over a diff's added lines through one Aho-Corasick automaton over the keywords of all rules, then
//! only the rules whose keyword was there.
//!
//! Pure: the same diff and the same settings give the same analysis, byte for byte. Linear in the diff: a line is looked at
//! in parts of bounded length, and no more findings are held than are reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use domain::diff::{Diff, FileDiff, LineKind};
use domain::identity::sha256_hex;
use domain::{Analysis, Category, FileChangeKind, Severity};

use crate::config::Config;
use crate::kept::{Found, Kept};
use crate::rules::code::program;
use crate::rules::{self, AddedLine, Check, FileHit, Hit, Rule};
use crate::suppress::Suppressions;
use crate::{paths, windows};

/// The rules and their settings, ready to be applied to any number of diffs.
pub struct Law {
    rules: &'static [&'static Rule],
    /// The number of each rule.
    numbers: HashMap<&'static str, usize>,
    keywords: AhoCorasick,
    /// The rule of each keyword.
    keyword_rules: Vec<usize>,
    /// The line checks of the category secret, in order: what a finding's excerpt must not show.
    secret_rules: Vec<usize>,
    disabled: Vec<bool>,
    /// The severity that the settings give each rule, if they do.
    severities: Vec<Option<Severity>>,
    suppressions: Suppressions,
    findings_max: usize,
    window_bytes: usize,
    digest: String,
}

impl Law {
    /// The law of all rules under `config`.
    ///
    /// # Errors
    /// A sentence that names the setting that is wrong.
    pub fn new(config: &Config) -> Result<Self, String> {
        Self::with_baseline(config, HashSet::new())
    }

    /// The same, where the findings of these fingerprints were known before, and do not count.
    ///
    /// # Errors
    /// As [`Law::new`].
    pub fn with_baseline(config: &Config, baseline: HashSet<String>) -> Result<Self, String> {
        let rules = rules::all();
        let suppressions = Suppressions::new(&config.paths_excluded, baseline)?;
        if let Some(unknown) = config.rules_disabled.iter().find(|id| rules.iter().all(|rule| rule.id != **id)) {
            return Err(format!("rules_disabled: there is no rule {unknown:?}"));
        }
        if config.line_window_bytes < windows::BYTES_MIN {
            return Err(format!("line_window_bytes: must be at least {}", windows::BYTES_MIN));
        }
        let mut keywords = Vec::new();
        let mut keyword_rules = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            keywords.extend_from_slice(rule.keywords);
            keyword_rules.extend(rule.keywords.iter().map(|_| index));
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(keywords)
            .map_err(|error| format!("the rules' keywords: {error}"))?;
        let is_secret = |rule: &Rule| rule.category == Category::Secret && rule.looks_at_lines();
        Ok(Self {
            rules,
            numbers: rules.iter().enumerate().map(|(number, rule)| (rule.id, number)).collect(),
            keywords,
            keyword_rules,
            secret_rules: (0..rules.len()).filter(|index| is_secret(rules[*index])).collect(),
            disabled: rules.iter().map(|rule| config.rules_disabled.iter().any(|id| id == rule.id)).collect(),
            severities: severities(rules, &config.severities)?,
            digest: digest(config, &suppressions),
            // Only at the end it is known which findings were known before: they must not take the place of new ones.
            findings_max: config.findings_max.saturating_add(suppressions.baseline_len()),
            suppressions,
            window_bytes: config.line_window_bytes,
        })
    }

    /// Every rule it knows, whatever the settings say of it.
    #[must_use]
    pub fn rules(&self) -> &[&'static Rule] {
        self.rules
    }

    /// SHA-256, in 64 hexadecimal digits, over the rules and all that bears on what they find. A signal's basis.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is wrong with `diff`.
    #[must_use]
    pub fn scan(&self, diff: &Diff<'_>) -> Analysis {
        let mut scan = Scan {
            law: self,
            kept: Kept::new(self.findings_max),
            in_file: Marks::new(self.rules.len()),
            in_diff: Marks::new(self.rules.len()),
            lines: 0,
        };
        for (index, file) in diff.files.iter().enumerate() {
            scan.file(index, file);
        }
        scan.change(diff);
        let lines_scanned = scan.lines;
        let (mut findings, findings_dropped) = scan.kept.into_findings(|found| self.secrets_around(diff, found));
        for finding in &mut findings {
            self.suppressions.mark_known(finding);
        }
        Analysis {
            findings,
            findings_dropped: u32::try_from(findings_dropped).unwrap_or(u32::MAX),
            files_scanned: u32::try_from(diff.files.len()).unwrap_or(u32::MAX),
            lines_scanned,
        }
    }

    /// Everything secret that any rule sees, disabled or not, in the part of the line around a finding.
    fn secrets_around(&self, diff: &Diff<'_>, found: &Found<'_>) -> Vec<std::ops::Range<usize>> {
        let Some((hunk, line)) = found.line else { return Vec::new() };
        let file = &diff.files[found.file];
        let hunk = &file.hunks[hunk];
        let text = hunk.lines[line].text;
        let part = windows::around(text, &found.range, self.window_bytes);
        let view = AddedLine { file, hunk, index: line, text: &text[part.clone()] };
        let mut secrets: Vec<_> = found.secret.clone().into_iter().collect();
        // As when the line was scanned, a rule is asked only where one of its keywords is.
        let named =
            self.keywords.find_overlapping_iter(view.text).map(|found| self.keyword_rules[found.pattern().as_usize()]);
        let named: HashSet<usize> = named.collect();
        for &rule in self.secret_rules.iter().filter(|rule| named.contains(rule)) {
            let hits = self.rules[rule].on_line(&view).into_iter().filter_map(|hit| hit.secret);
            secrets.extend(hits.map(|secret| part.start + secret.start..part.start + secret.end));
        }
        secrets
    }
}

/// The severity that the settings give each rule.
fn severities(rules: &[&Rule], wanted: &BTreeMap<String, String>) -> Result<Vec<Option<Severity>>, String> {
    let mut severities = vec![None; rules.len()];
    for (id, name) in wanted {
        let rule = rules.iter().position(|rule| rule.id == id);
        let rule = rule.ok_or_else(|| format!("severities: there is no rule {id:?}"))?;
        let severity = Severity::from_name(name);
        severities[rule] = Some(severity.ok_or_else(|| {
            format!("severities: {id}: {name:?} is no severity: info, low, medium, high or critical")
        })?);
    }
    Ok(severities)
}

/// Over the source of the rules (see `build.rs`) and the settings.
fn digest(config: &Config, suppressions: &Suppressions) -> String {
    let mut disabled = config.rules_disabled.clone();
    disabled.sort();
    disabled.dedup();
    let mut text = format!("{}\n{}\n{}\n", env!("RULE_PACK_SOURCE"), config.findings_max, config.line_window_bytes);
    text.push_str(&format!("{:?}\n{}\n", config.severities, suppressions.text()));
    for rule in rules::all() {
        let state = if disabled.iter().any(|id| id == rule.id) { "off" } else { "on" };
        text.push_str(&format!("{} {} {} {state}\n", rule.id, rule.severity, rule.confidence.name()));
    }
    sha256_hex(text.as_bytes())
}

/// Which rules' keywords were seen. Clearing costs what was marked, not what could have been.
struct Marks {
    marked: Vec<bool>,
    list: Vec<usize>,
}

impl Marks {
    fn new(rules: usize) -> Self {
        Self { marked: vec![false; rules], list: Vec::new() }
    }

    fn mark(&mut self, rule: usize) {
        if !self.marked[rule] {
            self.marked[rule] = true;
            self.list.push(rule);
        }
    }

    fn clear(&mut self) {
        for rule in self.list.drain(..) {
            self.marked[rule] = false;
        }
    }
}

/// One pass over one diff.
struct Scan<'l, 'd> {
    law: &'l Law,
    kept: Kept<'d>,
    in_file: Marks,
    in_diff: Marks,
    lines: u64,
}

impl<'d> Scan<'_, 'd> {
    fn file(&mut self, index: usize, file: &'d FileDiff<'d>) {
        self.in_file.clear();
        let lowered = paths::is_test(&file.change.path);
        let mut in_part = Marks::new(self.law.rules.len());
        for hunk in 0..file.hunks.len() {
            for (line, text) in file.hunks[hunk].lines.iter().enumerate() {
                if text.kind == LineKind::Added {
                    self.lines += 1;
                    self.line(Spot { index, file, lowered }, hunk, line, &mut in_part);
                }
            }
        }
        for (number, rule) in self.law.rules.iter().enumerate() {
            if let Check::File { applies, check } = rule.check
                && (rule.keywords.is_empty() || self.in_file.marked[number])
                && applies(&file.change)
            {
                for hit in check(file) {
                    self.keep_file_hit(number, Spot { index, file, lowered }, hit);
                }
            }
        }
        if program::Language::of(&file.change.path).is_some() && self.in_file.list.iter().any(|at| self.is_program(*at))
        {
            for (rule, hit) in program::check(file) {
                if let Some(number) = self.law.numbers.get(rule.id) {
                    self.keep_file_hit(*number, Spot { index, file, lowered }, hit);
                }
            }
        }
        for at in 0..self.in_file.list.len() {
            self.in_diff.mark(self.in_file.list[at]);
        }
    }

    /// Whether a rule looks at programs: some of those that look at lines look at the syntax where it is parsed.
    fn is_program(&self, rule: usize) -> bool {
        self.law.rules[rule].category == Category::Code
    }

    fn line(&mut self, spot: Spot<'d>, hunk: usize, line: usize, in_part: &mut Marks) {
        let text = spot.file.hunks[hunk].lines[line].text;
        for window in windows::of(text, self.law.window_bytes) {
            let part = &text[window.range.clone()];
            in_part.clear();
            for found in self.law.keywords.find_overlapping_iter(part) {
                in_part.mark(self.law.keyword_rules[found.pattern().as_usize()]);
            }
            in_part.list.sort_unstable();
            let view = AddedLine { file: spot.file, hunk: &spot.file.hunks[hunk], index: line, text: part };
            let mut secrets = Vec::new();
            for &rule in &in_part.list {
                self.in_file.mark(rule);
                for hit in self.law.rules[rule].on_line(&view) {
                    // The particular rule has spoken about this secret already.
                    if let Some(secret) = &hit.secret {
                        if secrets.iter().any(|earlier| overlap(earlier, secret)) {
                            continue;
                        }
                        secrets.push(secret.clone());
                    }
                    if window.owns(window.range.start + hit.range.start) {
                        self.keep(rule, spot, Some((hunk, line)), hit, window.range.start);
                    }
                }
            }
        }
    }

    fn change(&mut self, diff: &'d Diff<'d>) {
        for (number, rule) in self.law.rules.iter().enumerate() {
            if let Check::Change(check) = rule.check
                && (rule.keywords.is_empty() || self.in_diff.marked[number])
            {
                for (index, hit) in check(diff) {
                    let file = &diff.files[index];
                    let lowered = paths::is_test(&file.change.path);
                    self.keep_file_hit(number, Spot { index, file, lowered }, hit);
                }
            }
        }
    }

    fn keep_file_hit(&mut self, rule: usize, spot: Spot<'d>, found: FileHit) {
        self.keep(rule, spot, found.line, found.hit, 0);
    }

    fn keep(&mut self, rule: usize, spot: Spot<'d>, line: Option<(usize, usize)>, hit: Hit, offset: usize) {
        if self.law.disabled[rule] {
            return;
        }
        let set = self.law.severities[rule];
        let rule = self.law.rules[rule];
        let severity = hit.severity.unwrap_or(rule.severity);
        let severity = if spot.lowered { lower(severity) } else { severity };
        let suppression = self.law.suppressions.of(rule, spot.file, line);
        let found = Found::new(rule, set.unwrap_or(severity), spot.index, spot.file, line, hit, offset);
        self.kept.push(found.suppressed(suppression));
    }
}

/// A file of the diff, and whether it is a test.
#[derive(Clone, Copy)]
struct Spot<'d> {
    index: usize,
    file: &'d FileDiff<'d>,
    lowered: bool,
}

/// What a finding in a test is worth: two steps less, and not less than low for that.
fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::Medium,
        Severity::High | Severity::Medium | Severity::Low => Severity::Low,
        Severity::Info => Severity::Info,
    }
}

fn overlap(a: &std::ops::Range<usize>, b: &std::ops::Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// True for a file of which the diff shows everything.
pub(crate) fn is_whole(file: &FileDiff<'_>) -> bool {
    file.change.kind == FileChangeKind::Added
}
