//! What is counted and recognised of a deployment before features are made of it.

use std::collections::HashSet;

use domain::{Deployment, FileChange, FileChangeKind, History};
use time::{OffsetDateTime, Weekday};

use super::paths::{self, FileNature};
use crate::history::reverts::reverted;

/// What is counted and recognised of a deployment. `None` where it is not known; the change itself always is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// Files in the diff.
    pub files: f64,
    /// Lines added over all files.
    pub lines_added: f64,
    /// Lines deleted over all files.
    pub lines_deleted: f64,
    /// Distinct top-level directories, the files beside them counting as one more.
    pub subsystems: f64,
    /// Entropy of the changed lines over the files, in bits.
    pub entropy: f64,
    /// Files that did not exist before.
    pub new_files: f64,
    /// Files without text.
    pub binary_files: f64,
    /// A migration is among the files.
    pub migration: bool,
    /// A manifest of dependencies is among the files.
    pub dependencies: bool,
    /// All files are manifests of dependencies.
    pub dependencies_only: bool,
    /// Configuration is among the files.
    pub configuration: bool,
    /// All files are documentation.
    pub documentation_only: bool,
    /// All files are tests.
    pub tests_only: bool,
    /// Share of the changed lines that lies in tests, 0 to 1.
    pub test_churn_share: f64,
    /// The title, or the branch's name, speaks of mending something.
    pub fix: Option<bool>,
    /// The author is a program.
    pub bot: Option<bool>,
    /// Commits in the pull request.
    pub commits: Option<f64>,
    /// Hours from the beginning of the work to the deployment.
    pub lead_hours: Option<f64>,
    /// It takes an earlier deployment back.
    pub revert: bool,
    /// It is deployed on a Friday from 12:00; not known before [`Measures::at`] says when.
    pub friday_afternoon: Option<bool>,
    /// The past.
    pub history: History,
}

/// What is seen of a change, be it submitted or read from git.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its files.
    pub files: &'a [FileChange],
    /// Its title; empty when not known.
    pub title: &'a str,
    /// Who wrote it; empty when not known.
    pub author: &'a str,
    /// The branch it came from; empty when not known.
    pub branch: &'a str,
    /// Commits in it, if known.
    pub commits: Option<f64>,
    /// Hours from the beginning of the work to the deployment, if known.
    pub lead_hours: Option<f64>,
    /// It takes an earlier one back.
    pub revert: bool,
}

impl Measures {
    /// What is counted and recognised of `deployment`, with what its sender knows of the past.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        let seen = Seen {
            files: &deployment.change.files,
            title: &deployment.title,
            author: &deployment.author,
            branch: &deployment.branch,
            commits: deployment.commits.map(f64::from),
            lead_hours: lead_hours(deployment.opened_at, deployment.deploy_at.unwrap_or(deployment.accepted_at)),
            revert: reverted(&deployment.title, &deployment.branch, "").is_some(),
        };
        Self::seen(seen, deployment.history.clone())
    }

    /// What is counted and recognised of a change, with what is known of the past.
    #[must_use]
    pub fn seen(seen: Seen<'_>, history: History) -> Self {
        let files = seen.files;
        let natures: Vec<FileNature> = files.iter().map(|file| FileNature::of(&file.path)).collect();
        let any = |is: fn(&FileNature) -> bool| natures.iter().any(is);
        let all = |is: fn(&FileNature) -> bool| !natures.is_empty() && natures.iter().all(is);
        let subsystems: HashSet<&str> = files.iter().map(|file| paths::subsystem(&file.path)).collect();
        let churn: f64 = files.iter().map(churn).sum();
        let test_churn: f64 =
            files.iter().zip(&natures).filter(|(_, nature)| nature.test).map(|(file, _)| self::churn(file)).sum();
        Self {
            files: files.len() as f64,
            lines_added: files.iter().map(|file| f64::from(file.lines_added)).sum(),
            lines_deleted: files.iter().map(|file| f64::from(file.lines_deleted)).sum(),
            subsystems: subsystems.len() as f64,
            entropy: entropy(files, churn),
            new_files: files.iter().filter(|file| file.kind == FileChangeKind::Added).count() as f64,
            binary_files: files.iter().filter(|file| file.binary).count() as f64,
            migration: any(|nature| nature.migration),
            dependencies: any(|nature| nature.manifest),
            dependencies_only: all(|nature| nature.manifest),
            configuration: any(|nature| nature.configuration),
            documentation_only: all(|nature| nature.documentation),
            tests_only: all(|nature| nature.test),
            test_churn_share: if churn > 0.0 { test_churn / churn } else { 0.0 },
            fix: told(seen.title).map(|title| is_fix(title) || is_fix(seen.branch)),
            bot: told(seen.author).map(|author| is_bot(author) || is_branch_of_bot(seen.branch)),
            commits: seen.commits,
            lead_hours: seen.lead_hours,
            revert: seen.revert,
            friday_afternoon: None,
            history,
        }
    }

    /// The same, deployed at this time, which is told in the service's own time zone.
    #[must_use]
    pub fn at(self, local: OffsetDateTime) -> Self {
        Self { friday_afternoon: Some(is_friday_afternoon(local.weekday(), local.hour())), ..self }
    }
}

