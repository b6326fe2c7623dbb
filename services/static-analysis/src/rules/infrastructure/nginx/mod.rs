//! nginx: how it encrypts, what it shows, and what it tells about itself. A directive is a statement that ends with a
//! semicolon, wherever it stands, so that a hunk is as good as a file.

use std::sync::LazyLock;

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};
use regex::Regex;

use crate::paths;
use crate::rules::{Check, FileHit, Rule, Shared};

static SHARED: Shared = Shared { applies: is_nginx, check, besides: &[] };

/// A directive, and what is wrong about its value.
struct Row {
    rule: Rule,
    directives: &'static [&'static str],
    bad: fn(&[&str]) -> bool,
    message: &'static str,
}

/// The rules for nginx.
pub(crate) fn rules() -> Vec<&'static Rule> {
    ROWS.iter().map(|row| &row.rule).collect()
}

/// A rule for nginx.
const fn rule(id: &'static str, title: &'static str, severity: Severity) -> Rule {
    Rule {
        id,
        title,
        severity,
        confidence: Confidence::High,
        category: Category::Infrastructure,
        cwe: 0,
        hazard: "",
        keywords: &[],
        remediation: "",
        references: &["https://nginx.org/en/docs/http/ngx_http_core_module.html"],
        aliases: &[],
        check: Check::Shared(&SHARED),
    }
}

const TLS: &[&str] =
    &["https://nginx.org/en/docs/http/ngx_http_ssl_module.html", "https://wiki.mozilla.org/Security/Server_Side_TLS"];

static ROWS: &[Row] = &[
    Row {
        rule: Rule {
            cwe: 326,
            hazard: "nginx.old-tls",
            remediation: "Set ssl_protocols TLSv1.2 TLSv1.3.",
            references: TLS,
            ..rule("infrastructure.nginx.old-tls", "Protocols with known flaws", Severity::Medium)
        },
        directives: &["ssl_protocols", "proxy_ssl_protocols"],
        bad: |words| words.iter().any(|word| matches!(*word, "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1")),
        message: "these protocols have known flaws, and browsers have dropped them",
    },
    Row {
        rule: Rule {
            cwe: 327,
            hazard: "nginx.weak-ciphers",
            remediation: "Take the list that Mozilla's generator gives for the browsers that you serve.",
            references: TLS,
            ..rule("infrastructure.nginx.weak-ciphers", "Ciphers with known flaws", Severity::Medium)
        },
        directives: &["ssl_ciphers", "proxy_ssl_ciphers"],
        bad: |words| words.iter().any(|word| has_weak_cipher(word)),
        message: "the list lets ciphers in that can be broken",
    },
    Row {
        rule: Rule {
            cwe: 548,
            hazard: "nginx.autoindex",
            remediation: "Leave autoindex off, and name the files that are to be found.",
            references: &["https://nginx.org/en/docs/http/ngx_http_autoindex_module.html"],
            ..rule("infrastructure.nginx.autoindex", "Folders listed to everybody", Severity::Low)
        },
        directives: &["autoindex"],
        bad: |words| words == ["on"],
        message: "whoever asks sees every file of the folder",
    },
    Row {
        rule: Rule {
            cwe: 200,
            hazard: "nginx.server-tokens",
            remediation: "Set server_tokens off.",
            ..rule("infrastructure.nginx.server-tokens", "Version told to everybody", Severity::Info)
        },
        directives: &["server_tokens"],
        bad: |words| matches!(words, ["on" | "build"]),
        message: "the version tells which flaws the server has",
    },
    Row {
        rule: Rule {
            cwe: 295,
            hazard: "nginx.tls-verification-off",
            remediation: "Leave the check on, and name the authority with proxy_ssl_trusted_certificate.",
            references: &["https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_verify"],
            ..rule(
                "infrastructure.nginx.verification-off",
                "Certificate of the server behind not checked",
                Severity::Low,
            )
        },
        directives: &["proxy_ssl_verify", "ssl_verify_client", "grpc_ssl_verify", "uwsgi_ssl_verify"],
        bad: |words| matches!(words, ["off" | "optional_no_ca"]),
        message: "whoever is on the way can answer in the other's place",
    },
    Row {
        rule: Rule {
            cwe: 16,
            hazard: "nginx.ssl-directive",
            remediation: "Write listen 443 ssl; the directive ssl is gone since nginx 1.25.",
            references: TLS,
            ..rule("infrastructure.nginx.ssl-off", "Encryption turned off", Severity::Medium)
        },
        directives: &["ssl"],
        bad: |words| words == ["off"],
        message: "what is sent can be read and changed on the way",
    },
];

