//! What was published to the services, version by version, as a table or as JSON.

use chassis::Document;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::cli::Output;
use crate::terminal::{Look, Sheet, Style, say};

/// One version of what is published.
#[derive(Debug)]
pub(crate) struct Version {
    /// The version in the bucket.
    pub(crate) document: Document,
    /// As what it is published: `champion`.
    pub(crate) role: &'static str,
    /// What it is.
    pub(crate) what: String,
    /// Where it comes from, or why it cannot be used.
    pub(crate) about: String,
    /// Whether none came after it.
    pub(crate) is_latest: bool,
}

/// Prints all versions, or `nothing` when there is none.
pub(crate) fn print(versions: &[Version], nothing: &str, output: Output) {
    if output == Output::Json {
        let rows: Vec<Value> = versions.iter().map(facts).collect();
        return say(&format!("{:#}", json!({ "versions": rows })));
    }
    if versions.is_empty() {
        return say(nothing);
    }
    let mut sheet = Sheet::new(Style::of_stdout());
    for version in versions {
        let look = if version.is_latest { Look::Plain } else { Look::Dim };
        let at = version.document.written_at;
        sheet.row(&[
            (look, &format!("{:>4}", version.document.version)),
            (look, &format!("{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second())),
            (look, &format!("{:<8}", version.role)),
            (look, &version.what),
            (Look::Dim, &version.about),
        ]);
    }
    say(&sheet.into_text());
}

fn facts(version: &Version) -> Value {
    json!({
        "version": version.document.version,
        "published_at": version.document.written_at.format(&Rfc3339).unwrap_or_default(),
        "role": version.role,
        "what": version.what,
        "about": version.about,
        "latest": version.is_latest,
    })
}
