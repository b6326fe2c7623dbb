//! Submissions: unchecked both ways, for the checks are the domain's (`Draft::check`).

use domain::{DiffDigest, Draft, DraftChange, GitReference};

use super::{deployment, optional_time, timestamp};
use crate::{Malformed, v1};

pub(crate) fn draft_to(draft: &Draft) -> v1::SubmitDeploymentRequest {
    use v1::submit_deployment_request::Change;
    v1::SubmitDeploymentRequest {
        repository: draft.repository.clone(),
        pull_request: draft.pull_request,
        revision: draft.revision.clone(),
        change: draft.change.as_ref().map(|change| match change {
            DraftChange::Diff(diff) => Change::Diff(diff.clone()),
            DraftChange::Stored { object, digest } => Change::StoredDiff(v1::StoredDiff {
                object: object.clone(),
                sha256: digest.sha256.clone(),
                bytes: digest.bytes,
            }),
            DraftChange::Git(git) => Change::Git(v1::GitReference {
                repository: git.repository.clone(),
                base: git.base.clone(),
                head: git.head.clone(),
            }),
        }),
        title: draft.title.clone(),
        author: draft.author.clone(),
        branch: draft.branch.clone(),
        base_branch: draft.base_branch.clone(),
        labels: draft.labels.clone(),
        environment: draft.environment.clone(),
        opened_at: draft.opened_at.map(timestamp),
        deploy_at: draft.deploy_at.map(timestamp),
        commits: draft.commits,
        files_changed: draft.files_changed,
        history: deployment::history_to(&draft.history),
        wait: None,
        submitted_by: draft.submitted_by.clone(),
    }
}

pub(crate) fn draft_from(message: v1::SubmitDeploymentRequest) -> Result<Draft, Malformed> {
    use v1::submit_deployment_request::Change;
    Ok(Draft {
        repository: message.repository,
        pull_request: message.pull_request,
        revision: message.revision,
        change: message.change.map(|change| match change {
            Change::Diff(diff) => DraftChange::Diff(diff),
            Change::StoredDiff(stored) => DraftChange::Stored {
                object: stored.object,
                digest: DiffDigest { sha256: stored.sha256, bytes: stored.bytes },
            },
            Change::Git(git) => {
                DraftChange::Git(GitReference { repository: git.repository, base: git.base, head: git.head })
            }
        }),
        title: message.title,
        author: message.author,
        branch: message.branch,
        base_branch: message.base_branch,
        labels: message.labels,
        environment: message.environment,
        opened_at: optional_time("opened_at", message.opened_at)?,
        deploy_at: optional_time("deploy_at", message.deploy_at)?,
        commits: message.commits,
        files_changed: message.files_changed,
        history: deployment::history_from(message.history),
        submitted_by: message.submitted_by,
    })
}

impl TryFrom<v1::SubmitDeploymentRequest> for Draft {
    type Error = Malformed;

    fn try_from(message: v1::SubmitDeploymentRequest) -> Result<Self, Malformed> {
        draft_from(message)
    }
}
