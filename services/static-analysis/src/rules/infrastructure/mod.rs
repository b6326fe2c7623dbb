//! Containers, clusters, clouds and pipelines.

use std::sync::LazyLock;

use domain::{FileChange, FileChangeKind};

use super::Rule;
use crate::paths;

pub mod docker_pipe_to_shell;
pub mod docker_root_user;
mod dockerfile;
pub mod github_untrusted_checkout;
mod hcl;
pub mod kubernetes_host_namespace;
pub mod kubernetes_privileged;
pub mod terraform_open_ingress;
pub mod terraform_public_acl;

/// The rules of this category: those with a file of their own, and the rows of the tables.
pub(crate) fn rules() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> = LazyLock::new(|| RULES.to_vec());
    &ALL
}

static RULES: &[&Rule] = &[
    &docker_pipe_to_shell::RULE,
    &docker_root_user::RULE,
    &kubernetes_privileged::RULE,
    &kubernetes_host_namespace::RULE,
    &terraform_open_ingress::RULE,
    &terraform_public_acl::RULE,
    &github_untrusted_checkout::RULE,
];

fn is_dockerfile(change: &FileChange) -> bool {
    let name = paths::name(&change.path).to_ascii_lowercase();
    let named =
        |word: &str| name == word || name.starts_with(&format!("{word}.")) || name.ends_with(&format!(".{word}"));
    change.kind != FileChangeKind::Deleted && (named("dockerfile") || named("containerfile"))
}

fn is_terraform(change: &FileChange) -> bool {
    change.kind != FileChangeKind::Deleted && matches!(paths::extension(&change.path), "tf" | "tofu")
}

fn is_github_workflow(change: &FileChange) -> bool {
    let path = change.path.as_str();
    let yaml = matches!(paths::extension(path), "yml" | "yaml");
    let folder = paths::folder(path);
    change.kind != FileChangeKind::Deleted
        && yaml
        && (folder == ".github/workflows" || folder.ends_with("/.github/workflows"))
}

/// True for YAML that may be a Kubernetes manifest or a chart's template, and not a known other thing.
fn may_be_kubernetes(path: &str) -> bool {
    let name = paths::name(path).to_ascii_lowercase();
    let yaml = matches!(paths::extension(&name), "yml" | "yaml" | "tpl");
    yaml && !name.contains("compose") && !paths::has_folder(path, "workflows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_path() {
        let change = |path: &str| FileChange {
            path: path.to_owned(),
            old_path: None,
            kind: FileChangeKind::Added,
            lines_added: 1,
            lines_deleted: 0,
            binary: false,
        };
        for path in ["Dockerfile", "a/Dockerfile.prod", "web.dockerfile", "Containerfile"] {
            assert!(is_dockerfile(&change(path)), "{path}");
        }
        assert!(!is_dockerfile(&change("docs/dockerfiles.md")));
        assert!(is_github_workflow(&change(".github/workflows/ci.yml")));
        assert!(is_github_workflow(&change("cases/7/.github/workflows/ci.yaml")));
        assert!(!is_github_workflow(&change("workflows/ci.yml")));
        assert!(may_be_kubernetes("k8s/pod.yaml") && !may_be_kubernetes("docker-compose.yml"));
    }
}
