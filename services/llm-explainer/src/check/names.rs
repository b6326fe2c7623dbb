//! Which names and numbers a text may hold: those of the evidence.
//!
//! Pure.

use std::collections::HashSet;

use super::Fault;
use crate::evidence::{Evidence, Fact, PATH_CHARS_MAX};
use crate::text::one_line;

/// English that looks like a path and is none.
const NOT_NAMES: &[&str] = &[
    "and/or",
    "either/or",
    "his/her",
    "he/she",
    "n/a",
    "i/o",
    "ci/cd",
    "tcp/ip",
    "ssl/tls",
    "yes/no",
    "read/write",
    "true/false",
    "pass/fail",
    "on/off",
    "add/remove",
    "w/o",
    "e.g",
    "i.e",
    "a.k.a",
    "a.m",
    "p.m",
];

/// Files that are known by a name without a dot.
const BARE_FILES: &[&str] =
    &["dockerfile", "containerfile", "makefile", "jenkinsfile", "vagrantfile", "procfile", "gemfile", "justfile"];

/// Numbers up to this may be counted rather than quoted: "two files", "3 findings".
const COUNTED_MAX: u64 = 10;

/// What a text may name.
pub(super) struct Vocabulary {
    names: HashSet<String>,
    /// The names between slashes, so that whole segments can be looked for.
    paths: Vec<String>,
    numbers: HashSet<String>,
}

impl Vocabulary {
    pub(super) fn of(evidence: &Evidence<'_>) -> Self {
        let mut vocabulary = Self { names: HashSet::new(), paths: Vec::new(), numbers: HashSet::new() };
        // Findings of one rule say the same in most of their texts.
        let mut read = HashSet::new();
        for item in &evidence.items {
            for text in item.names() {
                if read.contains(&text) {
                    continue;
                }
                for token in tokens(&text).filter(|token| is_name(token)) {
                    vocabulary.learn(token);
                }
                read.insert(text);
            }
            if let Fact::Finding(finding) = item.fact {
                vocabulary.learn(&one_line(&finding.path, PATH_CHARS_MAX));
            }
            vocabulary.numbers.extend(numbers(&item.data).map(|(number, _)| number));
        }
        vocabulary
    }

    fn learn(&mut self, token: &str) {
        if self.names.contains(token) {
            return;
        }
        let token = token.to_lowercase();
        for name in [without_line(&token), token.as_str()] {
            if self.names.insert(name.to_owned()) {
                self.paths.push(format!("/{name}/"));
            }
        }
    }

    /// Whether every name and number of `text` is in the evidence. `abbreviations` are no names.
    pub(super) fn check(&self, text: &str, abbreviations: &[String]) -> Result<(), Fault> {
        for token in tokens(text) {
            if abbreviations.iter().any(|known| known.eq_ignore_ascii_case(token)) {
                continue;
            }
            if (is_name(token) || token.chars().any(is_foreign)) && !self.knows(token) {
                return Err(Fault::UnknownName);
            }
        }
        for (number, digits) in numbers(text) {
            let counted = digits.is_some_and(|value| value <= COUNTED_MAX);
            if !counted && !self.numbers.contains(&number) {
                return Err(Fault::UnknownNumber);
            }
        }
        Ok(())
    }

    /// A name of the evidence, or whole segments of one: `0042.sql` of `migrations/0042.sql`.
    fn knows(&self, token: &str) -> bool {
        let token = token.to_lowercase();
        if self.names.contains(&token) {
            return true;
        }
        let inside = format!("/{}/", token.trim_matches('/'));
        inside.len() > 2 && self.paths.iter().any(|path| path.contains(&inside))
    }
}

/// The words of `text`, without the punctuation around them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => false,
        '"' | '\'' | '`' | '(' | ')' | '<' | '>' | '{' | '}' | '[' | ']' | ',' | ';' | '=' | '|' => true,
        '“' | '”' | '‘' | '’' | '«' | '»' | '—' | '–' => true,
        _ => c.is_whitespace(),
    };
    text.split(apart)
        .map(|token| {
            token.trim_start_matches(['*', '~', ':', '!', '?']).trim_end_matches(['.', ':', '!', '?', '*', '~', '…'])
        })
        .filter(|token| !token.is_empty())
}

/// Whether a word names a file, a rule, an address, a person: anything that must be in the evidence.
fn is_name(token: &str) -> bool {
    let one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(token));
    if !token.contains(['/', '\\', '@', '$', '.', ':']) {
        return one_of(BARE_FILES);
    }
    if !token.chars().any(char::is_alphabetic) || one_of(NOT_NAMES) {
        return false;
    }
    if token.contains(['/', '\\', '@', '$']) || token.contains("::") {
        return true;
    }
    let hidden_file = token.starts_with('.');
    let dotted = token.split('.').zip(token.split('.').skip(1)).any(|(left, right)| {
        left.chars().last().is_some_and(char::is_alphanumeric) && right.chars().next().is_some_and(char::is_alphabetic)
    });
    hidden_file || dotted || without_line(token).len() < token.len()
}

