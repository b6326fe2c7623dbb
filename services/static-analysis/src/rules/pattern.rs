//! Rules as data: what a credential looks like, a row in a file. The files beside `secret/patterns/README.md`, which
//! documents the form, come with FailSafe; a team's own files have the same form. Files of gitleaks are read, too.
//!
//! A row's expression is compiled when one of its keywords is first seen, so that a start costs no more than reading the files.

use std::ops::Range;
use std::sync::OnceLock;

use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};
use regex::bytes::Regex;

use super::secret::{self, entropy};
use super::{AddedLine, FileHit, Hit};
use crate::paths;
use allow::{Allowed, Place};
use lazy::{Lazy, Letters};
use named::{Judge, Named, Value};
pub(crate) use needs::{Needs, Runs};
pub use row::{Loaded, parse, parse_own};
pub(crate) use standing::Standing;

mod allow;
mod dialect;
mod first;
mod lazy;
mod literal;
mod named;
mod needs;
mod row;
mod standing;
mod texts;

/// What a row looks for.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
    needs: OnceLock<Needs>,
    /// What the credential needs as a whole.
    whole: OnceLock<Needs>,
    /// Whether each credential holds one of the keywords: where it does not, the keyword may stand elsewhere on the line.
    holds_its_keywords: bool,
    kind: Kind,
    category: Category,
    /// Bits for each character below which a value is no secret.
    entropy: f64,
    allowed: Vec<Allowed>,
    path: Option<Lazy>,
    message: &'static str,
    severity: Severity,
}

/// The expressions of a row, compiled when they are first needed.
#[derive(Debug)]
enum Form {
    Line(Lazy),
    Named { names: Vec<Lazy>, tokens: Vec<Lazy>, compiled: OnceLock<Named> },
}

impl Form {
    fn expressions(&self) -> Vec<&Lazy> {
        match self {
            Self::Line(expression) => vec![expression],
            Self::Named { names, tokens, .. } => names.iter().chain(tokens).collect(),
        }
    }

    /// What every line that is found has to match.
    fn keyword_source(&self) -> String {
        match self {
            Self::Line(expression) => expression.plain(),
            Self::Named { names, .. } => {
                names.iter().map(|name| format!("(?:{})", name.plain())).collect::<Vec<_>>().join("|")
            }
        }
    }

    /// What every line that is found, or the line below it, has to match.
    fn needed(&self) -> String {
        match self {
            Self::Line(expression) => expression.plain(),
            Self::Named { tokens, .. } => {
                tokens.iter().map(|token| format!("(?:{})", token.plain())).collect::<Vec<_>>().join("|")
            }
        }
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

impl Pattern {
    /// Whether the expressions can be compiled.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compiles(&self) -> Result<(), String> {
        for expression in self.form.expressions() {
            expression.check().map_err(|error| format!("regex: {error}"))?;
        }
        self.allowed.iter().try_for_each(Allowed::check).map_err(|error| format!("allow: {error}"))?;
        self.path.as_ref().map_or(Ok(()), Lazy::check).map_err(|error| format!("path: {error}"))
    }

    /// What a line must hold before the expression is tried on it.
    pub(crate) fn needs(&self) -> &Needs {
        self.needs.get_or_init(|| Needs::of(&self.form.needed()))
    }

    /// Whether it is about a file's path, whatever the file holds.
    pub(crate) fn is_about_paths(&self) -> bool {
        self.kind == Kind::Path
    }

    fn is_for(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|wanted| wanted.is_match(path))
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

    /// What the row finds on a line, whatever the path.
    pub(crate) fn check_anywhere(&self, line: &AddedLine<'_>) -> Vec<Hit> {
        // A lock file is full of sums; what else it may hold has rules of its own.
        if self.is_about_paths() || self.category == Category::Secret && paths::is_lock_file(line.path()) {
            return Vec::new();
        }
        let hits = self.on_line(line);
        // What a text shows is mostly made up, unless the form is proof.
        if self.category == Category::Secret && self.kind != Kind::Token && paths::is_documentation(line.path()) {
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
                if !expression.may_match(line.text) {
                    return Vec::new();
                }
                let Some(regex) = expression.get(Letters::of(line.text)) else { return Vec::new() };
                let hit = |range| match self.category {
                    Category::Secret => Hit::secret(range, self.message),
                    _ => Hit::at(range, self.message),
                };
                self.secrets(regex, line.text, line.path()).into_iter().map(hit).collect()
            }
            Form::Named { names, tokens, compiled } => {
                let plain = |all: &[Lazy]| all.iter().map(Lazy::plain).collect::<Vec<_>>();
                self.named(compiled.get_or_init(|| Named::new(&plain(names), &plain(tokens))), line)
            }
        }
    }

    fn named(&self, named: &Named, line: &AddedLine<'_>) -> Vec<Hit> {
        let strict = self.kind == Kind::Named { strict: true };
        let (text, path) = (line.text, line.path());
        let judge =
            Judge { strict, allows: &|value| self.allows(Place { secret: value, found: value, line: text, path }) };
        let doubt = |hit: Hit, doubtful| {
            let severity = self.severity.min(Severity::Low);
            if doubtful { hit.severity(severity).confidence(Confidence::Low) } else { hit }
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

    fn secrets(&self, regex: &Regex, text: &str, path: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(captures) = regex.captures_at(text.as_bytes(), at) {
            let Some(whole) = captures.get(0) else { break };
            let secret = match self.kind {
                Kind::Own { group: Some(group) } => captures.get(group).or(captures.get(0)),
                Kind::Own { group: None } => captures.iter().skip(1).flatten().next().or(captures.get(0)),
                _ => captures.name("secret"),
            };
            let Some(secret) = secret else { break };
            let shown = |range| text.get(range).unwrap_or_default();
            let place = Place { secret: shown(secret.range()), found: shown(whole.range()), line: text, path };
            let own = matches!(self.kind, Kind::Own { .. });
            let accepted = self.allows(place)
                && (own || stands_alone(text, &secret.range()) && !secret::is_stand_in(place.secret))
                && (own || !is_piece(text, &secret.range()));
            if accepted {
                found.push(secret.range());
            }
            // Where a name was too early, the value may still follow a later one.
            let next = if accepted || whole.end() == whole.start() { whole.end() } else { whole.start() + 1 };
            at = text.ceil_char_boundary(next.max(at + 1));
            if at > text.len() {
                break;
            }
        }
        found
    }

    fn allows(&self, place: Place<'_>) -> bool {
        entropy(place.secret) >= self.entropy && !self.allowed.iter().any(|allowed| allowed.allows(place))
    }

    /// Whether the row finds values beside a name.
    pub(crate) const fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Named { .. })
    }

    /// Whether the form that the row looks for is proof.
    pub(crate) const fn is_token(&self) -> bool {
        matches!(self.kind, Kind::Token)
    }
}

/// Bytes of base64 around a value from which on it is a piece out of something else: a picture, a font, a certificate.
const BASE64_BYTES: usize = 200;

/// True for a piece out of the middle of a long run of base64, where any form comes about by chance.
fn is_piece(text: &str, value: &Range<usize>) -> bool {
    let base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let before = text.as_bytes()[..value.start].iter().rev().take(BASE64_BYTES).take_while(base64).count();
    let after = text.as_bytes()[value.end..].iter().take(BASE64_BYTES).take_while(base64).count();
    before + after >= BASE64_BYTES
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
