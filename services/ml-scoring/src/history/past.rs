//! What the changes so far come to: counts of files, authors and the repository, from which the history of the next change is
//! read.
//!
//! Pure: a function of the changes and of what failed among them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use domain::{FileChangeKind, History};
use smallvec::SmallVec;

use super::change::{Change, Key, Touched};
use super::open::{Open, Place};
use crate::features::paths::subsystem;

const DAY: f64 = 86_400.0;
const DAYS_A_YEAR: f64 = 365.25;
/// How far back a repository's reverts count as recent, in seconds.
const REVERTS_RECENT: i64 = 14 * 86_400;
/// How far back its deployments do.
const DEPLOYMENTS_RECENT: i64 = 86_400;

/// By name: hashed quickly, with a seed all the same, since strangers choose the names.
pub(super) type Named<T> = HashMap<Arc<str>, T, foldhash::fast::RandomState>;

/// What the changes so far come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    files: Named<FilePast>,
    /// Who was heard of, each with its place in `authors`.
    names: Named<u32>,
    authors: Vec<AuthorPast>,
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
    /// The files that are asked about, and those that they were before.
    files: Named<FilePast>,
    /// What the author did that is settled, and what may still change.
    author: [Cow<'a, AuthorPast>; 2],
    deployments: usize,
    failures: usize,
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
    /// Who changed it: places in [`Past::authors`]. Few, as a rule.
    authors: SmallVec<[u32; 4]>,
    /// Lines, as far as they are known: from its beginning on.
    lines: Option<i64>,
}

/// The past of one author.
#[derive(Clone, Debug, Default)]
struct AuthorPast {
    changes: u32,
    failures: u32,
    /// How many changes there were on each day, counted from 1970.
    days: Vec<(i64, u32)>,
    /// How many there were of the same top-level directories: one bit for each, and the same for directories whose names hash alike.
    subsystems: Vec<(u64, u32)>,
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

/// The files for which a change is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// All that it touches.
    All,
    /// Those that are here.
    Here,
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
    /// How many failed.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Counts these changes alone, in the room that it has.
    pub(super) fn recount(&mut self, changes: &[Change]) {
        let mut files = std::mem::take(self).files;
        files.clear();
        *self = Self { files, ..Self::default() };
        changes.iter().for_each(|change| self.add(change));
        self.files.shrink_to(4 * self.files.len());
    }

    /// Has the change share the names that are kept here.
    pub(super) fn share_names(&self, change: &mut Change) {
        for file in &mut change.files {
            if let Some((path, _)) = self.files.get_key_value(&file.path) {
                file.path = Arc::clone(path);
            }
        }
        if let Some((author, _)) = self.names.get_key_value(&change.author) {
            change.author = Arc::clone(author);
        }
    }

    /// Hears of an author.
    pub(super) fn meet(&mut self, author: &Arc<str>) {
        if !author.is_empty() && !self.names.contains_key(author) {
            self.names.insert(Arc::clone(author), self.authors.len() as u32);
            self.authors.push(AuthorPast::default());
        }
    }

    /// Takes a change in.
    pub(super) fn add(&mut self, change: &Change) {
        self.meet(&change.author);
        let author = self.author(&change.author);
        count_files(&mut self.files, change, author, self.changes as u64, Files::All);
        if let Some(author) = author {
            self.authors[author as usize].add(change);
        }
        let (pull_request, failed) = (usize::from(is_pull_request(change)), usize::from(change.failed_at.is_some()));
        self.changes += 1;
        self.pull_requests += pull_request;
        self.failures += failed;
        self.pull_requests_failed += pull_request * failed;
        insert(&mut self.changed_at, change.at);
        if let Some(at) = change.failed_at {
            insert(&mut self.failed_at, at);
        }
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
        count_failed_files(&mut self.files, change, by);
        if let Some(author) = self.author(&change.author) {
            let past = &mut self.authors[author as usize];
            past.failures = past.failures.saturating_add_signed(by);
        }
    }

