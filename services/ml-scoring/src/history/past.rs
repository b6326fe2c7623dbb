//! What the changes so far come to: counts of files, authors and the repository, from which the history of the next change is
//! read.
//!
//! Pure: a function of the changes and of what failed among them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{FileChangeKind, History};

use super::Open;
use super::change::{Change, Key, Touched};
use super::names::{Names, renamed};
use crate::features::paths::subsystem;

const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.25 * DAY;
/// How far back a repository's reverts count as recent, in seconds.
const REVERTS_RECENT: i64 = 14 * 86_400;
/// How far back its deployments do.
const DEPLOYMENTS_RECENT: i64 = 86_400;

/// By name. A part of the past is counted anew for each deployment, name by name: that is most of what scoring costs, so names are
/// hashed quickly (with a seed all the same, since strangers choose them).
type Named<T> = HashMap<Arc<str>, T, foldhash::fast::RandomState>;

/// What the changes so far come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    files: Named<FilePast>,
    authors: Named<AuthorPast>,
    changes: usize,
    /// Those that came as pull requests, and those of them that failed.
    pull_requests: usize,
    pull_requests_failed: usize,
    failures: usize,
    /// When each change was made and when each failure became known, in order.
    changed_at: Vec<i64>,
    failed_at: Vec<i64>,
}

/// The part of the past that the history of one change is read from.
#[derive(Debug)]
pub(super) struct Part<'a> {
    asked: &'a Asked<'a>,
    /// Of the files and the author that are asked about alone, and without times.
    past: Past,
    /// Changes within a day, and failures that became known within two weeks.
    changed_recently: usize,
    failed_recently: usize,
}

/// The past of one file.
#[derive(Clone, Debug, Default)]
struct FilePast {
    changes: u32,
    failures: u32,
    /// When it last changed, and by which of the changes.
    last: Option<(i64, u64)>,
    authors: Vec<Arc<str>>,
    /// Lines, as far as they are known: from its beginning on.
    lines: Option<i64>,
}

/// The past of one author.
#[derive(Clone, Debug, Default)]
struct AuthorPast {
    changed_at: Vec<i64>,
    failures: u32,
    /// The top-level directories of each change: one bit for each, and the same for directories whose names hash alike.
    subsystems: Vec<u64>,
}

/// A change whose history is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// When it is made, in seconds of Unix time.
    pub at: i64,
    /// Who wrote it; empty when that is not known.
    pub author: &'a str,
    /// What it touches.
    pub files: &'a [Touched],
}

/// How far the changes reach that a history is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the beginning: who is not in them has no past.
    Whole,
    /// Not to the beginning: who is not in them is unknown.
    Part,
}

impl Past {
    /// How many changes there were.
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// How many failed.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Has the change share the names that are kept here.
    pub(super) fn share_names(&self, change: &mut Change) {
        for file in &mut change.files {
            if let Some((path, _)) = self.files.get_key_value(&file.path) {
                file.path = Arc::clone(path);
            }
        }
        if let Some((author, _)) = self.authors.get_key_value(&change.author) {
            change.author = Arc::clone(author);
        }
    }

    /// Takes a change in.
    pub(super) fn add(&mut self, change: &Change) {
        for file in &change.files {
            if !self.files.contains_key(&file.path) {
                self.files.insert(Arc::clone(&file.path), FilePast::default());
            }
        }
        if !change.author.is_empty() && !self.authors.contains_key(&change.author) {
            self.authors.insert(Arc::clone(&change.author), AuthorPast::default());
        }
        self.count(change);
    }

    /// Counts a change for the files and the author that are here.
    fn count(&mut self, change: &Change) {
        self.count_named(change);
        self.count_unnamed(change);
        insert(&mut self.changed_at, change.at);
        if let Some(at) = change.failed_at {
            insert(&mut self.failed_at, at);
        }
    }

    /// Counts it for the files and the author.
    fn count_named(&mut self, change: &Change) {
        for file in &change.files {
            // A name without a past takes none from the other.
            let old = renamed(file).and_then(|old| self.files.get(old)).filter(|past| past.changes > 0);
            if let Some(old) = old.cloned() {
                self.files.insert(Arc::clone(&file.path), old);
            }
            if let Some(past) = self.files.get_mut(&file.path) {
                past.add(change, file, self.changes as u64);
            }
        }
        if let Some(past) = self.authors.get_mut(&change.author) {
            past.add(change);
        }
        if change.failed_at.is_some() {
            self.count_failure(change, 1);
        }
    }

