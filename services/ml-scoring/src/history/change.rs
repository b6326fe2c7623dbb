//! One change of a repository, as it is remembered.

use std::sync::Arc;

use domain::{DeploymentId, FileChange, FileChangeKind};

use super::reverts::Reverted;
use crate::features::{FEATURES, Features};

/// What tells the changes of a repository apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The number of a pull request, of which each revision is the same change.
    PullRequest(u32),
    /// A commit on the main line that came without a pull request.
    Commit(String),
}

/// One change of a repository: a pull request, or a commit on the main line.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What tells it apart.
    pub key: Key,
    /// Its deployments: one for each revision that was submitted, none where it comes from git.
    pub deployments: Vec<DeploymentId>,
    /// When it was merged or, of a pull request that is only submitted, accepted: seconds of Unix time.
    pub at: i64,
    /// Who wrote it; empty when that is not known.
    pub author: Arc<str>,
    /// Its title, without the number of its pull request.
    pub title: Arc<str>,
    /// What it touched.
    pub files: Vec<Touched>,
    /// What it takes back; `None` when it is no revert.
    pub reverts: Option<Box<Reverted>>,
    /// When it was known to have failed: taken back, or recorded as failed.
    pub failed_at: Option<i64>,
    /// What was known of it when it was made; `None` when nobody asked then.
    pub features: Option<Remembered>,
}

/// A file that a change touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Its path after the change; of a deleted file, before it.
    pub path: Arc<str>,
    /// Its path before a rename.
    pub old_path: Option<Arc<str>>,
    /// What happened to it.
    pub kind: FileChangeKind,
    /// Lines added; `None` of a file without text.
    pub lines: Option<(u32, u32)>,
}

impl Touched {
    /// The same of a file of a deployment.
    #[must_use]
    pub fn of(file: &FileChange) -> Self {
        Self {
            path: file.path.as_str().into(),
            old_path: file.old_path.as_deref().map(Into::into),
            kind: file.kind,
            lines: (!file.binary).then_some((file.lines_added, file.lines_deleted)),
        }
    }

    /// Its path before it got another.
    #[must_use]
    pub fn renamed_from(&self) -> Option<&Arc<str>> {
        self.old_path.as_ref().filter(|_| self.kind == FileChangeKind::Renamed)
    }

    /// Where its past is found: under the path before a rename.
    #[must_use]
    pub fn past_path(&self) -> &Arc<str> {
        self.renamed_from().unwrap_or(&self.path)
    }
}

/// The features of a change, kept small: one number for each of [`FEATURES`], which is none where it is not known.
#[derive(Clone, Debug)]
pub struct Remembered(Box<[f32; FEATURES.len()]>);

impl Remembered {
    /// Remembers `features`, to seven digits.
    #[must_use]
    pub fn of(features: &Features) -> Self {
        let value = |index| features.value(index).map_or(f32::NAN, |value| value as f32);
        Self(Box::new(std::array::from_fn(value)))
    }

    /// From numbers in the order of [`FEATURES`], `None` where one is not known.
    pub(super) fn from_values(values: impl IntoIterator<Item = Option<f32>>) -> Self {
        let mut kept = [f32::NAN; FEATURES.len()];
        for (kept, value) in kept.iter_mut().zip(values) {
            *kept = value.unwrap_or(f32::NAN);
        }
        Self(Box::new(kept))
    }

    /// The numbers in the order of [`FEATURES`].
    pub(super) fn values(&self) -> impl Iterator<Item = Option<f32>> {
        self.0.iter().map(|value| Some(*value).filter(|value| value.is_finite()))
    }

    /// The features of a change that takes back or does not.
    #[must_use]
    pub fn features(&self, reverts: bool) -> Features {
        Features::known(self.values().map(|value| value.map(f64::from)), reverts)
    }
}

impl PartialEq for Remembered {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}
