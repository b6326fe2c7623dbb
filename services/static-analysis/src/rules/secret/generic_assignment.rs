//! A value that looks random, assigned to a name that says secret. The net under the rules that know a provider's form.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::assigned::{self, Plain};
use super::{ROTATE, entropy, is_mixed, is_placeholder, is_reference, providers, stand_ins};
use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.generic.assignment",
    title: "Secret in an assignment",
    severity: Severity::Medium,
    confidence: Confidence::Low,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &[
        "secret",
        "token",
        "pass",
        "pwd",
        "api_key",
        "apikey",
        "api-key",
        "access_key",
        "accesskey",
        "access-key",
        "auth_key",
        "authkey",
        "credential",
        "api.key",
        "access.key",
        "redis_auth",
        "redis.auth",
        "redisauth",
        "redis-auth",
        "encryption_key",
        "encryptionkey",
        "encryption-key",
        "encryption.key",
        "encrypt_key",
        "encryptkey",
        "signing_key",
        "signingkey",
        "signing-key",
        "signing.key",
        "master_key",
        "masterkey",
        "master-key",
        "master.key",
        "app_key",
        "appkey",
        "app-key",
        "app.key",
        "private_key",
        "privatekey",
        "private-key",
        "private.key",
        "fernet_key",
        "fernetkey",
        "fernet.key",
        "fernet-key",
        "jwt_key",
        "jwtkey",
        "hmac_key",
        "hmackey",
        "hmac.key",
        "hmac-key",
        "webhook_key",
        "license_key",
        "licensekey",
        "license.key",
        "write_key",
        "writekey",
    ],
    remediation: ROTATE,
    references: &[
        "https://cwe.mitre.org/data/definitions/798.html",
        "https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html",
    ],
    aliases: &[],
    check: Check::Line(check),
};

/// Names of what people choose.
static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)passw|pwd|passphrase|secret$").expect("the pattern is tested"));
/// Names of what people choose, and so of what may hold any sign.
static CHOSEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)passw|pwd|passphrase|(?:^|[_.-]|db|user|my|smtp|mail|admin|root|ssh|ftp|sql|pg|auth|key|store)pass[0-9]?$")
        .expect("the pattern is tested")
});
/// Names of what a generator makes.
static GENERATED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)secret|token|api[_.-]?key|access[_.-]?key|auth[_-]?key|credential|redis[_.-]?auth")
        .expect("the pattern is tested")
});
/// Names that end in these hold something about a secret, not the secret; and those that hold a place in a list.
static ABOUT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) (?: name | id | ids | file | path | url | uri | endpoint | type | kind | length | len | count | size | regex | pattern
        | prefix | suffix | header | field | label | hint | ttl | expiry | expires | expiration | lifetime | ref | arn | version | format
        | hash | digest | checksum | sha | sha1 | sha224 | sha256 | sha384 | sha512 | md5 | policy | provider | store | manager | class
        | input | param | key_name | public | salt_rounds | address | addr | mint
        | days | hours | minutes | seconds | timeout | enabled | disabled | required | rounds | limit | budget | index | offset | pos | usage | tokenizer | tokens ) $
        | public | csrf | tokeni[sz] | max_?token | num_?token | encrypted
        | (?: next | prev(?:ious)? | page | paging | pagination | continuation | sync | cursor | resume | scroll ) [_-]? token",
    )
    .expect("the pattern is tested")
});
/// The address of a contract, whose "token" is a coin.
static CONTRACT: LazyLock<Regex> = LazyLock::new(|| Regex::new("^0x[0-9a-fA-F]{40}$").expect("the pattern is tested"));
/// Bits for each character below which a value is rather a word.
const ENTROPY_MIN: f64 = 3.0;
/// Bytes of a value: a shorter one says little, a longer one is data.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=300;
/// Bytes from which on a value that has a provider's name is one of that provider's, though of no form that is known.
const UNKNOWN_FORM_BYTES_MIN: usize = 16;
/// Bytes of a key that Django makes, of whatever signs.
const DJANGO_BYTES: std::ops::RangeInclusive<usize> = 40..=80;

