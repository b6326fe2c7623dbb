//! Findings in the Static Analysis Results Interchange Format, version 2.1.0, for code hosts and editors.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use domain::{Analysis, Finding, Severity, SuppressedBy};
use serde_json::{Value, json};
use static_analysis::rules::Rule;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One run: the rules that found something, and what they found.
pub(super) fn write(out: &mut impl Write, analysis: &Analysis, rules: &[&'static Rule]) -> io::Result<()> {
    let found: HashSet<&str> = analysis.findings.iter().map(|finding| finding.rule_id.as_str()).collect();
    let described: Vec<_> = rules.iter().filter(|rule| found.contains(rule.id)).collect();
    let used = described.iter().zip(0..).map(|(rule, index)| (rule.id, index)).collect();
    let described: Vec<_> = described.into_iter().map(|rule| descriptor(rule)).collect();
    let results: Vec<_> = analysis.findings.iter().map(|finding| result(finding, &used)).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "FailSafe",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": described,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn descriptor(rule: &Rule) -> Value {
    let mut tags = vec!["security".to_owned(), rule.category.name().to_owned()];
    if rule.cwe > 0 {
        tags.push(format!("external/cwe/cwe-{:03}", rule.cwe));
    }
    let mut descriptor = json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "help": { "text": rule.remediation },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": {
            "tags": tags,
            "precision": rule.confidence.name(),
            "security-severity": security_severity(rule.severity),
        },
    });
    if let Some(reference) = rule.references.first() {
        descriptor["helpUri"] = json!(reference);
    }
    descriptor
}

fn result(finding: &Finding, rules: &HashMap<&str, usize>) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri(&finding.path) } });
    if finding.line > 0 {
        location["region"] = json!({ "startLine": finding.line });
        if finding.column > 0 {
            location["region"]["startColumn"] = json!(finding.column);
        }
        if !finding.excerpt.is_empty() {
            location["region"]["snippet"] = json!({ "text": finding.excerpt });
        }
    }
    let mut result = json!({
        "ruleId": finding.rule_id,
        "level": level(finding.severity),
        "message": { "text": format!("{}. {}", finding.message, finding.remediation) },
        "locations": [{ "physicalLocation": location }],
        "partialFingerprints": { "failsafe/v1": finding.fingerprint },
        "properties": {
            "severity": finding.severity.name(),
            "confidence": finding.confidence.name(),
            "hazard": finding.hazard,
        },
    });
    if let Some(index) = rules.get(finding.rule_id.as_str()) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(suppression) = &finding.suppression {
        let kind = if suppression.by == SuppressedBy::Comment { "inSource" } else { "external" };
        result["suppressions"] = json!([{ "kind": kind, "justification": suppression.reason }]);
    }
    result
}

/// A relative URI reference of a path: RFC 3986, section 3.3, a segment at a time.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// What code hosts sort by: over 9.0 is critical, over 7.0 high, over 4.0 medium.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.5",
        Severity::Info => "0.5",
    }
}
