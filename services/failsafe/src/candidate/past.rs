//! What the clone tells of the past of the files and of the author, as `failsafe history import` reads it.

use anyhow::Context;
use domain::{FileChange, History, diff};
use ml_scoring::history::{Asked, Import, Key, Touched};
use time::OffsetDateTime;

use crate::cli;
use crate::git::GitClone;
use crate::history;

/// The longest main line that is read for one submission: it takes some seconds.
const CHANGES_MAX: usize = 20_000;

/// What is known of the past when `author` changes what `text` changes, and that in words.
pub(super) fn of_clone(
    clone: &GitClone,
    options: &cli::Candidate,
    base: &str,
    author: &str,
    text: &str,
) -> anyhow::Result<(History, String)> {
    let left_out = |why: &str| Ok((History::default(), why.to_owned()));
    if options.no_history {
        return left_out("not counted (--no-history)");
    }
    if clone.is_shallow()? {
        return left_out("not counted: the clone is shallow");
    }
    let changes = clone.main_line(base)?;
    if changes > CHANGES_MAX {
        return left_out("not counted: it is long, and `failsafe history import` reads it once for all");
    }
    let change = diff::parse(text).context("git's own diff cannot be read")?;
    let files: Vec<FileChange> = change.files.into_iter().map(|file| file.change).collect();
    let touched: Vec<Touched> = files.iter().map(Touched::of).collect();
    let from = Import { head: base.to_owned(), whole: true };
    let past = history::of_clone(&options.git, base, from)?;
    let asked = Asked { at: OffsetDateTime::now_utc().unix_timestamp(), author, files: &touched };
    // No change of the main line is this one: it has not come there yet.
    let known = past.history(&asked, &Key::Commit(String::new()));
    Ok((known, format!("counted from {changes} changes of the main line")))
}
