//! File by file through a diff: the headers of git and of plain `diff -u`, and what may stand between files.

use std::borrow::Cow;

use super::hunk::{self, Body, COMBINED, Cursor, Keep};
use super::path::{self, NOTHING};
use super::{DiffError, FileDiff};
use crate::deployment::{FileChange, FileChangeKind};

/// The files of a diff, one after the other: see [`super::files`].
pub struct Files<'a> {
    cursor: Cursor<'a>,
    keep: Keep,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No file has been seen.
    Looking,
    Found,
    Ended,
}

impl<'a> Files<'a> {
    pub(super) fn new(text: &'a str, keep: Keep) -> Self {
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { cursor: Cursor { rest, line: 0 }, keep, state: State::Looking }
    }

    /// Skips what stands before a file, and reads the file.
    fn read(&mut self) -> Result<Option<FileDiff<'a>>, DiffError> {
        let cursor = &mut self.cursor;
        while let Some(line) = cursor.next() {
            // Almost all that is skipped ends here.
            if !matches!(line.as_bytes().first(), Some(b'd' | b'-' | b'@' | b'B' | b'S')) {
                continue;
            }
            if let Some(names) = line.strip_prefix("diff --git ") {
                return git_file(cursor, names, self.keep).map(Some);
            } else if let Some(old) = line.strip_prefix("--- ")
                && cursor.rest.starts_with("+++ ")
            {
                return plain_file(cursor, old, self.keep).map(Some);
            } else if let Some(names) = binary_names(line) {
                return plain_binary(cursor, names).map(Some);
            } else if ["diff --cc ", "diff --combined ", "@@@ "].iter().any(|begin| line.starts_with(begin)) {
                return Err(cursor.error(COMBINED));
            } else if line.starts_with("@@ -") {
                return Err(cursor.error("a hunk without a file: its header (--- and +++) is missing"));
            } else if is_submodule_log(line) {
                return Err(cursor.error("this tells of a submodule by its log: send `git diff --submodule=short`"));
            }
        }
        match self.state {
            State::Looking => Err(nothing_found(cursor.line)),
            State::Found | State::Ended => Ok(None),
        }
    }
}

impl<'a> Iterator for Files<'a> {
    type Item = Result<FileDiff<'a>, DiffError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let file = self.read().transpose();
        self.state = if matches!(file, Some(Ok(_))) { State::Found } else { State::Ended };
        file
    }
}

fn nothing_found(lines: usize) -> DiffError {
    DiffError::new(
        lines.max(1),
        "no file was found up to here: a unified diff is needed, as `git diff --no-color` prints it",
    )
}

/// `Submodule vendor/x 0123456..89abcde:`, as `diff.submodule=log` has it.
fn is_submodule_log(line: &str) -> bool {
    let is_hash = |text: &str| text.len() >= 7 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let range = || {
        let words = line.strip_prefix("Submodule ")?.trim_end_matches(':');
        let words = words.split_once(" (").map_or(words, |(words, _)| words);
        words.rsplit_once(' ')?.1.split_once("..")
    };
    range().is_some_and(|(old, new)| is_hash(old) && is_hash(new.trim_start_matches('.')))
}

/// `a/x and b/x` of `Binary files a/x and b/x differ`.
fn binary_names(line: &str) -> Option<&str> {
    line.strip_prefix("Binary files ")?.strip_suffix(" differ").filter(|names| names.contains(" and "))
}

/// What the lines between `diff --git` and the change say.
#[derive(Default)]
struct Header<'a> {
    new_file: bool,
    deleted_file: bool,
    mode: bool,
    rename: Moved<'a>,
    copy: Moved<'a>,
    /// How alike both contents are, in per cent.
    similarity: Option<&'a str>,
    /// The abbreviated hashes of both contents, where they differ.
    index: Option<&'a str>,
}

/// `rename from` and `rename to`, or the same of a copy.
#[derive(Default)]
struct Moved<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
}

/// What follows a git header.
#[derive(Default)]
struct Content<'a> {
    /// The names of `---` and `+++`, when there are hunks.
    names: Option<(Cow<'a, str>, Cow<'a, str>)>,
    body: Body<'a>,
    binary: bool,
}

impl<'a> Header<'a> {
    /// Takes one line in; says whether it is of the header.
    fn take(&mut self, line: &'a str) -> bool {
        let Some((word, rest)) = line.split_once(' ') else { return false };
        match (word, rest.split_once(' ')) {
            ("index", _) => self.index = Some(rest),
            ("old", Some(("mode", _))) => {}
            ("new", Some(("mode", _))) => self.mode = true,
            ("new", Some(("file", mode))) if mode.starts_with("mode ") => self.new_file = true,
            ("deleted", Some(("file", mode))) if mode.starts_with("mode ") => self.deleted_file = true,
            ("similarity" | "dissimilarity", Some(("index", percent))) => self.similarity = Some(percent),
            ("rename", Some(("from" | "old", name))) => self.rename.from = Some(name),
            ("rename", Some(("to" | "new", name))) => self.rename.to = Some(name),
            ("copy", Some(("from", name))) => self.copy.from = Some(name),
            ("copy", Some(("to", name))) => self.copy.to = Some(name),
            _ => return false,
        }
        true
    }

