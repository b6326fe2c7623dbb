//! The verdict as a page in Markdown: what a job shows of itself. Pure.
//!
//! What strangers wrote stands in it, so that nothing of it may become a link, a picture, a heading or a tag.

use std::fmt::Write as _;

use proto::v1;
use proto::v1::evidence::Evidence;

use crate::cli::Follow;
use crate::report;

/// Most reasons, and places of one reason: a job's page takes 1 MiB.
const REASONS_MAX: usize = 50;
const PLACES_MAX: usize = 10;
/// Most characters of one text.
const CHARS_MAX: usize = 2_000;
/// How many features are shown.
const FEATURES_MAX: usize = 5;

/// The page of a verdict. `files_at` is where the files of the revision are shown, up to their paths.
pub(super) fn of(known: &v1::GetDeploymentResponse, files_at: Option<&str>) -> String {
    let mut page = String::new();
    let verdict = report::latest_verdict(known).unwrap_or_default();
    let _ = writeln!(page, "## {} FailSafe: {}\n", mark(verdict), name(verdict));
    if let Some(deployment) = &known.deployment {
        subject(&mut page, deployment);
    }
    if let Some(reached) = known.verdicts.first()
        && let Some(judgement) = &reached.judgement
    {
        reasons(&mut page, known, judgement, files_at);
        missing(&mut page, judgement);
        ways(&mut page, judgement);
        risk(&mut page, known);
        explanation(&mut page, known);
        let policy =
            reached.policy.as_ref().map(|policy| format!(", policy {}", plain(&policy.version))).unwrap_or_default();
        let id = code(&reached.deployment_id);
        let _ = writeln!(page, "<sub>deployment {id}, verdict {}{policy}</sub>\n", reached.number);
    }
    page
}

/// The page where there is no verdict.
pub(super) fn without_verdict(request: &v1::SubmitDeploymentRequest, why: &str, on_unavailable: Follow) -> String {
    let open = match on_unavailable {
        Follow::Fail => "The gate stays shut: no verdict is no ALLOW.",
        Follow::Pass => "**The gate is open all the same**, because of `--on-unavailable pass`.",
    };
    format!(
        "## ❔ FailSafe: no verdict\n\n**{} #{}** {}\n\n{}\n\n{open}\n\n",
        plain(&request.repository),
        request.pull_request,
        plain(&request.title),
        plain(why)
    )
}

const fn mark(verdict: v1::Verdict) -> &'static str {
    match verdict {
        v1::Verdict::Allow => "✅",
        v1::Verdict::Review => "⚠️",
        v1::Verdict::Block => "⛔",
        v1::Verdict::Unspecified => "❔",
    }
}

fn name(verdict: v1::Verdict) -> &'static str {
    match verdict {
        v1::Verdict::Unspecified => "no verdict yet",
        known => known.as_str_name().trim_start_matches("VERDICT_"),
    }
}

fn subject(page: &mut String, deployment: &v1::Deployment) {
    let number = deployment.pull_request;
    let _ = write!(page, "**{} #{number}** {}", plain(&deployment.repository), plain(&deployment.title));
    if !deployment.author.is_empty() {
        let _ = write!(page, " by {}", plain(&deployment.author));
    }
    if let Some(change) = &deployment.change {
        let sum = |of: fn(&v1::FileChange) -> u32| change.files.iter().map(|file| u64::from(of(file))).sum::<u64>();
        let (added, deleted) = (sum(|file| file.lines_added), sum(|file| file.lines_deleted));
        let files = change.files.len();
        let _ = write!(page, " · {files} {}, +{added} −{deleted}", if files == 1 { "file" } else { "files" });
    }
    let _ = writeln!(page, " · {}\n", code(&deployment.revision.chars().take(12).collect::<String>()));
}

fn reasons(page: &mut String, known: &v1::GetDeploymentResponse, judgement: &v1::Judgement, files_at: Option<&str>) {
    page.push_str("### Why\n\n");
    for reason in judgement.reasons.iter().take(REASONS_MAX) {
        let _ = writeln!(page, "- {} {}", mark(reason.effect()), plain(&reason.message));
        let mut remediation = "";
        let places = reason.evidence.iter().filter_map(|evidence| match &evidence.evidence {
            Some(Evidence::Finding(place)) => Some(place),
            _ => None,
        });
        for place in places.clone().take(PLACES_MAX) {
            let shown = position(place, files_at);
            let found = report::finding(known, place);
            let excerpt =
                found.filter(|found| !found.excerpt.is_empty()).map(|found| format!(" {}", code(&found.excerpt)));
            let _ = writeln!(page, "  - {shown}{}", excerpt.unwrap_or_default());
            remediation = found.map_or(remediation, |found| found.remediation.as_str());
        }
        let more = places.count().saturating_sub(PLACES_MAX);
        if more > 0 {
            let _ = writeln!(page, "  - … and {more} more");
        }
        if !remediation.is_empty() {
            let _ = writeln!(page, "  - → {}", plain(remediation));
        }
    }
    let more = judgement.reasons.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        let _ = writeln!(page, "- … and {more} more reasons");
    }
    page.push('\n');
}

