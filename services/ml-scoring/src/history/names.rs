//! Which files and which author a change may be about, told in no time: most of the changes that may still change have nothing to do
//! with the one whose history is asked for.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, LazyLock};

use domain::FileChangeKind;
use foldhash::fast::RandomState;

use super::change::{Change, Touched};

/// One key for all, since what is compared has to be hashed alike; drawn anew by each process, since strangers choose the names.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Names of files and of an author: a Bloom filter of 128 bits and one hash. Those that have no bit in common share no name; those that
/// have one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    bits: u128,
    /// Whether a file gets another name.
    pub(super) rename: bool,
}

impl Names {
    /// The names in a change.
    pub(super) fn of(change: &Change) -> Self {
        let mut names = Self::default();
        names.add(&change.author);
        names.add_files(&change.files);
        names
    }

    /// Adds the names of files, old ones too.
    pub(super) fn add_files(&mut self, files: &[Touched]) {
        for file in files {
            self.add(&file.path);
            if let Some(old) = renamed(file) {
                self.add(old);
                self.rename = true;
            }
        }
    }

    /// Adds one name.
    pub(super) fn add(&mut self, name: &str) {
        let mut hasher = KEY.build_hasher();
        hasher.write(name.as_bytes());
        self.bits |= 1 << (hasher.finish() & 127);
    }

    /// Whether both may hold the same name.
    pub(super) const fn may_meet(self, other: Self) -> bool {
        self.bits & other.bits != 0
    }
}

/// The name of a file before it got another.
pub(super) fn renamed(file: &Touched) -> Option<&Arc<str>> {
    file.old_path.as_ref().filter(|_| file.kind == FileChangeKind::Renamed)
}
