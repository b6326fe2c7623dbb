//! Asking a condition: yes, no, or unknown where something that it needs is not there; and what made it so.

use super::condition::{Comparison, Expr, Operation, Over, Test};
use super::facts::{Scope, Value, percent};

/// What a condition answers. `Unknown` names what is not known; it is never taken for a no or for a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    Unknown(&'static str),
}

/// The name of what runs out when a condition costs too much.
pub(crate) const TOO_COSTLY: &str = "the condition costs too much to be asked";

/// A comparison that made a condition hold: what was measured, and what it was held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) limit: String,
}

impl From<bool> for Answer {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}

impl Answer {
    const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            unknown @ Self::Unknown(_) => unknown,
        }
    }
}

impl Expr {
    /// Whether it holds in `scope`. `a && b` is no when either is no, whatever is not known of the other, and `||` likewise.
    pub(crate) fn ask(&self, scope: &Scope<'_>) -> Answer {
        if !spend(scope, 1) {
            return Answer::Unknown(TOO_COSTLY);
        }
        match self {
            Self::Not(one) => one.ask(scope).not(),
            Self::And(both) => both_of(both, scope, Answer::No),
            Self::Or(both) => both_of(both, scope, Answer::Yes),
            Self::Has(variable) => (!matches!((variable.get)(scope), Value::Unknown(_))).into(),
            Self::Compare(comparison, sides) => {
                let (one, other) = (sides.0.value(scope), sides.1.value(scope));
                compare(*comparison, &one, &other)
            }
            Self::In(sides) => match (sides.0.value(scope), sides.1.value(scope)) {
                (Value::Unknown(name), _) | (_, Value::Unknown(name)) => Answer::Unknown(name),
                (Value::Text(text), Value::Texts(texts)) => {
                    let bytes = texts.iter().map(|one| one.len().min(text.len())).sum::<usize>() + texts.len() * 8;
                    if spend(scope, cost(bytes)) { texts.contains(&text).into() } else { Answer::Unknown(TOO_COSTLY) }
                }
                _ => Answer::No,
            },
            Self::Test(target, test) => match target.value(scope) {
                Value::Text(text) if spend(scope, cost(text.len())) => test.holds(text).into(),
                Value::Text(_) => Answer::Unknown(TOO_COSTLY),
                Value::Unknown(name) => Answer::Unknown(name),
                _ => Answer::No,
            },
            Self::Loop(over, all, body) => ask_each(*over, *all, body, scope),
            value => match value.value(scope) {
                Value::Truth(truth) => truth.into(),
                Value::Unknown(name) => Answer::Unknown(name),
                _ => Answer::No,
            },
        }
    }

    fn value<'a>(&'a self, scope: &Scope<'a>) -> Value<'a> {
        match self {
            Self::Truth(truth) => Value::Truth(*truth),
            Self::Number(number) => Value::Number(*number),
            Self::Level(level) => Value::Level(*level),
            Self::Text(text) => Value::Text(text),
            Self::Texts(texts) => Value::Texts(texts.iter().map(String::as_str).collect()),
            Self::Variable(variable) => match (variable.get)(scope) {
                Value::Texts(texts) if !spend(scope, cost(texts.len() * 8)) => Value::Unknown(TOO_COSTLY),
                value => value,
            },
            Self::Label => scope.label.map_or(Value::Unknown("label"), Value::Text),
            Self::Arithmetic(operation, sides) => {
                match (number(&sides.0.value(scope)), number(&sides.1.value(scope))) {
                    (Err(name), _) | (_, Err(name)) => Value::Unknown(name),
                    (Ok(one), Ok(other)) => Value::Number(match operation {
                        Operation::Plus => one + other,
                        Operation::Minus => one - other,
                        Operation::Times => one * other,
                    }),
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "no deployment has 2^53 labels")]
            Self::Size(list) => match list.value(scope) {
                Value::Texts(texts) => Value::Number(texts.len() as f64),
                _ => Value::Unknown("size"),
            },
            other => match other.ask(scope) {
                Answer::Unknown(name) => Value::Unknown(name),
                answer => Value::Truth(answer == Answer::Yes),
            },
        }
    }