/// What the values of a name are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// What a person chose.
    Chosen,
    /// What a generator made.
    Generated,
    /// A key to encrypt or sign with: what is called so is often something else, so the value has to be of that form.
    Key,
}

impl Named {
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_matches(['_', '.', '-']);
        if ABOUT.is_match(name) {
            None
        } else if CHOSEN.is_match(name) || name.ends_with("Pass") {
            Some(Self::Chosen)
        } else if GENERATED.is_match(name) {
            Some(Self::Generated)
        } else {
            // `bypass` and `compass` hold the word, too.
            (name.to_ascii_lowercase().trim_end_matches('s').ends_with("key")).then_some(Self::Key)
        }
    }
}

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for one in assigned::on_line(line.text, || plain_values(line.path())) {
        let Some(named) = Named::of(&line.text[one.name.clone()]) else { continue };
        let seen = hits.iter().any(|hit| hit.range == one.value);
        if seen || !is_its_own(line.text, named, &one) {
            continue;
        }
        if let Some(severity) = judged(line, named, &one) {
            hits.push(Hit::secret(one.value, "what is assigned here looks like a secret").severity(severity));
        }
    }
    hits.extend(assigned::below(line).and_then(|(name, value)| {
        let named = Named::of(&line.text[name.clone()])?;
        let its_own = named == Named::Chosen || is_unknown_form(value) && !providers::begins_like_a_token(value);
        let severity = its_own.then(|| worth(line.path(), named, value)).flatten()?;
        Some(Hit::at(name, "what is on the line below looks like a secret").severity(severity))
    }));
    hits
}

/// False for what is none of the provider's whose name or beginning it has, as far as the rows for that provider know.
fn is_its_own(text: &str, named: Named, one: &assigned::Assigned) -> bool {
    let (name, value) = (&text[one.name.clone()], &text[one.value.clone()]);
    if named == Named::Chosen {
        return true;
    }
    // Providers have other secrets than those that the rows know, and their names stand in places where no row looks.
    let other = || {
        let apart = text[one.name.end..one.value.start].to_ascii_lowercase().contains("value");
        let secret = name.to_ascii_lowercase().contains("secret") || named == Named::Key;
        (secret || apart) && is_unknown_form(value)
    };
    !providers::begins_like_a_token(value) && (!providers::is_named(text, one.name.start, one.name.end) || other())
}

/// True for what a generator makes, whatever for.
fn is_unknown_form(value: &str) -> bool {
    value.len() >= UNKNOWN_FORM_BYTES_MIN
        && entropy(value) >= ENTROPY_MIN
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+/=-".contains(&b))
}

/// How bad a value is on its line, if it is a secret.
fn judged(line: &AddedLine<'_>, named: Named, one: &assigned::Assigned) -> Option<Severity> {
    let (name, value) = (&line.text[one.name.clone()], &line.text[one.value.clone()]);
    let lower = name.to_ascii_lowercase();
    if CONTRACT.is_match(value) && lower.contains("token") || stand_ins::is_public(value) {
        return None;
    }
    let of_django = one.quoted && lower.ends_with("secret_key") && DJANGO_BYTES.contains(&value.len());
    if of_django && entropy(value) >= 4.0 && !is_placeholder(value) && !value.contains("://") {
        // What `django-admin startproject` writes says itself that it is not to be used.
        let for_now = value.starts_with("django-insecure-");
        return worth_at_most(line.path(), if for_now { Severity::Low } else { Severity::Medium });
    }
    let letters = |text: &str| text.to_ascii_lowercase().replace(['_', '.', '-'], "");
    // `('CLIENT_SECRET2', 'clientSecret2')`
    if letters(name).ends_with(&letters(value)) || letters(value).ends_with(&letters(name)) {
        return None;
    }
    if is_uuid(value) && letters(name).ends_with("clientsecret") {
        return worth_at_most(line.path(), Severity::Medium);
    }
    worth(line.path(), named, value).or_else(|| {
        let between = &line.text[one.name.end..one.value.start];
        let assigned = if one.quoted { between.contains(['=', ':', '>']) } else { between == "=" };
        let password = PASSWORD.is_match(name) || named == Named::Chosen;
        (assigned && password && looks_like_password(value)).then_some(Severity::Low)
    })
}

