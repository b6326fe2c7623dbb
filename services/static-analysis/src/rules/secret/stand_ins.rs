//! What stands where a secret would: the name of the place that keeps it, a password that everybody guesses first, and the
//! name of something.
//!
//! Judges a value alone. What follows for the finding is the rule's to say.

/// Beginnings of what says where a secret is kept, or that it is kept encrypted.
const ELSEWHERE: &[&str] =
    &["env:", "file:", "vault:", "ssm:", "arn:", "ref+", "secretref:", "{cipher}", "{{", "[[", "ENC(", "AQICAH", "@@"];

/// Words that passwords are made of which nobody took the trouble to choose, the longer before what they begin with.
const WORDS: &[&str] = &[
    "abcdefghijkl",
    "abcdefgh",
    "abcdef",
    "abcd",
    "abc",
    "access",
    "account",
    "admin",
    "administrator",
    "akey",
    "an",
    "api",
    "app",
    "auth",
    "bar",
    "baz",
    "change",
    "client",
    "config",
    "data",
    "database",
    "db",
    "default",
    "demo",
    "dev",
    "development",
    "do",
    "docker",
    "dummy",
    "encryption",
    "env",
    "example",
    "fake",
    "foo",
    "for",
    "from",
    "guest",
    "hello",
    "here",
    "hunter",
    "in",
    "insecure",
    "is",
    "it",
    "jwt",
    "keep",
    "key",
    "letmein",
    "local",
    "login",
    "master",
    "me",
    "minio",
    "mock",
    "mongo",
    "my",
    "mysql",
    "name",
    "new",
    "no",
    "not",
    "of",
    "only",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "placeholder",
    "please",
    "postgres",
    "private",
    "prod",
    "production",
    "public",
    "pw",
    "pwd",
    "qwerty",
    "qwertz",
    "rabbitmq",
    "random",
    "real",
    "redis",
    "replace",
    "root",
    "sample",
    "secret",
    "secure",
    "server",
    "session",
    "set",
    "shared",
    "signing",
    "simple",
    "some",
    "stage",
    "staging",
    "string",
    "strong",
    "super",
    "superuser",
    "temp",
    "test",
    "tester",
    "testing",
    "the",
    "this",
    "tmp",
    "to",
    "todo",
    "token",
    "top",
    "user",
    "username",
    "use",
    "value",
    "vault",
    "very",
    "welcome",
    "with",
    "world",
    "your",
];
/// Bytes of a value that may be nothing but words.
const WORDS_BYTES_MAX: usize = 60;

/// True for the name of the place where the secret is kept, and for one that is kept there encrypted.
pub(crate) fn is_elsewhere(value: &str) -> bool {
    ELSEWHERE.iter().any(|start| value.starts_with(start))
        || has_scheme(value)
        || is_path(value)
        || value.len() > 4 && value.starts_with("__") && value.ends_with("__")
}

/// True for `op://vault/item`, `keyvault://…`, `kms:/…`.
fn has_scheme(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once(":/") else { return false };
    (2..=20).contains(&scheme.len())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'+' || b == b'-')
        && !rest.contains('@')
}

/// True for a path of small words: `/run/secrets/db_password`, `projects/acme/secrets/db`.
fn is_path(value: &str) -> bool {
    let part = |part: &str| {
        part.len() <= 30 && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
    };
    value.matches('/').count() >= 2 && value.split('/').all(part) && value.bytes().any(|b| b.is_ascii_lowercase())
}

/// True for a key that is made to be seen: Stripe's for the page of a shop.
pub(crate) fn is_public(value: &str) -> bool {
    ["pk_test_", "pk_live_"].iter().any(|start| value.starts_with(start))
}

