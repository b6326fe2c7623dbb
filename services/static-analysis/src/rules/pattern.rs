//! Rules as data: what a credential looks like, a row in a file. The files beside `secret/patterns/README.md`, which
//! documents the form, come with FailSafe; a team's own files have the same form. Files of gitleaks are read, too.
//!
//! A row's expression is compiled when one of its keywords is first seen, so that a start costs no more than reading the files.

use std::ops::Range;
use std::sync::OnceLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;
use serde::Deserialize;

use named::{Judge, Named, Value};

use super::secret::{self, ROTATE, entropy};
use super::{AddedLine, Check, Hit, Rule};
use crate::paths;

mod named;

/// Bits for each character that a value must have unless its row says otherwise.
const ENTROPY_MIN: f64 = 2.4;
/// Bytes of a compiled expression. A row that needs more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// What a row looks for.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
    kind: Kind,
    /// Bits for each character below which a value is no secret.
    entropy: f64,
    allowed: Vec<Regex>,
    path: Option<Regex>,
    message: &'static str,
    severity: Severity,
    is_secret: bool,
}

/// The expressions of a row, compiled when they are first needed.
#[derive(Debug)]
enum Form {
    Line { expression: String, compiled: OnceLock<Option<Regex>> },
    Named { names: Vec<String>, tokens: Vec<String>, compiled: OnceLock<Option<Named>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The form itself is proof.
    Token,
    /// A value behind a name. With `strict`, a word such as `key` has to be there, too.
    Named { strict: bool },
    /// An expression of its own; the secret is this group of it.
    Own { group: Option<usize> },
}

/// One file of rows.
#[derive(Deserialize)]
struct File {
    rules: Vec<Row>,
    #[serde(default, alias = "allowlists")]
    allowlist: OneOrMany,
    #[serde(default, rename = "title")]
    _title: Option<String>,
    #[serde(default, rename = "extend")]
    _extend: Option<toml::Value>,
    #[serde(default, rename = "minVersion")]
    _min_version: Option<String>,
}

/// One row. The names in camelCase are gitleaks'.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    confidence: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    regex: Option<String>,
    #[serde(default, rename = "secretGroup")]
    secret_group: Option<usize>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    entropy: Option<f64>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    cwe: Option<u32>,
    #[serde(default)]
    remediation: Option<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    counterexamples: Vec<String>,
    #[serde(default, alias = "allowlists")]
    allowlist: OneOrMany,
    #[serde(default, rename = "tags")]
    _tags: Vec<String>,
}

/// gitleaks' allow-lists, in their singular and their plural form.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(AllowList),
    Many(Vec<AllowList>),
    #[default]
    None,
}

#[derive(Default, Deserialize)]
struct AllowList {
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
}

impl OneOrMany {
    fn expressions(&self) -> Vec<String> {
        let lists = match self {
            Self::One(list) => std::slice::from_ref(list),
            Self::Many(lists) => lists,
            Self::None => &[],
        };
        let words =
            |list: &AllowList| list.stopwords.iter().map(|word| format!("(?i){}", regex::escape(word))).collect();
        lists.iter().flat_map(|list| [list.regexes.clone(), words(list)].concat()).collect()
    }
}

/// A rule of a file, and lines that its author says it finds and does not find.
#[derive(Debug)]
pub struct Loaded {
    /// The rule. Rules are read once, at the start, and live as long as the process.
    pub rule: &'static Rule,
    /// Lines that it finds.
    pub examples: Vec<String>,
    /// Lines that it does not find.
    pub counterexamples: Vec<String>,
}

/// The rules in `text`.
///
/// # Errors
/// A sentence that names the row, or the line of the file, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Loaded>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let everywhere = file.allowlist.expressions();
    file.rules.into_iter().map(|row| row.load(&everywhere)).collect()
}

impl Row {
    fn load(self, everywhere: &[String]) -> Result<Loaded, String> {
        let id = self.id.clone();
        self.checked(everywhere).map_err(|error| format!("rule {id:?}: {error}"))
    }

