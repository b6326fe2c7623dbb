//! Judging: every rule of the policy asked of the facts, and what the answers come to.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::{Approvals, Evidence, FileChange, Finding, Missing, MissingInput, Reason, Severity, Source, Verdict};

use super::ask::{Answer, Held};
use super::condition::{Comparison, Each, Expr};
use super::facts::{Facts, Scope, Variable, percent};
use super::file::{Checked, Consequence, Effect, Part, Rule};

/// Most files that one reason points at.
const FILES_SHOWN_MAX: usize = 20;

/// What the rules alone say, before any person is heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ruling {
    pub(crate) verdict: Verdict,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) approvals: Vec<Approvals>,
}

impl Effect {
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Allow | Self::Warn => Verdict::Allow,
            Self::Review => Verdict::Review,
            Self::Block => Verdict::Block,
        }
    }
}

impl Checked {
    /// Asks every rule of `facts`, from top to bottom.
    pub(crate) fn rule_on(&self, facts: &Facts<'_>) -> Ruling {
        let mut reasons = self.what_is_not_there(facts);
        let mut approvals: BTreeMap<&str, u32> = BTreeMap::new();
        let mut facts = facts.clone();
        for rule in &self.rules {
            let before = reasons.len();
            match rule.when.each {
                Each::Deployment => ask_once(rule, &facts, &mut reasons),
                Each::Finding => {
                    let held = ask_each_finding(rule, &facts, &mut reasons);
                    if rule.effect == Effect::Allow {
                        facts.leave_out(&held);
                    }
                }
                Each::File => ask_each_file(rule, &facts, &mut reasons),
            }
            let fired = reasons.get(before..).is_some_and(|new| new.iter().any(|reason| reason.rule == rule.name));
            if fired && rule.effect == Effect::Review {
                let most = approvals.entry(&rule.by).or_default();
                *most = rule.approvals.max(*most);
            }
            // What allows the whole deployment ends the reading: nothing below is asked.
            if fired && rule.effect == Effect::Allow && rule.when.each == Each::Deployment {
                break;
            }
        }
        let verdict = reasons.iter().map(|reason| reason.effect).max().unwrap_or(Verdict::Allow);
        if reasons.is_empty() {
            reasons.push(self.nothing_against_it(&facts));
        }
        reasons.sort_by_key(|reason| Reverse(reason.effect));
        let mut approvals: Vec<Approvals> =
            approvals.into_iter().map(|(by, count)| Approvals { by: by.to_owned(), count, given: 0 }).collect();
        if approvals.is_empty() {
            approvals.push(Approvals { by: String::new(), count: 1, given: 0 });
        }
        if verdict != Verdict::Review {
            approvals.clear();
        }
        Ruling { verdict, reasons, approvals }
    }

    /// The inputs that are not there, each with the consequence that the policy states for the environment.
    fn what_is_not_there(&self, facts: &Facts<'_>) -> Vec<Reason> {
        let unknown = self.unknown(facts.deployment.map_or("", |deployment| &deployment.environment));
        let mut reasons: Vec<Reason> = facts
            .missing
            .iter()
            .map(|missing| {
                let effect = if unknown.signal == Consequence::Block { Verdict::Block } else { Verdict::Review };
                let Missing { input, why } = missing;
                absent(
                    "missing",
                    effect,
                    format!("{} is missing: {why}", input.name()),
                    vec![Evidence::Missing(*input)],
                )
            })
            .collect();
        let mut soft = |consequence: Consequence, rule: &str, message: String, evidence: Vec<Evidence>| {
            let effect = match consequence {
                Consequence::Pass => return,
                Consequence::Note => Verdict::Allow,
                Consequence::Review => Verdict::Review,
                Consequence::Block => Verdict::Block,
            };
            reasons.push(absent(rule, effect, message, evidence));
        };
        if let Some((_, score)) = facts.score
            && !score.unknown.is_empty()
        {
            let many = score.unknown.len();
            soft(unknown.history, "unknown.history", format!("the model did not know {many} of its features"), vec![]);
        }
        let binary: Vec<&FileChange> = facts.files.iter().copied().filter(|file| file.binary).collect();
        if !binary.is_empty() {
            let message = format!("{} of the files hold no text that could be looked at", binary.len());
            soft(unknown.binary, "unknown.binary", message, point_at(&binary));
        }
        if let Some(dropped) = facts.dropped.filter(|dropped| *dropped > 0) {
            let message = format!("{dropped} findings, none worse than the others, were left out of the signal");
            soft(unknown.left_out, "unknown.left_out", message, vec![]);
        }
        reasons
    }

