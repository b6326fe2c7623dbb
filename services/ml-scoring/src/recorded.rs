//! Rows to learn from out of the histories that FailSafe keeps: what was known of each deployment when it was scored, and what
//! came of it.
//!
//! Pure; time comes in as an argument.

use std::fmt::Write as _;

use crate::history::{Change, Key, Repository};
use crate::rows::{Row, Rows};

/// A deployment that has not failed within this many seconds is taken for a success: nearly all reverts come within 30 days.
pub const MATURE_AFTER: i64 = 30 * 86_400;

/// Of every repository the deployments of which it is known what was known of them, at the time `now` in seconds of Unix time;
/// and the SHA-256 of what they say.
///
/// What failed within thirty days has failed, what is older has not, and of the rest it is too early to tell. Reverts are left
/// out: to land something again is no failure. Where pull requests are the custom, commits that came without one are, too.
#[must_use]
pub fn recorded<'a>(histories: impl IntoIterator<Item = (&'a str, &'a Repository)>, now: i64) -> (Rows, String) {
    let (mut rows, mut text) = (Rows::default(), String::new());
    for (name, repository) in histories {
        let is_numbered = |change: &&Change| matches!(change.key, Key::PullRequest(_));
        let numbered_only = 2 * repository.changes().filter(is_numbered).count() > repository.len();
        let changes = repository.changes().filter(|change| change.reverts.is_none());
        let mut own: Vec<Row> = changes
            .filter(|change| !numbered_only || is_numbered(change))
            .filter_map(|change| row(change, now))
            .collect();
        own.sort_by_key(|row| row.time);
        for row in &own {
            let _ = writeln!(text, "{name} {} {} {:?} {:?}", row.id, row.time, row.failed, row.features);
        }
        rows = rows.with(name, own);
    }
    (rows, domain::identity::sha256_hex(text.as_bytes()))
}

fn row(change: &Change, now: i64) -> Option<Row> {
    let features = change.features.as_ref()?.features(false);
    let id = match &change.key {
        Key::PullRequest(number) => format!("#{number}"),
        Key::Commit(commit) => commit.clone(),
    };
    let failed = match change.failed_at {
        Some(at) if at - change.at <= MATURE_AFTER => Some(true),
        _ if now - change.at < MATURE_AFTER => None,
        _ => Some(false),
    };
    Some(Row { id, time: change.at, features, failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Remembered;
    use crate::history::reverts::reverted;
    use crate::{Features, Measures};

    const DAY: i64 = 86_400;

    fn change(number: u32, day: i64, title: &str, failed_on: Option<i64>) -> Change {
        Change {
            key: Key::PullRequest(number),
            deployments: Vec::new(),
            at: day * DAY,
            author: "ann".into(),
            title: title.into(),
            files: Vec::new(),
            reverts: reverted(title, "", "").map(Box::new),
            failed_at: failed_on.map(|day| day * DAY),
            features: Some(Remembered::of(&Features::of(&Measures {
                files: f64::from(number),
                ..Measures::default()
            }))),
        }
    }

    #[test]
    fn an_outcome_is_known_when_it_failed_or_when_it_had_time_to() {
        let repository = Repository::new(
            vec![
                change(1, 0, "Add orders", Some(3)),
                change(2, 1, "Add carts", None),
                change(3, 2, "Revert \"Add orders\"", None),
                change(4, 3, "Add taxes", Some(99)),
                change(5, 90, "Add fees", None),
                change(6, 91, "Add tips", Some(92)),
                Change { features: None, ..change(7, 5, "Add more", None) },
                Change { key: Key::Commit("0123abc".to_owned()), ..change(8, 6, "Push", None) },
            ],
            None,
        );
        let (rows, digest) = recorded([("acme/shop", &repository)], 100 * DAY);
        let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.failed)).collect();
        let expected = [("#1", Some(true)), ("#2", Some(false)), ("#4", Some(false)), ("#5", None), ("#6", Some(true))];
        assert_eq!(told, expected);
        assert_eq!(rows.iter().next().unwrap().features.named("files_changed"), Some(1.0));
        assert_eq!(digest, recorded([("acme/shop", &repository)], 100 * DAY).1);
        assert_ne!(digest, recorded([("acme/shop", &repository)], 200 * DAY).1);
    }
}