    /// Whether the header alone can be the whole change. Where git names two contents it also shows how they differ,
    /// unless one is absent and the other empty.
    fn is_whole(&self) -> bool {
        const EMPTY: [&str; 2] = [
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
        ];
        let is_empty = |hash: &str| hash.len() >= 4 && EMPTY.iter().any(|empty| empty.starts_with(hash));
        match self.index.and_then(|index| index.split(' ').next()?.split_once("..")) {
            Some((old, new)) => self.new_file && is_empty(new) || self.deleted_file && is_empty(old),
            None if self.index.is_some() => false,
            None => {
                let moved = self.rename.to.or(self.copy.to).is_some();
                let alike = self.similarity.is_none_or(|percent| percent == "100%");
                self.new_file || self.deleted_file || alike && (self.mode || moved)
            }
        }
    }
}

/// Reads a file behind its `diff --git` line, which gave `names`.
fn git_file<'a>(cursor: &mut Cursor<'a>, names: &'a str, keep: Keep) -> Result<FileDiff<'a>, DiffError> {
    let begin = cursor.line;
    let mut header = Header::default();
    let content = git_content(cursor, &mut header, keep)?;
    if content.names.is_none() && !content.binary && !header.is_whole() {
        return Err(cursor.error(format!(
            "the change of the file of line {begin} is missing: was the diff cut short, or made with -w, -I or -D?"
        )));
    }
    let (path, old_path, kind) = git_names(&header, names, content.names).map_err(|why| DiffError::new(begin, why))?;
    Ok(file(path, old_path, kind, content.body, content.binary))
}

/// Path, old path and kind of a file of git's, from all the places that name it.
fn git_names(
    header: &Header<'_>,
    names: &str,
    shown: Option<(Cow<'_, str>, Cow<'_, str>)>,
) -> Result<(String, Option<String>, FileChangeKind), &'static str> {
    let moves = [(&header.rename, FileChangeKind::Renamed), (&header.copy, FileChangeKind::Copied)];
    for (moved, kind) in moves {
        let plain = |text| path::name(text, None).map(|(name, _)| path::path(&name));
        match (moved.from, moved.to) {
            (None, None) => {}
            (Some(from), Some(to)) => return Ok((plain(to)?, Some(plain(from)?), kind)),
            _ => return Err("the file was renamed or copied, but one of its two names is missing"),
        }
    }
    let is_nothing = |name: Option<&Cow<'_, str>>| name.is_some_and(|name| name == NOTHING);
    let kind = if header.new_file || is_nothing(shown.as_ref().map(|(old, _)| old)) {
        FileChangeKind::Added
    } else if header.deleted_file || is_nothing(shown.as_ref().map(|(_, new)| new)) {
        FileChangeKind::Deleted
    } else {
        FileChangeKind::Modified
    };
    let (old, new) = sides(names, shown)
        .ok_or("the two names of the file cannot be told apart: send the diff with git's own prefixes a/ and b/")?;
    Ok((one_path(&old, &new)?, None, kind))
}

fn git_content<'a>(cursor: &mut Cursor<'a>, header: &mut Header<'a>, keep: Keep) -> Result<Content<'a>, DiffError> {
    let mut content = Content::default();
    while let Some(line) = cursor.peek() {
        if header.take(line) {
            cursor.next();
        } else if let Some(old) = line.strip_prefix("--- ") {
            cursor.next();
            let new = new_name(cursor)?;
            content.names = Some((header_name(cursor, old)?.0, header_name(cursor, new)?.0));
            content.body = hunk::hunks(cursor, keep)?;
            break;
        } else if line == "GIT binary patch" {
            cursor.next();
            binary_patch(cursor)?;
            content.binary = true;
            break;
        } else {
            content.binary = binary_names(line).is_some();
            if content.binary {
                cursor.next();
            }
            break;
        }
    }
    Ok(content)
}

/// Both names of a file of git's that was not renamed. `/dev/null` gives way to the name that the `diff --git` line has
/// for that side, because only two names show whether there are prefixes; it stays where that line tells nothing.
fn sides<'a>(names: &'a str, shown: Option<(Cow<'a, str>, Cow<'a, str>)>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let Some((old, new)) = shown else { return path::both(names) };
    match path::both(names) {
        Some((left, _)) if old == NOTHING && new != NOTHING => Some((left, new)),
        Some((_, right)) if new == NOTHING && old != NOTHING => Some((old, right)),
        _ => Some((old, new)),
    }
}

