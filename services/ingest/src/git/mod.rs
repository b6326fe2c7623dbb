//! The adapter to git: the diff between two commits of a repository that this service may read.
//!
//! It runs the program `git`, whose output is what [`domain::diff`] is made to read. It knows nothing of deployments.

mod child;
mod place;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use domain::{FieldViolation, GitReference};

use crate::config::Config;
use child::Git;
use place::Place;

/// How git writes a diff, whoever asks for it: the same two commits have one diff, and so one digest, everywhere.
pub const DIFF_OPTIONS: [&str; 12] = [
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

/// Why two commits cannot be compared. As many kinds as there are reactions.
#[derive(Debug)]
pub enum Unresolved {
    /// What was asked for is wrong, or not permitted.
    Refused(FieldViolation),
    /// Something is away. Another try may succeed.
    Unreachable(anyhow::Error),
}

impl From<anyhow::Error> for Unresolved {
    fn from(error: anyhow::Error) -> Self {
        Self::Unreachable(error)
    }
}

fn refused(field: &str, description: impl Into<String>) -> Unresolved {
    Unresolved::Refused(FieldViolation::new(field, description))
}

/// The diff from `reference.base` to `reference.head`, both full hashes; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// Whether another try is worth it.
pub async fn diff(reference: &GitReference, config: &Config) -> Result<String, Unresolved> {
    let limit = Duration::from_millis(config.git_timeout_ms);
    match tokio::time::timeout(limit, diff_in_time(reference, config)).await {
        Ok(done) => done,
        Err(_) => {
            let ms = config.git_timeout_ms;
            Err(Unresolved::Unreachable(anyhow!("git took longer than {ms} ms (ingest.git_timeout_ms)")))
        }
    }
}

/// Makes sure that there is a git to run.
///
/// # Errors
/// When there is none.
pub async fn is_installed() -> anyhow::Result<()> {
    let git = Git::new(1_000).await?;
    let ended = git.run(git.command(Path::new("/"), "", &["--version"])).await?;
    ensure!(ended.status.success(), "git --version fails: {}", complaint(&ended.stderr));
    Ok(())
}

async fn diff_in_time(reference: &GitReference, config: &Config) -> Result<String, Unresolved> {
    let place = place::of(&reference.repository, &config.git_repositories).await;
    let git = Git::new(config.diff_bytes_max).await?;
    let repository = match place.map_err(|why| refused("git.repository", why))? {
        Place::Folder(folder) => {
            let roots = config.git_repositories.iter().filter(|entry| entry.starts_with('/'));
            check_folder(&git, &folder, roots.map(String::as_str)).await?;
            folder
        }
        Place::Address { address, protocol } => {
            if let Some(folder) = address.strip_prefix("file://") {
                let roots = config.git_repositories.iter().filter_map(|entry| entry.strip_prefix("file://"));
                check_folder(&git, Path::new(folder), roots).await?;
            }
            fetch(&git, &address, protocol, reference).await?;
            git.repository()
        }
    };
    for (field, commit) in [("git.base", &reference.base), ("git.head", &reference.head)] {
        let verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{commit}}")];
        let ended = git.run(git.command(&repository, "", &verify)).await?;
        let found = String::from_utf8_lossy(&ended.stdout);
        if !ended.status.success() || !found.trim().eq_ignore_ascii_case(commit) {
            return Err(refused(field, "is not a commit of the repository"));
        }
    }
    compare(&git, &repository, reference, config.diff_bytes_max).await
}

/// Makes sure that `folder` itself is a repository, and keeps its objects below one of `roots` too.
async fn check_folder(git: &Git, folder: &Path, roots: impl Iterator<Item = &str>) -> Result<(), Unresolved> {
    let ended = git.run(git.command(folder, "", &["rev-parse", "--path-format=absolute", "--git-common-dir"])).await?;
    if !ended.status.success() {
        return Err(refused("git.repository", "is not a git repository"));
    }
    let objects = String::from_utf8_lossy(&ended.stdout);
    match place::below(objects.trim_end_matches('\n'), roots).await {
        Some(_) => Ok(()),
        None => Err(refused(
            "git.repository",
            "keeps its objects outside of what the setting ingest.git_repositories permits",
        )),
    }
}

/// Fetches just the two commits into a repository of our own.
async fn fetch(git: &Git, address: &str, protocol: &str, reference: &GitReference) -> Result<(), Unresolved> {
    let repository = git.repository();
    tokio::fs::create_dir(&repository).await.context("cannot make a folder")?;
    let format = format!("--object-format={}", if reference.head.len() == 64 { "sha256" } else { "sha1" });
    let init = ["init", "--quiet", "--bare", "--template=", &format];
    let ended = git.run(git.command(&repository, "", &init)).await?;
    if !ended.status.success() {
        return Err(anyhow!("git init fails: {}", complaint(&ended.stderr)).into());
    }
    let fetch = [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--end-of-options",
        address,
        &reference.base,
        &reference.head,
    ];
    let ended = git.run(git.command(&repository, protocol, &fetch)).await?;
    if ended.status.success() { Ok(()) } else { Err(why_not_fetched(&ended.stderr, reference)) }
}

/// What a failed fetch means for the sender.
fn why_not_fetched(stderr: &str, reference: &GitReference) -> Unresolved {
    const UNKNOWN: [&str; 3] = ["not our ref", "unadvertised object", "couldn't find remote ref"];
    const CLOSED: [&str; 7] = [
        "not found",
        "does not exist",
        "does not appear to be a git repository",
        "Authentication failed",
        "could not read Username",
        "Permission denied",
        "The requested URL returned error: 403",
    ];
    let said = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if said(&UNKNOWN) {
        let field = if stderr.contains(&reference.base) { "git.base" } else { "git.head" };
        return refused(field, "is not a commit of the repository, or none that its server gives out");
    }
    let complaint = complaint(stderr);
    if said(&CLOSED) {
        return refused("git.repository", format!("cannot be read by the ingest service: {complaint}"));
    }
    Unresolved::Unreachable(anyhow!("cannot fetch from the repository: {complaint}"))
}

/// What git complains of, in one line of at most 300 characters.
fn complaint(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").chars().filter(|c| !c.is_control()).take(300).collect()
}

async fn compare(
    git: &Git,
    repository: &Path,
    reference: &GitReference,
    diff_bytes_max: u64,
) -> Result<String, Unresolved> {
    // Plumbing, and every option said: no setting of a repository may leave anything out of a diff.
    let plumbing = ["-c", "core.bigFileThreshold=512m", "diff-tree", "-r"];
    let diff = [&plumbing[..], &DIFF_OPTIONS, &["--end-of-options", &reference.base, &reference.head]].concat();
    let mut command = git.command(repository, "", &diff);
    // The attributes of the empty tree: a pull request cannot hide its files by calling them binary (`*.rs -diff`).
    command.env(
        "GIT_ATTR_SOURCE",
        match reference.head.len() {
            64 => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
            _ => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        },
    );
    let ended = git.run(command).await?;
    if ended.stdout.len() as u64 > diff_bytes_max {
        return Err(refused("git", format!("the diff has more than {diff_bytes_max} bytes (ingest.diff_bytes_max)")));
    }
    if !ended.status.success() {
        return Err(anyhow!("git diff-tree fails: {}", complaint(&ended.stderr)).into());
    }
    Ok(match String::from_utf8_lossy(&ended.stdout) {
        std::borrow::Cow::Owned(replaced) => replaced,
        std::borrow::Cow::Borrowed(text) => text.to_owned(),
    })
}
