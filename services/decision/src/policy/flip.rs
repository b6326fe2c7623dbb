//! The counterfactual: the fewest changes that would bring a milder verdict, found by taking evidence away and asking the policy again.

use std::collections::HashSet;

use domain::{Counterfactual, Evidence, FileChange, Finding, MissingInput, Remedy, Source, Verdict};
use jiff::ToSpan;

use super::ask::Answer;
use super::condition::Each;
use super::facts::{Facts, Scope, percent};
use super::file::{Checked, Rule};
use super::judge::{Ruling, evidence_of_finding, speaks_of};

/// Most changes that are tried together.
const CANDIDATES_MAX: usize = 40;
/// Of how many changes pairs are tried.
const PAIRED_MAX: usize = 12;
/// How many hours ahead a better time is looked for.
const HOURS_MAX: i64 = 24 * 21;
/// Steps of all that is asked for one counterfactual.
const STEPS_MAX: u64 = 2_000_000;

/// A change that may help.
#[derive(Clone, Debug)]
enum Change<'a> {
    /// The findings of one static rule are mended.
    Mend(Vec<&'a Finding>),
    /// The files are left out, with what was found in them.
    LeaveOut(Vec<&'a FileChange>),
    /// The risk is lower.
    LowerRisk,
    /// What is missing comes, and says nothing bad.
    Arrive(MissingInput),
    /// It waits.
    Wait,
}

impl Checked {
    /// The fewest changes that bring a milder verdict than `ruling`, tried by the same rules that gave it.
    pub(crate) fn way_out(&self, facts: &Facts<'_>, ruling: &Ruling) -> Option<Counterfactual> {
        if ruling.verdict == Verdict::Allow {
            return None;
        }
        facts.steps.set(STEPS_MAX);
        let candidates = self.candidates(facts, ruling);
        let all: Vec<usize> = (0..candidates.len()).collect();
        let search = Search { policy: self, facts, candidates };
        let (verdict, _) = search.outcome(&all)?;
        if verdict >= ruling.verdict {
            return None;
        }
        let chosen = search.fewest(verdict, all);
        let (reached, at) = search.outcome(&chosen)?;
        let changes = chosen.iter().filter_map(|index| search.remedy(*index, &chosen, at.as_ref())).collect();
        (reached == verdict).then_some(Counterfactual { verdict, changes })
    }

    fn candidates<'a>(&self, facts: &Facts<'a>, ruling: &Ruling) -> Vec<Change<'a>> {
        let against: Vec<_> = ruling.reasons.iter().filter(|reason| reason.effect > Verdict::Allow).collect();
        let rule_of = |name: &str| self.rules.iter().find(|rule| rule.name == name);
        let (mut candidates, mut time, mut risk) = (Vec::new(), false, false);
        for reason in &against {
            let mut named = HashSet::new();
            for evidence in &reason.evidence {
                match evidence {
                    Evidence::Finding { fingerprint, path, line, .. } => {
                        named.insert((fingerprint.as_str(), path.as_str(), *line));
                    }
                    Evidence::Missing(input) => candidates.push(Change::Arrive(*input)),
                    _ => {}
                }
            }
            let is_named = |finding: &&Finding| {
                named.contains(&(finding.fingerprint.as_str(), finding.path.as_str(), finding.line))
            };
            let findings: Vec<&Finding> = facts.findings.iter().flatten().copied().filter(is_named).collect();
            if !findings.is_empty() {
                candidates.push(Change::Mend(findings));
            }
            let Some(rule) = rule_of(&reason.rule) else { continue };
            candidates.extend(self.files_of(rule, facts));
            time |= speaks_of(&rule.when.expr, &|variable| variable.root() == "time");
            risk |= speaks_of(&rule.when.expr, &|variable| variable.name == "risk.probability");
        }
        if risk && facts.probability.is_some() {
            candidates.push(Change::LowerRisk);
        }
        if time {
            candidates.push(Change::Wait);
        }
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }

    /// The files that a rule about files, or about all paths together, holds for.
    fn files_of<'a>(&self, rule: &Rule, facts: &Facts<'a>) -> Option<Change<'a>> {
        if rule.when.each != Each::File {
            return None;
        }
        let holds =
            |file: &&FileChange| rule.when.expr.ask(&Scope { file: Some(file), ..Scope::of(facts) }) == Answer::Yes;
        Some(Change::LeaveOut(facts.files.iter().copied().filter(holds).collect()))
    }

    fn risk_that_passes<'a>(&self, facts: &Facts<'a>, verdict: Verdict) -> Option<f64> {
        let passes = |probability: f64| {
            let tried = Facts { probability: Some(probability), ..facts.clone() };
            self.rule_on(&tried).verdict <= verdict
        };
        let (mut low, mut high) = (0.0, facts.probability?);
        // Ten thousandths are all that is told of a probability.
        while high - low > 0.000_05 {
            let middle = f64::midpoint(low, high);
            if passes(middle) { low = middle } else { high = middle }
        }
        Some(high)
    }
}

struct Search<'p, 'a> {
    policy: &'p Checked,
    facts: &'p Facts<'a>,
    candidates: Vec<Change<'a>>,
}

