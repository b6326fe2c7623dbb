//! Secrets that stand in the configuration itself: in user data, in a function's environment, in a provider's block.

use std::ops::Range;
use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

use super::parse::Block;
use super::{Hit, address, key};
use crate::rules::secret::is_placeholder;

const USER_DATA: &str = "infrastructure.terraform.secret-in-user-data";
const ENVIRONMENT: &str = "infrastructure.terraform.secret-in-environment";
const PROVIDER: &str = "infrastructure.terraform.secret-in-provider";

/// Forms that are proof in themselves, or nearly so behind their name.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"\b(?P<a>(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|AIPA)[A-Z0-9]{16})\b|(?i:(?:secret|access)_?(?:access)?_?key)["']?\s*[:=]\s*["']?(?P<b>[A-Za-z0-9/+=]{40})\b|(?i:(?:password|passwd|secret|token|api_?key|accountkey|client_?secret))["']?\s*[:=]\s*["']?(?P<c>[A-Za-z0-9+/_~.=-]{20,})|(?P<d>-----BEGIN [A-Z ]*PRIVATE KEY-----|\b[A-Za-z0-9+/]{86}==)"#,
    )
    .expect("the pattern is tested")
});

/// A value that is a secret, whatever its name.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(?:AKIA|ASIA)[A-Z0-9]{16}|[A-Za-z0-9/+]{40}|-----BEGIN .*)$").expect("the pattern is tested")
});

/// The attributes of providers that hold credentials.
const CREDENTIALS: &[(&str, &[&str])] = &[
    ("provider.aws", &["secret_key", "access_key", "token"]),
    ("provider.openstack", &["password", "token", "application_credential_secret"]),
    ("provider.panos", &["password", "api_key"]),
    ("provider.linode", &["token"]),
    ("provider.oci", &["private_key_password", "private_key"]),
    ("provider.ncloud", &["secret_key", "access_key"]),
    ("provider.bridgecrew", &["token"]),
    ("provider.azurerm", &["client_secret"]),
    ("provider.digitalocean", &["token"]),
    ("provider.github", &["token"]),
    ("provider.gitlab", &["token"]),
];

pub(super) fn check(block: &Block, text: &str, hits: &mut Vec<Hit>) {
    let key = key(block);
    match key.as_str() {
        "aws_instance" | "aws_launch_template" | "aws_launch_configuration" | "tencentcloud_instance" => {
            scripts(block, text, &["user_data", "user_data_base64", "user_data_raw"], block, hits);
        }
        "azurerm_virtual_machine" => {
            for profile in block.blocks("os_profile") {
                scripts(profile, text, &["custom_data"], block, hits);
            }
        }
        "azurerm_linux_virtual_machine"
        | "azurerm_windows_virtual_machine"
        | "azurerm_linux_virtual_machine_scale_set" => {
            scripts(block, text, &["custom_data", "user_data"], block, hits);
        }
        "aws_lambda_function" => environment(block, text, hits),
        _ => {
            if let Some((_, names)) = CREDENTIALS.iter().find(|(provider, _)| *provider == key) {
                provider(block, names, hits);
            }
        }
    }
}

/// Secrets in what a machine runs when it starts.
fn scripts(of: &Block, text: &str, names: &[&str], block: &Block, hits: &mut Vec<Hit>) {
    for attribute in names.iter().filter_map(|name| of.attribute(name)) {
        if let Some((range, is_real)) = find(text, attribute.range.clone()) {
            let message =
                format!("{}: a secret in {}, which everybody on the machine can read", address(block), attribute.name);
            hits.push(worth(Hit::at(USER_DATA, range, message), is_real));
        }
    }
}

/// The first secret in these bytes, and whether it looks real.
fn find(text: &str, range: Range<usize>) -> Option<(Range<usize>, bool)> {
    let part = text.get(range.clone())?;
    let mut first = None;
    for captures in SECRET.captures_iter(part) {
        let found = ["a", "b", "c", "d"].iter().find_map(|name| captures.name(name))?;
        if found.as_str().contains("${") || is_reference(found.as_str()) {
            continue;
        }
        let at = range.start + found.start()..range.start + found.end();
        if !is_placeholder(found.as_str()) {
            return Some((at, true));
        }
        // In the form of a key an example is still worth a note; a mere placeholder behind a name is not.
        if captures.name("c").is_none() {
            first = first.or(Some((at, false)));
        }
    }
    first
}

fn environment(block: &Block, text: &str, hits: &mut Vec<Hit>) {
    for variables in block.blocks("environment").filter_map(|inner| inner.attribute("variables")) {
        let secret = match &variables.value {
            super::parse::Value::Object(fields) => {
                fields.iter().filter_map(|(_, value)| value.plain()).find(|value| is_secret(value))
            }
            _ => None,
        };
        let found = secret.and_then(|secret| {
            let at = text.get(variables.range.clone())?.find(secret)? + variables.range.start;
            Some((at..at + secret.len(), !is_placeholder(secret)))
        });
        if let Some((range, is_real)) = found.or_else(|| find(text, variables.range.clone())) {
            let message = format!("{}: a secret in the function's environment", address(block));
            hits.push(worth(Hit::at(ENVIRONMENT, range, message), is_real));
        }
    }
}

/// True for the way to a value that is elsewhere: `local.token`, `random_password.db.result`.
fn is_reference(value: &str) -> bool {
    const ROOTS: [&str; 7] = ["var", "local", "data", "module", "each", "self", "path"];
    let plain =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    value.split_once('.').is_some_and(|(root, _)| ROOTS.contains(&root) || root.contains('_') && plain(root))
}

fn is_secret(value: &str) -> bool {
    let digits = value.bytes().any(|byte| byte.is_ascii_digit());
    let letters =
        value.bytes().any(|byte| byte.is_ascii_uppercase()) && value.bytes().any(|byte| byte.is_ascii_lowercase());
    VALUE.is_match(value) && (value.len() == 20 || digits && letters || value.starts_with('-'))
}

fn provider(block: &Block, names: &[&str], hits: &mut Vec<Hit>) {
    for attribute in names.iter().filter_map(|name| block.attribute(name)) {
        let Some(value) = attribute.value.plain().filter(|value| !value.is_empty() && *value != "null") else {
            continue;
        };
        // The examples of the manuals, and emulators, need any value at all.
        let is_real =
            !is_placeholder(value) && !matches!(value, "test" | "mock" | "mock_access_key" | "mock_secret_key");
        if block.labels.first().is_some_and(|label| label == "aws") && !is_secret(value) {
            continue;
        }
        let message = format!("{}: {} stands in the configuration", address(block), attribute.name);
        hits.push(worth(Hit::at(PROVIDER, attribute.range.clone(), message), is_real));
        return;
    }
}

/// What only looks like a secret is a note.
fn worth(hit: Hit, is_real: bool) -> Hit {
    if is_real { hit } else { hit.severity(Severity::Low) }
}