    /// The one reason of an ALLOW: everything was looked at, and no rule had anything against it.
    fn nothing_against_it(&self, facts: &Facts<'_>) -> Reason {
        let worst = facts.findings.iter().flatten().map(|finding| finding.severity).max();
        let severity = worst.map_or("no finding", Severity::name);
        let risk = facts.probability.map(percent).unwrap_or_default();
        let (least_severity, least_risk) = (self.least("finding.severity"), self.least("risk.probability"));
        let message = match (&least_severity, &least_risk) {
            (Some(severity), Some(limit)) => {
                format!("no finding of severity {severity} or above, and a risk of {risk}, below {limit}")
            }
            _ => format!("no rule has anything against it: worst finding {severity}, risk {risk}"),
        };
        let limits: Vec<String> = [least_severity, least_risk].into_iter().flatten().collect();
        let evidence = facts.score.map(|(signal, score)| Evidence::Risk {
            probability: score.risk.probability(),
            model: signal.basis.clone(),
        });
        Reason {
            rule: "nothing.found".to_owned(),
            effect: Verdict::Allow,
            message,
            measured: format!("{severity}, {risk}"),
            threshold: limits.join(", "),
            evidence: evidence.into_iter().collect(),
        }
    }

    /// The least value of `variable` from which a rule asks for more than ALLOW, as people read it.
    fn least(&self, variable: &str) -> Option<String> {
        let strict = self.rules.iter().filter(|rule| rule.effect.verdict() > Verdict::Allow);
        let mut limits: Vec<(f64, String)> = Vec::new();
        for rule in strict {
            limits_of(&rule.when.expr, variable, &mut limits);
        }
        limits.into_iter().min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, shown)| shown)
    }
}

/// Every literal from which `expr` asks `variable` to be at least, or equal.
fn limits_of(expr: &Expr, variable: &str, into: &mut Vec<(f64, String)>) {
    match expr {
        Expr::And(both) | Expr::Or(both) => {
            limits_of(&both.0, variable, into);
            limits_of(&both.1, variable, into);
        }
        Expr::Compare(Comparison::AtLeast | Comparison::Greater | Comparison::Equal, sides) => match &**sides {
            (Expr::Variable(one), Expr::Number(limit)) if one.name == variable => into.push((*limit, percent(*limit))),
            (Expr::Variable(one), Expr::Level(level)) if one.name == variable => {
                into.push((f64::from(*level as u8), level.name().to_owned()));
            }
            _ => {}
        },
        _ => {}
    }
}

fn ask_once(rule: &Rule, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let scope = Scope::of(facts);
    match rule.when.expr.ask(&scope) {
        Answer::No => {}
        Answer::Unknown(what) => reasons.extend(cannot_tell(rule, facts, what)),
        Answer::Yes => reasons.push(reason(rule, &scope, evidence_of(&rule.when.expr, facts), None)),
    }
}

/// One reason for each static rule whose findings it holds for, the most severe first. Gives the findings for which it holds.
fn ask_each_finding<'a>(rule: &Rule, facts: &Facts<'a>, reasons: &mut Vec<Reason>) -> Vec<&'a Finding> {
    // Without the signal nothing can be told, which stands among the reasons already.
    let Some(findings) = &facts.findings else { return Vec::new() };
    let mut hit: BTreeMap<(Reverse<Severity>, &str), Vec<&'a Finding>> = BTreeMap::new();
    let mut unknown = None;
    for finding in findings {
        let scope = Scope { finding: Some(finding), ..Scope::of(facts) };
        match rule.when.expr.ask(&scope) {
            Answer::Yes => hit.entry((Reverse(finding.severity), &finding.rule_id)).or_default().push(finding),
            Answer::No => {}
            Answer::Unknown(what) => unknown = Some(what),
        }
    }
    reasons.extend(unknown.and_then(|what| cannot_tell(rule, facts, what)));
    for findings in hit.values() {
        let scope = Scope { finding: findings.first().copied(), ..Scope::of(facts) };
        let evidence = findings.iter().map(|finding| evidence_of_finding(finding)).collect();
        reasons.push(reason(rule, &scope, evidence, Some(findings)));
    }
    hit.into_values().flatten().collect()
}

fn ask_each_file(rule: &Rule, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let (mut hit, mut unknown) = (Vec::new(), None);
    for file in &facts.files {
        let scope = Scope { file: Some(file), ..Scope::of(facts) };
        match rule.when.expr.ask(&scope) {
            Answer::Yes => hit.push(*file),
            Answer::No => {}
            Answer::Unknown(what) => unknown = Some(what),
        }
    }
    reasons.extend(unknown.and_then(|what| cannot_tell(rule, facts, what)));
    if let Some(first) = hit.first() {
        let scope = Scope { file: Some(first), ..Scope::of(facts) };
        reasons.push(reason(rule, &scope, point_at(&hit), None));
    }
}