    /// Counts it for the repository.
    fn count_unnamed(&mut self, change: &Change) {
        let (pull_request, failed) = (usize::from(is_pull_request(change)), usize::from(change.failed_at.is_some()));
        self.changes += 1;
        self.pull_requests += pull_request;
        self.failures += failed;
        self.pull_requests_failed += pull_request * failed;
    }

    /// A change that was taken in is known to have failed since `at`.
    pub(super) fn fail(&mut self, change: &Change, at: i64) {
        self.count_failure(change, 1);
        self.failures += 1;
        self.pull_requests_failed += usize::from(is_pull_request(change));
        insert(&mut self.failed_at, at);
    }

    /// A change that was known to have failed since `at` did not fail after all.
    pub(super) fn forgive(&mut self, change: &Change, at: i64) {
        self.count_failure(change, -1);
        self.failures = self.failures.saturating_sub(1);
        self.pull_requests_failed = self.pull_requests_failed.saturating_sub(usize::from(is_pull_request(change)));
        if let Ok(place) = self.failed_at.binary_search(&at) {
            self.failed_at.remove(place);
        }
    }

    fn count_failure(&mut self, change: &Change, by: i32) {
        for file in &change.files {
            if let Some(past) = self.files.get_mut(&file.path) {
                past.failures = past.failures.saturating_add_signed(by);
            }
        }
        if let Some(past) = self.authors.get_mut(&change.author) {
            past.failures = past.failures.saturating_add_signed(by);
        }
    }

    /// The part of it that the history of one change is read from, with `further` changes taken into it.
    pub(super) fn part<'a>(&self, asked: &'a Asked<'a>, further: &[&Open]) -> Part<'a> {
        let mut part = Self {
            changes: self.changes,
            failures: self.failures,
            pull_requests: self.pull_requests,
            pull_requests_failed: self.pull_requests_failed,
            ..Self::default()
        };
        let mut names = Names::default();
        // Who is not named is nobody: changes of others without a name are not theirs.
        if !asked.author.is_empty() {
            names.add(asked.author);
            let author = self.authors.get(asked.author).cloned().unwrap_or_default();
            part.authors.insert(asked.author.into(), author);
        }
        let renaming = further.iter().filter(|open| open.names.rename).flat_map(|open| &open.change.files);
        for path in asked.files.iter().map(Touched::past_path).chain(renaming.filter_map(renamed)) {
            names.add(path);
            part.files.insert(Arc::clone(path), self.files.get(path).cloned().unwrap_or_default());
        }
        for open in further {
            if open.names.may_meet(names) {
                part.count_named(&open.change);
            }
            part.count_unnamed(&open.change);
        }
        let (day, weeks) = (asked.at - DEPLOYMENTS_RECENT, asked.at - REVERTS_RECENT);
        let also_changed = further.iter().filter(|open| open.change.at > day).count();
        let also_failed = further.iter().filter(|open| open.change.failed_at.is_some_and(|at| at > weeks)).count();
        Part {
            asked,
            past: part,
            changed_recently: later(&self.changed_at, day).len() + also_changed,
            failed_recently: later(&self.failed_at, weeks).len() + also_failed,
        }
    }
}

impl Part<'_> {
    /// The history of one change as these changes tell it.
    pub(super) fn history(&self, reach: Reach) -> History {
        // Where pull requests are the custom, a commit without one is no deployment.
        let (deployments, failures) = match self.past.pull_requests {
            0 => (self.past.changes, self.past.failures),
            pull_requests => (pull_requests, self.past.pull_requests_failed),
        };
        let mut history = History {
            repository_deployments: Some(deployments as f64),
            repository_reverts: Some(failures as f64),
            repository_reverts_14d: Some(self.failed_recently as f64),
            repository_deployments_24h: Some(self.changed_recently as f64),
            ..History::default()
        };
        self.past.tell_of_author(self.asked, reach, &mut history);
        self.past.tell_of_files(self.asked, reach, &mut history);
        history
    }
}