static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[;{}])\s*([a-z_]+)\s+([^;{}#]*)").expect("the pattern is tested"));

/// Bytes of a line that are looked at: nobody writes longer ones.
const LINE_BYTES_MAX: usize = 4_096;

fn is_nginx(change: &FileChange) -> bool {
    let path = paths::lower(&change.path);
    let name = paths::name(&path);
    let configuration = matches!(paths::extension(name), "conf" | "nginx" | "vhost")
        || name.ends_with(".conf.template")
        || name.ends_with(".conf.j2");
    let placed = ["sites-available", "sites-enabled"].iter().any(|folder| paths::has_folder(&path, folder));
    change.kind != FileChangeKind::Deleted
        && (configuration && path.contains("nginx") || placed || name == "nginx.conf")
}

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        for (index, line) in hunk.lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Added) {
            let text = &line.text[..line.text.floor_char_boundary(LINE_BYTES_MAX)];
            if text.trim_start().starts_with('#') {
                continue;
            }
            for directive in DIRECTIVE.captures_iter(text) {
                let words: Vec<_> =
                    directive[2].split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
                let bad = ROWS.iter().filter(|row| row.directives.contains(&&directive[1]) && (row.bad)(&words));
                hits.extend(bad.map(|row| (row.rule.id, FileHit::on_line(file, number, index, row.message))));
            }
        }
    }
    hits
}

/// Whether a list in OpenSSL's form lets a weak cipher in. What is behind `!` or `-` is left out, and `!` holds for good.
fn has_weak_cipher(list: &str) -> bool {
    const WEAK: &[&str] = &[
        "NULL",
        "ANULL",
        "ENULL",
        "EXPORT",
        "EXP",
        "LOW",
        "RC4",
        "RC2",
        "DES",
        "3DES",
        "MD5",
        "ADH",
        "AECDH",
        "SEED",
        "IDEA",
        "DES-CBC3-SHA",
    ];
    list.split([':', ',']).filter(|item| !item.starts_with(['!', '-'])).any(|item| {
        let item = item.trim_start_matches('+').to_ascii_uppercase();
        WEAK.contains(&item.as_str())
            || item.split(['-', '+']).any(|part| matches!(part, "RC4" | "NULL" | "MD5" | "EXP" | "CBC3" | "3DES"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn one(id: &str, line: &str, found: bool) {
        let text = format!("server {{\n  {line}\n}}\n");
        let file = sample::added("deploy/nginx.conf", &text);
        assert!(is_nginx(&file.change));
        let expected: &[u32] = if found { &[2] } else { &[] };
        assert_eq!(super::super::lines_of(&file, &super::check(&file), id), expected, "{id} in\n{text}");
    }

    #[test]
    fn directives_are_judged_by_their_values() {
        one("old-tls", "ssl_protocols TLSv1 TLSv1.2;", true);
        one("old-tls", "ssl_protocols TLSv1.2 TLSv1.3;", false);
        one("old-tls", "# ssl_protocols SSLv3;", false);
        one("weak-ciphers", "ssl_ciphers HIGH:RC4;", true);
        one("weak-ciphers", "ssl_ciphers 'HIGH:!aNULL:!MD5:!RC4';", false);
        one("weak-ciphers", "ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:DES-CBC3-SHA;", true);
        one("autoindex", "location / { autoindex on; }", true);
        one("autoindex", "autoindex off;", false);
        one("server-tokens", "server_tokens on;", true);
        one("server-tokens", "server_tokens off;", false);
        one("verification-off", "proxy_ssl_verify off;", true);
        one("verification-off", "proxy_ssl_verify on;", false);
        one("ssl-off", "ssl off;", true);
        one("ssl-off", "listen 443 ssl;", false);
    }

    #[test]
    fn a_file_is_known_by_its_path() {
        let applies = |path: &str| is_nginx(&sample::added(path, "a;").change);
        assert!(applies("nginx/conf.d/a.conf") && applies("etc/sites-available/shop") && applies("nginx.conf"));
        assert!(!applies("a/b.conf") && !applies("docs/nginx.md"));
    }
}
