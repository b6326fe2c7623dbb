//! Rows of training data: deployments of the past whose outcome is known, as CSV.
//!
//! Must not know how a model is trained. The columns are described in `data/README.md`; further ones are ignored.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, ensure};
use domain::History;
use flate2::read::GzDecoder;
use serde::Deserialize;
use time::Weekday;

use crate::features::{Features, Measures, is_friday_afternoon};

/// Most bytes of CSV that are read, unpacked.
pub const CSV_BYTES_MAX: u64 = 1 << 30;

/// Deployments of the past, each project's in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Of each project its name and its rows, by name.
    projects: Vec<(String, Vec<Row>)>,
}

/// One deployment of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the sender of the rows calls it; without a name the number of its line.
    pub id: String,
    /// When it was deployed, in seconds of Unix time.
    pub time: i64,
    /// What was known of it then.
    pub features: Features,
    /// What came of it: true when it was reverted; `None` when that is not known (yet).
    pub failed: Option<bool>,
}

impl Rows {
    /// Reads CSV, plain or gzipped, and gives its rows with the SHA-256 of the plain text.
    ///
    /// # Errors
    /// When a column is missing, or a line cannot be read; the error names the line.
    pub fn read(mut source: impl Read) -> anyhow::Result<(Self, String)> {
        let mut bytes = Vec::new();
        source.by_ref().take(CSV_BYTES_MAX + 1).read_to_end(&mut bytes).context("reading the rows")?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            GzDecoder::new(&bytes[..])
                .take(CSV_BYTES_MAX + 1)
                .read_to_end(&mut plain)
                .context("unpacking the gzipped rows")?;
            bytes = plain;
        }
        ensure!(bytes.len() as u64 <= CSV_BYTES_MAX, "the rows are more than {CSV_BYTES_MAX} bytes of CSV");
        let digest = domain::identity::sha256_hex(&bytes);
        let mut projects: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for (index, record) in csv::Reader::from_reader(&bytes[..]).deserialize::<Record>().enumerate() {
            // The header is the first line.
            let record = record.with_context(|| format!("line {} of the rows", index + 2))?;
            let mut row = record.row().with_context(|| format!("line {} of the rows", index + 2))?;
            if row.id.is_empty() {
                row.id = (index + 2).to_string();
            }
            projects.entry(record.project).or_default().push(row);
        }
        let mut projects: Vec<_> = projects.into_iter().collect();
        for (_, rows) in &mut projects {
            rows.sort_by_key(|row| row.time);
        }
        Ok((Self { projects }, digest))
    }

    /// All rows, project by project, each project's in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.projects.iter().flat_map(|(_, rows)| rows)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.projects.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same with these rows, in the order of time, as one project more.
    #[must_use]
    pub(crate) fn with(mut self, project: &str, rows: Vec<Row>) -> Self {
        self.projects.push((project.to_owned(), rows));
        self
    }

    /// Those of which it is known what came of them.
    #[must_use]
    pub fn decided(&self) -> Self {
        self.those(|row| row.failed.is_some())
    }

    /// The latest `count` of all, whichever their project.
    #[must_use]
    pub fn latest(&self, count: usize) -> Self {
        let mut times: Vec<i64> = self.iter().map(|row| row.time).collect();
        times.sort_unstable();
        let from = times.len().checked_sub(count).and_then(|first| times.get(first)).copied();
        self.those(|row| from.is_none_or(|from| row.time >= from))
    }

    fn those(&self, are: impl Fn(&Row) -> bool) -> Self {
        let part = |rows: &[Row]| rows.iter().filter(|row| are(row)).cloned().collect();
        Self { projects: self.projects.iter().map(|(name, rows)| (name.clone(), part(rows))).collect() }
    }

    /// How many failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.iter().filter(|row| row.failed == Some(true)).count()
    }

    /// Of how many nothing is known of what came of them.
    #[must_use]
    pub fn undecided(&self) -> usize {
        self.iter().filter(|row| row.failed.is_none()).count()
    }

    /// Each project with its rows, by name.
    pub fn projects(&self) -> impl ExactSizeIterator<Item = (&str, &[Row])> {
        self.projects.iter().map(|(name, rows)| (name.as_str(), rows.as_slice()))
    }

    /// Of each project, in the order of time, the part from the share `from` to the share `to` of its rows (0 to 1).
    ///
    /// A split at random would let a model see the future of the rows it is tested on.
    #[must_use]
    pub fn between(&self, from: f64, to: f64) -> Self {
        let part = |(name, rows): &(String, Vec<Row>)| {
            let at = |share: f64| ((rows.len() as f64 * share).round() as usize).min(rows.len());
            (name.clone(), rows[at(from)..at(to)].to_vec())
        };
        Self { projects: self.projects.iter().map(part).collect() }
    }
}

