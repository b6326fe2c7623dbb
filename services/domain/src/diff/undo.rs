//! Whether one diff takes back another: a digest of what a diff does, and of what would undo it.

use sha2::{Digest, Sha256};

use super::{FileDiff, LineKind};
use crate::deployment::{FileChangeKind, LinesDigest};

/// Takes in a diff file by file, and gives the digest of what it does and of what would undo it.
///
/// Two diffs agree when the same files have the same lines, those around a change included, in the same order before and after; where
/// in the file they stand does not matter. Modes and ends of lines are not looked at.
#[derive(Debug)]
pub struct Undo {
    /// Digests of the files, forwards and backwards; `None` once a file had no lines to look at.
    files: Option<Vec<[[u8; 32]; 2]>>,
}

impl Default for Undo {
    fn default() -> Self {
        Self { files: Some(Vec::new()) }
    }
}

impl Undo {
    /// Takes in one file.
    pub fn take(&mut self, file: &FileDiff<'_>) {
        let Some(files) = &mut self.files else { return };
        match digests(file) {
            Some(both) => files.push(both),
            None => self.files = None,
        }
    }

    /// The digests of all that was taken in; `None` when a part of it has no lines, such as a binary file or a change of mode.
    #[must_use]
    pub fn digest(self) -> Option<LinesDigest> {
        let files = self.files.filter(|files| !files.is_empty())?;
        let of = |side: usize| {
            let mut side: Vec<[u8; 32]> = files.iter().map(|both| both[side]).collect();
            // A rename is listed elsewhere when it is taken back.
            side.sort_unstable();
            crate::identity::sha256_hex(&side.concat())
        };
        Some(LinesDigest { done: of(0), undone: of(1) })
    }
}

fn digests(file: &FileDiff<'_>) -> Option<[[u8; 32]; 2]> {
    let change = &file.change;
    let (old, new) = match change.kind {
        FileChangeKind::Added => ("", change.path.as_str()),
        FileChangeKind::Deleted => (change.path.as_str(), ""),
        FileChangeKind::Renamed => (change.old_path.as_deref()?, change.path.as_str()),
        FileChangeKind::Modified if file.hunks.is_empty() => return None,
        FileChangeKind::Modified => (change.path.as_str(), change.path.as_str()),
        FileChangeKind::Copied => return None,
    };
    if change.binary {
        return None;
    }
    let (mut before, mut after) = (Sha256::new(), Sha256::new());
    for hunk in &file.hunks {
        for line in &hunk.lines {
            if line.kind != LineKind::Added {
                before.update(line.text.as_bytes());
                before.update(b"\n");
            }
            if line.kind != LineKind::Removed {
                after.update(line.text.as_bytes());
                after.update(b"\n");
            }
        }
        before.update(b"\0");
        after.update(b"\0");
    }
    let (before, after) = (before.finalize(), after.finalize());
    let one_way = |from: &str, to: &str, first: &[u8], second: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        for path in [from, to] {
            hash.update(path.as_bytes());
            hash.update(b"\0");
        }
        hash.update(first);
        hash.update(second);
        hash.finalize().into()
    };
    Some([one_way(old, new, &before, &after), one_way(new, old, &after, &before)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Option<LinesDigest> {
        let mut undo = Undo::default();
        for file in super::super::files(text) {
            undo.take(&file.unwrap());
        }
        undo.digest()
    }

    const CHANGE: &str =
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n";
    const BACK: &str =
        "--- a/new\n+++ /dev/null\n@@ -1 +0,0 @@\n-n\n--- a/x\n+++ b/x\n@@ -11,3 +11,3 @@\n a\n-B\n+b\n c\n";

    #[test]
    fn a_revert_does_what_undoes_the_change_wherever_the_lines_have_moved_to() {
        let (change, back) = (digest(CHANGE).unwrap(), digest(BACK).unwrap());
        assert_eq!(back.done, change.undone);
        assert_eq!(back.undone, change.done);
        assert_ne!(change.done, change.undone);
    }

    #[track_caller]
    fn check_not_taken_back(other: &str) {
        assert_ne!(digest(other).map(|lines| lines.done), digest(CHANGE).map(|lines| lines.undone), "{other}");
    }

    #[test]
    fn what_does_more_less_or_something_else_is_no_revert() {
        check_not_taken_back(CHANGE);
        check_not_taken_back(&format!("{BACK}--- a/y\n+++ b/y\n@@ -1 +1 @@\n-1\n+2\n"));
        check_not_taken_back("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-B\n+b\n c\n");
        check_not_taken_back(&BACK.replace("+b\n c", "+b \n c"));
        check_not_taken_back(&BACK.replace(" a\n", " z\n"));
        check_not_taken_back(&BACK.replace("a/new", "a/old"));
    }

    #[test]
    fn a_rename_is_taken_back_by_its_reverse() {
        let there = "diff --git a/p b/q\nsimilarity index 100%\nrename from p\nrename to q\n";
        let back = "diff --git a/q b/p\nsimilarity index 100%\nrename from q\nrename to p\n";
        assert_eq!(digest(back).unwrap().done, digest(there).unwrap().undone);
    }

    #[test]
    fn what_has_no_lines_can_not_be_told() {
        assert_eq!(
            digest("diff --git a/b.png b/b.png\nindex 1..2 100644\nBinary files a/b.png and b/b.png differ\n"),
            None
        );
        assert_eq!(digest("diff --git a/run b/run\nold mode 100644\nnew mode 100755\n"), None);
    }
}
