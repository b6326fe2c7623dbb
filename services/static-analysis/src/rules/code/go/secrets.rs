//! Credentials in the code, and structs that carry them into what is sent.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;
use tree_sitter::Node;

use super::injection::right_of;
use super::model::{Model, is_function};
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::{Report, children};
use crate::rules::code::shown::{Place, Shown, first_name};

pub(super) static RULES: &[&Rule] = &[&CREDENTIAL, &SERIALIZED];

/// The value itself is the business of the rules of the category secret; this one is about the habit.
static CREDENTIAL: Rule = Rule {
    id: "code.go.hard-coded-credential",
    title: "Credential in the code",
    severity: Severity::Info,
    cwe: 798,
    keywords: &["passw", "pwd", "secret", "token", "apikey", "bearer", "cred", "akia", "ghp_", "func "],
    remediation: "Read it from the environment or from a store of secrets.",
    references: &["https://cwe.mitre.org/data/definitions/798.html"],
    aliases: &["G101"],
    ..PROGRAM
};

static SERIALIZED: Rule = Rule {
    id: "code.go.serialized-secret",
    title: "Struct with a secret is serialized",
    severity: Severity::Info,
    cwe: 499,
    keywords: &["marshal", "encode("],
    remediation: "Give the field the tag \"-\", or send a struct without it.",
    references: &["https://pkg.go.dev/encoding/json#Marshal"],
    aliases: &["G117"],
    ..PROGRAM
};

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)pass|pwd|secret|token|pw|apiKey|bearer|cred").expect("the pattern is tested"));

/// Values that are credentials whatever they are called.
static FORM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) \b(?:AKIA|ASIA)[0-9A-Z]{16} | \bgh[ps]_[0-9a-zA-Z]{36} | \bgithub_pat_\w{22}_\w{59} | \bAIza[0-9A-Za-z_-]{35}
        | \b[rs]k_live_[0-9a-zA-Z]{24} | \bxox[abporsp]-[0-9]{10,} | -----BEGIN\s[A-Z]+\sPRIVATE\sKEY
        | \b[a-z]{3,10}://[\w.+-]{1,64}:[^\s@:/]{1,128}@[\w.-]+",
    )
    .expect("the pattern is tested")
});

/// What each of those forms holds.
const FORMS: &[&str] = &["AKIA", "ASIA", "ghp_", "ghs_", "github_pat_", "AIza", "_live_", "xox", "PRIVATE KEY", "://"];

const MESSAGE: &str = "whoever reads the code knows it, and it cannot be changed without a deployment";

pub(super) fn triggers() -> Vec<Trigger> {
    let names = ["pass", "pwd", "secret", "token", "pw", "apikey", "bearer", "cred"];
    let serialized = ["Marshal(", "MarshalIndent(", ".Encode("];
    let fields = ["key", "secret", "token", "passw", "pwd", "pass", "cred", "jwt"];
    vec![
        Trigger::of(&[&CREDENTIAL]).word_where(&names, names_random).near(),
        Trigger::of(&[&CREDENTIAL]).word_where(FORMS, has_form).near(),
        Trigger::of(&[&SERIALIZED])
            .word_where(&serialized, serializes)
            .word(&["struct"])
            .word_where(&fields, is_secret_field)
            .near(),
    ]
}

/// Whether a text as a machine makes them goes into what has such a name: `x, token := 1, "…"`, `Token: "…"`, `token == "…"`.
fn names_random(shown: &Shown<'_>, place: Place) -> bool {
    static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?x) ^ ["`]? \s* (?: (?: [=!]= | : ) \s* (?: ["`] | $ )
            | (?: ,[\w\s.,]*? )? (?: [\w.*\[\]]+ \s* )? :?= \s* (?: [^"`]*,\s* )? (?: ["`] | $ ) )"#,
        )
        .expect("the pattern is tested")
    });
    static BEFORE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"["`]\s*[=!]=\s*\w*$"#).expect("the pattern is tested"));
    let (before, rest) = (shown.before(place), shown.from(place));
    let rest = &rest[first_name(rest).len()..];
    // Within a text there is no name, unless it is a key and nothing else.
    let inside = |quote: char| before.matches(quote).count() % 2 == 1 && !rest.starts_with(quote);
    if inside('`') || inside('"') && !before.contains('\\') {
        return false;
    }
    if BEFORE.is_match(before) {
        return shown.is_live(place.line) && has_random(before);
    }
    BEHIND.find(rest).is_some_and(|found| {
        let values = &rest[found.end().saturating_sub(1)..];
        let below = shown.is_live(place.line + 1) && found.end() == rest.len();
        shown.is_live(place.line) && has_random(values) || below && has_random(shown.line(place.line + 1))
    })
}

/// Whether one of the texts on a line is random. Whether a quote begins or ends one is not asked; one that does not end on the line
/// may go on to anything.
fn has_random(line: &str) -> bool {
    let is_open = line.matches('"').count() % 2 == 1;
    is_open
        || line.bytes().enumerate().filter(|(_, byte)| b"\"`".contains(byte)).any(|(at, quote)| {
            let inside = &line[at + 1..];
            let literal = inside.split(char::from(quote)).next().unwrap_or("");
            quote == b'`' && literal.len() == inside.len() || literal.len() >= TEXT_BYTES_MIN && is_random(literal)
        })
}

