//! The reader against git itself: repositories with all that git can show, diffs in all its flavours, and git's own
//! account of the same change (`--numstat`, `--name-status`, the files).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::deployment::FileChangeKind;

/// A repository that is gone when it is dropped.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn git(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.as_bytes().starts_with(b"GIT_") {
                command.env_remove(name);
            }
        }
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        command
    }

    fn text(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.git(arguments)).into_owned()
    }

    fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }
}

fn numbered(lines: std::ops::Range<u32>) -> String {
    lines.map(|line| format!("line {line} of the file\n")).collect()
}

/// A repository whose last commit does all that a commit can do to files.
fn everything() -> Repository {
    let it = Repository::new();
    let odd_names =
        ["with space", "tab\there", "quote\"d", "back\\slash", "ünï/cödé", "a b/c d", "nl\nname", "b/b", "-dash"];
    for name in odd_names {
        it.write(name, format!("of {name}\n{}", numbered(0..10)));
        it.write(format!("gone/{name}"), "one\n");
    }
    it.write(std::ffi::OsStr::from_bytes(b"latin\xe9"), b"latin \xe9\n");
    it.write("big", numbered(0..3_000));
    it.write("crlf", numbered(0..40).replace('\n', "\r\n"));
    it.write("dashes.sql", "-- a comment\n-- another\n++ plus\nselect 1;\n\n\n-- end\n");
    it.write("no newline", "one\ntwo");
    it.write("newline lost", "one\ntwo\n");
    it.write("binary", b"\0\x01\x02 first \xff");
    it.write("rewritten", numbered(0..60));
    it.write("moved", numbered(100..140));
    it.write("moved and changed", numbered(200..240));
    it.write("copied", numbered(300..340));
    it.write("script", "#!/bin/sh\n");
    it.write("becomes a link", "text\n");
    it.write("emptied", numbered(0..3));
    it.write("empty gone", "");
    it.write("same", "same\n");
    std::os::unix::fs::symlink("same", it.folder.path().join("link")).unwrap();
    let hash = |digit: &str| format!("160000,{},module", digit.repeat(40));
    it.commit("before");
    it.git(&["update-index", "--add", "--cacheinfo", &hash("1")]);
    it.git(&["commit", "--quiet", "-m", "with a submodule"]);

    for name in odd_names {
        it.write(name, format!("changed {name}\n{}", numbered(1..12)));
        it.write(format!("new/{name}"), "one\ntwo\n");
        fs::remove_file(it.folder.path().join(format!("gone/{name}"))).unwrap();
    }
    it.write(std::ffi::OsStr::from_bytes(b"latin\xe9"), b"latin \xe9\xe8\n");
    let big: String =
        (0..3_000).map(|n| if n % 97 == 0 { format!("edited {n}\n") } else { numbered(n..n + 1) }).collect();
    it.write("big", big);
    it.write("crlf", numbered(2..41).replace('\n', "\r\n"));
    it.write("dashes.sql", "-- another\n++ plus\n++ more\n\nselect 2;\n--\n");
    it.write("no newline", "one\ntwo\nthree");
    it.write("newline lost", "one\ntwo");
    it.write("binary", b"\0\x01\x02 second \xff");
    it.write("new binary", (0..=255).cycle().take(5_000).collect::<Vec<u8>>());
    it.write("rewritten", numbered(7_000..7_070));
    fs::rename(it.folder.path().join("moved"), it.folder.path().join("folder moved")).unwrap();
    fs::remove_file(it.folder.path().join("moved and changed")).unwrap();
    it.write("moved there", numbered(200..239) + "and changed\n");
    it.write("copied", numbered(300..341));
    it.write("copy", numbered(300..340));
    it.write("copy ü", numbered(301..340));
    it.git(&["update-index", "--chmod=+x", "script"]);
    fs::remove_file(it.folder.path().join("becomes a link")).unwrap();
    std::os::unix::fs::symlink("same", it.folder.path().join("becomes a link")).unwrap();
    it.write("emptied", "");
    fs::remove_file(it.folder.path().join("empty gone")).unwrap();
    it.write("empty new", "");
    fs::remove_file(it.folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("big", it.folder.path().join("link")).unwrap();
    it.git(&["add", "--all"]);
    it.git(&["update-index", "--chmod=+x", "script"]);
    it.git(&["update-index", "--add", "--cacheinfo", &hash("2")]);
    it.git(&["commit", "--quiet", "-m", "all\n\n--- a/no\n\ndiff of it"]);
    it
}

/// Flags before and behind `diff`.
const FLAVOURS: [(&[&str], &[&str]); 20] = [
    (&[], &[]),
    (&[], &["-M", "-C", "--find-copies-harder"]),
    (&[], &["-M", "-C", "-B", "--find-copies-harder"]),
    (&[], &["--binary"]),
    (&[], &["--binary", "-M10%", "--full-index"]),
    (&[], &["--full-index", "--no-prefix"]),
    (&[], &["--no-prefix", "-M", "-C"]),
    (&["-c", "diff.mnemonicPrefix=true"], &[]),
    (&[], &["--src-prefix=source/", "--dst-prefix=new/", "-B"]),
    (&[], &["-U0"]),
    (&[], &["-U10", "--inter-hunk-context=4"]),
    (&[], &["-U100000"]),
    (&[], &["--no-renames"]),
    (&[], &["-R"]),
    (&[], &["-R", "-M", "-C", "--binary"]),
    (&[], &["--function-context"]),
    (&[], &["--patience"]),
    (&[], &["--minimal"]),
    (&["-c", "core.quotePath=false"], &["-M"]),
    (&["-c", "diff.suppressBlankEmpty=true"], &["-U6"]),
];

/// What git says of the same change, in the order of its diff.
fn accounted(it: &Repository, before: &[&str], behind: &[&str], commits: &[&str]) -> Vec<FileChange> {
    let run = |format: &str| {
        let all = [before, &["diff", format, "-z"], behind, commits].concat();
        let fields = it.git(&all);
        let mut fields: Vec<_> =
            fields.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        fields.pop();
        fields.into_iter()
    };
    let (mut counts, mut names) = (run("--numstat"), run("--name-status"));
    let mut files = Vec::new();
    while let Some(status) = names.next() {
        let first = names.next().unwrap();
        let kind = match &status[..1] {
            "A" => FileChangeKind::Added,
            "D" => FileChangeKind::Deleted,
            "R" => FileChangeKind::Renamed,
            "C" => FileChangeKind::Copied,
            _ => FileChangeKind::Modified,
        };
        let moved = matches!(kind, FileChangeKind::Renamed | FileChangeKind::Copied);
        let (path, old_path) = if moved { (names.next().unwrap(), Some(first)) } else { (first, None) };
        let stat = counts.next().unwrap();
        let mut stat = stat.splitn(3, '\t');
        let mut count = || stat.next().and_then(|count| count.parse().ok());
        let (added, removed) = (count(), count());
        if moved {
            counts.nth(1);
        }
        let binary = added.is_none();
        let file = FileChange {
            path,
            old_path,
            kind,
            lines_added: added.unwrap_or(0),
            lines_deleted: removed.unwrap_or(0),
            binary,
        };
        if file.path == "becomes a link" && !moved {
            // A file that becomes a link is shown as one that goes and one that comes.
            files.push(FileChange { kind: FileChangeKind::Deleted, lines_added: 0, ..file.clone() });
            files.push(FileChange { kind: FileChangeKind::Added, lines_deleted: 0, ..file });
        } else {
            files.push(file);
        }
    }
    files
}

#[track_caller]
fn check(it: &Repository, before: &[&str], behind: &[&str], commits: &[&str]) {
    let text = it.text(&[before, &["diff"], behind, commits].concat());
    let diff = parse(&text).unwrap_or_else(|error| panic!("{before:?} {behind:?}: {error}"));
    let expected = accounted(it, before, behind, commits);
    let got: Vec<_> = diff.files.iter().map(|file| file.change.clone()).collect();
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(got, expected, "{before:?} {behind:?}");
    }
    assert_eq!(got.len(), expected.len(), "{before:?} {behind:?}");
    assert_eq!(changes(&text).unwrap(), expected, "{before:?} {behind:?}");
}

