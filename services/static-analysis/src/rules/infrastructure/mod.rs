//! Containers, clusters, clouds and pipelines.

use std::sync::LazyLock;

use domain::{FileChange, FileChangeKind};

use super::Rule;
use crate::paths;

pub mod compose;
pub mod docker;
pub mod github;
pub mod kubernetes;
pub mod nginx;
#[cfg(test)]
mod properties;
mod report;
pub(crate) mod terraform;
pub mod terraform_public_acl;
mod view;
mod yaml;

/// The rules of this category: those with a file of their own, and the rows of the tables.
pub(crate) fn rules() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        let mut all = docker::rules();
        all.extend(kubernetes::rules());
        all.extend(compose::rules());
        all.extend(nginx::rules());
        all.extend(github::rules());
        all.push(&terraform_public_acl::RULE);
        all.extend(terraform::rules());
        all
    });
    &ALL
}

fn is_terraform(change: &FileChange) -> bool {
    change.kind != FileChangeKind::Deleted && matches!(paths::extension(&change.path), "tf" | "tofu")
}

fn is_yaml(path: &str) -> bool {
    matches!(paths::extension(path), "yml" | "yaml")
}

/// The lines that a check of many rules finds for the rule whose id ends with `id`, in order. Without the engine around it a
/// table of cases takes no time.
#[cfg(test)]
fn lines_of(file: &domain::diff::FileDiff<'_>, hits: &[(&'static str, super::FileHit)], id: &str) -> Vec<u32> {
    let own = hits.iter().filter(|(rule, _)| rule.strip_suffix(id).is_some_and(|rest| rest.ends_with('.')));
    let place = |(hunk, line): (usize, usize)| file.hunks[hunk].lines[line].number;
    let mut lines: Vec<_> = own.map(|(_, hit)| hit.line.map_or(0, place)).collect();
    lines.sort_unstable();
    lines
}
