//! From git's main line to a repository's history: each pull request, or commit that came without one, becomes a change, with
//! what was known of it when it was made.

use std::collections::HashMap;
use std::path::Path;

use domain::FileChange;
use ml_scoring::features::{Features, Measures, Seen};
use ml_scoring::history::reverts::{reverted, without_number};
use ml_scoring::history::{Asked, Change, Import, Key, Remembered, Repository, Touched};

use super::log::{Graph, Landed, Log};

/// A change as it was read, for who wants to know it at once.
pub(super) struct Imported<'a> {
    pub(super) change: &'a Change,
    pub(super) landed: &'a Landed,
    pub(super) measures: &'a Measures,
}

/// Reads the main line of `repository` up to `head` into a history, and shows each change in passing.
pub(super) fn import(
    repository: &Path,
    head: &str,
    from: Import,
    mut seen: impl FnMut(Imported<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Repository> {
    let mut graph = Graph::read(repository, head)?;
    let mut log = Log::read(repository, head)?;
    let mut history = Repository::new(Vec::new(), Some(from));
    // Which change brought a commit.
    let mut brought_by: HashMap<u32, Key> = HashMap::new();
    while let Some(landed) = log.next()? {
        let (measures, change) = read(&landed, &mut graph, &mut brought_by, &history);
        seen(Imported { change: &change, landed: &landed, measures: &measures })?;
        history.record(change);
    }
    Ok(history)
}

fn read(
    landed: &Landed,
    graph: &mut Graph,
    brought_by: &mut HashMap<u32, Key>,
    history: &Repository,
) -> (Measures, Change) {
    let commits = graph.brought(landed);
    let (title, number, branch) = pull_request(&landed.message, !commits.is_empty());
    let key = number.map_or_else(|| Key::Commit(landed.commit.clone()), Key::PullRequest);
    let places = commits.iter().copied().chain(graph.place(&landed.commit));
    brought_by.extend(places.map(|place| (place, key.clone())));
    // Who merges is not who wrote it: that is who wrote the last commit that was merged.
    let newest = commits.first().map(|place| graph.node(*place));
    let author = newest.map_or(landed.author.as_str(), |node| graph.author(node)).to_owned();
    let oldest = commits.iter().map(|place| graph.node(*place).authored_at).min();
    let lead = oldest.map(|oldest| (landed.landed_at - oldest) as f64 / 3600.0).filter(|hours| *hours >= 0.0);
    let messages = commits.iter().filter_map(|place| graph.message(*place));
    let message = messages.fold(landed.message.clone(), |all, one| all + "\n" + one);
    let mut reverts = reverted(&title, &branch, &message);
    if let Some(what) = &mut reverts {
        // A merged commit stands for the change that brought it.
        for commit in &what.commits {
            if let Some(Key::PullRequest(number)) = graph.place(commit).and_then(|place| brought_by.get(&place)) {
                what.pull_requests.push(*number);
            }
        }
    }
    let files: Vec<Touched> = landed.files.iter().map(Touched::of).collect();
    let asked = Asked { at: landed.landed_at, author: &author, files: &files };
    let past = history.history(&asked, &key);
    let files_seen: &[FileChange] = &landed.files;
    let measures = Measures::seen(
        Seen {
            files: files_seen,
            title: &title,
            author: &author,
            branch: &branch,
            commits: (!commits.is_empty()).then_some(commits.len() as f64),
            lead_hours: lead,
            revert: reverts.is_some(),
        },
        past,
    );
    let change = Change {
        key,
        deployments: Vec::new(),
        at: landed.landed_at,
        author: author.into(),
        title: without_number(&title).into(),
        files,
        features: Some(Remembered::of(&Features::of(&measures))),
        reverts: reverts.map(Box::new),
        failed_at: None,
    };
    (measures, change)
}

/// Title, number and branch of the pull request that a commit's message speaks of.
///
/// `Merge pull request #107 from ann/orders` and the title below it, as GitHub writes; `See merge request group/shop!107`, as
/// GitLab does; `Add orders (#107)` of a squashed one; bors writes `Merge #107`.
fn pull_request(message: &str, merge: bool) -> (String, Option<u32>, String) {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let numbered = |text: &str, mark: &str| -> Option<u32> {
        let rest = text.split_once(mark)?.1;
        rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
    };
    if merge {
        let second = || lines.clone().next().unwrap_or(first).to_owned();
        if let Some(rest) = first.strip_prefix("Merge pull request ") {
            let branch =
                rest.split_once(" from ").map_or("", |(_, from)| from.split_once('/').map_or(from, |(_, b)| b));
            return (second(), numbered(rest, "#"), branch.to_owned());
        }
        if first.starts_with("Merge #") || first.starts_with("Auto merge of #") {
            let own = second();
            let title = own.split_once(": ").filter(|(number, _)| number.parse::<u32>().is_ok());
            return (title.map_or(own.clone(), |(_, title)| title.to_owned()), numbered(first, "#"), String::new());
        }
        if let Some(line) = message.lines().rev().find(|line| line.contains("See merge request ")) {
            let branch = first.split('\'').nth(1).unwrap_or_default();
            return (second(), numbered(line, "!"), branch.to_owned());
        }
    }
    let cut = without_number(first);
    let number = if cut.len() < first.len() { numbered(&first[cut.len()..], "(#") } else { None };
    (first.to_owned(), number, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, merge: bool, title: &str, number: Option<u32>, branch: &str) {
        assert_eq!(pull_request(message, merge), (title.to_owned(), number, branch.to_owned()), "{message}");
    }

    #[test]
    fn forges_say_which_pull_request_a_commit_brings() {
        check(
            "Merge pull request #107 from ann/revert-9-x\n\nAdd orders\n\nMore",
            true,
            "Add orders",
            Some(107),
            "revert-9-x",
        );
        check(
            "Merge branch 'orders' into 'main'\n\nAdd orders\n\nSee merge request acme/shop!107",
            true,
            "Add orders",
            Some(107),
            "orders",
        );
        check("Merge #107\n\n107: Add orders r=ann a=ann\n", true, "Add orders r=ann a=ann", Some(107), "");
        check("Add orders (#107)\n\n* first\n", false, "Add orders (#107)", Some(107), "");
        check("Add orders", false, "Add orders", None, "");
        check("Merge branch 'main' of there", true, "Merge branch 'main' of there", None, "");
        check("", false, "", None, "");
    }
}
