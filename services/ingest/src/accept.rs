//! What makes a submission a deployment: sound fields, a diff that reads to its end, and the number of files that the
//! sender counted. Pure: the time comes in, and so does a diff that had to be fetched.

use std::collections::HashSet;

use domain::diff::Undo;
use domain::submission::check_count;
use domain::{
    Change, Deployment, DiffDigest, DiffReference, Draft, DraftChange, FieldViolation, FileChange, LinesDigest,
    Submission, diff,
};
use time::OffsetDateTime;

use crate::config::Config;

/// Accepts `draft` at the time `now`, or tells all that is wrong with it at once. `fetched` is the text of a diff that the
/// draft only refers to.
///
/// # Errors
/// Every field that is wrong.
pub fn accept(
    draft: Draft,
    fetched: Option<String>,
    config: &Config,
    now: OffsetDateTime,
) -> Result<Deployment, Vec<FieldViolation>> {
    let text = match (&fetched, &draft.change) {
        (Some(text), _) | (None, Some(DraftChange::Diff(text))) => text.as_str(),
        (None, _) => "",
    };
    // An absent diff and one that is too long are told with the other fields.
    let readable = (text.len() as u64 <= config.diff_bytes_max) && (fetched.is_some() || !text.trim().is_empty());
    let read = if readable { files(text, &draft, config) } else { Ok((Vec::new(), None)) };
    let digest = DiffDigest::of(text);
    match (draft.check(config.diff_bytes_max), read) {
        (Ok(submission), Ok((files, lines))) => {
            let change = Change { diff: None, digest, files, lines };
            Ok(deployment(submission, fetched, change, now))
        }
        (Ok(_), Err(violation)) => Err(vec![violation]),
        (Err(violations), read) => Err(violations.into_iter().chain(read.err()).collect()),
    }
}

/// What a diff changes: its files, and the digest of their lines.
type Read = (Vec<FileChange>, Option<LinesDigest>);

/// Reads the files of the diff, and holds their number against the limit and the sender's count.
fn files(text: &str, draft: &Draft, config: &Config) -> Result<Read, FieldViolation> {
    let field = match draft.change {
        Some(DraftChange::Git(_)) => "git",
        Some(DraftChange::Stored { .. }) => "stored_diff",
        _ => "diff",
    };
    if field == "git" && text.is_empty() {
        return Err(FieldViolation::new(field, "there is no difference between the two commits"));
    }
    let (mut files, mut undo) = (Vec::new(), Undo::default());
    for file in diff::files(text) {
        let file = file.map_err(|error| FieldViolation::new(field, error.to_string()))?;
        undo.take(&file);
        files.push(file.change);
    }
    if files.len() > config.files_max {
        let (most, count) = (config.files_max, files.len());
        return Err(FieldViolation::new(
            field,
            format!("must have at most {most} files (ingest.files_max), not {count}"),
        ));
    }
    check_count(draft.files_changed, &files)?;
    Ok((files, undo.digest()))
}

fn deployment(submission: Submission, fetched: Option<String>, change: Change, now: OffsetDateTime) -> Deployment {
    let diff = match submission.change {
        DraftChange::Diff(text) => Some(DiffReference::Inline(text)),
        DraftChange::Stored { object, .. } => Some(DiffReference::Stored { object }),
        DraftChange::Git(_) => fetched.map(DiffReference::Inline),
    };
    let draft = submission.draft;
    let mut seen = HashSet::new();
    let labels = draft.labels.iter().map(|label| plain(label));
    let labels = labels.filter(|label| !label.is_empty() && seen.insert(label.clone())).collect();
    Deployment {
        id: submission.id,
        repository: submission.repository,
        pull_request: submission.pull_request,
        revision: submission.revision,
        title: plain(&draft.title),
        author: plain(&draft.author),
        branch: plain(&draft.branch),
        base_branch: plain(&draft.base_branch),
        labels,
        environment: plain(&draft.environment),
        opened_at: draft.opened_at,
        deploy_at: draft.deploy_at,
        commits: draft.commits,
        accepted_at: now,
        change: Change { diff, ..change },
        history: draft.history,
        submitted_by: plain(&draft.submitted_by),
    }
}

