//! A client that talks to whoever answers: it takes any certificate.

use std::sync::LazyLock;

use domain::diff::LineKind;
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::code_of;
use crate::rules::{AddedLine, Check, Hit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.tls.verification-off",
    title: "TLS certificates are not checked",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 295,
    hazard: "",
    keywords: &[
        "verify",
        "rejectunauthorized",
        "reject_unauthorized",
        "insecureskipverify",
        "cert_none",
        "check_hostname",
        "unverified_context",
        "danger_accept_invalid",
        "ssl_verifypeer",
        "dangerousacceptany",
        "noophostnameverifier",
    ],
    remediation: "Leave the check on; for a private authority, add its certificate to the client's trusted ones.",
    references: &[
        "https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification",
        "https://nodejs.org/api/tls.html#tlsconnectoptions-callback",
        "https://pkg.go.dev/crypto/tls#Config",
        "https://docs.ruby-lang.org/en/master/OpenSSL/SSL.html",
    ],
    aliases: &["B501", "B323", "S501", "S323", "G402"],
    check: Check::Line(check),
};

static PYTHON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[,(\s]|(?i:session|client)\.)(verify\s*=\s*False)\b|(\b_create_unverified_context\b)|(\bverify_mode\s*=\s*(?:ssl\.)?CERT_NONE\b|\bcert_reqs\s*=\s*(?:ssl\.)?CERT_NONE\b)|(\bcheck_hostname\s*=\s*False\b)")
        .expect("the pattern is tested")
});
static JAVASCRIPT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\brejectUnauthorized[\x22']?\s*[:=]\s*false\b)").expect("the pattern is tested"));
/// The variable is named in a string as often as not.
static NODE_VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(NODE_TLS_REJECT_UNAUTHORIZED["'\]]{0,2}\s*[:=]\s*["']?0["']?)(?:[^\d]|$)"#)
        .expect("the pattern is tested")
});
static RUBY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(\bverify_mode\b\s*[:=]?=?>?\s*OpenSSL::SSL::VERIFY_NONE\b|\bverify_ssl\s*[:=]>?\s*false\b)")
        .expect("the pattern is tested")
});
static BRACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(\bInsecureSkipVerify\s*[:=]\s*true\b|\bdanger_accept_invalid_(?:certs|hostnames)\(\s*true\b|\bCURLOPT_SSL_VERIFYPEER\s*(?:,|=>)\s*(?:false|0)\b|\bDangerousAcceptAnyServerCertificateValidator\b|\bNoopHostnameVerifier\b)",
    )
    .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let Some((syntax, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let (pattern, text) = match syntax {
        // A parameter's default is not a call, and others than HTTP clients verify things too.
        Syntax::Python if code.trim_start().starts_with("def ") || !speaks_tls(line) => return Vec::new(),
        Syntax::Python => (&PYTHON, code.as_str()),
        Syntax::JavaScript if line.text.contains("NODE_TLS") && code.contains("env") => (&NODE_VARIABLE, line.text),
        Syntax::JavaScript => (&JAVASCRIPT, code.as_str()),
        Syntax::Ruby => (&RUBY, code.as_str()),
        // Go is parsed: see its module.
        Syntax::Braces if line.path().ends_with(".go") => return Vec::new(),
        Syntax::Braces => (&BRACES, code.as_str()),
        Syntax::Hcl | Syntax::Php | Syntax::Elixir => return Vec::new(),
    };
    let Some(captures) = pattern.captures(text) else { return Vec::new() };
    let range = captures.iter().skip(1).flatten().next().map_or(0..0, |found| found.range());
    let above = line.hunk.lines[..line.index].iter().rev().filter(|line| line.kind != LineKind::Removed);
    let hit = Hit::at(range, MESSAGE);
    vec![if above.take(ABOVE_LINES).any(|line| asks(line.text)) { hit.severity(Severity::Medium) } else { hit }]
}

/// What is wrong.
pub(super) const MESSAGE: &str =
    "the client takes any certificate, so that anybody between it and the server can read and change what they say";
/// Lines above, in which a condition is looked for.
const ABOVE_LINES: usize = 5;

/// True for a condition by which whoever runs the program asks for this: `if (skipSslValidation)`. Theirs to answer for, but
/// worth a look.
pub(super) fn asks(condition: &str) -> bool {
    static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:if|unless|case|when|elsif)\b.*(?:insecure|accept_?invalid|(?:skip|ignore|no|disable)_?-?(?:ssl|tls|cert|verif))")
            .expect("the pattern is tested")
    });
    CONDITION.is_match(&condition[..condition.floor_char_boundary(300)])
}

