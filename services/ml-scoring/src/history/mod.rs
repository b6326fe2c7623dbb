//! The history that FailSafe keeps of each repository: what was changed by whom, and what of it failed.
//!
//! Event-sourced: a repository is the list of its changes, and everything that is told of the past is counted from that list.
//! Pure. Must not know where changes come from (accepted deployments, outcomes, git) nor where they are kept.

mod change;
mod names;
mod past;
pub mod reverts;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use domain::{DeploymentId, History};
use serde::{Deserialize, Serialize};

pub use change::{Change, Key, Remembered, Touched};
use names::Names;
pub use past::Asked;
use past::{Past, Reach};
use reverts::Reverted;
pub use saved::FORMAT;

/// With fewer changes than this, and no import, nothing is told of the past: the counts would say little.
pub const CHANGES_MIN: usize = 30;
/// A pull request of which nothing new was heard for so long, in seconds, is not expected to change any more.
const SETTLED_AFTER: i64 = 14 * 86_400;
/// Most pull requests that may still change; the oldest settle before more are taken in.
const OPEN_MAX: usize = 500;
/// How many changes of a repository are remembered; when a tenth more are, those before are forgotten.
pub const CHANGES_MAX: usize = 100_000;

/// One repository's changes, and what they come to.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// Changes that do not change any more, in the order of time; all of them are counted in `past`.
    settled: Vec<Change>,
    /// Pull requests that may get further revisions, in the order of time.
    open: VecDeque<Open>,
    past: Past,
    /// The import that it began with, if there was one.
    imported: Option<Import>,
}

/// A change that may still change, and what it names.
#[derive(Clone, Debug)]
struct Open {
    change: Change,
    names: Names,
}

impl From<Change> for Open {
    fn from(change: Change) -> Self {
        Self { names: Names::of(&change), change }
    }
}

/// Where an import came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The commit that it ended with.
    pub head: String,
    /// True when it reaches to the repository's beginning, so that who is not in it has no past.
    pub whole: bool,
}

impl Repository {
    /// The repository with these changes, in any order.
    #[must_use]
    pub fn new(mut changes: Vec<Change>, imported: Option<Import>) -> Self {
        changes.sort_by_key(|change| change.at);
        let newest = changes.last().map_or(0, |change| change.at);
        let mut repository = Self { imported, ..Self::default() };
        for change in changes {
            let open = matches!(change.key, Key::PullRequest(_)) && !change.deployments.is_empty();
            if open && newest - change.at < SETTLED_AFTER {
                repository.open.push_back(change.into());
            } else {
                repository.settle(change);
            }
        }
        repository
    }

