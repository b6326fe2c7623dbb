//! Whole files, each as if a change had made it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::diff::{FileDiff, Hunk, Line, LineKind};
use domain::{FileChange, FileChangeKind};
use ignore::WalkBuilder;

use super::source::text;
use crate::progress::Progress;

/// Bytes of the largest file that is read; a larger one is named and left out.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes in which a NUL makes a file a binary one, as git has it.
const BINARY_BYTES: usize = 8_000;

/// The text files at and below `paths` that git would not ignore.
pub(super) fn read(paths: &[PathBuf], progress: &Progress) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut binary = 0;
    progress.say("reading files");
    for path in paths {
        let walk = WalkBuilder::new(path).hidden(false).filter_entry(|entry| entry.file_name() != ".git").build();
        for entry in walk {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            match file(entry.path())? {
                Read::Text(name, text) => files.push((name, text)),
                Read::Binary => binary += 1,
                Read::TooLarge(bytes) => eprintln!(
                    "failsafe: {} is left out: {bytes} bytes are more than {FILE_BYTES_MAX}",
                    entry.path().display()
                ),
            }
            progress.step(files.len());
        }
    }
    if binary > 0 {
        eprintln!("failsafe: {binary} binary files are left out");
    }
    files.sort();
    files.dedup_by(|next, earlier| next.0 == earlier.0);
    Ok(files)
}

enum Read {
    Text(String, String),
    Binary,
    TooLarge(u64),
}

fn file(path: &Path) -> anyhow::Result<Read> {
    let read = || format!("cannot read {}", path.display());
    let bytes = std::fs::metadata(path).with_context(read)?.len();
    if bytes > FILE_BYTES_MAX {
        return Ok(Read::TooLarge(bytes));
    }
    let bytes = std::fs::read(path).with_context(read)?;
    let name = path.strip_prefix(".").unwrap_or(path).to_string_lossy().replace('\\', "/");
    if let Some(text) = utf_16(&bytes) {
        return Ok(Read::Text(name, text));
    }
    if bytes[..bytes.len().min(BINARY_BYTES)].contains(&0) {
        return Ok(Read::Binary);
    }
    Ok(Read::Text(name, text(bytes)))
}

/// The text of a file that says by its first two bytes that it is in UTF-16, as editors on Windows write it.
fn utf_16(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<_> = bytes[2..].chunks_exact(2).map(|two| unit([two[0], two[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}

/// A file as if the change had made it.
pub(super) fn whole<'a>(path: &str, text: &'a str) -> FileDiff<'a> {
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
