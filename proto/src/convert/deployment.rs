//! Deployments and their changes.

use domain::{
    Change, Deployment, DiffDigest, DiffReference, FileChange, History, LinesDigest, PullRequest, Repository, Revision,
};

use super::{deployment_id, each, enums, optional_time, required, required_time, timestamp};
use crate::event::Event;
use crate::{Malformed, v1};

pub(crate) fn accepted_to(deployment: &Deployment) -> v1::DeploymentAccepted {
    v1::DeploymentAccepted {
        event_id: Event::event_id(deployment).to_string(),
        deployment: Some(deployment_to(deployment)),
    }
}

pub(crate) fn accepted_from(message: v1::DeploymentAccepted) -> Result<Deployment, Malformed> {
    deployment_from(required("deployment", message.deployment)?).map_err(|error| error.within("deployment"))
}

pub(crate) fn deployment_to(deployment: &Deployment) -> v1::Deployment {
    v1::Deployment {
        deployment_id: deployment.id.to_string(),
        repository: deployment.repository.to_string(),
        pull_request: deployment.pull_request.get(),
        revision: deployment.revision.to_string(),
        title: deployment.title.clone(),
        author: deployment.author.clone(),
        branch: deployment.branch.clone(),
        base_branch: deployment.base_branch.clone(),
        labels: deployment.labels.clone(),
        environment: deployment.environment.clone(),
        opened_at: deployment.opened_at.map(timestamp),
        deploy_at: deployment.deploy_at.map(timestamp),
        commits: deployment.commits,
        accepted_at: Some(timestamp(deployment.accepted_at)),
        submitted_by: deployment.submitted_by.clone(),
        change: Some(change_to(&deployment.change)),
        history: history_to(&deployment.history),
    }
}

impl From<Deployment> for v1::Deployment {
    fn from(deployment: Deployment) -> Self {
        deployment_to(&deployment)
    }
}

pub(crate) fn deployment_from(message: v1::Deployment) -> Result<Deployment, Malformed> {
    let wrong = |field: &'static str| move |problem: String| Malformed::new(field, problem);
    Ok(Deployment {
        id: deployment_id(&message.deployment_id)?,
        repository: Repository::parse(&message.repository).map_err(wrong("repository"))?,
        pull_request: PullRequest::new(message.pull_request).map_err(wrong("pull_request"))?,
        revision: Revision::parse(&message.revision).map_err(wrong("revision"))?,
        title: message.title,
        author: message.author,
        branch: message.branch,
        base_branch: message.base_branch,
        labels: message.labels,
        environment: message.environment,
        opened_at: optional_time("opened_at", message.opened_at)?,
        deploy_at: optional_time("deploy_at", message.deploy_at)?,
        commits: message.commits,
        accepted_at: required_time("accepted_at", message.accepted_at)?,
        submitted_by: message.submitted_by,
        change: change_from(required("change", message.change)?).map_err(|error| error.within("change"))?,
        history: history_from(message.history),
    })
}

fn change_to(change: &Change) -> v1::Change {
    v1::Change {
        diff: change.diff.as_ref().map(|diff| match diff {
            DiffReference::Inline(text) => v1::change::Diff::Inline(text.clone()),
            DiffReference::Stored { object } => v1::change::Diff::Object(object.clone()),
        }),
        sha256: change.digest.sha256.clone(),
        bytes: change.digest.bytes,
        files: change.files.iter().map(file_to).collect(),
        lines_done: change.lines.as_ref().map(|lines| lines.done.clone()).unwrap_or_default(),
        lines_undone: change.lines.as_ref().map(|lines| lines.undone.clone()).unwrap_or_default(),
    }
}

fn change_from(message: v1::Change) -> Result<Change, Malformed> {
    Ok(Change {
        diff: message.diff.map(|diff| match diff {
            v1::change::Diff::Inline(text) => DiffReference::Inline(text),
            v1::change::Diff::Object(object) => DiffReference::Stored { object },
        }),
        digest: DiffDigest { sha256: message.sha256, bytes: message.bytes },
        files: each("files", message.files, file_from)?,
        lines: (!message.lines_done.is_empty() && !message.lines_undone.is_empty())
            .then_some(LinesDigest { done: message.lines_done, undone: message.lines_undone }),
    })
}

fn file_to(file: &FileChange) -> v1::FileChange {
    v1::FileChange {
        path: file.path.clone(),
        old_path: file.old_path.clone().unwrap_or_default(),
        kind: enums::file_kind_to(file.kind),
        lines_added: file.lines_added,
        lines_deleted: file.lines_deleted,
        binary: file.binary,
    }
}

fn file_from(message: v1::FileChange) -> Result<FileChange, Malformed> {
    Ok(FileChange {
        path: message.path,
        old_path: Some(message.old_path).filter(|path| !path.is_empty()),
        kind: enums::file_kind_from("kind", message.kind)?,
        lines_added: message.lines_added,
        lines_deleted: message.lines_deleted,
        binary: message.binary,
    })
}

pub(crate) fn history_to(history: &History) -> Option<v1::History> {
    let message = v1::History {
        lines_before: history.lines_before,
        prior_authors: history.prior_authors,
        file_age_days: history.file_age_days,
        last_changes: history.last_changes,
        author_changes: history.author_changes,
        author_recent_changes: history.author_recent_changes,
        author_subsystem_changes: history.author_subsystem_changes,
        file_changes_max: history.file_changes_max,
        file_changes_mean: history.file_changes_mean,
        file_reverts: history.file_reverts,
        author_reverts: history.author_reverts,
        repository_reverts_14d: history.repository_reverts_14d,
        repository_deployments_24h: history.repository_deployments_24h,
        repository_deployments: history.repository_deployments,
        repository_reverts: history.repository_reverts,
    };
    (message != v1::History::default()).then_some(message)
}

pub(crate) fn history_from(message: Option<v1::History>) -> History {
    let history = message.unwrap_or_default();
    History {
        lines_before: history.lines_before,
        prior_authors: history.prior_authors,
        file_age_days: history.file_age_days,
        last_changes: history.last_changes,
        author_changes: history.author_changes,
        author_recent_changes: history.author_recent_changes,
        author_subsystem_changes: history.author_subsystem_changes,
        file_changes_max: history.file_changes_max,
        file_changes_mean: history.file_changes_mean,
        file_reverts: history.file_reverts,
        author_reverts: history.author_reverts,
        repository_reverts_14d: history.repository_reverts_14d,
        repository_deployments_24h: history.repository_deployments_24h,
        repository_deployments: history.repository_deployments,
        repository_reverts: history.repository_reverts,
    }
}
