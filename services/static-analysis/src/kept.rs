//! The worst of what was found, in order, and how it becomes findings.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use domain::diff::FileDiff;
use domain::identity::sha256_hex;
use domain::{Confidence, Finding, Severity, Suppression};

use crate::redact::{self, Hidden, Known};
use crate::rules::{Hit, Rule};

/// Something that was found. Ordered as it is reported.
pub(crate) struct Found<'d> {
    rule: &'static Rule,
    severity: Severity,
    confidence: Confidence,
    path: &'d str,
    number: u32,
    text: &'d str,
    message: Cow<'static, str>,
    /// What the fingerprint is made over: no secret can be read from it.
    content: String,
    /// Number of its file in the diff.
    pub(crate) file: usize,
    /// Its hunk and line; `None` when it is about the whole file.
    pub(crate) line: Option<(usize, usize)>,
    /// The bytes of the line that it is about.
    pub(crate) range: Range<usize>,
    /// The bytes of the line that must not be shown.
    pub(crate) secret: Option<Range<usize>>,
    suppression: Option<Suppression>,
}

impl<'d> Found<'d> {
    /// A hit of `rule`; its ranges count from `offset` in the line.
    pub(crate) fn new(
        rule: &'static Rule,
        severity: Severity,
        index: usize,
        file: &'d FileDiff<'d>,
        line: Option<(usize, usize)>,
        hit: Hit,
        offset: usize,
    ) -> Self {
        let (number, text) = line.map_or((0, ""), |(hunk, line)| {
            let line = &file.hunks[hunk].lines[line];
            (line.number, line.text)
        });
        let shift = |range: Range<usize>| range.start + offset..range.end + offset;
        let range = shift(hit.range);
        let path = file.change.path.as_str();
        let quoted = hit.content.as_deref().unwrap_or_else(|| text.get(range.clone()).unwrap_or(""));
        let words: Vec<_> = quoted.split_whitespace().collect();
        let content = sha256_hex(format!("{}\0{path}\0{}", rule.id, words.join(" ")).as_bytes());
        Self {
            rule,
            severity,
            confidence: hit.confidence.unwrap_or(rule.confidence),
            path,
            number,
            text,
            message: hit.message,
            content,
            file: index,
            line,
            range,
            secret: hit.secret.map(shift),
            suppression: None,
        }
    }

    /// The same, which does not count for that reason.
    pub(crate) fn suppressed(self, suppression: Option<Suppression>) -> Self {
        Self { suppression, ..self }
    }

    fn key(&self) -> impl Ord + '_ {
        let known = self.suppression.is_some();
        (
            known,
            Reverse(self.severity),
            self.path,
            self.number,
            self.range.start,
            self.rule.id,
            &self.content,
            &self.message,
        )
    }

    /// The finding, of which nothing shows a secret. `ordinal` tells it from equal ones above it.
    fn finding(self, known: &Known, secrets: Vec<Range<usize>>, ordinal: u32) -> Finding {
        let fingerprint = sha256_hex(format!("{}\0{ordinal}", self.content).as_bytes());
        let column = |line: &str| line[..line.floor_char_boundary(self.range.start)].chars().count() + 1;
        Finding {
            rule_id: self.rule.id.to_owned(),
            title: self.rule.title.to_owned(),
            category: self.rule.category,
            severity: self.severity,
            confidence: self.confidence,
            path: self.path.to_owned(),
            line: self.number,
            column: self.line.map_or(0, |_| u32::try_from(column(self.text)).unwrap_or(u32::MAX)),
            excerpt: redact::excerpt(self.text, &self.range, secrets, known),
            message: redact::message(self.message, known),
            remediation: self.rule.remediation.to_owned(),
            cwe: self.rule.cwe,
            fingerprint: fingerprint[..32].to_owned(),
            hazard: self.rule.hazard.to_owned(),
            suppression: self.suppression.map(|it| Suppression { reason: redact::reason(&it.reason, known), ..it }),
        }
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Found<'_> {}

impl PartialOrd for Found<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The first so many in the order of reporting; the rest is only counted.
pub(crate) struct Kept<'d> {
    heap: BinaryHeap<Found<'d>>,
    max: usize,
    dropped: usize,
    hidden: Hidden<'d>,
}

impl<'d> Kept<'d> {
    pub(crate) fn new(max: usize) -> Self {
        Self { heap: BinaryHeap::new(), max, dropped: 0, hidden: Hidden::default() }
    }

    /// Remembers a secret, which no finding may show, whatever line it is about.
    pub(crate) fn hide(&mut self, secret: &'d str) {
        self.hidden.add(secret);
    }

    pub(crate) fn push(&mut self, found: Found<'d>) {
        self.heap.push(found);
        if self.heap.len() > self.max {
            self.heap.pop();
            self.dropped += 1;
        }
    }

    /// The findings in order, and how many more there were. `secrets` knows what must not be shown around one.
    pub(crate) fn into_findings(self, secrets: impl Fn(&Found<'d>) -> Vec<Range<usize>>) -> (Vec<Finding>, usize) {
        let mut ordinals: HashMap<String, u32> = HashMap::new();
        let known = self.hidden.known();
        let mut findings = Vec::with_capacity(self.heap.len());
        for found in self.heap.into_sorted_vec() {
            let ordinal = ordinals.entry(found.content.clone()).and_modify(|n| *n += 1).or_insert(0);
            let ordinal = *ordinal;
            let secrets = secrets(&found);
            findings.push(found.finding(&known, secrets, ordinal));
        }
        (findings, self.dropped)
    }
}
