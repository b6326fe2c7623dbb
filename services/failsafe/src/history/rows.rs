//! The rows that a model is trained with, from git alone: each change as it was known when it was made, and whether it was taken
//! back within thirty days.

use std::collections::HashMap;
use std::path::Path;

use ml_scoring::features::Measures;
use ml_scoring::history::{Key, Repository};
use ml_scoring::recorded::MATURE_AFTER;

use super::import::Imported;

/// The columns, as `services/ml-scoring/data/README.md` describes them.
const COLUMNS: [&str; 39] = [
    "id",
    "project",
    "time",
    "local_hour",
    "local_weekday",
    "nf",
    "la",
    "ld",
    "ns",
    "entropy",
    "new_files",
    "binary_files",
    "migration",
    "deps",
    "deps_only",
    "config",
    "docs_only",
    "tests_only",
    "test_churn_share",
    "fix",
    "bot",
    "n_commits",
    "lead_hours",
    "lt",
    "ndev",
    "age",
    "nuc",
    "exp",
    "rexp",
    "sexp",
    "max_file_changes",
    "mean_file_changes",
    "file_prior_reverts",
    "author_prior_reverts",
    "repo_reverts_14d",
    "merged_prev_24h",
    "repo_prior_prs",
    "repo_prior_reverts",
    "label",
];

/// Rows on their way to a file.
#[derive(Default)]
pub(super) struct RowsOut {
    rows: Vec<(Key, i64, Vec<String>)>,
}

/// What was written.
pub(super) struct Written {
    pub(super) rows: usize,
    pub(super) failures: usize,
    pub(super) immature: usize,
    /// True when only pull requests were written, and not what came without one.
    pub(super) pull_requests_only: bool,
}

impl RowsOut {
    /// Takes a change in, unless it takes another back: a model learns nothing about those.
    pub(super) fn add(&mut self, project: &str, imported: &Imported<'_>) {
        if imported.change.reverts.is_some() {
            return;
        }
        let id = match &imported.change.key {
            Key::PullRequest(number) => format!("#{number}"),
            Key::Commit(commit) => commit.clone(),
        };
        let mut row = vec![id, project.to_owned(), imported.change.at.to_string()];
        row.extend(local(&imported.landed.landed_local));
        row.extend(measured(imported.measures));
        self.rows.push((imported.change.key.clone(), imported.change.at, row));
    }

    /// Writes them with what came of each, by the whole `history`.
    pub(super) fn write(self, path: &Path, history: &Repository) -> anyhow::Result<Written> {
        let failed: HashMap<&Key, i64> =
            history.changes().filter_map(|change| Some((&change.key, change.failed_at?))).collect();
        let end = history.changes().map(|change| change.at).max().unwrap_or_default();
        let numbered = self.rows.iter().filter(|(key, ..)| matches!(key, Key::PullRequest(_))).count();
        let mut written =
            Written { rows: 0, failures: 0, immature: 0, pull_requests_only: 2 * numbered > self.rows.len() };
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(COLUMNS)?;
        for (key, at, mut row) in self.rows {
            if written.pull_requests_only && !matches!(key, Key::PullRequest(_)) {
                continue;
            }
            let label = match failed.get(&key) {
                Some(failed_at) if failed_at - at <= MATURE_AFTER => "1",
                _ if end - at < MATURE_AFTER => "",
                _ => "0",
            };
            written.rows += 1;
            written.failures += usize::from(label == "1");
            written.immature += usize::from(label.is_empty());
            row.push(label.to_owned());
            file.write_record(&row)?;
        }
        file.flush()?;
        Ok(written)
    }
}

fn measured(measures: &Measures) -> Vec<String> {
    let history = &measures.history;
    let number = |value: f64| value.to_string();
    let flag = |set: bool| if set { "1" } else { "0" }.to_owned();
    let known = |value: Option<f64>| value.map(number).unwrap_or_default();
    let told = |value: Option<bool>| value.map(flag).unwrap_or_default();
    vec![
        number(measures.files),
        number(measures.lines_added),
        number(measures.lines_deleted),
        number(measures.subsystems),
        number(measures.entropy),
        number(measures.new_files),
        number(measures.binary_files),
        flag(measures.migration),
        flag(measures.dependencies),
        flag(measures.dependencies_only),
        flag(measures.configuration),
        flag(measures.documentation_only),
        flag(measures.tests_only),
        number(measures.test_churn_share),
        told(measures.fix),
        told(measures.bot),
        known(measures.commits),
        known(measures.lead_hours),
        known(history.lines_before),
        known(history.prior_authors),
        known(history.file_age_days),
        known(history.last_changes),
        known(history.author_changes),
        known(history.author_recent_changes),
        known(history.author_subsystem_changes),
        known(history.file_changes_max),
        known(history.file_changes_mean),
        known(history.file_reverts),
        known(history.author_reverts),
        known(history.repository_reverts_14d),
        known(history.repository_deployments_24h),
        known(history.repository_deployments),
        known(history.repository_reverts),
    ]
}

/// Hour and weekday (0 is Monday) on the clock of who merged.
fn local(rfc3339: &str) -> [String; 2] {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    OffsetDateTime::parse(rfc3339, &Rfc3339).map_or_else(
        |_| [String::new(), String::new()],
        |at| [at.hour().to_string(), at.weekday().number_days_from_monday().to_string()],
    )
}
