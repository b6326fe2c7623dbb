//! A git clone, asked by the program `git`. Every option is stated, so that no setting or attribute leaves anything out of a diff.
//!
//! Knows nothing of deployments.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};
use ingest::git::DIFF_OPTIONS;

/// The first git that is told by `GIT_ATTR_SOURCE` where attributes come from.
const GIT_MIN: (u32, u32) = (2, 41);

/// A clone on this machine.
#[derive(Clone, Debug)]
pub(crate) struct GitClone {
    folder: PathBuf,
}

/// What a commit says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Who wrote it.
    pub(crate) author: String,
    /// The first line of its message.
    pub(crate) subject: String,
}

impl GitClone {
    /// The clone that `folder` is in.
    ///
    /// # Errors
    /// When it is in none, or there is no git.
    pub(crate) fn at(folder: &Path) -> anyhow::Result<Self> {
        let clone = Self { folder: folder.to_owned() };
        clone.answer(&["rev-parse", "--git-dir"])?;
        Ok(clone)
    }

    /// The hash of the commit that `name` names; `None` when there is no such commit here.
    pub(crate) fn commit(&self, name: &str) -> anyhow::Result<Option<String>> {
        let wanted = format!("{name}^{{commit}}");
        self.asked(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])
    }

    /// The commit where `head` left `base`; `None` when they have nothing in common here.
    pub(crate) fn merge_base(&self, base: &str, head: &str) -> anyhow::Result<Option<String>> {
        self.asked(&["merge-base", "--end-of-options", base, head])
    }

    /// Whether the clone does not reach to the repository's beginning.
    pub(crate) fn is_shallow(&self) -> anyhow::Result<bool> {
        Ok(self.answer(&["rev-parse", "--is-shallow-repository"])? == "true")
    }

    /// What a commit says of itself.
    pub(crate) fn about(&self, commit: &str) -> anyhow::Result<Commit> {
        let said = self.answer(&[
            "log",
            "--max-count=1",
            "--no-show-signature",
            "--format=%an%n%s",
            "--end-of-options",
            commit,
        ])?;
        let (author, subject) = said.split_once('\n').unwrap_or((&said, ""));
        Ok(Commit { author: author.to_owned(), subject: subject.to_owned() })
    }

    /// How many commits lead from `base` to `head`.
    pub(crate) fn commits(&self, base: &str, head: &str) -> anyhow::Result<u32> {
        let range = format!("{base}..{head}");
        self.answer(&["rev-list", "--count", "--end-of-options", &range])?.parse().context("git counts no commits")
    }

    /// When the first of the commits from `base` to `head` was written, in seconds of Unix time; `None` without commits.
    pub(crate) fn begun_at(&self, base: &str, head: &str) -> anyhow::Result<Option<i64>> {
        let range = format!("{base}..{head}");
        let times = self.answer(&["log", "--no-show-signature", "--format=%at", "--end-of-options", &range])?;
        Ok(times.lines().filter_map(|line| line.parse().ok()).min())
    }

    /// How many commits the main line has up to `head`.
    pub(crate) fn main_line(&self, head: &str) -> anyhow::Result<usize> {
        let counted = self.answer(&["rev-list", "--count", "--first-parent", "--end-of-options", head])?;
        counted.parse().context("git counts no commits")
    }

    /// The branch that is checked out; `None` when none is.
    pub(crate) fn branch(&self) -> anyhow::Result<Option<String>> {
        self.asked(&["symbolic-ref", "--quiet", "--short", "HEAD"])
    }

    /// A setting of git's; `None` when it is not set.
    pub(crate) fn setting(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.asked(&["config", "--get", key])
    }

    /// What changed between two commits.
    pub(crate) fn diff(&self, base: &str, head: &str) -> anyhow::Result<Vec<u8>> {
        let mut command = self.comparing()?;
        command.args(["diff-tree", "-r"]).args(DIFF_OPTIONS).args(["--end-of-options", base, head]);
        succeeded(&mut command).map(|output| output.stdout)
    }

    /// What changed at and below `paths` from a commit to the working tree.
    pub(crate) fn diff_to_here(&self, base: &str, paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
        let mut command = self.comparing()?;
        command.arg("diff").args(DIFF_OPTIONS).args([base, "--"]).args(paths);
        succeeded(&mut command).map(|output| output.stdout)
    }

    /// How many files changed between two commits, counted by git. A file that became a link is two: it went, and another came.
    pub(crate) fn files_changed(&self, base: &str, head: &str) -> anyhow::Result<u32> {
        let mut command = self.comparing()?;
        command.args(["diff-tree", "-r", "-M", "--name-status", "-z", "--ignore-submodules=none", "--no-relative"]);
        command.args(["--end-of-options", base, head]);
        let listed = succeeded(&mut command)?.stdout;
        let mut parts = listed.split(|byte| *byte == 0);
        let mut count = 0;
        while let Some(status) = parts.next().and_then(|status| status.first()) {
            count += if *status == b'T' { 2 } else { 1 };
            // The path, and that before a rename or copy.
            parts.nth(usize::from(matches!(status, b'R' | b'C')));
        }
        Ok(count)
    }

    /// git, with the attributes of the empty tree: a change cannot hide its files by calling them binary (`* -diff`).
    fn comparing(&self) -> anyhow::Result<Command> {
        let version = self.answer(&["version"])?;
        ensure!(
            version_of(&version).is_none_or(|version| version >= GIT_MIN),
            "{version} is too old: 2.41 or newer is needed, for in an older one a change could hide its files by attributes"
        );
        let nothing = self.answer(&["hash-object", "-t", "tree", "--stdin"])?;
        let mut command = self.git();
        command.args(["-c", "core.bigFileThreshold=512m", "-c", "core.attributesFile=/dev/null"]);
        command.env("GIT_ATTR_SOURCE", nothing);
        Ok(command)
    }

    fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.folder).stdin(Stdio::null());
        // A commit is what its hash says, whatever this clone would show in its place.
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        command
    }

    /// What git answers, without the last line's end.
    fn answer(&self, question: &[&str]) -> anyhow::Result<String> {
        succeeded(self.git().args(question)).map(text)
    }

    /// The same where no answer is an answer, too: git says it by the exit code 1, or 128 where a name means nothing.
    fn asked(&self, question: &[&str]) -> anyhow::Result<Option<String>> {
        let output = self.git().args(question).output().context("cannot run git")?;
        Ok(output.status.success().then(|| text(output)).filter(|answer| !answer.is_empty()))
    }
}