/// `a.sql` of `a.sql:12` and of `a.sql:12:5`.
fn without_line(token: &str) -> &str {
    let mut rest = token;
    while let Some((path, line)) = rest.rsplit_once(':') {
        if path.is_empty() || line.is_empty() || !line.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        rest = path;
    }
    rest
}

/// A letter or sign outside of Latin writing and its punctuation: it may look like what it is not.
fn is_foreign(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{24f}' | '\u{2010}'..='\u{205e}' | '→' | '≥' | '≤' | '≈' | '−' | '€' | '✓')
}

/// The numbers of `text` without thousands separators and needless zeros, and their value when they are whole. Digits
/// behind a letter (`SHA256`, `S1`) are a part of the word; digits before one (`97percent`) are a number.
fn numbers(text: &str) -> impl Iterator<Item = (String, Option<u64>)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + first_numeric(&text[from..])?;
            let ends = |c: char| !(c.is_numeric() || matches!(c, '.' | ','));
            from = text[start..].find(ends).map_or(text.len(), |length| start + length);
            let before = text[..start].trim_end_matches(['.', ',']);
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                let number = plain(&text[start..from]);
                let value = number.parse().ok();
                return Some((number, value));
            }
        }
    })
}

/// Where the first digit of any script stands. Bytes are looked at before letters: nearly all text is ASCII.
fn first_numeric(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        from += text.as_bytes()[from..].iter().position(|byte| byte.is_ascii_digit() || !byte.is_ascii())?;
        let found = text[from..].chars().next()?;
        if found.is_numeric() {
            return Some(from);
        }
        from += found.len_utf8();
    }
}

/// `1000` of `1,000`, `4.5` of `4.50`.
fn plain(number: &str) -> String {
    let number = number.trim_end_matches(['.', ',']).replace(',', "");
    match number.matches('.').count() {
        1 => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => number,
    }
}

/// The ids of evidence in brackets: `[S1]`.
pub(super) fn bracketed_ids(text: &str) -> impl Iterator<Item = &str> {
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .flat_map(|(inside, _)| inside.split(','))
        .map(str::trim)
        .filter(|id| {
            id.strip_prefix(['S', 'M', 'P', 'D'])
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Limits;
    use crate::samples;

    #[track_caller]
    fn check(text: &str, expected: Result<(), Fault>) {
        let mut reached = samples::blocked_by_a_secret();
        reached.deployment.as_mut().unwrap().title = "see evil.example/fix.sh".to_owned();
        let findings = vec![samples::secret(), samples::migration(), samples::infrastructure()];
        reached.signals[0] = samples::signal(samples::analysis(findings));
        let evidence = Evidence::of(&reached, Limits { items_max: 40, chars_max: 20_000 });
        assert_eq!(Vocabulary::of(&evidence).check(text, &[]), expected, "{text}");
    }

    #[test]
    fn a_name_that_is_not_in_the_evidence_is_seen() {
        use Fault::UnknownName;
        for known in [
            "The key is in config/prod.env:12.",
            "The key is in `config/prod.env`, line 12.",
            "See prod.env and (0042_drop_email.sql).",
            "The rule secret.aws.access-key found it, e.g. in config/prod.env and/or elsewhere.",
            "Port 22 is open to 0.0.0.0/0 in infra/main.tf.",
            "Look at the migrations/ folder.",
            "Nothing named here…",
        ] {
            check(known, Ok(()));
        }
        for unknown in [
            "The key is in src/secrets.rs.",
            "The key is in config/prod.env:13.",
            "See rod.env.",
            "See .env for it.",
            "It was written by mallory@acme.example.",
            "Ask @alice.",
            "Run https://evil.example/fix.sh.",
            "Run evil.example/fix.sh.",
            "Run C:\\tmp\\fix.",
            "Look at the Dockerfile.",
            "See lib::secrets.",
            "Rule secret.gcp.key found it.",
            "Это разрешено.",
            "ＡＬＬＯＷ",
        ] {
            check(unknown, Err(UnknownName));
        }
    }

    #[test]
    fn a_number_that_is_not_in_the_evidence_is_seen() {
        check("The risk is 4.5 %, or 4.5%.", Ok(()));
        check("It touches 50 files, 3 of them twice, on 1,000 rows, (×1.9).", Ok(()));
        check("SHA256 and UTF-8 are names.", Ok(()));
        check("The risk is 97 %.", Err(Fault::UnknownNumber));
        check("The odds are ×2.7.", Err(Fault::UnknownNumber));
        check("The limit is 3 or 4.50 %.", Ok(()));
        check("It is 97percent sure.", Err(Fault::UnknownNumber));
        check("It is ٩٧ percent.", Err(Fault::UnknownName));
    }

    #[test]
    fn ids_in_brackets_are_found() {
        let ids: Vec<&str> = bracketed_ids("a [S1], [P2, D3] and [x] or [S]").collect();
        assert_eq!(ids, ["S1", "P2", "D3"]);
    }
}