    fn checked(self, everywhere: &[String]) -> Result<Loaded, String> {
        let category = match self.category.as_deref() {
            None => Category::Secret,
            Some(name) => Category::ALL
                .into_iter()
                .find(|category| category.name() == name)
                .ok_or_else(|| format!("category: {name:?} is none of secret, migration, infrastructure, code"))?,
        };
        let named = |named: Option<&str>, otherwise: Severity| match named {
            None => Ok(otherwise),
            Some(name) => Severity::from_name(name)
                .ok_or_else(|| format!("severity: {name:?} is none of info, low, medium, high, critical")),
        };
        let (form, kind) = self.form()?;
        let certain = kind == Kind::Token;
        let severity = named(self.severity.as_deref(), if certain { Severity::High } else { Severity::Medium })?;
        let confidence = match self.confidence.as_deref() {
            None if certain => Confidence::High,
            None => Confidence::Medium,
            Some(name) => Confidence::ALL
                .into_iter()
                .find(|confidence| confidence.name() == name)
                .ok_or_else(|| format!("confidence: {name:?} is none of low, medium, high"))?,
        };
        let allowed = self.allow.iter().chain(everywhere).cloned().chain(self.allowlist.expressions());
        let allowed = allowed.map(|one| Regex::new(&one).map_err(|error| format!("allow: {error}")));
        let path = self.path.as_deref().map(Regex::new).transpose().map_err(|error| format!("path: {error}"))?;
        let title = self.title.or(self.description).unwrap_or_else(|| self.id.clone());
        let title = title.trim_end_matches('.');
        let pattern = Pattern {
            form,
            kind,
            entropy: self.entropy.unwrap_or(if matches!(kind, Kind::Own { .. }) { 0.0 } else { ENTROPY_MIN }),
            allowed: allowed.collect::<Result<_, _>>()?,
            path,
            message: leak(&format!("this looks like a credential: {title}")),
            severity,
            is_secret: category == Category::Secret,
        };
        if self.keywords.iter().any(|keyword| keyword.len() < 2 || !keyword.is_ascii()) {
            return Err("keywords: each needs two ASCII characters at least".to_owned());
        }
        if self.keywords.is_empty() {
            return Err("keywords: at least one is needed: a piece of every line that the rule is about".to_owned());
        }
        let rule = Rule {
            id: leak(&self.id),
            title: leak(title),
            severity,
            confidence,
            category,
            cwe: self.cwe.unwrap_or(if category == Category::Secret { 798 } else { 0 }),
            hazard: "",
            keywords: leak_all(&self.keywords),
            remediation: self.remediation.as_deref().map_or(ROTATE, leak),
            references: leak_all(&self.references),
            aliases: leak_all(&self.aliases),
            check: Check::Pattern(Box::leak(Box::new(pattern))),
        };
        Ok(Loaded { rule: Box::leak(Box::new(rule)), examples: self.examples, counterexamples: self.counterexamples })
    }

    /// The expressions of the row, and how its matches are judged.
    fn form(&self) -> Result<(Form, Kind), String> {
        let line = |expression| Form::Line { expression, compiled: OnceLock::new() };
        if let Some(own) = &self.regex {
            if !(self.tokens.is_empty() && self.names.is_empty()) {
                return Err("either regex, or tokens with or without names".to_owned());
            }
            return Ok((line(own.clone()), Kind::Own { group: self.secret_group }));
        }
        if self.tokens.is_empty() {
            return Err("tokens: what does the credential look like?".to_owned());
        }
        if self.names.is_empty() {
            return Ok((line(format!("(?P<secret>{})", self.tokens.join("|"))), Kind::Token));
        }
        let (names, tokens) = (self.names.clone(), self.tokens.clone());
        Ok((Form::Named { names, tokens, compiled: OnceLock::new() }, Kind::Named { strict: self.strict }))
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_all(texts: &[String]) -> &'static [&'static str] {
    Box::leak(texts.iter().map(|text| leak(text)).collect::<Box<[_]>>())
}

impl Pattern {
    /// Whether the expressions compile.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compiles(&self) -> Result<(), String> {
        let expressions = match &self.form {
            Form::Line { expression, .. } => vec![expression.clone()],
            Form::Named { names, tokens, .. } => [names.as_slice(), tokens.as_slice()].concat(),
        };
        for expression in expressions {
            let built = regex::RegexBuilder::new(&expression).size_limit(COMPILED_BYTES_MAX).build();
            built.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether the row finds values beside a name.
    pub(crate) const fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Named { .. })
    }

