//! The explanation that needs no model: written from the evidence by rules. It is what most sites read, so it reads like
//! a person, begins with what decided, and says file and line.
//!
//! Pure. Each claim cites the evidence it was made from.

mod doubts;
mod steps;

use std::collections::BTreeSet;

use domain::{
    Category, Claim, Contribution, Evidence as RestsOn, Finding, Judgement, MissingInput, Reached, Reason, RiskScore,
    Source, Verdict,
};

use crate::evidence::{
    About, Evidence, Fact, decisive, factor, findings, message, place, rank_share, rests_on_risk, score,
};
use crate::template::Sentences;
use crate::text::{clause, one_line, sentence};
use crate::words::Words;

/// Most kinds of deciding findings that get a claim each.
const GROUPS_MAX: usize = 6;
/// Most places named in one claim.
const PLACES_MAX: usize = 3;
/// Most contributions named in one claim.
const CONTRIBUTIONS_MAX: usize = 3;
/// Most findings, and most reasons, that one claim cites.
const CITED_MAX: usize = 8;
/// What adds less to the log-odds than this is not worth a word (×1.1).
const LOG_ODDS_MIN: f64 = 0.1;
/// Most characters of a sentence that another service wrote.
const SENTENCE_CHARS_MAX: usize = 400;

/// The explanation of `reached`, from its evidence, in these sentences.
#[must_use]
pub(crate) fn write(reached: &Reached, evidence: &Evidence<'_>, sentences: &Sentences) -> Words {
    let case = Case::of(reached, evidence, sentences);
    Words {
        headline: headline(&case),
        why: why(&case),
        what_to_do: steps::steps(&case),
        uncertain: doubts::doubts(&case),
    }
}

/// A verdict as its explanation looks at it.
struct Case<'a> {
    reached: &'a Reached,
    evidence: &'a Evidence<'a>,
    sentences: &'a Sentences,
    verdict: Verdict,
    /// The reasons that ask for the verdict.
    deciding: Vec<Cited<&'a Reason>>,
    /// The findings that the verdict rests on, by rule.
    decisive: Vec<Group<'a>>,
    /// The findings that it does not rest on, by rule.
    other: Vec<Group<'a>>,
}

/// Something, and the id of the evidence that it is.
struct Cited<T> {
    id: String,
    what: T,
}

/// Findings of one rule.
struct Group<'a> {
    findings: Vec<Cited<&'a Finding>>,
}

impl<'a> Case<'a> {
    fn of(reached: &'a Reached, evidence: &'a Evidence<'a>, sentences: &'a Sentences) -> Self {
        let verdict = reached.judgement.verdict;
        let (mut deciding, mut decisive, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for item in &evidence.items {
            let id = item.id.clone();
            match &item.fact {
                Fact::Reason(reason) if item.decides => deciding.push(Cited { id, what: *reason }),
                Fact::Finding(finding) if item.decides => join(&mut decisive, Cited { id, what: *finding }),
                Fact::Finding(finding) => join(&mut other, Cited { id, what: *finding }),
                _ => {}
            }
        }
        Self { reached, evidence, sentences, verdict, deciding, decisive, other }
    }

    /// The deciding reason that rests on the risk.
    fn risk(&self) -> Option<&Cited<&'a Reason>> {
        self.deciding.iter().find(|cited| rests_on_risk(cited.what))
    }

    /// The inputs whose absence decides, with the reason's id.
    fn missing(&self) -> Vec<(MissingInput, &str)> {
        let mut missing = Vec::new();
        for cited in &self.deciding {
            for rests_on in &cited.what.evidence {
                if let RestsOn::Missing(input) = rests_on {
                    missing.push((*input, cited.id.as_str()));
                }
            }
        }
        missing.sort();
        missing.dedup_by_key(|(input, _)| *input);
        missing
    }

    /// The ids of the deciding reasons that rest on that finding, and the finding's own.
    fn ids(&self, group: &Group<'_>) -> Vec<String> {
        let mut ids: Vec<String> = group.findings.iter().take(CITED_MAX).map(|cited| cited.id.clone()).collect();
        for reason in self.deciding.iter().take(CITED_MAX) {
            let about =
                |finding: &Finding| {
                    reason.what.evidence.iter().any(
                        |on| matches!(on, RestsOn::Finding { fingerprint, .. } if *fingerprint == finding.fingerprint),
                    )
                };
            if group.findings.iter().any(|cited| about(cited.what)) {
                ids.push(reason.id.clone());
            }
        }
        ids
    }

