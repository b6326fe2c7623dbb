//! The history that FailSafe keeps of each repository: what was changed by whom, and what of it failed.
//!
//! Event-sourced: a repository is the list of its changes, and everything that is told of the past is counted from that list.
//! Pure. Must not know where changes come from (accepted deployments, outcomes, git) nor where they are kept.

mod change;
mod open;
mod past;
pub mod reverts;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use domain::{DeploymentId, History};
use serde::{Deserialize, Serialize};

pub use change::{Change, Key, Remembered, Touched};
use open::Open;
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

/// One repository's changes, and what they come to.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// Changes that do not change any more, in the order of time; all of them are counted in `past`.
    settled: Vec<Change>,
    /// Pull requests that may get further revisions, in the order of time.
    open: Open,
    past: Past,
    /// The import that it began with, if there was one.
    imported: Option<Import>,
}

/// Where a change was found.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// At that place among the settled ones.
    Settled(usize),
    /// Open, with that number.
    Open(u32),
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
                repository.open(change);
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

    /// How many of them do not change any more.
    #[must_use]
    pub fn settled(&self) -> usize {
        self.settled.len()
    }

    /// How many of them failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.past.failures() + self.open.failed().count()
    }

    /// The import that it began with, if there was one.
    #[must_use]
    pub const fn imported(&self) -> Option<&Import> {
        self.imported.as_ref()
    }

    /// All changes, in the order of time but for those that may still change, which come last.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.settled.iter().chain(self.open.changes())
    }

    /// What the changes so far tell of a change that is now made, all but its own earlier revisions. Unknown as long as the
    /// changes are few and do not reach to the repository's beginning.
    #[must_use]
    pub fn history(&self, asked: &Asked<'_>, own: &Key) -> History {
        let whole = self.imported.as_ref().is_some_and(|import| import.whole);
        let reach = if whole { Reach::Whole } else { Reach::Part };
        let others = self.len() - usize::from(self.open.get(own).is_some());
        if reach == Reach::Part && others < CHANGES_MIN {
            return History::default();
        }
        self.past.part(asked, &self.open, own).history(reach)
    }

    /// Takes in a change, or a further revision of one. What it takes back has failed since.
    pub fn record(&mut self, mut change: Change) {
        if let Some(reverted) = &change.reverts {
            self.take_back(&reverted.clone(), &change);
        }
        if let Some(mut before) = self.open.remove(&change.key) {
            before.deployments.retain(|id| !change.deployments.contains(id));
            before.deployments.append(&mut change.deployments);
            change.deployments = before.deployments;
            change.failed_at = change.failed_at.or(before.failed_at);
        }
        let settles = |first: &Change, open: usize| open >= OPEN_MAX || change.at - first.at >= SETTLED_AFTER;
        while let Some(first) = self.open.take_first(settles) {
            self.settle(first);
        }
        if change.deployments.is_empty() {
            self.settle(change);
        } else {
            self.open(change);
        }
    }

    /// Forgets all but the latest changes, as many as `changes_max` and those that may still change, and gives the deployments that
    /// nobody will be asked about any more.
    pub fn forget_beyond(&mut self, changes_max: usize) -> Vec<DeploymentId> {
        if self.settled.len() <= changes_max {
            return Vec::new();
        }
        let kept = self.settled.split_off(self.settled.len() - changes_max);
        let forgotten = std::mem::replace(&mut self.settled, kept);
        self.past.recount(&self.settled);
        self.open.changes().for_each(|change| self.past.meet(&change.author));
        if let Some(import) = &mut self.imported {
            // It no longer reaches to the beginning.
            import.whole = false;
        }
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
        self.settled.into_iter().chain(self.open.into_changes())
    }

    fn settle(&mut self, mut change: Change) {
        self.past.share_names(&mut change);
        self.past.add(&change);
        self.settled.push(change);
    }

    /// Takes in what may still change; a commit does not. One of the same number has settled: a pull request may come again after that.
    fn open(&mut self, mut change: Change) {
        if let Some(before) = self.open.remove(&change.key) {
            self.settle(before);
        }
        match change.key {
            Key::PullRequest(number) => {
                self.past.share_names(&mut change);
                self.past.meet(&change.author);
                self.open.insert(number, change);
            }
            Key::Commit(_) => self.settle(change),
        }
    }

    /// The place of the latest change for which `is` holds, among the open ones first.
    fn find(&self, is: impl Fn(&Change) -> bool) -> Option<Found> {
        let open = self.open.find(&is).map(Found::Open);
        open.or_else(|| self.settled.iter().rposition(is).map(Found::Settled))
    }

    fn set_failed(&mut self, place: Found, failed_at: Option<i64>) {
        let change = match place {
            Found::Open(number) => return self.open.set_failed(number, failed_at),
            Found::Settled(place) => &mut self.settled[place],
        };
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
        let change = match found {
            Some(Found::Open(number)) => self.open.get(&Key::PullRequest(number)),
            Some(Found::Settled(place)) => self.settled.get(place),
            None => None,
        };
        if let (Some(place), Some(change)) = (found, change)
            && change.failed_at.is_none()
            && change.reverts.is_none()
        {
            self.set_failed(place, Some(by.at));
        }
    }
}