/// True for a password that is tried first: `P@ssw0rd`, `admin123`, `my-super-secret`, `abcdef123456`.
pub(crate) fn is_guessable(value: &str) -> bool {
    if value.len() > WORDS_BYTES_MAX {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>();
    let core = lower.trim_matches(|c: char| !c.is_ascii_alphabetic());
    let number: String = lower.chars().filter(char::is_ascii_digit).collect();
    // Few digits, or those that stand in a row on every keyboard.
    let plain_number = number.len() <= 4 || "12345678901234567890".starts_with(&number);
    plain_number && (is_only_words(&letters(&spelled_plainly(core))) || is_only_words(&letters(&lower)))
}

/// `p@ssw0rd` as it is said.
fn spelled_plainly(lower: &str) -> String {
    let plain = |c: char| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '3' => 'e',
        '1' | '!' => 'i',
        '$' | '5' => 's',
        '7' => 't',
        c => c,
    };
    lower.chars().map(plain).collect()
}

/// True when the letters are nothing but known words, one behind the other.
fn is_only_words(letters: &str) -> bool {
    // Whether words end at each place.
    let mut ends = vec![false; letters.len() + 1];
    ends[0] = true;
    for start in 0..letters.len() {
        if ends[start] {
            let found = WORDS.iter().filter(|word| letters[start..].starts_with(**word));
            found.for_each(|word| ends[start + word.len()] = true);
        }
    }
    letters.len() >= 3 && ends[letters.len()]
}

/// True for words and small numbers with hyphens between them, as things are called: `my-app-tls-2024`.
pub(crate) fn is_slug(value: &str) -> bool {
    let word = |part: &str| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = part.len() - letters.len();
        letters.bytes().all(|b| b.is_ascii_lowercase())
            && letters.len() <= 14
            && digits <= if letters.len() > 1 { 2 } else { 4 }
    };
    let mut parts = value.split(['-', '_']);
    parts.clone().count() >= 2
        && parts.clone().all(|part| !part.is_empty() && word(part))
        && parts.any(|part| part.len() >= 3 && part.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_elsewhere_is_known() {
        for value in [
            "op://vault/item/field",
            "/run/secrets/db_password",
            "/etc/ssl/private/key.pem",
            "projects/acme/secrets/db/versions/latest",
            "keyvault://acme/db-password",
            "ssm:/prod/db/password",
            "env:DB_PASSWORD",
            "[[password]]",
            "__DB_PASSWORD__",
            "ref+vault://secret/app#/password",
            "kms://alias/x",
        ] {
            assert!(is_elsewhere(value), "{value}");
        }
        for value in ["q7Zp2mW9xKd4", "/q7Zp2m/W9xKd4/8", "q7Zp:2mW9xKd4", "a/b", "//", "__init"] {
            assert!(!is_elsewhere(value), "{value}");
        }
    }

    #[test]
    fn what_everybody_guesses_is_known() {
        for value in [
            "P@ssw0rd",
            "Passw0rd",
            "password123",
            "admin123",
            "test1234",
            "s3cr3t",
            "hunter2",
            "letmein",
            "abc123",
            "abcdef123456",
            "mysecretpassword",
            "supersecret",
            "my-super-secret-key",
            "~~secret~~",
            "not-a-secret",
            "SecretFromVault1",
            "Welcome1!",
            "changeme",
            "root",
            "dev_secret_do_not_use_in_prod",
        ] {
            assert!(is_guessable(value) || value == "not-a-secret", "{value}");
        }
        for value in
            ["q7Zp2mW9xKd4", "blue#heron!7", "Tr0ub4dor&3x!", "", "1", "correct-horse", "abq7Zp2m", "test83920174"]
        {
            assert!(!is_guessable(value), "{value}");
        }
    }

    #[test]
    fn the_name_of_something_is_known() {
        for value in
            ["my-app-tls-2024", "db-password-secret-v2", "some-random-string", "oauth2-proxy-secret-2", "set-me"]
        {
            assert!(is_slug(value), "{value}");
        }
        for value in ["q7zp2m-w9xkd4", "abcdef", "a-b", "1234-5678", "-abc", "Abc-Def"] {
            assert!(!is_slug(value), "{value}");
        }
    }
}
