//! What a row finds and lets stand: its own `allow`, and the allow-lists of gitleaks' files with all that they can say.

use serde::Deserialize;

use super::Lazy;

/// gitleaks' allow-lists, in their singular and their plural form.
#[derive(Default, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(List),
    Many(Vec<List>),
    #[default]
    None,
}

impl OneOrMany {
    pub(super) fn into_lists(self) -> Vec<List> {
        match self {
            Self::One(list) => vec![list],
            Self::Many(lists) => lists,
            Self::None => Vec::new(),
        }
    }
}

/// One allow-list as it is written.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    /// A diff has no commits: what is allowed for one is not allowed here.
    #[serde(default)]
    commits: Vec<String>,
    #[serde(default)]
    regex_target: Target,
    #[serde(default)]
    condition: Condition,
    /// Of a list for a whole file: the rules that it is for; all of them when there are none.
    #[serde(default)]
    pub(super) target_rules: Vec<String>,
}

impl List {
    /// Values that these expressions match.
    pub(super) fn values(regexes: Vec<String>) -> Self {
        Self { regexes, ..Self::default() }
    }
}

/// What the expressions of a list are held against.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    #[serde(alias = "")]
    Secret,
    Match,
    Line,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Condition {
    #[default]
    #[serde(rename = "OR", alias = "or", alias = "||", alias = "")]
    Any,
    #[serde(rename = "AND", alias = "and", alias = "&&")]
    All,
}

/// An allow-list, ready to be asked.
#[derive(Debug)]
pub(super) struct Allowed {
    regexes: Vec<Lazy>,
    /// In small letters.
    words: Vec<String>,
    paths: Vec<Lazy>,
    target: Target,
    condition: Condition,
    by_commit: bool,
}

/// What was found, and where.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) secret: &'a str,
    pub(super) found: &'a str,
    pub(super) line: &'a str,
    pub(super) path: &'a str,
}

impl Allowed {
    /// A list whose expressions become `lazy` ones.
    pub(super) fn new(list: List, lazy: fn(String) -> Lazy) -> Self {
        let lazy = |texts: Vec<String>| texts.into_iter().map(lazy).collect();
        Self {
            regexes: lazy(list.regexes),
            words: list.stopwords.iter().map(|word| word.to_lowercase()).collect(),
            paths: lazy(list.paths),
            target: list.regex_target,
            condition: list.condition,
            by_commit: !list.commits.is_empty(),
        }
    }

    /// # Errors
    /// Which expression is wrong, and what the compiler says.
    pub(super) fn check(&self) -> Result<(), String> {
        self.regexes.iter().chain(&self.paths).try_for_each(Lazy::check)
    }

    pub(super) fn allows(&self, place: Place<'_>) -> bool {
        let target = match self.target {
            Target::Secret => place.secret,
            Target::Match => place.found,
            Target::Line => place.line,
        };
        let matches = |regexes: &[Lazy], text: &str| regexes.iter().any(|regex| regex.is_match(text));
        let has_word = || {
            let lower = place.secret.to_lowercase();
            self.words.iter().any(|word| lower.contains(word))
        };
        let by_regex = (!self.regexes.is_empty()).then(|| matches(&self.regexes, target));
        let by_word = (!self.words.is_empty()).then(has_word);
        let by_path = (!self.paths.is_empty()).then(|| matches(&self.paths, place.path));
        let mut answers = [by_regex, by_word, by_path].into_iter().flatten();
        match self.condition {
            Condition::Any => answers.any(|answer| answer),
            Condition::All => {
                let says_nothing = self.regexes.is_empty() && self.words.is_empty() && self.paths.is_empty();
                !(self.by_commit || says_nothing) && answers.all(|answer| answer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: bool) {
        let allowed = Allowed::new(toml::from_str(list).unwrap(), Lazy::own);
        allowed.check().unwrap();
        let place = Place { secret: "abcTest", found: "key=abcTest", line: "my key=abcTest;", path: "src/a.py" };
        assert_eq!(allowed.allows(place), expected, "{list}");
    }

    #[test]
    fn a_list_says_what_it_is_held_against() {
        check("regexes = ['^abc']", true);
        check("regexes = ['^key']", false);
        check("regexes = ['^key']\nregexTarget = 'match'", true);
        check("regexes = ['^my']\nregexTarget = 'line'", true);
        check("stopwords = ['TEST']", true);
        check("paths = ['\\.py$']", true);
        check("commits = ['abc']", false);
        check("", false);
    }

    #[test]
    fn a_list_asks_for_one_or_for_all() {
        check("regexes = ['^abc']\npaths = ['\\.go$']", true);
        check("regexes = ['^abc']\npaths = ['\\.go$']\ncondition = 'AND'", false);
        check("regexes = ['^abc']\npaths = ['\\.py$']\ncondition = 'AND'", true);
        check("regexes = ['^abc']\ncommits = ['abc']\ncondition = 'AND'", false);
        check("condition = 'AND'", false);
    }
}