/// One line of the CSV: the columns that become features. An empty cell is unknown.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    id: String,
    project: String,
    time: i64,
    label: Option<u8>,
    nf: f64,
    la: f64,
    ld: f64,
    ns: f64,
    entropy: f64,
    new_files: f64,
    binary_files: f64,
    migration: u8,
    deps: u8,
    deps_only: u8,
    config: u8,
    docs_only: u8,
    tests_only: u8,
    test_churn_share: f64,
    fix: Option<u8>,
    bot: Option<u8>,
    n_commits: Option<f64>,
    lead_hours: Option<f64>,
    lt: Option<f64>,
    ndev: Option<f64>,
    age: Option<f64>,
    nuc: Option<f64>,
    exp: Option<f64>,
    rexp: Option<f64>,
    sexp: Option<f64>,
    max_file_changes: Option<f64>,
    mean_file_changes: Option<f64>,
    file_prior_reverts: Option<f64>,
    author_prior_reverts: Option<f64>,
    repo_reverts_14d: Option<f64>,
    merged_prev_24h: Option<f64>,
    repo_prior_prs: Option<f64>,
    repo_prior_reverts: Option<f64>,
    local_weekday: Option<u8>,
    local_hour: Option<f64>,
}

impl Record {
    fn row(&self) -> anyhow::Result<Row> {
        let failed = match self.label {
            None => None,
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(other) => anyhow::bail!("label must be 0 or 1, not {other}"),
        };
        ensure!(self.local_weekday.is_none_or(|day| day <= 6), "local_weekday must be 0 (Monday) to 6");
        let features = Features::of(&self.measures());
        Ok(Row { id: self.id.clone(), time: self.time, features, failed })
    }

    fn measures(&self) -> Measures {
        // A squashed pull request shows one commit and no time between it and the merge: both are unknown.
        let squashed = self.n_commits == Some(1.0) && self.lead_hours == Some(0.0);
        Measures {
            files: self.nf,
            lines_added: self.la,
            lines_deleted: self.ld,
            subsystems: self.ns,
            entropy: self.entropy,
            new_files: self.new_files,
            binary_files: self.binary_files,
            migration: self.migration != 0,
            dependencies: self.deps != 0,
            dependencies_only: self.deps_only != 0,
            configuration: self.config != 0,
            // The column takes requirements.txt for documentation. A change with a manifest is not documentation only.
            documentation_only: self.docs_only != 0 && self.deps == 0,
            tests_only: self.tests_only != 0,
            test_churn_share: self.test_churn_share,
            fix: self.fix.map(|fix| fix != 0),
            bot: self.bot.map(|bot| bot != 0),
            commits: self.n_commits.filter(|_| !squashed),
            lead_hours: self.lead_hours.filter(|_| !squashed),
            revert: false,
            friday_afternoon: self.friday_afternoon(),
            history: self.history(),
        }
    }

    fn friday_afternoon(&self) -> Option<bool> {
        let weekday = Weekday::Monday.nth_next(self.local_weekday?);
        Some(is_friday_afternoon(weekday, self.local_hour? as u8))
    }

