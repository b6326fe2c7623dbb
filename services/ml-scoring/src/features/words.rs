//! Values as a developer would say them.
//!
//! They are written straight into the sentence that they stand in: every score has some thirty such sentences.

use std::borrow::Cow;
use std::fmt::{self, Display};

pub(super) fn either(value: f64, yes: &'static str, no: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(if value > 0.5 { yes } else { no })
}

/// The sentence, in one piece of memory from the start.
pub(super) fn say(sentence: fmt::Arguments<'_>) -> Cow<'static, str> {
    const USUAL_LENGTH: usize = 80;
    let mut text = String::with_capacity(USUAL_LENGTH);
    fmt::write(&mut text, sentence).expect("a string takes all that is written to it");
    Cow::Owned(text)
}

/// `value` with its noun: "no file", "1 file", "2.5 files", "12,000 files".
pub(super) const fn count(value: f64, one: &'static str, many: &'static str) -> Count {
    Count { value, one, many }
}

pub(super) struct Count {
    value: f64,
    one: &'static str,
    many: &'static str,
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, one, many } = *self;
        if value == 0.0 {
            f.write_str("no ")?;
        } else if value < 10.0 && value.fract() != 0.0 {
            tenths(value, f)?;
            f.write_str(" ")?;
        } else {
            grouped(value).fmt(f)?;
            f.write_str(" ")?;
        }
        f.write_str(if value == 1.0 { one } else { many })
    }
}

/// A whole number, rounded, with commas between the thousands.
pub(crate) const fn grouped(value: f64) -> Grouped {
    Grouped(value)
}

pub(crate) struct Grouped(f64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest is 18,446,744,073,709,551,615.
        let mut text = [0; 26];
        let mut start = text.len();
        let mut rest = self.0.round() as u64;
        for place in 0.. {
            if place > 0 && place % 3 == 0 {
                start -= 1;
                text[start] = b',';
            }
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        f.write_str(str::from_utf8(&text[start..]).map_err(|_| fmt::Error)?)
    }
}

/// With one decimal.
fn tenths(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let tenths = (value * 10.0).round();
    grouped((tenths / 10.0).floor()).fmt(f)?;
    f.write_str(".")?;
    grouped(tenths % 10.0).fmt(f)
}

/// A share, 0 to 1, in percent.
pub(super) const fn percent(share: f64) -> Percent {
    Percent(share)
}

pub(super) struct Percent(f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 * 100.0 {
            0.0 => f.write_str("0")?,
            hundredths if hundredths < 10.0 => tenths(hundredths, f)?,
            hundredths => grouped(hundredths).fmt(f)?,
        }
        f.write_str(" %")
    }
}

/// A duration: "30 min", "30 hours", "90 days".
pub(super) const fn hours(value: f64) -> Hours {
    Hours(value)
}

pub(super) struct Hours(f64);

impl Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.0;
        if hours < 1.0 {
            grouped(hours * 60.0).fmt(f)?;
            f.write_str(" min")
        } else if hours < 48.0 {
            count(hours.round(), "hour", "hours").fmt(f)
        } else {
            count((hours / 24.0).round(), "day", "days").fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn numbers_have_commas_and_one_decimal_where_they_are_small() {
        for (value, expected) in [
            (0.0, "no files"),
            (1.0, "1 file"),
            (2.5, "2.5 files"),
            (9.96, "10.0 files"),
            (12.5, "13 files"),
            (999.0, "999 files"),
            (1_000.0, "1,000 files"),
            (1_234_567.4, "1,234,567 files"),
            (f64::INFINITY, "18,446,744,073,709,551,615 files"),
        ] {
            assert_eq!(count(value, "file", "files").to_string(), expected);
        }
        for (share, expected) in
            [(0.0, "0 %"), (0.012_3, "1.2 %"), (0.099_9, "10.0 %"), (0.25, "25 %"), (12.5, "1,250 %")]
        {
            assert_eq!(percent(share).to_string(), expected);
        }
        for (value, expected) in [(0.5, "30 min"), (1.2, "1 hour"), (47.6, "48 hours"), (2_190.0, "91 days")] {
            assert_eq!(hours(value).to_string(), expected);
        }
    }
}
