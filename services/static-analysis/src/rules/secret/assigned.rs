//! The ways in which a name gets a value: `name = "…"`, `<name>…</name>`, `getenv("NAME", "…")`, `name: NAME` above `value: …`.
//!
//! Knows what names of secrets are called, and nothing about values.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::rules::AddedLine;

/// A name and its value, where they stand in the line.
pub(super) struct Assigned {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    /// Whether the value stands between quotes or tags, so that it is no expression.
    pub(super) quoted: bool,
}

/// What a value without quotes is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// An expression.
    No,
    /// A value where nothing but the sign is between it and its name, as shells have it.
    Joined,
    /// A value.
    Yes,
}

impl Plain {
    fn allows(self, between: &str) -> bool {
        match self {
            Self::No => false,
            Self::Joined => matches!(between, "=" | ":-" | ":="),
            Self::Yes => true,
        }
    }
}

/// What is in a name that says that its value is secret, or may be.
const TELLING: &str = r"(?:secret|token|passw(?:or)?d|pass|pwd|api[_.-]?key|access[_.-]?key|auth[_-]?key|credential|redis[_.-]?auth|(?:encrypt(?:ion)?|signing|sign|master|app|private|fernet|jwt|hmac|webhook|license|write)[_.-]?keys?)";

/// `NAME` in a pattern is a name that holds [`TELLING`].
fn compiled(pattern: &str) -> Regex {
    let name = format!("[0-9a-z_.-]*{TELLING}[0-9a-z_.-]*");
    Regex::new(&format!("(?i){}", pattern.replace("NAME", &name))).expect("the pattern is tested")
}

static TOLD: LazyLock<Regex> = LazyLock::new(|| compiled(TELLING));

/// With the type of the name, as in `let token: &str = "…"`, and what says how a string is read. Begins where the name begins.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"\A(NAME)\\?["'`\]]{0,2}(?:\[[0-9]{0,4}\])?(?:\s?:\s?[&'a-z][a-z0-9_<>&' ]{1,24}?|\s(?:as\s)?string)?\s{0,5}(?:=>|:=|\?=|<-|=|:)\s{0,5}@?(?:[bru]?"([^"\s]+)"|[bru]?'([^'\s]+)'|`([^`\s]+)`|\\"([^"\s\\]+)\\"|([^\s"'`,;(){}\[\]]+)(?:[\s,;]|$))"#,
    )
});
/// Name and value between the same quotes: `-e "TOKEN=…"`.
static ENTRY: LazyLock<Regex> = LazyLock::new(|| compiled(r#"["'](NAME)=([^"'\s$&]+)["']"#));
/// `#define TOKEN "…"`, `ENV TOKEN …`, `setx TOKEN …`.
static DEFINITION: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"^\s*(?:#\s?define\s{1,4}(NAME)\s{1,20}"([^"\s]+)"|(?:env|arg|setx|setenv)\s{1,4}(NAME)\s{1,9}["']?([^"'\s=]+={0,2})["']?(?:\s|$))"#,
    )
});
/// The name and what it is when there is none: `getenv("TOKEN", "…")`, `define('TOKEN', '…')`.
static ARGUMENTS: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"[0-9a-z_]\s?\(\s?["'](NAME)["']\s?,\s{0,9}["']([^"'\s]+)["']"#));
/// `process.env.TOKEN || "…"`, `${TOKEN:-…}`.
static FALLBACK: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r#"(NAME)(?:["'\]) !]{0,4}(?:\|\||\?\?|\?:|\bor\b)\s{0,4}["']([^"'\s]+)["']|:[-=]([^\s"'${}]+)\})"#)
});
/// `<token>…</token>`, `<string name="token">…<`.
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"<(?:(?:[a-z]{1,10}:)?(NAME)|[a-z]{1,12} (?:name|key)="(NAME)")(?:\s[^<>]{0,80})?>\s{0,4}(?:<value>)?([^<>\s]+)\s{0,4}</|<(?:name|key)>(NAME)</(?:name|key)>\s{0,4}<(?:value|string)>([^<>\s]+)</"#,
    )
});
/// `<add key="Token" value="…"/>`, `{"name": "TOKEN", "value": "…"}`.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"\b(?:name|key|id|property)["']?\s{0,2}[=:]\s{0,2}["']?(NAME)["']?\s{0,2},?\s{0,4}["']?\b(?:value|val|default)["']?\s{0,2}[=:]\s{0,2}["']([^"'\s]+)["']"#,
    )
});
/// A line that is nothing but such a name, and the one below it that is nothing but the value.
static NAME_ALONE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"^\s*(?:-\s|\{\s?)?["']?(?:name|key)["']?\s?[=:]\s?["']?(NAME)["']?\s?,?\s*$|^\s*<(?:key|name)>(NAME)</(?:key|name)>\s*$|^\s*variable\s"(NAME)"\s?\{\s*$"#,
    )
});
static VALUE_ALONE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"^\s*(?:["']?(?:value|default)["']?\s?[=:]\s?(?:"([^"\s]+)"|'([^'\s]+)'|([^\s"'{}]+))\s?\}?,?|<(?:string|value)>([^<>\s]+)</(?:string|value)>)\s*$"#,
    )
});