    /// What made it answer `answer` in `scope`: the comparisons on which that rests.
    pub(crate) fn held(&self, scope: &Scope<'_>, answer: Answer, into: &mut Vec<Held>) {
        match self {
            Self::Not(one) => one.held(scope, answer.not(), into),
            Self::And(both) | Self::Or(both) => {
                for one in [&both.0, &both.1] {
                    if one.ask(scope) == answer {
                        one.held(scope, answer, into);
                    }
                }
            }
            Self::Compare(comparison, sides) => {
                let (one, other) = (sides.0.value(scope), sides.1.value(scope));
                let share = matches!((&one, &other), (Value::Share(_), _) | (_, Value::Share(_)));
                let show = |value: &Value<'_>| match value {
                    Value::Number(number) if share => percent(*number),
                    value => value.show(),
                };
                let limit = format!("{}{}", words(*comparison, answer == Answer::Yes), show(&other));
                into.push(Held { what: sides.0.name(), measured: show(&one), limit });
            }
            Self::In(sides) => {
                let (one, list) = (sides.0.value(scope), sides.1.value(scope));
                let not = if answer == Answer::Yes { "" } else { "not " };
                into.push(Held {
                    what: sides.0.name(),
                    measured: one.show(),
                    limit: format!("{not}in {}", list.show()),
                });
            }
            Self::Test(target, test) => {
                let not = if answer == Answer::Yes { "" } else { "not " };
                let measured = target.value(scope).show();
                into.push(Held { what: target.name(), measured, limit: format!("{not}{}", test.words()) });
            }
            Self::Variable(variable) => {
                let limit = (answer == Answer::Yes).to_string();
                into.push(Held { what: variable.name.to_owned(), measured: limit.clone(), limit });
            }
            Self::Has(variable) => {
                let (measured, limit) = if answer == Answer::Yes { ("known", "known") } else { ("unknown", "unknown") };
                into.push(Held {
                    what: variable.name.to_owned(),
                    measured: measured.to_owned(),
                    limit: limit.to_owned(),
                });
            }
            Self::Loop(over, _, body) => {
                // The one that decided stands for all.
                let decided = each(*over, scope).into_iter().flatten().find(|one| body.ask(one) == answer);
                if let Some(one) = decided {
                    body.held(&one, answer, into);
                }
            }
            _ => {}
        }
    }

    /// The name of what it measures; empty for what has none.
    fn name(&self) -> String {
        match self {
            Self::Variable(variable) => variable.name.to_owned(),
            Self::Arithmetic(_, sides) => sides.0.name(),
            Self::Size(list) => format!("number of {}", list.name()),
            Self::Label => "label".to_owned(),
            _ => String::new(),
        }
    }
}

impl Test {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::StartsWith(part) => text.starts_with(part.as_str()),
            Self::EndsWith(part) => text.ends_with(part.as_str()),
            Self::Contains(part) => text.contains(part.as_str()),
            Self::Matches(pattern) => pattern.is_match(text),
            Self::Glob(glob) => glob.is_match(text),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::StartsWith(part) => format!("beginning with {part}"),
            Self::EndsWith(part) => format!("ending with {part}"),
            Self::Contains(part) => format!("containing {part}"),
            Self::Matches(pattern) => format!("matching {pattern}"),
            Self::Glob(glob) => format!("matching {}", glob.glob()),
        }
    }
}

/// Takes `steps` from what the judgement may still cost.
fn spend(scope: &Scope<'_>, steps: u64) -> bool {
    let left = scope.facts.steps.get();
    scope.facts.steps.set(left.saturating_sub(steps));
    left >= steps
}

const fn cost(bytes: usize) -> u64 {
    (bytes / 64) as u64
}

/// Asks both; `decisive` from either decides.
fn both_of(both: &(Expr, Expr), scope: &Scope<'_>, decisive: Answer) -> Answer {
    let one = both.0.ask(scope);
    if one == decisive {
        return one;
    }
    let other = both.1.ask(scope);
    if other == decisive || one == decisive.not() { other } else { one }
}

fn each<'a>(over: Over, scope: &Scope<'a>) -> Option<Vec<Scope<'a>>> {
    let scope = *scope;
    match over {
        Over::Findings => scope
            .facts
            .findings
            .as_ref()
            .map(|findings| findings.iter().map(|finding| Scope { finding: Some(finding), ..scope }).collect()),
        Over::Files => scope
            .facts
            .deployment
            .map(|_| scope.facts.files.iter().map(|file| Scope { file: Some(file), ..scope }).collect()),
        Over::Labels => scope
            .facts
            .deployment
            .map(|deployment| deployment.labels.iter().map(|label| Scope { label: Some(label), ..scope }).collect()),
    }
}

fn ask_each(over: Over, all: bool, body: &Expr, scope: &Scope<'_>) -> Answer {
    let name = match over {
        Over::Findings => "finding",
        Over::Files | Over::Labels => "deployment",
    };
    let Some(scopes) = each(over, scope) else { return Answer::Unknown(name) };
    let decisive: Answer = (!all).into();
    let mut answer = decisive.not();
    for one in scopes {
        match body.ask(&one) {
            this if this == decisive => return decisive,
            unknown @ Answer::Unknown(_) => answer = unknown,
            _ => {}
        }
    }
    answer
}

fn number(value: &Value<'_>) -> Result<f64, &'static str> {
    match value {
        Value::Number(number) | Value::Share(number) => Ok(*number),
        Value::Unknown(name) => Err(name),
        _ => Err("number"),
    }
}

fn compare(comparison: Comparison, one: &Value<'_>, other: &Value<'_>) -> Answer {
    let order = match (one, other) {
        (Value::Unknown(name), _) | (_, Value::Unknown(name)) => return Answer::Unknown(name),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Level(one), Value::Level(other)) => one.cmp(other),
        (Value::Truth(one), Value::Truth(other)) => one.cmp(other),
        (one, other) => match (number(one), number(other)) {
            (Ok(one), Ok(other)) => one.total_cmp(&other),
            _ => return Answer::No,
        },
    };
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
    }
    .into()
}

/// How a limit is told: "at least" is what one expects of a limit, so it has no word.
const fn words(comparison: Comparison, holds: bool) -> &'static str {
    match (comparison, holds) {
        (Comparison::AtLeast, true)
        | (Comparison::Less, false)
        | (Comparison::Equal, true)
        | (Comparison::NotEqual, false) => "",
        (Comparison::Greater, true) | (Comparison::AtMost, false) => "over ",
        (Comparison::Less, true) | (Comparison::AtLeast, false) => "under ",
        (Comparison::AtMost, true) | (Comparison::Greater, false) => "at most ",
        (Comparison::NotEqual, true) | (Comparison::Equal, false) => "not ",
    }
}
