//! Credentials in the code, and how to tell a real one from what stands in for one.

mod assigned;
pub mod aws_access_key_id;
pub mod aws_secret_access_key;
mod base64;
pub(crate) mod checksum;
#[cfg(test)]
mod commands;
pub mod connection_string_password;
pub mod generic_assignment;
pub mod github_token;
pub mod jwt_token;
pub mod kubernetes_secret;
#[cfg(test)]
mod negatives;
pub mod npm_token;
pub mod private_key_pem;
mod providers;
pub mod slack_token;
pub(crate) mod stand_ins;
pub mod stripe_live_key;
pub mod url_password;

use std::sync::LazyLock;

use super::{AddedLine, Rule, pattern};

/// The rules that know one provider's form.
pub(crate) static PARTICULAR: &[&Rule] = &[
    &aws_access_key_id::RULE,
    &aws_secret_access_key::RULE,
    &github_token::RULE,
    &npm_token::RULE,
    &slack_token::RULE,
    &stripe_live_key::RULE,
    &private_key_pem::RULE,
    &jwt_token::RULE,
];

/// The rules that know a secret by the place it stands in.
pub(crate) static GENERAL: &[&Rule] =
    &[&url_password::RULE, &connection_string_password::RULE, &generic_assignment::RULE, &kubernetes_secret::RULE];

/// The files of rows that come with FailSafe, a family each.
const PATTERNS: &[(&str, &str)] = &[
    ("ai.toml", include_str!("patterns/ai.toml")),
    ("cloud.toml", include_str!("patterns/cloud.toml")),
    ("commands.toml", include_str!("patterns/commands.toml")),
    ("data.toml", include_str!("patterns/data.toml")),
    ("forms.toml", include_str!("patterns/forms.toml")),
    ("identity.toml", include_str!("patterns/identity.toml")),
    ("messaging.toml", include_str!("patterns/messaging.toml")),
    ("observability.toml", include_str!("patterns/observability.toml")),
    ("payment.toml", include_str!("patterns/payment.toml")),
    ("places.toml", include_str!("patterns/places.toml")),
    ("prefixes.toml", include_str!("patterns/prefixes.toml")),
    ("source-control.toml", include_str!("patterns/source-control.toml")),
    ("services-a-f.toml", include_str!("patterns/services-a-f.toml")),
    ("services-g-o.toml", include_str!("patterns/services-g-o.toml")),
    ("services-p-z.toml", include_str!("patterns/services-p-z.toml")),
];

/// The rules of those files: first the forms that are proof in themselves, then those that need a name beside them.
pub(crate) fn patterns() -> &'static [&'static Rule] {
    static RULES: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        let read = |(name, text): &(&str, &str)| match pattern::parse(text) {
            Ok(loaded) => loaded,
            Err(error) => unreachable!("the files are tested: {name}: {error}"),
        };
        let mut rules: Vec<_> = PATTERNS.iter().flat_map(read).map(|loaded| loaded.rule).collect();
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.confidence), rule.id));
        rules
    });
    &RULES
}

/// Longest value on a line of its own.
const VALUE_BELOW_BYTES_MAX: usize = 600;

/// The value on the line below, where this line ends with what comes before a value, and that line is nothing else.
pub(crate) fn value_below<'a>(line: &AddedLine<'a>) -> Option<&'a str> {
    line.text.trim_end().ends_with(['>', '=', ':', '(', ',']).then_some(())?;
    let below = line.below().next()?.trim().trim_end_matches([',', ';', ')']).trim_matches(['"', '\'', '`']);
    (8..=VALUE_BELOW_BYTES_MAX).contains(&below.len()).then_some(())?;
    (!below.contains(char::is_whitespace) && !below.contains(['<', '>', '(', '='])).then_some(below)
}

/// What to do about any credential that has been in a repository.
pub(crate) const ROTATE: &str = "Revoke it at its provider and issue a new one: it stays in the history. Keep the new one in a secret store or the environment.";

