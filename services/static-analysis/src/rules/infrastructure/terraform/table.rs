//! The files of rows: what an attribute of a resource has to be, as data. `tables/README.md` documents their form.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use serde::Deserialize;

use super::families::{advice, cwe, documentation};
use super::path::Path;
use super::row::{Condition, Missing, Row, Wants};
use super::value::Test;
use crate::rules::{Check, Rule};

/// The files of rows, a provider each.
const FILES: &[(&str, &str)] = &[
    ("aws.toml", include_str!("tables/aws.toml")),
    ("azure.toml", include_str!("tables/azure.toml")),
    ("google.toml", include_str!("tables/google.toml")),
    ("kubernetes.toml", include_str!("tables/kubernetes.toml")),
    ("others.toml", include_str!("tables/others.toml")),
    ("checks.toml", include_str!("tables/checks.toml")),
];

#[derive(Deserialize)]
struct File {
    rules: Vec<Written>,
}

/// A row as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    id: String,
    title: String,
    resources: Vec<String>,
    attribute: Option<String>,
    good: Option<Vec<String>>,
    bad: Option<Vec<String>>,
    has: Option<Vec<String>>,
    lacks: Option<Vec<String>>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    also: Vec<String>,
    set: bool,
    absent: bool,
    missing: Option<String>,
    varies: bool,
    when: Vec<String>,
    always: bool,
    hazard: String,
    severity: String,
    missing_severity: Option<String>,
    confidence: Option<String>,
    cwe: Option<u32>,
    remediation: Option<String>,
    aliases: Vec<String>,
}

/// The rows, and where to find them.
pub(super) struct Tables {
    pub(super) rules: Vec<&'static Rule>,
    rows: Vec<Row>,
    by_resource: HashMap<String, Vec<usize>>,
}

impl Tables {
    /// The rows about resources of this type.
    pub(super) fn rows(&self, resource: &str) -> impl Iterator<Item = &Row> {
        self.by_resource.get(resource).into_iter().flatten().map(|row| &self.rows[*row])
    }
}

/// All the rows.
pub(super) fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| match read(FILES) {
        Ok(tables) => tables,
        Err(error) => unreachable!("the files are tested: {error}"),
    });
    &TABLES
}

fn read(files: &[(&str, &str)]) -> Result<Tables, String> {
    let mut tables = Tables { rules: Vec::new(), rows: Vec::new(), by_resource: HashMap::new() };
    for (name, text) in files {
        let file: File = toml::from_str(text).map_err(|error| format!("{name}: {error}"))?;
        for written in file.rules {
            let id = written.id.clone();
            let (rule, row) = load(written).map_err(|error| format!("{name}: {id}: {error}"))?;
            tables.rules.push(rule);
            let Some(row) = row else { continue };
            for resource in &row.resources {
                tables.by_resource.entry(resource.clone()).or_default().push(tables.rows.len());
            }
            tables.rows.push(row);
        }
    }
    Ok(tables)
}

/// The rule of a row, and the row itself unless a function of the parent module does its work.
fn load(mut written: Written) -> Result<(&'static Rule, Option<Row>), String> {
    let test = written.attribute.as_ref().map(|_| test(&written)).transpose()?;
    let text = written.attribute.clone().unwrap_or_default();
    written.resources = resources(written.resources);
    let rule = rule(&written, test.as_ref(), &plain(&text))?;
    let Some(test) = test else { return Ok((rule, None)) };
    let missing = match written.missing.as_deref() {
        None if matches!(test, Test::Good(_) | Test::Set | Test::Has(_) | Test::AtLeast(..)) => Missing::Bad,
        None | Some("fine") => Missing::Fine,
        Some("bad") => Missing::Bad,
        Some("bad-in-block") => Missing::BadInBlock,
        Some(other) => return Err(format!("missing: {other:?}")),
    };
    let row = Row {
        rule,
        missing_severity: written.missing_severity.as_deref().map_or(Ok(rule.severity), severity)?,
        always: written.always,
        varies: written.varies,
        what: lower_first(&written.title),
        resources: written.resources,
        paths: Path::alternatives(&text)?,
        test,
        missing,
        when: written.when.iter().map(|text| condition(text)).collect::<Result<_, _>>()?,
    };
    Ok((rule, Some(row)))
}

