//! A deployment: one candidate for production, and what it would change.

use time::OffsetDateTime;

use crate::identity::{DeploymentId, EventId, PullRequest, Repository, Revision};

/// One candidate for production that ingest has accepted: a pull request at one head commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Derived from the next three.
    pub id: DeploymentId,
    /// Where the pull request lives.
    pub repository: Repository,
    /// Its number.
    pub pull_request: PullRequest,
    /// Its head commit, or the diff's digest.
    pub revision: Revision,
    /// The pull request's title; empty when the sender did not say.
    pub title: String,
    /// The author's name on the forge; empty when the sender did not say.
    pub author: String,
    /// The branch to be merged; empty when the sender did not say.
    pub branch: String,
    /// The branch it goes into; empty when the sender did not say.
    pub base_branch: String,
    /// The pull request's labels, as sent.
    pub labels: Vec<String>,
    /// Where it would be deployed to (`production`, `staging`); empty when the sender did not say.
    pub environment: String,
    /// When the work began: the first commit or the opening of the pull request.
    pub opened_at: Option<OffsetDateTime>,
    /// When it is to be deployed.
    pub deploy_at: Option<OffsetDateTime>,
    /// Number of commits in the pull request.
    pub commits: Option<u32>,
    /// When ingest accepted it.
    pub accepted_at: OffsetDateTime,
    /// What it would change.
    pub change: Change,
    /// What the sender knows of the past of the touched files, the author and the repository.
    pub history: History,
    /// Who submitted it, as the front door found out; empty when it did not ask.
    pub submitted_by: String,
}

impl Deployment {
    /// The kind of event that carries an accepted deployment.
    pub const KIND: &'static str = "deployment.accepted";

    /// The id of the event that carries it.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::derive(Self::KIND, self.id, &[])
    }

    /// The same without the text of its diff.
    #[must_use]
    pub fn without_diff(mut self) -> Self {
        self.change.diff = None;
        self
    }
}

/// What a deployment would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The whole unified diff, or where it lies; `None` where it was left out, as in verdicts and answers.
    pub diff: Option<DiffReference>,
    /// SHA-256 and length of the diff.
    pub digest: DiffDigest,
    /// The files of the diff, in its order.
    pub files: Vec<FileChange>,
    /// What it does and what would undo it, line by line; `None` when a part of it has no lines, such as a binary file, or
    /// when an early version of ingest accepted it.
    pub lines: Option<LinesDigest>,
}

/// Identifies what a diff does to the lines of its files, wherever in them these stand: one diff takes another back when what it
/// does is what undoes the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinesDigest {
    /// SHA-256 of what it does, in 64 lowercase hexadecimal digits.
    pub done: String,
    /// SHA-256 of what would undo it.
    pub undone: String,
}

impl Change {
    /// Lines added over all files.
    #[must_use]
    pub fn lines_added(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.lines_added)).sum()
    }

    /// Lines deleted over all files.
    #[must_use]
    pub fn lines_deleted(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.lines_deleted)).sum()
    }
}

/// Identifies the bytes of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffDigest {
    /// SHA-256 in 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

impl DiffDigest {
    /// The digest of `diff`.
    #[must_use]
    pub fn of(diff: &str) -> Self {
        Self { sha256: crate::identity::sha256_hex(diff.as_bytes()), bytes: diff.len() as u64 }
    }
}

/// Where the text of a diff is (the claim check of Hohpe and Woolf, *Enterprise Integration Patterns*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffReference {
    /// Here.
    Inline(String),
    /// In the object store, under this name.
    Stored {
        /// Name of the object in the diffs' bucket.
        object: String,
    },
}

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Path after the change; for a deleted file, before it.
    pub path: String,
    /// Path before a rename or copy.
    pub old_path: Option<String>,
    /// What happened to it.
    pub kind: FileChangeKind,
    /// Lines added; 0 for a binary file.
    pub lines_added: u32,
    /// Lines deleted; 0 for a binary file.
    pub lines_deleted: u32,
    /// True when git shows no text for it.
    pub binary: bool,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileChangeKind {
    /// It is new.
    Added,
    /// Its content, its mode or both changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It moved, and may have changed.
    Renamed,
    /// It was made from another file.
    Copied,
}

