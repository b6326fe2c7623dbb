//! The environment of this process, and what its CI says of the pull request that it runs for.
//!
//! Pure over what it is given: each kind of CI is a table of variables.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Told;
use super::event;
use crate::git;

/// Variables by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(HashMap<String, String>);

impl Environment {
    /// That of this process; what is not text is left out.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// A variable; `None` when it is not set, or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these variables that is set.
    fn first(&self, names: &[&'static str]) -> Option<Told<String>> {
        names.iter().find_map(|name| Some(Told::new(self.get(name)?.to_owned(), name)))
    }

    /// The same as a number.
    fn number(&self, names: &[&'static str]) -> Option<Told<u32>> {
        names.iter().find_map(|name| Some(Told::new(self.get(name)?.parse().ok()?, name)))
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// What a CI says of the pull request that it runs for, as far as it does.
#[derive(Debug, Default)]
pub(super) struct Ci {
    /// What it is called.
    pub(super) name: &'static str,
    pub(super) repository: Option<Told<String>>,
    pub(super) pull_request: Option<Told<u32>>,
    pub(super) head: Option<Told<String>>,
    /// Where the change begins: names for git, the best first.
    pub(super) bases: Vec<Told<String>>,
    pub(super) base_branch: Option<Told<String>>,
    pub(super) branch: Option<Told<String>>,
    pub(super) title: Option<Told<String>>,
    pub(super) author: Option<Told<String>>,
    pub(super) labels: Option<Told<Vec<String>>>,
    pub(super) opened_at: Option<Told<OffsetDateTime>>,
    /// Where the files of a commit are shown: `https://github.com/acme/shop/blob/`.
    pub(super) files_at: Option<String>,
    /// In which of its variables a number, a base and a repository were looked for, when they are missing.
    pub(super) looked: Looked,
}

/// The variables that were looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    pub(super) pull_request: &'static str,
    pub(super) base: &'static str,
    pub(super) repository: &'static str,
}

/// What is said where no CI is recognised.
pub(super) const LOOKED_EVERYWHERE: Looked = Looked {
    pull_request: "GITHUB_EVENT_PATH and GITHUB_REF, CI_MERGE_REQUEST_IID, CHANGE_ID and ghprbPullId, BUILDKITE_PULL_REQUEST",
    base: "GITHUB_BASE_REF, CI_MERGE_REQUEST_DIFF_BASE_SHA, CHANGE_TARGET and ghprbTargetBranch, BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    repository: "GITHUB_REPOSITORY, CI_MERGE_REQUEST_PROJECT_PATH, CHANGE_URL and ghprbGhRepository, BUILDKITE_REPO",
};

impl Ci {
    /// The CI that `environment` is of; `None` when it is of none that is known here.
    ///
    /// # Errors
    /// When the file that GitHub describes the event in cannot be read.
    pub(super) fn recognise(environment: &Environment) -> anyhow::Result<Option<Self>> {
        let said = |name: &str| environment.get(name).is_some();
        if said("GITHUB_ACTIONS") {
            return github(environment).map(Some);
        }
        Ok(if said("GITLAB_CI") {
            Some(gitlab(environment))
        } else if said("BUILDKITE") {
            Some(buildkite(environment))
        } else if said("JENKINS_URL") || said("ghprbPullId") {
            Some(jenkins(environment))
        } else {
            None
        })
    }
}

/// <https://docs.github.com/actions/reference/workflows-and-actions/variables>; the event's file is the webhook's payload.
fn github(environment: &Environment) -> anyhow::Result<Ci> {
    let event = match environment.get("GITHUB_EVENT_PATH") {
        Some(path) => event::read(Path::new(path)).with_context(|| format!("cannot read GITHUB_EVENT_PATH {path}"))?,
        None => Ci::default(),
    };
    // `refs/pull/107/merge`
    let by_ref =
        environment.get("GITHUB_REF").and_then(|name| name.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok());
    let base_branch = event.base_branch.or_else(|| environment.first(&["GITHUB_BASE_REF"]));
    let repository = environment.first(&["GITHUB_REPOSITORY"]);
    let files_at = environment.get("GITHUB_SERVER_URL").zip(repository.as_ref());
    Ok(Ci {
        name: "GitHub Actions",
        files_at: files_at.map(|(server, repository)| format!("{server}/{}/blob/", repository.value)),
        pull_request: event.pull_request.or_else(|| Some(Told::new(by_ref?, "GITHUB_REF"))),
        bases: if event.bases.is_empty() { remote_first(base_branch.as_ref()) } else { event.bases },
        base_branch,
        branch: event.branch.or_else(|| environment.first(&["GITHUB_HEAD_REF"])),
        repository,
        looked: Looked {
            pull_request: "the pull_request of GITHUB_EVENT_PATH and GITHUB_REF: does the workflow run on pull_request or merge_group?",
            base: "the base of GITHUB_EVENT_PATH and GITHUB_BASE_REF",
            repository: "GITHUB_REPOSITORY",
        },
        ..event
    })
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>
fn gitlab(environment: &Environment) -> Ci {
    // Of a merged result the source's own commit is told; else the pipeline runs for that commit itself.
    let base_branch = environment.first(&["CI_MERGE_REQUEST_TARGET_BRANCH_NAME"]);
    let bases = environment.first(&["CI_MERGE_REQUEST_DIFF_BASE_SHA"]);
    let opened = environment.get("CI_MERGE_REQUEST_IID").is_some();
    Ci {
        name: "GitLab",
        repository: environment.first(&["CI_MERGE_REQUEST_PROJECT_PATH", "CI_PROJECT_PATH"]),
        pull_request: environment.number(&["CI_MERGE_REQUEST_IID"]),
        head: opened.then(|| environment.first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"])).flatten(),
        bases: bases.into_iter().chain(remote_first(base_branch.as_ref())).collect(),
        base_branch,
        branch: environment.first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"]),
        title: environment.first(&["CI_MERGE_REQUEST_TITLE"]),
        author: environment.first(&["GITLAB_USER_LOGIN"]),
        labels: environment.first(&["CI_MERGE_REQUEST_LABELS"]).map(|labels| labels.map(|labels| listed(&labels))),
        opened_at: None,
        files_at: environment.get("CI_PROJECT_URL").map(|url| format!("{url}/-/blob/")),
        looked: Looked {
            pull_request: "CI_MERGE_REQUEST_IID: does the job run in a merge request pipeline?",
            base: "CI_MERGE_REQUEST_DIFF_BASE_SHA and CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
            repository: "CI_MERGE_REQUEST_PROJECT_PATH and CI_PROJECT_PATH",
        },
    }
}

/// Multibranch pipelines (`CHANGE_*`) and the GitHub pull request builder (`ghprb*`).
fn jenkins(environment: &Environment) -> Ci {
    let base_branch = environment.first(&["CHANGE_TARGET", "ghprbTargetBranch"]);
    // https://github.com/acme/shop/pull/107, https://gitlab.example.org/group/shop/-/merge_requests/107
    let by_url = environment.get("CHANGE_URL").and_then(|url| {
        let ends = ["/-/merge_requests/", "/pull/", "/pull-requests/", "/merge_requests/"];
        git::path_of(ends.iter().find_map(|end| url.split_once(end))?.0)
    });
    let by_url = by_url.map(|path| Told::new(path, "CHANGE_URL"));
    Ci {
        name: "Jenkins",
        repository: environment.first(&["ghprbGhRepository"]).or(by_url),
        pull_request: environment.number(&["CHANGE_ID", "ghprbPullId"]),
        head: environment.first(&["ghprbActualCommit"]),
        bases: remote_first(base_branch.as_ref()),
        base_branch,
        branch: environment.first(&["CHANGE_BRANCH", "ghprbSourceBranch"]),
        title: environment.first(&["CHANGE_TITLE", "ghprbPullTitle"]),
        author: environment.first(&["CHANGE_AUTHOR", "ghprbPullAuthorLogin"]),
        looked: Looked {
            pull_request: "CHANGE_ID (a multibranch pipeline) and ghprbPullId (the GitHub pull request builder)",
            base: "CHANGE_TARGET and ghprbTargetBranch",
            repository: "ghprbGhRepository and CHANGE_URL",
        },
        ..Ci::default()
    }
}

/// <https://buildkite.com/docs/pipelines/configure/environment-variables>
fn buildkite(environment: &Environment) -> Ci {
    let base_branch = environment.first(&["BUILDKITE_PULL_REQUEST_BASE_BRANCH"]);
    let repository = environment.get("BUILDKITE_REPO").and_then(git::path_of);
    // Before the checkout it is the word HEAD.
    let head = environment.first(&["BUILDKITE_COMMIT"]).filter(|head| head.value != "HEAD");
    Ci {
        name: "Buildkite",
        repository: repository.map(|path| Told::new(path, "BUILDKITE_REPO")),
        // "false" where there is none.
        pull_request: environment.number(&["BUILDKITE_PULL_REQUEST"]),
        head,
        bases: remote_first(base_branch.as_ref()),
        base_branch,
        branch: environment.first(&["BUILDKITE_BRANCH"]),
        author: environment.first(&["BUILDKITE_BUILD_AUTHOR"]),
        labels: environment
            .first(&["BUILDKITE_PULL_REQUEST_LABELS"])
            .map(|labels| labels.map(|labels| listed(&labels))),
        looked: Looked {
            pull_request: "BUILDKITE_PULL_REQUEST: does the pipeline build pull requests?",
            base: "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
            repository: "BUILDKITE_REPO",
        },
        ..Ci::default()
    }
}

/// A branch as the remote has it, then as it is here: a clone in CI has old branches of its own, or none.
pub(super) fn remote_first(branch: Option<&Told<String>>) -> Vec<Told<String>> {
    let named = |told: &Told<String>| {
        // By its whole name: a tag called `origin/main` would go before it otherwise, and hide a part of the change.
        [format!("refs/remotes/origin/{}", told.value), told.value.clone()].map(|name| Told::new(name, told.from))
    };
    branch.map(named).into_iter().flatten().collect()
}

fn listed(labels: &str) -> Vec<String> {
    labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// A time as GitHub writes it.
pub(super) fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
