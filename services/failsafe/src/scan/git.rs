//! What git says has changed. Every option is stated, so that no setting or attribute leaves anything out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

const OPTIONS: [&str; 13] = [
    "diff",
    "-p",
    "-M",
    "--unified=3",
    "--inter-hunk-context=0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--ignore-submodules=none",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// What changed at and below `paths` since this branch left `base`, commits and working tree alike.
pub(super) fn diff(base: &str, paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let inside = run(Command::new("git").args(["rev-parse", "--is-inside-work-tree"]));
    inside.context("--base compares by git, and this is no git repository")?;
    let from = run(Command::new("git").args(["merge-base", "--end-of-options", base, "HEAD"]));
    let from = from.with_context(|| {
        format!("git cannot compare with {base:?}, which must be a branch, tag or commit that is there")
    })?;
    // The attributes of the empty tree: a change cannot hide its files by calling them binary (`* -diff`).
    let nothing = run(Command::new("git").args(["hash-object", "-t", "tree", "--stdin"]))?;
    let mut command = Command::new("git");
    command.args(["-c", "core.bigFileThreshold=512m", "-c", "core.attributesFile=/dev/null"]).args(OPTIONS);
    command.args([line(&from), "--"]).args(paths).env("GIT_ATTR_SOURCE", line(&nothing));
    run(&mut command).with_context(|| format!("git cannot compare with {base:?}"))
}

fn line(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim()
}

fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stdin(std::process::Stdio::null()).output().context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}",
        if said.trim().is_empty() { "git found nothing in common" } else { said.trim() }
    );
    Ok(output.stdout)
}
