//! A baseline: the findings that were there before somebody began to look. They are shown, and do not count.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, ensure};
use domain::Finding;
use serde::{Deserialize, Serialize};

/// The form of the file. A later one is refused with a clear word.
const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    findings: Vec<Known>,
}

/// What is needed is the fingerprint; the rest is for whoever reads the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Known {
    fingerprint: String,
    rule_id: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// The fingerprints in `file`.
pub(super) fn read(file: &Path) -> anyhow::Result<HashSet<String>> {
    let cannot = || format!("cannot read the baseline {}", file.display());
    let text = std::fs::read_to_string(file).with_context(cannot)?;
    let known: File = serde_json::from_str(&text).with_context(cannot)?;
    ensure!(known.version == VERSION, "{}: version {} is not known here, only {VERSION}", cannot(), known.version);
    Ok(known.findings.into_iter().map(|known| known.fingerprint).collect())
}

/// Writes `findings` to `file`, in order of path and rule, so that a change of it is easy to read.
pub(super) fn write(file: &Path, findings: &[Finding]) -> anyhow::Result<()> {
    let mut known: Vec<_> = findings
        .iter()
        .map(|finding| Known {
            fingerprint: finding.fingerprint.clone(),
            rule_id: finding.rule_id.clone(),
            path: finding.path.clone(),
            reason: String::new(),
        })
        .collect();
    known.sort_by(|a, b| (&a.path, &a.rule_id, &a.fingerprint).cmp(&(&b.path, &b.rule_id, &b.fingerprint)));
    let text = serde_json::to_string_pretty(&File { version: VERSION, findings: known })? + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write the baseline {}", file.display()))
}
