//! The table of features. A line more here is a feature more: it is learnt by the next training and ignored by models
//! that were trained before it.

use super::{Feature, Group, Measures, Transform};

/// Every feature, in the order of [`super::Features`].
///
/// The last two are for scenarios only. Weekday and hour are not learnt: in the training data Friday afternoon makes no
/// difference to what is reverted.
pub const FEATURES: [Feature; 33] = [
    Feature {
        name: "files_changed",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "files",
        definition: "Files in the diff, a renamed one counted once.",
        scenario_only: false,
        value: |m| Some(m.files),
        words: |v| format!("changes {}", count(v, "file", "files")),
    },
    Feature {
        name: "lines_added",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "lines",
        definition: "Lines added over all files; a binary file has none.",
        scenario_only: false,
        value: |m| Some(m.lines_added),
        words: |v| format!("adds {}", count(v, "line", "lines")),
    },
    Feature {
        name: "lines_deleted",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "lines",
        definition: "Lines deleted over all files; a binary file has none.",
        scenario_only: false,
        value: |m| Some(m.lines_deleted),
        words: |v| format!("deletes {}", count(v, "line", "lines")),
    },
    Feature {
        name: "subsystems",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "directories",
        definition: "Distinct top-level directories that are touched; the files beside them count as one more.",
        scenario_only: false,
        value: |m| Some(m.subsystems),
        words: |v| format!("reaches into {}", count(v, "top-level directory", "top-level directories")),
    },
    Feature {
        name: "entropy",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "bits",
        definition: "How evenly the changed lines are spread over the files: -sum p log2 p, p a file's share of them.",
        scenario_only: false,
        value: |m| Some(m.entropy),
        words: |v| format!("spreads its lines as if evenly over {}", count(v.exp2(), "file", "files")),
    },
    Feature {
        name: "new_files",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "files",
        definition: "Files that did not exist before.",
        scenario_only: false,
        value: |m| Some(m.new_files),
        words: |v| format!("adds {}", count(v, "new file", "new files")),
    },
    Feature {
        name: "binary_files",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "files",
        definition: "Files that git shows no text for.",
        scenario_only: false,
        value: |m| Some(m.binary_files),
        words: |v| format!("changes {}", count(v, "binary file", "binary files")),
    },
    Feature {
        name: "migration",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "A file of a database migration or schema is touched, tests aside.",
        scenario_only: false,
        value: |m| Some(flag(m.migration)),
        words: |v| either(v, "contains a database migration", "contains no database migration"),
    },
    Feature {
        name: "dependencies",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "A manifest or lock file of dependencies is touched.",
        scenario_only: false,
        value: |m| Some(flag(m.dependencies)),
        words: |v| either(v, "changes dependencies", "leaves the dependencies alone"),
    },
    Feature {
        name: "dependencies_only",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "Every file is a manifest or lock file of dependencies.",
        scenario_only: false,
        value: |m| Some(flag(m.dependencies_only)),
        words: |v| either(v, "changes dependencies and nothing else", "changes more than dependencies"),
    },
    Feature {
        name: "configuration",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "A file of configuration, continuous integration, containers, scripts or deployment is touched.",
        scenario_only: false,
        value: |m| Some(flag(m.configuration)),
        words: |v| either(v, "changes configuration", "leaves the configuration alone"),
    },
    Feature {
        name: "documentation_only",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "Every file is documentation; a manifest of dependencies never is, even as requirements.txt.",
        scenario_only: false,
        value: |m| Some(flag(m.documentation_only)),
        words: |v| either(v, "changes documentation only", "changes more than documentation"),
    },
    Feature {
        name: "tests_only",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "Every file belongs to the tests.",
        scenario_only: false,
        value: |m| Some(flag(m.tests_only)),
        words: |v| either(v, "changes tests only", "changes more than tests"),
    },
    Feature {
        name: "test_churn_share",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 to 1",
        definition: "Share of the changed lines that lies in tests.",
        scenario_only: false,
        value: |m| Some(m.test_churn_share),
        words: |v| format!("has {} of its changed lines in tests", percent(v)),
    },
    Feature {
        name: "fix",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "The title speaks of mending something; not known without a title.",
        scenario_only: false,
        value: |m| m.fix.map(flag),
        words: |v| either(v, "is a fix by its title", "is no fix by its title"),
    },
    Feature {
        name: "bot",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "The author is a program (dependencies, translations); not known without an author.",
        scenario_only: false,
        value: |m| m.bot.map(flag),
        words: |v| either(v, "was written by a bot", "was written by a person"),
    },
    Feature {
        name: "commits",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "commits",
        definition: "Commits in the pull request; not known of a squashed one.",
        scenario_only: false,
        value: |m| m.commits,
        words: |v| format!("consists of {}", count(v, "commit", "commits")),
    },
    Feature {
        name: "lead_hours",
        group: Group::Change,
        transform: Transform::Log1p,
        unit: "hours",
        definition: "From the first commit, or the opening of the pull request, to the deployment.",
        scenario_only: false,
        value: |m| m.lead_hours,
        words: |v| format!("was {} in the making", hours(v)),
    },
    Feature {
        name: "lines_before",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "lines",
        definition: "Lines of the touched files before the change, summed.",
        scenario_only: false,
        value: |m| m.history.lines_before,
        words: |v| format!("touches files of {} in all", count(v, "line", "lines")),
    },
    Feature {
        name: "relative_churn",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "percent",
        definition: "Lines added and deleted, per hundred lines of the touched files before the change (plus one line).",
        scenario_only: false,
        value: |m| Some(100.0 * m.churn() / (m.history.lines_before? + 1.0)),
        words: |v| format!("rewrites as much as {} of the files it touches", percent(v / 100.0)),
    },
    Feature {
        name: "prior_authors",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "authors",
        definition: "Distinct earlier authors of the touched files.",
        scenario_only: false,
        value: |m| m.history.prior_authors,
        words: |v| format!("touches files that {} worked on before", count(v, "author", "authors")),
    },
    Feature {
        name: "file_age_days",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "days",
        definition: "Mean days since the touched files last changed.",
        scenario_only: false,
        value: |m| m.history.file_age_days,
        words: |v| format!("touches files that last changed {} ago", hours(v * 24.0)),
    },
    Feature {
        name: "author_recent_changes",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "changes",
        definition: "The author's earlier changes, each weighted by 1/(age in years + 1).",
        scenario_only: false,
        value: |m| m.history.author_recent_changes,
        words: |v| format!("has an author with {} of late", count(v.round(), "earlier change", "earlier changes")),
    },
    Feature {
        name: "author_subsystem_changes",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "changes",
        definition: "The author's earlier changes in the touched top-level directories.",
        scenario_only: false,
        value: |m| m.history.author_subsystem_changes,
        words: |v| format!("has an author with {} in this part", count(v, "earlier change", "earlier changes")),
    },
    Feature {
        name: "file_changes_max",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "changes",
        definition: "Most earlier changes of any touched file.",
        scenario_only: false,
        value: |m| m.history.file_changes_max,
        words: |v| format!("touches a file that was changed {} before", count(v, "time", "times")),
    },
    Feature {
        name: "file_reverts",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "changes",
        definition: "Earlier reverted changes that touched one of the files.",
        scenario_only: false,
        value: |m| m.history.file_reverts,
        words: |v| match v {
            0.0 => "touches no file that was in a reverted change before".to_owned(),
            _ => format!("touches files that were in {} before", count(v, "reverted change", "reverted changes")),
        },
    },
    Feature {
        name: "file_revert_share",
        group: Group::History,
        transform: Transform::Identity,
        unit: "0 to 1",
        definition: "file_reverts / (file_changes_max + 5).",
        scenario_only: false,
        value: |m| Some(m.history.file_reverts? / (m.history.file_changes_max? + 5.0)),
        words: |v| format!("touches files of whose earlier changes {} were reverted", percent(v)),
    },
    Feature {
        name: "author_revert_rate",
        group: Group::History,
        transform: Transform::Identity,
        unit: "0 to 1",
        definition: "(the author's earlier reverted changes + 0.5) / (the author's earlier changes + 40).",
        scenario_only: false,
        value: |m| Some((m.history.author_reverts? + 0.5) / (m.history.author_changes? + 40.0)),
        words: |v| format!("has an author of whose earlier changes about {} were reverted", percent(v)),
    },
    Feature {
        name: "repository_revert_rate",
        group: Group::History,
        transform: Transform::Ln,
        unit: "0 to 1",
        definition: "(earlier reverted deployments of the repository + 3) / (its earlier deployments + 250).",
        scenario_only: false,
        value: |m| Some((m.history.repository_reverts? + 3.0) / (m.history.repository_deployments? + 250.0)),
        words: |v| format!("belongs to a repository where about {} of the deployments are reverted", percent(v)),
    },
    Feature {
        name: "repository_reverts_14d",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "reverts",
        definition: "Reverts in the repository in the last 14 days.",
        scenario_only: false,
        value: |m| m.history.repository_reverts_14d,
        words: |v| format!("comes after {} in this repository in 14 days", count(v, "revert", "reverts")),
    },
    Feature {
        name: "repository_deployments_24h",
        group: Group::History,
        transform: Transform::Log1p,
        unit: "deployments",
        definition: "Deployments of the repository in the last 24 hours.",
        scenario_only: false,
        value: |m| m.history.repository_deployments_24h,
        words: |v| format!("comes after {} in 24 hours", count(v, "other deployment", "other deployments")),
    },
    Feature {
        name: "friday_afternoon",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "0 or 1",
        definition: "The deployment, or its acceptance where no time is given, is on a Friday from 12:00, in the service's time zone.",
        scenario_only: true,
        value: |m| m.friday_afternoon.map(flag),
        words: |v| either(v, "is deployed on a Friday afternoon", "is not deployed on a Friday afternoon"),
    },
    Feature {
        name: "migration_among_files",
        group: Group::Change,
        transform: Transform::Identity,
        unit: "log ratio",
        definition: "migration * ln((1 + files_changed) / 4): how many more files than three come with a migration.",
        scenario_only: true,
        value: |m| Some(flag(m.migration) * ((1.0 + m.files) / 4.0).ln()),
        words: |v| match v {
            0.0 => "has no migration among unusually many or few files".to_owned(),
            _ => format!("has a migration among {}", count((4.0 * v.exp() - 1.0).round(), "file", "files")),
        },
    },
];

