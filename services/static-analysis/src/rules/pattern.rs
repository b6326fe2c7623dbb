//! Rules as data: what a credential looks like, a row in a file. The files beside `secret/patterns/README.md`, which
//! documents the form, come with FailSafe; a team's own files have the same form. Files of gitleaks are read, too.
//!
//! A row's expression is compiled when one of its keywords is first seen, so that a start costs no more than reading the files.

use std::ops::Range;
use std::sync::OnceLock;

use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};
use regex::Regex;
use regex_automata::nfa::thompson::NFA;
use serde::Deserialize;

use super::secret::{self, ROTATE, entropy};
use super::{AddedLine, Check, FileHit, Hit, Rule};
use crate::paths;
use allow::{Allowed, OneOrMany, Place};
use named::{Judge, Named, Value};
pub(crate) use needs::{Needs, Runs};

mod allow;
mod dialect;
mod literal;
mod named;
mod needs;

/// Bits for each character that a value must have unless its row says otherwise.
const ENTROPY_MIN: f64 = 2.4;
/// Bytes of a compiled expression. A row that needs more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// What to do about what a team's own rule finds, where the rule does not say.
const ASK: &str = "This is a rule of your own: change what it found, or ask who wrote the rule.";
/// What a row looks for.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
    needs: OnceLock<Needs>,
    kind: Kind,
    category: Category,
    severity: Severity,
    /// Bits for each character below which a value is no secret.
    entropy: f64,
    allowed: Vec<Allowed>,
    path: Option<Lazy>,
    message: &'static str,
}

/// The expressions of a row, compiled when they are first needed.
#[derive(Debug)]
enum Form {
    Line(Lazy),
    Named { names: Vec<String>, tokens: Vec<String>, compiled: OnceLock<Option<Named>> },
}

/// An expression that is compiled when it is first asked.
#[derive(Debug)]
struct Lazy {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Lazy {
    fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// The same of a file that may be written for another engine.
    fn own(text: String) -> Self {
        Self::new(dialect::with_plain_braces(text))
    }

    /// The text that is compiled.
    fn plain(&self) -> String {
        dialect::ascii(&self.text)
    }

    /// Whether the expression can be compiled: all of the way that can fail, which is a small part of it.
    fn check(&self) -> Result<(), String> {
        let hir = regex_syntax::parse(&self.plain()).map_err(|error| error.to_string())?;
        let limits = NFA::config().nfa_size_limit(Some(COMPILED_BYTES_MAX));
        NFA::compiler().configure(limits).build_from_hir(&hir).map(|_| ()).map_err(|error| error.to_string())
    }

    fn get(&self) -> Option<&Regex> {
        let build = || regex::RegexBuilder::new(&self.plain()).size_limit(COMPILED_BYTES_MAX).build().ok();
        self.compiled.get_or_init(build).as_ref()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The form itself is proof.
    Token,
    /// A value behind a name. With `strict`, a word such as `key` has to be there, too.
    Named { strict: bool },
    /// An expression of its own; the secret is this group of it.
    Own { group: Option<usize> },
    /// Nothing but the path of a file.
    Path,
}

/// Whose a file of rows is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It comes with FailSafe: tests hold its rows, so that a start need not.
    FailSafe,
    /// A team wrote it, or another scanner's authors: each row is looked at before it is used.
    Own,
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
    /// In gitleaks: only there for other rules to refer to.
    #[serde(default, rename = "skipReport")]
    skip_report: bool,
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

/// The rules in `text`, which comes with FailSafe.
///
/// # Errors
/// A sentence that names the row, or the line of the file, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Loaded>, String> {
    read(text, Origin::FailSafe)
}

/// The rules in `text`, a file of a team's own or of gitleaks. Each expression is compiled, so that a wrong one is named now.
///
/// # Errors
/// As [`parse`].
pub fn parse_own(text: &str) -> Result<Vec<Loaded>, String> {
    read(text, Origin::Own)
}

fn read(text: &str, origin: Origin) -> Result<Vec<Loaded>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let everywhere = file.allowlist.into_lists();
    file.rules.into_iter().filter(|row| !row.skip_report).map(|row| row.load(&everywhere, origin)).collect()
}

impl Row {
    fn load(self, everywhere: &[allow::List], origin: Origin) -> Result<Loaded, String> {
        let id = self.id.clone();
        self.checked(everywhere, origin).map_err(|error| format!("rule {id:?}: {error}"))
    }