/// True when the line or one near it speaks of HTTP or TLS.
fn speaks_tls(line: &AddedLine<'_>) -> bool {
    const NEAR_LINES: usize = 8;
    let words = ["requests", "http", "session", "ssl", "aiohttp", "urllib", "client", "get(", "post("];
    let from = line.index.saturating_sub(NEAR_LINES);
    let near = &line.hunk.lines[from..(line.index + 2).min(line.hunk.lines.len())];
    near.iter().any(|other| {
        let reach = other.text.floor_char_boundary(2_000);
        let lower = other.text[..reach].to_ascii_lowercase();
        words.iter().any(|word| lower.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_client_without_the_check_is_found() {
        let high = Severity::High;
        sample::finds(
            &RULE,
            "src/pay.py",
            &[
                ("r = requests.get(url, verify=False)", high),
                ("session.verify = False", high),
                ("ctx = ssl._create_unverified_context()", high),
                ("ctx.verify_mode = ssl.CERT_NONE", high),
            ],
        );
        sample::finds(
            &RULE,
            "src/pay.ts",
            &[
                ("const agent = new https.Agent({ rejectUnauthorized: false });", high),
                ("process.env[\"NODE_TLS_REJECT_UNAUTHORIZED\"] = \"0\";", high),
                ("process.env.NODE_TLS_REJECT_UNAUTHORIZED = 0", high),
            ],
        );
        sample::finds(&RULE, "pay.go", &[("\tTLSClientConfig: &tls.Config{InsecureSkipVerify: true},", high)]);
        sample::finds(&RULE, "pay.rs", &[("let b = b.danger_accept_invalid_certs(true);", high)]);
        sample::finds(&RULE, "pay.php", &[("curl_setopt($ch, CURLOPT_SSL_VERIFYPEER, false);", high)]);
        sample::finds(&RULE, "pay.rb", &[("http.verify_mode = OpenSSL::SSL::VERIFY_NONE", high)]);
        sample::finds(&RULE, "pay_test.go", &[("c := tls.Config{InsecureSkipVerify: true}", Severity::Low)]);
    }

    #[test]
    fn what_the_operator_asks_for_is_worth_a_look() {
        let hunk = "+if (skipSslValidation) {\n+  builder.verifier(new NoopHostnameVerifier());\n+}\n";
        sample::finds_in_hunk(&RULE, "src/A.java", hunk, &[(11, Severity::Medium)]);
        let hunk = "+case \"accept_invalid_certs\":\n+  return { rejectUnauthorized: false };\n";
        sample::finds_in_hunk(&RULE, "src/a.ts", hunk, &[(11, Severity::Medium)]);
        let hunk = "+if (retries > 3) {\n+  return { rejectUnauthorized: false };\n";
        sample::finds_in_hunk(&RULE, "src/a.ts", hunk, &[(11, Severity::High)]);
        let go = "package main\nimport \"crypto/tls\"\nfunc f(insecure bool) {\n\tif insecure {\n\t\tc = &tls.Config{InsecureSkipVerify: true}\n\t}\n}\n";
        sample::finds_in_file(&RULE, "a.go", go, &[(5, Severity::Medium)]);
    }

    #[test]
    fn the_check_left_on_and_mere_words_are_not() {
        sample::finds_nothing(
            &RULE,
            "src/pay.py",
            &[
                "r = requests.get(url, verify=True)",
                "r = requests.get(url, verify=ca_bundle)",
                "# requests.get(url, verify=False)",
                "log('do not use verify=False with requests')",
                "def get(url, verify=False):",
                "image.load(path, verify=False)",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "src/pay.ts",
            &[
                "new https.Agent({ rejectUnauthorized: true });",
                " * rejectUnauthorized: false",
                "// rejectUnauthorized: false",
                "if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '1') {}",
            ],
        );
        sample::finds_nothing(&RULE, "pay.go", &["c := tls.Config{InsecureSkipVerify: *skip}"]);
        sample::finds_nothing(&RULE, "README.md", &["requests.get(url, verify=False)"]);
    }
}
