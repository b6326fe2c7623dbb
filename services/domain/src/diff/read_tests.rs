//! What the reader makes of every form of a diff, and what it refuses.

use super::*;

/// Each file in one line: kind, old path, path, counts.
fn told(diff: &Diff<'_>) -> Vec<String> {
    let one = |file: &FileDiff<'_>| {
        let FileChange { path, old_path, kind, lines_added, lines_deleted, binary } = &file.change;
        let from = old_path.as_ref().map(|old| format!("{old} -> ")).unwrap_or_default();
        let binary = if *binary { " binary" } else { "" };
        format!("{kind:?} {from}{path} +{lines_added} -{lines_deleted}{binary}")
    };
    diff.files.iter().map(one).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let windows = text.replace('\n', "\r\n");
    for text in [text, text.trim_end_matches('\n'), &format!("\u{feff}{text}"), &windows] {
        let diff = parse(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        assert_eq!(told(&diff), expected, "{text}");
        let changes: Vec<_> = diff.files.into_iter().map(|file| file.change).collect();
        assert_eq!(changes, super::changes(text).unwrap(), "counting alone sees the same");
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{error}\ninstead of\n{expected}\nfor\n{text}");
    assert_eq!(changes(text).expect_err(text).to_string(), error, "counting alone is as strict");
}

const X: &str = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n";

#[test]
fn every_line_knows_its_kind_number_and_text() {
    let text = "--- a/x\n+++ b/x\n@@ -3,5 +3,4 @@ fn main() {\n one\r\n-two\n---- three\n+++ four\n\n five\n\
                \\ No newline at end of file\n@@ -20,2 +19,0 @@\n-six\n-seven\n";
    let diff = parse(text).unwrap();
    let hunks = &diff.files[0].hunks;
    assert_eq!(hunks.iter().map(|hunk| hunk.section).collect::<Vec<_>>(), ["fn main() {", ""]);
    let lines: Vec<_> = hunks.iter().flat_map(|hunk| &hunk.lines).map(|it| (it.kind, it.number, it.text)).collect();
    use LineKind::{Added, Context, Removed};
    let expected = [
        (Context, 3, "one"),
        (Removed, 4, "two"),
        (Removed, 4, "--- three"),
        (Added, 4, "++ four"),
        (Context, 5, ""),
        (Context, 6, "five"),
        (Removed, 20, "six"),
        (Removed, 20, "seven"),
    ];
    assert_eq!(lines, expected);
    check(text, &["Modified x +1 -4"]);
}

#[test]
fn extended_headers_tell_what_happened() {
    check(X, &["Modified x +1 -1"]);
    check(
        "diff --git a/x b/x\nnew file mode 100644\nindex 0000000..3e75765\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+new\n",
        &["Added x +1 -0"],
    );
    check(
        "diff --git a/x b/x\ndeleted file mode 100644\nindex 3e75765..0000000\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        &["Deleted x +0 -1"],
    );
    check(
        "diff --git a/x y b/x y\nold mode 100644\nnew mode 100755\ndiff --git a/e b/e\nnew file mode 100644\n\
         index 0000000..e69de29\ndiff --git a/f b/f\ndeleted file mode 100644\nindex e69de29..0000000\n",
        &["Modified x y +0 -0", "Added e +0 -0", "Deleted f +0 -0"],
    );
    check(
        "diff --git a/x b/y z\nsimilarity index 100%\nrename from x\nrename to y z\ndiff --git a/x b/c\n\
         old mode 100644\nnew mode 100755\nsimilarity index 90%\ncopy from x\ncopy to \"c\\303\\244\"\nindex 1..2\n--- a/x\n+++ b/c\n\
         @@ -1,0 +2 @@\n+new\n",
        &["Renamed x -> y z +0 -0", "Copied x -> cä +1 -0"],
    );
    check(
        "diff --git a/x b/x\ndissimilarity index 80%\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\n+b\n+c\n",
        &["Modified x +2 -1"],
    );
}

#[test]
fn binary_files_have_no_lines() {
    check(
        "diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\ndiff --git a/n b/n\n\
         new file mode 100644\nindex 0000000..2\nBinary files /dev/null and b/n differ\n",
        &["Modified x +0 -0 binary", "Added n +0 -0 binary"],
    );
    check(
        "diff --git a/x b/x\nindex 1..2 100644\nGIT binary patch\nliteral 2\nJcmZQzNCW`@00961\n\nliteral 1\nIcmZPo000310RR91\n\n\
         diff --git a/y b/y\nindex 1..2 100644\nGIT binary patch\ndelta 2\nJcmZQzNCW`@00961\n",
        &["Modified x +0 -0 binary", "Modified y +0 -0 binary"],
    );
    check(
        "Binary files old/a and b and new/a and b differ\nBinary files /dev/null and b/n differ\n",
        &["Modified a and b +0 -0 binary", "Added n +0 -0 binary"],
    );
}

#[test]
fn paths_lose_quotes_and_prefixes_and_nothing_else() {
    let hunk = "@@ -1 +1 @@\n-old\n+new\n";
    let git =
        |names: &str, old: &str, new: &str| format!("diff --git {names}\nindex 1..2\n--- {old}\n+++ {new}\n{hunk}");
    check(&git("a/x y b/x y", "a/x y\t", "b/x y\t"), &["Modified x y +1 -1"]);
    check(&git("a/x a/x", "a/x", "a/x"), &["Modified a/x +1 -1"]);
    check(&git("i/x w/x", "i/x", "w/x"), &["Modified x +1 -1"]);
    check(&git("source/a/x new/a/x", "source/a/x", "new/a/x"), &["Modified a/x +1 -1"]);
    let quoted = r#""a/\303\244\t\"""#;
    check(&git("-", quoted, &quoted.replace("a/", "b/")), &["Modified ä\t\" +1 -1"]);
    let added = |names: &str, new: &str| {
        format!("diff --git {names}\nnew file mode 100644\nindex 0..2\n--- /dev/null\n+++ {new}\n@@ -0,0 +1 @@\n+new\n")
    };
    check(&added("b/x b/x", "b/x"), &["Added b/x +1 -0"]);
    check(&added("a/b/x b/b/x", "b/b/x"), &["Added b/x +1 -0"]);
    check(&added("source/x y new/x y", "new/x y\t"), &["Added x y +1 -0"]);
    check(&added("-", "b/x"), &["Added x +1 -0"]);
}

#[test]
fn plain_diffs_have_times_and_no_header() {
    let plain = |old: &str, new: &str, hunk: &str| format!("diff -ru old new\n--- {old}\n+++ {new}\n{hunk}");
    let both = "@@ -1 +1 @@\n-old\n+new\n";
    let time = "\t2024-01-01 00:00:00.000000000 +0100";
    check(&plain(&format!("old/x{time}"), &format!("new/x{time}"), both), &["Modified x +1 -1"]);
    check(&plain("x.orig", "x", both), &["Modified x +1 -1"]);
    check(&plain("/dev/null", "b/x", "@@ -0,0 +1 @@\n+new\n"), &["Added x +1 -0"]);
    check(&plain("a/x", "/dev/null", "@@ -1 +0,0 @@\n-old\n"), &["Deleted x +0 -1"]);
    let epoch = "old/x\t1970-01-01 01:00:00.000000000 +0100";
    check(&plain(epoch, &format!("new/x{time}"), "@@ -0,0 +1 @@\n+new\n"), &["Added x +1 -0"]);
    check(
        &(plain("a", "b", both) + "--- c\n+++ c\n@@ -1 +1 @@\n--- x\n+++ x\n"),
        &["Modified b +1 -1", "Modified c +1 -1"],
    );
    check(&format!("Index: x\n=====\n--- x\t(revision 1)\n+++ x\t(working copy)\n{both}"), &["Modified x +1 -1"]);
}

#[test]
fn mails_and_logs_stand_between_files() {
    let mail = format!(
        "From 0123 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: [PATCH] fix\n\n--\nBinary\nSo be it.\ndiff\n---\n \
         x | 2 +-\n 1 file changed\n\n{X}-- \n2.47.3\n\n"
    );
    check(&format!("{mail}{mail}"), &["Modified x +1 -1"; 2]);
    let commit = "commit 0123\nAuthor: A <a@b>\n\n    --- a/y\n    +++ b/y\n    @@ -1 +1 @@\n\n";
    check(&format!("{commit}{X}\n{commit}{X}"), &["Modified x +1 -1"; 2]);
}

#[test]
fn a_diff_cut_short_is_refused_wherever_the_cut_is() {
    let whole = X.replace("@@ -1 +1 @@\n", "@@ -1,3 +1,3 @@\n one\n two\n");
    assert!(parse(&whole).is_ok());
    let lines: Vec<_> = whole.lines().collect();
    for kept in 0..lines.len() {
        let cut = lines[..kept].join("\n");
        assert!(parse(&cut).is_err(), "{cut}");
        assert!(parse(&format!("{cut}\n{X}")).is_err() || kept == 0, "{cut}");
    }
    refused(
        &whole.replace("+new\n", ""),
        "line 8 of the diff: the hunk `@@ -1,3 +1,3 @@` of line 5 still lacks 0 old and 1 new",
    );
    refused(&whole.replace(" two\n", "two\n"), "line 7 of the diff: the hunk");
    refused(&whole.replace(" two\n", "+two\n"), "line 9 of the diff: the hunk");
    refused(&format!("{X}+more\n"), "line 8 of the diff: the hunk before this line holds more lines");
    refused(&format!("{X}--- more\n"), "holds more lines");
    refused(&format!("{X}junk\n@@ -9 +9 @@\n-old\n+new\n"), "line 9 of the diff: a hunk without a file");
    refused("--- a/x\n+++ b/x\n", "line 3 of the diff: no hunk");
    refused("diff --git a/x b/x\nindex 1..2\n--- a/x\nwhat\n", "line 4 of the diff: after a line of ---");
    refused(
        "diff --git a/x b/x\nindex 1..2 100644\n",
        "line 2 of the diff: the change of the file of line 1 is missing",
    );
    refused("diff --git a/x b/y\nsimilarity index 99%\nrename from x\nrename to y\n", "is missing");
    refused(
        "diff --git a/x b/y\nrename from x\nindex 1..2\nBinary files a/x and b/y differ\n",
        "one of its two names is missing",
    );
    refused("diff --git a/n b/n\nnew file mode 100644\nindex 0000000..3e75765\n", "is missing");
    let binary = "diff --git a/x b/x\nindex 1..2\nGIT binary patch\n";
    refused(binary, "no data");
    refused(&format!("{binary}literal 2\n"), "are missing");
    refused(&format!("{binary}literal 2\nJcmZQzNCW\n"), "are cut short");
}

#[test]
fn forms_that_leave_something_out_are_refused_with_what_to_send_instead() {
    refused("", "line 1 of the diff: no file was found");
    refused("Fix the thing\n\nAll of it.\n", "line 3 of the diff: no file was found");
    refused("\u{1b}[1mdiff --git a/x b/x\u{1b}[m\n", "--no-color");
    refused("diff --cc x\nindex 1,2..3\n", "line 1 of the diff: this is the combined diff of a merge");
    refused(&format!("{X}diff --combined x\n"), "send `git diff BASE HEAD`");
    refused("--- a/x\n+++ b/x\n@@@ -1,2 -1,2 +1,3 @@@\n  x\n", "combined");
    refused("Submodule vendor/x 0123456..89abcde:\n  > fix\n", "--submodule=short");
    refused("Submodule vendor/x 0000000...89abcde (new submodule)\n", "--submodule=short");
    refused("diff --git source/x new/y\nold mode 100644\nnew mode 100755\n", "cannot be told apart");
    refused("--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n", "both names");
    refused("--- a/\n+++ b/\n@@ -1 +1 @@\n-a\n+b\n", "name of the file is missing");
    refused("--- \"a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "line 2 of the diff: the quoted name");
    refused("--- a/x\n+++ b/x\n@@ -1 +99999999999 @@\n-a\n+b\n", "must be a hunk's header");
}

#[test]
fn reading_stops_at_the_first_error() {
    let text = format!("{X}@@ -1 +1\n{X}");
    assert_eq!(files(&text).count(), 1);
    assert!(files(&text).next().is_some_and(|file| file.is_err()));
}

/// Were any of these read in more than one pass, the test would run for minutes.
#[test]
fn long_lines_and_many_names_are_read_in_one_pass() {
    let many = 300_000;
    let (spaces, slashes) = (" ".repeat(many), "/".repeat(many));
    for names in [format!("a/{spaces}{slashes}"), "x ".repeat(many), "/ ".repeat(many), format!("a/{slashes}{spaces}")]
    {
        refused(&format!("diff --git {names}\nnew mode 100755\n"), "cannot be told apart");
    }
    refused(&format!("Binary files {} differ\n", " and ".repeat(many)), "missing");
    refused(&format!("--- a/x\n+++ b/x\n{}", "@@ -1,4000000000 +1,4000000000 @@\n".repeat(many)), "still lacks");
    refused(&"--- x\n".repeat(many), "no file was found");
    check(&format!("--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{}\n", "x".repeat(many)), &["Modified x +1 -0"]);
}