/// True from 12:00 of a Friday to its end.
pub(crate) fn is_friday_afternoon(weekday: Weekday, hour: u8) -> bool {
    weekday == Weekday::Friday && hour >= 12
}

fn churn(file: &FileChange) -> f64 {
    f64::from(file.lines_added) + f64::from(file.lines_deleted)
}

fn entropy(files: &[FileChange], churn: f64) -> f64 {
    let shares = files.iter().map(|file| self::churn(file) / churn).filter(|share| *share > 0.0);
    // Plus zero, since nothing and a single file sum to -0.0.
    shares.map(|share| -share * share.log2()).sum::<f64>() + 0.0
}

/// `text`, unless the sender did not say.
fn told(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// `None` as well when the clocks contradict one another.
fn lead_hours(opened_at: Option<OffsetDateTime>, until: OffsetDateTime) -> Option<f64> {
    opened_at.map(|opened_at| (until - opened_at).as_seconds_f64() / 3600.0).filter(|hours| *hours >= 0.0)
}

fn is_fix(text: &str) -> bool {
    const WORDS: [&str; 22] = [
        "broken",
        "bug",
        "bugfix",
        "bugfixes",
        "bugs",
        "crash",
        "crashes",
        "defect",
        "defects",
        "fix",
        "fixed",
        "fixes",
        "fixing",
        "fixup",
        "hotfix",
        "hotfixes",
        "regression",
        "regressions",
        "repair",
        "repaired",
        "repairs",
        "workaround",
    ];
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| WORDS.contains(&word))
}

fn is_bot(author: &str) -> bool {
    const NAMES: [&str; 14] = [
        "allcontributors",
        "crowdin",
        "dependabot",
        "depfu",
        "github-actions",
        "greenkeeper",
        "imgbot",
        "mergify",
        "pre-commit-ci",
        "pyup",
        "renovate",
        "snyk",
        "transifex",
        "weblate",
    ];
    let author = author.to_lowercase();
    author.ends_with("[bot]")
        || author.ends_with("-bot")
        || author.ends_with("_bot")
        || NAMES.iter().any(|name| author.starts_with(name))
}