/// A rule that would ask for more than ALLOW and cannot be answered asks for a person. What is missing altogether stands among the
/// reasons already.
fn cannot_tell(rule: &Rule, facts: &Facts<'_>, what: &'static str) -> Option<Reason> {
    let is_told = facts.missing.iter().any(|missing| match missing.input {
        MissingInput::Acceptance => what.starts_with("deployment") || what.starts_with("file"),
        MissingInput::Signal(Source::StaticAnalysis) => what.starts_with("finding"),
        MissingInput::Signal(Source::MlScoring) => what.starts_with("risk"),
    });
    if is_told || rule.effect.verdict() == Verdict::Allow {
        return None;
    }
    let message = format!("whether {} holds cannot be told: {what} is not known", rule.name);
    Some(absent("unknown.rule", Verdict::Review, message, vec![]))
}

fn absent(rule: &str, effect: Verdict, message: String, evidence: Vec<Evidence>) -> Reason {
    let suffix = match (rule, effect) {
        ("missing", Verdict::Block) => ".block",
        ("missing", _) => ".review",
        _ => "",
    };
    Reason {
        rule: format!("{rule}{suffix}"),
        effect,
        message,
        measured: "missing".to_owned(),
        threshold: "required".to_owned(),
        evidence,
    }
}

/// The reason that a rule gives where it holds, with what was measured and what it was held against.
fn reason(rule: &Rule, scope: &Scope<'_>, evidence: Vec<Evidence>, findings: Option<&[&Finding]>) -> Reason {
    let mut held: Vec<Held> = Vec::new();
    rule.when.expr.held(scope, Answer::Yes, &mut held);
    let tell = |of: fn(&Held) -> &str| match held.as_slice() {
        [one] => of(one).to_owned(),
        several => several
            .iter()
            .map(|one| if one.what.is_empty() { of(one).to_owned() } else { format!("{} {}", one.what, of(one)) })
            .collect::<Vec<_>>()
            .join(", "),
    };
    let (measured, threshold) = (tell(|held| &held.measured), tell(|held| &held.limit));
    let message = if !rule.message.is_empty() {
        message(rule, scope)
    } else if let Some([first, others @ ..]) = findings {
        let times = if others.is_empty() { String::new() } else { format!(" ({} places)", others.len() + 1) };
        format!("{}: {}{times}", first.rule_id, first.message)
    } else {
        let all = held.iter().map(|one| format!("{} is {} (limit {})", one.what, one.measured, one.limit));
        all.collect::<Vec<_>>().join(", ")
    };
    Reason { rule: rule.name.clone(), effect: rule.effect.verdict(), message, measured, threshold, evidence }
}

fn message(rule: &Rule, scope: &Scope<'_>) -> String {
    let mut message = String::new();
    for part in &rule.message {
        match part {
            Part::Text(text) => message.push_str(text),
            Part::Variable(variable) => message.push_str(&(variable.get)(scope).show()),
        }
    }
    message
}

pub(crate) fn evidence_of_finding(finding: &Finding) -> Evidence {
    Evidence::Finding {
        rule_id: finding.rule_id.clone(),
        fingerprint: finding.fingerprint.clone(),
        path: finding.path.clone(),
        line: finding.line,
    }
}

fn point_at(files: &[&FileChange]) -> Vec<Evidence> {
    files.iter().take(FILES_SHOWN_MAX).map(|file| Evidence::File { path: file.path.clone() }).collect()
}

/// What a rule about the whole deployment rests on: the risk, when it speaks of it.
fn evidence_of(expr: &Expr, facts: &Facts<'_>) -> Vec<Evidence> {
    let risk = facts.score.filter(|_| speaks_of(expr, &|variable| variable.root() == "risk"));
    risk.map(|(signal, score)| Evidence::Risk { probability: score.risk.probability(), model: signal.basis.clone() })
        .into_iter()
        .collect()
}

/// Whether a condition speaks of a variable that `is` wanted.
pub(crate) fn speaks_of(expr: &Expr, is: &dyn Fn(&Variable) -> bool) -> bool {
    match expr {
        Expr::Variable(variable) | Expr::Has(variable) => is(variable),
        Expr::Not(one) | Expr::Test(one, _) | Expr::Size(one) | Expr::Loop(_, _, one) => speaks_of(one, is),
        Expr::And(both) | Expr::Or(both) | Expr::Compare(_, both) | Expr::In(both) | Expr::Arithmetic(_, both) => {
            speaks_of(&both.0, is) || speaks_of(&both.1, is)
        }
        _ => false,
    }
}