    /// What can always be cited: the first deciding reason, or else whatever there is.
    fn anything(&self) -> Vec<String> {
        let first = self.deciding.first().map(|cited| &cited.id);
        first.or(self.evidence.items.first().map(|item| &item.id)).cloned().into_iter().collect()
    }
}

fn join<'a>(groups: &mut Vec<Group<'a>>, finding: Cited<&'a Finding>) {
    let same = |group: &&mut Group<'a>| group.findings[0].what.rule_id == finding.what.rule_id;
    match groups.iter_mut().find(same) {
        Some(group) => group.findings.push(finding),
        None => groups.push(Group { findings: vec![finding] }),
    }
}

impl Group<'_> {
    fn first(&self) -> &Finding {
        self.findings[0].what
    }

    /// `a:1`, `a:1 and b:2`, `a:1, b:2, c:3 and 4 more places`.
    fn places(&self, sentences: &Sentences) -> String {
        let distinct: BTreeSet<String> = self.findings.iter().map(|cited| place(cited.what)).collect();
        let mut places: Vec<String> = distinct.into_iter().collect();
        let more = places.len().saturating_sub(PLACES_MAX) as u64;
        places.truncate(PLACES_MAX);
        if more > 0 {
            places.push(sentences.count("place", more, &[]));
        }
        sentences.list(&places)
    }
}

/// What the deployment is called: `acme/shop #107`.
fn subject(case: &Case<'_>) -> String {
    match &case.reached.deployment {
        Some(deployment) => format!("{} #{}", deployment.repository, deployment.pull_request),
        None => case.sentences.say("unknown-deployment", &[]),
    }
}

fn analyser(source: Source, sentences: &Sentences) -> String {
    sentences.say(source.name(), &[])
}

fn headline(case: &Case<'_>) -> String {
    let headline = match case.verdict {
        Verdict::Allow => "headline-allow",
        Verdict::Review => "headline-review",
        Verdict::Block => "headline-block",
    };
    let headline = case.sentences.say(headline, &[("deployment", &subject(case))]);
    let mut because = Vec::new();
    if case.verdict == Verdict::Allow {
        because.extend(allowed(case));
    } else {
        because.extend(by_category(case));
        because.extend(case.risk().map(|reason| over_the_limit(reason.what, case.sentences)));
        for (input, _) in case.missing() {
            because.push(match input {
                MissingInput::Acceptance => case.sentences.say("no-acceptance", &[]),
                MissingInput::Signal(source) => {
                    case.sentences.say("no-answer", &[("who", &analyser(source, case.sentences))])
                }
            });
        }
        if because.is_empty() {
            because.extend(case.deciding.iter().take(2).map(|reason| said(reason.what)));
        }
    }
    because.retain(|part| !part.is_empty());
    if because.is_empty() {
        return format!("{headline}.");
    }
    format!("{headline}: {}.", clauses(&because, case.sentences))
}

/// `a, and b`, `a; b; and c`: clauses may hold commas themselves.
fn clauses(parts: &[String], sentences: &Sentences) -> String {
    let and = sentences.say("and", &[]);
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one}, {and} {other}"),
        [first @ .., last] => format!("{}; {and} {last}", first.join("; ")),
    }
}

/// Why nothing stands in the way.
fn allowed(case: &Case<'_>) -> Vec<String> {
    let mut because = Vec::new();
    if case.evidence.detail(About::Scan).is_some() {
        because.push(match findings(case.reached).count() as u64 {
            0 => case.sentences.say("found-nothing", &[]),
            number => case.sentences.count("found", number, &[]),
        });
    }
    if let Some((score, _)) = score(case.reached) {
        because.push(case.sentences.say("risk", &[("risk", &score.risk.to_string())]));
    }
    because
}

/// The decisive findings, a clause for each category.
fn by_category(case: &Case<'_>) -> Vec<String> {
    Category::ALL
        .into_iter()
        .filter_map(|category| {
            // All of them, those too that the evidence had no room for.
            let of_it: Vec<&Finding> = decisive(case.reached).filter(|finding| finding.category == category).collect();
            let first = of_it.first()?;
            let number = of_it.len() as u64;
            let what = case.sentences.count(category.name(), number, &[]);
            let first = place(first);
            let first = if number == 1 { first } else { case.sentences.say("first-in", &[("place", &first)]) };
            Some(format!("{what} ({first})"))
        })
        .collect()
}

