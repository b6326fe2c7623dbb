//! What a check that speaks for many rules has found so far.

use std::borrow::Cow;

use domain::Severity;

use super::view::View;
use super::yaml::Yaml;
use crate::rules::{FileHit, Rule};

/// The hits in one view of a file.
pub(super) struct Report<'v, 'f> {
    /// Where the hits are.
    pub(super) view: &'v View<'f>,
    hits: Vec<(&'static str, FileHit)>,
    /// The rules that have spoken about the thing that is being looked at.
    spoken: Vec<&'static str>,
}

impl<'v, 'f> Report<'v, 'f> {
    pub(super) fn new(view: &'v View<'f>) -> Self {
        Self { view, hits: Vec::new(), spoken: Vec::new() }
    }

    /// From here on it is about another thing (a workload, a job), of which each rule may speak again.
    pub(super) fn begin(&mut self) {
        self.spoken.clear();
    }

    /// `rule` is broken by what begins at `node`, if that was added.
    pub(super) fn at(&mut self, rule: &'static Rule, node: Yaml<'_>, message: impl Into<Cow<'static, str>>) {
        self.at_line(rule, node.line(), rule.severity, message);
    }

    /// The same, as bad as `severity`.
    pub(super) fn as_bad_as(
        &mut self,
        severity: Severity,
        rule: &'static Rule,
        node: Yaml<'_>,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.at_line(rule, node.line(), severity, message);
    }

    /// The same, once for each thing: it would be said of every container otherwise.
    pub(super) fn once(&mut self, rule: &'static Rule, node: Yaml<'_>, message: impl Into<Cow<'static, str>>) {
        if !self.spoken.contains(&rule.id) {
            let before = self.hits.len();
            self.at(rule, node, message);
            if self.hits.len() > before {
                self.spoken.push(rule.id);
            }
        }
    }

    /// The same of a secret, which must not be shown.
    pub(super) fn secret(&mut self, rule: &'static Rule, value: Yaml<'_>, message: impl Into<Cow<'static, str>>) {
        let Some(mut hit) = self.view.on_line(value.line(), message) else { return };
        let line = self.view.text(value.line());
        let text = value.text().unwrap_or("").lines().next().unwrap_or("");
        // A value that is written in another way than it reads takes the whole line with it.
        let range =
            line.find(text).filter(|_| !text.is_empty()).map_or(0..line.len(), |start| start..start + text.len());
        hit.hit.range = range.clone();
        hit.hit.secret = Some(range);
        self.hits.push((rule.id, hit));
    }

    /// The same of a line.
    pub(super) fn at_line(
        &mut self,
        rule: &'static Rule,
        line: usize,
        severity: Severity,
        message: impl Into<Cow<'static, str>>,
    ) {
        if let Some(hit) = self.view.on_line(line, message) {
            self.hits.push((rule.id, hit.severity(severity)));
        }
    }

    pub(super) fn into_hits(self) -> Vec<(&'static str, FileHit)> {
        self.hits
    }
}