fn text(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end_matches(['\n', '\r']).to_owned()
}

fn succeeded(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git fails: {}", said.trim());
    Ok(output)
}

/// The path of a repository on its forge, from the address of a clone: `git@github.com:acme/shop.git` is `acme/shop`. `None` of a
/// folder, which says nothing of a forge.
pub(crate) fn path_of(address: &str) -> Option<String> {
    let path = match address.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
        // `host:path`, as ssh has it, is no folder: git says so, too, where no slash comes before the colon.
        None => address.split_once(':').filter(|(host, _)| !host.contains('/'))?.1,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

/// `git version 2.47.3` in numbers; `None` when it is written otherwise.
fn version_of(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(path_of(address).as_deref(), expected, "{address}");
    }

    #[test]
    fn the_address_of_a_clone_names_the_repository() {
        check("git@github.com:acme/shop.git", Some("acme/shop"));
        check("https://github.com/acme/shop", Some("acme/shop"));
        check("https://ann:token@gitlab.example.org/group/sub/shop.git/", Some("group/sub/shop"));
        check("ssh://git@host.example.org:7999/acme/shop.git", Some("acme/shop"));
        check("host:/acme/shop.git", Some("acme/shop"));
        check("/srv/git/shop.git", None);
        check("../shop", None);
        check("file:///srv/git/shop.git", None);
        check("https://github.com", None);
    }
}
