//! The words of FailSafe: what a deployment, a finding, a signal, a risk, a verdict and an explanation are, and what
//! must hold of each.
//!
//! Pure: no I/O, no async, no clock, no log, and no knowledge of the wire or of the tables.

pub mod deployment;
pub mod diff;
pub mod explanation;
pub mod identity;
pub mod query;
pub mod record;
pub mod signal;
pub mod submission;
pub mod verdict;

pub use deployment::{Change, Deployment, DiffDigest, DiffReference, FileChange, FileChangeKind, History, LinesDigest};
pub use explanation::{Claim, Explanation, ExplanationRequest, ModelName, Origin};
pub use identity::{DeploymentId, EventId, PullRequest, Repository, RequestId, Revision};
pub use query::{Attestation, Dossier, ListQuery, Order, Page, Place, Progress, Summary};
pub use record::{AgainstVerdict, Outcome, OutcomeKind, Review, ReviewDecision};
pub use signal::{
    Analysis, Category, Confidence, Contribution, Finding, Grounds, Provenance, Rank, Risk, RiskScore, Said, Severity,
    Shadow, Signal, Source, SuppressedBy, Suppression,
};
pub use submission::{Draft, DraftChange, FieldViolation, GitReference, Submission};
pub use verdict::{
    Approvals, Cause, Circumstances, Counterfactual, Evidence, Judgement, Missing, MissingInput, Overruled,
    PolicyStamp, Reached, Reason, Remedy, Verdict,
};
