//! Stripe's keys that move real money: secret and restricted, live mode. Publishable and test keys are meant to be seen.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.stripe.live-key",
    title: "Stripe live key",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["sk_live_", "rk_live_"],
    remediation: "Roll the key in the Stripe dashboard and look for its use in the request log; keep the new one in a secret store.",
    references: &["https://docs.stripe.com/keys", "https://docs.stripe.com/keys-best-practices"],
    aliases: &[],
    check: Check::Line(check),
};

static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b[sr]k_live_([A-Za-z0-9]{16,247})\b").expect("the pattern is tested"));

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in KEY.captures_iter(line.text) {
        let (Some(all), Some(random)) = (captures.get(0), captures.get(1)) else { continue };
        if entropy(random.as_str()) >= 3.0 && !is_placeholder(random.as_str()) {
            hits.push(Hit::secret(all.range(), "a Stripe key of the live mode is written into the code"));
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_live_key_is_found() {
        let random = "q7ZpW2mW9xKd4LrT8vBnC3sY";
        sample::finds(
            &RULE,
            "app/pay.rb",
            &[
                (&format!("Stripe.api_key = '{}_live_{random}'", "sk"), Severity::Critical),
                (&format!("STRIPE={}_live_{}", "rk", random.repeat(4)), Severity::Critical),
            ],
        );
    }

    #[test]
    fn test_keys_publishable_keys_and_placeholders_are_not() {
        let random = "q7ZpW2mW9xKd4LrT8vBnC3sY";
        sample::finds_nothing(
            &RULE,
            "app/pay.rb",
            &[
                &format!("sk_test_{random}"),
                &format!("pk_live_{random}"),
                "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx",
                "sk_live_...",
                "sk_live_YOUR_KEY",
                &format!("{}_live_{}", "sk", "a".repeat(24)),
            ],
        );
    }
}
