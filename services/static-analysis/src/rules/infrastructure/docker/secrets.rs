//! Secrets in the environment and the arguments of a build: both stay in the image's history.

use domain::Severity;

use super::{Shown, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&SECRET, &ARGUMENT];

static SECRET: Rule = Rule {
    cwe: 798,
    hazard: "docker.secret-in-env",
    remediation: "Mount the secret for the one step that needs it (RUN --mount=type=secret), and give the running container its own.",
    references: &[
        "https://docs.docker.com/build/building/secrets/",
        "https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/",
    ],
    aliases: &["DL3064", "SecretsUsedInArgOrEnv"],
    ..rule("infrastructure.docker.secret-in-env", "Secret written into the image", Severity::Medium)
};
static ARGUMENT: Rule = Rule {
    cwe: 522,
    hazard: "docker.secret-in-env",
    remediation: "Mount the secret for the one step that needs it: RUN --mount=type=secret.",
    references: &[
        "https://docs.docker.com/build/building/secrets/",
        "https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/",
    ],
    aliases: &["DL3064", "SecretsUsedInArgOrEnv"],
    ..rule("infrastructure.docker.secret-argument", "Secret passed to the build as an argument", Severity::Low)
};

pub(super) fn check(shown: &mut Shown<'_>) {
    for at in 0..shown.instructions.len() {
        let instruction = &shown.instructions[at];
        if !matches!(instruction.keyword.as_str(), "ENV" | "ARG") {
            continue;
        }
        let is_argument = instruction.keyword == "ARG";
        let secrets: Vec<_> =
            pairs(&instruction.arguments).into_iter().filter(|(name, _)| is_secret_name(name)).collect();
        for (_, value) in secrets {
            match value {
                Some(value) if is_literal(&value) => {
                    shown.secret(&SECRET, at, &value, "the value stays in the image, for all who can pull it")
                }
                Some(value) if value.is_empty() && !is_argument => {}
                _ if is_argument => {
                    shown.at(&ARGUMENT, at, "what is passed for the argument stays in the image's history")
                }
                _ => {}
            }
        }
    }
}

/// Names and values, in the form `a=b c="d e"` or, of one variable, `a b`.
pub(super) fn pairs(arguments: &str) -> Vec<(String, Option<String>)> {
    let first = arguments.split_whitespace().next().unwrap_or("");
    if !first.contains('=') {
        let rest = arguments[first.len()..].trim();
        let value = (!rest.is_empty()).then(|| rest.trim_matches(['"', '\'']).to_owned());
        return if first.is_empty() { Vec::new() } else { vec![(first.to_owned(), value)] };
    }
    let commands = super::shell::commands(arguments);
    let pairs =
        commands.into_iter().flat_map(|command| command.variables.into_iter().map(|(name, value)| (name, Some(value))));
    pairs.collect()
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts: Vec<_> = name.split(['_', '-']).collect();
    let last = parts.last().copied().unwrap_or("");
    // A name, a file or an address of a secret is no secret.
    let about = [
        "file", "path", "url", "uri", "name", "id", "type", "dir", "host", "user", "username", "expiry", "ttl",
        "length", "policy",
    ];
    let word = |wanted: &str| parts.contains(&wanted);
    let secret = ["password", "passwd", "pwd", "secret", "token", "passphrase", "apikey", "credentials"]
        .iter()
        .any(|w| word(w))
        || name.ends_with("password")
        || word("key") && (word("api") || word("private") || word("access") || word("secret") || word("encryption"));
    secret && !about.contains(&last) && !word("public")
}

/// Whether the value is the secret itself, and not a place to put one.
fn is_literal(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let placeholder = [
        "changeme",
        "change_me",
        "example",
        "placeholder",
        "dummy",
        "xxx",
        "your",
        "todo",
        "none",
        "null",
        "true",
        "false",
        "test",
    ];
    value.len() >= 4
        && !value.contains('$')
        && !value.starts_with('<')
        && !placeholder.iter().any(|word| lower.contains(word))
        && !value.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn a_secret_in_the_image_is_found() {
        for line in [
            "ENV DB_PASSWORD=correct-horse",
            "ENV DB_PASSWORD correct-horse",
            "ENV A=b API_KEY=\"k3y of mine\"",
            "ARG NPM_TOKEN=correct-horse",
        ] {
            check("secret-in-env", &format!("FROM a:1\n{line}\n"), &[2]);
        }
        check("secret-argument", "FROM a:1\nARG NPM_TOKEN\n", &[2]);
    }

    #[test]
    fn what_is_found_is_not_shown() {
        let text = "FROM a:1\nENV DB_PASSWORD=correct-horse\n";
        let findings = crate::sample::scan(vec![crate::sample::added("Dockerfile", text)]).findings;
        assert!(findings.iter().all(|finding| !finding.excerpt.contains("correct-horse")));
    }

    #[test]
    fn a_place_for_one_is_not() {
        for line in [
            "ENV DB_PASSWORD=",
            "ENV DB_PASSWORD=${X}",
            "ENV PASSWORD_FILE=/run/a",
            "ENV TOKEN_URL=https://a",
            "ENV KEY=value",
            "ENV DB_PASSWORD=changeme",
            "ENV PATH=/a",
        ] {
            check("secret-in-env", &format!("FROM a:1\n{line}\n"), &[]);
            check("secret-argument", &format!("FROM a:1\n{line}\n"), &[]);
        }
        check("secret-argument", "FROM a:1\nARG VERSION\n", &[]);
    }
}