/// Words that people write where a secret would stand. None is likely in a random one.
const STAND_INS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "replaceme",
    "replace_me",
    "replace-me",
    "your_",
    "your-",
    "yourpass",
    "yoursecret",
    "yourtoken",
    "yourkey",
    "dummy",
    "redacted",
    "xxxx",
    "notreal",
    "not-a-real",
    "not_a_real",
    "lorem",
    "foobar",
    "insert_",
    "insert-",
    "todo",
    "****",
    "....",
    "----",
    "____",
    "abcdefgh",
    "12345678",
    "01234567",
    "qwertyui",
    "deadbeef",
    "fakefake",
    "fake_",
    "fake-",
    "<",
    ">",
];

/// True for what stands in for a secret: an obvious placeholder, one character over and over, or a reference to where the
/// secret really is.
pub(crate) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    STAND_INS.iter().any(|word| lower.contains(word))
        || is_monotonous(&lower)
        || is_reference(value)
        || stand_ins::is_elsewhere(value)
}

/// True for what stands in for a credential whose form is proof: fewer words than [`is_placeholder`] knows, because the
/// form is right and the rest is random.
pub(crate) fn is_stand_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "example",
        "xxxx",
        "placeholder",
        "changeme",
        "your_",
        "your-",
        "yourtoken",
        "redacted",
        "dummy",
        "****",
        "....",
    ];
    WORDS.iter().any(|word| lower.contains(word)) || is_monotonous(&lower)
}

/// True when the name says that its value is a sum, or the name of something that is public.
pub(crate) fn is_named_otherwise(lower: &str) -> bool {
    const WORDS: &[&str] = &[
        "sha1",
        "sha256",
        "sha512",
        "sha-",
        "md5",
        "digest",
        "checksum",
        "integrity",
        "commit",
        "revision",
        "hash",
        "etag",
        "public_key",
        "publickey",
        "fingerprint",
        "example",
    ];
    WORDS.iter().any(|word| lower.contains(word))
}

/// True for a value that is neither words nor a number: what a generator makes.
pub(crate) fn is_random(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let words = value.split(['-', '_', '.', '/', ':']);
    let plain =
        |word: &str| word.bytes().all(|b| b.is_ascii_lowercase()) || word.bytes().all(|b| b.is_ascii_uppercase());
    let mixed =
        || value.len() >= 20 && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && entropy(value) >= 4.0;
    (has(u8::is_ascii_digit) || mixed()) && !(words.clone().count() > 2 && words.clone().all(plain))
}

/// True when the value is fetched from elsewhere: `${VAR}`, `$VAR`, `$(…)`, `{{ … }}`, `%(…)s`, `%VAR%`, `#{…}`.
pub(crate) fn is_reference(value: &str) -> bool {
    ["${", "$(", "{{", "}}", "%(", "#{", "<%"].iter().any(|sign| value.contains(sign))
        || value.starts_with(['$', '@', '&', '!'])
        || (value.len() > 2 && value.starts_with('%') && value.ends_with('%'))
        || (value.starts_with('{') && value.ends_with('}'))
}

/// True when few different characters make up the value.
fn is_monotonous(value: &str) -> bool {
    let mut seen = [false; 256];
    for byte in value.bytes() {
        seen[usize::from(byte)] = true;
    }
    let different = seen.iter().filter(|seen| **seen).count();
    different <= 2 || (value.len() >= 16 && different <= 5)
}

/// Shannon's entropy of the value's bytes, in bits for each.
pub(crate) fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a line is shorter than 2^52 bytes")]
    let length = value.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// True when the value has capital letters, small letters and digits.
pub(crate) fn is_mixed(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_a_secret_is_known() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "xxxxxxxxxxxx",
            "<your-key>",
            "${DB_PASSWORD}",
            "$(cat key)",
            "changeme",
            "aaaaaaaaaaaa",
            "{{ vault.key }}",
            "YOUR_API_KEY",
            "1234567890",
            "%(password)s",
            "********",
            "@Microsoft.KeyVault(x)",
            "aabbaabb",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["q7Zp2mW9xKd4", "hunter2hunter3", "S3cure!Pa55", "wJalrXUtnFEMIbPxRfiCY"] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn entropy_is_in_bits_for_each_character() {
        assert!(entropy("aaaa").abs() < 1e-9);
        assert!((entropy("abcd") - 2.0).abs() < 1e-9);
        assert!(entropy("") == 0.0);
    }
}
