//! Reading a unified diff, as git prints it, into files, hunks and lines. Borrows the text and copies nothing but paths.
//!
//! A diff is read whole or refused, never read shorter than it is: a hunk that holds fewer or more lines than its header
//! promises, a header without its change, a hunk without a file, and forms that leave something out (the combined diff
//! of a merge, a submodule's log) are errors that name the line. What stands between files (a mail's header, a commit's
//! message) is skipped. One pass, linear in the text; it knows nothing of rules, events or where the text came from.

mod hunk;
mod path;
mod read;
mod undo;

#[cfg(test)]
mod against_diffy;
#[cfg(test)]
mod against_git;
#[cfg(test)]
mod read_tests;

use std::fmt;

use crate::deployment::FileChange;

pub use read::Files;
pub use undo::Undo;

/// A parsed diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff<'a> {
    /// The files, in the diff's order.
    pub files: Vec<FileDiff<'a>>,
}

/// One file of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff<'a> {
    /// Path, kind and counts.
    pub change: FileChange,
    /// The hunks, in order; none for a binary file, a pure rename or a mode change.
    pub hunks: Vec<Hunk<'a>>,
}

/// One hunk of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// What git printed behind the second `@@`: usually the enclosing function; empty when nothing.
    pub section: &'a str,
    /// The lines, in order.
    pub lines: Vec<Line<'a>>,
}

/// One line of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Added, removed or context.
    pub kind: LineKind,
    /// Number in the file after the change (for a removed line: of the line that follows it), from 1.
    pub number: u32,
    /// The text without the leading sign and without the line's end (`\n`, `\r\n`).
    pub text: &'a str,
}

/// What a line of a hunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// In the file before and after.
    Context,
    /// Only after.
    Added,
    /// Only before.
    Removed,
}

/// Why a diff cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffError {
    /// Line of the diff, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl DiffError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the diff: {}", self.line, self.message)
    }
}

impl std::error::Error for DiffError {}

/// Reads `text`, which must hold at least one file.
///
/// # Errors
/// The first line that is not of a unified diff, or that belongs to a form that is refused (a combined diff of a merge).
pub fn parse(text: &str) -> Result<Diff<'_>, DiffError> {
    Ok(Diff { files: files(text).collect::<Result<_, _>>()? })
}

/// Reads `text` file by file, in the memory of its largest file. Ends after the first error.
#[must_use]
pub fn files(text: &str) -> Files<'_> {
    Files::new(text, hunk::Keep::Lines)
}

/// Reads paths, kinds and counts of `text` as strictly as [`parse`] does, without keeping any line.
///
/// # Errors
/// Those of [`parse`].
pub fn changes(text: &str) -> Result<Vec<FileChange>, DiffError> {
    Files::new(text, hunk::Keep::Counts).map(|file| Ok(file?.change)).collect()
}