    /// Whether the form that the row looks for is proof.
    pub(crate) const fn is_token(&self) -> bool {
        matches!(self.kind, Kind::Token)
    }

    /// What the row finds on a line.
    pub(crate) fn check(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        // A lock file is full of sums; what else it may hold has rules of its own.
        let locked = self.is_secret && paths::is_lock_file(line.path());
        if locked || self.path.as_ref().is_some_and(|path| !path.is_match(line.path())) {
            return Vec::new();
        }
        let hits = self.on_line(line);
        // What a text shows is mostly made up, unless the form is proof.
        if self.is_secret && self.kind != Kind::Token && paths::is_documentation(line.path()) {
            let lowered = |hit: Hit| match hit.severity {
                None if self.severity > Severity::Low => hit.severity(Severity::Low),
                _ => hit,
            };
            return hits.into_iter().map(lowered).collect();
        }
        hits
    }

    fn on_line(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        match &self.form {
            Form::Line { expression, compiled } => {
                let compile = || regex::RegexBuilder::new(expression).size_limit(COMPILED_BYTES_MAX).build().ok();
                let Some(regex) = compiled.get_or_init(compile) else { return Vec::new() };
                let found = self.secrets(regex, line.text);
                found.into_iter().map(|range| Hit::secret(range, self.message)).collect()
            }
            Form::Named { names, tokens, compiled } => {
                let named = compiled.get_or_init(|| Named::new(names, tokens)).as_ref();
                named.map_or_else(Vec::new, |named| self.named(named, line))
            }
        }
    }

    fn named(&self, named: &Named, line: &AddedLine<'_>) -> Vec<Hit> {
        let strict = self.kind == Kind::Named { strict: true };
        let judge = Judge { strict, allows: &|value| self.allows(value) };
        let doubt = |hit: Hit, doubtful| {
            if doubtful { hit.severity(Severity::Low).confidence(Confidence::Low) } else { hit }
        };
        let values = named.values(line.text, &judge);
        if !values.is_empty() {
            let hit = |value: Value| doubt(Hit::secret(value.range, self.message), value.doubtful);
            return values.into_iter().map(hit).collect();
        }
        let below = |(name, doubtful)| {
            doubt(Hit::at(name, format!("{} (its value is on the line below)", self.message)), doubtful)
        };
        named.below(line, &judge).map(below).into_iter().collect()
    }

    fn secrets(&self, regex: &Regex, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(captures) = regex.captures_at(text, at) {
            let Some(whole) = captures.get(0) else { break };
            let secret = match self.kind {
                Kind::Own { group: Some(group) } => captures.get(group).or(captures.get(0)),
                Kind::Own { group: None } => captures.iter().skip(1).flatten().next().or(captures.get(0)),
                _ => captures.name("secret"),
            };
            let Some(secret) = secret else { break };
            let accepted = self.accepts(text, &secret.range());
            if accepted {
                found.push(secret.range());
            }
            // What began too early may begin again inside.
            let next = if accepted || whole.end() == whole.start() { whole.end() } else { whole.start() + 1 };
            at = text.ceil_char_boundary(next.max(at + 1));
            if at > text.len() {
                break;
            }
        }
        found
    }

    fn accepts(&self, text: &str, secret: &Range<usize>) -> bool {
        let value = &text[secret.clone()];
        let own = matches!(self.kind, Kind::Own { .. });
        self.allows(value) && (own || stands_alone(text, secret) && !secret::is_stand_in(value))
    }

    fn allows(&self, value: &str) -> bool {
        entropy(value) >= self.entropy && !self.allowed.iter().any(|allowed| allowed.is_match(value))
    }
}

/// True when no letter, digit or underscore touches the value, but for the letter of an escape such as `\n`.
fn stands_alone(text: &str, value: &Range<usize>) -> bool {
    let word = |byte: &u8| is_word_byte(*byte);
    let bytes = text.as_bytes();
    let escaped = || value.start >= 2 && bytes[value.start - 2] == b'\\' && b"nrt".contains(&bytes[value.start - 1]);
    let begins = value.start == 0 || !word(&bytes[value.start - 1]) || escaped() || !word(&bytes[value.start]);
    let next = bytes.get(value.end);
    let joined = next.is_some_and(|byte| b".=".contains(byte)) && bytes.get(value.end + 1).is_some_and(word);
    begins && !next.is_some_and(word) && !joined
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
