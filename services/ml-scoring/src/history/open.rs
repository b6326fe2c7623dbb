//! Pull requests that may get further revisions.
//!
//! They are found by the files and the authors that they name: most have nothing to do with the change whose history is asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::change::{Change, Key, Touched};
use super::past::Named;

/// Where one stands: by its time, and among those of the same second by its number.
pub(super) type Place = (i64, u32);

/// The pull requests of one repository that may still change, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    changes: HashMap<u32, Change>,
    /// Where they stand, in order.
    order: Vec<Place>,
    /// Which of them name a file, by its path or by the one that it had before, and which are by an author.
    by_file: Named<Vec<u32>>,
    by_author: Named<Vec<u32>>,
    failed: BTreeSet<u32>,
}

impl Open {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// All, in the order of time.
    pub(super) fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.order.iter().filter_map(|(_, number)| self.changes.get(number))
    }

    /// All, in the order of time.
    pub(super) fn into_changes(mut self) -> impl Iterator<Item = Change> {
        self.order.into_iter().filter_map(move |(_, number)| self.changes.remove(&number))
    }

    /// Those that are known to have failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Change> {
        self.failed.iter().filter_map(|number| self.changes.get(number))
    }

    /// How many were made after that time.
    pub(super) fn later(&self, at: i64) -> usize {
        self.len() - self.order.partition_point(|(made, _)| *made <= at)
    }

    /// The one with that key.
    pub(super) fn get(&self, key: &Key) -> Option<&Change> {
        self.changes.get(&number_of(key)?)
    }

    /// Those that name a file.
    pub(super) fn naming(&self, path: &str) -> impl Iterator<Item = (Place, &Change)> {
        self.listed(self.by_file.get(path))
    }

    /// Those of an author.
    pub(super) fn by(&self, author: &str) -> impl Iterator<Item = (Place, &Change)> {
        self.listed(self.by_author.get(author))
    }

    /// The number of the latest for which `is` holds.
    pub(super) fn find(&self, is: impl Fn(&Change) -> bool) -> Option<u32> {
        self.order.iter().rev().map(|(_, number)| *number).find(|number| self.changes.get(number).is_some_and(&is))
    }

    /// It is known to have failed since that time, or not any more.
    pub(super) fn set_failed(&mut self, number: u32, failed_at: Option<i64>) {
        let Some(change) = self.changes.get_mut(&number) else { return };
        change.failed_at = failed_at;
        if failed_at.is_some() {
            self.failed.insert(number);
        } else {
            self.failed.remove(&number);
        }
    }

    /// Takes in the pull request of that number, which is not here.
    pub(super) fn insert(&mut self, number: u32, change: Change) {
        for name in names(&change) {
            list(&mut self.by_file, name, number);
        }
        list(&mut self.by_author, &change.author, number);
        if change.failed_at.is_some() {
            self.failed.insert(number);
        }
        let place = (change.at, number);
        self.order.insert(self.order.partition_point(|other| *other < place), place);
        self.changes.insert(number, change);
    }

    /// Takes out the one with that key.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Change> {
        let number = number_of(key)?;
        let change = self.changes.remove(&number)?;
        for name in names(&change) {
            unlist(&mut self.by_file, name, number);
        }
        unlist(&mut self.by_author, &change.author, number);
        self.failed.remove(&number);
        if let Ok(place) = self.order.binary_search(&(change.at, number)) {
            self.order.remove(place);
        }
        Some(change)
    }

    /// Takes out the first for as long as `settles` says so of it and of how many there are.
    pub(super) fn take_first(&mut self, settles: impl Fn(&Change, usize) -> bool) -> Option<Change> {
        let (_, number) = self.order.first()?;
        let first = self.changes.get(number)?;
        let key = settles(first, self.len()).then(|| first.key.clone())?;
        self.remove(&key)
    }

    fn listed(&self, numbers: Option<&Vec<u32>>) -> impl Iterator<Item = (Place, &Change)> {
        let known = numbers.into_iter().flatten().filter_map(|number| Some((*number, self.changes.get(number)?)));
        known.map(|(number, change)| ((change.at, number), change))
    }
}

fn number_of(key: &Key) -> Option<u32> {
    match key {
        Key::PullRequest(number) => Some(*number),
        Key::Commit(_) => None,
    }
}

/// The names of files in a change, old ones too.
fn names(change: &Change) -> impl Iterator<Item = &Arc<str>> {
    change.files.iter().flat_map(|file| [Some(&file.path), Touched::renamed_from(file)]).flatten()
}

fn list(lists: &mut Named<Vec<u32>>, name: &Arc<str>, number: u32) {
    match lists.get_mut(name) {
        // One that names it twice was put there just now.
        Some(numbers) if numbers.last() == Some(&number) => {}
        Some(numbers) => numbers.push(number),
        None => drop(lists.insert(Arc::clone(name), vec![number])),
    }
}

fn unlist(lists: &mut Named<Vec<u32>>, name: &Arc<str>, number: u32) {
    if let Some(numbers) = lists.get_mut(name) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            lists.remove(name);
        }
    }
}
