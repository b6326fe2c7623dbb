//! Findings for people.

use std::io::{self, Write};
use std::time::Duration;

use domain::{Analysis, Finding, Severity};

use super::by_severity;
use crate::terminal::{Look, Sheet, Style};

/// Every finding with its place, the line and how to mend it, and what it was all about.
pub(super) fn write(
    out: &mut impl Write,
    analysis: &Analysis,
    suppressed: usize,
    took: Duration,
    style: Style,
) -> io::Result<()> {
    for finding in &analysis.findings {
        let mut sheet = Sheet::new(style);
        one(&mut sheet, finding);
        writeln!(out, "{}\n", sheet.into_text())?;
    }
    let found = match analysis.findings.len() {
        0 => "nothing found".to_owned(),
        1 => format!("1 finding ({})", by_severity(analysis)),
        count => format!("{count} findings ({})", by_severity(analysis)),
    };
    let hidden = if suppressed > 0 { format!("; {suppressed} suppressed (--show-suppressed)") } else { String::new() };
    let (files, lines) = (analysis.files_scanned, analysis.lines_scanned);
    writeln!(out, "{found} in {files} files, {lines} added lines, {:.2} s{hidden}", took.as_secs_f64())
}

fn one(sheet: &mut Sheet, finding: &Finding) {
    let place = match (finding.line, finding.column) {
        (0, _) => finding.path.clone(),
        (line, 0) => format!("{}:{line}", finding.path),
        (line, column) => format!("{}:{line}:{column}", finding.path),
    };
    sheet.row(&[
        (look(finding.severity), finding.severity.name()),
        (Look::Bold, &place),
        (Look::Dim, &finding.rule_id),
    ]);
    sheet.paragraph(2, Look::Plain, &finding.message);
    if !finding.excerpt.is_empty() {
        sheet.code(2, &finding.excerpt);
    }
    sheet.item(2, (Look::Dim, "→"), Look::Plain, &finding.remediation);
    if let Some(suppression) = &finding.suppression {
        let why = if suppression.reason.is_empty() { "" } else { ": " };
        let said = format!("suppressed by a {}{why}{}", suppression.by.name(), suppression.reason);
        sheet.item(2, (Look::Dim, "·"), Look::Dim, &said);
    }
}

pub(crate) const fn look(severity: Severity) -> Look {
    match severity {
        Severity::Critical | Severity::High => Look::Bad,
        Severity::Medium => Look::Doubtful,
        Severity::Low | Severity::Info => Look::Plain,
    }
}
