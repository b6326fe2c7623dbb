//! Values as a developer would say them.

pub(super) fn either(value: f64, yes: &str, no: &str) -> String {
    if value > 0.5 { yes } else { no }.to_owned()
}

/// `value` with its noun: "no file", "1 file", "2.5 files", "12,000 files".
pub(super) fn count(value: f64, one: &str, many: &str) -> String {
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

pub(super) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    match hundredths {
        0.0 => "0 %".to_owned(),
        value if value < 10.0 => format!("{value:.1} %"),
        value => format!("{} %", grouped(value)),
    }
}

pub(super) fn hours(value: f64) -> String {
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
    use crate::features::{FEATURES, Feature};

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
