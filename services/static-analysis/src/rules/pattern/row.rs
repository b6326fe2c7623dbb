//! Files of rows, read: FailSafe's own, a team's, and those of gitleaks.

use std::sync::OnceLock;

use domain::{Category, Confidence, Severity};
use serde::Deserialize;

use super::allow::{self, Allowed, OneOrMany};
use super::{Form, Kind, Lazy, Pattern, literal};
use crate::rules::secret::ROTATE;
use crate::rules::{Check, Rule};

/// Bits for each character that a value must have unless its row says otherwise.
const ENTROPY_MIN: f64 = 2.4;
/// What to do about what a team's own rule finds, where the rule does not say.
const ASK: &str = "This is a rule of your own: change what it found, or ask who wrote the rule.";

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
    // A team's file may speak of rules that it extends.
    let unknown = |id: &&String| origin == Origin::FailSafe && file.rules.iter().all(|row| row.id != **id);
    if let Some(id) = everywhere.iter().flat_map(|list| &list.target_rules).find(unknown) {
        return Err(format!("allowlists: there is no rule {id:?}"));
    }
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
            whole: OnceLock::new(),
            holds_its_keywords: origin == Origin::FailSafe,
            kind,
            category,
            entropy: self.entropy.unwrap_or(if matches!(kind, Kind::Own { .. }) { 0.0 } else { ENTROPY_MIN }),
            allowed,
            path: self.path.take().map(lazy),
            severity,
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
            Origin::Own => Ok(literal::keywords(&pattern.form.keyword_source())),
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
        let all = |texts: &[String]| texts.iter().cloned().map(lazy).collect();
        let (names, tokens) = (all(&self.names), all(&self.tokens));
        Ok((Form::Named { names, tokens, compiled: OnceLock::new() }, Kind::Named { strict: self.strict }))
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_all(texts: &[String]) -> &'static [&'static str] {
    Box::leak(texts.iter().map(|text| leak(text)).collect::<Box<[_]>>())
}