/// The one path that both names of a file spell.
fn one_path(old: &str, new: &str) -> Result<String, &'static str> {
    let name = match (old, new) {
        (NOTHING, NOTHING) => return Err("both names of the file are /dev/null"),
        (NOTHING, new) => new.strip_prefix("b/").unwrap_or(new),
        (old, NOTHING) => old.strip_prefix("a/").unwrap_or(old),
        _ => path::without_prefixes(old, new).1,
    };
    if name.is_empty() { Err("the name of the file is missing") } else { Ok(path::path(name)) }
}

/// The `+++` line that must follow a `---` line.
fn new_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, DiffError> {
    let line = cursor.next().and_then(|line| line.strip_prefix("+++ "));
    line.ok_or_else(|| cursor.error("after a line of --- one of +++ must follow: was the diff cut short?"))
}

/// The name on a `---` or `+++` line, and the time behind it.
fn header_name<'a>(cursor: &Cursor<'_>, text: &'a str) -> Result<(Cow<'a, str>, &'a str), DiffError> {
    path::name(text, Some('\t')).map_err(|message| cursor.error(message))
}

/// Reads a file of plain `diff -u` behind its `---` line.
fn plain_file<'a>(cursor: &mut Cursor<'a>, old: &'a str, keep: Keep) -> Result<FileDiff<'a>, DiffError> {
    let new = new_name(cursor)?;
    let (old, old_time) = header_name(cursor, old)?;
    let (new, new_time) = header_name(cursor, new)?;
    let path = one_path(&old, &new).map_err(|message| cursor.error(message))?;
    // `diff -N` names a file that is not there, and dates it to the epoch, in whatever time zone.
    let absent = |time: &str| time.starts_with("\t1970-01-01 ") || time.starts_with("\t1969-12-31 ");
    let kind = if old == NOTHING || absent(old_time) {
        FileChangeKind::Added
    } else if new == NOTHING || absent(new_time) {
        FileChangeKind::Deleted
    } else {
        FileChangeKind::Modified
    };
    Ok(file(path, None, kind, hunk::hunks(cursor, keep)?, false))
}

/// A binary file of plain `diff -r`.
fn plain_binary<'a>(cursor: &Cursor<'_>, names: &str) -> Result<FileDiff<'a>, DiffError> {
    let wrong = |message| cursor.error(message);
    let (old, new) = names.split_once(" and ").unwrap_or((names, names));
    let middle = names.len() / 2;
    // Of the same length on both sides, most likely, if " and " stands in the names too.
    let (old, new) = match (names.get(..middle.saturating_sub(2)), names.get(middle.saturating_sub(2)..)) {
        (Some(left), Some(right)) if right.starts_with(" and ") => (left, &right[5..]),
        _ => (old, new),
    };
    let (old, new) = (path::name(old, None).map_err(wrong)?.0, path::name(new, None).map_err(wrong)?.0);
    let kind = if old == NOTHING {
        FileChangeKind::Added
    } else if new == NOTHING {
        FileChangeKind::Deleted
    } else {
        FileChangeKind::Modified
    };
    Ok(file(one_path(&old, &new).map_err(wrong)?, None, kind, Body::default(), true))
}

/// Steps over what `git diff --binary` prints: one or two blocks of base 85, each ended by an empty line.
fn binary_patch(cursor: &mut Cursor<'_>) -> Result<(), DiffError> {
    for block in 0..2 {
        let method = cursor.peek().unwrap_or_default();
        if !(method.starts_with("literal ") || method.starts_with("delta ")) {
            if block == 1 {
                break;
            }
            return Err(DiffError::new(cursor.line + 1, "no data (literal or delta) follow GIT binary patch"));
        }
        cursor.next();
        let mut data = false;
        while let Some(line) = cursor.next().filter(|line| !line.is_empty()) {
            if !is_base85(line) {
                return Err(cursor.error("the data of the GIT binary patch are cut short here"));
            }
            data = true;
        }
        if !data {
            return Err(cursor.error("the data of the GIT binary patch are missing"));
        }
    }
    Ok(())
}

/// Whether a line has the length that its first letter gives: A to Z for 1 to 26 bytes, a to z for 27 to 52, and five
/// digits for four bytes.
fn is_base85(line: &str) -> bool {
    let bytes = match line.as_bytes()[0] {
        letter @ b'A'..=b'Z' => usize::from(letter - b'A') + 1,
        letter @ b'a'..=b'z' => usize::from(letter - b'a') + 27,
        _ => return false,
    };
    line.len() == 1 + bytes.div_ceil(4) * 5
}

fn file<'a>(
    path: String,
    old_path: Option<String>,
    kind: FileChangeKind,
    body: Body<'a>,
    binary: bool,
) -> FileDiff<'a> {
    let Body { hunks, added, removed } = body;
    FileDiff { change: FileChange { path, old_path, kind, lines_added: added, lines_deleted: removed, binary }, hunks }
}
