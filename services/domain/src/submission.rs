//! A submission: what a sender wrote, and how it becomes a deployment. All that is wrong is told at once, field by field.

use std::collections::HashSet;
use std::fmt;

use time::OffsetDateTime;

use crate::deployment::{DiffDigest, FileChange, History};
use crate::identity::{DeploymentId, PullRequest, Repository, Revision, shown};

/// What a sender wrote, unchecked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// See [`Submission::repository`].
    pub repository: String,
    /// See [`Submission::pull_request`].
    pub pull_request: u32,
    /// See [`Submission::revision`]; empty when the sender did not say.
    pub revision: String,
    /// What would change.
    pub change: Option<DraftChange>,
    /// The pull request's title.
    pub title: String,
    /// The author's name on the forge.
    pub author: String,
    /// The branch to be merged.
    pub branch: String,
    /// The branch it goes into.
    pub base_branch: String,
    /// The pull request's labels.
    pub labels: Vec<String>,
    /// Where it would be deployed to.
    pub environment: String,
    /// When the work began.
    pub opened_at: Option<OffsetDateTime>,
    /// When it is to be deployed.
    pub deploy_at: Option<OffsetDateTime>,
    /// Number of commits in the pull request.
    pub commits: Option<u32>,
    /// How many files the sender counted in the change: a guard against a diff that was cut short on its way.
    pub files_changed: Option<u32>,
    /// What the sender knows of the past.
    pub history: History,
    /// Who submits it, as the front door found out; empty when it did not ask.
    pub submitted_by: String,
}

/// What would change, as the sender gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum DraftChange {
    /// A unified diff.
    Diff(String),
    /// A diff that lies in the object store.
    Stored {
        /// The object's name.
        object: String,
        /// What it must hold.
        digest: DiffDigest,
    },
    /// Two commits to be compared.
    Git(GitReference),
}

/// Two commits of a repository that the service can reach, resolved by the sender: full hashes, no branch names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitReference {
    /// A path or an address that the ingest service's settings permit.
    pub repository: String,
    /// The commit to compare with: 40 or 64 hexadecimal digits.
    pub base: String,
    /// The head commit: 40 or 64 hexadecimal digits.
    pub head: String,
}

/// A submission whose fields are sound. The diff itself has not been read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The id of the deployment that it asks for.
    pub id: DeploymentId,
    /// Where the pull request lives.
    pub repository: Repository,
    /// Its number.
    pub pull_request: PullRequest,
    /// Its head commit, or the diff's digest.
    pub revision: Revision,
    /// What would change.
    pub change: DraftChange,
    /// All else, as the sender wrote it, within the limits; its change has moved to `change`.
    pub draft: Draft,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path as the sender writes it: `repository`, `git.base`, `labels[3]`.
    pub field: String,
    /// What is wrong, to be read behind the field's name.
    pub description: String,
}

