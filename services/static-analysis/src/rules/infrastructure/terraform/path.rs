//! Where in a resource a row looks: `settings/database_flags[name=log_connections]/value`.

use std::ops::Range;

use super::parse::{Block, Value};

/// Where a pod's specification lies in the resources that hold one.
const PODS: [&str; 3] = ["spec", "spec/template/spec", "spec/job_template/spec/template/spec"];

/// The names of blocks down to an attribute's.
#[derive(Debug)]
pub(super) struct Path {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: String,
    /// Only the blocks in which this attribute has this value.
    only: Option<(String, String)>,
}

/// What lies at the end of a path.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// The attribute.
    Value(&'a Value, Range<usize>),
    /// A block of that name.
    Block(Range<usize>),
    /// It is only known later what lies there.
    Unknown,
    /// Nothing: these bytes are what it is missing in, `depth` how far the path led, and `in_block` whether that is the block
    /// that it belongs into.
    Missing { range: Range<usize>, depth: usize, in_block: bool },
}

/// A block, or an object that stands for one.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Block(&'a Block),
    Object(&'a [(String, Value)]),
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let step = |step: &str| {
            let (name, only) = match step.split_once('[') {
                None => (step, None),
                Some((name, only)) => {
                    let pair = only.strip_suffix(']').and_then(|only| only.split_once('='));
                    let (key, value) = pair.ok_or_else(|| format!("attribute: {step:?}"))?;
                    (name, Some((key.to_owned(), value.to_owned())))
                }
            };
            let valid = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            valid.then(|| Step { name: name.to_owned(), only }).ok_or_else(|| format!("attribute: {text:?}"))
        };
        Ok(Self { steps: text.trim().split('/').map(step).collect::<Result<_, _>>()? })
    }

    /// The ways to write one thing, divided by `|`; `pod:` stands for the places of a pod's specification.
    pub(super) fn alternatives(text: &str) -> Result<Vec<Self>, String> {
        let mut paths = Vec::new();
        for way in text.split('|').map(str::trim) {
            match way.strip_prefix("pod:") {
                Some(rest) => {
                    for pod in PODS {
                        paths.push(Self::parse(&format!("{pod}/{rest}"))?);
                    }
                }
                None => paths.push(Self::parse(way)?),
            }
        }
        Ok(paths)
    }

    /// For people: `settings.backup.enabled`.
    pub(super) fn name(&self) -> String {
        let name = |step: &Step| match &step.only {
            Some((_, value)) => format!("{}[{value}]", step.name),
            None => step.name.clone(),
        };
        self.steps.iter().map(name).collect::<Vec<_>>().join(".")
    }

    /// Whether anything lies at its end.
    pub(super) fn is_written(&self, block: &Block) -> bool {
        self.find(block).iter().any(|place| !matches!(place, Place::Missing { .. }))
    }

    /// Everything that lies at its end, and every block in which it ends too early.
    pub(super) fn find<'a>(&self, block: &'a Block) -> Vec<Place<'a>> {
        let mut places = Vec::new();
        walk(Scope::Block(block), &self.steps, &block.range, 0, &mut places);
        places
    }
}

fn walk<'a>(scope: Scope<'a>, steps: &[Step], around: &Range<usize>, depth: usize, places: &mut Vec<Place<'a>>) {
    let Some((step, rest)) = steps.split_first() else { return };
    let missing = || Place::Missing { range: around.clone(), depth, in_block: rest.is_empty() && depth > 0 };
    match scope {
        Scope::Block(block) => {
            let before = places.len();
            if let Some(attribute) = block.attribute(&step.name) {
                enter(&attribute.value, step, rest, &attribute.range, depth, places);
            }
            for inner in block.blocks(&step.name) {
                match step.allows(&Scope::Block(inner)) {
                    Some(true) if rest.is_empty() => places.push(Place::Block(inner.range.clone())),
                    Some(true) => walk(Scope::Block(inner), rest, &inner.range, depth + 1, places),
                    Some(false) => {}
                    None => places.push(Place::Unknown),
                }
            }
            if places.len() == before {
                places.push(missing());
            }
        }
        Scope::Object(fields) => match fields.iter().find(|(name, _)| *name == step.name) {
            Some((_, value)) => enter(value, step, rest, around, depth, places),
            None => places.push(missing()),
        },
    }
}

/// Into the value of an attribute: the end of the path, or an object that stands for a block.
fn enter<'a>(
    value: &'a Value,
    step: &Step,
    rest: &[Step],
    range: &Range<usize>,
    depth: usize,
    places: &mut Vec<Place<'a>>,
) {
    if rest.is_empty() {
        places.push(Place::Value(value, range.clone()));
        return;
    }
    let values = match value {
        Value::List(values) => values.as_slice(),
        other => std::slice::from_ref(other),
    };
    let before = places.len();
    for value in values {
        match value {
            Value::Object(fields) => match step.allows(&Scope::Object(fields)) {
                Some(true) => walk(Scope::Object(fields), rest, range, depth + 1, places),
                Some(false) => {}
                None => places.push(Place::Unknown),
            },
            Value::Unknown(_) => places.push(Place::Unknown),
            Value::Plain(_) | Value::List(_) => {}
        }
    }
    if places.len() == before {
        places.push(Place::Missing { range: range.clone(), depth, in_block: false });
    }
}

impl Step {
    /// Whether it is this block that is meant; `None` when that is only known later.
    fn allows(&self, scope: &Scope<'_>) -> Option<bool> {
        let Some((key, wanted)) = &self.only else { return Some(true) };
        let value = match scope {
            Scope::Block(block) => block.attribute(key).map(|attribute| &attribute.value),
            Scope::Object(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
        };
        match value {
            Some(Value::Plain(text)) => Some(text.eq_ignore_ascii_case(wanted)),
            Some(Value::Unknown(_)) => None,
            _ => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[&str]) {
        let text = "resource \"x\" \"y\" {\n a = 1\n b {\n  c = 2\n }\n b {\n }\n o = { p = [{ q = 3 }, var.r] }\n\
                    f {\n name = \"on\"\n value = 4\n }\n f {\n name = var.n\n }\n dynamic \"d\" {\n content {\n e = 5\n }\n }\n}\n";
        let block = &parse(text)[0];
        let show = |place: &Place<'_>| match place {
            Place::Value(value, _) => value.plain().unwrap_or("?").to_owned(),
            Place::Block(_) => "block".to_owned(),
            Place::Unknown => "unknown".to_owned(),
            Place::Missing { in_block, .. } => if *in_block { "missing in block" } else { "missing" }.to_owned(),
        };
        let got: Vec<_> = Path::parse(path).unwrap().find(block).iter().map(show).collect();
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn a_path_leads_through_blocks_and_objects() {
        check("a", &["1"]);
        check("z", &["missing"]);
        check("b", &["block", "block"]);
        check("b/c", &["2", "missing in block"]);
        check("z/c", &["missing"]);
        check("o/p/q", &["3", "unknown"]);
        check("a/c", &["missing"]);
        check("f[name=on]/value", &["4", "unknown"]);
        check("f[name=off]/value", &["unknown"]);
        check("d/e", &["5"]);
    }

    #[test]
    fn a_path_is_checked() {
        for text in ["", "a//b", "a[b]", "a[b=c", "a b"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        assert_eq!(Path::alternatives("a | pod:b/c").unwrap().len(), 4);
        assert_eq!(Path::parse("a/f[name=on]/value").unwrap().name(), "a.f[on].value");
    }
}
