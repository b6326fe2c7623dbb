//! What a diff shows of a YAML file: its documents as trees, and the way back from a line in them to the diff's line.
//!
//! A new file is there from end to end. Of a changed file only hunks are seen, each a piece out of the middle of a tree: the
//! levels above its first line are made up, so that the rest of it can be read.

use std::borrow::Cow;

use domain::diff::{FileDiff, Hunk, LineKind};

use super::yaml::{self, Document, Templates};
use crate::engine::is_whole;
use crate::new_side::laid_out;
use crate::paths;
use crate::rules::FileHit;

/// The name of a level that the hunk does not show.
const UNSEEN: &str = "__unseen__";

/// One hunk, read.
pub(super) struct View<'f> {
    file: &'f FileDiff<'f>,
    hunk: usize,
    /// Of each line after the change: its number in the hunk, and whether it was added and not only laid out anew.
    lines: Vec<(usize, bool)>,
    /// The documents in it.
    pub(super) documents: Vec<Seen>,
    /// Whether the hunk is all of the file.
    pub(super) whole: bool,
}

/// A document, and how much of it is there.
pub(super) struct Seen {
    /// The document.
    pub(super) document: Document,
    /// Whether it is there from its first line to its last, so that what is not in it is missing.
    pub(super) complete: bool,
    /// Whether its first line is there, so that a path from the root means what it says.
    pub(super) rooted: bool,
}

/// Every hunk of the file, read.
pub(super) fn views<'f>(file: &'f FileDiff<'f>) -> Vec<View<'f>> {
    views_where(file, |_| true)
}

/// Those hunks of the file of which `wanted` is true, read.
pub(super) fn views_where<'f>(file: &'f FileDiff<'f>, wanted: impl Fn(&Hunk<'_>) -> bool) -> Vec<View<'f>> {
    let hunks = file.hunks.iter().enumerate().filter(|(_, hunk)| wanted(hunk));
    hunks.map(|(number, _)| View::of(file, number)).collect()
}

impl<'f> View<'f> {
    fn of(file: &'f FileDiff<'f>, number: usize) -> Self {
        let hunk = &file.hunks[number];
        let mut text = String::new();
        let mut lines = Vec::new();
        let laid_out = laid_out(hunk);
        for (index, line) in hunk.lines.iter().enumerate() {
            if line.kind != LineKind::Removed {
                lines.push((index, line.kind == LineKind::Added && !laid_out[index]));
                text.push_str(line.text.trim_end_matches('\r'));
                text.push('\n');
            }
        }
        let whole = is_whole(file);
        let documents = if lines.iter().any(|(_, added)| *added) {
            documents(&text, hunk, whole, templates(&file.change.path))
        } else {
            Vec::new()
        };
        Self { file, hunk: number, lines, documents, whole }
    }

    /// A hit on this line of the text, if it was added.
    pub(super) fn on_line(&self, line: usize, message: impl Into<Cow<'static, str>>) -> Option<FileHit> {
        let (index, added) = self.lines.get(line)?;
        added.then(|| FileHit::on_line(self.file, self.hunk, *index, message))
    }

    /// The text of a line after the change.
    pub(super) fn text(&self, line: usize) -> &'f str {
        self.lines.get(line).map_or("", |(index, _)| self.file.hunks[self.hunk].lines[*index].text)
    }

    /// The path of its file.
    pub(super) fn path(&self) -> &'f str {
        &self.file.change.path
    }

    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }
}

fn documents(text: &str, hunk: &Hunk<'_>, whole: bool, templates: Templates) -> Vec<Seen> {
    let pieces = yaml::pieces(text);
    let begins =
        whole || hunk.lines.iter().find(|line| line.kind != LineKind::Removed).is_some_and(|line| line.number == 1);
    // A hunk with lines around its changes ends with an added one only where the file ends.
    let around = hunk.lines.iter().any(|line| line.kind == LineKind::Context);
    let ends = whole || around && hunk.lines.last().is_some_and(|line| line.kind == LineKind::Added);
    let count = pieces.len();
    let seen = pieces.into_iter().enumerate().filter_map(|(at, (line, piece))| {
        // A piece that the text begins with may be the rest of a document; one behind `---` is not.
        let rooted = begins || line > 0;
        let document = if rooted { yaml::document(piece, line, templates)? } else { fragment(piece, line, templates)? };
        let complete = rooted && document.whole && (ends || at + 1 < count);
        Some(Seen { document, complete, rooted })
    });
    seen.collect()
}