/// All flavours of the diff of a commit that does everything.
pub(super) fn diffs() -> Vec<String> {
    let it = everything();
    let commits: &[&str] = &["HEAD~1", "HEAD"];
    FLAVOURS.iter().map(|(before, behind)| it.text(&[*before, &["diff"], *behind, commits].concat())).collect()
}

#[test]
fn files_kinds_and_counts_are_those_that_git_gives() {
    let it = everything();
    for (before, behind) in FLAVOURS {
        check(&it, before, behind, &["HEAD~1", "HEAD"]);
    }
}

#[test]
fn what_is_staged_and_what_is_not_read_like_commits() {
    let it = everything();
    it.git(&["reset", "--quiet", "--soft", "HEAD~1"]);
    for before in [&["-c", "diff.mnemonicPrefix=true"][..], &[], &["-c", "diff.noprefix=true"]] {
        check(&it, before, &["-M"], &["--cached"]);
        check(&it, before, &["-M"], &["HEAD"]);
    }
    it.git(&["reset", "--quiet", "HEAD"]);
    for before in [&["-c", "diff.mnemonicPrefix=true"][..], &[]] {
        check(&it, before, &[], &[]);
    }
}

#[test]
fn every_line_stands_where_its_number_says() {
    let it = everything();
    for flags in [&["-U3"][..], &["-U0", "-M", "-C", "--find-copies-harder"], &["-U50", "--text"]] {
        let text = it.text(&[&["diff"], flags, &["HEAD~1", "HEAD"]].concat());
        let mut lines = 0;
        for file in parse(&text).unwrap().files {
            if file.change.path.contains('\u{fffd}') || file.change.path == "module" {
                continue;
            }
            let gone = file.change.kind == FileChangeKind::Deleted;
            let after = if gone { String::new() } else { it.text(&["show", &format!("HEAD:{}", file.change.path)]) };
            let after: Vec<_> = after.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
            for line in file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.kind != LineKind::Removed) {
                assert_eq!(after[line.number as usize - 1], line.text, "{}:{}", file.change.path, line.number);
                lines += 1;
            }
        }
        assert!(lines > 100, "{lines} lines were compared");
    }
}