    /// How many changes are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.settled.len() + self.open.len()
    }

    /// True when none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.past.failures() + self.open.iter().filter(|open| open.change.failed_at.is_some()).count()
    }

    /// The import that it began with, if there was one.
    #[must_use]
    pub const fn imported(&self) -> Option<&Import> {
        self.imported.as_ref()
    }

    /// All changes, in the order of time but for those that may still change, which come last.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.settled.iter().chain(self.open.iter().map(|open| &open.change))
    }

    /// What the changes so far tell of a change that is now made, all but its own earlier revisions. Unknown as long as the
    /// changes are few and do not reach to the repository's beginning.
    #[must_use]
    pub fn history(&self, asked: &Asked<'_>, own: &Key) -> History {
        let whole = self.imported.as_ref().is_some_and(|import| import.whole);
        let reach = if whole { Reach::Whole } else { Reach::Part };
        let further: Vec<&Open> = self.open.iter().filter(|open| open.change.key != *own).collect();
        if reach == Reach::Part && self.past.changes() + further.len() < CHANGES_MIN {
            return History::default();
        }
        self.past.part(asked, &further).history(reach)
    }

    /// Takes in a change, or a further revision of one. What it takes back has failed since.
    pub fn record(&mut self, mut change: Change) {
        if let Some(reverted) = &change.reverts {
            self.take_back(&reverted.clone(), &change);
        }
        if let Some(place) = self.open.iter().position(|other| other.change.key == change.key) {
            let mut before = self.open.remove(place).expect("it was just found").change;
            before.deployments.retain(|id| !change.deployments.contains(id));
            before.deployments.append(&mut change.deployments);
            change.deployments = before.deployments;
            change.failed_at = change.failed_at.or(before.failed_at);
        }
        while self
            .open
            .front()
            .is_some_and(|first| self.open.len() >= OPEN_MAX || change.at - first.change.at >= SETTLED_AFTER)
        {
            let first = self.open.pop_front().expect("there is one");
            self.settle(first.change);
        }
        if matches!(change.key, Key::PullRequest(_)) && !change.deployments.is_empty() {
            let place = self.open.partition_point(|other| other.change.at <= change.at);
            self.open.insert(place, change.into());
        } else {
            self.settle(change);
        }
    }

    /// Forgets the oldest changes when there are too many, and gives the deployments that nobody will be asked about any more.
    pub fn forget(&mut self) -> Vec<DeploymentId> {
        self.forget_beyond(CHANGES_MAX)
    }

    fn forget_beyond(&mut self, changes_max: usize) -> Vec<DeploymentId> {
        if self.settled.len() < changes_max + changes_max / 10 {
            return Vec::new();
        }
        let kept = self.settled.split_off(self.settled.len() - changes_max);
        let forgotten = std::mem::replace(&mut self.settled, kept);
        let imported = self.imported.take();
        let changes = std::mem::take(self).into_changes().collect();
        // It no longer reaches to the beginning.
        let imported = imported.map(|import| Import { whole: false, ..import });
        *self = Self::new(changes, imported);
        forgotten.into_iter().flat_map(|change| change.deployments).collect()
    }

    /// What came of a deployment: it has failed since that time, or it did not after all (`None`). False when the deployment
    /// is not known.
    pub fn tell(&mut self, deployment: DeploymentId, failed_at: Option<i64>) -> bool {
        let found = self.find(|change| change.deployments.contains(&deployment));
        if let Some(place) = found {
            self.set_failed(place, failed_at);
        }
        found.is_some()
    }

    /// True when this revision was taken in.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn knows(&self, deployment: DeploymentId) -> bool {
        self.find(|change| change.deployments.contains(&deployment)).is_some()
    }

    /// The same repository with an import's changes: what git says of a change goes over what was submitted of it.
    #[must_use]
    pub fn with_import(self, imported: Self) -> Self {
        let import = imported.imported.clone();
        let mut changes: Vec<Change> = imported.into_changes().collect();
        let mut places: HashMap<Key, usize> =
            changes.iter().enumerate().map(|(place, change)| (change.key.clone(), place)).collect();
        for own in self.into_changes() {
            match places.get(&own.key) {
                Some(place) => {
                    let known = &mut changes[*place];
                    known.deployments.extend(own.deployments);
                    known.features = own.features.or(known.features.take());
                    known.failed_at = known.failed_at.or(own.failed_at);
                }
                // A commit without a pull request that the import does not hold was imported before and is gone from git.
                None if matches!(own.key, Key::Commit(_)) => {}
                None => {
                    places.insert(own.key.clone(), changes.len());
                    changes.push(own);
                }
            }
        }
        Self::new(changes, import)
    }

    fn into_changes(self) -> impl Iterator<Item = Change> {
        self.settled.into_iter().chain(self.open.into_iter().map(|open| open.change))
    }

    fn settle(&mut self, mut change: Change) {
        self.past.share_names(&mut change);
        self.past.add(&change);
        self.settled.push(change);
    }

    /// The place of the latest change for which `is` holds: among the open ones, counted on from the settled ones.
    fn find(&self, is: impl Fn(&Change) -> bool) -> Option<usize> {
        let open = self.open.iter().rposition(|open| is(&open.change)).map(|place| self.settled.len() + place);
        open.or_else(|| self.settled.iter().rposition(is))
    }

    fn set_failed(&mut self, place: usize, failed_at: Option<i64>) {
        let settled = self.settled.len();
        if place >= settled {
            self.open[place - settled].change.failed_at = failed_at;
            return;
        }
        let change = &mut self.settled[place];
        if let Some(before) = change.failed_at {
            self.past.forgive(change, before);
        }
        if let Some(at) = failed_at {
            self.past.fail(change, at);
        }
        change.failed_at = failed_at;
    }

    /// A change that `by` takes back has failed, unless it is itself one that takes back.
    fn take_back(&mut self, reverted: &Reverted, by: &Change) {
        let named = |change: &Change| match &change.key {
            Key::PullRequest(number) => reverted.pull_requests.contains(number),
            Key::Commit(commit) => reverted.commits.iter().any(|beginning| commit.starts_with(beginning.as_str())),
        };
        let titled = |change: &Change| reverted.title.as_deref().is_some_and(|title| *change.title == *title);
        let other = |change: &Change| change.key != by.key && change.at <= by.at;
        let found = self
            .find(|change| other(change) && named(change))
            .or_else(|| self.find(|change| other(change) && titled(change)));
        if let Some(place) = found {
            let change = self.changes().nth(place).expect("it was just found");
            if change.failed_at.is_none() && change.reverts.is_none() {
                self.set_failed(place, Some(by.at));
            }
        }
    }
}