impl Past {
    fn tell_of_author(&self, asked: &Asked<'_>, reach: Reach, history: &mut History) {
        let unseen = AuthorPast::default();
        let past = match self.authors.get(asked.author).filter(|past| !past.changed_at.is_empty()) {
            Some(past) => past,
            None if asked.author.is_empty() || reach == Reach::Part => return,
            None => &unseen,
        };
        let weight = |at: &i64| 1.0 / (((asked.at - at) as f64).max(0.0) / YEAR + 1.0);
        let touched = subsystems(asked.files);
        let within = past.subsystems.iter().filter(|subsystems| **subsystems & touched != 0);
        history.author_changes = Some(past.changed_at.len() as f64);
        history.author_recent_changes = Some(past.changed_at.iter().map(weight).sum());
        history.author_subsystem_changes = Some(within.count() as f64);
        history.author_reverts = Some(f64::from(past.failures));
    }

    /// Of files that are neither new nor seen before nothing is known, unless the changes reach to the beginning.
    fn tell_of_files(&self, asked: &Asked<'_>, reach: Reach, history: &mut History) {
        let unseen = FilePast { lines: Some(0), ..FilePast::default() };
        let pasts: Vec<&FilePast> = asked
            .files
            .iter()
            .filter_map(|file| match self.files.get(file.past_path()).filter(|past| past.changes > 0) {
                Some(past) => Some(past),
                None if file.kind == FileChangeKind::Added || reach == Reach::Whole => Some(&unseen),
                None => None,
            })
            .collect();
        if pasts.is_empty() {
            return;
        }
        let count = pasts.len() as f64;
        let days = |past: &&FilePast| past.last.map(|(at, _)| ((asked.at - at) as f64).max(0.0) / DAY);
        let ages: Vec<f64> = pasts.iter().filter_map(days).collect();
        let authors: HashSet<&Arc<str>> = pasts.iter().flat_map(|past| &past.authors).collect();
        let last: HashSet<u64> = pasts.iter().filter_map(|past| past.last).map(|(_, change)| change).collect();
        let changes = || pasts.iter().map(|past| f64::from(past.changes));
        history.prior_authors = Some(authors.len() as f64);
        history.file_age_days = Some(ages.iter().sum::<f64>() / ages.len().max(1) as f64);
        history.last_changes = Some(last.len() as f64);
        history.file_changes_max = Some(changes().fold(0.0, f64::max));
        history.file_changes_mean = Some(changes().sum::<f64>() / count);
        history.file_reverts = Some(pasts.iter().map(|past| f64::from(past.failures)).fold(0.0, f64::max));
        if pasts.len() == asked.files.len() {
            let lines: Option<i64> = pasts.iter().map(|past| past.lines).sum();
            history.lines_before = lines.map(|lines| lines as f64);
        }
    }
}

impl FilePast {
    fn add(&mut self, change: &Change, file: &Touched, ordinal: u64) {
        self.changes += 1;
        self.last = Some((change.at, ordinal));
        if !change.author.is_empty() && !self.authors.contains(&change.author) {
            self.authors.push(Arc::clone(&change.author));
        }
        self.lines = match (file.kind, file.lines) {
            (FileChangeKind::Deleted, _) | (_, None) => Some(0),
            (FileChangeKind::Added, Some((added, _))) => Some(i64::from(added)),
            (_, Some((added, deleted))) => {
                self.lines.map(|lines| (lines + i64::from(added) - i64::from(deleted)).max(0))
            }
        };
    }
}

impl AuthorPast {
    fn add(&mut self, change: &Change) {
        self.changed_at.push(change.at);
        self.subsystems.push(subsystems(&change.files));
    }
}

/// One bit for each top-level directory.
fn subsystems(files: &[Touched]) -> u64 {
    // FNV-1a, folded to six bits.
    let hash = |name: &str| {
        name.bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    };
    files.iter().map(|file| 1 << (hash(subsystem(&file.path)) >> 58)).fold(0, |all, one: u64| all | one)
}

fn is_pull_request(change: &Change) -> bool {
    matches!(change.key, Key::PullRequest(_))
}

/// Those of `times`, which are in order, that are later than `from`.
fn later(times: &[i64], from: i64) -> &[i64] {
    &times[times.partition_point(|at| *at <= from)..]
}

fn insert(times: &mut Vec<i64>, at: i64) {
    times.insert(times.partition_point(|other| *other <= at), at);
}