/// How bad a value is, if it looks like a secret.
fn worth(path: &str, named: Named, value: &str) -> Option<Severity> {
    let of_its_kind = match named {
        Named::Chosen => true,
        Named::Generated => value.bytes().all(is_of_tokens),
        Named::Key => is_key(value),
    };
    if !of_its_kind || !looks_secret(value) {
        return None;
    }
    worth_at_most(path, if stand_ins::is_guessable(value) { Severity::Low } else { Severity::Medium })
}

/// What a text shows is mostly made up.
fn worth_at_most(path: &str, severity: Severity) -> Option<Severity> {
    Some(if is_prose(path) { Severity::Low } else { severity })
}

/// True for bytes of a key, written in hexadecimal or base64.
fn is_key(value: &str) -> bool {
    let bytes = value.strip_prefix("base64:").or(value.strip_prefix("0x")).unwrap_or(value);
    let hex = bytes.len() >= 32 && bytes.bytes().all(|b| b.is_ascii_hexdigit());
    hex || bytes.len() >= 20 && bytes.bytes().all(is_of_tokens) && is_mixed(bytes) && entropy(bytes) >= 3.5
}

/// True for the signs that tokens and keys are made of: they travel in headers and addresses.
fn is_of_tokens(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.~+/=:".contains(&byte)
}

/// True for what a person would choose: letters, and a digit or a sign among them.
fn looks_like_password(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let sign = |byte: &u8| b"!@#$%^&*?~".contains(byte);
    let known = value.to_ascii_lowercase();
    (6..=60).contains(&value.len())
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) && !value.contains(['_', '-']) || value.bytes().any(|byte| sign(&byte)))
        && entropy(value) >= 2.5
        && !["passw", "secret", "test", "token", "pass"].iter().any(|word| known.starts_with(word))
        && !is_placeholder(value)
        && !value.contains(['(', ')', '[', ']', '|', '\\', '{', '<', '/', ':', '.', ','])
}

fn looks_secret(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    LENGTH.contains(&value.len())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && entropy(value) >= ENTROPY_MIN
        && !is_placeholder(value)
        && !is_reference(value)
        && !looks_like_code(value)
}

/// True for a path, an address, an expression, a sentence of words, or a lowercase name with a number.
fn looks_like_code(value: &str) -> bool {
    let words = value.split(['-', '_', '.', '/', ':', ' ']);
    // A word, a number, or a word with one behind it: `bert-base-v2`, `sha256_password`.
    let plain =
        |word: &str| word.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|b| b.is_ascii_alphabetic());
    let version = |word: &str| word.len() <= 4;
    value.contains("://")
        || value.starts_with(['/', '.', '~'])
        || value.contains(['(', ')', '[', ']', '|', '\\'])
        || value.contains("::")
        || value.contains("->")
        || words.clone().count() >= 2 && words.clone().all(|word| plain(word) || version(word))
        || value.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|b| b.is_ascii_alphabetic())
            && value.bytes().filter(u8::is_ascii_digit).count() <= 2
        || is_uuid(value)
}

/// True for a file that is read and not run: what it assigns is mostly made up.
fn is_prose(path: &str) -> bool {
    matches!(paths::extension(path), "md" | "mdx" | "rst" | "txt" | "adoc" | "html")
}