/// A program opens its pull requests from branches of a fixed form, whoever adds a commit to one.
fn is_branch_of_bot(branch: &str) -> bool {
    ["dependabot/", "renovate/", "snyk-fix-", "snyk-upgrade-", "pyup-", "depfu/", "imgbot", "greenkeeper/"]
        .iter()
        .any(|beginning| branch.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::features::Features;
    use crate::samples::{deployment, file};

    #[test]
    fn a_change_is_counted_by_its_files() {
        let mut binary = file("assets/logo.png", FileChangeKind::Added, 0, 0);
        binary.binary = true;
        let deployment = deployment(vec![
            file("api/src/order.rs", FileChangeKind::Modified, 30, 10),
            file("api/tests/order.rs", FileChangeKind::Added, 40, 0),
            file("db/migrate/7_orders.rb", FileChangeKind::Added, 0, 0),
            file("Cargo.toml", FileChangeKind::Modified, 0, 0),
            binary,
        ]);
        let measures = Measures::of(&deployment);
        let expected = Measures {
            files: 5.0,
            lines_added: 70.0,
            lines_deleted: 10.0,
            subsystems: 4.0,
            entropy: 1.0,
            new_files: 3.0,
            binary_files: 1.0,
            migration: true,
            dependencies: true,
            configuration: true,
            test_churn_share: 0.5,
            ..Measures::default()
        };
        assert_eq!(measures, expected);
    }

    #[test]
    fn only_means_every_file() {
        let of = |paths: &[&str]| {
            Measures::of(&deployment(paths.iter().map(|p| file(p, FileChangeKind::Modified, 1, 1)).collect()))
        };
        assert!(of(&["README.md", "docs/a.html"]).documentation_only);
        assert!(!of(&["README.md", "src/a.rs"]).documentation_only);
        assert!(of(&["tests/a.rs"]).tests_only);
        assert!(of(&["Gemfile", "Gemfile.lock"]).dependencies_only);
        let pip = of(&["requirements.txt"]);
        assert!(pip.dependencies_only && !pip.documentation_only);
    }

    #[test]
    fn what_the_sender_did_not_say_is_unknown_and_not_zero() {
        let bare = deployment(vec![file("src/a.rs", FileChangeKind::Modified, 1, 0)]);
        let features = Features::of(&Measures::of(&bare));
        for name in ["fix", "bot", "commits", "lead_hours", "file_reverts", "relative_churn", "repository_revert_rate"]
        {
            assert_eq!(features.named(name), None, "{name}");
        }
        assert_eq!(features.named("migration"), Some(0.0));

        let mut told = bare;
        told.title = "Fix the total".to_owned();
        told.author = "ann".to_owned();
        told.commits = Some(3);
        told.opened_at = Some(datetime!(2026-03-06 10:00 UTC));
        told.deploy_at = Some(datetime!(2026-03-06 16:30 UTC));
        told.history.lines_before = Some(99.0);
        let features = Features::of(&Measures::of(&told));
        for (name, value) in
            [("fix", 1.0), ("bot", 0.0), ("commits", 3.0), ("lead_hours", 6.5), ("relative_churn", 1.0)]
        {
            assert_eq!(features.named(name), Some(value), "{name}");
        }
    }

    #[test]
    fn the_lead_time_ends_with_the_deployment_or_its_acceptance() {
        let opened = Some(datetime!(2026-03-01 00:00 UTC));
        let mut deployment = deployment(vec![file("a", FileChangeKind::Modified, 1, 0)]);
        deployment.accepted_at = datetime!(2026-03-02 00:00 UTC);
        deployment.opened_at = opened;
        assert_eq!(Measures::of(&deployment).lead_hours, Some(24.0));
        deployment.deploy_at = Some(datetime!(2026-03-03 00:00 UTC));
        assert_eq!(Measures::of(&deployment).lead_hours, Some(48.0));
        deployment.deploy_at = Some(datetime!(2026-02-03 00:00 UTC));
        assert_eq!(Measures::of(&deployment).lead_hours, None);
    }

    #[test]
    fn a_friday_afternoon_is_one_in_the_time_zone_of_the_service() {
        let measures = Measures::of(&deployment(Vec::new()));
        assert_eq!(measures.friday_afternoon, None);
        let is = |local: OffsetDateTime| measures.clone().at(local).friday_afternoon == Some(true);
        let noon = datetime!(2026-11-20 12:00 UTC);
        assert!(is(noon) && is(datetime!(2026-11-20 23:59 UTC)));
        assert!(!is(datetime!(2026-11-20 11:59 UTC)) && !is(datetime!(2026-11-21 12:00 UTC)));
        assert!(!is(noon.to_offset(time::macros::offset!(-1))) && is(noon.to_offset(time::macros::offset!(+11))));
        assert!(!is(noon.to_offset(time::macros::offset!(+12))));
    }

    #[test]
    fn titles_and_authors_are_recognised_by_whole_words() {
        for (title, expected) in [
            ("Fix the total", true),
            ("orders: bugfix", true),
            ("Hotfix!", true),
            ("Add a prefix", false),
            ("Debug output", false),
        ] {
            assert_eq!(is_fix(title), expected, "{title}");
        }
        for (author, expected) in
            [("dependabot[bot]", true), ("renovate-bot", true), ("Weblate", true), ("abbott", false), ("ann", false)]
        {
            assert_eq!(is_bot(author), expected, "{author}");
        }
    }
}
