//! Which earlier change a change takes back, by what people and forges write: `Revert "Add orders"`, the branch
//! `revert-107-orders`, "This reverts commit 0123abc".
//!
//! Pure. Must not know where the text comes from.

/// What a revert says of the change that it takes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reverted {
    /// Numbers of pull requests.
    pub pull_requests: Vec<u32>,
    /// Commits, as written: 7 to 64 hexadecimal digits.
    pub commits: Vec<String>,
    /// Its title.
    pub title: Option<String>,
}

/// What is taken back by the change with this title, branch and message; `None` when it is no revert.
#[must_use]
pub fn reverted(title: &str, branch: &str, message: &str) -> Option<Reverted> {
    let mut what = Reverted::default();
    let title = title.trim();
    let beginning = title.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("revert"));
    let rest = if beginning { title[6..].trim_start_matches('s') } else { "" };
    let titled = beginning && rest.starts_with([' ', ':']);
    let numbered = branch.strip_prefix("revert-").map(|rest| digits(rest).0).filter(|number| !number.is_empty());
    if !titled && numbered.is_none() {
        return None;
    }
    what.pull_requests.extend(numbered.and_then(|number| number.parse::<u32>().ok()));
    if titled {
        // The number at the end is the revert's own.
        let rest = without_number(rest.trim_start_matches([':', ' ']));
        match (quoted(rest), number_after(rest, "#")) {
            // What git proposes for the revert of a merge.
            (Some(title), _) if title.starts_with("Merge pull request #") => {
                what.pull_requests.extend(number_after(title, "#"));
            }
            (Some(title), _) => what.title = Some(without_number(title).to_owned()),
            (None, Some(number)) => what.pull_requests.push(number),
            (None, None) => what.title = Some(rest.to_owned()).filter(|title| !title.is_empty()),
        }
    }
    for line in message.lines() {
        let line = line.trim();
        if let Some(at) = find_ignoring_case(line, "this reverts commit ") {
            let commit = line[at + 20..].split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or_default();
            if (7..=64).contains(&commit.len()) {
                what.commits.push(commit.to_ascii_lowercase());
            }
        } else if line.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("reverts "))
            || find_ignoring_case(line, "this reverts ").is_some()
        {
            what.pull_requests.extend(number_after(line, "#").or_else(|| number_after(line, "!")));
        }
    }
    Some(what)
}

/// The title without the number of its own pull request at the end: `Add orders (#107)`.
#[must_use]
pub fn without_number(title: &str) -> &str {
    let title = title.trim();
    let cut = title.strip_suffix(')').and_then(|open| open.rsplit_once("(#"));
    match cut {
        Some((before, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => before.trim_end(),
        _ => title,
    }
}

/// What stands between the first quotation mark and the last.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.split_once('"')?.1.rsplit_once('"')?.0;
    (!inner.trim().is_empty()).then(|| inner.trim())
}

fn number_after(text: &str, mark: &str) -> Option<u32> {
    digits(text.split_once(mark)?.1).0.parse().ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    text.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(title: &str, branch: &str, message: &str, expected: Option<(&[u32], &[&str], Option<&str>)>) {
        let expected = expected.map(|(numbers, commits, title)| Reverted {
            pull_requests: numbers.to_vec(),
            commits: commits.iter().map(ToString::to_string).collect(),
            title: title.map(str::to_owned),
        });
        assert_eq!(reverted(title, branch, message), expected, "{title} {branch}");
    }

    #[test]
    fn a_revert_says_what_it_takes_back() {
        check("Revert \"Add orders\"", "", "", Some((&[], &[], Some("Add orders"))));
        check("Revert \"Add orders (#107)\" (#108)", "", "", Some((&[], &[], Some("Add orders"))));
        check("Revert \"Say \"hello\"\"", "", "", Some((&[], &[], Some("Say \"hello\""))));
        check("revert: add orders (#108)", "", "", Some((&[], &[], Some("add orders"))));
        check("Revert \"Merge pull request #107 from ann/orders\"", "", "", Some((&[107], &[], None)));
        check("Revert #107", "", "", Some((&[107], &[], None)));
        check("Reverts PR #107 as it breaks carts", "", "", Some((&[107], &[], None)));
        check("Add orders", "revert-107-orders", "", Some((&[107], &[], None)));
        let message = "Revert \"Add orders\"\n\nThis reverts commit 0123ABCdef, reversing\nchanges made to 99.\n";
        check("Revert \"Add orders\"", "", message, Some((&[], &["0123abcdef"], Some("Add orders"))));
        check("Revert \"x\"", "", "Reverts acme/shop#107", Some((&[107], &[], Some("x"))));
        check("Revert \"x\"", "", "This reverts merge request !12", Some((&[12], &[], Some("x"))));
    }

    #[test]
    fn what_only_sounds_like_one_is_none() {
        check("Revertible migrations", "revert-button", "", None);
        check("Add orders", "", "This reverts commit 0123abcdef.", None);
        check("", "", "", None);
        check("Révert", "", "", None);
    }
}