/// A UUID is more often the name of something than a secret.
fn is_uuid(value: &str) -> bool {
    let groups: Vec<_> = value.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Whether values stand without quotes in a file.
fn plain_values(path: &str) -> Plain {
    let name = paths::name(path).to_ascii_lowercase();
    let extension = paths::extension(&name);
    let dotted =
        name.starts_with('.') && (name.ends_with("rc") || name.ends_with("cfg") || name.ends_with("credentials"));
    let settings = name.starts_with(".env")
        || dotted
        || matches!(name.as_str(), "credentials" | "dockerfile" | "makefile")
        || name.starts_with("kubeconfig")
        || matches!(
            extension,
            "env"
                | "properties"
                | "ini"
                | "cfg"
                | "conf"
                | "cnf"
                | "yaml"
                | "yml"
                | "toml"
                | "tfvars"
                | "mk"
                | "http"
                | "ldif"
        );
    let script = matches!(extension, "sh" | "bash" | "zsh" | "ksh" | "service" | "bat" | "cmd")
        || matches!(name.as_str(), ".bashrc" | ".bash_profile" | ".zshrc" | ".zprofile" | ".profile" | "jenkinsfile");
    match (settings, script) {
        (_, true) => Plain::Joined,
        (true, _) => Plain::Yes,
        (false, false) => Plain::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_random_value_with_a_telling_name_is_found() {
        let medium = Severity::Medium;
        sample::finds(
            &RULE,
            "src/client.py",
            &[
                (concat!("api_key = \"q7ZpW2m", "W9xKd4LrT8\""), medium),
                (concat!("  \"clientSecret\": \"0a7b2c9d4e1f", "60538a7b2c9d\","), medium),
                (concat!("DB_PASSWORD = 'Tr0ub4d", "or&3x!'"), medium),
                (concat!("const authToken = `q7ZpW2m", "W9xKd4LrT8`"), medium),
            ],
        );
        sample::finds(&RULE, ".env.production", &[(concat!("APP_SECRET=q7ZpW2m", "W9xKd4LrT8"), medium)]);
        sample::finds(&RULE, "deploy/values.yaml", &[(concat!("  password: q7ZpW2m", "W9xKd4LrT8"), medium)]);
        sample::finds(&RULE, "src/a.yaml", &[("  secret: \"blue#heron!7\"", Severity::Low)]);
        sample::finds(
            &RULE,
            "deploy/up.sh",
            &[
                (concat!("export DB_PASSWORD=q7ZpW2m", "W9xKd4LrT8"), medium),
                (concat!("SMTP_PASS=q7ZpW2m", "W9xKd4LrT8 ./run"), medium),
                (concat!("push x-api-key=q7ZpW2m", "W9xKd4LrT8 --all"), medium),
                (concat!("P=${DB_PASSWORD:-q7ZpW2m", "W9xKd4LrT8}"), medium),
            ],
        );
        sample::finds(
            &RULE,
            "src/config.ts",
            &[
                (concat!("auth: { user: 'b', pass: 'q7ZpW2m", "W9xKd4LrT8' }"), medium),
                (concat!("apiToken: string = \"q7ZpW2m", "W9xKd4LrT8\";"), medium),
                (concat!("key_passphrase = \"q7ZpW2m", "W9xKd4LrT8\""), medium),
                (concat!("x = process.env.DB_PASSWORD || 'q7ZpW2m", "W9xKd4LrT8'"), medium),
                (concat!("x = os.getenv(\"DB_PASSWORD\", \"q7ZpW2m", "W9xKd4LrT8\")"), medium),
                (concat!("<dbPassword>q7ZpW2m", "W9xKd4LrT8</dbPassword>"), medium),
                (concat!("<add key=\"ApiKey\" value=\"q7ZpW2m", "W9xKd4LrT8\"/>"), medium),
                (concat!("ENCRYPTION_KEY = \"0a7b2c9d4e1f60538a7b2c", "9d4e1f60538a7b2c9d\""), medium),
                (concat!("SECRET_KEY = \"w7#k&2v@q9-z!x4^c8+b1$n5*m3_j6=h0", "l%r7tq2w9e\""), medium),
                (concat!("datadog_webhook_secret = \"0a7b2c9d4e1f", "60538a7b2c9d\""), medium),
                (concat!("client_secret = \"3f0c9a52-8a0e", "-5a52-9f6e-0d5c1c0f7a11\""), medium),
                ("DB_PASSWORD = \"admin123\"", Severity::Low),
            ],
        );
        sample::finds_in_file(
            &RULE,
            "deploy/app.yaml",
            concat!("env:\n  - name: DB_PASSWORD\n    value: \"q7ZpW2m", "W9xKd4LrT8\"\n"),
            &[(2, medium)],
        );
        sample::finds_in_file(
            &RULE,
            "vars.tf",
            concat!("variable \"db_password\" {\n  default = \"q7ZpW2m", "W9xKd4LrT8\"\n}\n"),
            &[(1, medium)],
        );
        sample::finds(&RULE, "tests/client_test.py", &[(concat!("token = \"q7ZpW2m", "W9xKd4LrT8\""), Severity::Low)]);
    }

    #[test]
    fn names_expressions_and_placeholders_are_not() {
        sample::finds_nothing(
            &RULE,
            "src/client.py",
            &[
                "token = get_token(request2)",
                "password = os.environ['DB_PASSWORD_2']",
                "api_key = \"your_api_key_1\"",
                "secret_name = \"q7ZpW2mW9xKd4LrT8\"",
                "token_url = \"https://q7ZpW2mW9xKd4LrT8.io\"",
                "password = \"password1\"",
                "password = form.password1",
                "tokenizer = \"bert-base-v2-uncased\"",
                "secret: 'projects/acme-1/secrets/db-password'",
                "AuthPlugin::Sha256Password => \"sha256_password\",",
                "abyssale_api_key = \"q7ZpW2mW9xKd4LrT8\"",
                "api_key = \"q7ZpW2m?W9xKd4LrT8\"",
                "max_tokens = \"q7ZpW2mW9xKd4LrT8\"",
                "token: '3f0c9a52-8a0e-5a52-9f6e-0d5c1c0f7a11'",
                "const TOKEN = /[a-z0-9]{20,40}/",
                "password: \"${DB_PASSWORD_2}\"",
                "next_page_token = \"q7ZpW2mW9xKd4LrT8\"",
                "pageToken: \"q7ZpW2mW9xKd4LrT8\"",
                "continuation_token = \"q7ZpW2mW9xKd4LrT8\"",
                "pwd_sha256 = \"0a7b2c9d4e1f60538a7b2c9d\"",
                "encrypted_password = \"0a7b2c9d4e1f60538a7b2c9d\"",
                "tokenAddress = \"0x0a7b2c9d4e1f60538a7b2c9d0a7b2c9d4e1f6053\"",
                "token: \"0x0a7b2c9d4e1f60538a7b2c9d0a7b2c9d4e1f6053\"",
                "bypass = \"q7ZpW2mW9xKd4LrT8\"",
                "compass: \"q7ZpW2mW9xKd4LrT8\"",
                "app_key = \"my-app-2024-settings\"",
                "private_key = \"/etc/ssl/private/server1.key\"",
                "t(\"password_hint\", \"Enter1\")",
                "password=ENCRYPT(oldpass2,currentsalt)",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "deploy/values.yaml",
            &[
                "  password: {{ .Values.password1 }}",
                "  password: /run/secrets/db_password2",
                "  password: op://vault/item2/field",
                "  password: \"{cipher}2c3b5d5c1b8b68d2124c052fa06dfbd8\"",
                "  secretName: q7ZpW2mW9xKd4LrT8",
                "  token: $TOKEN_1_OF_THE_BOT",
            ],
        );
    }
}