/// The names on a line that have a value there. `plain` is asked only where there are names.
pub(super) fn on_line(text: &str, plain: impl FnOnce() -> Plain) -> Vec<Assigned> {
    let begin = text.trim_start().as_bytes();
    let defines = begin.starts_with(b"#") || ["env", "arg", "set"].iter().any(|word| begins_with(begin, word));
    let has_tags = text.contains("</");
    let mut names = names(text);
    names.retain(|name| may_get_a_value(&text[name.end..]));
    if names.is_empty() && !defines && !has_tags {
        return Vec::new();
    }
    let plain = plain();
    let mut found = Vec::new();
    if plain != Plain::No || assigns_quoted(text) {
        let mut last = 0;
        for name in &names {
            if name.end <= last {
                continue;
            }
            let start = name.start.max(last);
            for one in all(&ASSIGNMENT, &text[start..], 5) {
                let moved = |range: Range<usize>| range.start + start..range.end + start;
                let one = Assigned { name: moved(one.name), value: moved(one.value), ..one };
                last = one.value.end;
                found.push(one);
            }
        }
    }
    if text.contains('=') && text.contains(['"', '\'']) {
        found.extend(all(&ENTRY, text, 0));
    }
    if defines {
        found.extend(all(&DEFINITION, text, 0));
    }
    if text.contains("\",") || text.contains("',") {
        found.extend(all(&ARGUMENTS, text, 2));
    }
    if ["||", "??", "?:", " or ", ":-", ":="].iter().any(|sign| text.contains(sign)) {
        found.extend(all(&FALLBACK, text, 2));
    }
    if has_tags {
        found.extend(all(&ELEMENT, text, 0));
    }
    if text.contains("val") || text.contains("Val") || text.contains("default") {
        found.extend(all(&PAIR, text, 0));
    }
    found.retain(|one| one.quoted || plain.allows(&text[one.name.end..one.value.start]));
    found
}

/// The names in a text that tell of a secret, each whole.
fn names(text: &str) -> Vec<Range<usize>> {
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let bytes = text.as_bytes();
    let mut names: Vec<Range<usize>> = Vec::new();
    for told in TOLD.find_iter(text) {
        if names.last().is_none_or(|last| last.end <= told.start()) {
            let before = bytes[..told.start()].iter().rev().take_while(is_of_name).count();
            let behind = bytes[told.end()..].iter().take_while(is_of_name).count();
            names.push(told.start() - before..told.end() + behind);
        }
    }
    names
}

/// False when what stands behind a name gives it no value, whatever the language: most names are only spoken of.
fn may_get_a_value(behind: &str) -> bool {
    let rest = behind.trim_start_matches(|c: char| c.is_ascii_digit() || "\"'`\\[]) \t!".contains(c)).as_bytes();
    rest.first().is_some_and(|sign| b"=:?<>|,".contains(sign))
        || ["string", "as string", "or", "val", "default"].iter().any(|word| begins_with(rest, word))
}