    /// The place of an author who was met. Who is not named is nobody: changes of others without a name are not theirs.
    fn author(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// The part of it that the history of one change is read from, with those taken into it that may still change, but for its `own`
    /// revisions.
    pub(super) fn part<'a>(&'a self, asked: &'a Asked<'a>, open: &Open, own: &Key) -> Part<'a> {
        let (mut files, mut further): (Named<FilePast>, BTreeMap<Place, &Change>) = Default::default();
        let mut paths: Vec<&Arc<str>> = asked.files.iter().map(Touched::past_path).collect();
        while let Some(path) = paths.pop() {
            if files.contains_key(path) {
                continue;
            }
            files.insert(Arc::clone(path), self.files.get(path).cloned().unwrap_or_default());
            for (place, change) in open.naming(path).filter(|(_, change)| change.key != *own) {
                if further.insert(place, change).is_none() {
                    // What it was before has a past, too.
                    paths.extend(change.files.iter().filter_map(Touched::renamed_from));
                }
            }
        }
        for ((_, number), change) in further {
            let ordinal = self.changes as u64 + u64::from(number);
            count_files(&mut files, change, self.author(&change.author), ordinal, Files::Here);
        }
        let mut author = AuthorPast::default();
        if !asked.author.is_empty() {
            open.by(asked.author).filter(|(_, change)| change.key != *own).for_each(|(_, change)| author.add(change));
        }
        let settled = self.author(asked.author).map(|place| &self.authors[place as usize]);
        let own = open.get(own);
        let count = |open: usize, is: fn(&Change) -> bool| open - usize::from(own.is_some_and(is));
        let also = count(open.len(), |_| true);
        let also_failed = count(open.failed().count(), |own| own.failed_at.is_some());
        // Where pull requests are the custom, a commit without one is no deployment.
        let (deployments, failures) = match self.pull_requests + also {
            0 => (self.changes, self.failures),
            pull_requests => (pull_requests, self.pull_requests_failed + also_failed),
        };
        let (day, weeks) = (asked.at - DEPLOYMENTS_RECENT, asked.at - REVERTS_RECENT);
        let own_recently = usize::from(own.is_some_and(|own| own.at > day));
        let failed_recently = |change: &&Change| change.failed_at.is_some_and(|at| at > weeks);
        Part {
            asked,
            files,
            author: [settled.map_or_else(Cow::default, Cow::Borrowed), Cow::Owned(author)],
            deployments,
            failures,
            changed_recently: later(&self.changed_at, day).len() + open.later(day) - own_recently,
            failed_recently: later(&self.failed_at, weeks).len() + open.failed().filter(failed_recently).count()
                - own.iter().copied().filter(failed_recently).count(),
        }
    }
}

impl Part<'_> {
    /// The history of one change as these changes tell it.
    pub(super) fn history(&self, reach: Reach) -> History {
        let mut history = History {
            repository_deployments: Some(self.deployments as f64),
            repository_reverts: Some(self.failures as f64),
            repository_reverts_14d: Some(self.failed_recently as f64),
            repository_deployments_24h: Some(self.changed_recently as f64),
            ..History::default()
        };
        self.tell_of_author(reach, &mut history);
        self.tell_of_files(reach, &mut history);
        history
    }

    fn tell_of_author(&self, reach: Reach, history: &mut History) {
        let changes: u32 = self.author.iter().map(|past| past.changes).sum();
        if changes == 0 && (self.asked.author.is_empty() || reach == Reach::Part) {
            return;
        }
        let today = day_of(self.asked.at);
        let years = |day: i64| (today - day).max(0) as f64 / DAYS_A_YEAR;
        let recent = self.author.iter().flat_map(|past| &past.days);
        let touched = subsystems(self.asked.files);
        let within = self.author.iter().flat_map(|past| &past.subsystems);
        let within = within.filter(|(subsystems, _)| subsystems & touched != 0).map(|(_, changes)| f64::from(*changes));
        history.author_changes = Some(f64::from(changes));
        history.author_recent_changes =
            Some(recent.map(|(day, changes)| f64::from(*changes) / (years(*day) + 1.0)).sum());
        history.author_subsystem_changes = Some(within.sum());
        history.author_reverts = Some(self.author.iter().map(|past| f64::from(past.failures)).sum());
    }

    /// Of files that are neither new nor seen before nothing is known, unless the changes reach to the beginning.
    fn tell_of_files(&self, reach: Reach, history: &mut History) {
        let unseen = FilePast { lines: Some(0), ..FilePast::default() };
        let asked = self.asked;
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
        let authors: HashSet<u32> = pasts.iter().flat_map(|past| &past.authors).copied().collect();
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

/// Counts a change of that author for these files.
fn count_files(files: &mut Named<FilePast>, change: &Change, author: Option<u32>, ordinal: u64, which: Files) {
    for file in &change.files {
        // A name without a past takes none from the other.
        let old = file.renamed_from().and_then(|old| files.get(old)).filter(|past| past.changes > 0);
        if let Some(old) = old.cloned() {
            files.insert(Arc::clone(&file.path), old);
        }
        if let Some(past) = files.get_mut(&file.path) {
            past.add(change.at, file, author, ordinal);
        } else if which == Files::All {
            let mut past = FilePast::default();
            past.add(change.at, file, author, ordinal);
            files.insert(Arc::clone(&file.path), past);
        }
    }
    if change.failed_at.is_some() {
        count_failed_files(files, change, 1);
    }
}

fn count_failed_files(files: &mut Named<FilePast>, change: &Change, by: i32) {
    for file in &change.files {
        if let Some(past) = files.get_mut(&file.path) {
            past.failures = past.failures.saturating_add_signed(by);
        }
    }
}

impl FilePast {
    fn add(&mut self, at: i64, file: &Touched, author: Option<u32>, ordinal: u64) {
        self.changes += 1;
        self.last = Some((at, ordinal));
        if let Some(author) = author.filter(|author| !self.authors.contains(author)) {
            self.authors.push(author);
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
        self.changes += 1;
        self.failures += u32::from(change.failed_at.is_some());
        count(&mut self.days, day_of(change.at));
        count(&mut self.subsystems, subsystems(&change.files));
    }
}

/// Counts one more of that kind.
fn count<K: Ord>(counts: &mut Vec<(K, u32)>, kind: K) {
    match counts.binary_search_by(|(other, _)| other.cmp(&kind)) {
        Ok(place) => counts[place].1 += 1,
        Err(place) => counts.insert(place, (kind, 1)),
    }
}

const fn day_of(at: i64) -> i64 {
    at.div_euclid(86_400)
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