    fn history(&self) -> History {
        History {
            lines_before: self.lt,
            prior_authors: self.ndev,
            file_age_days: self.age,
            last_changes: self.nuc,
            author_changes: self.exp,
            author_recent_changes: self.rexp,
            author_subsystem_changes: self.sexp,
            file_changes_max: self.max_file_changes,
            file_changes_mean: self.mean_file_changes,
            file_reverts: self.file_prior_reverts,
            author_reverts: self.author_prior_reverts,
            repository_reverts_14d: self.repo_reverts_14d,
            repository_deployments_24h: self.merged_prev_24h,
            repository_deployments: self.repo_prior_prs,
            repository_reverts: self.repo_prior_reverts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_line_becomes_features_by_the_same_table_as_a_live_deployment() {
        let (rows, digest) = Rows::read(samples::csv(&[samples::CSV_LINE]).as_bytes()).unwrap();
        assert_eq!((rows.len(), rows.failures(), rows.projects().len(), digest.len()), (1, 1, 1, 64));
        let features = &rows.iter().next().unwrap().features;
        for (name, value) in [
            ("files_changed", Some(7.0)),
            ("subsystems", Some(3.0)),
            ("migration", Some(1.0)),
            ("documentation_only", Some(0.0)),
            ("commits", Some(2.0)),
            ("relative_churn", Some(5.0)),
            ("file_reverts", None),
            ("file_revert_share", None),
            ("repository_revert_rate", Some(0.02)),
        ] {
            assert_eq!(features.named(name), value, "{name}");
        }
    }

    #[test]
    fn a_squashed_pull_request_has_no_known_commits() {
        let line = samples::CSV_LINE.replace(",2,6.5,", ",1,0.0,");
        let (rows, _) = Rows::read(samples::csv(&[&line]).as_bytes()).unwrap();
        let features = &rows.iter().next().unwrap().features;
        assert_eq!((features.named("commits"), features.named("lead_hours")), (None, None));
    }

    #[test]
    fn the_local_time_is_known_only_when_both_its_columns_are() {
        let bare = samples::csv(&[samples::CSV_LINE]);
        let (header, line) = bare.split_once('\n').unwrap();
        for (columns, cells, expected) in [
            (",local_weekday,local_hour", ",4,12.0", Some(1.0)),
            (",local_weekday,local_hour", ",4,11.983", Some(0.0)),
            (",local_weekday,local_hour", ",5,15", Some(0.0)),
            (",local_weekday,local_hour", ",4,", None),
            (",local_hour", ",15", None),
            ("", "", None),
        ] {
            let (rows, _) = Rows::read(format!("{header}{columns}\n{line}{cells}").as_bytes()).unwrap();
            assert_eq!(rows.iter().next().unwrap().features.named("friday_afternoon"), expected, "{columns}{cells}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        #[track_caller]
        fn check(csv: &str, expected: &str) {
            let error = format!("{:#}", Rows::read(csv.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
        let good = samples::CSV_LINE;
        check(&samples::csv(&[good, &good.replacen(",7,", ",seven,", 1)]), "line 3");
        check(&samples::csv(&[&(good[..good.len() - 1].to_owned() + "2")]), "label must be 0 or 1, not 2");
        check("project,time\nshop,1\n", "missing field `nf`");
    }

    #[test]
    fn a_part_is_cut_by_time_within_each_project() {
        let line =
            |project: &str, time: i64| samples::CSV_LINE.replacen("shop,1600000000", &format!("{project},{time}"), 1);
        let lines: Vec<String> = [("b", 40), ("a", 3), ("a", 1), ("b", 10), ("a", 2), ("b", 30), ("a", 4), ("b", 20)]
            .iter()
            .map(|(project, time)| line(project, *time))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (rows, _) = Rows::read(samples::csv(&lines).as_bytes()).unwrap();
        let times = |rows: &Rows| rows.iter().map(|row| row.time).collect::<Vec<_>>();
        assert_eq!(times(&rows.between(0.0, 0.5)), [1, 2, 10, 20]);
        assert_eq!(times(&rows.between(0.5, 0.75)), [3, 30]);
        assert_eq!(times(&rows.between(0.5, 1.0)), [3, 4, 30, 40]);
    }
}