impl FieldViolation {
    /// What is wrong with `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl fmt::Display for FieldViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// Several violations as one line.
#[must_use]
pub fn in_one_line(violations: &[FieldViolation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Most characters of a title, author, branch, label or environment.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Most labels.
pub const LABELS_MAX: usize = 100;

impl Draft {
    /// The kind of event that carries a submission.
    pub const KIND: &'static str = "deployment.submitted";

    /// Checks every field.
    ///
    /// # Errors
    /// Every field that is wrong, at least one.
    pub fn check(mut self, diff_bytes_max: u64) -> Result<Submission, Vec<FieldViolation>> {
        let mut violations = Vec::new();
        let mut wrong = |field: &str, description: String| violations.push(FieldViolation::new(field, description));
        let repository = Repository::parse(&self.repository).map_err(|e| wrong("repository", e)).ok();
        let pull_request = PullRequest::new(self.pull_request).map_err(|e| wrong("pull_request", e)).ok();
        check_texts(&self, &mut wrong);
        check_history(&self.history, &mut wrong);
        let stand_in = check_change(self.change.as_ref(), diff_bytes_max, &mut wrong);
        let revision = match self.revision.as_str() {
            "" => stand_in,
            text => Revision::parse(text).map_err(|e| wrong("revision", e)).ok(),
        };
        if let (Some(DraftChange::Git(git)), Some(revision)) = (&self.change, &revision)
            && !git.head.to_ascii_lowercase().starts_with(revision.as_str())
        {
            wrong("revision", format!("is not git.head {}", shown(&git.head)));
        }
        match (violations.is_empty(), repository, pull_request, revision, self.change.take()) {
            (true, Some(repository), Some(pull_request), Some(revision), Some(change)) => Ok(Submission {
                id: DeploymentId::derive(&repository, pull_request, &revision),
                repository,
                pull_request,
                revision,
                change,
                draft: self,
            }),
            _ => Err(violations),
        }
    }
}

/// Holds the number of files that a sender counted against those of its diff, each path once: git shows a file that became a link
/// as one that goes and one that comes, and counts one.
///
/// # Errors
/// When the numbers differ: the diff was cut short on its way.
pub fn check_count(counted: Option<u32>, files: &[FileChange]) -> Result<(), FieldViolation> {
    let count = files.iter().map(|file| &file.path).collect::<HashSet<_>>().len();
    match counted {
        Some(counted) if counted as usize != count => Err(FieldViolation::new(
            "files_changed",
            format!("the sender counted {counted} files, the diff holds {count}: send the whole diff"),
        )),
        _ => Ok(()),
    }
}

fn check_texts(draft: &Draft, wrong: &mut impl FnMut(&str, String)) {
    let texts = [
        ("title", &draft.title),
        ("author", &draft.author),
        ("branch", &draft.branch),
        ("base_branch", &draft.base_branch),
        ("environment", &draft.environment),
        ("submitted_by", &draft.submitted_by),
    ];
    let mut check = |field: &str, text: &str| {
        let chars = text.chars().count();
        if chars > TEXT_CHARS_MAX {
            wrong(field, format!("must have at most {TEXT_CHARS_MAX} characters, not {chars}"));
        } else if text.contains('\0') {
            wrong(field, "must not hold a NUL character".to_owned());
        }
    };
    for (field, text) in texts {
        check(field, text);
    }
    for (index, label) in draft.labels.iter().enumerate().take(LABELS_MAX) {
        check(&format!("labels[{index}]"), label);
    }
    if draft.labels.len() > LABELS_MAX {
        wrong("labels", format!("must be at most {LABELS_MAX}, not {}", draft.labels.len()));
    }
}

fn check_history(history: &History, wrong: &mut impl FnMut(&str, String)) {
    for (field, value) in history.fields() {
        if let Some(value) = value
            && !(value.is_finite() && value >= 0.0)
        {
            wrong(&format!("history.{field}"), format!("must be a finite number from 0, not {value}"));
        }
    }
}

/// Checks the change, and gives the revision that stands in when the sender gave none.
fn check_change(
    change: Option<&DraftChange>,
    diff_bytes_max: u64,
    wrong: &mut impl FnMut(&str, String),
) -> Option<Revision> {
    let too_long = |bytes: u64| format!("must have at most {diff_bytes_max} bytes, not {bytes}");
    match change {
        None => {
            wrong("diff", "is required: a unified diff, or git with two commits".to_owned());
            None
        }
        Some(DraftChange::Diff(diff)) => {
            if diff.trim().is_empty() {
                wrong("diff", "is required: a unified diff as `git diff` prints it".to_owned());
            } else if diff.len() as u64 > diff_bytes_max {
                wrong("diff", too_long(diff.len() as u64));
            } else {
                return Some(Revision::of_diff(&DiffDigest::of(diff).sha256));
            }
            None
        }
        Some(DraftChange::Stored { object, digest }) => {
            if object.is_empty() {
                wrong("stored_diff.object", "is required: the object's name".to_owned());
            }
            if digest.bytes > diff_bytes_max {
                wrong("stored_diff.bytes", too_long(digest.bytes));
            }
            let revision = Revision::parse(&format!("diff:{}", digest.sha256)).ok();
            if revision.is_none() {
                wrong("stored_diff.sha256", "must be 64 hexadecimal digits".to_owned());
            }
            revision
        }
        Some(DraftChange::Git(git)) => {
            if git.repository.is_empty() {
                wrong("git.repository", "is required: a path or an address".to_owned());
            }
            for (field, commit) in [("git.base", &git.base), ("git.head", &git.head)] {
                if !is_full_hash(commit) {
                    wrong(field, format!("must be a full commit hash of 40 or 64 digits, not {}", shown(commit)));
                }
            }
            Revision::parse(&git.head).ok()
        }
    }
}

fn is_full_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Draft {
        Draft {
            repository: "acme/shop".to_owned(),
            pull_request: 7,
            change: Some(DraftChange::Diff("--- a\n+++ b\n".to_owned())),
            ..Draft::default()
        }
    }

    #[track_caller]
    fn check(draft: Draft, expected: &[&str]) {
        let got = draft.check(1_000).err().unwrap_or_default();
        let fields: Vec<_> = got.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, expected, "{got:?}");
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        check(sound(), &[]);
        check(Draft::default(), &["repository", "pull_request", "diff"]);
        check(Draft { revision: "main".to_owned(), ..sound() }, &["revision"]);
        check(Draft { title: "x".repeat(1_001), ..sound() }, &["title"]);
        check(Draft { labels: vec![String::new(), "a\0b".to_owned()], ..sound() }, &["labels[1]"]);
        check(Draft { change: Some(DraftChange::Diff("x".repeat(1_001))), ..sound() }, &["diff"]);
        check(Draft { change: Some(DraftChange::Diff(" \n".to_owned())), ..sound() }, &["diff"]);
        let history = History { file_reverts: Some(-1.0), author_changes: Some(f64::NAN), ..History::default() };
        check(Draft { history, ..sound() }, &["history.author_changes", "history.file_reverts"]);
        let git = GitReference { repository: String::new(), base: "main".to_owned(), head: "0".repeat(40) };
        check(Draft { change: Some(DraftChange::Git(git)), ..sound() }, &["git.repository", "git.base"]);
    }

    #[test]
    fn without_a_revision_the_digest_of_the_diff_stands_in() {
        let first = sound().check(1_000).unwrap();
        let again = sound().check(1_000).unwrap();
        assert_eq!(first.id, again.id);
        assert!(first.revision.as_str().starts_with("diff:"));
    }

    #[test]
    fn a_revision_that_is_not_the_head_of_the_git_reference_is_refused() {
        let git = |head: &str| {
            Some(DraftChange::Git(GitReference {
                repository: "/r".to_owned(),
                base: "a".repeat(40),
                head: head.repeat(40),
            }))
        };
        check(Draft { revision: "b".repeat(12), change: git("b"), ..sound() }, &[]);
        check(Draft { revision: "b".repeat(12), change: git("c"), ..sound() }, &["revision"]);
    }
}