impl Measures {
    fn churn(&self) -> f64 {
        self.lines_added + self.lines_deleted
    }
}

const fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn either(value: f64, yes: &str, no: &str) -> String {
    if value > 0.5 { yes } else { no }.to_owned()
}

/// `value` with its noun: "no file", "1 file", "2.5 files", "12,000 files".
fn count(value: f64, one: &str, many: &str) -> String {
    if value == 0.0 {
        format!("no {many}")
    } else if value == 1.0 {
        format!("1 {one}")
    } else if value < 10.0 && value.fract() != 0.0 {
        format!("{value:.1} {many}")
    } else {
        format!("{} {many}", grouped(value.round()))
    }
}

/// A whole number with commas between the thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    match hundredths {
        0.0 => "0 %".to_owned(),
        value if value < 10.0 => format!("{value:.1} %"),
        value => format!("{} %", grouped(value)),
    }
}

fn hours(value: f64) -> String {
    if value < 1.0 {
        format!("{:.0} min", value * 60.0)
    } else if value < 48.0 {
        count(value.round(), "hour", "hours")
    } else {
        count((value / 24.0).round(), "day", "days")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Feature;

    #[track_caller]
    fn check(name: &str, value: f64, expected: &str) {
        let feature = &FEATURES[Feature::index_of(name).unwrap()];
        assert_eq!(feature.in_words(value), expected);
    }

    #[test]
    fn values_read_as_a_developer_would_say_them() {
        check("files_changed", 1.0, "changes 1 file");
        check("files_changed", 50.0, "changes 50 files");
        check("lines_added", 12_000.0, "adds 12,000 lines");
        check("lines_deleted", 0.0, "deletes no lines");
        check("entropy", 0.0, "spreads its lines as if evenly over 1 file");
        check("entropy", 1.5, "spreads its lines as if evenly over 2.8 files");
        check("migration", 1.0, "contains a database migration");
        check("migration", 0.0, "contains no database migration");
        check("test_churn_share", 0.25, "has 25 % of its changed lines in tests");
        check("lead_hours", 0.5, "was 30 min in the making");
        check("lead_hours", 30.2, "was 30 hours in the making");
        check("file_age_days", 90.4, "touches files that last changed 90 days ago");
        check("file_reverts", 0.0, "touches no file that was in a reverted change before");
        check("file_reverts", 3.0, "touches files that were in 3 reverted changes before");
        check(
            "repository_revert_rate",
            0.0123,
            "belongs to a repository where about 1.2 % of the deployments are reverted",
        );
        check("migration_among_files", (51.0_f64 / 4.0).ln(), "has a migration among 50 files");
        check("migration_among_files", 0.0, "has no migration among unusually many or few files");
        check("friday_afternoon", 1.0, "is deployed on a Friday afternoon");
        check("repository_deployments_24h", 1.0, "comes after 1 other deployment in 24 hours");
    }
}