/// What GitHub and Docker read is written by nothing; charts, and whatever else is YAML, may be.
fn templates(path: &str) -> Templates {
    let name = paths::name(path).to_ascii_lowercase();
    let as_it_is =
        path.contains(".github/") || name.contains("compose") || matches!(name.as_str(), "action.yml" | "action.yaml");
    if as_it_is { Templates::None } else { Templates::Written }
}

/// Reads the rest of a document whose beginning is not there.
fn fragment(text: &str, line: usize, templates: Templates) -> Option<Document> {
    let levels = levels(text);
    if levels.is_empty() {
        return yaml::document(text, line, templates);
    }
    let mut padded = levels
        .iter()
        .rev()
        .map(|(indent, is_list)| {
            let what = if *is_list { "-".to_owned() } else { format!("{UNSEEN}:") };
            " ".repeat(*indent) + &what + "\n"
        })
        .collect::<String>();
    let made_up = levels.len();
    padded.push_str(text);
    let mut document = yaml::document(&padded, line, templates)?;
    document.shift(made_up);
    Some(document)
}

/// The levels that are left below the first line for a shallower one, deepest first: their indents, and whether they are
/// items of a list.
fn levels(text: &str) -> Vec<(usize, bool)> {
    let mut levels: Vec<(usize, bool)> = Vec::new();
    let mut lowest: Option<(usize, bool)> = None;
    for line in text.lines() {
        let body = line.trim_start_matches(' ');
        if body.trim().is_empty() || body.starts_with('#') || body.starts_with("{{") {
            continue;
        }
        let (indent, is_item) = (line.len() - body.len(), body.starts_with("- ") || body == "-");
        match lowest {
            Some((low, _)) if indent < low => {
                levels.push((indent, is_item));
                lowest = Some((indent, is_item));
            }
            // A list may stand at its key's own indent: the next key ends it.
            Some((low, true)) if indent == low && !is_item => {
                levels.push((low, false));
                lowest = Some((low, false));
            }
            Some(_) => {}
            None => lowest = Some((indent, is_item)),
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(hunk: &str, path: &[&str]) {
        let file = sample::modified("a.yaml", hunk);
        let view = View::of(&file, 0);
        let found = view.documents.iter().flat_map(|seen| seen.document.mappings()).find_map(|(_, node)| node.at(path));
        let line = found.expect("the path is there").line();
        assert!(view.text(line).contains(path.last().expect("a path")), "{}", view.text(line));
    }

    #[test]
    fn a_piece_out_of_the_middle_is_read() {
        check(
            "+      securityContext:\n+        privileged: true\n       image: a\n",
            &["securityContext", "privileged"],
        );
        check(
            "         image: a\n+        securityContext:\n+          privileged: true\n       volumes:\n       - a\n",
            &["securityContext", "privileged"],
        );
        check(
            "           b: c\n+        a:\n+          privileged: true\n       - name: x\n         b: d\n     c: d\n",
            &["a", "privileged"],
        );
        check(
            "       - name: x\n+        a:\n+          privileged: true\n       volumes:\n         - x\n",
            &["a", "privileged"],
        );
        check(
            "           b: c\n       - name: x\n+        a:\n+          privileged: true\n       volumes:\n         - x\n",
            &["a", "privileged"],
        );
    }

    #[test]
    fn only_what_is_there_from_end_to_end_is_complete() {
        let file = sample::modified("a.yaml", " a: 1\n+b: 2\n+---\n+c: 3\n+---\n+d: 4\n e: 5\n");
        let complete: Vec<_> = View::of(&file, 0).documents.iter().map(|seen| (seen.rooted, seen.complete)).collect();
        assert_eq!(complete, [(false, false), (true, true), (true, false)]);
        let file = sample::added("a.yaml", "a: 1\n---\nb: 2\n");
        assert!(View::of(&file, 0).documents.iter().all(|seen| seen.complete && seen.rooted));
    }
}
