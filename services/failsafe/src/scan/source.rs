//! Where a scan gets what it looks at: the standard input, git, or files.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use domain::diff::{Diff, FileDiff, Hunk, Line, LineKind};
use domain::{FileChange, FileChangeKind};
use ignore::WalkBuilder;

use crate::cli::Scan;

/// Bytes of the largest file that is read; a larger one is named and left out.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes in which a NUL makes a file a binary one, as git has it.
const BINARY_BYTES: usize = 8_000;

/// What is scanned, read whole.
pub(super) enum Source {
    /// A unified diff.
    Diff(String),
    /// Files, each as if it were new: its path and its text.
    Files(Vec<(String, String)>),
}

impl Source {
    pub(super) fn read(options: &Scan) -> anyhow::Result<Self> {
        if options.all {
            let here = [PathBuf::from(".")];
            let paths = if options.paths.is_empty() { &here[..] } else { &options.paths[..] };
            return Ok(Self::Files(files(paths)?));
        }
        if let Some(base) = &options.base {
            return git_diff(base, &options.paths).map(Self::Diff);
        }
        ensure!(options.paths.is_empty(), "a path is scanned by --all, or compared by --base REF; a diff is piped in");
        let mut input = std::io::stdin();
        if input.is_terminal() {
            bail!(
                "there is nothing to scan: pipe a diff in (git diff main... | failsafe scan), or use --base REF or --all"
            );
        }
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).context("cannot read the diff from the standard input")?;
        Ok(Self::Diff(text(bytes)))
    }

    /// The change to be judged.
    pub(super) fn diff(&self) -> anyhow::Result<Diff<'_>> {
        match self {
            Self::Diff(text) => domain::diff::parse(text).context("the diff cannot be read"),
            Self::Files(files) => Ok(Diff { files: files.iter().map(|(path, text)| whole(path, text)).collect() }),
        }
    }
}

/// UTF-8, or what can be read of something else: a secret is ASCII in every encoding that matters.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// What changed since the branch left `base`, commits and working tree alike.
fn git_diff(base: &str, paths: &[PathBuf]) -> anyhow::Result<String> {
    let arguments = ["diff", "--no-color", "--no-ext-diff", "--merge-base", base, "--"];
    let output = Command::new("git").args(arguments).args(paths).output().context("cannot run git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git cannot compare with {base}: {}", said.trim());
    Ok(text(output.stdout))
}

/// The text files at and below `paths` that git would not ignore.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in paths {
        let walk = WalkBuilder::new(path).hidden(false).filter_entry(|entry| entry.file_name() != ".git").build();
        for entry in walk {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                files.extend(file(entry.path())?);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn file(path: &Path) -> anyhow::Result<Option<(String, String)>> {
    let read = || format!("cannot read {}", path.display());
    let bytes = std::fs::metadata(path).with_context(read)?.len();
    if bytes > FILE_BYTES_MAX {
        eprintln!("failsafe: {} is left out: {bytes} bytes are more than {FILE_BYTES_MAX}", path.display());
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(read)?;
    if bytes[..bytes.len().min(BINARY_BYTES)].contains(&0) {
        return Ok(None);
    }
    let name = path.strip_prefix(".").unwrap_or(path).to_string_lossy().replace('\\', "/");
    Ok(Some((name, text(bytes))))
}

/// A file as if the change had made it.
fn whole<'a>(path: &str, text: &'a str) -> FileDiff<'a> {
    let lines: Vec<_> =
        text.lines().zip(1..).map(|(text, number)| Line { kind: LineKind::Added, number, text }).collect();
    let change = FileChange {
        path: path.to_owned(),
        old_path: None,
        kind: FileChangeKind::Added,
        lines_added: u32::try_from(lines.len()).unwrap_or(u32::MAX),
        lines_deleted: 0,
        binary: false,
    };
    let hunks = if lines.is_empty() { Vec::new() } else { vec![Hunk { section: "", lines }] };
    FileDiff { change, hunks }
}