fn over_the_limit(reason: &Reason, sentences: &Sentences) -> String {
    let (measured, threshold) = (clause(&reason.measured), clause(&reason.threshold));
    if measured.is_empty() || threshold.is_empty() {
        return said(reason);
    }
    sentences.say("risk-over", &[("risk", measured), ("limit", threshold)])
}

/// A reason's own sentence, as a clause.
fn said(reason: &Reason) -> String {
    clause(&one_line(&reason.message, SENTENCE_CHARS_MAX)).to_owned()
}

fn why(case: &Case<'_>) -> Vec<Claim> {
    let mut why = Vec::new();
    for group in case.decisive.iter().take(GROUPS_MAX) {
        why.push(Claim { text: found(group, case.sentences), evidence: case.ids(group) });
    }
    if case.decisive.len() > GROUPS_MAX {
        let rest = &case.decisive[GROUPS_MAX..];
        let text = case.sentences.count("rules", rest.len() as u64, &[]);
        why.push(Claim { text, evidence: rest.iter().map(|group| group.findings[0].id.clone()).collect() });
    }
    for (input, id) in case.missing() {
        why.push(Claim { text: absent(input, &case.reached.judgement, case.sentences), evidence: vec![id.to_owned()] });
    }
    why.extend(scan(case));
    why.extend(risk(case));
    why.extend(other_reasons(case));
    why.extend(milder(case));
    if why.is_empty() {
        let nothing = case.sentences.say("no-reason", &[("verdict", case.verdict.name())]);
        why.push(Claim { text: nothing, evidence: case.anything() });
    }
    why
}

/// "An AWS access key is in the code (a.env:1; secret.aws.access-key, critical)."
fn found(group: &Group<'_>, sentences: &Sentences) -> String {
    let first = group.first();
    let severity = first.severity;
    let rule = one_line(&first.rule_id, SENTENCE_CHARS_MAX);
    sentence(&format!("{} ({}; {rule}, {severity})", message(first), group.places(sentences)))
}

fn absent(input: MissingInput, judgement: &Judgement, sentences: &Sentences) -> String {
    let why = judgement.missing.iter().find(|missing| missing.input == input).map(|missing| missing.why.as_str());
    let why = clause(&one_line(why.unwrap_or_default(), SENTENCE_CHARS_MAX)).to_owned();
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    match input {
        MissingInput::Acceptance => sentences.say("never-arrived", &[("why", &why)]),
        MissingInput::Signal(source) => {
            sentence(&sentences.say("silence", &[("who", &analyser(source, sentences)), ("why", &why)]))
        }
    }
}

/// For an ALLOW: what was looked at.
fn scan(case: &Case<'_>) -> Option<Claim> {
    let scan = case.evidence.detail(About::Scan).filter(|_| case.verdict == Verdict::Allow)?;
    Some(Claim { text: sentence(&scan.fact), evidence: vec![About::Scan.id()] })
}

/// What the model expects. Where it matters for the verdict, also what moves the risk, and the line it crosses.
fn risk(case: &Case<'_>) -> Option<Claim> {
    let (score, _) = score(case.reached)?;
    case.evidence.detail(About::Risk)?;
    let risk = score.risk.to_string();
    let (mut text, evidence) = match case.risk() {
        Some(reason) if case.verdict != Verdict::Allow => {
            let threshold = clause(&reason.what.threshold);
            let says = if threshold.is_empty() { "puts" } else { "puts-limit" };
            let text = case.sentences.say(says, &[("risk", &risk), ("limit", threshold)]);
            (text, vec![reason.id.clone(), About::Risk.id()])
        }
        _ if case.verdict == Verdict::Allow => (case.sentences.say("puts", &[("risk", &risk)]), vec![About::Risk.id()]),
        _ => return Some(risk_beside(case, score)),
    };
    if let Some(rank) = score.rank {
        let (share, among) = (rank_share(rank), rank.among.to_string());
        text.push(' ');
        text.push_str(&case.sentences.say("ranks", &[("n", &among), ("share", &share)]));
    }
    Some(with_what_moves_it(case, text, evidence))
}