/// A place, and where the forge shows it.
fn position(place: &v1::FindingEvidence, files_at: Option<&str>) -> String {
    let line = |before: &str| if place.line == 0 { String::new() } else { format!("{before}{}", place.line) };
    let shown = code(&format!("{}{}", place.path, line(":")));
    match files_at {
        Some(at) => format!("[{shown}](<{at}{}{}>)", in_address(&place.path), line("#L")),
        None => shown,
    }
}

fn missing(page: &mut String, judgement: &v1::Judgement) {
    if judgement.missing.is_empty() {
        return;
    }
    page.push_str("### Missing\n\n");
    for missing in &judgement.missing {
        let _ = writeln!(page, "- {}: {}", plain(&missing.input), plain(&missing.why));
    }
    page.push('\n');
}

fn ways(page: &mut String, judgement: &v1::Judgement) {
    let mut ways = Vec::new();
    if let Some(overruled) = &judgement.overruled {
        let by = overruled.by.join(", ");
        ways.push(format!(
            "the policy says {}, and {} decided otherwise",
            name(overruled.policy_verdict()),
            plain(&by)
        ));
    }
    for wanted in &judgement.approvals {
        let left = wanted.count.saturating_sub(wanted.given);
        let who = if wanted.by.is_empty() { "anybody".to_owned() } else { format!("the group {}", plain(&wanted.by)) };
        ways.push(format!("awaits {left} {} by {who}", if left == 1 { "approval" } else { "approvals" }));
    }
    if let Some(way) = &judgement.counterfactual {
        let changes: Vec<_> = way.changes.iter().map(|change| plain(&change.message)).collect();
        ways.push(format!("**{} if you** {}", name(way.verdict()), changes.join("; ")));
    }
    if !ways.is_empty() {
        let _ = writeln!(page, "### What leads on\n");
        for way in ways {
            let _ = writeln!(page, "- {way}");
        }
        page.push('\n');
    }
}

fn risk(page: &mut String, known: &v1::GetDeploymentResponse) {
    let score = known.signals.iter().find_map(|signal| match &signal.said {
        Some(v1::signal::Said::RiskScore(score)) => Some(score),
        _ => None,
    });
    let Some(score) = score else { return };
    let chosen = score.grounds.as_ref().is_some_and(|grounds| grounds.provenance() == v1::Provenance::SyntheticPrior);
    let what = if chosen { "Scenario (chosen, not measured)" } else { "Risk" };
    let _ = writeln!(page, "### {what}: {:.1} %\n", score.risk * 100.0);
    for contribution in score.contributions.iter().take(FEATURES_MAX) {
        let _ = writeln!(page, "- ×{:.2} {}", contribution.log_odds.exp(), plain(&contribution.words));
    }
    page.push('\n');
}

fn explanation(page: &mut String, known: &v1::GetDeploymentResponse) {
    let Some(words) = known.explanations.first() else { return };
    let _ = writeln!(page, "<details><summary>Explanation</summary>\n\n{}\n", plain(&words.headline));
    for (title, claims) in [("Why", &words.why), ("What to do", &words.what_to_do)] {
        if !claims.is_empty() {
            let _ = writeln!(page, "**{title}**\n");
            for claim in claims {
                let _ = writeln!(page, "- {}", plain(&claim.text));
            }
            page.push('\n');
        }
    }
    for doubt in &words.uncertain {
        let _ = writeln!(page, "- not certain: {}", plain(doubt));
    }
    let _ = writeln!(page, "\n</details>\n");
}

/// Text that is nothing but text, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().take(CHARS_MAX).peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                plain.push('\\');
                plain.push(character);
            }
            // Nobody is called, and no address becomes a link.
            '@' => plain.push_str("&#64;"),
            ':' if characters.peek() == Some(&'/') => plain.push_str("&#58;"),
            '.' if ends_with_www(&plain) => plain.push_str("&#46;"),
            _ if character.is_whitespace() || character.is_control() => plain.push(' '),
            _ => plain.push(character),
        }
    }
    plain
}

fn ends_with_www(text: &str) -> bool {
    text.len().checked_sub(3).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// Text as code, on one line: between more backticks than it holds.
fn code(text: &str) -> String {
    let shown: String = text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if shown.starts_with('`') || shown.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{shown}{space}{fence}")
}

/// A path within an address.
fn in_address(path: &str) -> String {
    let mut address = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_is_nothing_but_text() {
        assert_eq!(plain("<img src=x>\n# @ann [a](b)"), "&lt;img src=x&gt; \\# &#64;ann \\[a\\](b)");
        assert_eq!(plain("a: https://b.example, www.b.example"), "a: https&#58;//b.example, www&#46;b.example");
        assert_eq!(code("a `b` ``c``"), "``` a `b` ``c`` ```");
        assert_eq!(code("a\nb"), "`a b`");
        assert_eq!(in_address("a b/ü>.rs"), "a%20b/%C3%BC%3E.rs");
    }
}
