//! Checking a submission at the door, so that a sender learns at once what ingest would refuse later. Pure.

use domain::submission::check_count;
use domain::{DeploymentId, Draft, DraftChange, FieldViolation, diff};

/// A submission whose fields are sound and whose diff, where it is here, reads to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    /// The deployment that it asks for.
    pub(crate) id: DeploymentId,
    /// What is to be published, with its revision filled in.
    pub(crate) draft: Draft,
}

/// Checks `draft`.
///
/// # Errors
/// Every field that is wrong.
pub(crate) fn check(draft: Draft, diff_bytes_max: u64) -> Result<Checked, Vec<FieldViolation>> {
    let unreadable = match &draft.change {
        // Those that are empty or too long are told with the other fields.
        Some(DraftChange::Diff(text)) if !text.trim().is_empty() && text.len() as u64 <= diff_bytes_max => {
            check_diff(text, draft.files_changed).err()
        }
        _ => None,
    };
    match (draft.check(diff_bytes_max), unreadable) {
        (Ok(sound), None) => {
            let draft = Draft { revision: sound.revision.to_string(), change: Some(sound.change), ..sound.draft };
            Ok(Checked { id: sound.id, draft })
        }
        (checked, unreadable) => Err(checked.err().into_iter().flatten().chain(unreadable).collect()),
    }
}

fn check_diff(text: &str, files_changed: Option<u32>) -> Result<(), FieldViolation> {
    let files = diff::changes(text).map_err(|error| FieldViolation::new("diff", error.to_string()))?;
    check_count(files_changed, &files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";

    fn sound() -> Draft {
        Draft {
            repository: "acme/shop".to_owned(),
            pull_request: 7,
            change: Some(DraftChange::Diff(DIFF.to_owned())),
            ..Draft::default()
        }
    }

    #[track_caller]
    fn refused(draft: Draft, expected: &[&str]) {
        let violations = check(draft, 1_000).unwrap_err();
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, expected, "{violations:?}");
    }

    #[test]
    fn what_is_published_names_its_revision_and_is_the_same_deployment() {
        let checked = check(sound(), 1_000).unwrap();
        assert!(checked.draft.revision.starts_with("diff:"));
        assert_eq!(checked.draft, Draft { revision: checked.draft.revision.clone(), ..sound() });
        assert_eq!(check(checked.draft.clone(), 1_000).unwrap(), checked);
    }

    #[test]
    fn a_bad_diff_is_told_together_with_all_other_fields() {
        let diff = |text: &str| Some(DraftChange::Diff(text.to_owned()));
        let cut = diff(&DIFF[..DIFF.len() - 3]);
        refused(Draft::default(), &["repository", "pull_request", "diff"]);
        refused(Draft { change: diff(" \n"), ..sound() }, &["diff"]);
        refused(Draft { change: diff(&"x".repeat(1_001)), ..sound() }, &["diff"]);
        refused(Draft { change: diff("no diff at all"), ..sound() }, &["diff"]);
        refused(Draft { change: cut.clone(), ..sound() }, &["diff"]);
        refused(Draft { change: cut, title: "\0".to_owned(), ..sound() }, &["title", "diff"]);
        refused(Draft { files_changed: Some(50), ..sound() }, &["files_changed"]);
    }
}
