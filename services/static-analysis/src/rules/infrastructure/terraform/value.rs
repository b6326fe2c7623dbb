//! What a value has to be, and how that is said.

use super::parse::Value;

/// What the value has to be.
#[derive(Debug)]
pub(super) enum Test {
    /// One of these.
    Good(Vec<String>),
    /// None of these.
    Bad(Vec<String>),
    /// A list with all of these.
    Has(Vec<String>),
    /// A list with none of these.
    Lacks(Vec<String>),
    /// A number from this on, or one of these.
    AtLeast(f64, Vec<String>),
    /// A number up to this; seconds may say so (`7776000s`).
    AtMost(f64),
    /// Anything but empty.
    Set,
    /// Empty.
    Absent,
}

pub(super) enum Judged {
    Good,
    /// As if it were not there.
    Empty,
    /// With what it is, after the attribute's name.
    Bad(String),
}

impl Test {
    /// A block is there or not; only [`Test::Absent`] minds.
    pub(super) fn takes_block(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn judge(&self, value: &Value) -> Judged {
        match value {
            Value::Unknown(_) => Judged::Good,
            Value::Plain(text) if text == "null" => Judged::Empty,
            Value::List(values) if values.is_empty() => Judged::Empty,
            Value::Plain(text) => self.judge_texts(&[text.as_str()], true),
            Value::List(values) => {
                let texts: Vec<_> = values.iter().filter_map(Value::plain).collect();
                self.judge_texts(&texts, texts.len() == values.len())
            }
            Value::Object(_) => match self {
                Self::Absent => Judged::Bad("is set".to_owned()),
                _ => Judged::Good,
            },
        }
    }

    /// `all` is false where there are values besides these that are only known later.
    fn judge_texts(&self, texts: &[&str], all: bool) -> Judged {
        let bad_unless = |good: bool, state: String| if good { Judged::Good } else { Judged::Bad(state) };
        let number = || texts.first().and_then(|text| text.trim_end_matches('s').parse::<f64>().ok());
        match self {
            Self::Good(values) => {
                let good = !all || texts.iter().any(|text| is_one_of(text, values));
                bad_unless(good, format!("is not {}", one_of(values)))
            }
            Self::Bad(values) => {
                let bad = values.iter().find(|value| texts.iter().any(|text| is_like(text, value)));
                bad.map_or(Judged::Good, |value| Judged::Bad(format!("is {value}")))
            }
            Self::Has(values) => {
                let lacks = values.iter().find(|value| !texts.iter().any(|text| text.eq_ignore_ascii_case(value)));
                lacks.filter(|_| all).map_or(Judged::Good, |value| Judged::Bad(format!("lacks {value}")))
            }
            Self::Lacks(values) => {
                let holds = values.iter().find(|value| texts.iter().any(|text| text.eq_ignore_ascii_case(value)));
                holds.map_or(Judged::Good, |value| Judged::Bad(format!("holds {value}")))
            }
            Self::AtLeast(least, also) => {
                let good = number().is_none_or(|number| number >= *least);
                bad_unless(good || texts.iter().any(|text| is_one_of(text, also)), format!("is below {least}"))
            }
            Self::AtMost(most) => bad_unless(number().is_none_or(|number| number <= *most), format!("is above {most}")),
            Self::Set => {
                let empty = texts.iter().all(|text| text.is_empty() || *text == "false");
                bad_unless(!all || !empty, "is empty".to_owned())
            }
            Self::Absent => bad_unless(texts.iter().all(|text| text.is_empty()), "is set".to_owned()),
        }
    }

    /// How to mend it, in a sentence.
    pub(super) fn mend(&self, name: &str) -> String {
        match self {
            Self::Good(values) => format!("Set {name} to {}.", one_of(values)),
            Self::Bad(values) => match values.first().map(String::as_str) {
                Some("true") => format!("Set {name} to false, or leave it out."),
                Some("false") => format!("Set {name} to true, or leave it out."),
                _ => format!("Do not set {name} to {}.", one_of(values)),
            },
            Self::Has(values) => format!("Put {} into {name}.", values.join(", ")),
            Self::Lacks(values) => format!("Take {} out of {name}.", values.join(", ")),
            Self::AtLeast(least, _) => format!("Set {name} to {least} at least."),
            Self::AtMost(most) => format!("Set {name} to {most} at most."),
            Self::Set => format!("Set {name}."),
            Self::Absent => format!("Leave {name} out."),
        }
    }
}

pub(super) fn is_one_of(text: &str, values: &[String]) -> bool {
    values.iter().any(|value| is_like(text, value))
}

/// `http:*` is like everything that begins with `http:`.
fn is_like(text: &str, value: &str) -> bool {
    match value.strip_suffix('*') {
        Some(start) if !start.is_empty() => {
            text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
        }
        _ => text.eq_ignore_ascii_case(value),
    }
}

fn one_of(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        [first @ .., last] => {
            let shown: Vec<_> = first.iter().take(3).map(String::as_str).collect();
            format!("{} or {last}", shown.join(", "))
        }
        [] => String::new(),
    }
}