/// What a row is called, how bad it is, and how it is mended.
fn rule(written: &Written, test: Option<&Test>, name: &str) -> Result<&'static Rule, String> {
    let remediation = match (&written.remediation, test) {
        (Some(own), _) => own.clone(),
        (None, Some(test)) => format!("{} {}", test.mend(name), advice(&written.hazard, name)).trim().to_owned(),
        (None, None) => return Err("remediation: how is it mended?".to_owned()),
    };
    let resource = written.resources.first().ok_or("resources: which?")?;
    let more = if written.resources.len() > 1 { " and the like" } else { "" };
    let confidence = match written.confidence.as_deref() {
        None => Confidence::High,
        Some(name) => {
            Confidence::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| format!("confidence {name:?}"))?
        }
    };
    let title = if test.is_some() { format!("{} ({resource}{more})", written.title) } else { written.title.clone() };
    Ok(Box::leak(Box::new(Rule {
        id: leak(format!("infrastructure.{}", written.id)),
        title: leak(title),
        severity: severity(&written.severity)?,
        confidence,
        category: Category::Infrastructure,
        cwe: written.cwe.unwrap_or_else(|| cwe(&written.hazard)),
        hazard: leak(written.hazard.clone()),
        keywords: &[],
        remediation: leak(remediation),
        references: Box::leak(Box::new([leak(documentation(resource))])),
        aliases: Box::leak(written.aliases.iter().map(|alias| leak(alias.clone())).collect::<Box<[_]>>()),
        check: Check::Shared(&super::TABLE),
    })))
}

fn severity(name: &str) -> Result<Severity, String> {
    Severity::from_name(name).ok_or_else(|| format!("severity {name:?}"))
}

fn test(written: &Written) -> Result<Test, String> {
    let mut tests = Vec::new();
    tests.extend(written.good.clone().map(Test::Good));
    tests.extend(written.bad.clone().map(Test::Bad));
    tests.extend(written.has.clone().map(Test::Has));
    tests.extend(written.lacks.clone().map(Test::Lacks));
    tests.extend(written.at_least.map(|least| Test::AtLeast(least, written.also.clone())));
    tests.extend(written.at_most.map(Test::AtMost));
    tests.extend(written.set.then_some(Test::Set));
    tests.extend(written.absent.then_some(Test::Absent));
    match (tests.pop(), tests.is_empty()) {
        (Some(test), true) => Ok(test),
        _ => Err("one of good, bad, has, lacks, at_least, at_most, set and absent".to_owned()),
    }
}

/// `path=a|b`, `path!=a|b`, `path^=a`, `path>1`, `path`, `!path`.
fn condition(text: &str) -> Result<Condition, String> {
    let list = |text: &str| text.split('|').map(str::to_owned).collect();
    let (path, wants) = if let Some((path, values)) = text.split_once("!=") {
        (path, Wants::NoneOf(list(values)))
    } else if let Some((path, prefix)) = text.split_once("^=") {
        (path, Wants::Prefix(prefix.to_owned()))
    } else if let Some((path, values)) = text.split_once('=') {
        (path, Wants::OneOf(list(values)))
    } else if let Some((path, number)) = text.split_once('>') {
        (path, Wants::Above(number.parse().map_err(|_| format!("when: {text:?}"))?))
    } else if let Some(path) = text.strip_prefix('!') {
        (path, Wants::Absent)
    } else {
        (text, Wants::Present)
    };
    Ok(Condition { path: Path::parse(path)?, wants })
}

/// `pods` stands for every resource with a pod's specification in it.
fn resources(written: Vec<String>) -> Vec<String> {
    const WITH_PODS: [&str; 8] =
        ["pod", "deployment", "daemonset", "daemon_set", "stateful_set", "replication_controller", "job", "cron_job"];
    if written != ["pods"] {
        return written;
    }
    WITH_PODS.iter().flat_map(|kind| [format!("kubernetes_{kind}"), format!("kubernetes_{kind}_v1")]).collect()
}

