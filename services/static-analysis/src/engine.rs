//! The engine: one pass over a diff's added lines for the keywords of all rules, then only the rules whose keyword was there.
//!
//! Pure: the same diff and the same settings give the same analysis, byte for byte. Linear in the diff: a line is looked at
//! in parts of bounded length, and no more findings are held than are reported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use domain::diff::{Diff, FileDiff, LineKind};
use domain::identity::sha256_hex;
use domain::{Analysis, Category, FileChangeKind, Severity};

use crate::config::Config;
use crate::index::{Index, Look, Marks, Seen};
use crate::kept::{Found, Kept};
use crate::own::Own;
use crate::rules::pattern::Runs;
use crate::rules::{self, AddedLine, FileHit, Hit, Rule};
use crate::suppress::Suppressions;
use crate::{paths, windows};

/// Bytes of a word that may be the secret, where a rule says that it is on the line below.
const VALUE_BYTES_MIN: usize = 8;

/// The rules and their settings, ready to be applied to any number of diffs.
pub struct Law {
    rules: Vec<&'static Rule>,
    /// From this number on: rules of whoever wrote what is scanned. They say what they see, and silence nobody.
    guests: usize,
    index: Index,
    /// The number of each rule.
    numbers: HashMap<&'static str, usize>,
    disabled: Vec<bool>,
    /// The severity that the settings give each rule, if they do.
    severities: Vec<Option<Severity>>,
    suppressions: Suppressions,
    findings_max: usize,
    window_bytes: usize,
    digest: String,
}

impl Law {
    /// The law of the rules that come with FailSafe and of those that `config` names, under `config`.
    ///
    /// # Errors
    /// A sentence that names the setting, or the file of rules, that is wrong.
    pub fn new(config: &Config) -> Result<Self, String> {
        Self::with(config, &Own::of(&config.rules_paths)?, HashSet::new())
    }

    /// The same with these rules of one's own and no others, where the findings of the fingerprints in `baseline` were known before,
    /// and do not count.
    ///
    /// # Errors
    /// A sentence that names the setting that is wrong.
    pub fn with(config: &Config, own: &Own, baseline: HashSet<String>) -> Result<Self, String> {
        let rules = [own.trusted(), rules::all(), own.guests()].concat();
        let suppressions = Suppressions::new(&config.paths_excluded, baseline)?;
        if let Some(unknown) = config.rules_disabled.iter().find(|id| rules.iter().all(|rule| rule.id != **id)) {
            return Err(format!("rules_disabled: there is no rule {unknown:?}"));
        }
        if config.line_window_bytes < windows::BYTES_MIN {
            return Err(format!("line_window_bytes: must be at least {}", windows::BYTES_MIN));
        }
        Ok(Self {
            guests: rules.len() - own.guests().len(),
            index: Index::new(&rules),
            numbers: rules.iter().enumerate().map(|(number, rule)| (rule.id, number)).collect(),
            disabled: rules.iter().map(|rule| config.rules_disabled.iter().any(|id| id == rule.id)).collect(),
            severities: severities(&rules, &config.severities)?,
            digest: digest(&rules, own, config, &suppressions),
            // Only at the end it is known which findings were known before: they must not take the place of new ones.
            findings_max: config.findings_max.saturating_add(suppressions.baseline_len()),
            suppressions,
            window_bytes: config.line_window_bytes,
            rules,
        })
    }

    /// Every rule it knows, whatever the settings say of it.
    #[must_use]
    pub fn rules(&self) -> &[&'static Rule] {
        &self.rules
    }

    /// SHA-256, in 64 hexadecimal digits, over the rules and all that bears on what they find. A signal's basis.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is wrong with `diff`.
    #[must_use]
    pub fn scan(&self, diff: &Diff<'_>) -> Analysis {
        self.scan_watched(diff, |_| ())
    }