/// The risk, where something else decided: whether it would have asked for something by itself.
fn risk_beside(case: &Case<'_>, score: &RiskScore) -> Claim {
    let mut evidence = vec![About::Risk.id()];
    let reasons = case.evidence.items.iter().filter_map(|item| match item.fact {
        Fact::Reason(reason) if rests_on_risk(reason) => Some((item, reason)),
        _ => None,
    });
    let text = match reasons.into_iter().next() {
        Some((item, reason)) if !clause(&reason.threshold).is_empty() => {
            evidence.push(item.id.clone());
            let limit = clause(&reason.threshold);
            case.sentences.say("by-itself", &[("risk", &score.risk.to_string()), ("limit", limit)])
        }
        _ => case.sentences.say("not-the-risk", &[("risk", &score.risk.to_string())]),
    };
    Claim { text, evidence }
}

fn with_what_moves_it(case: &Case<'_>, mut text: String, mut evidence: Vec<String>) -> Claim {
    let all = case.evidence;
    let raising = moving(all, |log_odds| log_odds >= LOG_ODDS_MIN);
    let lowering = moving(all, |log_odds| log_odds <= -LOG_ODDS_MIN);
    for (moved, verb) in [(raising, "raises"), (lowering, "lowers")] {
        if moved.is_empty() {
            continue;
        }
        let named: Vec<String> = moved.iter().map(|cited| moves(cited.what)).collect();
        text.push(' ');
        text.push_str(&case.sentences.say(verb, &[("what", &named.join("; "))]));
        evidence.extend(moved.into_iter().map(|cited| cited.id));
    }
    Claim { text, evidence }
}

/// `touches 50 files (×1.9)`.
fn moves(contribution: &Contribution) -> String {
    let words = if contribution.words.trim().is_empty() { &contribution.feature } else { &contribution.words };
    let words = one_line(words, SENTENCE_CHARS_MAX);
    format!("{} ({})", clause(&words), factor(contribution.log_odds))
}

/// The contributions that move the risk as `wanted`, the strongest first.
fn moving<'a>(evidence: &Evidence<'a>, wanted: impl Fn(f64) -> bool) -> Vec<Cited<&'a Contribution>> {
    let mut moving: Vec<Cited<&Contribution>> = evidence
        .items
        .iter()
        .filter_map(|item| match item.fact {
            Fact::Contribution(what) if wanted(what.log_odds) => Some(Cited { id: item.id.clone(), what }),
            _ => None,
        })
        .collect();
    moving.sort_by(|a, b| b.what.log_odds.abs().total_cmp(&a.what.log_odds.abs()));
    moving.truncate(CONTRIBUTIONS_MAX);
    moving
}

/// Deciding reasons that no other claim tells, in the policy's own words.
fn other_reasons(case: &Case<'_>) -> Vec<Claim> {
    let told_already = |reason: &Reason| {
        reason.evidence.iter().any(|on| match on {
            RestsOn::Finding { .. } | RestsOn::Missing(_) => true,
            // The reason of an ALLOW is more than its risk.
            RestsOn::Risk { .. } => case.verdict != Verdict::Allow,
            RestsOn::File { .. } | RestsOn::Review { .. } => false,
        })
    };
    let own = case.deciding.iter().filter(|cited| !told_already(cited.what) && !said(cited.what).is_empty());
    own.take(GROUPS_MAX)
        .map(|cited| Claim { text: sentence(&said(cited.what)), evidence: vec![cited.id.clone()] })
        .collect()
}

/// What was found besides.
fn milder(case: &Case<'_>) -> Vec<Claim> {
    let number: usize = case.other.iter().map(|group| group.findings.len()).sum();
    if number == 0 {
        return Vec::new();
    }
    let named: Vec<String> = case
        .other
        .iter()
        .take(PLACES_MAX)
        .map(|group| {
            format!("{} ({}, {})", message(group.first()), group.places(case.sentences), group.first().severity)
        })
        .collect();
    let evidence = case
        .other
        .iter()
        .take(PLACES_MAX)
        .flat_map(|group| group.findings.iter().take(CITED_MAX))
        .map(|c| c.id.clone())
        .collect();
    let also = if case.verdict == Verdict::Allow { "also-allow" } else { "also-other" };
    let mut what = named.join("; ");
    let rest = case.other.len().saturating_sub(PLACES_MAX) as u64;
    if rest > 0 {
        let (and, rest) = (case.sentences.say("and", &[]), case.sentences.count("more-rules", rest, &[]));
        what.push_str(&format!("; {and} {rest}"));
    }
    vec![Claim { text: case.sentences.say(also, &[("what", &what)]), evidence }]
}

#[cfg(test)]
mod tests;