/// A text fit for one line of a terminal, a table or a page: no control characters, and none of the invisible ones that
/// turn the direction of writing and so show another text than there is (CVE-2021-42574).
fn plain(text: &str) -> String {
    let replaced = text.chars().map(|c| match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        c => c,
    });
    replaced.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use domain::{FileChangeKind, GitReference};

    use super::*;

    const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new\n+more\n";
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn sound() -> Draft {
        Draft {
            repository: "acme/shop".to_owned(),
            pull_request: 7,
            change: Some(DraftChange::Diff(DIFF.to_owned())),
            ..Draft::default()
        }
    }

    #[track_caller]
    fn check(draft: Draft, fetched: Option<&str>, expected: &[&str]) {
        let config = Config { diff_bytes_max: 200, files_max: 2, ..Config::default() };
        let got = accept(draft, fetched.map(str::to_owned), &config, NOW).err().unwrap_or_default();
        let got: Vec<_> = got.iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), expected.len(), "{got:#?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.starts_with(expected), "{got}\ninstead of\n{expected}");
        }
    }

    #[test]
    fn a_sound_submission_becomes_a_deployment() {
        let draft = Draft {
            title: " Ship\tit\u{1b}[31m \n".to_owned(),
            author: "a\u{202e}b".to_owned(),
            labels: ["hot", " hot ", "", "db\u{7}"].map(str::to_owned).to_vec(),
            files_changed: Some(1),
            ..sound()
        };
        let got = accept(draft, None, &Config::default(), NOW).unwrap();
        assert_eq!((got.title.as_str(), got.author.as_str()), ("Ship it [31m", "a\u{fffd}b"));
        assert_eq!(got.labels, ["hot", "db"]);
        assert_eq!(got.accepted_at, NOW);
        assert_eq!(got.revision.as_str(), format!("diff:{}", got.change.digest.sha256));
        assert_eq!(got.change.diff, Some(DiffReference::Inline(DIFF.to_owned())));
        let [file] = got.change.files.as_slice() else { panic!("one file") };
        assert_eq!((file.path.as_str(), file.kind), ("x", FileChangeKind::Modified));
        assert_eq!((got.change.lines_added(), got.change.lines_deleted()), (2, 1));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        check(sound(), None, &[]);
        check(Draft::default(), None, &["repository:", "pull_request:", "diff: is required"]);
        let cut = DIFF.strip_suffix("+more\n").unwrap().to_owned();
        let cut = Some(DraftChange::Diff(cut));
        check(
            Draft { repository: "a b".to_owned(), change: cut, ..sound() },
            None,
            &["repository:", "diff: line 5 of the diff: the hunk"],
        );
        let files = |count: usize| Some(DraftChange::Diff(DIFF.repeat(count).replace("a/x", "a/y")));
        check(
            Draft { change: files(3), ..sound() },
            None,
            &["diff: must have at most 2 files (ingest.files_max), not 3"],
        );
        check(Draft { change: files(5), ..sound() }, None, &["diff: must have at most 200 bytes"]);
    }

    #[test]
    fn a_diff_that_lost_files_on_its_way_is_refused() {
        let draft = Draft { files_changed: Some(50), ..sound() };
        check(draft, None, &["files_changed: the sender counted 50 files, the diff holds 1: send the whole diff"]);
        let link = "diff --git a/x b/x\ndeleted file mode 100644\nindex e69de29..0000000\n\
                    diff --git a/x b/x\nnew file mode 120000\nindex 0000000..1\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n";
        check(Draft { files_changed: Some(1), change: Some(DraftChange::Diff(link.to_owned())), ..sound() }, None, &[]);
    }

    #[test]
    fn a_diff_that_was_fetched_is_held_to_the_same() {
        let digest = DiffDigest::of(DIFF);
        let stored = Draft { change: Some(DraftChange::Stored { object: "o".to_owned(), digest }), ..sound() };
        check(stored.clone(), Some("what"), &["stored_diff: line 1 of the diff: no file"]);
        let deployment = accept(stored, Some(DIFF.to_owned()), &Config::default(), NOW).unwrap();
        assert_eq!(deployment.change.diff, Some(DiffReference::Stored { object: "o".to_owned() }));
        let git = GitReference { repository: "/r".to_owned(), base: "a".repeat(40), head: "b".repeat(40) };
        let git = Draft { change: Some(DraftChange::Git(git)), ..sound() };
        check(git.clone(), Some(""), &["git: there is no difference"]);
        let deployment = accept(git, Some(DIFF.to_owned()), &Config::default(), NOW).unwrap();
        assert_eq!(deployment.change.diff, Some(DiffReference::Inline(DIFF.to_owned())));
        assert_eq!(deployment.revision.as_str(), "b".repeat(40));
    }
}
