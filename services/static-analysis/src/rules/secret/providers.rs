//! The providers whose credentials have a form of their own. A value beside such a name that is not of that form is none of
//! theirs: mistyped, cut off, or made up. Then the net under the particular rules stays silent.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::rules::Check;

/// Bytes before an assignment in which a provider's name still is about it.
const REACH_BYTES: usize = 40;
/// Shorter names are parts of too many words.
const NAME_BYTES_MIN: usize = 5;
/// Names that are everyday words, and those of providers who also take what people choose.
const EVERYDAY: &[&str] = &[
    "abstract",
    "account",
    "agora",
    "airship",
    "alchemy",
    "amplitude",
    "application",
    "azure",
    "batch",
    "beamer",
    "blogger",
    "bravo",
    "canny",
    "captcha",
    "censys",
    "chatbot",
    "checkout",
    "cicero",
    "circle",
    "clockwork",
    "close",
    "column",
    "commodities",
    "consumer",
    "copper",
    "cosmos",
    "courier",
    "cursor",
    "customer",
    "daily",
    "deputy",
    "docker",
    "elastic",
    "enigma",
    "envoy",
    "figma",
    "fixer",
    "front",
    "gemini",
    "github",
    "gitlab",
    "google",
    "guardian",
    "harvest",
    "intercom",
    "kafka",
    "kanban",
    "linear",
    "manifest",
    "marketplace",
    "moderation",
    "monday",
    "netcore",
    "notion",
    "nvidia",
    "opaque",
    "paradigm",
    "parsers",
    "phrase",
    "pivotal",
    "polygon",
    "private",
    "pusher",
    "railway",
    "raven",
    "redhat",
    "revamp",
    "roaring",
    "saucelabs",
    "search",
    "secret",
    "shortcut",
    "solar",
    "spark",
    "square",
    "stability",
    "storage",
    "stream",
    "streak",
    "stripe",
    "survey",
    "swell",
    "token",
    "tomorrow",
    "twist",
    "unify",
    "verifier",
    "walkscore",
];

static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let rows = super::patterns().iter().filter_map(|rule| match rule.check {
        Check::Pattern(pattern) => Some(pattern.names()),
        _ => None,
    });
    let literal = |name: &&String| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let mut names: Vec<_> = rows.flatten().filter(literal).map(String::as_str).collect();
    names.retain(|name| name.len() >= NAME_BYTES_MIN && !EVERYDAY.contains(name));
    AhoCorasick::builder().ascii_case_insensitive(true).build(names).expect("names are few and short")
});

/// True when what is assigned at `start` is named, in the name that ends at `end` or shortly before it, after a provider
/// whose form is known.
pub(crate) fn is_named(text: &str, start: usize, end: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(REACH_BYTES));
    NAMES.is_match(&text[from..end])
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
        ] {
            assert_eq!(is_named(text, text.len() - 5, text.len()), expected, "{text}");
        }
        let far = format!("datadog {} api_key", "x".repeat(50));
        assert!(!is_named(&far, far.len() - 7, far.len()));
    }
}