fn begins_with(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a quote stands behind a sign that assigns, which is cheaper to see than all that has to be around them.
fn assigns_quoted(text: &str) -> bool {
    text.match_indices(['"', '\'', '`']).any(|(at, _)| {
        // `@"…"`, and the letters that say how a string is read.
        text[..at].trim_end_matches(['@', 'b', 'r', 'u', '\\']).trim_end().ends_with(['=', ':', '>', '-'])
    })
}

/// Each match: its first group is the name, its last the value. From group `plain` on, the value is an expression.
fn all(regex: &Regex, text: &str, plain: usize) -> Vec<Assigned> {
    let assigned = |captures: regex::Captures<'_>| {
        let mut groups =
            captures.iter().enumerate().skip(1).filter_map(|(number, group)| Some((number, group?.range())));
        let (_, name) = groups.next()?;
        let (number, value) = groups.last()?;
        Some(Assigned { name, value, quoted: plain == 0 || number <= plain })
    };
    regex.captures_iter(text).filter_map(assigned).collect()
}

/// The name that is all of this line, and its value, which is all of the line below.
pub(super) fn below<'a>(line: &AddedLine<'a>) -> Option<(Range<usize>, &'a str)> {
    let text = line.text.trim_end();
    if !text.ends_with(['y', 'Y', 'n', 'N', 't', 'T', 's', 'S', 'd', 'D', '"', '\'', ',', '>', '{']) || text.len() > 120
    {
        return None;
    }
    let below =
        line.below().next().filter(|below| ["value", "<string>", "default"].iter().any(|word| below.contains(word)))?;
    let captures = NAME_ALONE.captures(line.text)?;
    let name = captures.iter().skip(1).flatten().next()?.range();
    let value = VALUE_ALONE.captures(below)?.iter().skip(1).flatten().next()?.as_str();
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, bool)]) {
        let found = on_line(text, || Plain::Yes);
        let found: Vec<_> =
            found.iter().map(|one| (&text[one.name.clone()], &text[one.value.clone()], one.quoted)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_name_gets_a_value_in_many_ways() {
        check("token = \"V\"", &[("token", "V", true)]);
        check("\"apiKey\": 'V',", &[("apiKey", "V", true)]);
        check("let token: &str = \"V\";", &[("token", "V", true)]);
        check("apiToken: string = `V`", &[("apiToken", "V", true)]);
        check("#define API_KEY \"V\"", &[("API_KEY", "V", true)]);
        check("const apiKey string = \"V\"", &[("apiKey", "V", true)]);
        check("NSString *apiKey = @\"V\";", &[("apiKey", "V", true)]);
        check("char password[] = \"V\";", &[("password", "V", true)]);
        check("export DB_PASS=V", &[("DB_PASS", "V", false)]);
        check("getenv(\"DB_PASSWORD\", \"V\")", &[("DB_PASSWORD", "V", true)]);
        check("define( 'DB_PASSWORD', 'V' );", &[("DB_PASSWORD", "V", true)]);
        check("process.env.API_KEY || 'V'", &[("process.env.API_KEY", "V", true)]);
        check("${API_KEY:-V}", &[("API_KEY", "V", false)]);
        check("<dbPassword>V</dbPassword>", &[("dbPassword", "V", true)]);
        check("<string name=\"api_key\">V</string>", &[("api_key", "V", true)]);
        check("<add key=\"ApiKey\" value=\"V\" />", &[("ApiKey", "V", true)]);
        check("{\"name\": \"DB_PASSWORD\", \"value\": \"V\"}", &[("DB_PASSWORD", "V", true)]);
        check(r#"{\"apiKey\": \"V\"}"#, &[("apiKey", "V", true)]);
        check("api_token <- \"V\"", &[("api_token", "V", true)]);
        check("-e \"API_KEY=V\" x", &[("API_KEY", "V", true)]);
        check("<property name=\"db.password\">V</property>", &[("db.password", "V", true)]);
        check("<name>db.password</name><value>V</value>", &[("db.password", "V", true)]);
        check("<wsse:Password Type=\"PasswordText\">V</wsse:Password>", &[("Password", "V", true)]);
        check("#define FTS_TOKEN fts_minor", &[]);
        check("('CLIENT_SECRET', 'V'),", &[]);
        check("ENV API_KEY V", &[("API_KEY", "V", true)]);
        check("the tokens are many", &[]);
        check("no name at all = \"V\"", &[]);
    }
}