/// Whether a line may hold a value of a form that is telling. Most addresses name nobody, and most words begin no token.
fn has_form(shown: &Shown<'_>, place: Place) -> bool {
    let rest = shown.from(place);
    let may_be = FORMS.iter().any(|form| rest.starts_with(form)) && (!rest.starts_with("://") || rest.contains('@'));
    may_be && FORM.is_match(shown.line(place.line))
}

/// Whether something is serialized outside of the method that says how.
fn serializes(shown: &Shown<'_>, place: Place) -> bool {
    let above = (0..=place.line).rev().map(|line| shown.line(line)).find(|line| line.starts_with("func "));
    !above.is_some_and(|function| function.contains(") Marshal")) && shown.is_live(place.line)
}

/// Whether a word is in the declaration of an exported field, or in its tag.
fn is_secret_field(shown: &Shown<'_>, place: Place) -> bool {
    let line = shown.line(place.line).trim_start();
    let behind = line[first_name(line).len()..].trim_start();
    // What is followed by a colon, an operator or a bracket is a value that is set, or a call.
    let declared = line.starts_with(|c: char| c.is_uppercase()) && !behind.starts_with([':', '=', '(', '.', ')']);
    declared && SECRET_FIELD.is_match(line)
}

/// The shortest text that is taken for a credential.
const TEXT_BYTES_MIN: usize = 8;

pub(super) fn check<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    match node.kind() {
        "short_var_declaration" | "assignment_statement" => {
            let names = node.child_by_field_name("left").map(children).unwrap_or_default();
            let named = names.iter().any(|name| name.kind() == "identifier" && NAME.is_match(model.source(*name)));
            if names.iter().any(|name| name.kind() == "identifier") {
                for value in right_of(node) {
                    credential(model, named, value, report);
                }
            }
        }
        "var_spec" | "const_spec" => {
            let mut cursor = node.walk();
            let named = node.children_by_field_name("name", &mut cursor).any(|name| NAME.is_match(model.source(name)));
            for value in right_of(node) {
                credential(model, named, value, report);
            }
        }
        "binary_expression" if matches!(model.operator(node), "==" | "!=") => {
            let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right"))
            else {
                return;
            };
            for (name, value) in [(left, right), (right, left)] {
                let named = name.kind() == "identifier" && NAME.is_match(model.source(name));
                credential(model, named, value, report);
            }
        }
        "composite_literal" => {
            for element in node.child_by_field_name("body").map(children).unwrap_or_default() {
                let Some(key) = element.child_by_field_name("key").and_then(|key| key.named_child(0)) else { continue };
                let Some(value) = element.child_by_field_name("value").and_then(|value| value.named_child(0)) else {
                    continue;
                };
                let key = if key.kind() == "identifier" { Some(model.source(key)) } else { model.literal(key) };
                credential(model, key.is_some_and(|key| NAME.is_match(key)), value, report);
            }
        }
        _ => {}
    }
}

fn credential<'t>(model: &Model<'_, 't>, named: bool, value: Node<'t>, report: &mut Report<'_>) {
    let Some(text) = model.literal(value) else { return };
    if text.len() >= TEXT_BYTES_MIN && (named && is_random(text) || FORM.is_match(text)) {
        report.hidden(&CREDENTIAL, value, value, MESSAGE);
    }
}

/// Whether a text looks as if a machine had made it: too much in it for words, repetitions and rows of letters.
fn is_random(text: &str) -> bool {
    let text: String = text.chars().take(16).collect();
    let bits = bits(&text);
    bits >= 76.0 || bits >= 40.0 && bits / text.len() as f64 >= 3.0 && bits >= 44.0
}

fn bits(text: &str) -> f64 {
    let class = |wanted: fn(&char) -> bool| text.chars().any(|c| wanted(&c));
    let mut alphabet = 0.0;
    for (is_there, size) in [
        (class(char::is_ascii_lowercase), 26.0),
        (class(char::is_ascii_uppercase), 26.0),
        (class(char::is_ascii_digit), 10.0),
        (class(char::is_ascii_punctuation), 33.0),
        (class(|c| !c.is_ascii()), 100.0),
    ] {
        if is_there {
            alphabet += size;
        }
    }
    let each = f64::max(alphabet, 2.0).log2();
    let mut bits = 0.0;
    let letters: Vec<_> = text.chars().collect();
    let mut at = 0;
    while at < letters.len() {
        let row = row(&letters[at..]);
        let word = word(&letters[at..]);
        if row >= 3 {
            bits += 8.0;
            at += row;
        } else if word >= 4 {
            bits += 12.0;
            at += word;
        } else {
            bits += each;
            at += 1;
        }
    }
    bits
}

