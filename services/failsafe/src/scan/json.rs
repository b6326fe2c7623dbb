//! Findings as JSON: one object a line.

use std::io::{self, Write};

use domain::{Analysis, Finding};
use serde::Serialize;

/// A finding as a program reads it. Fields are only ever added.
#[derive(Serialize)]
struct Record<'a> {
    rule_id: &'a str,
    title: &'a str,
    category: &'static str,
    severity: &'static str,
    confidence: &'static str,
    path: &'a str,
    line: u32,
    column: u32,
    excerpt: &'a str,
    message: &'a str,
    remediation: &'a str,
    cwe: u32,
    hazard: &'a str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<Suppressed<'a>>,
}

#[derive(Serialize)]
struct Suppressed<'a> {
    by: &'static str,
    reason: &'a str,
}

/// One finding a line.
pub(super) fn write(out: &mut impl Write, analysis: &Analysis) -> io::Result<()> {
    for finding in &analysis.findings {
        serde_json::to_writer(&mut *out, &record(finding))?;
        writeln!(out)?;
    }
    Ok(())
}

fn record(finding: &Finding) -> Record<'_> {
    Record {
        rule_id: &finding.rule_id,
        title: &finding.title,
        category: finding.category.name(),
        severity: finding.severity.name(),
        confidence: finding.confidence.name(),
        path: &finding.path,
        line: finding.line,
        column: finding.column,
        excerpt: &finding.excerpt,
        message: &finding.message,
        remediation: &finding.remediation,
        cwe: finding.cwe,
        hazard: &finding.hazard,
        fingerprint: &finding.fingerprint,
        suppressed: finding
            .suppression
            .as_ref()
            .map(|suppression| Suppressed { by: suppression.by.name(), reason: &suppression.reason }),
    }
}
