//! Where a scan gets what it looks at: the standard input, git, or files.

use std::fs::File;
use std::io::{IsTerminal, Read, Stdin};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use domain::diff::Diff;

use super::{files, git};
use crate::cli::Scan;
use crate::progress::Progress;

/// Bytes of the longest diff: it is held in memory.
const DIFF_BYTES_MAX: u64 = 2 << 30;

/// What is scanned, read whole.
pub(super) enum Source {
    /// A unified diff.
    Diff(String),
    /// Files, each as if it were new: its path and its text.
    Files(Vec<(String, String)>),
}

impl Source {
    pub(super) fn read(options: &Scan, progress: &Progress) -> anyhow::Result<Self> {
        if options.all {
            return Ok(Self::Files(files::read(&places(options), progress)?));
        }
        if let Some(base) = &options.base {
            progress.say("comparing with git");
            return git::diff(base, &options.paths).map(|bytes| Self::Diff(text(bytes)));
        }
        ensure!(options.paths.is_empty(), "a path is scanned by --all, or compared by --base REF; a diff is piped in");
        let input = std::io::stdin();
        if input.is_terminal() {
            bail!(
                "there is nothing to scan: pipe a diff in (git diff main... | failsafe scan), or use --base REF or --all"
            );
        }
        progress.say("reading the diff");
        let bytes = all_of(&input).context("cannot read the diff from the standard input")?;
        ensure!(
            bytes.len() as u64 <= DIFF_BYTES_MAX,
            "the diff is longer than {DIFF_BYTES_MAX} bytes: scan it in parts"
        );
        Ok(Self::Diff(text(bytes)))
    }

    /// The change to be judged. Nothing at all is a change of nothing: git prints that where nothing differs.
    pub(super) fn diff(&self) -> anyhow::Result<Diff<'_>> {
        match self {
            Self::Diff(text) if text.trim().is_empty() => {
                eprintln!("failsafe: the diff is empty");
                Ok(Diff { files: Vec::new() })
            }
            Self::Diff(text) => domain::diff::parse(text).context("the diff cannot be read"),
            Self::Files(files) => {
                Ok(Diff { files: files.iter().map(|(path, text)| files::whole(path, text)).collect() })
            }
        }
    }
}

/// All bytes of the standard input, one more than are allowed at most. Read as a file, which knows its length where it has one.
fn all_of(input: &Stdin) -> std::io::Result<Vec<u8>> {
    let mut file = File::from(input.as_fd().try_clone_to_owned()?);
    let length = file.metadata().map_or(0, |about| about.len().min(DIFF_BYTES_MAX));
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    Read::by_ref(&mut file).take(DIFF_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folders whose own rules hold for the scan: the repositories that what is scanned is in, or else the folders themselves.
pub(super) fn roots(options: &Scan) -> Vec<PathBuf> {
    let mut roots: Vec<_> = places(options).iter().map(|place| root(place)).collect();
    roots.sort();
    roots.dedup();
    roots
}

fn root(place: &Path) -> PathBuf {
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let folder = if place.is_dir() { place.as_path() } else { place.parent().unwrap_or(&place) };
    folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(folder).to_owned()
}

/// What is named to be scanned whole; without a name, or with a diff, it is here.
fn places(options: &Scan) -> Vec<PathBuf> {
    if options.all && !options.paths.is_empty() { options.paths.clone() } else { vec![PathBuf::from(".")] }
}

/// UTF-8, or what can be read of something else: a secret is ASCII in every encoding that matters.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| readable(error.as_bytes()))
}

/// What [`String::from_utf8_lossy`] makes of it, without looking at each byte of the long stretches that are sound.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 64);
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        let (sound, broken) = rest.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(sound).unwrap_or_default());
        text.push(char::REPLACEMENT_CHARACTER);
        rest = error.error_len().map_or(&[], |length| &broken[length..]);
    }
    text.push_str(std::str::from_utf8(rest).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf_8_is_read_as_far_as_it_goes() {
        for bytes in
            [&b"a\xffb"[..], b"\xf0\x9d\x84", b"\xf0\x9d", b"caf\xe9 \xc3\xa9\xc3", b"\xe2\x82\x28\xa0\xa1", b""]
        {
            assert_eq!(text(bytes.to_vec()), String::from_utf8_lossy(bytes), "{bytes:?}");
        }
    }
}