    fn checked(mut self, everywhere: &[allow::List], origin: Origin) -> Result<Loaded, String> {
        let written = self.id.clone();
        let category = self.category()?;
        if origin == Origin::Own {
            self.mend_id(category)?;
        }
        let lazy = match origin {
            Origin::FailSafe => Lazy::new,
            Origin::Own => Lazy::own,
        };
        let (form, kind) = self.form(lazy)?;
        let certain = kind == Kind::Token;
        let severity = match self.severity.as_deref() {
            None if certain => Severity::High,
            None => Severity::Medium,
            Some(name) => Severity::from_name(name)
                .ok_or_else(|| format!("severity: {name:?} is none of info, low, medium, high, critical"))?,
        };
        let confidence = match self.confidence.as_deref() {
            None if certain => Confidence::High,
            None => Confidence::Medium,
            Some(name) => Confidence::ALL
                .into_iter()
                .find(|confidence| confidence.name() == name)
                .ok_or_else(|| format!("confidence: {name:?} is none of low, medium, high"))?,
        };
        let is_meant = |list: &&allow::List| list.target_rules.is_empty() || list.target_rules.contains(&written);
        let mut lists = vec![allow::List::values(std::mem::take(&mut self.allow))];
        lists.extend(everywhere.iter().filter(is_meant).cloned());
        lists.extend(std::mem::take(&mut self.allowlist).into_lists());
        let allowed = lists.into_iter().map(|list| Allowed::new(list, lazy)).collect();
        let title = self.title.take().or(self.description.take()).unwrap_or_else(|| written.clone());
        let title = title.trim().trim_end_matches('.');
        let is_secret = category == Category::Secret;
        let pattern = Pattern {
            form,
            needs: OnceLock::new(),
            kind,
            category,
            severity,
            entropy: self.entropy.unwrap_or(if matches!(kind, Kind::Own { .. }) { 0.0 } else { ENTROPY_MIN }),
            allowed,
            path: self.path.take().map(lazy),
            message: leak(&if is_secret { format!("this looks like a credential: {title}") } else { title.to_owned() }),
        };
        if origin == Origin::Own {
            pattern.compiles()?;
        }
        let rule = Rule {
            keywords: leak_all(&self.keywords(&pattern, origin)?),
            id: leak(&self.id),
            title: leak(title),
            severity,
            confidence,
            category,
            cwe: self.cwe.unwrap_or(if is_secret { 798 } else { 0 }),
            hazard: "",
            remediation: self.remediation.as_deref().map_or(if is_secret { ROTATE } else { ASK }, leak),
            references: leak_all(&self.references),
            aliases: leak_all(&self.aliases),
            check: Check::Pattern(Box::leak(Box::new(pattern))),
        };
        Ok(Loaded { rule: Box::leak(Box::new(rule)), examples: self.examples, counterexamples: self.counterexamples })
    }

    /// What the row says it is about, or else what its id begins with.
    fn category(&self) -> Result<Category, String> {
        let named = |name: &str| Category::ALL.into_iter().find(|category| category.name() == name);
        match self.category.as_deref() {
            Some(name) => named(name)
                .ok_or_else(|| format!("category: {name:?} is none of secret, migration, infrastructure, code")),
            None => Ok(self.id.split('.').next().and_then(named).unwrap_or(Category::Secret)),
        }
    }

    /// Makes `secret.user.acme-key` of `acme_key`, as gitleaks' ids are, which becomes an alias.
    fn mend_id(&mut self, category: Category) -> Result<(), String> {
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let parts: Vec<_> = self.id.split('.').collect();
        if parts.len() == 3 && parts[0] == category.name() && parts.iter().all(|part| plain(part)) {
            return Ok(());
        }
        let word = self.id.to_ascii_lowercase().replace(['_', ' '], "-");
        if !plain(&word) {
            let category = category.name();
            return Err(format!(
                "id: must be {category}.<family>.<what> in small letters, digits and hyphens, or one word"
            ));
        }
        let id = format!("{}.user.{word}", category.name());
        self.aliases.push(std::mem::replace(&mut self.id, id));
        Ok(())
    }

    /// The keywords: those of the row, or else those that the expression has in itself.
    fn keywords(&self, pattern: &Pattern, origin: Origin) -> Result<Vec<String>, String> {
        if self.keywords.iter().any(|keyword| keyword.len() < 2 || !keyword.is_ascii()) {
            return Err("keywords: each needs two ASCII characters at least".to_owned());
        }
        match origin {
            _ if !self.keywords.is_empty() => Ok(self.keywords.clone()),
            Origin::FailSafe => {
                Err("keywords: at least one is needed: a piece of every line that the rule is about".to_owned())
            }
            // With none the row looks at every line.
            Origin::Own => Ok(literal::keywords(&pattern.needed())),
        }
    }

