//! Findings as GitHub's workflow commands, which GitHub shows beside the lines of a pull request.
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use std::io::{self, Write};

use domain::{Analysis, Severity};

/// One command for each finding.
pub(super) fn write(out: &mut impl Write, analysis: &Analysis) -> io::Result<()> {
    for finding in &analysis.findings {
        let command = match finding.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low | Severity::Info => "notice",
        };
        write!(out, "::{command} file={}", property(&finding.path))?;
        if finding.line > 0 {
            write!(out, ",line={}", finding.line)?;
        }
        if finding.column > 0 {
            write!(out, ",col={}", finding.column)?;
        }
        let title = property(&format!("{} ({})", finding.title, finding.severity));
        let message = format!("{}: {}. {}", finding.rule_id, finding.message, finding.remediation);
        writeln!(out, ",title={title}::{}", data(&message))?;
    }
    Ok(())
}

/// A command's text. What is not escaped would end the command, or begin another.
pub(crate) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value of a command's property.
pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
