//! Protection that a change takes away: `deletion_protection`, `prevent_destroy` and the like, in a line that was removed.

use domain::diff::{FileDiff, LineKind};
use domain::{FileChangeKind, Severity};

use crate::rules::FileHit;

const RULE: &str = "infrastructure.terraform.protection-removed";

/// What protects, and the value with which it does.
const PROTECTIONS: &[(&str, &str)] = &[
    ("deletion_protection", "true"),
    ("deletion_protection_enabled", "true"),
    ("enable_deletion_protection", "true"),
    ("delete_protection", "true"),
    ("prevent_destroy", "true"),
    ("purge_protection_enabled", "true"),
    ("termination_protection", "true"),
    ("disable_api_termination", "true"),
    ("skip_final_snapshot", "false"),
    ("force_destroy", "false"),
];

/// Where a changed file loses a protection that it does not get elsewhere in the same hunk.
pub(super) fn removed(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = Vec::new();
    if file.change.kind != FileChangeKind::Modified && file.change.kind != FileChangeKind::Renamed {
        return hits;
    }
    for (number, hunk) in file.hunks.iter().enumerate() {
        for (name, value) in PROTECTIONS {
            let settings = hunk.lines.iter().enumerate().filter_map(|(at, line)| {
                setting(line.text).filter(|(found, _)| found == name).map(|(_, is)| (at, line.kind, is))
            });
            let settings: Vec<_> = settings.collect();
            let count = |kind| settings.iter().filter(|(_, of, is)| *of == kind && is == value).count();
            let (before, after) = (count(LineKind::Removed), count(LineKind::Added));
            let Some((at, ..)) = settings.iter().rev().find(|(_, of, is)| *of == LineKind::Removed && is == value)
            else {
                continue;
            };
            if before <= after || takes_the_resource(hunk, *at) {
                continue;
            }
            // Best shown where the new value stands.
            let instead = settings.iter().find(|(_, of, _)| *of == LineKind::Added).map(|(at, ..)| *at);
            let message = format!("{name} = {value} is taken away: the next apply may destroy what it protected");
            let hit = FileHit::on_line(file, number, instead.unwrap_or(*at), message);
            hits.push((RULE, if of_a_store(hunk, *at) { hit.severity(Severity::High) } else { hit }));
        }
    }
    hits
}

/// `name = value`, comments and the block around it apart.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once('=')?;
    let name = before.trim_end().rsplit([' ', '\t', '{']).next()?;
    let value = after.split(['#', '/', '}']).next()?.trim().trim_matches('"');
    Some((name, value))
}

/// Whether the resource's own header goes with the line: then it is the whole resource that is removed.
fn takes_the_resource(hunk: &domain::diff::Hunk<'_>, at: usize) -> bool {
    let above = hunk.lines[..at].iter().rev();
    above
        .map(|line| (line.kind, line.text))
        .find(|(_, text)| is_header(text))
        .is_some_and(|(kind, _)| kind == LineKind::Removed)
}

/// Whether the resource around the line, as far as it can be seen, keeps data.
fn of_a_store(hunk: &domain::diff::Hunk<'_>, at: usize) -> bool {
    const STORES: [&str; 14] = [
        "db_",
        "_db",
        "rds",
        "sql",
        "dynamodb",
        "docdb",
        "neptune",
        "spanner",
        "bigtable",
        "redis",
        "elasticache",
        "cosmosdb",
        "postgres",
        "mongodb",
    ];
    let header = hunk.lines[..at].iter().rev().map(|line| line.text).find(|text| is_header(text));
    header.or(Some(hunk.section)).is_some_and(|header| STORES.iter().any(|store| header.contains(store)))
}

fn is_header(text: &str) -> bool {
    text.starts_with("resource ") || text.starts_with("module ")
}