impl<'a> Search<'_, 'a> {
    /// The facts with those changes made, and whether waiting is one of them.
    fn changed(&self, chosen: &[usize]) -> (Facts<'a>, bool) {
        let mut facts = self.facts.clone();
        let mut waits = false;
        for change in chosen.iter().filter_map(|index| self.candidates.get(*index)) {
            match change {
                Change::Mend(findings) => facts.leave_out(findings),
                Change::LeaveOut(files) => {
                    let is_out = |path: &str| files.iter().any(|file| file.path == path);
                    facts.files.retain(|file| !is_out(&file.path));
                    if let Some(findings) = &mut facts.findings {
                        findings.retain(|finding| !is_out(&finding.path));
                    }
                }
                Change::LowerRisk => facts.probability = Some(0.0),
                Change::Arrive(input) => arrive(&mut facts, *input),
                Change::Wait => waits = true,
            }
        }
        (facts, waits)
    }

    /// The verdict with those changes, and when that is; `None` when it cost too much to find out.
    fn outcome(&self, chosen: &[usize]) -> Option<(Verdict, Option<jiff::ZonedDateTime>)> {
        let found = match self.changed(chosen) {
            (facts, true) => self.wait(facts),
            (facts, false) => (self.policy.rule_on(&facts).verdict, None),
        };
        (self.facts.steps.get() > 0).then_some(found)
    }

    /// The mildest verdict at a later hour, and the first hour that has it.
    fn wait(&self, facts: Facts<'a>) -> (Verdict, Option<jiff::ZonedDateTime>) {
        let mut best = (self.policy.rule_on(&facts).verdict, None);
        let start =
            facts.at.round(jiff::ZonedDateTimeRound::new().smallest(jiff::Unit::Hour).mode(jiff::RoundMode::Trunc));
        let Ok(start) = start else { return best };
        for hours in 1..=HOURS_MAX {
            let Ok(at) = start.checked_add(hours.hours()) else { break };
            let later = self.policy.at(facts.clone(), at.clone());
            let verdict = self.policy.rule_on(&later).verdict;
            if verdict < best.0 {
                best = (verdict, Some(at));
            }
            if verdict == Verdict::Allow {
                break;
            }
        }
        best
    }

    /// One change or two, if these suffice; else what is not needed is taken out one by one. Pairs are only tried where there are
    /// few: each trial judges anew, and whoever waits for the verdict waits for it.
    fn fewest(&self, verdict: Verdict, all: Vec<usize>) -> Vec<usize> {
        let reaches = |chosen: &[usize]| self.outcome(chosen).is_some_and(|(reached, _)| reached <= verdict);
        if let Some(one) = all.iter().find(|one| reaches(&[**one])) {
            return vec![*one];
        }
        let in_pairs = if all.len() <= PAIRED_MAX { all.as_slice() } else { &[] };
        for (index, one) in in_pairs.iter().enumerate() {
            if let Some(other) = all.iter().skip(index + 1).find(|other| reaches(&[*one, **other])) {
                return vec![*one, *other];
            }
        }
        let mut chosen = all.clone();
        for one in all {
            let without: Vec<usize> = chosen.iter().copied().filter(|kept| *kept != one).collect();
            if reaches(&without) {
                chosen = without;
            }
        }
        chosen
    }

    fn remedy(&self, index: usize, chosen: &[usize], at: Option<&jiff::ZonedDateTime>) -> Option<Remedy> {
        Some(match self.candidates.get(index)? {
            Change::Mend(findings) => {
                let first = findings.first()?;
                let line = if first.line == 0 { String::new() } else { format!(":{}", first.line) };
                let others = match findings.len() - 1 {
                    0 => String::new(),
                    1 => " and one more place".to_owned(),
                    more => format!(" and {more} more places"),
                };
                Remedy {
                    message: format!("mend {} at {}{line}{others}", first.rule_id, first.path),
                    evidence: findings.iter().map(|finding| evidence_of_finding(finding)).collect(),
                }
            }
            Change::LeaveOut(files) => Remedy {
                message: match files.as_slice() {
                    [] => return None,
                    [one] => format!("leave out {}", one.path),
                    [one, others @ ..] => format!("leave out {} and {} more files", one.path, others.len()),
                },
                evidence: files.iter().map(|file| Evidence::File { path: file.path.clone() }).collect(),
            },
            Change::LowerRisk => self.lower_risk(index, chosen)?,
            Change::Arrive(input) => Remedy {
                message: match input {
                    MissingInput::Acceptance => "have the deployment accepted by ingest".to_owned(),
                    MissingInput::Signal(Source::StaticAnalysis) => {
                        "have static-analysis answer without a finding".to_owned()
                    }
                    MissingInput::Signal(Source::MlScoring) => "have ml-scoring answer with a low risk".to_owned(),
                },
                evidence: vec![Evidence::Missing(*input)],
            },
            Change::Wait => Remedy {
                message: format!("wait until {}", at?.strftime("%A, %Y-%m-%d %H:%M (%Q)")),
                evidence: Vec::new(),
            },
        })
    }

    /// How far the risk would have to fall with the other changes made.
    fn lower_risk(&self, index: usize, chosen: &[usize]) -> Option<Remedy> {
        let (verdict, _) = self.outcome(chosen)?;
        let others: Vec<usize> = chosen.iter().copied().filter(|one| *one != index).collect();
        let (facts, _) = self.changed(&others);
        let now = facts.probability?;
        let limit = self.policy.risk_that_passes(&facts, verdict)?;
        let (signal, score) = self.facts.score?;
        Some(Remedy {
            message: format!("bring the risk from {} to below {}", percent(now), percent(limit)),
            evidence: vec![Evidence::Risk { probability: score.risk.probability(), model: signal.basis.clone() }],
        })
    }
}

fn arrive(facts: &mut Facts<'_>, input: MissingInput) {
    facts.missing.retain(|missing| missing.input != input);
    match input {
        MissingInput::Acceptance => {}
        MissingInput::Signal(Source::StaticAnalysis) => facts.findings = Some(Vec::new()),
        MissingInput::Signal(Source::MlScoring) => facts.probability = Some(0.0),
    }
}