/// How long the text goes on with the same letter, or with one after the other.
fn row(letters: &[char]) -> usize {
    let step = |pair: &[char]| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]));
    let Some(first) = letters.get(..2).map(step).filter(|step| step.abs() <= 1) else { return 1 };
    1 + letters.windows(2).take_while(|pair| step(pair) == first).count()
}

/// How long a word that can be spoken is at the beginning.
fn word(letters: &[char]) -> usize {
    let letters: Vec<_> = letters
        .iter()
        .enumerate()
        .take_while(|(at, c)| c.is_ascii_lowercase() || *at == 0 && c.is_ascii_uppercase())
        .map(|(_, c)| c.to_ascii_lowercase())
        .collect();
    let vowels = letters.iter().filter(|c| "aeiouy".contains(**c)).count();
    let mut run = 0;
    let mut longest = 0;
    for c in &letters {
        run = if "aeiouy".contains(*c) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    if vowels * 4 >= letters.len() && longest <= 3 { letters.len() } else { 0 }
}

static SECRET_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:(?:api|access|auth|bearer|client|oauth|private|refresh|session|jwt)[_-]?(?:key|secret|token)s?|password|passwd|pwd|pass|secret|cred|jwt)\b")
        .expect("the pattern is tested")
});

/// `json.Marshal(user)` where the struct has an exported field that is a password.
pub(super) fn check_serialized<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let Some(format) = format_of(callee) else { return };
    let Some(value) = arguments(call).first().copied() else { return };
    let in_marshaler = model.ancestors(call).filter(|above| is_function(*above)).last().is_some_and(|function| {
        let name = function.child_by_field_name("name").map_or("", |name| model.source(name));
        function.kind() == "method_declaration" && name.starts_with("Marshal")
    });
    if in_marshaler {
        return;
    }
    let of = model.type_of(value);
    let owner = element_name(&of);
    if model.method(owner, &format!("Marshal{}", format.to_ascii_uppercase())).is_some() {
        return;
    }
    let Some(name) = secret_field(model, owner, format) else { return };
    // A field that is filled with the result of a call (a hash, a mask) is no longer the secret.
    let literal =
        if value.kind() == "unary_expression" { value.child_by_field_name("operand").unwrap_or(value) } else { value };
    let transformed = literal.kind() == "composite_literal"
        && super::network::pairs(model, literal).iter().any(|(key, value)| {
            *key == name && matches!(value.kind(), "call_expression" | "type_conversion_expression")
        });
    if !transformed {
        report.at(&SERIALIZED, call, "a field of this struct is named like a secret, and goes wherever the text goes");
    }
}

fn format_of(callee: &str) -> Option<&'static str> {
    let (package, name) = match callee.strip_prefix("(*") {
        Some(rest) => rest
            .split_once(").")
            .and_then(|(of, name)| (name == "Encode").then_some((of.strip_suffix(".Encoder")?, name)))?,
        None => callee.rsplit_once('.').filter(|(_, name)| matches!(*name, "Marshal" | "MarshalIndent"))?,
    };
    match package {
        "encoding/json" => Some("json"),
        "encoding/xml" => Some("xml"),
        "go.yaml.in/yaml/v3" | "gopkg.in/yaml.v3" | "gopkg.in/yaml.v2" | "sigs.k8s.io/yaml"
            if name != "MarshalIndent" =>
        {
            Some("yaml")
        }
        _ if package.to_ascii_lowercase().contains("toml") && name != "MarshalIndent" => Some("toml"),
        _ => None,
    }
}

/// The name in `[]*map[string]Name`.
fn element_name(of: &str) -> &str {
    of.rsplit([']', '*']).next().unwrap_or(of)
}

fn secret_field<'a, 't>(model: &Model<'a, 't>, owner: &str, format: &str) -> Option<&'a str> {
    for field in model.fields(owner) {
        let of = field.child_by_field_name("type").map_or(String::new(), |node| model.type_text(node));
        let element = model.underlying(element_name(&of));
        let texts = matches!(element.as_str(), "string" | "[]string" | "[]uint8" | "[]byte")
            || matches!(of.as_str(), "[]byte" | "[]uint8")
            || of.starts_with('[') && of.ends_with("]byte");
        if !texts || of.starts_with("map[") {
            continue;
        }
        let tag = field.child_by_field_name("tag").map_or("", |tag| model.source(tag));
        let key = tag_key(tag, format);
        let mut cursor = field.walk();
        for name in field.children_by_field_name("name", &mut cursor).filter(|name| name.is_named()) {
            let name = model.source(name);
            if !name.starts_with(|c: char| c.is_uppercase()) || key == Some("-") {
                continue;
            }
            if SECRET_FIELD.is_match(name) || key.is_some_and(|key| SECRET_FIELD.is_match(key)) {
                return Some(name);
            }
        }
    }
    None
}

/// The name that a struct's tag gives a field in a format; `-` when it is left out.
fn tag_key<'a>(tag: &'a str, format: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{format}:\""))?;
    let value = rest.split('"').next()?;
    if value == "-" { Some("-") } else { value.split(',').next().filter(|name| !name.is_empty()) }
}