#[test]
fn logs_mails_and_shows_hold_the_same_files() {
    let it = everything();
    let once = changes(&it.text(&["diff", "-M", "HEAD~1", "HEAD"])).unwrap();
    for arguments in [
        &["log", "-p", "-M", "-1"][..],
        &["log", "-p", "-M", "-1", "--stat", "--summary", "--format=fuller"],
        &["show", "-M", "--format=raw"],
        &["format-patch", "--stdout", "-M", "--no-binary", "-1"],
        &["diff-tree", "-p", "-M", "--root", "HEAD"],
    ] {
        assert_eq!(changes(&it.text(arguments)).unwrap(), once, "{arguments:?}");
    }
    let all = changes(&it.text(&["log", "-p", "-M"])).unwrap();
    let mails = changes(&it.text(&["format-patch", "--stdout", "-M", "--no-binary", "--root", "HEAD"])).unwrap();
    assert!(all.len() > once.len());
    assert_eq!(all.len(), mails.len());
}

#[test]
fn the_combined_diff_of_a_merge_is_refused() {
    let it = Repository::new();
    it.write("x", "one\n");
    it.commit("one");
    it.git(&["checkout", "--quiet", "-b", "side"]);
    it.write("x", "side\n");
    it.commit("side");
    it.git(&["checkout", "--quiet", "main"]);
    it.write("x", "main\n");
    it.commit("main");
    assert!(!it.command(&["merge", "--quiet", "side"]).status().unwrap().success(), "they are in conflict");
    let refused = |text: &str| {
        let error = parse(text).expect_err(text);
        assert!(error.message.contains("combined diff of a merge"), "{error}");
    };
    refused(&it.text(&["diff"]));
    it.write("x", "both\n");
    it.commit("merge");
    refused(&it.text(&["show"]));
    refused(&it.text(&["show", "-c"]));
    assert_eq!(changes(&it.text(&["diff", "HEAD^1", "HEAD"])).unwrap().len(), 1);
}

#[test]
fn what_git_was_told_to_leave_out_is_not_taken_for_no_change() {
    let it = Repository::new();
    it.write("x", numbered(0..20));
    it.commit("one");
    fs::rename(it.folder.path().join("x"), it.folder.path().join("y")).unwrap();
    it.write("y", numbered(0..20).replace("line 7", "line  7"));
    it.commit("two");
    for flags in [["-w", "-M"], ["-I7", "-M"], ["--irreversible-delete", "--no-renames"]] {
        let error = parse(&it.text(&[&["diff"], &flags[..], &["HEAD~1", "HEAD"]].concat())).unwrap_err();
        assert!(error.message.contains("made with -w"), "{flags:?}: {error}");
    }
}