    /// The expressions of the row, and how its matches are judged.
    fn form(&self, lazy: fn(String) -> Lazy) -> Result<(Form, Kind), String> {
        if let Some(own) = &self.regex {
            if !(self.tokens.is_empty() && self.names.is_empty()) {
                return Err("either regex, or tokens with or without names".to_owned());
            }
            return Ok((Form::Line(lazy(own.clone())), Kind::Own { group: self.secret_group }));
        }
        if self.tokens.is_empty() {
            if self.path.is_some() && self.names.is_empty() {
                return Ok((Form::Line(lazy(String::new())), Kind::Path));
            }
            return Err("tokens: what does the credential look like?".to_owned());
        }
        if self.names.is_empty() {
            return Ok((Form::Line(lazy(format!("(?P<secret>{})", self.tokens.join("|")))), Kind::Token));
        }
        let plain = |texts: &[String]| texts.iter().map(|text| lazy(text.clone()).plain()).collect();
        let (names, tokens) = (plain(&self.names), plain(&self.tokens));
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
    /// Whether the expressions can be compiled.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compiles(&self) -> Result<(), String> {
        let expressions: Vec<&str> = match &self.form {
            Form::Line(expression) => vec![&expression.text],
            Form::Named { names, tokens, .. } => names.iter().chain(tokens).map(String::as_str).collect(),
        };
        for expression in expressions {
            Lazy::new(expression.to_owned()).check().map_err(|error| format!("regex: {error}"))?;
        }
        self.allowed.iter().try_for_each(Allowed::check).map_err(|error| format!("allow: {error}"))?;
        self.path.as_ref().map_or(Ok(()), Lazy::check).map_err(|error| format!("path: {error}"))
    }

    /// What a line must hold before the expression is tried on it.
    pub(crate) fn needs(&self) -> &Needs {
        self.needs.get_or_init(|| Needs::of(&self.needed()))
    }

    /// The expression of what is found, without a name before it.
    fn needed(&self) -> String {
        match &self.form {
            Form::Line(expression) => expression.plain(),
            Form::Named { tokens, .. } => tokens.join("|"),
        }
    }

    /// Whether the row finds values beside a name.
    pub(crate) const fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Named { .. })
    }

    /// Whether the form that the row looks for is proof.
    pub(crate) const fn is_token(&self) -> bool {
        matches!(self.kind, Kind::Token)
    }

    /// Whether it is about a file's path, whatever the file holds.
    pub(crate) fn is_about_paths(&self) -> bool {
        self.kind == Kind::Path
    }

    fn is_for(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|wanted| wanted.get().is_some_and(|wanted| wanted.is_match(path)))
    }

    /// What the row says of a file for its path alone.
    pub(crate) fn check_path(&self, change: &FileChange) -> Option<FileHit> {
        let path = &change.path;
        let place = Place { secret: "", found: "", line: "", path };
        let found = self.is_about_paths()
            && change.kind != FileChangeKind::Deleted
            && self.is_for(path)
            && !self.allowed.iter().any(|allowed| allowed.allows(place));
        found.then(|| FileHit::on_file(self.message))
    }

    /// What the row finds on a line.
    pub(crate) fn check(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        if self.is_for(line.path()) { self.check_anywhere(line) } else { Vec::new() }
    }

    /// What the row finds on a line, whatever path it is for.
    pub(crate) fn check_anywhere(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        // A lock file is full of sums; what else it may hold has rules of its own.
        let is_secret = self.category == Category::Secret;
        if self.is_about_paths() || is_secret && paths::is_lock_file(line.path()) {
            return Vec::new();
        }
        let hits = self.on_line(line);
        // What a text shows is mostly made up, unless the form is proof.
        if is_secret && self.kind != Kind::Token && paths::is_documentation(line.path()) {
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
            Form::Line(expression) => {
                let Some(regex) = expression.get() else { return Vec::new() };
                let hit = |range| match self.category {
                    Category::Secret => Hit::secret(range, self.message),
                    _ => Hit::at(range, self.message),
                };
                self.found(regex, line.text, line.path()).into_iter().map(hit).collect()
            }
            Form::Named { names, tokens, compiled } => {
                let named = compiled.get_or_init(|| Named::new(names, tokens)).as_ref();
                named.map_or_else(Vec::new, |named| self.named(named, line))
            }
        }
    }

    fn named(&self, named: &Named, line: &AddedLine<'_>) -> Vec<Hit> {
        let allows =
            |value: &str| self.allows(Place { secret: value, found: value, line: line.text, path: line.path() });
        let judge = Judge { strict: self.kind == Kind::Named { strict: true }, allows: &allows };
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

    fn found(&self, regex: &Regex, text: &str, path: &str) -> Vec<Range<usize>> {
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
            let accepted = self.accepts(text, &secret.range())
                && self.allows(Place { secret: secret.as_str(), found: whole.as_str(), line: text, path });
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

    /// Whether a value stands where and as a secret stands.
    fn accepts(&self, text: &str, secret: &Range<usize>) -> bool {
        matches!(self.kind, Kind::Own { .. })
            || stands_alone(text, secret) && !secret::is_stand_in(&text[secret.clone()])
    }

    /// Whether the value itself will do, and nobody said that it may stand.
    fn allows(&self, place: Place<'_>) -> bool {
        entropy(place.secret) >= self.entropy && !self.allowed.iter().any(|allowed| allowed.allows(place))
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
pub(crate) mod tests;