    /// The same; `watch` is told how many files are done.
    #[must_use]
    pub fn scan_watched(&self, diff: &Diff<'_>, watch: impl Fn(usize)) -> Analysis {
        let mut scan = Scan {
            law: self,
            kept: Kept::new(self.findings_max),
            in_part: Marks::new(self.rules.len()),
            in_file: self.index.seen(),
            in_diff: Marks::new(self.rules.len()),
            lines: 0,
        };
        for (index, file) in diff.files.iter().enumerate() {
            scan.file(index, file);
            watch(index + 1);
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
    fn secrets_around(&self, diff: &Diff<'_>, found: &Found<'_>) -> Vec<Range<usize>> {
        let Some((hunk, line)) = found.line else { return Vec::new() };
        let file = &diff.files[found.file];
        let hunk = &file.hunks[hunk];
        let text = hunk.lines[line].text;
        let part = windows::around(text, &found.range, self.window_bytes);
        let view = AddedLine { file, hunk, index: line, text: &text[part.clone()] };
        let mut secrets: Vec<_> = found.secret.clone().into_iter().collect();
        let mut rules = Marks::new(self.rules.len());
        self.index.line_rules(view.text, &mut rules);
        for &rule in rules.in_order() {
            let rule = self.rules[rule];
            if rule.category == Category::Secret {
                let hits = rule.on_line(&view).into_iter().filter_map(|hit| hit.secret);
                secrets.extend(hits.map(|secret| part.start + secret.start..part.start + secret.end));
            }
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

/// Over the source of the rules (see `build.rs`), one's own rules and the settings.
fn digest(rules: &[&Rule], own: &Own, config: &Config, suppressions: &Suppressions) -> String {
    let mut disabled = config.rules_disabled.clone();
    disabled.sort();
    disabled.dedup();
    let mut text = format!("{}\n{}\n{}\n", env!("RULE_PACK_SOURCE"), config.findings_max, config.line_window_bytes);
    text.push_str(&format!("{:?}\n{}\n{}\n", config.severities, suppressions.text(), own.digest()));
    for rule in rules {
        let state = if disabled.iter().any(|id| id == rule.id) { "off" } else { "on" };
        text.push_str(&format!("{} {} {} {state}\n", rule.id, rule.severity, rule.confidence.name()));
    }
    sha256_hex(text.as_bytes())
}

/// One pass over one diff.
struct Scan<'l, 'd> {
    law: &'l Law,
    kept: Kept<'d>,
    /// The rules for the part of a line that is looked at.
    in_part: Marks,
    /// What was seen in the file that is looked at.
    in_file: Seen,
    in_diff: Marks,
    lines: u64,
}

impl<'d> Scan<'_, 'd> {
    fn file(&mut self, index: usize, file: &'d FileDiff<'d>) {
        let law = self.law;
        self.in_file.clear();
        let spot = Spot { index, file };
        for (hunk, lines) in file.hunks.iter().enumerate() {
            for (line, text) in lines.lines.iter().enumerate() {
                if text.kind == LineKind::Added {
                    self.lines += 1;
                    self.line(spot, (hunk, line), text.text);
                }
            }
        }
        for look in law.index.file_rules(&mut self.in_file, &file.change) {
            match look {
                Look::Rule(number) => {
                    for hit in law.rules[number].on_file(file) {
                        self.keep_file_hit(number, spot, hit);
                    }
                }
                Look::Shared(number) => {
                    for (id, hit) in (law.index.shared(number).check)(file) {
                        if let Some(&number) = law.numbers.get(id) {
                            self.keep_file_hit(number, spot, hit);
                        }
                    }
                }
            }
        }
        for &rule in self.in_file.rules.in_order() {
            self.in_diff.mark(rule);
        }
    }

    fn line(&mut self, spot: Spot<'d>, place: (usize, usize), text: &'d str) {
        if text.len() <= self.law.window_bytes {
            return self.part(spot, place, text, &windows::whole(text));
        }
        for window in windows::of(text, self.law.window_bytes) {
            self.part(spot, place, &text[window.range.clone()], &window);
        }
    }

    #[inline]
    fn part(&mut self, spot: Spot<'d>, place: (usize, usize), part: &'d str, window: &windows::Window) {
        self.in_part.clear();
        self.law.index.look(part, &mut self.in_part, &mut self.in_file);
        if !self.in_part.is_empty() {
            self.ask(spot, place, part, window);
        }
    }

    /// Asks the rules whose keyword is in this part of a line.
    fn ask(&mut self, spot: Spot<'d>, (hunk, line): (usize, usize), part: &'d str, window: &windows::Window) {
        let law = self.law;
        let view = AddedLine { file: spot.file, hunk: &spot.file.hunks[hunk], index: line, text: part };
        let runs = Runs::of(&view);
        let mut secrets: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while let Some(&rule) = self.in_part.in_order().get(at) {
            at += 1;
            if !law.rules[rule].can_find(&runs) {
                continue;
            }
            for hit in law.rules[rule].on_line(&view) {
                self.hide(&view, law.rules[rule], &hit);
                // The particular rule has spoken about this secret already.
                if let Some(secret) = hit.secret.as_ref().filter(|_| rule < law.guests) {
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

    /// Remembers what no finding may show, wherever else it stands.
    fn hide(&mut self, view: &AddedLine<'d>, rule: &Rule, hit: &Hit) {
        match &hit.secret {
            Some(secret) => self.kept.hide(view.text.get(secret.clone()).unwrap_or_default()),
            None if rule.category == Category::Secret => {
                // It is on the line below: what there may be it.
                let below = view.below().next().unwrap_or_default();
                let words = below.split(|c: char| c.is_whitespace() || "\"'`=:,;<>(){}".contains(c));
                words.filter(|word| word.len() >= VALUE_BYTES_MIN).for_each(|word| self.kept.hide(word));
            }
            None => {}
        }
    }

    fn change(&mut self, diff: &'d Diff<'d>) {
        for number in self.law.index.change_rules(&self.in_diff) {
            for (index, hit) in self.law.rules[number].on_change(diff) {
                let file = &diff.files[index];
                self.keep_file_hit(number, Spot { index, file }, hit);
            }
        }
    }

    fn keep_file_hit(&mut self, rule: usize, spot: Spot<'d>, found: FileHit) {
        if let (Some((hunk, line)), Some(secret)) = (found.line, &found.hit.secret) {
            let text = spot.file.hunks[hunk].lines[line].text;
            self.kept.hide(text.get(secret.clone()).unwrap_or_default());
        }
        self.keep(rule, spot, found.line, found.hit, 0);
    }

    fn keep(&mut self, rule: usize, spot: Spot<'d>, line: Option<(usize, usize)>, hit: Hit, offset: usize) {
        if self.law.disabled[rule] {
            return;
        }
        let set = self.law.severities[rule];
        let rule = self.law.rules[rule];
        let severity = hit.severity.unwrap_or(rule.severity);
        let severity = if paths::is_test(&spot.file.change.path) { lower(severity) } else { severity };
        let suppression = self.law.suppressions.of(rule, spot.file, line);
        let found = Found::new(rule, set.unwrap_or(severity), spot.index, spot.file, line, hit, offset);
        self.kept.push(found.suppressed(suppression));
    }
}

/// A file of the diff, and its number.
#[derive(Clone, Copy)]
struct Spot<'d> {
    index: usize,
    file: &'d FileDiff<'d>,
}

/// What a finding in a test is worth: two steps less, and not less than low for that.
fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::Medium,
        Severity::High | Severity::Medium | Severity::Low => Severity::Low,
        Severity::Info => Severity::Info,
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// True for a file of which the diff shows everything.
pub(crate) fn is_whole(file: &FileDiff<'_>) -> bool {
    file.change.kind == FileChangeKind::Added
}
