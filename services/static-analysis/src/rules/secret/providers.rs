//! The providers whose credentials have a form of their own. A value beside such a name that is not of that form is none of
//! theirs: mistyped, cut off, or made up. Then the net under the particular rules stays silent.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::rules::{Check, Rule};

/// Bytes before an assignment in which a provider's name still is about it.
const REACH_BYTES: usize = 40;
/// Shorter names are parts of too many words.
const NAME_BYTES_MIN: usize = 5;
/// Names that are everyday words, and those of providers who also take what people choose.
const EVERYDAY: &[&str] = &[
    "abstract",
    "accesskey",
    "accesskeysecret",
    "accesstoken",
    "account",
    "accountkey",
    "agora",
    "airship",
    "alchemy",
    "amazon",
    "amplitude",
    "apikey",
    "appkey",
    "application",
    "applicationkey",
    "applicationsecret",
    "appsecret",
    "azure",
    "batch",
    "beamer",
    "bitcoin",
    "bootstrap",
    "bravo",
    "canny",
    "captcha",
    "chatbot",
    "chromatic",
    "cicero",
    "circle",
    "clockwork",
    "close",
    "column",
    "command",
    "commodities",
    "consumer",
    "consumerkey",
    "copper",
    "cosmos",
    "courier",
    "cursor",
    "customer",
    "daily",
    "deputy",
    "documentdb",
    "elastic",
    "enigma",
    "envoy",
    "factory",
    "fbapi",
    "firebase",
    "fixer",
    "front",
    "gemini",
    "guardian",
    "harness",
    "harvest",
    "hashicorp",
    "instagram",
    "ionic",
    "kafka",
    "kanban",
    "lambda",
    "linear",
    "manifest",
    "marketplace",
    "matrix",
    "mercury",
    "moderation",
    "monday",
    "nasa",
    "netcore",
    "oauth",
    "octopus",
    "opaque",
    "oracle",
    "paddle",
    "parsers",
    "password",
    "persona",
    "phrase",
    "pivotal",
    "polar",
    "postgres",
    "prefect",
    "primarykey",
    "private",
    "proof",
    "railway",
    "readme",
    "redhat",
    "redirect",
    "render",
    "resend",
    "revamp",
    "roaring",
    "roleid",
    "search",
    "secret",
    "secretid",
    "segment",
    "shortcut",
    "solar",
    "spark",
    "storage",
    "stream",
    "survey",
    "swell",
    "tally",
    "temporal",
    "token",
    "tomorrow",
    "twist",
    "unify",
    "vault",
    "verifier",
    "webhook",
    "wordpress",
];

/// Beginnings that anybody's key may have.
const COMMON_BEGINNINGS: &[&str] = &["test_", "live_", "prod_", "api_", "key_", "cli_", "web_", "app_"];
/// A shorter beginning is one that anybody's key may have, too.
const BEGINNING_BYTES_MIN: usize = 4;

/// The rows that know a form: beside a name, or by the form alone.
fn rows(named: bool) -> impl Iterator<Item = &'static Rule> {
    super::patterns().iter().copied().filter(move |rule| match rule.check {
        Check::Pattern(pattern) => {
            if named {
                pattern.is_named()
            } else {
                pattern.is_token()
            }
        }
        _ => false,
    })
}

static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let families = rows(false).filter_map(|rule| rule.id.split('.').nth(1));
    let mut names: Vec<_> = rows(true).flat_map(|rule| rule.keywords.iter().copied()).chain(families).collect();
    names.retain(|name| name.len() >= NAME_BYTES_MIN && !EVERYDAY.contains(name) && plain(name));
    AhoCorasick::builder().ascii_case_insensitive(true).build(names).expect("names are few and short")
});

static BEGINNINGS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let keywords = rows(false).flat_map(|rule| rule.keywords.iter().copied());
    let known = |word: &&str| word.len() >= BEGINNING_BYTES_MIN && word.ends_with(['_', '-', '.']);
    keywords.filter(known).filter(|word| !COMMON_BEGINNINGS.contains(word)).collect()
});

/// True when what is assigned at `start` is named, in the name that ends at `end` or shortly before it, after a provider
/// whose form is known.
pub(crate) fn is_named(text: &str, start: usize, end: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(REACH_BYTES));
    NAMES.is_match(&text[from..end])
}

/// True for a value that begins as the tokens of one provider do, and no others.
pub(crate) fn begins_like_a_token(value: &str) -> bool {
    let begins = |word: &&str| {
        value.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    BEGINNINGS.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_the_assignment_or_before_it() {
        for (text, expected) in [
            ("abyssale_api_key", true),
            ("ABYSSALE token", true),
            ("my.datadogApiKey", true),
            ("customer_api_key", false),
            ("some_api_key", false),
            ("ünï_api_key", false),
            ("DATABRICKS_TOKEN", true),
        ] {
            assert_eq!(is_named(text, text.len() - 5, text.len()), expected, "{text}");
        }
        let far = format!("datadog {} api_key", "x".repeat(50));
        assert!(!is_named(&far, far.len() - 7, far.len()));
    }

    #[test]
    fn a_beginning_is_that_of_one_provider() {
        for (value, expected) in
            [("glpat-tooshort", true), ("shpat_0", true), ("test_q7ZpW2m", false), ("q7Zp", false), ("", false)]
        {
            assert_eq!(begins_like_a_token(value), expected, "{value}");
        }
    }
}
