//! The reader against another one (the crate diffy) on the same diffs, and against noise.

use std::sync::LazyLock;

use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use proptest::prelude::*;

use super::*;
use crate::deployment::FileChangeKind;

static DIFFS: LazyLock<Vec<String>> = LazyLock::new(against_git::diffs);

fn of_diffy<'a>(line: &diffy::Line<'a, [u8]>) -> (LineKind, String) {
    let (kind, text) = match line {
        diffy::Line::Context(text) => (LineKind::Context, text),
        diffy::Line::Insert(text) => (LineKind::Added, text),
        diffy::Line::Delete(text) => (LineKind::Removed, text),
    };
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    (kind, String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned())
}

#[test]
fn both_readers_see_the_same_files_and_lines() {
    for text in DIFFS.iter() {
        let ours = parse(text).unwrap();
        // diffy does not tell paths behind prefixes of different lengths apart.
        if text.contains("source/") {
            continue;
        }
        let theirs: Vec<_> =
            PatchSet::parse_bytes(text.as_bytes(), ParseOptions::gitdiff()).collect::<Result<_, _>>().unwrap();
        assert_eq!(ours.files.len(), theirs.len());
        for (ours, theirs) in ours.files.iter().zip(&theirs) {
            let kind = match theirs.operation() {
                FileOperation::Create(_) => FileChangeKind::Added,
                FileOperation::Delete(_) => FileChangeKind::Deleted,
                FileOperation::Modify { .. } => FileChangeKind::Modified,
                FileOperation::Rename { .. } => FileChangeKind::Renamed,
                FileOperation::Copy { .. } => FileChangeKind::Copied,
            };
            assert_eq!(ours.change.kind, kind, "{}", ours.change.path);
            let Some(patch) = theirs.patch().as_text() else {
                assert!(ours.change.binary, "{}", ours.change.path);
                continue;
            };
            let lines: Vec<_> = patch.hunks().iter().flat_map(|hunk| hunk.lines()).map(of_diffy).collect();
            let own = ours.hunks.iter().flat_map(|hunk| &hunk.lines);
            assert_eq!(own.map(|line| (line.kind, line.text.to_owned())).collect::<Vec<_>>(), lines);
        }
    }
}

/// What must hold of a text, whatever it is.
fn sound(text: &str) {
    let diff = parse(text);
    let counted = changes(text);
    match diff {
        Err(error) => {
            assert!((1..=text.lines().count() + 1).contains(&error.line), "{error}\n{text}");
            assert_eq!(counted, Err(error));
        }
        Ok(diff) => {
            assert!(!diff.files.is_empty());
            for file in &diff.files {
                let count = |kind| {
                    let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
                    lines.filter(|line| line.kind == kind).count()
                };
                assert_eq!(count(LineKind::Added), file.change.lines_added as usize);
                assert_eq!(count(LineKind::Removed), file.change.lines_deleted as usize);
                assert!(file.hunks.iter().flat_map(|hunk| &hunk.lines).all(|line| line.number > 0));
                assert!(!file.change.path.is_empty() && !file.change.path.contains('\0'));
            }
            assert_eq!(counted, Ok(diff.files.into_iter().map(|file| file.change).collect()));
        }
    }
}

/// Words out of which diffs are made.
const WORDS: [&str; 30] = [
    "diff --git ",
    "diff --cc ",
    "--- ",
    "+++ ",
    "@@ -1 +1 @@",
    "@@ -1,2 +3,4 @@ f",
    "@@ -0,0 +1 @@",
    "@@@ -1 -1 +1 @@@",
    "a/x",
    "b/x",
    " ",
    "\"a/\\303\\244\"",
    "\"",
    "\\",
    "/dev/null",
    "\t",
    "\n",
    "\r\n",
    "+",
    "-",
    "\\ No newline",
    "rename from ",
    "rename to ",
    "new file mode 100644",
    "old mode 1\nnew mode 2",
    "index 1..2",
    "Binary files ",
    " differ",
    "GIT binary patch\nliteral 1\nIcmZPo000310RR91\n\n",
    "-- \n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        sound(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_words_make_it_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        sound(&words.concat());
    }

    #[test]
    fn no_damaged_diff_makes_it_panic(
        (flavour, from, length, at) in (0..20_usize, any::<prop::sample::Index>(), 0..200_usize, any::<prop::sample::Index>()),
        filling in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let text = DIFFS[flavour].as_bytes();
        let (from, at) = (from.index(text.len()), at.index(text.len()));
        let until = (from + length).min(text.len());
        sound(&String::from_utf8_lossy(&[&text[..from], &text[until..]].concat()));
        sound(&String::from_utf8_lossy(&[&text[..at], &text[from..until], &text[at..]].concat()));
        sound(&String::from_utf8_lossy(&[&text[..at], &filling, &text[at..]].concat()));
        sound(&String::from_utf8_lossy(&text[..at]));
    }

    #[test]
    fn a_diff_made_by_the_other_is_read_the_same(before in "([a-c+ -]{0,3}\r?\n){0,20}[a-c]?", after in "([a-c+ -]{0,3}\r?\n){0,20}[a-c]?") {
        prop_assume!(before != after);
        let text = diffy::DiffOptions::new().set_original_filename("a/x").set_modified_filename("b/x")
            .create_patch(&before, &after).to_string();
        let theirs = diffy::Patch::from_bytes(text.as_bytes()).unwrap();
        let lines: Vec<_> = theirs.hunks().iter().flat_map(|hunk| hunk.lines()).map(of_diffy).collect();
        let diff = parse(&text).unwrap();
        let own = diff.files[0].hunks.iter().flat_map(|hunk| &hunk.lines);
        prop_assert_eq!(own.map(|line| (line.kind, line.text.to_owned())).collect::<Vec<_>>(), lines);
    }
}