/// What is known of the past when a deployment is submitted. Each field is `None` when it is not known: unknown is not zero.
///
/// The measures are those of just-in-time defect prediction (Kamei et al., *A Large-Scale Empirical Study of Just-in-Time
/// Quality Assurance*, IEEE TSE 39(6), 2013), extended by the history of reverts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Lines in the touched files before the change, summed (LT).
    pub lines_before: Option<f64>,
    /// Distinct earlier authors of the touched files (NDEV).
    pub prior_authors: Option<f64>,
    /// Mean days since the touched files last changed (AGE).
    pub file_age_days: Option<f64>,
    /// Distinct last changes of the touched files (NUC).
    pub last_changes: Option<f64>,
    /// The author's earlier changes (EXP).
    pub author_changes: Option<f64>,
    /// The author's earlier changes, each weighted by 1/(age in years + 1) (REXP).
    pub author_recent_changes: Option<f64>,
    /// The author's earlier changes in the touched top-level directories (SEXP).
    pub author_subsystem_changes: Option<f64>,
    /// Most earlier changes of any touched file.
    pub file_changes_max: Option<f64>,
    /// Mean earlier changes of the touched files.
    pub file_changes_mean: Option<f64>,
    /// Earlier reverted changes that touched one of the files.
    pub file_reverts: Option<f64>,
    /// The author's earlier changes that were reverted.
    pub author_reverts: Option<f64>,
    /// Reverts in the repository in the last 14 days.
    pub repository_reverts_14d: Option<f64>,
    /// Deployments of the repository in the last 24 hours.
    pub repository_deployments_24h: Option<f64>,
    /// Earlier deployments of the repository.
    pub repository_deployments: Option<f64>,
    /// Earlier reverted deployments of the repository.
    pub repository_reverts: Option<f64>,
}

impl History {
    /// Each measure as it is known here or, where it is not, as `other` knows it.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            lines_before: self.lines_before.or(other.lines_before),
            prior_authors: self.prior_authors.or(other.prior_authors),
            file_age_days: self.file_age_days.or(other.file_age_days),
            last_changes: self.last_changes.or(other.last_changes),
            author_changes: self.author_changes.or(other.author_changes),
            author_recent_changes: self.author_recent_changes.or(other.author_recent_changes),
            author_subsystem_changes: self.author_subsystem_changes.or(other.author_subsystem_changes),
            file_changes_max: self.file_changes_max.or(other.file_changes_max),
            file_changes_mean: self.file_changes_mean.or(other.file_changes_mean),
            file_reverts: self.file_reverts.or(other.file_reverts),
            author_reverts: self.author_reverts.or(other.author_reverts),
            repository_reverts_14d: self.repository_reverts_14d.or(other.repository_reverts_14d),
            repository_deployments_24h: self.repository_deployments_24h.or(other.repository_deployments_24h),
            repository_deployments: self.repository_deployments.or(other.repository_deployments),
            repository_reverts: self.repository_reverts.or(other.repository_reverts),
        }
    }

    /// Every measure by its name, in the order of the fields.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, Option<f64>); 15] {
        [
            ("lines_before", self.lines_before),
            ("prior_authors", self.prior_authors),
            ("file_age_days", self.file_age_days),
            ("last_changes", self.last_changes),
            ("author_changes", self.author_changes),
            ("author_recent_changes", self.author_recent_changes),
            ("author_subsystem_changes", self.author_subsystem_changes),
            ("file_changes_max", self.file_changes_max),
            ("file_changes_mean", self.file_changes_mean),
            ("file_reverts", self.file_reverts),
            ("author_reverts", self.author_reverts),
            ("repository_reverts_14d", self.repository_reverts_14d),
            ("repository_deployments_24h", self.repository_deployments_24h),
            ("repository_deployments", self.repository_deployments),
            ("repository_reverts", self.repository_reverts),
        ]
    }
}
