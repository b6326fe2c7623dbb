//! A workflow or an action as GitHub reads it: triggers, jobs and steps.

use super::super::yaml::Yaml;

/// A file that GitHub runs.
#[derive(Clone, Copy)]
pub(super) struct Workflow<'d> {
    /// The mapping that holds everything.
    pub(super) root: Yaml<'d>,
    /// Whether it is an action, and not a workflow.
    pub(super) is_action: bool,
}

/// One job.
#[derive(Clone, Copy)]
pub(super) struct Job<'d> {
    /// Its name.
    pub(super) key: Yaml<'d>,
    /// What it is.
    pub(super) node: Yaml<'d>,
}

/// One step, and the job that it is in; an action's steps are in none.
#[derive(Clone, Copy)]
pub(super) struct Step<'d> {
    /// What it is.
    pub(super) node: Yaml<'d>,
    /// Its job.
    pub(super) job: Option<Job<'d>>,
}

/// Another action or workflow that is named by `uses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uses<'d> {
    /// Owner and repository, as written.
    pub(super) repository: &'d str,
    /// The folder in it; empty for none.
    pub(super) folder: &'d str,
    /// What is behind the `@`; empty for nothing.
    pub(super) reference: &'d str,
}

impl<'d> Workflow<'d> {
    /// `None` for YAML that is neither.
    pub(super) fn of(root: Yaml<'d>) -> Option<Self> {
        if root.at(&["runs", "using"]).is_some() {
            return Some(Self { root, is_action: true });
        }
        let jobs = root.get("jobs").is_some_and(Yaml::is_mapping);
        (jobs || root.get("on").is_some()).then_some(Self { root, is_action: false })
    }

    /// The events that start it, each with its key (or itself) and its settings.
    pub(super) fn triggers(&self) -> Vec<(&'d str, Yaml<'d>, Option<Yaml<'d>>)> {
        // YAML 1.1 reads the key `on` as a truth; GitHub does not.
        let Some(on) = self.root.get("on").or(self.root.get("true")) else { return Vec::new() };
        if on.is_mapping() {
            return on.entries().filter_map(|(key, value)| Some((key.text()?, key, Some(value)))).collect();
        }
        let names = on.text().is_some().then_some(on).into_iter().chain(on.items());
        names.filter_map(|name| Some((name.text()?, name, None))).collect()
    }

    /// Whether this event starts it.
    pub(super) fn has_trigger(&self, names: &[&str]) -> bool {
        self.triggers().iter().any(|(name, ..)| names.contains(name))
    }

    /// Its jobs; none for an action.
    pub(super) fn jobs(&self) -> impl Iterator<Item = Job<'d>> + use<'d> {
        let jobs = self.root.get("jobs").into_iter().flat_map(Yaml::entries);
        jobs.filter(|(_, node)| node.is_mapping()).map(|(key, node)| Job { key, node })
    }

    /// All steps of all jobs, or those of the action.
    pub(super) fn steps(&self) -> Vec<Step<'d>> {
        let own = self.root.get("runs").into_iter().flat_map(|runs| runs.list("steps"));
        let own = own.map(|node| Step { node, job: None });
        let of_jobs = self.jobs().flat_map(|job| job.steps());
        own.chain(of_jobs).filter(|step| step.node.is_mapping()).collect()
    }
}

impl<'d> Job<'d> {
    /// Its steps.
    pub(super) fn steps(self) -> impl Iterator<Item = Step<'d>> {
        self.node.list("steps").filter(|node| node.is_mapping()).map(move |node| Step { node, job: Some(self) })
    }
}

impl<'d> Step<'d> {
    /// The node that names the action, and what it names.
    pub(super) fn uses(&self) -> Option<(Yaml<'d>, Uses<'d>)> {
        let node = self.node.get("uses")?;
        Some((node, Uses::of(node.text()?)?))
    }

    /// Whether it uses one of these actions (`owner/repository` or `owner/repository/folder`).
    pub(super) fn is_action(&self, names: &[&str]) -> bool {
        self.uses().is_some_and(|(_, uses)| names.iter().any(|name| uses.is(name)))
    }

    /// An input that it gives its action.
    pub(super) fn input(&self, name: &str) -> Option<Yaml<'d>> {
        self.node.at(&["with", name])
    }

    /// The program that it runs.
    pub(super) fn run(&self) -> Option<Yaml<'d>> {
        self.node.get("run").filter(|run| run.text().is_some())
    }

    /// The shell that runs it, as far as it is said.
    pub(super) fn shell(&self, workflow: &Workflow<'d>) -> Option<Yaml<'d>> {
        let of_job = || self.job.and_then(|job| job.node.at(&["defaults", "run", "shell"]));
        self.node.get("shell").or_else(of_job).or_else(|| workflow.root.at(&["defaults", "run", "shell"]))
    }
}

impl<'d> Uses<'d> {
    /// `None` for a path in the same repository, and for an image.
    pub(super) fn of(text: &'d str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("./")
            || text.starts_with("../")
            || text.starts_with("$/")
            || text.starts_with("docker://")
            || text.contains("${{")
        {
            return None;
        }
        let (path, reference) = text.split_once('@').unwrap_or((text, ""));
        let slash = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
        let repository = &path[..slash];
        let folder = path[slash..].trim_start_matches('/');
        repository.contains('/').then_some(Self { repository, folder, reference })
    }

    /// Whether it is this action, whatever the case.
    pub(super) fn is(&self, name: &str) -> bool {
        if self.folder.is_empty() || name.eq_ignore_ascii_case(self.repository) {
            return name.eq_ignore_ascii_case(self.repository)
                && (self.folder.is_empty() || name.matches('/').count() == 1);
        }
        name.eq_ignore_ascii_case(&format!("{}/{}", self.repository, self.folder))
    }

    /// Whether the reference is a commit.
    pub(super) fn is_commit(&self) -> bool {
        matches!(self.reference.len(), 40 | 64) && self.reference.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// The version that the reference names, as far as it goes: `v4.1` is 4 and 1.
    pub(super) fn version(&self) -> Option<Vec<u64>> {
        let text = self.reference.strip_prefix(['v', 'V']).unwrap_or(self.reference);
        let plain = text.split(['-', '+']).next().unwrap_or(text);
        plain.split('.').map(|part| part.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_taken_apart() {
        let uses = Uses::of("github/codeql-action/init@v3").unwrap();
        assert_eq!((uses.repository, uses.folder, uses.reference), ("github/codeql-action", "init", "v3"));
        assert!(uses.is("GitHub/codeql-action/init") && !uses.is("github/codeql-action/analyze") && !uses.is_commit());
        assert_eq!(Uses::of("a/b@v4.1.2-rc1").unwrap().version(), Some(vec![4, 1, 2]));
        assert_eq!(Uses::of("a/b@main").unwrap().version(), None);
        for other in ["./a", "docker://a:1", "a", "${{ a }}"] {
            assert_eq!(Uses::of(other), None, "{other}");
        }
        assert!(Uses::of("a/b@11bd71901bbe5b1630ceea73d27597364c9af683").unwrap().is_commit());
    }
}
