//! The file in which GitHub describes what a workflow runs for: the payload of its webhook.
//! <https://docs.github.com/webhooks/webhook-events-and-payloads>

use std::path::Path;

use serde::Deserialize;

use super::Told;
use super::environment::{Ci, remote_first, time};

/// A longer file is no event.
const BYTES_MAX: u64 = 64 << 20;

/// The parts that are read; all others are left alone, for GitHub adds to them.
#[derive(Deserialize)]
struct Payload {
    pull_request: Option<PullRequest>,
    merge_group: Option<MergeGroup>,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u32,
    #[serde(default)]
    title: String,
    user: Option<User>,
    base: Side,
    head: Side,
    #[serde(default)]
    labels: Vec<Label>,
    created_at: Option<String>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Side {
    sha: String,
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

/// What a merge queue is about to merge.
#[derive(Deserialize)]
struct MergeGroup {
    head_sha: String,
    /// `refs/heads/gh-readonly-queue/main/pr-107-<sha>`
    head_ref: String,
    base_sha: String,
    /// `refs/heads/main`
    base_ref: String,
}

/// What the file says of the pull request, and of nothing else.
///
/// # Errors
/// When it is not there, or no event of GitHub's.
pub(super) fn read(path: &Path) -> anyhow::Result<Ci> {
    let bytes = std::fs::metadata(path)?.len();
    anyhow::ensure!(bytes <= BYTES_MAX, "{bytes} bytes are too many for an event");
    let payload: Payload = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(match payload {
        Payload { pull_request: Some(pull_request), .. } => of_pull_request(pull_request),
        Payload { merge_group: Some(group), .. } => of_merge_group(&group),
        _ => Ci::default(),
    })
}

fn of_pull_request(request: PullRequest) -> Ci {
    const FROM: &str = "GITHUB_EVENT_PATH, pull_request";
    let told = |text: String| (!text.is_empty()).then(|| Told::new(text, FROM));
    let labels = request.labels.into_iter().map(|label| label.name).collect();
    let base_branch = told(request.base.name);
    Ci {
        pull_request: Some(Told::new(request.number, FROM)),
        head: told(request.head.sha),
        // The base branch goes on while the pull request is open; the commit may be from before.
        bases: remote_first(base_branch.as_ref()).into_iter().chain(told(request.base.sha)).collect(),
        base_branch,
        branch: told(request.head.name),
        title: told(request.title),
        author: request.user.and_then(|user| told(user.login)),
        labels: Some(Told::new(labels, FROM)),
        opened_at: request.created_at.as_deref().and_then(time).map(|at| Told::new(at, FROM)),
        ..Ci::default()
    }
}

fn of_merge_group(group: &MergeGroup) -> Ci {
    const FROM: &str = "GITHUB_EVENT_PATH, merge_group";
    let number =
        group.head_ref.rsplit('/').next().and_then(|last| last.strip_prefix("pr-")?.split('-').next()?.parse().ok());
    let told = |text: &str| (!text.is_empty()).then(|| Told::new(text.to_owned(), FROM));
    Ci {
        pull_request: number.map(|number| Told::new(number, FROM)),
        head: told(&group.head_sha),
        // Not the branch: what stands before it in the queue is judged by itself.
        bases: told(&group.base_sha).into_iter().collect(),
        base_branch: told(group.base_ref.strip_prefix("refs/heads/").unwrap_or(&group.base_ref)),
        ..Ci::default()
    }
}
