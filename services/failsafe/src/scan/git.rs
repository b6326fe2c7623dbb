//! What git says has changed.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::git::GitClone;

/// What changed at and below `paths` since this branch left `base`, commits and working tree alike.
pub(super) fn diff(base: &str, paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let clone = GitClone::at(Path::new(".")).context("--base compares by git, and this is no git repository")?;
    let from = clone.merge_base(base, "HEAD")?.with_context(|| {
        format!("git cannot compare with {base:?}, which must be a branch, tag or commit that is there")
    })?;
    clone.diff_to_here(&from, paths).with_context(|| format!("git cannot compare with {base:?}"))
}