/// An attribute's path for people: of several ways to write it, the last and newest.
fn plain(attribute: &str) -> String {
    let last = attribute.rsplit('|').next().unwrap_or(attribute).trim();
    last.trim_start_matches("pod:").replace('/', ".")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next();
    // An abbreviation stays as it is.
    if chars.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    first.map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::super::row::Verdict;
    use super::*;

    /// `a/b[name=x]/c` as nested blocks around `c = value`; without a value, around nothing.
    fn nested(path: &str, value: Option<&str>) -> String {
        let mut text = value.map_or_else(String::new, |value| {
            let name = path.rsplit('/').next().unwrap_or(path);
            format!("{name} = {value}\n")
        });
        for step in path.rsplit('/').skip(1) {
            let (name, only) = step.split_once('[').unwrap_or((step, ""));
            let only = only.trim_end_matches(']').split_once('=');
            let only = only.map_or_else(String::new, |(key, value)| format!("{key} = \"{value}\"\n"));
            text = format!("{name} {{\n{only}{text}}}\n");
        }
        text
    }

    /// A bad and a good value for a test, as written.
    fn values(test: &Test) -> (String, String) {
        let quoted = |value: &String| {
            let start = value.strip_suffix('*').filter(|start| !start.is_empty());
            format!("\"{}\"", start.unwrap_or(value))
        };
        match test {
            Test::Good(values) => ("\"something else\"".to_owned(), quoted(&values[0])),
            Test::Bad(values) => (quoted(&values[0]), "\"something else\"".to_owned()),
            Test::Has(values) => (
                "[\"something else\"]".to_owned(),
                format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", ")),
            ),
            Test::Lacks(values) => (format!("[\"x\", {}]", quoted(&values[0])), "[\"something else\"]".to_owned()),
            Test::AtLeast(least, _) => ((least - 1.5).to_string(), least.to_string()),
            Test::AtMost(most) => ((most + 1.0).to_string(), most.to_string()),
            Test::Set => ("\"\"".to_owned(), "x.y.z".to_owned()),
            Test::Absent => ("\"x\"".to_owned(), "var.x".to_owned()),
        }
    }

    /// What has to stand in the block for the row to be about it.
    fn conditions(written: &Written) -> String {
        let of = |text: &String| match text.split_once(['=', '>']) {
            Some((path, _)) if path.ends_with('!') => String::new(),
            Some((path, value)) if text.contains('>') => nested(path, Some(&format!("{value}0"))),
            Some((path, value)) => {
                nested(path.trim_end_matches('^'), Some(&format!("\"{}\"", value.split('|').next().unwrap_or(""))))
            }
            None if text.starts_with('!') => String::new(),
            None => nested(text, Some("\"x\"")),
        };
        written.when.iter().map(of).collect()
    }

    #[test]
    fn every_row_finds_a_bad_value_and_lets_a_good_one_be() {
        for (name, text) in FILES {
            for written in toml::from_str::<File>(text).expect("a file of rows").rules {
                let (id, around) = (written.id.clone(), conditions(&written));
                let Some(attribute) = written.attribute.clone() else { continue };
                let (_, row) = load(written).expect("a row");
                let row = row.expect("a row with an attribute has a test");
                let (bad, good) = values(&row.test);
                for way in attribute.split('|').map(str::trim) {
                    let way =
                        way.strip_prefix("pod:").map_or(way.to_owned(), |rest| format!("spec/template/spec/{rest}"));
                    let judge = |value: &str| {
                        let text = format!(
                            "resource \"{}\" \"a\" {{\n{around}{}}}\n",
                            row.resources[0],
                            nested(&way, Some(value))
                        );
                        let block = parse(&text).remove(0);
                        assert!(block.closed, "{name}: {id}: {text}");
                        row.judge(&block, &text)
                    };
                    assert!(
                        matches!(judge(&bad), Verdict::Bad { .. }),
                        "{name}: {id}: {way} = {bad}: {:?}",
                        judge(&bad)
                    );
                    assert!(!matches!(judge(&good), Verdict::Bad { .. }), "{name}: {id}: {way} = {good}");
                    assert!(
                        !matches!(judge("var.later"), Verdict::Bad { .. } | Verdict::Missing { .. })
                            || !around.is_empty(),
                        "{name}: {id}: {way} = var.later"
                    );
                }
            }
        }
    }

    #[test]
    fn a_row_that_cannot_be_meant_is_refused() {
        for (row, complaint) in [
            (
                "id = \"a.b\", title = \"T\", resources = [\"x_y\"], attribute = \"a\", hazard = \"\", severity = \"low\"",
                "one of good",
            ),
            (
                "id = \"a.b\", title = \"T\", resources = [\"x_y\"], attribute = \"a\", set = true, absent = true, hazard = \"\", severity = \"low\"",
                "one of good",
            ),
            (
                "id = \"a.b\", title = \"T\", resources = [], attribute = \"a\", set = true, hazard = \"\", severity = \"low\"",
                "resources",
            ),
            (
                "id = \"a.b\", title = \"T\", resources = [\"x_y\"], attribute = \"a//b\", set = true, hazard = \"\", severity = \"low\"",
                "attribute",
            ),
            (
                "id = \"a.b\", title = \"T\", resources = [\"x_y\"], attribute = \"a\", set = true, hazard = \"\", severity = \"awful\"",
                "severity",
            ),
            (
                "id = \"a.b\", title = \"T\", resources = [\"x_y\"], attribute = \"a\", set = true, missing = \"no\", hazard = \"\", severity = \"low\"",
                "missing",
            ),
            ("id = \"a.b\", title = \"T\", resources = [\"x_y\"], hazard = \"\", severity = \"low\"", "remediation"),
            ("id = \"a.b\", wrong = 1", "wrong"),
        ] {
            let error = read(&[("rows.toml", &format!("rules = [{{ {row} }}]"))]).err().unwrap_or_default();
            assert!(error.starts_with("rows.toml: ") && error.contains(complaint), "{row}: {error}");
        }
    }
}
